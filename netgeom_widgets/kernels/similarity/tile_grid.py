"""Which tiles a matrix of similarities is cut into, and the one order in which they are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

_OVERVIEW = 1024  # cells along the longer side of the finest overview, at most


@dataclass(frozen=True)
class TileGrid:
    """An n x m matrix in square tiles.

    Attributes
    ----------
    n, m : int
        Rows and columns of the matrix.
    side : int
        Rows and columns of a tile, a power of two; those at the lower and right border are smaller.
    half : bool
        The matrix is symmetric: only tiles on and above the diagonal are made.
    panel : int
        Tiles go panel by panel, a panel being so many tile columns: what belongs to its columns stays in memory while
        the rows go by.
    """

    n: int
    m: int
    side: int
    half: bool
    panel: int

    @property
    def n_rows(self) -> int:
        """Rows of tiles."""
        return -(-self.n // self.side)

    @property
    def n_columns(self) -> int:
        """Columns of tiles."""
        return -(-self.m // self.side)

    def rows(self, row: int) -> slice:
        """The rows of the matrix that a row of tiles covers."""
        return slice(row * self.side, min((row + 1) * self.side, self.n))

    def columns(self, column: int) -> slice:
        """The columns of the matrix that a column of tiles covers."""
        return slice(column * self.side, min((column + 1) * self.side, self.m))

    @cached_property
    def order(self) -> Int64[ndarray, "tiles 2"]:
        """Row and column of every tile, in the order in which they are made.

        Whatever the panels, each row of the matrix meets its columns in ascending order (below the diagonal as mirror
        images), so that sums come out the same and ties of the nearest go to the smaller id.
        """
        return np.array(
            [
                (row, column)
                for first in range(0, self.n_columns, self.panel)
                for row in range(min(first + self.panel, self.n_rows) if self.half else self.n_rows)
                for column in range(max(first, row) if self.half else first, min(first + self.panel, self.n_columns))
            ],
            dtype=np.int64,
        )

    def place(self, index: int) -> tuple[int, int]:
        """Row and column of the tile that is made as number `index`."""
        row, column = self.order[index]
        return int(row), int(column)

    @property
    def n_tiles(self) -> int:
        """Tiles in all."""
        return self.n_rows * (self.n_rows + 1) // 2 if self.half else self.n_rows * self.n_columns

    @property
    def n_bytes(self) -> int:
        """Size of all tiles on disk; those at the border are stored whole."""
        return 4 * self.side**2 * self.n_tiles

    @property
    def cell(self) -> int:
        """Rows and columns of the matrix in one cell of the finest overview: a power of two, at most a tile."""
        wanted = -(-max(self.n, self.m) // _OVERVIEW)
        return min(self.side, 1 << (wanted - 1).bit_length())

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the finest overview."""
        return -(-self.n // self.cell), -(-self.m // self.cell)
