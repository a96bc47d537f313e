"""Similarity values read in blocks of rows: arrays, memory maps, zarr arrays, tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_array

_ENTRIES_AT_ONCE = 1 << 21  # 16 MiB of float64


class Rows:
    """A matrix of similarities, read a block of rows at a time as float64; n x n is never copied.

    Parameters
    ----------
    values : (n, m) array, memory map, zarr array or tensor
        Finite real numbers; checked block by block.
    what : str
        Name in messages.
    square : bool
        Refuse n != m.
    """

    def __init__(self, values: Any, what: str = "values", *, square: bool = False) -> None:
        sliceable = hasattr(values, "shape") and hasattr(values, "__getitem__")
        self._values = values if sliceable else as_array(values, what)
        self.shape = tuple(int(size) for size in self._values.shape)
        self._what = what
        if len(self.shape) != 2 or 0 in self.shape or (square and self.shape[0] != self.shape[1]):
            raise NetgeomError(
                f"{what} has the wrong shape",
                expected="(n, n), every sample against every sample" if square else "(n, m) with at least one entry",
                got=f"{self.shape}",
                try_this="similarity_matrix(...).values",
            )

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def n_columns(self) -> int:
        """The number of columns, m."""
        return self.shape[1]

    def __getitem__(self, rows: slice | ndarray) -> Float64[ndarray, "rows m"]:
        """Some rows, as a copy that may be changed.

        Raises
        ------
        NetgeomError
            NaN or infinite values, or no real numbers.
        """
        block = np.array(as_array(self._values[rows], self._what), dtype=np.float64)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            number = rows.start + row if isinstance(rows, slice) else rows[row]
            raise NetgeomError(
                f"{self._what} has NaN or infinite entries",
                expected="finite similarities; a zero gradient has similarity 0",
                got=f"{block[row, column]} at row {number}, column {column}",
            )
        return block

    def blocks(self, work: Work | None = None) -> Iterator[tuple[slice, Float64[ndarray, "rows m"]]]:
        """Blocks of rows of about 16 MiB, in order, with where they lie."""
        step = max(1, _ENTRIES_AT_ONCE // self.n_columns)
        for at in range(0, len(self), step):
            if work is not None:
                work.checkpoint()
            rows = slice(at, min(at + step, len(self)))
            yield rows, self[rows]
            if work is not None:
                work.done(rows.stop - rows.start)


class Work:
    """Progress and cancellation of a computation that reads rows.

    Parameters
    ----------
    progress, cancel
        As given by the caller.
    n_rows : int
        How many will be read, again counted again.
    text : str
        What is going on.
    """

    def __init__(self, progress: Progress | bool | None, cancel: Cancel | None, n_rows: int, text: str) -> None:
        self._progress, self._cancel = as_progress(progress), as_cancel(cancel)
        self._progress.update(0, n_rows, text)

    def checkpoint(self) -> None:
        """Raise when a stop was asked for."""
        self._cancel.checkpoint()

    def done(self, n_rows: int) -> None:
        """So many more rows were read."""
        self._progress.update(self._progress.done + n_rows)


def leaves_itself_out(rows: Rows, exclude_self: bool | None) -> bool:
    """Whether entry (i, i) is a sample with itself and is left out; None: when the matrix is square."""
    square = rows.shape[0] == rows.shape[1]
    if exclude_self and not square:
        raise NetgeomError(
            "There is no sample itself to leave out", expected="a square matrix", got=f"shape {rows.shape}"
        )
    return square if exclude_self is None else bool(exclude_self)


def same_shape(a: Rows, b: Rows) -> None:
    """Refuse two matrices of different shape."""
    if a.shape != b.shape:
        raise NetgeomError(
            "The two matrices differ in shape",
            expected=f"{a.shape}, as the first",
            got=f"{b.shape}",
            try_this="the same inputs in the same order for both",
        )
