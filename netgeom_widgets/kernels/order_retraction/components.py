"""Strong components and what they reach: of a digraph, and of a grid of which most cells are peeled off before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64, Integer
from numpy import ndarray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.order_retraction.blocks import DyadicBlocks
from netgeom_widgets.kernels.order_retraction.boxes import BoxImages
from netgeom_widgets.kernels.order_retraction.reach import NOTHING, ReachSets, reach_of_components
from netgeom_widgets.kernels.order_retraction.rectangles import (
    cells_of,
    positions,
    summed_area,
    sums_in_boxes,
    volumes,
)
from netgeom_widgets.kernels.order_retraction.trimming import CHUNK, Trimmed, trim

_BYTES_PER_EDGE = 24  # int32 twice over, scipy's float64, and what the condensation takes
MOST_EDGES = 1 << 28
MOST_NODES = 10_000


@dataclass(frozen=True, eq=False)
class Components:
    """Recurrent components, not yet in their final order.

    Attributes
    ----------
    node : (cells,) int32
        Recurrent component of a cell, -1 for none.
    reach : (cells,) int32
        Number of the set it reaches.
    sets : ReachSets
        Of components, and of one member more, k, for "leaves the domain".
    node_reach, first_cell : (k,)
        The set that each component reaches, and its first cell.
    n_components : int
    """

    node: Int32[ndarray, " cells"]
    reach: Int32[ndarray, " cells"]
    sets: ReachSets
    node_reach: Int32[ndarray, " k"]
    first_cell: Int64[ndarray, " k"]
    n_components: int

    @property
    def n_nodes(self) -> int:
        """Recurrent components."""
        return len(self.node_reach)


def of_graph(
    indptr: Int64[ndarray, " V1"],
    indices: Int32[ndarray, " E"],
    cancel: Cancel,
    leaves: Bool[ndarray, " n"] | None = None,
    loops: Bool[ndarray, " n"] | None = None,
) -> Components:
    """Of any digraph.

    Parameters
    ----------
    indptr, indices
        Successors of each vertex.
    cancel : Cancel
    leaves : (n,) bool, optional
        Cells from which a step leads out.
    loops : (n,) bool, optional
        Cells that lead to themselves. Where it is given only the first n vertices are cells; what comes behind hands
        on what points to it and is nothing else.
    """
    if loops is None:
        loops = _loops(indptr, indices)
    n = loops.size
    count, vertex = _strong(indptr, indices, len(indptr) - 1)
    component = vertex[:n]
    sizes = np.bincount(component, minlength=count)
    recurrent = sizes > 1
    recurrent[component[loops]] = True
    k = int(recurrent.sum())
    _require_few(k)
    node_of = np.full(count, -1, np.int32)
    node_of[recurrent] = np.arange(k, dtype=np.int32)
    sets = ReachSets(k + 1)
    own = np.full(count, NOTHING, np.int32)
    own[recurrent] = sets.single(np.arange(k))
    if leaves is not None and leaves.any():
        leaving = np.unique(component[leaves])
        own[leaving] = sets.both(own[leaving], np.repeat(sets.single(np.array([k])), leaving.size))
    reach = reach_of_components(sets, own, *_condensed(vertex, count, indptr, indices), cancel)
    node = node_of[component]
    cells = np.flatnonzero(node >= 0)
    first = np.full(k, n, np.int64)
    np.minimum.at(first, node[cells], cells)
    return Components(node, reach[component], sets, reach[recurrent], first, int(np.count_nonzero(sizes)))


def _loops(indptr: Int64[ndarray, " V1"], indices: Int32[ndarray, " E"]) -> Bool[ndarray, " V"]:
    source = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
    loops = np.zeros(len(indptr) - 1, bool)
    loops[source[source == indices]] = True
    return loops


def of_images(images: BoxImages, max_edges: int, progress: Progress, cancel: Cancel) -> Components:
    """Of a grid: peeled, then the components of the core, then what the peeled cells reach."""
    progress.update(0, 1, "peeling off transient cells")
    trimmed = trim(images, cancel)
    core = np.flatnonzero(trimmed.core)
    progress.update(0.3, 1, f"strong components of {core.size} cells")
    if trimmed.wide:
        graph, lost, loops = _wide_graph(images, core, trimmed.core, max_edges)
        inner = of_graph(*graph, cancel, images.may_leave[core] | lost, loops)
    else:
        indptr, indices, lost = _core_graph(images, core, trimmed.core, max_edges)
        inner = of_graph(indptr, indices, cancel, images.may_leave[core] | lost)
    n = images.grid.n_cells
    node, reach = np.full(n, -1, np.int32), np.full(n, NOTHING, np.int32)
    node[core], reach[core] = inner.node, inner.reach
    outside = inner.sets.single(np.array([inner.n_nodes]))[0]
    reach[trimmed.dead] = outside  # there is no other way to end
    progress.update(0.7, 1, "what the other cells reach")
    _reach_of_peeled(images, trimmed, inner.sets, outside, reach, cancel)
    return Components(
        node, reach, inner.sets, inner.node_reach, core[inner.first_cell], inner.n_components + n - core.size
    )


def _require_few(k: int) -> None:
    if k > MOST_NODES:
        raise TooLargeError(
            f"{k} recurrent components are no picture of a map",
            expected=f"at most {MOST_NODES}",
            got=f"{k}: where a map moves points by less than a cell, cells meet their own images",
            try_this="fewer subdivisions, padding=True, which joins neighbours, or a map over more steps",
        )


def _strong(indptr: Int64[ndarray, " V1"], indices: Int32[ndarray, " E"], n: int) -> tuple[int, Int32[ndarray, " V"]]:
    if n == 0:
        return 0, np.zeros(0, np.int32)
    graph = csr_array((np.ones(len(indices)), indices, indptr.astype(np.int32)), shape=(n, n))
    return connected_components(graph, directed=True, connection="strong")


def _condensed(
    component: Int32[ndarray, " V"], count: int, indptr: Int64[ndarray, " V1"], indices: Int32[ndarray, " E"]
) -> tuple[Int64[ndarray, " K1"], Int32[ndarray, " E2"]]:
    """The digraph of components, without loops, as (indptr, targets)."""
    order = np.argsort(component, kind="stable")
    counts, places = positions(indptr, order)
    source, target = np.repeat(component[order], counts), component[indices[places]]
    across = source != target
    lengths = np.bincount(source[across], minlength=count)
    return np.concatenate([[0], np.cumsum(lengths)]), target[across]


def _core_graph(
    images: BoxImages, core: Int64[ndarray, " n"], inside: Bool[ndarray, " cells"], max_edges: int
) -> tuple[Int64[ndarray, " n1"], Int32[ndarray, " E"], Bool[ndarray, " n"]]:
    """Edges between the cells of the core, by their place in it, and which cells also lead out of it.

    What a core cell leads to outside is dead: a cell peeled from above has no live predecessor.
    """
    _require_edges(int(volumes(images.first[core], images.last[core]).sum()), core.size, max_edges)
    place = np.cumsum(inside, dtype=np.int32) - 1
    lengths, targets, lost = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, bool)]
    for cells in chunks(images, core):
        counts, ids = cells_of(images.first[cells], images.last[cells], images.grid.shape)
        keep = inside[ids]
        owner = np.repeat(np.arange(cells.size), counts)
        lengths.append(np.bincount(owner[keep], minlength=cells.size))
        targets.append(place[ids[keep]])
        lost.append(lengths[-1] < counts)
    return np.cumsum(np.concatenate(lengths)), np.concatenate(targets), np.concatenate(lost)


def _wide_graph(
    images: BoxImages, core: Int64[ndarray, " n"], inside: Bool[ndarray, " cells"], max_edges: int
) -> tuple[tuple[Int64[ndarray, " V1"], Int32[ndarray, " E"]], Bool[ndarray, " n"], Bool[ndarray, " n"]]:
    """Blocks in place of the edges of the core, which cells also lead out of it, and which to themselves."""
    first, last, shape = images.first[core], images.last[core], images.grid.shape
    blocks = DyadicBlocks(images.first, images.last, shape, inside)
    _require_edges(blocks.n_edges, core.size, max_edges)
    lost = sums_in_boxes(summed_area(~inside.reshape(shape)), first, last) > 0
    places = images.grid.indices(core)
    return blocks.graph(), lost, ((first <= places) & (places <= last)).all(axis=1)


def _require_edges(edges: int, cells: int, most: int) -> None:
    if edges > most:
        size = _BYTES_PER_EDGE * edges / 2**30
        raise TooLargeError(
            f"The digraph is too large: {edges:.3g} edges between {cells} cells would take {size:.3g} GiB",
            expected=f"at most {most:.3g} edges, max_edges",
            got=f"{edges / max(cells, 1):.0f} for each cell",
            try_this="fewer subdivisions, a smaller z, or padding=False",
        )
    require_memory(_BYTES_PER_EDGE * edges, f"The {edges:.3g} edges of the map", "fewer subdivisions, or a smaller z")


def chunks(images: BoxImages, cells: Integer[ndarray, " n"]) -> list[Integer[ndarray, " _"]]:
    """Cells in stretches whose images together hold about a fixed number of cells."""
    total = np.cumsum(volumes(images.first[cells], images.last[cells]))
    if not total.size or total[-1] <= CHUNK:
        return [cells] if cells.size else []
    cuts = np.searchsorted(total, np.arange(CHUNK, int(total[-1]), CHUNK)) + 1
    return [part for part in np.split(cells, np.unique(cuts)) if part.size]


def _reach_of_peeled(
    images: BoxImages,
    trimmed: Trimmed,
    sets: ReachSets,
    outside: np.int32,
    reach: Int32[ndarray, " cells"],
    cancel: Cancel,
) -> None:
    """Cells of a round lead to later rounds, the core and dead cells alone: from the last round to the first."""
    for peeled in reversed(trimmed.rounds):
        for cells in chunks(images, peeled):
            cancel.checkpoint()
            counts, ids = cells_of(images.first[cells], images.last[cells], images.grid.shape)
            found = sets.union(reach[ids], np.cumsum(counts) - counts)
            leaving = np.flatnonzero(images.may_leave[cells])
            found[leaving] = sets.both(found[leaving], np.full(leaving.size, outside))
            reach[cells] = found
