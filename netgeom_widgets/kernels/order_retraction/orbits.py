"""Where cells and points go: reach sets, what leads there, blocks and basins, orbits."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from scipy.sparse import csr_array

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels.order_retraction.boxes import BoxImages
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.map_values import as_map
from netgeom_widgets.kernels.order_retraction.morse import Digraph, MorseDecomposition
from netgeom_widgets.kernels.order_retraction.rectangles import (
    add_boxes,
    positions,
    summed_area,
    sums_in_boxes,
    volumes,
)
from netgeom_widgets.kernels.order_retraction.retraction import NONE_ABOVE, SEVERAL, OrderRetraction

Source = BoxImages | MorseDecomposition | OrderRetraction


def reachable_cells(source: Source, cells: Any) -> Bool[ndarray, " cells"]:
    """Cells that some cells reach, themselves included.

    Parameters
    ----------
    source : BoxImages, MorseDecomposition or OrderRetraction
    cells : int or (M,) int
        Where to start.

    Returns
    -------
    (cells,) bool
        Exact for the multivalued map: every cell with a chain of cells from a start, each meeting the image box of the
        one before.

    Raises
    ------
    NetgeomError
        Another source, or no cells of it.

    Notes
    -----
    Wave by wave; O(cells) for each wave at most, however wide the boxes are.
    """
    source, images = _of(source)
    reached, frontier = _started(source, cells)
    while frontier.size:
        if images is not None and int(volumes(images.first[frontier], images.last[frontier]).sum()) > reached.size:
            covered = np.zeros(images.grid.shape, np.int32)
            add_boxes(covered, images.first[frontier], images.last[frontier], 1)
            frontier = np.flatnonzero((covered.reshape(-1) > 0) & ~reached)
        else:
            found = source.successors(frontier)[1]
            frontier = np.unique(found[~reached[found]])
        reached[frontier] = True
    return reached


def reaching_cells(source: Source, cells: Any) -> Bool[ndarray, " cells"]:
    """Cells from which some of the given cells are reached, themselves included.

    Parameters
    ----------
    source : BoxImages, MorseDecomposition or OrderRetraction
    cells : int or (M,) int
        Where to end.

    Returns
    -------
    (cells,) bool
        Exact for the multivalued map, as `reachable_cells`.

    Raises
    ------
    NetgeomError
        Another source, or no cells of it.

    Notes
    -----
    Wave by wave; O(cells 2**d) for each on a grid, O(cells + edges) in all for a digraph.
    """
    source, images = _of(source)
    reached, frontier = _started(source, cells)
    if images is None:
        indptr, indices = _digraph(source)
        back = csr_array((np.ones(len(indices), np.int8), indices, indptr), shape=(reached.size,) * 2).tocsc()
    while frontier.size:
        if images is None:
            found = back.indices[positions(back.indptr.astype(np.int64), frontier)[1]]
            frontier = np.unique(found[~reached[found]])
        else:
            marks = np.zeros(reached.size, bool)
            marks[frontier] = True
            others = np.flatnonzero(~reached)
            table = summed_area(marks.reshape(images.grid.shape))
            frontier = others[sums_in_boxes(table, images.first[others], images.last[others]) > 0]
        reached[frontier] = True
    return reached


def attracting_block(retraction: OrderRetraction, nodes: Any) -> Bool[ndarray, " cells"]:
    """Cells that an order retraction sends to some nodes or to what lies below them: the tiles of a down-set.

    Forward closed: a cell of it leads to cells of it, and to cells that reach no recurrent cell (they leave or end).

    Parameters
    ----------
    retraction : OrderRetraction
        With a node for every cell that reaches one.
    nodes : int or (m,) int
        The block is that of the smallest down-set that holds them.

    Returns
    -------
    (cells,) bool

    Raises
    ------
    NetgeomError
        Cells without a node although they reach one: rule="exact" may find one, `basin` needs none. No such node.

    Notes
    -----
    O(cells).
    """
    decomposition = retraction.decomposition
    undecided = ((retraction.status == SEVERAL) | (retraction.status == NONE_ABOVE)) & (retraction.node < 0)
    if undecided.any():
        raise NetgeomError(
            f"{int(undecided.sum())} cells have no node, so that tiles need not be forward closed",
            expected="an order retraction of every cell that reaches a node",
            got=repr(retraction),
            try_this="order_retraction(..., rule='exact'), or basin(decomposition, nodes)",
        )
    below = np.append(_down_set(decomposition, nodes), False)  # node -1 is in no tile
    return below[retraction.node]


def basin(decomposition: MorseDecomposition, nodes: Any) -> Bool[ndarray, " cells"]:
    """Cells that reach some node, and none but the given ones and what lies below them.

    Forward closed as `attracting_block`, and needs no order retraction. Where there is one, this is the block of the
    same nodes if they have a largest one, and may be larger otherwise.

    Parameters
    ----------
    decomposition : MorseDecomposition
    nodes : int or (m,) int

    Returns
    -------
    (cells,) bool
        Some of these cells may also leave the domain: `may_leave` says which.

    Raises
    ------
    NetgeomError
        No such node.

    Notes
    -----
    O(cells + reach sets * nodes).
    """
    sets = decomposition.reach_sets
    inside = sets.any(axis=1) & ~(sets & ~_down_set(decomposition, nodes)).any(axis=1)
    return inside[decomposition.reach]


def orbit(map: Any, points: Any, steps: int, grid: CubicalGrid) -> Float64[ndarray, "times M d"]:
    """Points and where the map takes them, step by step, as long as they stay in the domain.

    Parameters
    ----------
    map : callable, torch.nn.Module or FittedMap
        (M, d) -> (M, d), as in `box_images`.
    points : (M, d) or (d,)
        Where the orbits start, finite.
    steps : int
        0 or more.
    grid : CubicalGrid
        Its domain; outside of it the map is not asked.

    Returns
    -------
    (steps + 1, M, d) float64
        Values of the map itself, not of boxes. The first point outside of the domain is kept; what would follow it is
        NaN, and so is a value that is not finite, and all after it.

    Raises
    ------
    NetgeomError
        Points of another dimension or not finite, steps out of range, and values of another shape.

    Notes
    -----
    One call of the map for each step, for all points together.
    """
    dynamics = as_map(map, grid.dims)
    starts = np.atleast_2d(as_array(points, "points")).astype(np.float64)
    if starts.ndim != 2 or starts.shape[1] != grid.dims or not np.isfinite(starts).all():
        raise NetgeomError(
            "These are no points of the phase space", expected=f"finite, (M, {grid.dims})", got=f"{starts.shape}"
        )
    found = np.full((as_count(steps, 0, 1 << 24, "steps") + 1, *starts.shape), np.nan)
    found[0] = starts
    for t in range(len(found) - 1):
        inside = np.flatnonzero(grid.locate(found[t]) >= 0)
        if not inside.size:
            break
        values = dynamics.at(found[t, inside], finite=False)
        found[t + 1, inside] = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, np.nan)
    return found


def _of(source: Any) -> tuple[BoxImages | MorseDecomposition, BoxImages | None]:
    """What has successors, and the box images if there are any."""
    if isinstance(source, OrderRetraction):
        source = source.decomposition
    if isinstance(source, MorseDecomposition) and source.images is not None:
        source = source.images
    if not isinstance(source, BoxImages | MorseDecomposition):
        raise NetgeomError(
            "This leads nowhere",
            expected="box images, a Morse decomposition or an order retraction",
            got=type(source).__name__,
        )
    return source, source if isinstance(source, BoxImages) else None


def _digraph(source: BoxImages | MorseDecomposition) -> Digraph:
    assert isinstance(source, MorseDecomposition)  # noqa: S101  # where there are no box images
    assert source.graph is not None  # noqa: S101  # it is made from one of the two
    return source.graph


def _started(
    source: BoxImages | MorseDecomposition, cells: Any
) -> tuple[Bool[ndarray, " cells"], Int64[ndarray, " M"]]:
    n = source.grid.n_cells if isinstance(source, BoxImages) else source.n_cells
    start = np.unique(_ids(cells, n, "cells"))
    reached = np.zeros(n, bool)
    reached[start] = True
    return reached, start


def _down_set(decomposition: MorseDecomposition, nodes: Any) -> Bool[ndarray, " k"]:
    return np.asarray(decomposition.leq[:, _ids(nodes, decomposition.n_nodes, "nodes")].any(axis=1))


def _ids(values: Any, n: int, what: str) -> Int64[ndarray, " m"]:
    ids = np.atleast_1d(as_array(values, what))
    if ids.ndim != 1 or (ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= n)):
        raise NetgeomError(
            f"There are no such {what}",
            expected=f"whole numbers from 0 to {n - 1}" if n else f"none: there are no {what}",
            got=f"{ids.dtype} {ids[:4].tolist()}" + (" ..." if ids.size > 4 else ""),
        )
    return ids.astype(np.int64)
