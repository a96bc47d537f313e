"""Sets of nodes that a cell can reach, each kept once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32, Int64, Integer, UInt64
from numpy import ndarray
from scipy.sparse import csr_array

from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.order_retraction.rectangles import positions

_BITS = 64
NOTHING = 0  # the number of the empty set


class ReachSets:
    """Sets of whole numbers below n_bits, numbered in the order in which they first come up; number 0 is the empty set.

    Maps have millions of cells and a few sets, so cells hold numbers, and a union is taken only where numbers differ.
    """

    def __init__(self, n_bits: int) -> None:
        self.n_bits = n_bits
        self._words = max(1, -(-n_bits // _BITS))
        self._rows: UInt64[ndarray, "U W"] = np.zeros((1, self._words), np.uint64)
        self._known = {self._rows[0].tobytes(): NOTHING}

    def single(self, bits: Integer[ndarray, " m"]) -> Int32[ndarray, " m"]:
        """Numbers of the sets with one member each."""
        rows = np.zeros((len(bits), self._words), np.uint64)
        rows[np.arange(len(bits)), bits // _BITS] = np.uint64(1) << (bits % _BITS).astype(np.uint64)
        return self._numbered(rows)

    def union(self, members: Int32[ndarray, " E"], starts: Int64[ndarray, " m"]) -> Int32[ndarray, " m"]:
        """Numbers of the unions over stretches of members, each of which begins at its start and is not empty."""
        low, high = np.minimum.reduceat(members, starts), np.maximum.reduceat(members, starts)
        mixed = np.flatnonzero(low != high)
        if mixed.size:
            indptr = np.append(starts, members.size)
            counts, places = positions(indptr, mixed)
            inner = np.cumsum(counts) - counts
            low[mixed] = self._numbered(np.bitwise_or.reduceat(self._rows[members[places]], inner, axis=0))
        return low

    def both(self, a: Int32[ndarray, " m"], b: Int32[ndarray, " m"]) -> Int32[ndarray, " m"]:
        """Numbers of the unions of pairs."""
        out, differ = a.copy(), np.flatnonzero(a != b)
        if differ.size:
            out[differ] = self._numbered(self._rows[a[differ]] | self._rows[b[differ]])
        return out

    def members(self) -> Bool[ndarray, "U n_bits"]:
        """All sets, as masks."""
        octets = self._rows.astype("<u8").view(np.uint8)
        return np.unpackbits(octets, axis=1, count=self.n_bits, bitorder="little").astype(bool)

    def _numbered(self, rows: UInt64[ndarray, "m W"]) -> Int32[ndarray, " m"]:
        if self._words == 1:
            distinct, inverse = np.unique(rows[:, 0], return_inverse=True)
            distinct = distinct[:, None]
        else:
            distinct, inverse = np.unique(rows, axis=0, return_inverse=True)
        numbers, new = np.empty(len(distinct), np.int32), []
        for i, row in enumerate(distinct):
            key = row.tobytes()
            if key not in self._known:
                self._known[key] = len(self._known)
                new.append(row)
            numbers[i] = self._known[key]
        if new:
            self._rows = np.concatenate([self._rows, np.stack(new)])
        return numbers[inverse.reshape(-1)]


def reach_of_components(
    sets: ReachSets,
    own: Int32[ndarray, " K"],
    indptr: Int64[ndarray, " K1"],
    targets: Int32[ndarray, " E"],
    cancel: Cancel,
) -> Int32[ndarray, " K"]:
    """Numbers of the sets that the vertices of an acyclic digraph reach.

    Parameters
    ----------
    sets : ReachSets
    own : (K,) int32
        Number of the set that each vertex brings itself.
    indptr, targets : (K + 1,), (E,)
        Successors of each; a vertex may be named more than once.

    Returns
    -------
    (K,) int32

    Notes
    -----
    Layer by layer from the vertices without successors: O(vertices + edges), and some array operations per layer.
    """
    reach, n = own.copy(), len(own)
    transposed = csr_array((np.zeros(len(targets), np.int8), targets, indptr), shape=(n, n)).tocsc()
    waiting = np.diff(indptr)
    layer = np.flatnonzero(waiting == 0)
    while layer.size:
        cancel.checkpoint()
        counts, places = positions(indptr, layer)
        inner = layer[counts > 0]
        if inner.size:
            below = sets.union(reach[targets[places]], (np.cumsum(counts) - counts)[counts > 0])
            reach[inner] = sets.both(own[inner], below)
        _, places = positions(transposed.indptr, layer)
        above = transposed.indices[places]
        np.subtract.at(waiting, above, 1)
        layer = np.unique(above[waiting[above] == 0])
    return reach
