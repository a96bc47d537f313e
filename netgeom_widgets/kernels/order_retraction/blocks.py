"""A digraph with the same reachability between cells as one of wide boxes, and far fewer edges."""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray


class DyadicBlocks:
    """Cells that point to blocks, blocks that point to their halves, down to single cells; counted before it is made.

    A box of sides L is the union of at most 2^d overlapping blocks of sides 2^a, where 2^a <= L < 2^(a+1) on each axis
    (the sparse table of Bender & Farach-Colton 2000, in d dimensions). A block points to its two halves along its
    longest axis; a block of one cell is that cell. A cell reaches a cell in this digraph exactly when it does by the
    boxes, because a block only hands on what points to it. So the strong components of the cells are the same; whether
    a cell is a component with a loop is read off its own box, never here. A block that several boxes need exists once.

    Parameters
    ----------
    first, last : (cells, d) int32
        Index boxes of all cells, both ends included; not empty where `live`.
    shape : tuple of int
        Cells per axis; cells are in C order.
    live : (cells,) bool
        The cells that take part, as sources and as targets.

    Notes
    -----
    Memory is a byte for each cell and each shape of block that occurs: with images of similar sizes, few do.
    """

    def __init__(
        self,
        first: Int32[ndarray, "cells d"],
        last: Int32[ndarray, "cells d"],
        shape: tuple[int, ...],
        live: Bool[ndarray, " cells"],
    ) -> None:
        self._live, self._steps = live, _c_steps(shape)
        low, high = first[live].astype(np.int64), last[live].astype(np.int64)
        levels = _floor_log2(high - low + 1)
        self._sides = tuple(int(top) + 1 for top in levels.max(axis=0, initial=0))  # shapes of blocks that may occur
        self._starts = _cover(low, high, levels, self._steps)
        self._rows = _groups(levels @ _c_steps(self._sides), math.prod(self._sides))
        self._used = self._mark_used()

    def _mark_used(self) -> dict[int, Bool[ndarray, " cells"]]:
        """For each shape of block, by its code, where such blocks start; the largest come first."""
        marks: dict[int, ndarray] = {}

        def mark(code: int, starts: ndarray) -> None:
            marks.setdefault(code, np.zeros(len(self._live), dtype=bool))[starts] = True

        for code, rows in self._rows.items():
            starts = self._starts[rows]
            mark(code, starts[starts >= 0])
        sizes = np.indices(self._sides).reshape(len(self._sides), -1).sum(axis=0)
        used: dict[int, ndarray] = {}
        for code in np.argsort(-sizes, kind="stable").tolist():
            if code in marks:
                used[code] = marks[code]
                if code:  # code 0 is a single cell
                    half, step = self._halves(code)
                    starts = np.flatnonzero(used[code])
                    mark(half, starts)
                    mark(half, starts + step)
        return used

    def _halves(self, code: int) -> tuple[int, int]:
        """Code of the halves of a block along its longest axis, and the step from the first half to the second."""
        levels = np.unravel_index(code, self._sides)
        axis = int(np.argmax(levels))
        return code - int(_c_steps(self._sides)[axis]), int(self._steps[axis]) << (int(levels[axis]) - 1)

    @property
    def n_cells(self) -> int:
        """Cells that take part: the first nodes of the digraph, in their order."""
        return len(self._starts)

    @property
    def n_blocks(self) -> int:
        """Nodes behind the cells."""
        return sum(int(np.count_nonzero(mark)) for code, mark in self._used.items() if code)

    @property
    def n_edges(self) -> int:
        """Edges of the digraph at most: those to cells that take no part are left out of it."""
        return int(np.count_nonzero(self._starts >= 0)) + 2 * self.n_blocks

    def graph(self) -> tuple[Int64[ndarray, " V1"], Int32[ndarray, " E"]]:
        """Start of each node's successors, and the successors; takes O(cells * shapes of blocks + edges)."""
        starts = {code: np.flatnonzero(mark) for code, mark in self._used.items() if code}
        halves = {code: self._halves(code) for code in starts}
        first_number = dict(zip(starts, np.cumsum([self.n_cells, *map(len, starts.values())]).tolist(), strict=False))
        tables = {-1: np.full(self._starts.shape, -1, dtype=np.int32)}
        for code, mark in self._used.items():
            taken = mark if code else self._live
            number = np.cumsum(taken, dtype=np.int32) + np.int32(first_number.get(code, 0) - 1)
            number[~taken] = -1
            if code in self._rows:
                rows = self._rows[code]
                tables[-1][rows] = np.where(self._starts[rows] >= 0, number[self._starts[rows]], -1)
            for parent, (half, step) in halves.items():
                if half == code:
                    tables[parent] = number[starts[parent][:, None] + np.array([0, step])]
        ordered = [tables[key] for key in (-1, *starts)]
        counts = np.concatenate([(table >= 0).sum(axis=1) for table in ordered])
        indptr = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        return indptr, np.concatenate([table[table >= 0] for table in ordered])


def _cover(
    low: Int64[ndarray, "n d"], high: Int64[ndarray, "n d"], levels: Int64[ndarray, "n d"], steps: Int64[ndarray, " d"]
) -> Int64[ndarray, "n corners"]:
    """Where the blocks that cover each box start, as cells; -1 where one would repeat another."""
    shift = high + 1 - (1 << levels) - low
    start = low @ steps
    found = np.empty((len(low), 2 ** len(steps)), dtype=np.int64)
    for column, corner in enumerate(itertools.product((0, 1), repeat=len(steps))):
        ends = np.flatnonzero(corner)
        found[:, column] = np.where((shift[:, ends] > 0).all(axis=1), start + shift[:, ends] @ steps[ends], -1)
    return found


def _groups(codes: Int64[ndarray, " n"], n_codes: int) -> dict[int, Int64[ndarray, " m"]]:
    """The positions of each code that occurs."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_codes))
    return {code: rows for code, rows in enumerate(np.split(order, ends[:-1])) if len(rows)}


def _floor_log2(lengths: Int64[ndarray, "n d"]) -> Int64[ndarray, "n d"]:
    return np.frexp(lengths)[1].astype(np.int64) - 1  # exact: a float64 holds any such length


def _c_steps(shape: tuple[int, ...]) -> Int64[ndarray, " d"]:
    """How far apart neighbours along each axis lie in C order."""
    return np.cumprod([1, *shape[:0:-1]], dtype=np.int64)[::-1]
