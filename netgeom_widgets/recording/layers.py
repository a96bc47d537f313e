"""Which modules of a model are recorded, and the hooks that look at them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import OBSERVER_MARK
from netgeom_widgets.recording.reducers import Projected, Reducer, Reduction, check

Layers = str | Sequence[str] | Mapping[str, Reducer | Projected | None]


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
        if not isinstance(layers, str | Sequence | Mapping) or not all(isinstance(name, str) for name in layers):
            raise NetgeomError(
                "layers is not understood",
                expected="names or patterns, or {name or pattern: reducer}",
                got=repr(layers),
                try_this="layers=() for none",
            )
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
    def observed(self, sink: Callable[[str, Any], None]) -> Iterator[None]:
        """Hand what every layer gives to the sink, by name, inside the block; hooks are gone after it."""
        with ExitStack() as hooks:
            for name in self.names:

                def look(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
                    sink(name, output)

                setattr(look, OBSERVER_MARK, True)
                hooks.callback(self._modules[name].register_forward_hook(look).remove)
            yield


class OneForward:
    """The rows that the layers give in one forward pass."""

    def __init__(self, layers: LayerSet) -> None:
        self._layers = layers
        self._rows: dict[str, torch.Tensor | NetgeomError] = {}

    def clear(self) -> None:
        """A new pass begins."""
        self._rows = {}

    def add(self, name: str, output: Any) -> None:
        """Reduce an output at once, into memory of its own: a later module may change the tensor in place.

        What cannot be reduced is refused when it is asked for: its rows may be given by hand.
        """
        if name in self._rows:
            self._rows[name] = NetgeomError(
                f"Layer {name!r} runs more than once in a forward pass, so it has no one output",
                expected="a module that runs once",
                try_this="the module around it, or one module object per place",
            )
        else:
            self._rows[name] = self._layers.reductions[name].attempt(output)

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._rows:
            raise NetgeomError(
                f"Layer {name!r} has not run in the forward pass",
                expected="a module that the model's forward calls, in train mode where recording is as trained",
                try_this="another layer, or its rows given by hand: store(ids, ...)",
            )
        rows = self._rows[name]
        if isinstance(rows, NetgeomError):
            raise rows
        return rows
