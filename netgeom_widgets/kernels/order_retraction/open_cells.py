"""The cells whose node the join rule leaves open, and the edges and bounds between which it has to lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64
from numpy import ndarray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.order_retraction.candidates import Candidates, CandidateSets, meet
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.poset import upper_bounds

_CELLS = 1 << 16  # whose edges are written out at a time
_BYTES_PER_EDGE = 32  # both directions, and one wave of sets over all of them
_MOST_EDGES = 1 << 28


@dataclass(frozen=True, eq=False)
class OpenCells:
    """A part of the digraph that has to be searched.

    Attributes
    ----------
    cells : (n,) int64
        Not recurrent, ascending; closed under "leads to one of them", recurrent cells apart.
    graph : (n, n) csr_array
        Edges between them.
    candidates : Candidates
        Nodes above all that a cell reaches and below each recurrent cell that leads to it; not yet consistent.
    """

    cells: Int64[ndarray, " n"]
    graph: csr_array
    candidates: Candidates


def open_cells(decomposition: MorseDecomposition, status: Int8[ndarray, " cells"], cancel: Cancel) -> OpenCells:
    """The cells that lead to an undecided one (status 1 or 2) without passing a recurrent cell.

    All others may keep their join j, so that they need not be searched: given any order retraction s, let s' be j
    on them and s on the open cells. On an edge v -> w between two of the others j keeps the order. From an open v
    to another w, s(v) >= s(w) >= j(w), for a retraction is nowhere below the join. From another v to an open w, v
    is recurrent (else it would be open itself), so j(v) = s(v) >= s(w). Within the open cells a join is NOT safe:
    let v and v' lead to w, which reaches c and d, both below a and b, and let v lead to a as well and v' to b. The
    joins, a of v and b of v', leave nothing for w; under a node above a and b, v may be raised to it.

    Raises
    ------
    TooLargeError
        Too many edges.
    """
    leq, sets, reach = decomposition.leq, decomposition.reach_sets, decomposition.reach
    undecided = (status == 1) | (status == 2)
    leading = _supersets(sets, np.unique(reach[undecided]))[reach]  # whoever leads to a cell reaches all that it does
    recurrent = decomposition.label >= 0
    cells = np.flatnonzero(leading & ~recurrent)
    graph = _edges_between(decomposition, cells, cancel)
    kept = _upstream(graph, np.flatnonzero(undecided[cells]))
    cells, graph = cells[kept], csr_array(graph[kept][:, kept])
    known = CandidateSets(leq)
    rows, row = np.unique(reach[cells], return_inverse=True)
    number = known.numbers_of(upper_bounds(leq, sets[rows]))[row]
    targets, words = _caps(decomposition, np.flatnonzero(leading & recurrent), cells, known, cancel)
    number[targets] = known.numbers(known.words[number[targets]] & words)
    _, part = connected_components(graph, directed=False)
    down, up = (
        (matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)) for matrix in (graph, csr_array(graph.T))
    )
    return OpenCells(cells, graph, Candidates(known, number, down, up, part.astype(np.int32)))


def _supersets(sets: Bool[ndarray, "U k"], rows: Int32[ndarray, " m"]) -> Bool[ndarray, " U"]:
    """Which sets hold all members of one of some rows."""
    found = np.zeros(len(sets), bool)
    for row in rows[np.argsort(sets[rows].sum(axis=1), kind="stable")]:
        if not found[row]:  # else its supersets are those of a smaller one
            found |= sets[:, sets[row]].all(axis=1)
    return found


def _edges_out(
    decomposition: MorseDecomposition, cells: Int64[ndarray, " m"], inside: Int64[ndarray, " n"], cancel: Cancel
) -> Iterator[tuple[Int64[ndarray, " _"], Int64[ndarray, " _"]]]:
    """(place among cells, place among inside) of the edges from some cells to others, some at a time."""
    place = np.full(decomposition.n_cells, -1, np.int32)
    place[inside] = np.arange(inside.size, dtype=np.int32)
    for start in range(0, cells.size, _CELLS):
        cancel.checkpoint()
        indptr, indices = decomposition.successors(cells[start : start + _CELLS])
        source = np.repeat(np.arange(start, start + len(indptr) - 1), np.diff(indptr))
        target = place[indices]
        yield source[target >= 0], target[target >= 0].astype(np.int64)


def _edges_between(decomposition: MorseDecomposition, cells: Int64[ndarray, " n"], cancel: Cancel) -> csr_array:
    sources, targets, total = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], 0
    for source, target in _edges_out(decomposition, cells, cells, cancel):
        total += source.size
        if total > _MOST_EDGES:
            raise TooLargeError(
                f"The search would need more than {_MOST_EDGES:.3g} edges between {cells.size} cells",
                expected=f"at most {_MOST_EDGES:.3g}",
                got=f"{total:.3g} so far",
                try_this="rule='join', fewer subdivisions, or a smaller z",
            )
        require_memory(_BYTES_PER_EDGE * total, f"{total:.3g} edges to search", "rule='join', or fewer subdivisions")
        sources.append(source.astype(np.int32))
        targets.append(target.astype(np.int32))
    source, target = np.concatenate(sources), np.concatenate(targets)
    return csr_array((np.ones(source.size, bool), (source, target)), shape=(cells.size, cells.size))


def _upstream(graph: csr_array, ends: Int64[ndarray, " m"]) -> Int64[ndarray, " _"]:
    """Vertices from which one of some ends is reached, ascending; the ends among them."""
    n = graph.shape[0]
    backwards = csr_array(graph.T)
    # one vertex more that leads to all the ends, to search from
    indptr = np.append(backwards.indptr, backwards.indptr[-1] + ends.size)
    indices = np.append(backwards.indices, ends)
    search = csr_array((np.ones(indices.size, bool), indices, indptr), shape=(n + 1, n + 1))
    found = breadth_first_order(search, n, directed=True, return_predecessors=False)
    return np.sort(found[found < n]).astype(np.int64)


def _caps(
    decomposition: MorseDecomposition,
    recurrent: Int64[ndarray, " m"],
    cells: Int64[ndarray, " n"],
    known: CandidateSets,
    cancel: Cancel,
) -> tuple[Int64[ndarray, " _"], ndarray]:
    """Places of the cells that recurrent ones lead to, and the packed nodes below all of these."""
    k = decomposition.n_nodes
    pairs = [np.zeros(0, np.int64)]
    for source, target in _edges_out(decomposition, recurrent, cells, cancel):
        pairs.append(np.unique(target * k + decomposition.label[recurrent[source]]))
    distinct = np.unique(np.concatenate(pairs))
    return meet(distinct // k, known.below_node(distinct % k))
