"""Watching a forward pass: every use of a chosen parameter by an operation whose gradient has a known form.

The uses are seen where torch functions are called, not by module type, so functional forms, parameters shared by
several modules and modules called several times are all met. A parameter that any other differentiable operation reads
is named in `Capture.others`: its gradient is not the sum of the uses seen here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from netgeom_widgets.kernels.similarity.positions import Window
from netgeom_widgets.kernels.similarity.readings import READERS, Reading


@dataclass(frozen=True, eq=False)
class Use:
    """One operation that read chosen parameters.

    Attributes
    ----------
    form : {"linear", "convolution", "transposed", "embedding", "scale"}
        Of the gradient with respect to `weight`. "scale" multiplies a function of the input elementwise, as norm layers
        multiply the normalised input; "transposed" is a transposed convolution.
    weight, bias : str or None
        Names of the chosen parameters among the operation's, if any.
    inputs : Tensor
        What the weight was applied to, without history; for "scale" what it multiplies.
    result : GradientEdge
        Where the cotangent of the result is asked for: a later in-place operation cannot move it.
    shape : tuple of int
        Of the result.
    window : Window or None
    features : tuple of int or None
        Of "scale": trailing axes with a weight for each entry; () for one for each channel (axis 1); None for one
        in all.
    """

    form: str
    weight: str | None
    bias: str | None
    inputs: Tensor
    result: Any
    shape: tuple[int, ...]
    window: Window | None = None
    features: tuple[int, ...] | None = ()


@dataclass(eq=False)
class Capture(TorchFunctionMode):
    """The uses of the chosen parameters in all forward passes inside the ``with`` block.

    Parameters
    ----------
    names : dict of int to str
        Name of each chosen parameter by its id().

    Notes
    -----
    Inputs are kept as they are: autograd itself refuses a model that later changes the input of a weight in place.
    """

    names: dict[int, str]
    uses: list[Use] = field(default_factory=list)
    others: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function and note which chosen parameters it read."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        met = {self.names[id(x)] for x in _tensors((args, kwargs)) if id(x) in self.names}
        if met and any(x.requires_grad for x in _tensors(result)):
            reader = READERS.get(func)
            reading = reader(*args, **kwargs) if reader is not None else None
            if reading is not None and isinstance(result, Tensor) and not self._is_mixed(reading):
                met -= self._note(reading, result)
            self.others |= met
        return result

    def _is_mixed(self, reading: Reading) -> bool:
        return id(reading.inputs) in self.names

    def _note(self, reading: Reading, result: Tensor) -> set[str]:
        weight, bias = (self.names.get(id(x)) if x is not None else None for x in (reading.weight, reading.bias))
        inputs = reading.inputs.detach()
        if reading.multiplied is not None:
            with torch.no_grad():
                inputs = reading.multiplied().detach() if weight else result.detach()[:0]
        edge = torch.autograd.graph.get_gradient_edge(result)
        shape = (*result.shape,)
        self.uses.append(Use(reading.form, weight, bias, inputs, edge, shape, reading.window, reading.features))
        return {name for name in (weight, bias) if name}


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
