"""A box of phase space cut into 2**n equal cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count

MOST_SUBDIVISIONS = 30  # cell ids fit int32


@dataclass(frozen=True, eq=False, repr=False)
class CubicalGrid:
    """2**subdivisions cells; the axes are bisected in turn, axis 0 first (as CMGDB does).

    Cells are numbered in C order over `shape`. They are closed boxes: neighbours share their border.

    Parameters
    ----------
    lower, upper : (d,) or number
        Corners of the domain, finite, lower < upper on every axis.
    subdivisions : int
        Bisections in all, 0 to 30.

    Raises
    ------
    NetgeomError
        Corners that do not fit each other, or a number of bisections out of range.
    """

    lower: Float64[ndarray, " d"]
    upper: Float64[ndarray, " d"]
    subdivisions: int
    axis_bits: tuple[int, ...] = field(init=False)

    def __init__(self, lower: Any, upper: Any, subdivisions: int) -> None:
        low, high = _corner(lower, "lower"), _corner(upper, "upper")
        if low.shape != high.shape:
            raise NetgeomError(
                "The corners of the domain differ in dimension",
                expected="equal lengths",
                got=f"{low.size}, {high.size}",
            )
        if not (low < high).all():
            axis = int(np.flatnonzero(~(low < high))[0])
            raise NetgeomError(
                f"The domain has no extent along axis {axis}",
                expected="lower < upper",
                got=f"{low[axis]} to {high[axis]}",
            )
        n, d = as_count(subdivisions, 0, MOST_SUBDIVISIONS, "subdivisions", "a coarser grid"), low.size
        for name, value in (("lower", low), ("upper", high), ("subdivisions", n)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "axis_bits", tuple(n // d + (axis < n % d) for axis in range(d)))

    @property
    def dims(self) -> int:
        """Dimension d of the phase space."""
        return self.lower.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(1 << bits for bits in self.axis_bits)

    @property
    def n_cells(self) -> int:
        """Cells in all."""
        return 1 << self.subdivisions

    @property
    def widths(self) -> Float64[ndarray, " d"]:
        """Extent of a cell along each axis."""
        return (self.upper - self.lower) / self.shape

    def edges(self, axis: int) -> Float64[ndarray, " lines"]:
        """Where the cells of an axis begin and end."""
        n = self.shape[axis]
        return self.lower[axis] + (self.upper[axis] - self.lower[axis]) * (np.arange(n + 1) / n)

    def middles(self, axis: int) -> Float64[ndarray, " columns"]:
        """Middles of the cells of an axis."""
        n = self.shape[axis]
        return self.lower[axis] + (self.upper[axis] - self.lower[axis]) * ((np.arange(n) + 0.5) / n)

    def centres(self) -> Float64[ndarray, "cells d"]:
        """Middle of every cell."""
        return lattice([self.middles(axis) for axis in range(self.dims)])

    def corners(self) -> Float64[ndarray, "points d"]:
        """All corners of cells, in C order over `shape` + 1."""
        return lattice([self.edges(axis) for axis in range(self.dims)])

    def indices(self, cells: Any) -> Int64[ndarray, "M d"]:
        """Position of cells along each axis."""
        return np.stack(np.unravel_index(self.checked_cells(cells), self.shape), axis=-1).astype(np.int64)

    def boxes(self, cells: Any) -> tuple[Float64[ndarray, "M d"], Float64[ndarray, "M d"]]:
        """Lower and upper corners of cells."""
        places = self.indices(cells)
        edges = [self.edges(axis) for axis in range(self.dims)]
        low, high = (np.stack([edges[k][places[:, k] + end] for k in range(self.dims)], axis=1) for end in (0, 1))
        return low, high

    def locate(self, points: Any) -> Int64[ndarray, " M"]:
        """Cell of each point, -1 outside the domain; on a common border the upper neighbour's."""
        at = as_array(points, "points").astype(np.float64)
        at = at[:, None] if at.ndim == 1 and self.dims == 1 else at
        if at.ndim != 2 or at.shape[1] != self.dims:
            raise NetgeomError("The points do not fit the grid", expected=f"(M, {self.dims})", got=f"{at.shape}")
        inside = ((at >= self.lower) & (at <= self.upper)).all(axis=1)  # NaN is outside
        places = np.zeros(at.shape, np.int64)
        for axis, n in enumerate(self.shape):
            found = np.searchsorted(self.edges(axis), at[inside, axis], side="right") - 1
            places[inside, axis] = np.clip(found, 0, n - 1)
        return np.where(inside, np.ravel_multi_index(tuple(places.T), self.shape), -1)

    def refined(self, subdivisions: int) -> CubicalGrid:
        """The same domain with another number of cells."""
        return CubicalGrid(self.lower, self.upper, subdivisions)

    def checked_cells(self, cells: Any) -> Int64[ndarray, " M"]:
        """Ids of cells as int64, refused where the grid has no such cell."""
        ids = np.atleast_1d(as_array(cells, "cells"))
        if ids.ndim != 1 or (ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= self.n_cells)):
            raise NetgeomError(
                "These are no cells of the grid",
                expected=f"whole numbers from 0 to {self.n_cells - 1}",
                got=f"shape {ids.shape}, {ids.dtype}" + (f", {ids.min()} to {ids.max()}" if ids.size else ""),
            )
        return ids.astype(np.int64)

    def __repr__(self) -> str:
        sides = " x ".join(f"[{a:g}, {b:g}]" for a, b in zip(self.lower, self.upper, strict=True))
        return f"<CubicalGrid {' x '.join(map(str, self.shape))} cells of {sides}>"


def lattice(axes: list[Float64[ndarray, " _"]]) -> Float64[ndarray, "points d"]:
    """All points whose coordinates come from these, in C order."""
    out = np.empty((*(axis.size for axis in axes), len(axes)))
    for k, axis in enumerate(axes):
        out[..., k] = axis.reshape([-1 if j == k else 1 for j in range(len(axes))])
    return out.reshape(-1, len(axes))


def _corner(value: Any, what: str) -> Float64[ndarray, " d"]:
    corner = np.atleast_1d(as_array(value, what)).astype(np.float64)
    if corner.ndim != 1 or not corner.size or not np.isfinite(corner).all():
        raise NetgeomError(
            f"{what} is no corner of a domain", expected="one finite number per axis", got=f"shape {corner.shape}"
        )
    return corner
