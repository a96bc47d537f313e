"""Which node of one Morse graph is which of another, on grids of the same domain."""

from __future__ import annotations

from dataclasses import dataclass

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
    return overlaps(a, b).of_second()


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of nodes of two Morse graphs whose Morse sets share cells.

    Attributes
    ----------
    first, second : (pairs,) int64
        A node of each.
    volume : (pairs,) int64
        What they share, in cells of the finer grid.
    n_first, n_second : int
        Nodes of the two graphs.
    """

    first: Int64[ndarray, " pairs"]
    second: Int64[ndarray, " pairs"]
    volume: Int64[ndarray, " pairs"]
    n_first: int
    n_second: int

    def of_first(self) -> Int32[ndarray, " p"]:
        """For each node of the first the one of the second that shares most with it, -1 for none."""
        return self._largest(self.first, self.second, self.n_first)

    def of_second(self) -> Int32[ndarray, " q"]:
        """For each node of the second the one of the first that shares most with it, -1 for none."""
        return self._largest(self.second, self.first, self.n_second)

    def _largest(self, of: Int64[ndarray, " pairs"], partner: Int64[ndarray, " pairs"], n: int) -> Int32[ndarray, " n"]:
        order = np.lexsort((partner, -self.volume, of))  # equal volumes: the smaller number
        nodes, at = np.unique(of[order], return_index=True)
        found = np.full(n, -1, dtype=np.int32)
        found[nodes] = partner[order[at]]
        return found


def overlaps(a: MorseDecomposition, b: MorseDecomposition) -> Overlaps:
    """Which Morse sets of a share cells with which of b, and how many.

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
    pairs, volume = np.unique(codes, return_counts=True)  # thousands of nodes each are common: no table
    upper, lower = np.divmod(pairs, max(fine.n_nodes, 1))
    first, second = (upper, lower) if coarse is a else (lower, upper)
    return Overlaps(first, second, volume.astype(np.int64), a.n_nodes, b.n_nodes)


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
