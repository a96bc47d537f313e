"""Watching a forward pass: every use of a chosen parameter by an operation whose gradient has a known form.

The uses are seen where torch functions are called, not by module type, so functional forms, parameters shared by
several modules and modules called several times are all met. A parameter that any other differentiable operation reads
is named in `Capture.others`: its gradient is not the sum of the uses seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from netgeom_widgets.kernels.similarity.positions import Window


@dataclass(frozen=True, eq=False)
class Use:
    """One operation that read chosen parameters.

    Attributes
    ----------
    form : {"linear", "convolution", "embedding", "scale"}
        Of the gradient with respect to `weight`. "scale" multiplies a normalised input elementwise.
    weight, bias : str or None
        Names of the chosen parameters among the operation's, if any.
    inputs : Tensor
        What the weight was applied to, without history; for "scale" the normalised input.
    result : GradientEdge
        Where the cotangent of the result is asked for: a later in-place operation cannot move it.
    shape : tuple of int
        Of the result.
    window : Window or None
    features : tuple of int
        Trailing shape that belongs to one scale or bias entry of "scale"; () when the channel is axis 1.
    """

    form: str
    weight: str | None
    bias: str | None
    inputs: Tensor
    result: Any
    shape: tuple[int, ...]
    window: Window | None = None
    features: tuple[int, ...] = ()


@dataclass(eq=False)
class _Reading:
    """What a reader makes of the arguments: which tensors are weight, bias and input, and the form of the gradient."""

    form: str
    inputs: Tensor
    weight: Tensor | None
    bias: Tensor | None = None
    window: Window | None = None
    features: tuple[int, ...] = ()
    normalised: Callable[[], Tensor] | None = None


@dataclass(eq=False)
class Capture(TorchFunctionMode):
    """The uses of the chosen parameters in all forward passes inside the ``with`` block.

    Parameters
    ----------
    names : dict of int to str
        Name of each chosen parameter by its id().
    copies : bool
        Copy the inputs of operations, for models that later change them in place.
    """

    names: dict[int, str]
    copies: bool = False
    uses: list[Use] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    versions: list[tuple[Tensor, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def changed_in_place(self) -> bool:
        """Whether an input was changed after its use."""
        return any(tensor._version != version for tensor, version in self.versions)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function and note which chosen parameters it read."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        met = {self.names[id(x)] for x in _tensors((args, kwargs)) if id(x) in self.names}
        if met and any(x.requires_grad for x in _tensors(result)):
            reader = _READERS.get(func)
            reading = reader(*args, **kwargs) if reader is not None else None
            if reading is not None and isinstance(result, Tensor) and not self._is_mixed(reading):
                met -= self._note(reading, result)
            self.others |= met
        return result

    def _is_mixed(self, reading: _Reading) -> bool:
        return id(reading.inputs) in self.names

    def _note(self, reading: _Reading, result: Tensor) -> set[str]:
        weight, bias = (self.names.get(id(x)) if x is not None else None for x in (reading.weight, reading.bias))
        inputs = reading.inputs.detach()
        if reading.normalised is not None:
            with torch.no_grad():
                inputs = reading.normalised().detach() if weight else result.detach()[:0]
        elif self.copies:
            inputs = inputs.clone()
        elif weight:
            self.versions.append((inputs, inputs._version))
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


# ---------------------------------------------------------------------------------------------------------- readers
# Their signatures are those of the torch functions. None: this call is not of the known form.


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> _Reading | None:
    return _Reading("linear", input, weight, bias) if input.ndim >= 2 and weight.ndim == 2 else None


def _matmul(input: Tensor, other: Any, **_: Any) -> _Reading | None:
    # x @ W is linear in W with the same outer products as F.linear, transposed: inner products do not see that
    plain = isinstance(input, Tensor) and isinstance(other, Tensor) and input.ndim >= 2 and other.ndim == 2
    return _Reading("linear", input, other) if plain else None


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> _Reading | None:
    dims = weight.ndim - 2
    if input.ndim != weight.ndim:
        return None
    kernel = (*weight.shape[2:],)
    stride, dilation = (_each(value, dims) for value in (stride, dilation))
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        around = tuple((total // 2, total - total // 2) for total in totals)
    else:
        around = tuple((p, p) for p in _each(0 if padding == "valid" else padding, dims))
    return _Reading("convolution", input, weight, bias, Window(kernel, stride, around, dilation, groups))


def _each(value: Any, dims: int) -> tuple[int, ...]:
    return (int(value),) * dims if isinstance(value, int) else tuple(int(v) for v in value) * (dims // len(value))


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> _Reading | None:
    if max_norm is not None or scale_grad_by_freq or sparse or input.ndim < 1:
        return None  # these change the weight, or its gradient by the other samples of the batch
    ids = input
    if padding_idx is not None:
        ids = ids.masked_fill(ids == padding_idx % len(weight), -1)
    return _Reading("embedding", ids, weight)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> _Reading | None:
    if training or input.ndim < 2:
        return None  # statistics of the batch: samples are no longer independent
    return _Reading(
        "scale",
        input,
        weight,
        bias,
        normalised=lambda: F.batch_norm(input, running_mean, running_var, None, None, False, momentum, eps),
    )


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> _Reading | None:
    def normalised() -> Tensor:
        return F.instance_norm(input, running_mean, running_var, None, None, use_input_stats, momentum, eps)

    return _Reading("scale", input, weight, bias, normalised=normalised) if input.ndim >= 3 else None


def _group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> _Reading:
    return _Reading("scale", input, weight, bias, normalised=lambda: F.group_norm(input, num_groups, None, None, eps))


def _layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> _Reading | None:
    features = tuple(int(size) for size in normalized_shape)
    return _Reading(
        "scale",
        input,
        weight,
        bias,
        features=features,
        normalised=lambda: F.layer_norm(input, features, None, None, eps),
    )


def _rms_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> _Reading | None:
    features = tuple(int(size) for size in normalized_shape)
    return _Reading(
        "scale", input, weight, features=features, normalised=lambda: F.rms_norm(input, features, None, eps)
    )


_READERS: dict[Any, Callable[..., _Reading | None]] = {
    F.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    torch.conv1d: _convolution,
    torch.conv2d: _convolution,
    torch.conv3d: _convolution,
    F.embedding: _embedding,
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.group_norm: _group_norm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
}
