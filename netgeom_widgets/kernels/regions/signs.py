"""Signs of many pre-activations at many vertices: read once, in blocks that stay in the cache, and kept as bits."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK = 1 << 17  # numbers in a block, 1 MB of float64
_WORD = 64  # bits are padded to whole words, so that they can be combined as int64


def row_blocks(values: Tensor) -> Iterator[slice]:
    """Slices of rows of a matrix, each about a block."""
    rows = max(64, _BLOCK // max(1, values.shape[1]))
    for at in range(0, len(values), rows):
        yield slice(at, min(at + rows, len(values)))


def column_bounds(values: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of every column."""
    low, high = values[:1].amin(0), values[:1].amax(0)
    for part in row_blocks(values):
        torch.minimum(low, values[part].amin(0), out=low)
        torch.maximum(high, values[part].amax(0), out=high)
    return low, high


def bits_above(values: Tensor, thresholds: Tensor | float, columns: Tensor | None = None) -> Tensor:
    """(V, n) -> (V, B) uint8: bit i of byte j says whether (chosen) column 8j+i exceeds its threshold; padding is 0."""
    chosen = (values[part] if columns is None else values[part].index_select(1, columns) for part in row_blocks(values))
    return torch.cat([pack(block > thresholds) for block in chosen])


def bits_below(values: Tensor, thresholds: Tensor) -> Tensor:
    """As `bits_above`, for values below a threshold."""
    return torch.cat([pack(values[part] < thresholds) for part in row_blocks(values)])


def pack(flags: Tensor) -> Tensor:
    """(V, n) bool -> (V, B) uint8, B a multiple of eight."""
    n, columns = flags.shape
    if columns % _WORD:
        flags = torch.nn.functional.pad(flags, (0, -columns % _WORD))
    # Eight 0/1 bytes of a little-endian word times this number: the top byte collects them, first byte in the lowest
    # bit.
    words = flags.contiguous().view(torch.uint8).view(torch.int64)
    return ((words * 0x0102040810204080) >> 56).to(torch.uint8).view(n, -1)


def words(bits: Tensor) -> Tensor:
    """The same bits, 64 to a number."""
    return bits.view(torch.int64)


def set_bits(bits: Tensor) -> tuple[Tensor, Tensor]:
    """(row, column) of every bit that is set, sorted by row."""
    row, byte = torch.nonzero(bits, as_tuple=True)
    hit, bit = torch.nonzero(_OF_BYTE[bits[row, byte].long()], as_tuple=True)
    return row[hit], byte[hit] * 8 + bit


_OF_BYTE = (torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1
