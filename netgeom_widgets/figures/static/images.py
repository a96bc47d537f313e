"""Image glyphs."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import glyphs as bokeh_glyphs
from matplotlib.image import AxesImage

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.sprite_marks import is_sprites, tiles_of
from netgeom_widgets.figures.static.colours import map_colours
from netgeom_widgets.figures.static.columns import Rows
from netgeom_widgets.figures.static.frame import Coordinates

_ANCHOR = {"left": 0.0, "center": 0.5, "right": 1.0, "bottom": 0.0, "top": 1.0}


def _anchor(rows: Rows) -> tuple[float, float]:
    """Fractions of the image left of and below its anchor."""
    anchor = rows.scalar("anchor")
    if isinstance(anchor, str):
        words = anchor.split("_")
        across = next((word for word in words if word in ("left", "right")), "center")
        down = next((word for word in words if word in ("top", "bottom")), "center")
        return _ANCHOR[across], _ANCHOR[down]
    across, down = anchor
    x = _ANCHOR[across] if isinstance(across, str) else float(across)
    return x, _ANCHOR[down] if isinstance(down, str) else 1 - float(down)


def _pixel_boxes(rows: Rows, at: Coordinates) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """left, right, bottom, top in parts of the frame of images whose size is given in pixels; None for all others."""
    sized = [rows.in_pixels(name) for name in ("dw", "dh")]
    if not any(sized):
        return None
    if not all(sized):
        raise NetgeomError("The static renderer needs both sizes of an image in pixels, or none.")
    before, below = _anchor(rows)
    width, height = (rows.numbers(name, ("screen",)) / size for name, size in zip(("dw", "dh"), at.size, strict=True))
    x, y = at.x.fraction(rows.numbers("x")), at.y.fraction(rows.numbers("y"))
    return x - before * width, x + (1 - before) * width, y - below * height, y + (1 - below) * height


def image_bounds(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """X and y numbers of images for automatic ranges: their corners, or their anchors where their size is in pixels."""
    if rows.in_pixels("dw") or rows.in_pixels("dh"):
        return rows.numbers("x"), rows.numbers("y")
    left, right, bottom, top = image_boxes(rows)
    return np.concatenate([left, right]), np.concatenate([bottom, top])


def image_boxes(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """left, right, bottom, top of each image in data coordinates."""
    x, y, width, height = (rows.numbers(name) for name in ("x", "y", "dw", "dh"))
    before, below = _anchor(rows)
    return x - before * width, x + (1 - before) * width, y - below * height, y + (1 - below) * height


def _pixels(rows: Rows, image: Any) -> np.ndarray:
    """RGBA (h, w, 4) uint8 of one image."""
    if type(rows.model) is bokeh_glyphs.ImageRGBA:
        array = np.asarray(image)
        if array.ndim == 3 and array.shape[2] == 4:
            return array.astype(np.uint8)
        if array.ndim != 2:
            raise NetgeomError("An RGBA image has a wrong shape.", expected="(h, w) or (h, w, 4)", got=str(array.shape))
        return np.ascontiguousarray(array.astype("<u4")).view(np.uint8).reshape(*array.shape, 4)
    array = np.asarray(image)
    if array.ndim != 2:
        raise NetgeomError("An image has a wrong shape.", expected="(h, w)", got=str(array.shape))
    return np.rint(map_colours(rows.model.color_mapper, array) * 255).astype(np.uint8)


def _images(rows: Rows) -> list[Any]:
    """The array of each row, tiles of a sprite sheet included."""
    vector, value, transform = rows.raw("image")
    if vector and is_sprites(transform):
        return tiles_of(transform, value)
    return rows.values("image")


def paint_image(rows: Rows, at: Coordinates) -> None:
    """Images stretched over their boxes, without smoothing; the box is straight on a log axis too."""
    boxes = _pixel_boxes(rows, at)
    if boxes is None:
        edges = image_boxes(rows)
        boxes = (*(at.x.fraction(edge) for edge in edges[:2]), *(at.y.fraction(edge) for edge in edges[2:]))
    left, right, bottom, top = boxes
    vertical, _, horizontal = rows.scalar("origin").partition("_")
    alphas = np.broadcast_to(rows.one_or_all("global_alpha"), len(rows))
    for row, image in enumerate(_images(rows)):
        pixels = _pixels(rows, image)
        pixels = pixels[:, ::-1] if horizontal == "right" else pixels
        box = (left[row], right[row], bottom[row], top[row])
        if not np.isfinite(box).all() or not pixels.size:
            continue
        artist = AxesImage(
            at.axes, extent=box, origin="lower" if vertical == "bottom" else "upper", interpolation="nearest",
            resample=False, transform=at.axes.transAxes,
        )  # fmt: skip
        artist.set_data(pixels)
        artist.set_alpha(float(alphas[row]))
        artist.set_clip_path(at.axes.patch)
        artist.set_zorder(at.next_order())
        at.axes.add_artist(artist)
