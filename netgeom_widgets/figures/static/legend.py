"""Legends."""

from __future__ import annotations

from typing import Any

from bokeh.core.property.vectorization import Field, Value
from bokeh.models import glyphs as bokeh_glyphs
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.transforms import IdentityTransform

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.canvas import GUIDES, Box, Canvas
from netgeom_widgets.figures.static.columns import Rows
from netgeom_widgets.figures.static.glyphs import known_glyph, rows_markers
from netgeom_widgets.figures.static.markers import marker_parts
from netgeom_widgets.figures.static.strokes import fill_colour, fill_keywords, line_keywords, line_style
from netgeom_widgets.figures.static.text import PX, extent, text_style

_AREAS = (
    bokeh_glyphs.Patches, bokeh_glyphs.MultiPolygons, bokeh_glyphs.Patch, bokeh_glyphs.Quad, bokeh_glyphs.VBar,
    bokeh_glyphs.HBar, bokeh_glyphs.Rect, bokeh_glyphs.VArea, bokeh_glyphs.HArea,
)  # fmt: skip
_LINES = (bokeh_glyphs.Line, bokeh_glyphs.MultiLine, bokeh_glyphs.Step, bokeh_glyphs.Segment)


def legend_entries(legend: Any) -> list[tuple[str, list[tuple[Any, int]]]]:
    """(label, [(renderer, row)]) per line; a label that names a column gives one line per value."""
    entries: list[tuple[str, list[tuple[Any, int]]]] = []
    for item in legend.items:
        if not item.visible:
            continue
        shown = [renderer for renderer in item.renderers if renderer.visible]
        label = item.label
        if isinstance(label, Field):
            first = item.renderers[0] if item.renderers else None
            column = first.data_source.data.get(label.field) if first is not None else None
            if column is None:
                raise NetgeomError("A legend names a column that its data source lacks.", got=repr(label.field))
            rows: dict[str, int] = {}
            for row, value in enumerate(column):
                rows.setdefault(str(value), row)
            entries += [(value, [(renderer, row) for renderer in shown]) for value, row in rows.items()]
        elif label is not None:
            text = str(label.value if isinstance(label, Value) else label)
            entries.append((text, [(renderer, item.index or 0) for renderer in shown]))
    return entries


def _legend_grid(legend: Any, n: int) -> tuple[int, int]:
    """Rows and columns of the entries."""
    columns, rows = legend.ncols, legend.nrows
    if columns == "auto" and rows == "auto":
        columns, rows = (1, n) if legend.orientation == "vertical" else (n, 1)
    elif columns == "auto":
        columns = -(-n // rows)
    elif rows == "auto":
        rows = -(-n // columns)
    return rows, columns


def _legend_cells(legend: Any) -> tuple[list[Any], int, int, float, float, float]:
    """Entries, rows, columns, cell width, cell height, title height."""
    entries = legend_entries(legend)
    rows, columns = _legend_grid(legend, len(entries))
    prop = text_style(legend, "label_")["fontproperties"]
    sizes = [extent(label, prop) for label, _ in entries] or [(0.0, 0.0)]
    width = legend.glyph_width + legend.label_standoff + max(legend.label_width, *(size[0] for size in sizes), 0)
    height = max(legend.glyph_height, *(size[1] for size in sizes), 0)
    title = 0.0
    if legend.title:
        title = extent(legend.title, text_style(legend, "title_")["fontproperties"])[1] + legend.title_standoff
    return entries, rows, columns, width, height, title


def legend_size(legend: Any) -> tuple[float, float]:
    """Width and height in pixels; nothing without entries."""
    entries, rows, columns, width, height, title = _legend_cells(legend)
    if not entries:
        return 0.0, 0.0
    total = columns * (width + legend.spacing) - legend.spacing
    if legend.title:
        total = max(total, extent(legend.title, text_style(legend, "title_")["fontproperties"])[0])
    return total + 2 * legend.padding, rows * (height + legend.spacing) - legend.spacing + title + 2 * legend.padding


def corner(location: Any, size: tuple[float, float], frame: Box, margin: float) -> tuple[float, float]:
    """Upper left corner of a box of `size` at a Bokeh location inside a frame."""
    width, height = size
    if not isinstance(location, str):
        x, y = location
        if isinstance(x, (int, float)) and isinstance(y, (int, float)):
            return frame.left + float(x), frame.bottom - float(y) - height
        location = f"{y}_{x}"
    x = frame.left + (frame.width - width) / 2
    y = frame.top + (frame.height - height) / 2
    x = frame.left + margin if "left" in location else frame.right - margin - width if "right" in location else x
    y = frame.top + margin if "top" in location else frame.bottom - margin - height if "bottom" in location else y
    return x, y


def draw_legend(canvas: Canvas, legend: Any, left: float, top: float) -> None:
    """A legend with its upper left corner at (left, top)."""
    entries, rows, columns, width, height, title = _legend_cells(legend)
    if not entries:
        return
    total = legend_size(legend)
    border = line_style(legend, "border_line")
    canvas.rectangle(
        Box(left, top, *total), facecolor=fill_colour(legend, "background_fill"), edgecolor=border["color"],
        linewidth=border["linewidth"],
    )  # fmt: skip
    x0, y0 = left + legend.padding, top + legend.padding
    if legend.title:
        style = text_style(legend, "title_")
        canvas.text(x0, y0, legend.title, ha="left", va="top", order=GUIDES + 1, **style)
    for at, (label, shown) in enumerate(entries):
        row, column = (at % rows, at // rows) if legend.orientation == "vertical" else divmod(at, columns)
        x = x0 + column * (width + legend.spacing)
        y = y0 + title + row * (height + legend.spacing)
        handle = Box(x, y + (height - legend.glyph_height) / 2, legend.glyph_width, legend.glyph_height)
        for renderer, source_row in shown:
            _draw_handle(canvas, renderer, source_row, handle)
        canvas.text(
            x + legend.glyph_width + legend.label_standoff, y + height / 2, label, ha="left", va="center",
            order=GUIDES + 1, **text_style(legend, "label_"),
        )  # fmt: skip


def _draw_handle(canvas: Canvas, renderer: Any, row: int, box: Box) -> None:
    """The sample of one glyph in a legend."""
    known_glyph(renderer.glyph)
    rows = Rows(renderer.glyph, renderer.data_source)
    if not len(rows):
        return
    rows = rows.only([min(row, len(rows) - 1)])
    order = GUIDES + 1
    middle = (box.left + box.width / 2, box.top + box.height / 2)
    if isinstance(renderer.glyph, _LINES):
        keywords = line_keywords(rows)
        keywords["colors"] = keywords.pop("edgecolors")
        canvas.add(LineCollection([[(box.left, middle[1]), (box.right, middle[1])]], **keywords), order)
    elif isinstance(renderer.glyph, _AREAS):
        edge = 0.15 * box.height
        low, high, start, end = box.top + edge, box.bottom - edge, box.left + edge, box.right - edge
        corners = [[(start, low), (end, low), (end, high), (start, high)]]
        canvas.add(PolyCollection(corners, **fill_keywords(rows)), order)
    elif isinstance(renderer.glyph, bokeh_glyphs.Scatter | bokeh_glyphs.Circle):
        scatter = isinstance(renderer.glyph, bokeh_glyphs.Scatter)
        size = min(float(rows.numbers("size")[0]) if scatter else box.height / 2, box.height)
        for part, path in marker_parts(rows_markers(rows)[0] if scatter else "circle"):
            style = fill_keywords(rows)
            if part == "stroke":
                style["facecolors"] = "none"
            elif part == "dot":
                style |= {"facecolors": style["edgecolors"], "edgecolors": "none"}
            artist = PathCollection(
                [path], sizes=[(size * PX) ** 2], offsets=[middle], offset_transform=canvas.transform, **style
            )
            artist.set_transform(IdentityTransform())
            artist.set_zorder(order)
            canvas.figure.add_artist(artist)
