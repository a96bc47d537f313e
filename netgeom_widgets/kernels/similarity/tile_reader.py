"""What the tiles on disk say: neighbour counts, the nearest, classes, an overview, and the matrix itself."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, Shaped
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, as_cancel
from netgeom_widgets.kernels.similarity.ordering import seriate
from netgeom_widgets.kernels.similarity.tile_matrix import TileMatrix
from netgeom_widgets.kernels.similarity.tile_store import TileStore
from netgeom_widgets.kernels.similarity.tile_summaries import POWERS, Summaries, histogram_edges


class SimilarityTiles(TileMatrix):
    """Similarities of many inputs, on disk in tiles; made by `similarity_tiles`, opened by `open_tiles`.

    Nothing here holds the n x m matrix. What the summaries answer is read once and kept; `rows` and `block` read the
    tiles that they need. A store may be read while it is being written: `progress` is always that of now, entries of
    tiles that are not there yet are NaN, and what needs all tiles is refused until they are there.

    Attributes
    ----------
    path : pathlib.Path
    n, m : int
        Rows (inputs) and columns (the inputs again, or the others).
    kernel, output : str
    model_digest : str
        Of weights, buffers and the parameters that count.
    method : dict of str to str
        How the gradients of each parameter were taken, as in `Similarity`.
    notes : tuple of str
        What was found unfit for the faster path, and why.
    versions : dict of str to str
        Of the libraries that made the store.
    """

    def __init__(self, store: TileStore) -> None:
        super().__init__(store)
        self._summaries: tuple[int, Summaries] | None = None

    # ---------------------------------------------------------------------------------------------------------- counts

    @property
    def edges(self) -> Float64[ndarray, " edges"]:
        """Edges of the histograms' bins, ``(2 b - bins) / bins``; bin b holds edge b < k <= edge b + 1.

        The first and the last bin also hold what rounding put beyond -1 and 1.
        """
        return histogram_edges(int(self._store.settings["kept"]["bins"]))

    @property
    def histogram(self) -> Int32[ndarray, "n bins"]:
        """How many similarities of each row lie in each bin; its own included as it stands."""
        return self._all.histogram

    @property
    def soft(self) -> Float64[ndarray, " n"]:
        """Soft neighbour counts: the sum of each row, its own similarity included."""
        return self._all.sums[:, 0]

    def less_soft(self, power: int) -> Float64[ndarray, " n"]:
        """Less-soft neighbour counts: the sum of max(k, 0)^power over each row, its own similarity included.

        Raises
        ------
        NetgeomError
            Another power than 2, 3 or 4: those are added up while the tiles are made.
        """
        if power not in POWERS[1:] or isinstance(power, bool):
            raise NetgeomError(
                "This power was not kept",
                expected=", ".join(map(str, POWERS[1:])),
                got=f"{power!r}",
                try_this="neighbour_counts(tiles, kind='less_soft', power=...), which reads every tile",
            )
        return self._all.sums[:, POWERS.index(power)]

    def nearest_edge(self, threshold: float) -> float:
        """The edge of the histograms' bins that is nearest to a threshold: what `hard_counts` counts beyond."""
        return float(self.edges[np.abs(self.edges - _as_threshold(threshold)).argmin()])

    def hard_counts(
        self, threshold: float, *, exact: bool = False, cancel: Cancel | None = None
    ) -> Int64[ndarray, " n"]:
        """How many similarities of each row are strictly greater than a threshold, its own included as it stands.

        Parameters
        ----------
        threshold : float
            From -1 to 1.
        exact : bool
            False: at the resolution of the histograms, without reading a tile: the exact count at `nearest_edge`.
            True: at the threshold itself, by reading every tile.
        cancel : Cancel, optional

        Raises
        ------
        NetgeomError
            A threshold outside -1..1, or tiles that are still missing.
        """
        threshold = _as_threshold(threshold)
        if not exact:
            first = int(np.abs(self.edges - threshold).argmin())
            # Edges -1 and 1 are the ends of bins that also hold what rounding put beyond them.
            return self.histogram[:, first:].sum(axis=1, dtype=np.int64)
        return self._exact_counts(threshold, as_cancel(cancel))

    def _exact_counts(self, threshold: float, cancel: Cancel) -> Int64[ndarray, " n"]:
        """Each tile is read once, for its rows and, above the diagonal, for its columns."""
        self._require_finished("An exact count")
        # k > threshold exactly when k > the largest float32 that is not above it
        below = np.float32(threshold)
        below = np.nextafter(below, np.float32(-2)) if below > threshold else below
        found = np.zeros(self.n, dtype=np.int64)
        for row, column in map(self._grid.place, range(self._grid.n_tiles)):
            cancel.checkpoint()
            beyond = self._store.read_tile(row, column) > below
            found[self._grid.rows(row)] += np.count_nonzero(beyond, axis=1)
            if self._grid.half and row != column:
                found[self._grid.columns(column)] += np.count_nonzero(beyond, axis=0)
        return found

    @property
    def top(self) -> tuple[Int32[ndarray, "n k"], Float32[ndarray, "n k"]]:
        """Ids and similarities of the nearest of each row, greatest first; itself left out, ties by the smaller id."""
        return self._all.top_ids, self._all.top_values

    @property
    def class_means(self) -> tuple[Shaped[ndarray, " R"], Shaped[ndarray, " C"], Float64[ndarray, "R C"]]:
        """Classes of rows and columns, and the mean similarity over the pairs of each two, own pairs included.

        Raises
        ------
        NetgeomError
            No labels were given, or tiles are still missing.
        """
        labels, others = self.labels, self.other_labels
        if labels is None or others is None:
            raise NetgeomError("There are no classes", expected="labels given to similarity_tiles", got="none")
        (rows, n_rows), (columns, n_columns) = (np.unique(x, return_counts=True) for x in (labels, others))
        return rows, columns, self._all.class_sums / np.outer(n_rows, n_columns)

    @cached_property
    def order(self) -> Int32[ndarray, " n"]:
        """Order in which similar inputs stand side by side, by `seriate`; above 1,500 inputs it reads 1,000 rows."""
        self._require_finished("An order")
        return seriate(self)

    # -------------------------------------------------------------------------------------------------------- overview

    @property
    def n_levels(self) -> int:
        """Overviews: each has half the cells of the one before along either side, the last is a single cell."""
        return 1 + int(max(self._grid.cells) - 1).bit_length()

    def cell(self, level: int = 0) -> int:
        """Rows and columns of the matrix in one cell of an overview."""
        if level not in range(self.n_levels):
            raise NetgeomError("There is no such overview", expected=f"0 to {self.n_levels - 1}", got=f"{level!r}")
        return self._grid.cell << level

    def overview(self, level: int = 0, statistic: Literal["mean", "max"] = "mean") -> Float32[ndarray, "r c"]:
        """The matrix in its original order, reduced: one number for the pairs in each square of ``cell(level)``.

        Parameters
        ----------
        level : int
            0 has at most about 1024 cells along a side, each further level half as many.
        statistic : {"mean", "max"}
            Over the pairs in the square.

        Returns
        -------
        (r, c) float32
            NaN where a tile was still missing when the summaries were last kept, about every minute.

        Raises
        ------
        NetgeomError
            Another level or statistic.
        """
        if statistic not in ("mean", "max"):
            raise NetgeomError("The statistic is not known", expected="'mean' or 'max'", got=f"{statistic!r}")
        side, summaries = self.cell(level), self._now()
        step = side // self._grid.cell
        starts = [np.arange(0, cells, step) for cells in self._grid.cells]
        reduce = np.maximum.reduceat if statistic == "max" else np.add.reduceat
        cells = summaries.cell_maxima if statistic == "max" else summaries.cell_sums
        missing = np.isneginf(summaries.cell_maxima)
        found = reduce(reduce(np.where(missing, np.nan, cells), starts[0], axis=0), starts[1], axis=1)
        if statistic == "mean":
            heights, widths = (
                np.minimum(side, length - side * np.arange(len(s)))
                for s, length in zip(starts, self.shape, strict=True)
            )
            found = found / np.outer(heights, widths)
        return found.astype(np.float32)

    # -------------------------------------------------------------------------------------------------------- summaries

    @property
    def _all(self) -> Summaries:
        self._require_finished("The summary")
        return self._now()

    def _now(self) -> Summaries:
        if self._summaries is None or self._summaries[0] < self._grid.n_tiles:
            count, found = self._store.read_summaries()
            if found is None:
                kept = self._store.settings["kept"]
                found = Summaries.empty(self._grid, bins=kept["bins"], top=kept["top"])
            self._summaries = count, found
        return self._summaries[1]


def open_tiles(path: str | Path) -> SimilarityTiles:
    """Open what `similarity_tiles` wrote, finished or not, also while it is being written.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    SimilarityTiles

    Raises
    ------
    NetgeomError
        No such store at the path, or one of a newer version.
    """
    return SimilarityTiles(TileStore(Path(path)))


def _as_threshold(threshold: Any) -> float:
    if not isinstance(threshold, int | float | np.number) or not -1 <= threshold <= 1:
        raise NetgeomError("The threshold is out of range", expected="a number from -1 to 1", got=f"{threshold!r}")
    return float(threshold)
