"""Values of an operation for a batch: a tensor with a row for every input, or a list or tuple of such values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """The same value, with every tensor in it replaced."""
    if isinstance(value, Tensor):
        return function(value)
    return type(value)(map_tensors(function, v) for v in value) if isinstance(value, list | tuple) else value


def flat_rows(value: Tensor) -> Tensor:
    """(rows, N) whatever the shape of a row."""
    return value.reshape(len(value), -1)


def assign(whole: Any, rows: slice, value: Any) -> None:
    """Write the rows of a block."""
    if isinstance(whole, Tensor):
        whole[rows] = value
    else:
        for part, found in zip(whole, value, strict=True):
            assign(part, rows, found)


def numel(shape: Any) -> int:
    """Numbers in a row of this shape."""
    return math.prod(shape) if _is_one(shape) else sum(numel(part) for part in shape)


def zeros(shape: Any, rows: int) -> Any:
    """Zeros, with rows of this shape."""
    if _is_one(shape):
        return torch.zeros((rows, *shape), dtype=torch.float64)
    return type(shape)(zeros(part, rows) for part in shape)


def _is_one(shape: Any) -> bool:
    """Whether a shape is that of one tensor."""
    return all(isinstance(size, int) for size in shape)
