"""Thumbnails of samples as one picture, a sprite sheet, that a browser gets once."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from netgeom_widgets.errors import NetgeomError, TooLargeError

TILE = 32
"""Longest side of a thumbnail in pixels, by default."""

MAX_PIXELS = 32_000_000
"""Largest sheet: 128 MB of RGBA, and below what browsers allow for one canvas."""

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, eq=False)
class SpriteSheet:
    """Thumbnails of N samples; make one with :meth:`of`.

    Attributes
    ----------
    tiles : (N, h, w, 4) uint8
        RGBA, first row on top.
    ids : (N,) int64
        Sample id of each tile.
    """

    tiles: UInt8[np.ndarray, "N h w 4"]
    ids: Int[np.ndarray, " N"]

    @classmethod
    def of(cls, images: Any, ids: Iterable[int] | None = None, tile: int = TILE) -> SpriteSheet:
        """Thumbnails of images.

        Parameters
        ----------
        images : array_like
            (N, h, w), (N, h, w, c) or (N, c, h, w) with c in 1, 3, 4; where both readings fit, channels come last.
            uint8 is taken as it is. Every other type: values within 0..1 are taken as black to white; otherwise the
            least and the greatest value of all images together become black and white. An alpha channel that is not
            uint8 must lie within 0..1.
        ids : iterable of int, optional
            Sample ids; 0..N-1 by default.
        tile : int
            Longest side of a thumbnail. Larger images are averaged down, smaller ones stay as they are.

        Raises
        ------
        NetgeomError
            For another shape, for NaN or infinity, for ids that do not match.
        TooLargeError
            For more than `MAX_PIXELS` pixels.

        Notes
        -----
        O(pixels of all images).
        """
        array = images if isinstance(images, np.ndarray) else np.asarray(images)
        if not is_image_shape(array.shape):
            raise NetgeomError(
                "These are no images.",
                expected="(N, h, w), (N, h, w, c) or (N, c, h, w) with c = 1, 3 or 4, N > 0",
                got=f"shape {array.shape}",
            )
        if array.dtype.kind not in "buif":
            raise NetgeomError("Images must be numbers.", expected="uint8 or float", got=str(array.dtype))
        if not isinstance(tile, (int, np.integer)) or tile < 1:
            raise NetgeomError("A thumbnail needs a size.", expected="tile: an integer >= 1", got=repr(tile))
        known = np.arange(len(array)) if ids is None else np.fromiter(ids, dtype=np.int64)
        if len(known) != len(array) or len(np.unique(known)) != len(known):
            raise NetgeomError(
                "Every image needs an id of its own.", expected=f"{len(array)} distinct ids", got=f"{len(known)} ids"
            )
        array = _channels_last(array)
        height, width = array.shape[1:3]
        factor = max(1, math.ceil(max(height, width) / tile))
        pixels = len(array) * math.ceil(height / factor) * math.ceil(width / factor)
        if pixels > MAX_PIXELS:
            raise TooLargeError(
                "The thumbnails are too many for one sheet.",
                expected=f"at most {MAX_PIXELS:,} pixels",
                got=f"{pixels:,} ({len(array):,} images)",
                try_this="a smaller tile, or thumbnails of fewer samples",
            )
        black, white = black_and_white(array)
        # Block by block: the float copy of all images at once would be many times the sheet.
        rows = max(1, 4_000_000 // array[0].size)
        parts = [_tiles(array[at : at + rows], factor, black, white) for at in range(0, len(array), rows)]
        return cls(np.concatenate(parts), known.astype(np.int64))

    def __len__(self) -> int:
        """How many thumbnails."""
        return len(self.tiles)

    @property
    def tile_size(self) -> tuple[int, int]:
        """Width and height of a tile in pixels."""
        return self.tiles.shape[2], self.tiles.shape[1]

    @property
    def columns(self) -> int:
        """Tiles in a row of the sheet, which is about square."""
        width, height = self.tile_size
        return max(1, min(len(self), round(math.sqrt(len(self) * height / width))))

    @cached_property
    def _place_of(self) -> dict[int, int]:
        return {int(sample): at for at, sample in enumerate(self.ids.tolist())}

    def places(self, ids: Iterable[int]) -> list[int]:
        """Tile number of each sample; -1 for those without a thumbnail."""
        return [self._place_of.get(int(sample), -1) for sample in ids]

    def rgba(self, place: int) -> UInt8[np.ndarray, "h w 4"]:
        """One tile."""
        return self.tiles[place]

    def sheet(self) -> UInt8[np.ndarray, "H W 4"]:
        """All tiles side by side, row by row; what is left over is transparent."""
        n, height, width = self.tiles.shape[:3]
        columns = self.columns
        rows = math.ceil(n / columns)
        whole = np.zeros((rows * columns, height, width, 4), dtype=np.uint8)
        whole[:n] = self.tiles
        return whole.reshape(rows, columns, height, width, 4).swapaxes(1, 2).reshape(rows * height, columns * width, 4)

    @cached_property
    def png(self) -> bytes:
        """The sheet as a PNG file, in grey or without alpha where that loses nothing."""
        return to_png(self.sheet())

    def data_url(self) -> str:
        """The sheet as a data: URL."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def is_image_shape(shape: Sequence[int]) -> bool:
    """Whether an array of this shape holds images that :meth:`SpriteSheet.of` takes."""
    if len(shape) not in (3, 4) or min(shape, default=0) < 1:
        return False
    return len(shape) == 3 or shape[3] in _CHANNELS or shape[1] in _CHANNELS


def looks_like_images(inputs: np.ndarray) -> bool:
    """Whether inputs are images: three axes may also be words of a text, so those must be square or bytes."""
    if not is_image_shape(inputs.shape):
        return False
    return inputs.ndim == 4 or inputs.dtype == np.uint8 or inputs.shape[1] == inputs.shape[2]


def to_png(pixels: UInt8[np.ndarray, "h w 4"]) -> bytes:
    """A PNG file (W3C, Portable Network Graphics, 2nd edition) of RGBA pixels, no larger a colour type than needed."""
    opaque = bool((pixels[..., 3] == 255).all())
    grey = opaque and bool((pixels[..., :1] == pixels[..., 1:3]).all())
    kind, channels = (0, pixels[..., :1]) if grey else (2, pixels[..., :3]) if opaque else (6, pixels)
    height, width = pixels.shape[:2]
    lines = _filtered(np.ascontiguousarray(channels))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    body = zlib.compress(lines, 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _filtered(channels: np.ndarray) -> bytes:
    """Scan lines under the filter that packs a sample of them best: none (0), sub (1) or up (2)."""
    height = len(channels)

    def under(number: int, rows: np.ndarray, above: np.ndarray) -> np.ndarray:
        change = rows.copy()
        if number == 1:
            change[:, 1:] -= rows[:, :-1]
        elif number == 2:
            change -= above
        return np.insert(change.reshape(len(rows), -1), 0, number, axis=1)

    above = np.concatenate([np.zeros_like(channels[:1]), channels[:-1]])
    some = slice(0, min(height, 256))
    best = min(range(3), key=lambda number: len(zlib.compress(under(number, channels[some], above[some]).tobytes(), 1)))
    return under(best, channels, above).tobytes()


def _channels_last(array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        return array[..., None]
    return array if array.shape[3] in _CHANNELS else np.moveaxis(array, 1, 3)


def black_and_white(array: np.ndarray) -> tuple[float, float]:
    """Values that :meth:`SpriteSheet.of` shows black and white, of an array (N, h, w, c)."""
    if array.dtype == np.uint8:
        return 0.0, 255.0
    colours = array[..., : min(array.shape[3], 3)]
    low, high = float(colours.min()), float(colours.max())
    if array.shape[3] == 4:
        alpha = float(array[..., 3].min()), float(array[..., 3].max())
        if not (alpha[0] >= 0 and alpha[1] <= 1):  # NaN compares false
            raise NetgeomError("The alpha channel is out of range.", expected="0 to 1", got=f"{alpha[0]} to {alpha[1]}")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NetgeomError("Images must be finite.", expected="no NaN, no infinity", got=f"values {low} to {high}")
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _tiles(array: np.ndarray, factor: int, black: float, white: float) -> np.ndarray:
    """RGBA tiles of one block of images."""
    n, depth = len(array), array.shape[3]
    colours = min(depth, 3)
    values = array.astype(np.float64)
    if factor > 1:
        values = _averaged(_averaged(values, factor, 1), factor, 2)
    tiles = np.full((n, *values.shape[1:3], 4), 255, dtype=np.uint8)
    tiles[..., :3] = np.rint((values[..., :colours] - black) / (white - black) * 255)
    if depth == 4:
        tiles[..., 3] = np.rint(values[..., 3] * (1 if array.dtype == np.uint8 else 255))
    return tiles


def _averaged(values: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """Means of `factor` neighbours along an axis; the last group may be smaller."""
    starts = np.arange(0, values.shape[axis], factor)
    sums = np.add.reduceat(values, starts, axis=axis)
    sizes = np.diff([*starts.tolist(), values.shape[axis]]).astype(float)
    shape = [1] * values.ndim
    shape[axis] = len(sizes)
    return sums / sizes.reshape(shape)
