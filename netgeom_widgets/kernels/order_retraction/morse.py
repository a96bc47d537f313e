"""Morse decompositions: the recurrent components of a digraph and their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.order_retraction.boxes import BoxImages
from netgeom_widgets.kernels.order_retraction.components import MOST_EDGES, Components, of_graph, of_images
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.poset import covers, heights
from netgeom_widgets.kernels.order_retraction.rectangles import positions

_INT32 = (1 << 31) - 1  # edges are counted by scipy in int32

Digraph = tuple[Int64[ndarray, " V1"], Int32[ndarray, " E"]]


@dataclass(frozen=True, eq=False, repr=False)
class MorseDecomposition:
    """The Morse graph of a digraph; see `morse_decomposition`.

    Attributes
    ----------
    label : (cells,) int32
        Morse node of each cell, -1 where it is not recurrent. Such a cell is a strong component by itself, unless
        `collapse` left its node out.
    leq : (k, k) bool
        leq[i, j]: i <= j, node j reaches node i. A node's number is its row; i <= j implies that the number of i is not
        larger: they are numbered by height, then by first cell.
    hasse : list of (upper, lower)
        The edges of the Morse graph: pairs with nothing between (transitive reduction).
    heights : (k,) int64
        Longest chain below each node; 0: minimal, an attractor of the digraph.
    reach : (cells,) int32
        Row of `reach_sets` of each cell.
    reach_sets : (U, k) bool
        Distinct sets of nodes that cells reach, their own included; row 0 is the empty one.
    may_leave : (cells,) bool
        Some way from the cell leads out of the domain, in one step or more.
    n_components : int
        Strong components, recurrent or not.
    images : BoxImages or None
    graph : (indptr, indices) or None
        One of the two, which it was made from.
    settings : dict
    notes : tuple of str
    """

    label: Int32[ndarray, " cells"]
    leq: Bool[ndarray, "k k"]
    hasse: list[tuple[int, int]]
    heights: Int64[ndarray, " k"]
    reach: Int32[ndarray, " cells"]
    reach_sets: Bool[ndarray, "U k"]
    may_leave: Bool[ndarray, " cells"]
    n_components: int
    images: BoxImages | None = None
    graph: Digraph | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def n_nodes(self) -> int:
        """Morse nodes."""
        return len(self.leq)

    @property
    def n_cells(self) -> int:
        """Cells of the grid, or vertices of the digraph."""
        return self.label.size

    @property
    def grid(self) -> CubicalGrid | None:
        """The grid; None for a digraph that was given as such."""
        return None if self.images is None else self.images.grid

    @property
    def sizes(self) -> Int64[ndarray, " k"]:
        """Cells of each Morse set."""
        return np.bincount(self.label[self.label >= 0], minlength=self.n_nodes)

    def successors(self, cells: Any) -> tuple[Int64[ndarray, " M1"], Int64[ndarray, " E"]]:
        """Where some cells lead, as (indptr, indices)."""
        if self.images is not None:
            return self.images.successors(cells)
        assert self.graph is not None  # noqa: S101  # one of the two is there
        counts, places = positions(self.graph[0], np.atleast_1d(as_array(cells, "cells")).astype(np.int64))
        return np.concatenate([[0], np.cumsum(counts)]), self.graph[1][places].astype(np.int64)

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.sizes[:8])) + (", ..." if self.n_nodes > 8 else "")
        return f"<MorseDecomposition {self.n_nodes} nodes of {self.n_cells} cells" + (f": {sizes}>" if sizes else ">")


def morse_decomposition(
    images: BoxImages,
    *,
    max_edges: int = MOST_EDGES,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> MorseDecomposition:
    """The recurrent components of a multivalued map on a grid and their reachability.

    Kalies, Mischaikow and VanderVorst, "An algorithmic approach to chain recurrence" (Found. Comput. Math. 2005): the
    Morse sets are the strong components with more than one cell or a cell that meets its own image; p <= q where q
    reaches p. Node numbers are free in the theory; here they follow height and first cell.

    Parameters
    ----------
    images : BoxImages
        See `box_images`.
    max_edges : int
        The most edges to hold at once, by default 2**28 at 24 bytes each. Where image boxes hold many cells, blocks of
        cells stand for them (`blocks`), 10 to 25 edges for each cell however wide the boxes are.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used: nothing here is random or parallel.

    Returns
    -------
    MorseDecomposition

    Raises
    ------
    NetgeomError
        Not the images of a grid's cells, or max_edges out of range.
    TooLargeError
        Too many edges between the cells that peeling leaves, or more than 10,000 nodes.

    Notes
    -----
    Cells that no recurrent cell reaches, or that reach none, are peeled off first without an edge list; strong
    components (scipy) are taken of the rest. O(cells + edges) time; memory O(cells + edges of the rest).
    """
    if not isinstance(images, BoxImages):
        raise NetgeomError("These are no box images", expected="what box_images returns", got=type(images).__name__)
    as_count(max_edges, 1, _INT32, "max_edges")
    report, stop = as_progress(progress), as_cancel(cancel)
    found = of_images(images, max_edges, report, stop)
    report.update(1, 1, f"{found.n_nodes} Morse nodes")
    return _assembled(found, images=images, settings=dict(images.settings))


def morse_decomposition_of_graph(
    indptr: Any,
    indices: Any,
    *,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> MorseDecomposition:
    """The Morse graph of any digraph; see `morse_decomposition`.

    Parameters
    ----------
    indptr, indices : (V + 1,), (E,) int
        Successors of vertex v: indices[indptr[v]:indptr[v + 1]] (the layout of scipy's CSR).
    progress, cancel, executor, seed
        As in `morse_decomposition`.

    Returns
    -------
    MorseDecomposition
        Vertices are its cells; `may_leave` is False everywhere.

    Raises
    ------
    NetgeomError
        Arrays that are no CSR structure.

    Notes
    -----
    O(vertices + edges), and a table of nodes by reach sets; all edges are in memory.
    """
    graph = _as_graph(indptr, indices)
    as_progress(progress)
    return _assembled(of_graph(*graph, as_cancel(cancel)), graph=graph)


def _as_graph(indptr: Any, indices: Any) -> Digraph:
    pointers, targets = as_array(indptr, "indptr"), as_array(indices, "indices")
    if pointers.ndim != 1 or targets.ndim != 1 or pointers.dtype.kind not in "iu" or not pointers.size:
        raise NetgeomError(
            "indptr and indices are no digraph", expected="(V + 1,) and (E,) whole numbers", got=f"{pointers.shape}"
        )
    n, bad = pointers.size - 1, targets.size > 0 and targets.dtype.kind not in "iu"
    if bad or pointers[0] != 0 or pointers[-1] != targets.size or (np.diff(pointers.astype(np.int64)) < 0).any():
        raise NetgeomError(
            "indptr does not divide indices into rows",
            expected=f"whole numbers from 0 up to {targets.size}, none smaller than the one before",
            got=f"{pointers[0]} to {pointers[-1]}",
        )
    if targets.size and (targets.min() < 0 or targets.max() >= n):
        raise NetgeomError(
            "A successor is no vertex", expected=f"0 to {n - 1}", got=f"{targets.min()} to {targets.max()}"
        )
    return pointers.astype(np.int64), targets.astype(np.int32)


def _assembled(found: Components, **source: Any) -> MorseDecomposition:
    """Number the nodes by height and first cell, and write down their order."""
    k = found.n_nodes
    used = np.bincount(found.reach, minlength=len(found.sets)) > 0  # others came up on the way to these
    sets, row, leaves = found.sets.without(k, used)
    require_memory(3 * len(sets) * k, f"{len(sets)} sets of {k} Morse nodes", "fewer subdivisions")
    members = sets.members()[:, :k]
    leq = members[row[found.node_reach]].T  # [i, j]: j reaches i
    height = heights(leq)
    order = np.lexsort((found.first_cell, height))
    number = np.empty(k + 1, np.int32)
    number[order], number[k] = np.arange(k, dtype=np.int32), -1  # so that label -1 stays -1
    leq = np.ascontiguousarray(leq.T[order].take(order, axis=1).T)
    return MorseDecomposition(
        label=number[found.node],
        leq=leq,
        hasse=covers(leq),
        heights=height[order],
        reach=row[found.reach],
        reach_sets=members.take(order, axis=1),
        may_leave=leaves[found.reach],
        n_components=found.n_components,
        **source,
    )
