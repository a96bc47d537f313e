"""Images of the cells of a grid under a map: rectangles of cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_choice
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.map_values import LatticeMap, as_map
from netgeom_widgets.kernels.order_retraction.rectangles import cells_of, volumes

METHODS = ("corners", "centre", "confidence")

_SLACK = 2.0**-50  # of the domain's width: two boxes that touch up to rounding do touch (CMGDB: 2^10 of 2^60)

_POINTS = 1 << 18  # evaluated at a time: some megabytes, and often enough to be cancelled

Interval = tuple[Float64[ndarray, "*shape"], Float64[ndarray, "*shape"]]


@dataclass(frozen=True, eq=False, repr=False)
class BoxImages:
    """For every cell the cells that meet its image box: a rectangle of them; see `box_images`.

    Attributes
    ----------
    grid : CubicalGrid
    first, last : (cells, d) int32
        The rectangle, both ends included; last < first where the image misses the domain.
    empty : (cells,) bool
        The image box lies outside the domain.
    may_leave : (cells,) bool
        The image box does not lie inside the domain, wholly or in part.
    settings : dict
    """

    grid: CubicalGrid
    first: Int32[ndarray, "cells d"]
    last: Int32[ndarray, "cells d"]
    empty: Bool[ndarray, " cells"]
    may_leave: Bool[ndarray, " cells"]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def n_edges(self) -> int:
        """Pairs (cell, cell that meets its image)."""
        return int(volumes(self.first, self.last).sum())

    def successors(self, cells: Any) -> tuple[Int64[ndarray, " M1"], Int64[ndarray, " E"]]:
        """The cells that meet the images of some, as (indptr, indices), each row ascending."""
        ids = self.grid.checked_cells(cells)
        counts, found = cells_of(self.first[ids], self.last[ids], self.grid.shape)
        return np.concatenate([[0], np.cumsum(counts)]), found

    def __repr__(self) -> str:
        return f"<BoxImages of {self.grid.n_cells} cells, {self.n_edges} edges, {int(self.empty.sum())} leave>"


def box_images(
    map: Any,
    grid: CubicalGrid,
    *,
    method: str = "corners",
    padding: bool = False,
    z: float = 0.0,
    std: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> BoxImages:
    """The multivalued map of a grid: which cells each cell's image box meets.

    The image box of a cell is the smallest box that holds the map's values at its 2**d corners ("corners", as DOODL3
    and CMGDB do), its value in the middle ("centre"), or at the corners mean - z std to mean + z std ("confidence").
    It is not a rigorous enclosure of the image: what the map does between the corners is not looked at. Boxes and
    cells are closed: those that touch, up to 2**-50 of the domain's width, meet.

    Parameters
    ----------
    map : callable, torch.nn.Module or FittedMap
        (M, d) -> (M, d), many points at a time. A method ``on_lattice(axes) -> (points, d)``, if it has one, is called
        instead.
    grid : CubicalGrid
    method : "corners", "centre" or "confidence"
    padding : bool
        Widen each image box by one cell on every side.
    z : float
        Standard deviations, not negative; for "confidence" only.
    std : callable, optional
        (M, d) -> (M, d) or (M,), of the map's values; None: ``map.std``.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used: the map is called on this thread, in order.

    Returns
    -------
    BoxImages

    Raises
    ------
    NetgeomError
        Values of another shape, NaN or infinite values, unknown options, no standard deviation.

    Notes
    -----
    O(cells) calls' worth of points, each corner once; 16 d bytes per cell.
    """
    _check(method, z, std)
    dynamics = as_map(map, grid.dims)
    spread = dynamics.spread(std) if method == "confidence" else None
    require_memory((8 * grid.dims + 2) * grid.n_cells, f"The image boxes of {grid.n_cells} cells", "fewer subdivisions")
    report, stop = as_progress(progress), as_cancel(cancel)
    first, last = (np.empty((grid.n_cells, grid.dims), np.int32) for _ in range(2))
    empty, may_leave = np.zeros(grid.n_cells, bool), np.zeros(grid.n_cells, bool)
    start = 0
    for lows, highs in _slabs(dynamics, spread, grid, method, float(z)):
        stop.checkpoint()
        rows = slice(start, start + lows[0].size)
        for axis in range(grid.dims):
            _cover(grid, axis, padding, lows[axis], highs[axis], rows, first, last, empty, may_leave)
        start = rows.stop
        report.update(start, grid.n_cells, "images of the cells")
    first[empty], last[empty] = 0, -1
    may_leave |= empty
    settings = {"method": method, "padding": bool(padding), "z": float(z)}
    return BoxImages(grid, first, last, empty, may_leave, settings)


def _check(method: str, z: float, std: Any) -> None:
    as_choice(method, METHODS, "method")
    if isinstance(z, bool) or not isinstance(z, int | float | np.number) or not 0 <= z < np.inf:
        raise NetgeomError("z is out of range", expected="a number of standard deviations, 0 or more", got=f"{z!r}")
    if method != "confidence" and (z != 0 or std is not None):
        raise NetgeomError(
            "z and std act on confidence boxes alone", expected="method='confidence'", got=f"method={method!r}"
        )


def _slabs(
    dynamics: LatticeMap, spread: LatticeMap | None, grid: CubicalGrid, method: str, z: float
) -> Iterator[tuple[list[Float64[ndarray, " n"]], list[Float64[ndarray, " n"]]]]:
    """Image intervals (one array per axis of the image) of some layers of cells after the other, in C order."""
    at_corners = method != "centre"
    lines = [grid.edges(k) if at_corners else grid.middles(k) for k in range(grid.dims)]
    step = max(1, _POINTS // max(1, int(np.prod([line.size for line in lines[1:]]))))
    kept: list[Interval] = []  # of the corners that the next slab shares
    for start in range(0, grid.shape[0], step):
        stop = min(start + step, grid.shape[0])
        shared = len(kept) > 0
        axes = [lines[0][start + shared : stop + at_corners], *lines[1:]]
        found = _intervals(dynamics, spread, axes, z)
        if shared:
            found = [
                (np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]]))
                for old, new in zip(kept, found, strict=True)
            ]
        if at_corners:
            kept = [(low[-1:], high[-1:]) for low, high in found]
            found = [(_over_corners(low, np.minimum), _over_corners(high, np.maximum)) for low, high in found]
        yield [low.ravel() for low, _ in found], [high.ravel() for _, high in found]


def _intervals(
    dynamics: LatticeMap, spread: LatticeMap | None, axes: list[Float64[ndarray, " _"]], z: float
) -> list[Interval]:
    """Lowest and highest value at the points of a lattice, one pair of arrays of the lattice's shape per axis."""
    shape = tuple(axis.size for axis in axes)
    values = [np.ascontiguousarray(column).reshape(shape) for column in dynamics(axes).T]
    if spread is None or z == 0:
        return [(value, value) for value in values]
    deviations = [np.ascontiguousarray(column).reshape(shape) for column in spread(axes).T]
    return [(value - z * sd, value + z * sd) for value, sd in zip(values, deviations, strict=True)]


def _over_corners(values: Float64[ndarray, "*lines"], extreme: np.ufunc) -> Float64[ndarray, "*cells"]:
    """Extreme value over the 2**d corners of every cell."""
    for axis in range(values.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        values = extreme(values[low], values[high])
    return values


def _cover(
    grid: CubicalGrid,
    axis: int,
    padding: bool,
    low: Float64[ndarray, " n"],
    high: Float64[ndarray, " n"],
    rows: slice,
    first: Int32[ndarray, "cells d"],
    last: Int32[ndarray, "cells d"],
    empty: Bool[ndarray, " cells"],
    may_leave: Bool[ndarray, " cells"],
) -> None:
    """Note which columns of cells the intervals meet; in units of cells, cell i is [i, i + 1]."""
    n = grid.shape[axis]
    scale = n / (grid.upper[axis] - grid.lower[axis])
    slack = _SLACK * n
    low = (low - grid.lower[axis]) * scale - (slack + padding)
    high = (high - grid.lower[axis]) * scale + (slack + padding)
    empty[rows] |= (high < 0) | (low > n)
    may_leave[rows] |= (low < -2 * slack) | (high > n + 2 * slack)
    first[rows, axis] = np.clip(np.ceil(low) - 1, 0, n - 1)
    last[rows, axis] = np.clip(np.floor(high), 0, n - 1)
