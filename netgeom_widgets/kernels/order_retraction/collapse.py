"""Leaving Morse nodes out: the order of the others, and which may be artefacts of the grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.persistence import Persistence
from netgeom_widgets.kernels.order_retraction.poset import covers, heights


def collapse(decomposition: MorseDecomposition, keep: Any) -> MorseDecomposition:
    """The Morse decomposition with some nodes only.

    Where a map moves points by less than a cell, cells meet their own images and the Morse graph is full of nodes
    without a set that stays. Without them the others keep their order, i <= j where j reaches i, also through a node
    that was left out.

    What becomes of the cells of a node that is left out: label -1, as of a cell that does not recur; together they are
    one strong component still, so that an order retraction sends them to one node. A cell that reaches left-out nodes
    alone counts as reaching none (status 3 of `order_retraction`); that happens where a minimal node is left out.
    `may_leave`, `n_components` and the edges stay as they are.

    Parameters
    ----------
    decomposition : MorseDecomposition
    keep : sequence of int
        Numbers of the nodes that stay, each once, in any order; none: an empty Morse graph.

    Returns
    -------
    MorseDecomposition
        Numbered again by height and first cell. ``settings["kept"]`` has the number that each node had before, counted
        in the decomposition that was computed: also after a second collapse.

    Raises
    ------
    NetgeomError
        Numbers that are no nodes, or one twice.

    Notes
    -----
    O(cells + U k) for U distinct sets of nodes reached.
    """
    if not isinstance(decomposition, MorseDecomposition):
        raise NetgeomError(
            "This is no Morse decomposition",
            expected="what morse_decomposition returns",
            got=type(decomposition).__name__,
        )
    nodes = _as_nodes(keep, decomposition.n_nodes)
    k = nodes.size
    height = heights(decomposition.leq[np.ix_(nodes, nodes)])
    order = np.lexsort((_first_cells(decomposition)[nodes], height))
    nodes = nodes[order]
    number = np.full(decomposition.n_nodes + 1, -1, np.int32)  # one more: label -1 stays -1
    number[nodes] = np.arange(k, dtype=np.int32)
    leq = np.ascontiguousarray(decomposition.leq[np.ix_(nodes, nodes)])
    packed, row = np.unique(np.packbits(decomposition.reach_sets[:, nodes], axis=1), axis=0, return_inverse=True)
    sets = np.unpackbits(packed, axis=1, count=k).astype(bool) if k else np.zeros((1, 0), bool)
    row = row.reshape(-1).astype(np.int32) if k else np.zeros(len(decomposition.reach_sets), np.int32)
    before = decomposition.settings.get("kept", tuple(range(decomposition.n_nodes)))
    return replace(
        decomposition,
        label=number[decomposition.label],
        leq=leq,
        hasse=covers(leq),
        heights=height[order],
        reach=row[decomposition.reach],
        reach_sets=sets,
        settings={**decomposition.settings, "kept": tuple(before[p] for p in nodes.tolist())},
    )


def small_nodes(decomposition: MorseDecomposition, min_cells: int) -> Int64[ndarray, " m"]:
    """Numbers of the nodes with fewer cells than that, ascending: candidates to `collapse`.

    A single cell that meets its own image is what the identity leaves everywhere; a fixed point that attracts strongly
    also is a single cell, so that this is a hint and no proof.

    Parameters
    ----------
    decomposition : MorseDecomposition
    min_cells : int
        1 or more.

    Returns
    -------
    (m,) int64

    Raises
    ------
    NetgeomError
        A number below 1.
    """
    return np.flatnonzero(decomposition.sizes < as_count(min_cells, 1, 1 << 31, "min_cells"))


def short_lived(found: Persistence, min_levels: int, *, level: int = -1) -> Int64[ndarray, " m"]:
    """Numbers of a level's nodes that are there at fewer levels than that, ascending: candidates to `collapse`.

    What appears at one resolution and is gone at the next belongs to the grid and not to the map. Levels are counted on
    the node's track, before and after; at the first and the last level a track may go on beyond what was computed.

    Parameters
    ----------
    found : Persistence
        See `persistence`; ``found.decompositions[level]`` is what to collapse.
    min_levels : int
        1 to the number of levels.
    level : int
        Of the nodes, counted as Python counts; by default the last.

    Returns
    -------
    (m,) int64

    Raises
    ------
    NetgeomError
        Numbers out of range.
    """
    n = len(found.levels)
    fewest = as_count(min_levels, 1, n, "min_levels", "more levels in persistence(...)")
    as_count(level, -n, n - 1, "level")
    return np.flatnonzero(found.lifetimes[found.tracks(level)] < fewest)


def _as_nodes(keep: Any, n_nodes: int) -> Int64[ndarray, " m"]:
    array = as_array(keep, "keep")
    nodes = array.astype(np.int64) if array.size == 0 else array
    bad = nodes.ndim != 1 or nodes.dtype.kind not in "iu"
    if bad or (nodes.size and (nodes.min() < 0 or nodes.max() >= n_nodes)):
        raise NetgeomError(
            "keep holds what is no Morse node",
            expected=f"numbers from 0 to {n_nodes - 1}" if n_nodes else "none: the Morse graph is empty",
            got=f"{keep!r}",
        )
    if np.unique(nodes).size < nodes.size:
        raise NetgeomError("keep names a Morse node twice", expected="each number once", got=f"{keep!r}")
    return np.sort(nodes).astype(np.int64)


def _first_cells(decomposition: MorseDecomposition) -> Int64[ndarray, " k"]:
    first = np.full(decomposition.n_nodes, decomposition.n_cells, np.int64)
    recurrent = np.flatnonzero(decomposition.label >= 0)
    np.minimum.at(first, decomposition.label[recurrent], recurrent)
    return first
