"""Sets of nodes that a cell can reach, each kept once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32, Int64, Integer, UInt64
from numpy import ndarray
from scipy.sparse import csr_array

from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.order_retraction.rectangles import positions

_BITS = 64
_THIN, _PATIENCE = 32, 64  # array operations per layer cost as much as some 32 vertices one by one
_WORDS = 1 << 22  # gathered at a time
NOTHING = 0  # the number of the empty set


class ReachSets:
    """Sets of whole numbers below n_bits, numbered in the order in which they first come up; number 0 is the empty set.

    Maps have millions of cells and a few sets, so cells hold numbers, and a union is taken only where numbers differ.
    """

    def __init__(self, n_bits: int) -> None:
        self.n_bits = n_bits
        self._words = max(1, -(-n_bits // _BITS))
        self._room: UInt64[ndarray, "R W"] = np.zeros((1, self._words), np.uint64)
        self._known = {self._room[0].tobytes(): NOTHING}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def rows(self) -> UInt64[ndarray, "U W"]:
        """All sets, as packed bits."""
        return self._room[: len(self._known)]

    def single(self, bits: Integer[ndarray, " m"]) -> Int32[ndarray, " m"]:
        """Numbers of the sets with one member each."""
        rows = np.zeros((len(bits), self._words), np.uint64)
        rows[np.arange(len(bits)), bits // _BITS] = np.uint64(1) << (bits % _BITS).astype(np.uint64)
        return self.numbered(rows)

    def union(self, members: Int32[ndarray, " E"], starts: Int64[ndarray, " m"]) -> Int32[ndarray, " m"]:
        """Numbers of the unions over stretches of members, each of which begins at its start and is not empty."""
        low, high = np.minimum.reduceat(members, starts), np.maximum.reduceat(members, starts)
        mixed = np.flatnonzero(low != high)
        indptr = np.append(starts, members.size)
        ends = np.cumsum(indptr[mixed + 1] - indptr[mixed])
        cuts = np.searchsorted(ends, np.arange(_WORDS // self._words, members.size, _WORDS // self._words))
        for part in np.split(mixed, np.unique(cuts)):
            if part.size:
                counts, places = positions(indptr, part)
                inner = np.cumsum(counts) - counts
                low[part] = self.numbered(np.bitwise_or.reduceat(self.rows[members[places]], inner, axis=0))
        return low

    def both(self, a: Int32[ndarray, " m"], b: Int32[ndarray, " m"]) -> Int32[ndarray, " m"]:
        """Numbers of the unions of pairs."""
        out = np.where(a == NOTHING, b, a)
        differ = np.flatnonzero((out != b) & (b != NOTHING))
        if differ.size:
            out[differ] = self.numbered(self.rows[a[differ]] | self.rows[b[differ]])
        return out

    def members(self) -> Bool[ndarray, "U n_bits"]:
        """All sets, as masks."""
        octets = self.rows.astype("<u8").view(np.uint8)
        return np.unpackbits(octets, axis=1, count=self.n_bits, bitorder="little").view(bool)

    def without(
        self, bit: int, used: Bool[ndarray, " U"]
    ) -> tuple[ReachSets, Int32[ndarray, " U"], Bool[ndarray, " U"]]:
        """Used sets, once a number is taken out: (the distinct ones, what each becomes, which sets held it)."""
        mask = np.uint64(1) << np.uint64(bit % _BITS)
        held = (self.rows[:, bit // _BITS] & mask) > 0
        rows, others = self.rows[used], ReachSets(self.n_bits)
        rows[:, bit // _BITS] &= ~mask
        becomes = np.full(len(self), NOTHING, np.int32)
        becomes[used] = others.numbered(rows)
        return others, becomes, held

    def numbered(self, rows: UInt64[ndarray, "m W"]) -> Int32[ndarray, " m"]:
        """Numbers of sets given as packed bits."""
        if self._words == 1:  # longer rows are found faster by their bytes than by sorting them
            distinct, inverse = np.unique(rows[:, 0], return_inverse=True)
            return self._found(distinct[:, None])[inverse]
        return self._found(rows)

    def _found(self, rows: UInt64[ndarray, "m W"]) -> Int32[ndarray, " m"]:
        octets, size, known = rows.tobytes(), 8 * self._words, self._known
        old = len(known)
        numbers, new = np.empty(len(rows), np.int32), list[int]()
        for i in range(len(rows)):
            key = octets[i * size : (i + 1) * size]
            number = numbers[i] = known.setdefault(key, len(known))
            if number == old + len(new):
                new.append(i)
        if new:
            if len(known) > len(self._room):  # twice as much each time, so that all copies together are one
                self._room = np.concatenate([self._room, np.zeros((len(known), self._words), np.uint64)])
            self._room[old : len(known)] = rows[new]
        return numbers


def reach_of_components(
    sets: ReachSets,
    own: Int32[ndarray, " K"],
    indptr: Int64[ndarray, " K1"],
    targets: Int32[ndarray, " E"],
    cancel: Cancel,
) -> Int32[ndarray, " K"]:
    """Numbers of the sets that the vertices of an acyclic digraph reach; its edges lead to smaller vertices.

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
    Layer by layer from the vertices without successors; the rest one by one where layers are thin, as along a slow
    drift in one dimension. O(vertices + edges).
    """
    reach, n = own.copy(), len(own)
    transposed = csr_array((np.zeros(len(targets), np.int8), targets, indptr), shape=(n, n)).tocsc()
    waiting = np.diff(indptr)
    layer, thin = np.flatnonzero(waiting == 0), 0
    while layer.size:
        cancel.checkpoint()
        thin = thin + 1 if layer.size < _THIN else 0
        if thin > _PATIENCE:
            left = waiting > 0
            left[layer] = True
            _one_by_one(sets, reach, np.flatnonzero(left), indptr, targets, cancel)
            break
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


def _one_by_one(
    sets: ReachSets,
    reach: Int32[ndarray, " K"],
    vertices: Int64[ndarray, " n"],
    indptr: Int64[ndarray, " K1"],
    targets: Int32[ndarray, " E"],
    cancel: Cancel,
) -> None:
    """Add to what some vertices bring themselves what their successors reach, in ascending order."""
    values, unions = reach.tolist(), dict[tuple[int, int], int]()
    counts, places = positions(indptr, vertices)
    successors, start = targets[places].tolist(), 0
    for step, (vertex, count) in enumerate(zip(vertices.tolist(), counts.tolist(), strict=True)):
        if step % (1 << 16) == 0:
            cancel.checkpoint()
        value = values[vertex]
        for successor in successors[start : start + count]:
            pair = (value, values[successor])
            if pair[0] != pair[1]:
                if pair not in unions:
                    unions[pair] = int(sets.both(*(np.array([number], np.int32) for number in pair))[0])
                value = unions[pair]
        values[vertex] = value
        start += count
    reach[:] = values
