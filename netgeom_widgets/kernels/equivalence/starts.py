"""Where searches start: a network's own initialisation, each start from a seed of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import private_copy


class _Seeded(TorchDispatchMode):
    """All random numbers drawn inside, on this thread, come from one generator; torch's own is untouched."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if any(argument.name == "generator" for argument in func._schema.arguments):
            kwargs["generator"] = self._generator
        return func(*args, **kwargs)


def initial_parameters(model: nn.Module, seeds: Iterator[int]) -> Iterator[Tensor]:
    """One parameter vector (P,) for each seed, in float64.

    Modules with ``reset_parameters`` initialise themselves by it, as all of torch's own do. Parameters that none of
    them sets are uniform within 1/sqrt(fan-in), as torch's linear layers are; for vectors the fan-in is that of the
    weight before them in the same module, or their own length.
    """
    network = private_copy(model)
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), _Seeded(generator):
            _initialise(network)
        yield torch.cat([parameter.reshape(-1) for parameter in network.parameters()])


def _initialise(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.fill_(math.nan)  # what no module sets stays recognisable
    for name, module in network.named_modules():
        reset: Callable[[], Any] | None = getattr(module, "reset_parameters", None)
        if not callable(reset):
            continue
        try:
            reset()
        except Exception as error:  # the user's module raises whatever it likes
            raise NetgeomError(
                f"{name or 'The model'} does not initialise itself ({type(error).__name__}: {error})",
                expected="reset_parameters() without arguments",
                try_this="start=, parameter vectors of your own",
            ) from error
    for module in network.modules():
        fan_in = None
        for parameter in module.parameters(recurse=False):
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
            if bool(torch.isnan(parameter).any()):
                bound = 1 / math.sqrt(max(1, fan_in or parameter.numel()))
                parameter.uniform_(-bound, bound)
