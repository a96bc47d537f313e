"""Operations with parameters whose gradient has a known form, read from the arguments of the torch functions.

The readers have the signatures of the functions they read. They give None where a call is not of the known form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netgeom_widgets.kernels.similarity.positions import Window


@dataclass(eq=False)
class Reading:
    """What a reader makes of the arguments: which tensors are weight, bias and input, and the form of the gradient."""

    form: str
    inputs: Tensor
    weight: Tensor | None
    bias: Tensor | None = None
    window: Window | None = None
    features: tuple[int, ...] | None = ()
    multiplied: Callable[[], Tensor] | None = None


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Reading | None:
    return Reading("linear", input, weight, bias) if input.ndim >= 2 and weight.ndim == 2 else None


def _matmul(input: Tensor, other: Any, **_: Any) -> Reading | None:
    # x @ W is linear in W with the same outer products as F.linear, transposed: inner products do not see that
    plain = isinstance(input, Tensor) and isinstance(other, Tensor) and input.ndim >= 2 and other.ndim == 2
    return Reading("linear", input, other) if plain else None


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Reading | None:
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
    return Reading("convolution", input, weight, bias, Window(kernel, stride, around, dilation, groups))


def _transposed_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Reading | None:
    dims = weight.ndim - 2
    stride, padding, extra, dilation = (_each(value, dims) for value in (stride, padding, output_padding, dilation))
    if input.ndim != weight.ndim or any(more >= step for more, step in zip(extra, stride, strict=True)):
        return None
    window = Window((*weight.shape[2:],), stride, tuple((p, p) for p in padding), dilation, groups)
    return Reading("transposed", input, weight, bias, window)


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
) -> Reading | None:
    if max_norm is not None or scale_grad_by_freq or sparse or input.ndim < 1:
        return None  # these change the weight, or its gradient by the other samples of the batch
    ids = input
    if padding_idx is not None:
        ids = ids.masked_fill(ids == padding_idx % len(weight), -1)
    return Reading("embedding", ids, weight)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Reading | None:
    if training or input.ndim < 2:
        return None  # statistics of the batch: samples are no longer independent
    return Reading(
        "scale",
        input,
        weight,
        bias,
        multiplied=lambda: F.batch_norm(input, running_mean, running_var, None, None, False, momentum, eps),
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
) -> Reading | None:
    def normalised() -> Tensor:
        return F.instance_norm(input, running_mean, running_var, None, None, use_input_stats, momentum, eps)

    return Reading("scale", input, weight, bias, multiplied=normalised) if input.ndim >= 3 else None


def _group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Reading:
    return Reading("scale", input, weight, bias, multiplied=lambda: F.group_norm(input, num_groups, None, None, eps))


def _layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Reading | None:
    features = tuple(int(size) for size in normalized_shape)
    return Reading(
        "scale",
        input,
        weight,
        bias,
        features=features,
        multiplied=lambda: F.layer_norm(input, features, None, None, eps),
    )


def _rms_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Reading | None:
    features = tuple(int(size) for size in normalized_shape)
    return Reading("scale", input, weight, features=features, multiplied=lambda: F.rms_norm(input, features, None, eps))


def _prelu(input: Tensor, weight: Tensor) -> Reading:
    return Reading(
        "scale",
        input,
        weight,
        features=() if weight.numel() > 1 else None,
        multiplied=lambda: input.clamp_max(0),
    )


READERS: dict[Any, Callable[..., Reading | None]] = {
    F.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    torch.conv1d: _convolution,
    torch.conv2d: _convolution,
    torch.conv3d: _convolution,
    torch.conv_transpose1d: _transposed_convolution,
    torch.conv_transpose2d: _transposed_convolution,
    torch.conv_transpose3d: _transposed_convolution,
    F.embedding: _embedding,
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.group_norm: _group_norm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
    torch.prelu: _prelu,
}
