"""Signs and ranges of many pre-activations at many vertices: read in blocks that stay in the cache, kept as bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

_BLOCK = 1 << 16  # numbers in a block, half a megabyte of float64
_FEWEST_ROWS = 4
_WORD = 64  # bits are padded to whole words, so that they can be combined as int64


def row_blocks(start: int, stop: int, width: int) -> Iterator[slice]:
    """Slices of rows of a matrix, each about a block."""
    rows = max(_FEWEST_ROWS, _BLOCK // max(1, width))
    for at in range(start, stop, rows):
        yield slice(at, min(at + rows, stop))


class ColumnBounds:
    """Smallest and largest value of every column, over blocks of rows."""

    low: Tensor
    high: Tensor

    def see(self, values: Tensor) -> None:
        """Take some more rows (M, n) into account."""
        if not hasattr(self, "low"):
            self.low, self.high = values[0].clone(), values[0].clone()
        torch.minimum(self.low, values.amin(0), out=self.low)
        torch.maximum(self.high, values.amax(0), out=self.high)


def empty_bits(rows: int, columns: int) -> Tensor:
    """(rows, B) no bit set, for this many columns."""
    return torch.zeros((rows, -(-columns // _WORD) * (_WORD // 8)), dtype=torch.uint8)


def bits_above(values: Tensor, thresholds: Tensor | float, columns: Tensor | None = None) -> Tensor:
    """(V, n) -> (V, B) uint8: bit i of byte j says whether (chosen) column 8j+i exceeds its threshold; padding is 0."""
    return _bits(values, thresholds, columns, np.greater)


def bits_below(values: Tensor, thresholds: Tensor) -> Tensor:
    """As `bits_above`, for values below a threshold."""
    return _bits(values, thresholds, None, np.less)


def _bits(values: Tensor, thresholds: Tensor | float, columns: Tensor | None, compare: np.ufunc) -> Tensor:
    limits = thresholds.numpy() if isinstance(thresholds, Tensor) else thresholds
    found = empty_bits(len(values), values.shape[1] if columns is None else len(columns))
    for rows in row_blocks(0, len(values), values.shape[1]):
        block = values[rows] if columns is None else values[rows].index_select(1, columns)
        put_bits(found[rows], compare(block.numpy(), limits))
    return found


def put_bits(bits: Tensor, flags: np.ndarray) -> None:
    """Write (M, n) bool flags into (M, B) bits; numpy compares and packs several times as fast as torch."""
    bits.numpy()[:, : -(-flags.shape[1] // 8)] = np.packbits(flags, axis=1, bitorder="little")


def pack(flags: Tensor) -> Tensor:
    """(V, n) bool -> (V, B) uint8, B a multiple of eight."""
    found = empty_bits(*flags.shape)
    put_bits(found, flags.numpy())
    return found


def words(bits: Tensor) -> Tensor:
    """The same bits, 64 to a number."""
    return bits.view(torch.int64)


def set_bits(bits: Tensor) -> tuple[Tensor, Tensor]:
    """(row, column) of every bit that is set, sorted by row."""
    row, byte = torch.nonzero(bits, as_tuple=True)
    hit, bit = torch.nonzero(_OF_BYTE[bits[row, byte].long()], as_tuple=True)
    return row[hit], byte[hit] * 8 + bit


_OF_BYTE = (torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1
