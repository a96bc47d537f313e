"""What the tiles on disk say: rows and blocks of the matrix, counts, the nearest, an overview."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, Shaped
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, as_cancel
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.similarity.ordering import seriate
from netgeom_widgets.kernels.similarity.tile_store import TileStore
from netgeom_widgets.kernels.similarity.tile_summaries import POWERS, Summaries, histogram_edges


class SimilarityTiles:
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
        about = store.settings
        self._store, self._grid = store, store.grid
        self.path = store.path
        self.n, self.m = store.grid.n, store.grid.m
        self.kernel, self.output, self.model_digest = (about["of"][key] for key in ("kernel", "output", "model"))
        self.method: dict[str, str] = dict(about["method"])
        self.notes: tuple[str, ...] = tuple(about["notes"])
        self.versions: dict[str, str] = dict(about["versions"])
        self._summaries: tuple[int, Summaries] | None = None

    def __repr__(self) -> str:
        done, total = self.progress
        state = "" if done == total else f", {done:,} of {total:,} tiles"
        return f"<SimilarityTiles {self.n:,} x {self.m:,}, {self.kernel} kernel{state}, {str(self.path)!r}>"

    # ----------------------------------------------------------------------------------------------- state and samples

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        return self.n, self.m

    @property
    def is_square(self) -> bool:
        """Whether the columns are the inputs themselves; the matrix is symmetric then."""
        return self._grid.half

    @property
    def n_bytes(self) -> int:
        """Size of all tiles on disk."""
        return self._grid.n_bytes

    @property
    def progress(self) -> tuple[int, int]:
        """Complete tiles, and tiles in all."""
        return self._store.n_committed, self._grid.n_tiles

    @property
    def finished(self) -> bool:
        """Whether all tiles are there."""
        done, total = self.progress
        return done == total

    @cached_property
    def labels(self) -> Shaped[ndarray, " n"] | None:
        """Class of each input as given; None when none was."""
        return self._store.read("labels")

    @cached_property
    def other_labels(self) -> Shaped[ndarray, " m"] | None:
        """Class of each column: the labels again in a square matrix."""
        return self.labels if self.is_square else self._store.read("other_labels")

    @property
    def zero_gradient(self) -> Bool[ndarray, " n"]:
        """Inputs whose gradient vanishes: similarity 0 with everything, themselves included."""
        return self._of_samples("zero_gradient")

    @property
    def zero_gradient_others(self) -> Bool[ndarray, " m"]:
        """The same for the columns."""
        return self._of_samples("zero_gradient" if self.is_square else "zero_gradient_others")

    @property
    def rank(self) -> Int32[ndarray, " n"]:
        """Rank of K(x, x) of each input."""
        return self._of_samples("rank")

    @property
    def outputs(self) -> Float32[ndarray, "n C"]:
        """The network's outputs."""
        return self._of_samples("outputs")

    def _of_samples(self, name: str) -> Any:
        self._require_finished(name)
        return self._store.read(name)

    # ------------------------------------------------------------------------------------------------------- the matrix

    def rows(self, ids: slice | Sequence[int] | Int64[ndarray, " r"]) -> Float32[ndarray, "r m"]:
        """Whole rows of the matrix; reads one file for each row and column of tiles, 1 MB each at the usual size.

        Raises
        ------
        NetgeomError
            An id that is not there.
        """
        return self.block(ids, np.arange(self.m))

    def __getitem__(self, rows: slice | int | Sequence[int]) -> Float32[ndarray, ...]:
        """Whole rows, as of an array: `seriate`, `nearest`, `neighbour_counts`, `near_threshold` take a store."""
        return self.rows([rows])[0] if isinstance(rows, int | np.integer) else self.rows(rows)

    def block(
        self, rows: slice | Sequence[int] | Int64[ndarray, " r"], columns: slice | Sequence[int] | Int64[ndarray, " c"]
    ) -> Float32[ndarray, "r c"]:
        """Any rows against any columns, in the order given; below the diagonal of a square matrix by symmetry.

        Raises
        ------
        NetgeomError
            An id that is not there, or more numbers than fit in memory.
        """
        at, to = _ids(rows, self.n, "rows"), _ids(columns, self.m, "columns")
        require_memory(4 * len(at) * len(to), "This part of the matrix", "fewer rows or columns, or overview(...)")
        found = np.full((len(at), len(to)), np.nan, dtype=np.float32)
        done = self._store.n_committed
        columns_by_tile = _by_tile(to, self._grid.side)
        for row, r in _by_tile(at, self._grid.side):
            for column, c in columns_by_tile:
                lines, places = at[r] % self._grid.side, to[c] % self._grid.side
                if self._grid.half and row > column:
                    if self._number[column, row] < done:
                        found[np.ix_(r, c)] = self._store.read_part(column, row, places, lines).T
                elif self._number[row, column] < done:
                    found[np.ix_(r, c)] = self._store.read_part(row, column, lines, places)
        return found

    @cached_property
    def _number(self) -> Int64[ndarray, "R C"]:
        """When each tile is made."""
        found = np.full((self._grid.n_rows, self._grid.n_columns), self._grid.n_tiles)
        found[tuple(self._grid.order.T)] = np.arange(self._grid.n_tiles)
        return found

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

    def _require_finished(self, what: str) -> None:
        done, total = self.progress
        kept = total if self._summaries is not None and self._summaries[0] == total else self._store.n_covered()
        if min(done, kept) < total:
            raise NetgeomError(
                f"{what} needs all tiles",
                expected=f"{total:,} tiles",
                got=f"{min(done, kept):,} so far",
                try_this="similarity_tiles with the same arguments: it goes on where it stopped",
            )


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


def _ids(given: Any, length: int, what: str) -> Int64[ndarray, " ids"]:
    if isinstance(given, slice):
        return np.arange(length)[given]
    ids = np.asarray(given)
    if ids.dtype.kind == "b" and ids.shape == (length,):
        return np.flatnonzero(ids)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise NetgeomError(
            f"The {what} are not understood",
            expected="whole numbers, a mask or a slice",
            got=f"shape {ids.shape}, {ids.dtype}",
        )
    ids = ids.astype(np.int64)
    if ids.size and (ids.min() < 0 or ids.max() >= length):
        wrong = ids[(ids < 0) | (ids >= length)][0]
        raise NetgeomError(f"The {what} name one that is not there", expected=f"0 to {length - 1}", got=f"{wrong}")
    return ids


def _by_tile(ids: Int64[ndarray, " ids"], side: int) -> list[tuple[int, Int64[ndarray, " places"]]]:
    tiles = ids // side
    return [(int(tile), np.flatnonzero(tiles == tile)) for tile in np.unique(tiles)]


def _as_threshold(threshold: Any) -> float:
    if not isinstance(threshold, int | float | np.number) or not -1 <= threshold <= 1:
        raise NetgeomError("The threshold is out of range", expected="a number from -1 to 1", got=f"{threshold!r}")
    return float(threshold)
