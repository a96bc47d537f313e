"""What is kept of the similarities while tiles go by: histograms, power sums, the nearest, classes, an overview."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.kernels.similarity.tile_grid import TileGrid

POWERS = (1, 2, 3, 4)  # 1: the sum of k; above: of max(k, 0) to that power


def histogram_edges(bins: int) -> Float64[ndarray, " edges"]:
    """Edges of equal bins over [-1, 1]: ``(2 b - bins) / bins`` for b = 0 to bins."""
    return (2 * np.arange(bins + 1) - bins) / bins


def bin_of(values: Float32[ndarray, "a b"], bins: int) -> Int32[ndarray, "a b"]:
    """Bin of each value: bin b holds edge b < k <= edge b + 1, the first and last also what lies beyond by rounding.

    So the values in bins b and above are exactly those that are strictly greater than edge b.
    """
    edges = histogram_edges(bins)
    below = edges.astype(np.float32)  # k > edge exactly when k > the largest float32 that is not above the edge
    below = np.where(below > edges, np.nextafter(below, np.float32(-2)), below)
    below[0], below[-1] = -np.inf, np.inf
    found = np.ceil((values + np.float32(1)) * np.float32(bins / 2)).astype(np.int32)
    found -= 1
    np.clip(found, 0, bins - 1, out=found)
    found -= values <= below[found]  # the arithmetic above is off by one at most
    found += values > below[found + 1]
    return found


@dataclass(frozen=True, eq=False)
class TileSummary:
    """What one tile adds to its rows and, above the diagonal, to the rows that mirror its columns."""

    histogram: Int32[ndarray, "a bins"]
    sums: Float64[ndarray, "a powers"]
    column_histogram: Int32[ndarray, "b bins"] | None
    column_sums: Float64[ndarray, "b powers"] | None
    cell_sums: Float64[ndarray, "r c"]
    cell_maxima: Float32[ndarray, "r c"]
    class_sums: Float64[ndarray, "R C"] | None


@dataclass(frozen=True, eq=False)
class Classes:
    """The class of each row and each column, by number, and how many there are."""

    rows: Int64[ndarray, " n"]
    columns: Int64[ndarray, " m"]
    shape: tuple[int, int]

    def part(self, rows: slice, columns: slice) -> Classes:
        """Those of a tile."""
        return Classes(self.rows[rows], self.columns[columns], self.shape)


def summarise(
    values: Float32[ndarray, "a b"], *, bins: int, cell: int, mirrored: bool, classes: Classes | None = None
) -> TileSummary:
    """Summary of one tile, the same whatever computes it.

    Parameters
    ----------
    values : (a, b) float32
    bins : int
    cell : int
        Side of the overview's cells.
    mirrored : bool
        The tile lies above the diagonal of a symmetric matrix, so its columns count too.
    classes : Classes, optional
        Of the tile's rows and columns.
    """
    found = bin_of(values, bins)
    sums, column_sums = _power_sums(values, columns=mirrored)
    starts = tuple(np.arange(0, length, cell) for length in values.shape)
    maxima = np.maximum.reduceat(np.maximum.reduceat(values, starts[0], axis=0), starts[1], axis=1)
    totals = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0, dtype=np.float64), starts[1], axis=1)
    class_sums = None
    if classes is not None:
        pairs = classes.rows[:, None] * classes.shape[1] + classes.columns
        flat = np.bincount(pairs.ravel(), weights=values.ravel(), minlength=int(np.prod(classes.shape)))
        class_sums = flat.reshape(classes.shape)
    return TileSummary(
        _counts(found, bins),
        sums,
        _counts(found.T, bins) if mirrored else None,
        column_sums,
        totals,
        maxima,
        class_sums,
    )


def _counts(found: Int32[ndarray, "a b"], bins: int) -> Int32[ndarray, "a bins"]:
    places = found + bins * np.arange(len(found))[:, None]
    return np.bincount(places.ravel(), minlength=bins * len(found)).reshape(len(found), bins).astype(np.int32)


def _power_sums(
    values: Float32[ndarray, "a b"], *, columns: bool
) -> tuple[Float64[ndarray, "a powers"], Float64[ndarray, "b powers"] | None]:
    positive = np.maximum(values, 0).astype(np.float64)
    sums, column_sums = [], []
    term = values.astype(np.float64)
    for power in POWERS:
        term = positive * positive if power == 2 else term * positive if power > 2 else term
        sums.append(term.sum(axis=1))
        if columns:
            column_sums.append(term.sum(axis=0))
    return np.stack(sums, axis=1), np.stack(column_sums, axis=1) if columns else None


@dataclass(eq=False)
class Summaries:
    """The summaries of all tiles so far.

    Attributes
    ----------
    histogram : (n, bins) int32
        Similarities of each row in bins over [-1, 1]; the row's own included.
    sums : (n, 4) float64
        Sum of k, and of max(k, 0) to the powers 2, 3, 4; the row's own included.
    top_ids, top_values : (n, k) int32, float32
        The nearest of each row, greatest first, ties by the smaller id; -1 and -inf where there are fewer.
    cell_sums, cell_maxima : (R, C) float64, float32
        Of the finest overview's cells.
    class_sums : (R, C) float64
        Over the pairs of a row of one class and a column of another; no rows when there are no classes.
    """

    histogram: Int32[ndarray, "n bins"]
    sums: Float64[ndarray, "n powers"]
    top_ids: Int32[ndarray, "n k"]
    top_values: Float32[ndarray, "n k"]
    cell_sums: Float64[ndarray, "r c"]
    cell_maxima: Float32[ndarray, "r c"]
    class_sums: Float64[ndarray, "R C"]

    @classmethod
    def empty(cls, grid: TileGrid, *, bins: int, top: int, class_shape: tuple[int, int] = (0, 0)) -> Summaries:
        """Before the first tile."""
        return cls(
            np.zeros((grid.n, bins), dtype=np.int32),
            np.zeros((grid.n, len(POWERS))),
            np.full((grid.n, top), -1, dtype=np.int32),
            np.full((grid.n, top), -np.inf, dtype=np.float32),
            np.zeros(grid.cells),
            np.full(grid.cells, -np.inf, dtype=np.float32),
            np.zeros(class_shape),
        )

    @staticmethod
    def n_bytes(grid: TileGrid, *, bins: int, top: int) -> int:
        """Memory, and size on disk, before there is any."""
        return grid.n * (4 * bins + 8 * len(POWERS) + 8 * top) + 12 * grid.cells[0] * grid.cells[1]

    def arrays(self) -> dict[str, ndarray]:
        """All of it by name, to be stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Summaries:
        """What `arrays` gave, read back."""
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})

    def add(self, grid: TileGrid, row: int, column: int, values: Float32[ndarray, "a b"], summary: TileSummary) -> None:
        """Take in one tile; tiles have to come in the grid's order."""
        rows, columns = grid.rows(row), grid.columns(column)
        self.histogram[rows] += summary.histogram
        self.sums[rows] += summary.sums
        self._add_nearest(rows, columns, values, own=grid.half and row == column)
        mirrored = summary.column_histogram is not None
        if mirrored:
            self.histogram[columns] += summary.column_histogram
            self.sums[columns] += summary.column_sums
            self._add_nearest(columns, rows, values.T, own=False)
        at = tuple(slice(span.start // grid.cell, -(-span.stop // grid.cell)) for span in (rows, columns))
        self.cell_sums[at] += summary.cell_sums
        self.cell_maxima[at] = summary.cell_maxima
        if mirrored:
            self.cell_sums[at[::-1]] += summary.cell_sums.T
            self.cell_maxima[at[::-1]] = summary.cell_maxima.T
        if summary.class_sums is not None:
            self.class_sums += summary.class_sums
            if mirrored:
                self.class_sums += summary.class_sums.T

    def _add_nearest(self, rows: slice, columns: slice, values: Float32[ndarray, "a b"], *, own: bool) -> None:
        """Columns come in ascending order, so of equal values those that are there already have the smaller ids."""
        if own:
            values = values.copy()
            np.fill_diagonal(values, -np.inf)
        ids, kept = self.top_ids[rows], self.top_values[rows]  # views
        k = kept.shape[1]
        row, column = np.nonzero(values > kept[:, -1:])
        if not len(row):
            return
        touched, first, counts = np.unique(row, return_index=True, return_counts=True)
        place = k + np.arange(len(row)) - np.repeat(first, counts)
        line = np.repeat(np.arange(len(touched)), counts)
        width = k + int(counts.max())
        merged = np.full((len(touched), width), -np.inf, dtype=np.float32)
        names = np.full((len(touched), width), -1, dtype=np.int32)
        merged[:, :k], names[:, :k] = kept[touched], ids[touched]
        merged[line, place], names[line, place] = values[row, column], columns.start + column
        best = np.argsort(-merged, axis=1, kind="stable")[:, :k]
        kept[touched] = np.take_along_axis(merged, best, axis=1)
        ids[touched] = np.take_along_axis(names, best, axis=1)
