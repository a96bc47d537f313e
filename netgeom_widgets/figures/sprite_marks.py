"""Thumbnails in Bokeh plots: marks of a fixed size on the screen, and pictures in hover boxes, from one sheet.

A browser gets the sheet once, as a PNG in a data source. Glyphs and hover boxes name tiles by number; small functions
cut the tiles out of the decoded sheet there. So moving marks, or choosing other samples, sends no pixels again.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSHover, CustomJSTransform, GlyphRenderer, Plot
from bokeh.models.glyphs import ImageRGBA
from jaxtyping import UInt8
from matplotlib.image import imread

from netgeom_widgets.figures.sprites import SpriteSheet

_NAME = "netgeom sprites"

# The decoded sheet stays with its data source, so it goes when the document goes. Whoever asks before it is decoded
# gets nothing, and is drawn again when it has come.
_OPEN = """
const held = sheet.netgeom_sheet ??= {ctx: null, waiting: new Set(), image: null}
if (held.image == null) {
  held.image = new Image()
  held.image.onload = () => {
    const canvas = document.createElement("canvas")
    canvas.width = held.image.width
    canvas.height = held.image.height
    held.ctx = canvas.getContext("2d", {willReadFrequently: true})
    held.ctx.drawImage(held.image, 0, 0)
    for (const source of held.waiting) source.change.emit()
    held.waiting.clear()
  }
  held.image.src = sheet.data.png[0]
}
"""
_CUT = (
    _OPEN
    + """
if (held.ctx == null) held.waiting.add(marks)
return Array.from(xs, (tile) => {
  const here = held.ctx != null && tile >= 0
  const [w, h] = here ? [width, height] : [1, 1]
  const left = tile % columns * width, top = Math.floor(tile / columns) * height
  const pixels = here ? new Uint32Array(held.ctx.getImageData(left, top, w, h).data.buffer) : new Uint32Array(1)
  return Object.assign(pixels, {dimension: 2, shape: [h, w]})
})
"""
)
_PICTURE = (
    _OPEN
    + """
const canvas = document.createElement("canvas")
const known = held.ctx != null && value >= 0
canvas.width = known ? width : 1
canvas.height = known ? height : 1
if (known) {
  const left = value % columns * width, top = Math.floor(value / columns) * height
  canvas.getContext("2d").drawImage(held.ctx.canvas, left, top, width, height, 0, 0, width, height)
}
return canvas.toDataURL()
"""
)


class SpriteMarks:
    """One sheet in a document, and what draws from it.

    Parameters
    ----------
    sprites : SpriteSheet
    """

    def __init__(self, sprites: SpriteSheet) -> None:
        self.sprites = sprites
        width, height = sprites.tile_size
        self._source = ColumnDataSource({"png": [sprites.data_url()]}, name=_NAME)
        self._grid: dict[str, Any] = {"columns": sprites.columns, "width": width, "height": height}

    def size_within(self, side: float) -> tuple[float, float]:
        """Width and height on the screen of a thumbnail whose longer side has this length."""
        width, height = self.sprites.tile_size
        return side * width / max(width, height), side * height / max(width, height)

    def add(self, plot: Plot, source: ColumnDataSource, side: float, **more: Any) -> GlyphRenderer:
        """Draw tiles at the columns x, y, tile of a source, `side` pixels on the screen."""
        width, height = self.size_within(side)
        cut = CustomJSTransform(args={"sheet": self._source, "marks": source, **self._grid}, v_func=_CUT, name=_NAME)
        glyph = ImageRGBA(
            x="x",
            y="y",
            image={"field": "tile", "transform": cut},
            dw={"value": width, "units": "screen"},
            dh={"value": height, "units": "screen"},
            anchor="center",
            origin="top_left",
            **more,
        )
        return plot.add_glyph(source, glyph)

    def resize(self, renderer: GlyphRenderer, side: float) -> None:
        """Draw the tiles of :meth:`add` with another size from now on."""
        width, height = self.size_within(side)
        renderer.glyph.update(dw={"value": width, "units": "screen"}, dh={"value": height, "units": "screen"})

    def hover(self) -> CustomJSHover:
        """Formatter of a tile number: the address of its picture, for the `src` of an image."""
        return CustomJSHover(args={"sheet": self._source, **self._grid}, code=_PICTURE)


def is_sprites(transform: Any) -> bool:
    """Whether a transform turns tile numbers into pixels as :meth:`SpriteMarks.add` has it."""
    return isinstance(transform, CustomJSTransform) and transform.name == _NAME


def tiles_of(transform: CustomJSTransform, places: Any) -> list[UInt8[np.ndarray, "h w 4"]]:
    """The tiles that such a transform gives in a browser; transparent ones for numbers below zero."""
    columns, width, height = (int(transform.args[name]) for name in ("columns", "width", "height"))
    sheet = _decoded(transform.args["sheet"].data["png"][0])
    empty = np.zeros((1, 1, 4), dtype=np.uint8)
    found = []
    for place in np.asarray(places, dtype=int).tolist():
        row, column = divmod(place, columns)
        box = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        found.append(box if place >= 0 else empty)
    return found


@lru_cache(maxsize=4)
def _decoded(url: str) -> np.ndarray:
    pixels = imread(io.BytesIO(base64.b64decode(url.partition(",")[2])), format="png")
    pixels = np.rint(pixels * 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)], axis=2)
