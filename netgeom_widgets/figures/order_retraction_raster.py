"""Cells of an order retraction as one raster of kinds: Morse sets, tiles, undecided cells, cells that leave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, UInt8

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.order_retraction_colours import ENDS, NodeColours
from netgeom_widgets.figures.plots import number

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import CubicalGrid, MorseDecomposition, OrderRetraction

PIXELS = 1024
"""Pixels along a side of a raster at most; a finer grid shows one pixel for several cells, and says so."""

#: Stripes across a raster, and how much darker those of cells that may leave are.
_STRIPES, _SHADE = 90, 0.84
#: Of each kind three codes: stays; may leave, between the stripes; may leave, on a stripe.
_VARIANTS = 3
#: Blocks of cells that are reduced at a time.
_STRIP = 1 << 18


@dataclass(frozen=True, eq=False)
class PlaneView:
    """A part of the raster.

    Attributes
    ----------
    codes : (h, w) unsigned int
        Row 0 lies lowest, as images are drawn. Code c is of kind c // 3.
    column, row : int
        Place of the first cell.
    factor : int
        Cells along a side of a pixel; 1: each pixel is a cell.
    """

    codes: Int[np.ndarray, "h w"]
    column: int
    row: int
    factor: int


class RetractionRaster:
    """Kinds of cells in the plane of two axes of the grid, or on a line.

    Kinds are numbered: Morse sets 0..k-1, tiles k..2k-1, cells of tiles that were chosen by search 2k..3k-1, cells that
    reach no recurrent cell 3k, then two for each reach set without a join (the two colours of a hatch).

    Parameters
    ----------
    retraction : OrderRetraction
        Of a grid.
    axes : (int, int)
        The axes across and up. A grid with one axis is a raster of one row.
    at : mapping of int to int, optional
        Place of the slice along each further axis; the middle by default.
    """

    def __init__(
        self, retraction: OrderRetraction, axes: tuple[int, int] = (0, 1), at: Mapping[int, int] | None = None
    ) -> None:
        decomposition = retraction.decomposition
        grid = decomposition.grid
        if grid is None:
            raise NetgeomError("This decomposition has no grid, and no plane.", expected="that of box images")
        shape = tuple(int(size) for size in grid.shape)
        self.axes, self.at = slice_of(shape, axes, at)
        self.retraction, self.k = retraction, int(decomposition.n_nodes)
        kinds, self.sets = _kinds(retraction)
        leaves = np.asarray(retraction.may_leave, dtype=bool) & (kinds != 3 * self.k)
        # One number a cell: its kind, and whether it may leave; of those that surely leave nothing more is said.
        self._keys = self._plane((2 * kinds + leaves).astype(np.int32), shape)
        self.shape = self._keys.shape
        fewest_last = np.argsort(-np.asarray(decomposition.sizes), kind="stable")
        self._wins = np.repeat(np.argsort(fewest_last), 2)

    def _plane(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Values of the cells in the plane: rows up, columns across."""
        values = values.reshape(shape)
        if len(shape) == 1:
            return values[None, :]
        index = tuple(self.at.get(axis, slice(None)) for axis in range(len(shape)))
        plane = values[index]
        return np.ascontiguousarray(plane.T if self.axes[0] < self.axes[1] else plane)

    @cached_property
    def n_kinds(self) -> int:
        """Kinds there are."""
        return 3 * self.k + 1 + 2 * len(self.sets)

    def mask(self, cells: np.ndarray) -> np.ndarray:
        """Which cells of the plane are among (cells,) bool, as rows up and columns across."""
        grid = self.retraction.decomposition.grid
        assert grid is not None  # noqa: S101 - checked on construction
        return self._plane(np.asarray(cells, dtype=bool), tuple(grid.shape))

    def view(self, columns: tuple[float, float] | None = None, rows: tuple[float, float] | None = None) -> PlaneView:
        """The cells within two intervals, in cells; all by default.

        A pixel of several cells is of the kind that most of them have. But any Morse set among them wins, of several
        the one with the fewest cells.
        """
        down, across = (
            _interval(ends, size) for ends, size in zip((rows, columns), self.shape, strict=True)
        )  # fmt: skip
        factor = 1
        while max(_pixels(down, factor), _pixels(across, factor)) > PIXELS:
            factor *= 2
        down, across = (
            (first // factor * factor, min(size, math.ceil(last / factor) * factor))
            for (first, last), size in zip((down, across), self.shape, strict=True)
        )
        keys = most_frequent(self._keys[slice(*down), slice(*across)], factor, self._wins)
        return PlaneView(self._hatched(keys, down[0] // factor, across[0] // factor), across[0], down[0], factor)

    def _hatched(self, keys: np.ndarray, row: int, column: int) -> np.ndarray:
        """Codes of keys: stripes go up to the right for undecided cells, down for those that may leave."""
        kinds, leaves = keys >> 1, keys & 1
        y, x = (np.arange(start, start + size) for start, size in zip((row, column), keys.shape, strict=True))
        wide = max(1, max(keys.shape) // _STRIPES)
        rising = ((x[None, :] - y[:, None]) // wide) % 2
        falling = ((x[None, :] + y[:, None]) // wide) % 4 == 0
        kinds = kinds + np.where(kinds > 3 * self.k, rising, 0)
        codes = _VARIANTS * kinds + np.where(leaves, 1 + falling, 0)
        return codes.astype(np.uint16 if _VARIANTS * self.n_kinds < 1 << 16 else np.int32)

    # -- what the codes are ---------------------------------------------------------------------------------------

    @cached_property
    def words(self) -> list[str]:
        """What each kind is, for a hover box."""
        nodes = range(self.k)
        undecided = [_undecided(row) for row in self.sets for _ in range(2)]
        return [
            *(f"Morse set {node}" for node in nodes),
            *(f"tile {node}" for node in nodes),
            *(f"tile {node}, by search" for node in nodes),
            nothing_reached(self.retraction.decomposition),
            *undecided,
        ]

    def palette(self, colours: NodeColours, shown: np.ndarray | None = None) -> list[str]:
        """Colour of each code; kinds that are not among ``shown`` (kinds,) bool are veiled."""
        table = np.empty((self.n_kinds, 4), dtype=np.uint8)
        k = self.k
        table[:k], table[k : 2 * k], table[2 * k : 3 * k] = colours.sets, colours.tiles, colours.tiles
        table[3 * k] = palettes.to_rgba([ENDS])[0]
        table[3 * k + 1 :: 2], table[3 * k + 2 :: 2] = colours.blends(self.sets)
        if shown is not None:
            table[~shown] = veiled(table[~shown])
        codes = np.repeat(table, _VARIANTS, axis=0)
        codes[2::_VARIANTS, :3] = np.rint(codes[2::_VARIANTS, :3] * _SHADE)
        return palettes.to_hex(codes)

    def kinds_of(self, nodes: Sequence[int], *, sets: bool = True, tiles: bool = True) -> np.ndarray:
        """(kinds,) bool: the kinds of these nodes' Morse sets and tiles."""
        shown = np.zeros(self.n_kinds, dtype=bool)
        for node in nodes:
            shown[[node]] |= sets
            shown[[self.k + node, 2 * self.k + node]] |= tiles
        return shown

    def kinds_that_end_in(self, below: np.ndarray) -> np.ndarray:
        """(kinds,) bool: the kinds that reach only nodes among ``below`` (k,) bool, at least one: their basin."""
        inside = np.asarray(below, dtype=bool)
        leq = np.asarray(self.retraction.decomposition.leq, dtype=bool)
        decided = np.array([inside[leq[:, node]].all() for node in range(self.k)], dtype=bool)
        undecided = np.repeat((~self.sets | inside[None, :]).all(axis=1), 2)
        return np.concatenate([decided, decided, decided, [False], undecided])


def nothing_reached(decomposition: MorseDecomposition) -> str:
    """What a cell does that reaches no node; after a collapse it may only reach nodes that were left out."""
    return "reaches no node that was kept" if "kept" in decomposition.settings else "leaves the domain"


def slice_of(
    shape: tuple[int, ...], axes: tuple[int, int], at: Mapping[int, int] | None
) -> tuple[tuple[int, int], dict[int, int]]:
    """Two axes of a grid and the place of the slice along each further one, checked."""
    d = len(shape)
    if d == 1:
        return (0, 0), {}
    pair = (int(axes[0]), int(axes[1]))
    if len(set(pair)) != 2 or not all(0 <= axis < d for axis in pair):
        raise NetgeomError("These are no two axes of the grid.", expected=f"two of 0 to {d - 1}", got=f"{axes}")
    places = {axis: shape[axis] // 2 for axis in range(d) if axis not in pair}
    for axis, place in (at or {}).items():
        if axis not in places or not 0 <= place < shape[axis]:
            further = ", ".join(f"{one}: 0 to {shape[one] - 1}" for one in places) or "no further axis"
            raise NetgeomError("There is no such slice.", expected=further, got=f"axis {axis}, cell {place}")
        places[axis] = int(place)
    return pair, places


def slice_words(grid: CubicalGrid | None, at: Mapping[int, int], names: Sequence[str]) -> str:
    """At which place of the further axes a plane lies."""
    if grid is None or not at:
        return ""
    places = []
    for axis, place in at.items():
        low, high = (float(grid.edges(axis)[place + end]) for end in (0, 1))
        places.append(f"{names[axis]} from {number(low)} to {number(high)} (cell {place} of {grid.shape[axis]})")
    return f"Slice: {', '.join(places)}."


def _kinds(retraction: OrderRetraction) -> tuple[np.ndarray, np.ndarray]:
    """Kind of each cell, and the reach sets (U, k) that undecided cells have."""
    decomposition = retraction.decomposition
    k = int(decomposition.n_nodes)
    label, node, status = (
        np.asarray(values) for values in (decomposition.label, retraction.node, retraction.status)
    )  # fmt: skip
    kinds = np.full(len(label), 3 * k, dtype=np.int64)
    tiled = node >= 0
    kinds[tiled] = k + node[tiled]
    searched = tiled & ((status == 1) | (status == 2))
    kinds[searched] += k
    open_ = ~tiled & (status != 3)
    rows, places = np.unique(np.asarray(decomposition.reach)[open_], return_inverse=True)
    kinds[open_] = 3 * k + 1 + 2 * places
    recurrent = label >= 0
    kinds[recurrent] = label[recurrent]
    return kinds, np.asarray(decomposition.reach_sets, dtype=bool)[rows].reshape(len(rows), k)


def most_frequent(keys: Int[np.ndarray, "h w"], factor: int, wins: Int[np.ndarray, " f"]) -> Int[np.ndarray, "H W"]:
    """The most frequent key of each block of factor x factor cells.

    Keys below f win over all others, of these the one whose entry of ``wins`` is greatest. Of equally frequent ones
    the least. Blocks at the upper and right edge may be smaller.
    """
    if factor == 1 or not keys.size:
        return keys
    height, width = (math.ceil(size / factor) for size in keys.shape)
    pad = [(0, full * factor - size) for full, size in zip((height, width), keys.shape, strict=True)]
    keys = np.pad(keys, pad, constant_values=-1) if any(more for _, more in pad) else keys
    blocks = keys.reshape(height, factor, width, factor).swapaxes(1, 2).reshape(height * width, factor * factor)
    step = max(1, _STRIP // blocks.shape[1])
    found = [_modes(blocks[at : at + step], wins) for at in range(0, len(blocks), step)]
    return np.concatenate(found).reshape(height, width)


def _modes(blocks: np.ndarray, wins: np.ndarray) -> np.ndarray:
    ordered = np.sort(blocks, axis=1)
    n, size = ordered.shape
    places = np.broadcast_to(np.arange(size), (n, size))
    fresh = np.ones((n, size), dtype=bool)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    length = places - np.maximum.accumulate(np.where(fresh, places, 0), axis=1) + 1
    first = (ordered >= 0) & (ordered < len(wins))
    rank = np.where(first, 0, length)
    rank[first] = size + 1 + wins[ordered[first]]
    rank[ordered < 0] = 0  # what hangs over the edge
    return ordered[np.arange(n), rank.argmax(axis=1)]


def veiled(table: UInt8[np.ndarray, "n 4"]) -> UInt8[np.ndarray, "n 4"]:
    """Colours drawn back towards a light grey."""
    pale = table.copy()
    pale[:, :3] = np.rint(0.2 * table[:, :3].mean(axis=1, keepdims=True) + 0.06 * table[:, :3] + 0.74 * 238)
    return pale


def _undecided(reach: np.ndarray) -> str:
    nodes = np.flatnonzero(reach).tolist()
    listed = ", ".join(map(str, nodes[:6])) + (f" and {len(nodes) - 6} more" if len(nodes) > 6 else "")
    return f"undecided, reaches {listed}"


def _interval(ends: tuple[float, float] | None, size: int) -> tuple[int, int]:
    if ends is None:
        return 0, size
    low, high = sorted(ends)
    first, last = max(0, math.floor(low)), min(size, math.ceil(high))
    return (first, last) if first < last else (0, 0)


def _pixels(ends: tuple[int, int], factor: int) -> int:
    return math.ceil(ends[1] / factor) - ends[0] // factor
