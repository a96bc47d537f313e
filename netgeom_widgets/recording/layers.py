"""Which modules of a model are recorded, and the hooks that look at them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import OBSERVER_MARK
from netgeom_widgets.recording.reducers import Projected, Reducer, Reduction, check

Layers = str | Sequence[str] | Mapping[str, Reducer | Projected | None]
Sink = Callable[[str, torch.Tensor], None]


def matching_names(patterns: Sequence[str], names: Sequence[str], kind: str) -> dict[str, str]:
    """Name -> the first pattern that matches it, in the order of the names; a pattern that matches none is refused."""
    chosen = {name: next((p for p in patterns if p == name or fnmatchcase(name, p)), "") for name in names}
    for pattern in patterns:
        if not any(pattern == name or fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3) or list(names)[:5]
            raise NetgeomError(
                f"No {kind} of the model is called {pattern!r}",
                expected=f"a name or a pattern such as 'conv*' of named_{kind}s()",
                got=repr(pattern),
                try_this=", ".join(map(repr, near)) if near else "",
            )
    return {name: pattern for name, pattern in chosen.items() if pattern}


class LayerSet:
    """The chosen modules with their reductions, in the order of the model."""

    def __init__(self, model: nn.Module, layers: Layers) -> None:
        by_pattern: dict[str, Reducer | Projected | None]
        if isinstance(layers, Mapping):
            by_pattern = dict(layers)
        else:
            by_pattern = dict.fromkeys([layers] if isinstance(layers, str) else layers)
        for reducer in by_pattern.values():
            if reducer is not None:
                check(reducer)
        modules = {name: module for name, module in model.named_modules() if name}
        chosen = matching_names(list(by_pattern), list(modules), "module")
        self.reductions = {name: Reduction(f"Layer {name!r}", by_pattern[pattern]) for name, pattern in chosen.items()}
        self._modules = {name: modules[name] for name in chosen}

    @property
    def names(self) -> tuple[str, ...]:
        """Dotted names, in the order of the model."""
        return tuple(self.reductions)

    @contextmanager
    def observed(self, sink: Sink) -> Iterator[None]:
        """Hand the reduced output of every layer to the sink inside the block; hooks are gone after it."""
        handles = [self._hook(name, sink) for name in self.names]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str, sink: Sink) -> torch.utils.hooks.RemovableHandle:
        reduce = self.reductions[name]

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            # At once: a later module may change this very tensor in place.
            with torch.no_grad():
                sink(name, reduce(output))

        setattr(look, OBSERVER_MARK, True)
        return self._modules[name].register_forward_hook(look)


class TrainingForwards:
    """What the layers and the model gave in the last forward pass in train mode, for recordings made as trained."""

    def __init__(self, model: nn.Module, layers: LayerSet, outputs: Reduction | None) -> None:
        self._model, self._layers, self._outputs = model, layers, outputs
        self._latest: dict[str, torch.Tensor] = {}
        self._result: torch.Tensor | None = None
        self._inside = False  # only between a forward's begin and end: checkpointing runs layers again in backward

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Watch inside the block; hooks are gone after it."""

        def begin(module: nn.Module, inputs: Any) -> None:
            if module.training:
                self._latest, self._result, self._inside = {}, None, True

        def end(module: nn.Module, inputs: Any, output: Any) -> None:
            if self._inside and self._outputs is not None:
                with torch.no_grad():
                    self._result = _own(self._outputs(output))
            self._inside = False

        setattr(begin, OBSERVER_MARK, True)
        setattr(end, OBSERVER_MARK, True)
        handles = [self._model.register_forward_pre_hook(begin), self._model.register_forward_hook(end)]
        try:
            with self._layers.observed(self._keep):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, name: str, rows: torch.Tensor) -> None:
        if self._inside:
            refuse_second_call(name, self._latest)
            self._latest[name] = _own(rows)

    def layer(self, name: str) -> torch.Tensor:
        """The rows of a layer in the last training forward."""
        return _found(self._latest.get(name), f"Layer {name!r}", f"{name}=...")

    def outputs(self) -> torch.Tensor:
        """The rows the model gave in it."""
        return _found(self._result, "The model's output", "outputs=...")


def refuse_second_call(name: str, seen: Mapping[str, object]) -> None:
    """A module that runs twice in one forward has no one output."""
    if name in seen:
        raise NetgeomError(
            f"Layer {name!r} runs more than once in a forward pass, so it has no one output",
            expected="a module that runs once",
            try_this="the module around it, or one module object per place",
        )


def _own(rows: torch.Tensor) -> torch.Tensor:
    return rows.clone()  # later modules may change the tensor in place


def _found(rows: torch.Tensor | None, what: str, keyword: str) -> torch.Tensor:
    if rows is None:
        raise NetgeomError(
            f"{what} has not been seen in a training forward",
            expected="a forward pass of the model in train mode before store()",
            try_this=f"store(ids, {keyword})",
        )
    return rows
