"""Bokeh figures redrawn with matplotlib: PNG, SVG and PDF without a browser.

What a glyph, annotation, mapper, ticker or layout is not known to, raises an error with its name: a picture never
leaves something out silently. Text is literal; fonts are those shipped with matplotlib; the same root gives the same
bytes.
"""

from __future__ import annotations

import io
import math
import re
import threading
from pathlib import Path
from typing import Any, Literal

from bokeh.models import LayoutDOM, Plot, Spacer
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.figures.static.canvas import Box, Canvas
from netgeom_widgets.figures.static.layout import height_at, natural_width, place, readable
from netgeom_widgets.figures.static.plot import PlotPicture
from netgeom_widgets.figures.static.text import font, wrap

Format = Literal["png", "svg", "pdf"]
_FORMATS = ("png", "svg", "pdf")

# matplotlib's parser and caches are shared by all figures, and widgets draw from their worker threads.
_LOCK = threading.RLock()
MAX_PIXELS = 64_000_000
"""Largest picture made: 256 MB of RGBA."""

DPI = 144.0
_FOOT = 0.1  # inches left under the lowest thing drawn
"""Dots per inch by default: 1.5 image pixels per CSS pixel, sharp on most screens."""


def to_figure(root: LayoutDOM, *, width: float | None = None, dpi: float = DPI) -> Figure:
    """Redraw a Bokeh root with matplotlib.

    Parameters
    ----------
    root : bokeh.models.LayoutDOM
        A plot, or rows, columns, grids and tabs of plots and texts.
    width : float, optional
        Width of the picture in CSS pixels (96 per inch); by default what the root asks for.
    dpi : float
        Image pixels per inch when the figure is saved as a raster.

    Returns
    -------
    matplotlib.figure.Figure
        White ground; made without pyplot, so nothing global knows it.

    Raises
    ------
    NetgeomError
        For a model without a painter here, and for a width or dpi that is not a positive number.
    TooLargeError
        For more than `MAX_PIXELS` pixels.
    """
    if not isinstance(root, LayoutDOM):
        raise NetgeomError("Only a Bokeh layout can be drawn.", expected="a figure or layout", got=type(root).__name__)
    for name, value in (("width", width), ("dpi", dpi)):
        if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise NetgeomError(f"{name} is not a size.", expected="a positive number", got=repr(value))
    total = float(width) if width is not None else max(natural_width(root), 1.0)
    height = max(height_at(root, total), 1.0)
    pixels = total * height * (dpi / 96) ** 2
    if pixels > MAX_PIXELS:
        raise TooLargeError(
            "The picture is too large.",
            expected=f"at most {MAX_PIXELS:,} pixels",
            got=f"{pixels:,.0f} ({total:.0f} x {height:.0f} at {dpi:g} dpi)",
            try_this="a smaller width or dpi, or SVG or PDF",
        )
    with _LOCK:
        return _draw(root, total, height, dpi)


def _draw(root: LayoutDOM, total: float, height: float, dpi: float) -> Figure:
    canvas = Canvas(total, height, dpi)
    for model, box in place(root, 0.0, 0.0, total, height):
        if isinstance(model, Plot):
            PlotPicture(model).draw(canvas, box)
        elif not isinstance(model, Spacer):
            _draw_text(canvas, model, box)
    return canvas.figure


def _draw_text(canvas: Canvas, model: Any, box: Box) -> None:
    prop = font("13px")
    text = wrap(readable(model), prop, box.width - 4)
    canvas.text(
        box.left + 2, box.top + 2, text, ha="left", va="top", color="#333333", fontproperties=prop, usetex=False
    )


def render(root: LayoutDOM, format: Format = "png", *, width: float | None = None, dpi: float = DPI) -> bytes:
    """A Bokeh root as the bytes of a PNG, SVG or PDF file; the same root gives the same bytes.

    Parameters
    ----------
    root, width, dpi
        As for `to_figure`.
    format : {"png", "svg", "pdf"}

    Raises
    ------
    NetgeomError
        For another format, and whatever `to_figure` refuses.
    """
    if format not in _FORMATS:
        raise NetgeomError("The picture format is unknown.", expected=" or ".join(_FORMATS), got=repr(format))
    metadata: dict[str, Any] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }[format]
    out = io.BytesIO()
    with _LOCK:
        figure = to_figure(root, width=width, dpi=dpi)
        # every option is named: the user's rcParams must not change the picture
        figure.savefig(
            out,
            format=format,
            dpi=dpi,
            facecolor="white",
            edgecolor="none",
            transparent=False,
            bbox_inches=_drawn(figure),
            pad_inches=0,
            metadata=metadata,
        )
    data = out.getvalue()
    return _stable_ids(data) if format == "svg" else data


def _drawn(figure: Figure) -> Bbox:
    """The whole page but for an empty foot, as equal units leave under a plot that is wider than high (inches)."""
    width, height = figure.get_size_inches()
    lowest = figure.get_tightbbox().y0
    return Bbox.from_extents(0, max(0.0, lowest - _FOOT) if math.isfinite(lowest) else 0.0, width, height)


def _stable_ids(svg: bytes) -> bytes:
    """`svg` with matplotlib's random element ids replaced by numbers in order of appearance.

    The documented way is the global setting svg.hashsalt, which another thread's figures would see.
    """
    text = svg.decode("utf-8")
    found = dict.fromkeys(re.findall(r'id="([a-z]+[0-9a-f]{10})"', text))
    names = {old: f"n{at}" for at, old in enumerate(found)}
    swapped = re.sub(r'(?<=[#"])[a-z]+[0-9a-f]{10}(?=[")])', lambda match: names.get(match[0], match[0]), text)
    return swapped.encode("utf-8")


def save(root: LayoutDOM, path: str | Path, *, width: float | None = None, dpi: float = DPI) -> Path:
    """Write a Bokeh root to a .png, .svg or .pdf file.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    NetgeomError
        For another suffix, and whatever `to_figure` refuses; nothing is written then.
    """
    target = Path(path)
    suffix = target.suffix.lower().removeprefix(".")
    if suffix not in _FORMATS:
        raise NetgeomError(
            "The file's suffix names no picture format.", expected=".png, .svg or .pdf", got=repr(target.name)
        )
    target.write_bytes(render(root, suffix, width=width, dpi=dpi))  # type: ignore[arg-type]
    return target


__all__ = ["DPI", "MAX_PIXELS", "render", "save", "to_figure"]
