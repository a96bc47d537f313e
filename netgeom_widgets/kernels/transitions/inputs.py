"""What every function here takes: snapshots read one at a time, rows, predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array


class Snapshots:
    """A sequence of (N, D) snapshots, read one at a time as float64, restricted to some rows.

    Parameters
    ----------
    source : (T, N, D) array or tensor, or a sequence of (N, D)
        Anything with a length whose items are arrays: lists, memory maps, zarr arrays, views of a recording.
    samples : sequence of int or (N,) bool, optional
        Rows to keep, in this order.
    """

    def __init__(self, source: Any, samples: Any = None) -> None:
        if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")) or isinstance(source, str | dict):
            raise NetgeomError(
                "The snapshots cannot be read one by one",
                expected="a (T, N, D) array or a sequence of (N, D) arrays",
                got=type(source).__name__,
                try_this="list(...) if it is an iterator",
            )
        if len(getattr(source, "shape", (1, 1, 1))) != 3:
            raise NetgeomError(
                "The snapshots have the wrong number of axes",
                expected="(T, N, D): snapshots, samples, features",
                got=f"shape {tuple(source.shape)}",
                try_this="x[None] for a single snapshot, x[:, :, None] for a single feature",
            )
        if not len(source):
            raise NetgeomError("There is no snapshot", expected="at least one", got="0")
        self._source = source
        first = as_array(source[0], "Snapshot 0")
        if first.ndim != 2 or not first.shape[1]:
            raise NetgeomError("A snapshot has the wrong shape", expected="(N, D)", got=f"{first.shape} in snapshot 0")
        self._shape = first.shape
        self._samples = samples
        self.rows = None if samples is None else as_rows(samples, first.shape[0])
        self.n_samples = first.shape[0] if self.rows is None else len(self.rows)
        self.n_features = first.shape[1]

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[Float64[ndarray, "n D"]]:
        return (self[t] for t in range(len(self)))

    def __getitem__(self, t: int) -> Float64[ndarray, "n D"]:
        """Snapshot t as a contiguous float64 array of finite numbers.

        Raises
        ------
        NetgeomError
            Another shape than the first, or rows that are NaN or infinite (samples that were never recorded).
        """
        values = as_array(self._source[t], f"Snapshot {t}")
        if values.shape != self._shape:
            raise NetgeomError(
                "The snapshots differ in shape", expected=f"{self._shape}, as snapshot 0", got=f"{values.shape} at {t}"
            )
        chosen = values if self.rows is None else values[self.rows]
        array = np.ascontiguousarray(chosen, dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise NetgeomError(
                f"Snapshot {t} (counted from 0) has {len(bad)} of {len(array)} rows with NaN or infinite values",
                expected="finite numbers in every row that takes part",
                got=f"row {bad[0]} first",
                try_this="samples=... with the rows that were recorded in every snapshot, or record in probe mode",
            )
        return array


def binary_unit(x: Float64[ndarray, "n D"]) -> float:
    """A power of two to divide by where squares would overflow or vanish, else 1: either loses no digit."""
    largest = float(np.abs(x).max())
    return 1.0 if largest == 0 or 1e-100 < largest < 1e100 else 2.0 ** min(max(math.frexp(largest)[1], -1021), 1022)


def as_rows(samples: Any, n_samples: int) -> Int64[ndarray, " n"]:
    """Rows as whole numbers, from whole numbers or a mask.

    Raises
    ------
    NetgeomError
        None at all, outside 0..N-1, or one of them twice.
    """
    rows = as_array(samples if not isinstance(samples, Sequence) else list(samples), "samples")
    if rows.dtype.kind == "b" and rows.shape == (n_samples,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise NetgeomError(
            "samples does not name rows",
            expected=f"at least one whole number from 0 to {n_samples - 1}, or a mask of length {n_samples}",
            got="no rows" if rows.size == 0 else f"shape {rows.shape}, dtype {rows.dtype}",
        )
    if rows.min() < 0 or rows.max() >= n_samples:
        outside = rows[(rows < 0) | (rows >= n_samples)][0]
        raise NetgeomError("samples names a row that is not there", expected=f"0 to {n_samples - 1}", got=f"{outside}")
    if len(np.unique(rows)) < len(rows):
        raise NetgeomError("samples names a row twice", expected="distinct rows")
    return rows.astype(np.int64)


def as_predictions(predictions: Any, samples: Any = None) -> Int64[ndarray, "T n"]:
    """Predicted classes of each snapshot, whole numbers from 0.

    Raises
    ------
    NetgeomError
        Another shape, numbers with a fraction, negative classes.
    """
    array = as_array(predictions, "predictions")
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iu":
        raise NetgeomError(
            "The predictions have the wrong form",
            expected="(T, N) whole numbers, the predicted class of each sample at each snapshot",
            got=f"shape {array.shape}, dtype {array.dtype}",
            try_this="outputs.argmax(-1)",
        )
    array = array if samples is None else array[:, as_rows(samples, array.shape[1])]
    if array.min() < 0:
        raise NetgeomError("A class is negative", expected="classes from 0", got=f"{array.min()}")
    return array.astype(np.int64)
