"""The matrix that tiles on disk hold: its samples, and its rows and blocks in any order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, Shaped
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.similarity.tile_store import TileStore

Ids = slice | Sequence[int] | Shaped[ndarray, " ids"]


class TileMatrix:
    """What `SimilarityTiles` says without the summaries.

    Parameters
    ----------
    store : TileStore
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

    def rows(self, ids: Ids) -> Float32[ndarray, "r m"]:
        """Whole rows of the matrix; reads one file for each row and column of tiles, 1 MB each at the usual size.

        Raises
        ------
        NetgeomError
            An id that is not there.
        """
        return self.block(ids, np.arange(self.m))

    def __getitem__(self, rows: Ids | int) -> Float32[ndarray, "*shape"]:
        """Whole rows, as of an array: `seriate`, `nearest`, `neighbour_counts`, `near_threshold` take a store."""
        return self.rows([rows])[0] if isinstance(rows, int | np.integer) else self.rows(rows)

    def block(self, rows: Ids, columns: Ids) -> Float32[ndarray, "r c"]:
        """Any rows against any columns, in the order given; below the diagonal of a square matrix by symmetry.

        Parameters
        ----------
        rows, columns : slice, sequence of int, or mask

        Returns
        -------
        (r, c) float32
            NaN where a tile is not there yet.

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

    def _require_finished(self, what: str) -> None:
        done, total = self.progress
        if (done := min(done, self._store.n_covered())) < total:
            raise NetgeomError(
                f"{what} needs all tiles",
                expected=f"{total:,} tiles",
                got=f"{done:,} so far",
                try_this="similarity_tiles with the same arguments: it goes on where it stopped",
            )


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
