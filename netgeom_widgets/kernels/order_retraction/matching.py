"""Which node of one Morse graph is which of another, on grids of the same domain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition


def match_nodes(a: MorseDecomposition, b: MorseDecomposition) -> Int32[ndarray, " k"]:
    """For each node of b, the node of a whose Morse set shares most volume with its own.

    Several nodes of b may have the same one of a (a set that split). Equal volumes go to the smaller number.

    Parameters
    ----------
    a, b : MorseDecomposition
        On grids of the same domain, of any resolutions: one refines the other, since axes are bisected in turn.

    Returns
    -------
    (b.n_nodes,) int32
        -1 where no Morse set of a shares a cell.

    Raises
    ------
    NetgeomError
        Decompositions without a grid, or of different domains.

    Notes
    -----
    O(recurrent cells of the finer one).
    """
    shared = overlaps(a, b)
    if not a.n_nodes:
        return np.full(b.n_nodes, -1, dtype=np.int32)
    return np.where(shared.max(axis=0) > 0, shared.argmax(axis=0), -1).astype(np.int32)


def overlaps(a: MorseDecomposition, b: MorseDecomposition) -> Int64[ndarray, "p q"]:
    """Volume that each Morse set of a shares with each of b, in cells of the finer grid.

    Raises
    ------
    NetgeomError
        As `match_nodes`.
    """
    coarse, fine = (a, b) if a.n_cells <= b.n_cells else (b, a)
    above_grid, fine_grid = _same_domain(coarse.grid, fine.grid)
    cells = np.flatnonzero(fine.label >= 0)
    above = coarse.label[_parents(cells, fine_grid, above_grid)]
    common = above >= 0
    codes = above[common].astype(np.int64) * fine.n_nodes + fine.label[cells[common]]
    table = np.bincount(codes, minlength=coarse.n_nodes * fine.n_nodes).reshape(coarse.n_nodes, fine.n_nodes)
    return table if coarse is a else table.T


def _parents(cells: Int64[ndarray, " n"], fine: CubicalGrid, coarse: CubicalGrid) -> Int64[ndarray, " n"]:
    """The coarse cell in which each fine cell lies."""
    places = np.unravel_index(cells, fine.shape)
    shifted = [at >> (bits - fewer) for at, bits, fewer in zip(places, fine.axis_bits, coarse.axis_bits, strict=True)]
    return np.asarray(np.ravel_multi_index(shifted, coarse.shape), dtype=np.int64)


def _same_domain(a: CubicalGrid | None, b: CubicalGrid | None) -> tuple[CubicalGrid, CubicalGrid]:
    if a is None or b is None:
        raise NetgeomError(
            "A digraph without a grid has no volumes", expected="decompositions of box images", got="grid is None"
        )
    if a.dims != b.dims or (a.lower != b.lower).any() or (a.upper != b.upper).any():
        raise NetgeomError("The grids have different domains", expected=repr(a), got=repr(b))
    return a, b
