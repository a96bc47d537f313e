"""Recorded arrays that are read when they are looked at."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from netgeom_widgets.kernels._memory import require_memory


class SnapshotArray:
    """An array on disk whose first axis counts snapshots; nothing is read before it is asked for.

    ``view[t]`` reads one snapshot, ``view[2:5]`` three, ``numpy.asarray(view)`` all, ``for snapshot in view`` one after
    the other. What is read is a numpy array of its own. A sequence of snapshots in the sense of the kernels.

    Attributes
    ----------
    shape : tuple of int
        (T, ...); T does not change while a run goes on being recorded (`Recording.refresh`).
    dtype : numpy.dtype
        As stored.
    ndim, size, nbytes : int
        As for a numpy array.
    """

    def __init__(self, stored: Any, n_snapshots: int) -> None:
        self._stored = stored
        self.shape: tuple[int, ...] = (n_snapshots, *stored.shape[1:])
        self.dtype: np.dtype[Any] = stored.dtype
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape))
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray[Any, Any]]:
        return (self._read(t) for t in range(len(self)))

    def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
        """What numpy gives for the same index; the first one is an integer, a slice or an ellipsis."""
        index = index if isinstance(index, tuple) else (index,)
        first, rest = (index[0], index[1:]) if index else (slice(None), ())
        if first is Ellipsis:
            first, rest = slice(None), (Ellipsis, *rest) if rest else ()
        if not isinstance(first, slice):
            found: np.ndarray[Any, Any] = self._read(self._snapshot(first))[rest]
            return found
        steps = range(*first.indices(len(self)))
        if not rest:
            return self._read_several(steps)
        picked = [self._read(t)[rest] for t in steps]
        return np.stack(picked) if picked else np.empty((1, *self.shape[1:]), self.dtype)[(slice(0), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError("A recorded array is on disk: reading it makes a copy.")
        values = self._read_several(range(len(self)))
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<recorded array {self.shape} {self.dtype}, {self.nbytes / 1e6:.1f} MB on disk>"

    def _snapshot(self, t: Any) -> int:
        try:
            number = operator.index(t)
        except TypeError:
            raise TypeError(
                f"Snapshots are picked by an integer or a slice, not by {type(t).__name__}; "
                "numpy.asarray(view) takes any index."
            ) from None
        if not -len(self) <= number < len(self):
            raise IndexError(f"There is no snapshot {number}: {len(self)} are recorded.")
        return number % len(self)

    def _read(self, t: int) -> np.ndarray[Any, Any]:
        return np.asarray(self._stored[t])

    def _read_several(self, steps: range) -> np.ndarray[Any, Any]:
        size = len(steps) * int(np.prod(self.shape[1:])) * self.dtype.itemsize
        require_memory(size, f"{len(steps)} snapshots {self.shape[1:]}", "one snapshot at a time: view[t], or a slice")
        values = np.empty((len(steps), *self.shape[1:]), self.dtype)
        for place, t in enumerate(steps):
            values[place] = self._read(t)
        return values
