"""Arguments that kernels of several analyses take: arrays, labels, counts, choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError


def as_array(value: Any, what: str) -> ndarray:
    """A numpy array of a number array or torch tensor on any device."""
    if hasattr(value, "detach"):  # a torch tensor, without importing torch for those who have none
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    try:
        array = np.asarray(value)
    except Exception as error:  # ragged lists raise ValueError, other containers whatever they like
        raise NetgeomError(f"{what} cannot be read as an array", got=f"{type(error).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise NetgeomError(f"{what} must hold real numbers", expected="a number array", got=f"dtype {array.dtype}")
    return array


def as_labels(labels: Any, n_samples: int) -> Int64[ndarray, " N"]:
    """One class per sample.

    Raises
    ------
    NetgeomError
        Another length, or no whole numbers.
    """
    array = as_array(labels, "labels")
    if array.shape != (n_samples,) or array.dtype.kind not in "iu":
        raise NetgeomError(
            "The labels do not fit the samples",
            expected=f"{n_samples} whole numbers",
            got=f"shape {array.shape}, dtype {array.dtype}",
        )
    return array.astype(np.int64)


def as_count(value: Any, low: int, high: int, what: str, try_this: str = "") -> int:
    """A whole number from low to high.

    Raises
    ------
    NetgeomError
        Anything else, True included.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise NetgeomError(
            f"{what} is out of range",
            expected=f"a whole number from {low} to {high}" if high >= low else "more samples",
            got=f"{value!r}",
            try_this=try_this,
        )
    return int(value)


def as_choice(value: Any, choices: Sequence[str], what: str) -> str:
    """One of a few words.

    Raises
    ------
    NetgeomError
        Anything else.
    """
    if value not in choices:
        raise NetgeomError(f"{what} is not known", expected=" or ".join(map(repr, choices)), got=f"{value!r}")
    return str(value)
