"""Candidates of cells for a Morse node, made consistent along the edges between cells."""

from __future__ import annotations

from collections import deque

import numpy as np
from jaxtyping import Bool, Int32, Int64, Integer, UInt64
from numpy import ndarray

from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.order_retraction.reach import NOTHING, ReachSets
from netgeom_widgets.kernels.order_retraction.rectangles import positions

_WORDS = 1 << 22  # gathered at a time
_THIN, _PATIENCE = 32, 64  # array operations per wave cost as much as some 32 cells one by one

Csr = tuple[Int64[ndarray, " n1"], Int32[ndarray, " E"]]


class CandidateSets:
    """Sets of Morse nodes, numbered as in `ReachSets`, with what order says about each; number 0 is the empty one.

    Attributes
    ----------
    above, below : (U, words) uint64
        Nodes above, and below, some member; packed.
    size, least : (U,) int32
        Members; the one below all others, -1 where there is none.
    """

    def __init__(self, leq: Bool[ndarray, "k k"]) -> None:
        self._leq = leq
        self._sets = ReachSets(len(leq))
        self._above, self._below = self._packed(leq), self._packed(leq.T)  # of single nodes
        self.above = self.below = self._above[:0]
        self.size = self.least = np.zeros(0, np.int32)
        self._describe()

    @property
    def words(self) -> UInt64[ndarray, "U W"]:
        """Members, packed."""
        return self._sets.rows

    def numbers(self, words: UInt64[ndarray, "n W"]) -> Int32[ndarray, " n"]:
        """Numbers of packed sets."""
        found = self._sets.numbered(words)
        self._describe()
        return found

    def numbers_of(self, members: Bool[ndarray, "n k"]) -> Int32[ndarray, " n"]:
        """Numbers of sets given as masks."""
        return self.numbers(self._packed(members))

    def single(self, node: int) -> int:
        """Number of the set of one node."""
        return int(self.numbers_of(np.arange(len(self._leq))[None] == node)[0])

    def without(self, number: int, node: int) -> int:
        """Number of a set with a member taken away."""
        others = np.arange(len(self._leq)) != node
        return int(self.numbers_of(self._members(slice(number, number + 1)) & others)[0])

    def lowest(self, number: int) -> int:
        """A member with no other below it: the first, as a node's number is larger than that of all below it."""
        return int(self._members(slice(number, number + 1))[0].argmax())

    def below_node(self, nodes: Integer[ndarray, " n"]) -> UInt64[ndarray, "n W"]:
        """All nodes below each of some, packed."""
        return self._below[nodes]

    def _describe(self) -> None:
        """Bring what is kept about each set up to the number of sets."""
        known = len(self.size)
        if known == len(self.words):
            return
        members = self._members(slice(known, None))
        filled = np.flatnonzero(members.any(axis=1))
        first = members[filled].argmax(axis=1)
        is_least = (self.words[known:][filled] & ~self._above[first] == 0).all(axis=1)
        least = np.full(len(members), -1, np.int32)
        least[filled[is_least]] = first[is_least]
        self.above = np.concatenate([self.above, _unions(self._above, members)])
        self.below = np.concatenate([self.below, _unions(self._below, members)])
        self.size = np.concatenate([self.size, members.sum(axis=1, dtype=np.int32)])
        self.least = np.concatenate([self.least, least])

    def _members(self, which: slice) -> Bool[ndarray, "n k"]:
        octets = np.ascontiguousarray(self.words[which]).astype("<u8").view(np.uint8)
        return np.unpackbits(octets, axis=1, count=len(self._leq), bitorder="little").astype(bool)

    def _packed(self, members: Bool[ndarray, "n k"]) -> UInt64[ndarray, "n W"]:
        octets = np.zeros((len(members), 8 * self.words.shape[1]), np.uint8)
        packed = np.packbits(members, axis=1, bitorder="little")
        octets[:, : packed.shape[1]] = packed
        return octets.view("<u8").astype(np.uint64)


def _unions(rows: UInt64[ndarray, "k W"], members: Bool[ndarray, "n k"]) -> UInt64[ndarray, "n W"]:
    """For each set the union of its members' rows."""
    out = np.zeros((len(members), rows.shape[1]), np.uint64)
    filled = np.flatnonzero(members.any(axis=1))
    step = max(1, _WORDS // max(1, rows.size))
    for start in range(0, filled.size, step):
        some = filled[start : start + step]
        owner, member = np.nonzero(members[some])
        out[some] = np.bitwise_or.reduceat(rows[member], np.searchsorted(owner, np.arange(some.size)), axis=0)
    return out


class Candidates:
    """The candidates of each cell of a digraph, in parts that nothing connects.

    Consistent (arc consistency, Mackworth 1977): along every edge each candidate of the upper cell is above some
    candidate of the lower one, and each of the lower one below some of the upper one. No order retraction is lost by
    making them so. Where in addition the candidates of each cell have a least one, the least ones together are an order
    retraction: for an edge v -> w the least candidate of v is above some candidate of w, so above the least.

    Parameters
    ----------
    sets : CandidateSets
    number : (n,) int32
        Candidate set of each cell; changed in place.
    down : (indptr, indices)
        Successors of each cell.
    up : (indptr, indices)
        Predecessors.
    part : (n,) int32
        Part of each cell.

    Attributes
    ----------
    failed : (parts,) bool
        Parts with a cell that lost its last candidate.
    lost : list of (m,) int64
        These cells, as they were found.
    """

    def __init__(
        self,
        sets: CandidateSets,
        number: Int32[ndarray, " n"],
        down: Csr,
        up: Csr,
        part: Int32[ndarray, " n"],
    ) -> None:
        self.sets, self.number, self.down, self.up, self.part = sets, number, down, up, part
        self.failed = np.zeros(int(part.max(initial=-1)) + 1, bool)
        self.lost: list[Int64[ndarray, " _"]] = []
        self._note_empty(np.arange(number.size))
        self._trail: list[tuple[Int64[ndarray, " _"], Int32[ndarray, " _"]]] = []

    @property
    def mark(self) -> int:
        """Where `undo` can come back to."""
        return len(self._trail)

    def undo(self, mark: int, part: int) -> None:
        """Put back the candidates that a part has lost since."""
        while len(self._trail) > mark:
            cells, before = self._trail.pop()
            self.number[cells] = before
        self.failed[part] = False

    def forget(self) -> None:
        """Nothing up to here will be put back."""
        self._trail.clear()

    def undecided(self, cells: Integer[ndarray, " m"]) -> Integer[ndarray, " _"]:
        """Cells whose candidates have no least one."""
        return cells[(self.sets.least[self.number[cells]] < 0) & ~self.failed[self.part[cells]]]

    def put(self, cells: Integer[ndarray, " m"], number: int, cancel: Cancel) -> None:
        """Give cells other candidates, fewer than before, and make all consistent with them."""
        cells = np.asarray(cells, np.int64)
        self._set(cells, np.full(cells.size, number, np.int32))
        self.settle(cells, cancel)

    def settle(self, changed: Int64[ndarray, " m"], cancel: Cancel) -> None:
        """Make candidates consistent after some cells' changed: in waves, over the edges of what changed last.

        Where waves stay thin, as along a path, the rest is done cell by cell.
        """
        thin = 0
        step = max(1, _WORDS * len(self.part) // max(1, self.down[1].size * self.sets.words.shape[1]))
        while changed.size and thin < _PATIENCE:
            thin = thin + 1 if changed.size < _THIN else 0
            found = []
            for start in range(0, changed.size, step):
                cancel.checkpoint()
                some = changed[start : start + step]
                found.append(self._cut(some, self.down, self.sets.below))
                found.append(self._cut(some, self.up, self.sets.above))
            changed = np.unique(np.concatenate(found))
        self._settle_one_by_one(changed.tolist(), cancel)

    def _settle_one_by_one(self, changed: list[int], cancel: Cancel) -> None:
        waiting, seen, known = deque(changed), 0, dict[tuple[int, int, bool], int]()
        while waiting:
            cell, seen = waiting.popleft(), seen + 1
            if seen % _THIN == 0:
                cancel.checkpoint()
            if self.failed[self.part[cell]]:
                continue
            for (indptr, indices), upwards in ((self.down, False), (self.up, True)):
                for neighbour in indices[indptr[cell] : indptr[cell + 1]].tolist():
                    pair = int(self.number[neighbour]), int(self.number[cell]), upwards
                    if pair not in known:
                        known[pair] = self._met(*pair)
                    if known[pair] != pair[0]:
                        self._set(np.array([neighbour]), np.array([known[pair]], np.int32))
                        waiting.append(neighbour)

    def _met(self, number: int, other: int, upwards: bool) -> int:
        """What a neighbour below (above) leaves of a candidate set."""
        closure = self.sets.above if upwards else self.sets.below
        return int(self.sets.numbers(self.sets.words[number : number + 1] & closure[other])[0])

    def _cut(self, changed: Int64[ndarray, " m"], graph: Csr, closure: UInt64[ndarray, "U W"]) -> Int64[ndarray, " _"]:
        """Take away what the neighbours of some cells cannot be; the neighbours that lost a candidate."""
        changed = changed[~self.failed[self.part[changed]]]  # an empty set would empty its neighbours': not their clash
        indptr, indices = graph
        counts, places = positions(indptr, changed)
        n = len(closure)
        # cells that have the same neighbour and the same candidates say the same about it
        pairs = np.unique(indices[places].astype(np.int64) * n + np.repeat(self.number[changed], counts))
        neighbours, allowed = meet(pairs // n, closure[pairs % n])
        before = self.sets.words[self.number[neighbours]]
        after = before & allowed
        differs = (after != before).any(axis=1)
        neighbours = neighbours[differs]
        self._set(neighbours, self.sets.numbers(after[differs]))
        return neighbours

    def _set(self, cells: Int64[ndarray, " m"], numbers: Int32[ndarray, " m"]) -> None:
        self._trail.append((cells, self.number[cells]))
        self.number[cells] = numbers
        self._note_empty(cells)

    def _note_empty(self, cells: Int64[ndarray, " m"]) -> None:
        empty = cells[self.number[cells] == NOTHING]
        if empty.size:
            self.failed[self.part[empty]] = True
            self.lost.append(empty)


def meet(
    cells: Int64[ndarray, " E"], words: UInt64[ndarray, "E W"]
) -> tuple[Int64[ndarray, " n"], UInt64[ndarray, "n W"]]:
    """Each cell of an ascending list once, with the intersection of its packed sets."""
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    if not starts.size:
        return cells, words
    return cells[starts], np.bitwise_and.reduceat(words, starts, axis=0)
