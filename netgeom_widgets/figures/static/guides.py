"""Legends and colour bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.core.property.vectorization import Field, Value
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    CategoricalColorMapper,
    FixedTicker,
    LogColorMapper,
    LogTicker,
    LogTickFormatter,
)
from bokeh.models import glyphs as bokeh_glyphs
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.transforms import IdentityTransform

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.canvas import GUIDES, Box, Canvas
from netgeom_widgets.figures.static.colours import map_colours, mapper_limits
from netgeom_widgets.figures.static.columns import Rows
from netgeom_widgets.figures.static.coordinates import Scale
from netgeom_widgets.figures.static.glyphs import known_glyph, rows_markers
from netgeom_widgets.figures.static.markers import marker_parts
from netgeom_widgets.figures.static.strokes import fill_colour, fill_keywords, line_keywords, line_style
from netgeom_widgets.figures.static.text import PX, extent, text_style
from netgeom_widgets.figures.static.ticks import tick_labels, tick_positions

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


# Colour bars.

BAR = 25.0


class ColourBar:
    """What a colour bar shows: samples of its colours, its scale, ticks and labels."""

    def __init__(self, bar: Any, data_of: Callable[[Any], np.ndarray]) -> None:
        self.bar = bar
        mapper = bar.color_mapper
        if isinstance(mapper, CategoricalColorMapper):
            n = len(mapper.factors)
            self.colours = map_colours(mapper, list(mapper.factors))
            self.scale = Scale(0.0, float(n))
            self.ticks = [position + 0.5 for position in range(n)]
            self.labels = [(" ".join(f) if not isinstance(f, str) else f, False) for f in mapper.factors]
            return
        low, high = mapper_limits(mapper, data_of(mapper))
        if not (np.isfinite(low) and np.isfinite(high)):
            low, high = (1.0, 10.0) if isinstance(mapper, LogColorMapper) else (0.0, 1.0)
        mapper_ends = (low, high)
        low = low if bar.display_low is None else max(low, bar.display_low)
        high = high if bar.display_high is None else min(high, bar.display_high)
        if low == high:
            low, high = low - 0.5, high + 0.5
        log = isinstance(mapper, LogColorMapper)
        self.scale = Scale(low, high, log=log)
        parts = (np.arange(1024) + 0.5) / 1024
        values = low * (high / low) ** parts if log else low + (high - low) * parts
        # the mapper's own ends decide the colours, not those of the part shown
        whole = map_colours(mapper, np.concatenate([values, mapper_ends]))
        self.colours = whole[:-2]
        ticker = bar.ticker if bar.ticker != "auto" else (LogTicker() if log else BasicTicker())
        ticker = FixedTicker(ticks=ticker) if isinstance(ticker, list | tuple) else ticker
        formatter = bar.formatter if bar.formatter != "auto" else (LogTickFormatter() if log else BasicTickFormatter())
        self.ticks = tick_positions(ticker, *sorted((low, high)))[0]
        self.labels = tick_labels(formatter, ticker, self.ticks, bar.major_label_overrides)

    def vertical(self, side: str) -> bool:
        """Whether the bar stands upright."""
        if self.bar.orientation != "auto":
            return self.bar.orientation == "vertical"
        return side not in ("above", "below")

    def _label_extent(self) -> tuple[float, float]:
        prop = text_style(self.bar, "major_label_")["fontproperties"]
        sizes = [extent(text, prop, math=math) for text, math in self.labels] or [(0.0, 0.0)]
        return max(size[0] for size in sizes), max(size[1] for size in sizes)

    def _title(self) -> tuple[float, float]:
        if not self.bar.title:
            return 0.0, 0.0
        width, height = extent(self.bar.title, text_style(self.bar, "title_")["fontproperties"])
        return width, height + self.bar.title_standoff

    def size(self, side: str, frame: tuple[float, float]) -> tuple[float, float]:
        """Width and height in pixels, with padding."""
        pad, title, label = 2 * self.bar.padding, self._title(), self._label_extent()
        inside = side == "center"
        gap = self.bar.label_standoff
        if self.vertical(side):
            thick = BAR if self.bar.width == "auto" else float(self.bar.width)
            full = (0.8 if inside else 1.0) * frame[1]
            long = full if self.bar.height == "auto" else float(self.bar.height) + pad + title[1]
            return max(thick + gap + label[0], title[0]) + pad, long
        thick = BAR if self.bar.height == "auto" else float(self.bar.height)
        full = (0.8 if inside else 1.0) * frame[0]
        long = full if self.bar.width == "auto" else float(self.bar.width) + pad
        return long, thick + gap + label[1] + title[1] + pad

    def draw(self, canvas: Canvas, side: str, box: Box) -> None:
        """The bar, its ticks, labels and title inside a box of `size`."""
        bar, pad = self.bar, self.bar.padding
        border = line_style(bar, "border_line")
        if side == "center" or border["color"][3]:
            canvas.rectangle(
                box, facecolor=fill_colour(bar, "background_fill"), edgecolor=border["color"],
                linewidth=border["linewidth"],
            )  # fmt: skip
        upright = self.vertical(side)
        # a bar in a side panel lines up with the frame; its padding only keeps it off the neighbours
        end_pad = pad if side == "center" else 0.0
        title = self._title()[1]
        if upright:
            thick = BAR if bar.width == "auto" else float(bar.width)
            strip = Box(box.left + pad, box.top + end_pad + title, thick, box.height - 2 * end_pad - title)
        else:
            thick = BAR if bar.height == "auto" else float(bar.height)
            strip = Box(box.left + end_pad, box.top + pad + title, box.width - 2 * end_pad, thick)
        if bar.title:
            y = strip.top - bar.title_standoff
            canvas.text(strip.left, y, bar.title, ha="left", va="bottom", order=GUIDES + 1, **text_style(bar, "title_"))
        self._strip(canvas, strip, upright)
        self._marks(canvas, strip, upright)

    def _strip(self, canvas: Canvas, strip: Box, upright: bool) -> None:
        image = np.rint(self.colours * 255).astype(np.uint8)
        axes = canvas.figure.add_axes(canvas.fraction(strip), frameon=False, xticks=[], yticks=[], zorder=GUIDES + 1)
        axes.imshow(
            image[:, None] if upright else image[None], origin="lower", aspect="auto", interpolation="nearest",
            extent=(0, 1, 0, 1),
        )  # fmt: skip
        outline = line_style(self.bar, "bar_line")
        if outline["color"][3]:
            canvas.rectangle(
                strip, facecolor="none", edgecolor=outline["color"], linewidth=outline["linewidth"], order=GUIDES + 2
            )

    def _marks(self, canvas: Canvas, strip: Box, upright: bool) -> None:
        bar, style = self.bar, text_style(self.bar, "major_label_")
        tick = line_style(bar, "major_tick_line")
        last = -np.inf
        for at, (text, math) in zip(self.scale.fraction(self.ticks), self.labels, strict=True):
            width, height = extent(text, style["fontproperties"], math=math)
            if upright:
                y = strip.bottom - at * strip.height
                mark = [(strip.right - bar.major_tick_in, y), (strip.right + bar.major_tick_out, y)]
                place, align, reach = (strip.right + bar.label_standoff, y), ("left", "center"), height
                along = at * strip.height
            else:
                x = strip.left + at * strip.width
                mark = [(x, strip.bottom - bar.major_tick_in), (x, strip.bottom + bar.major_tick_out)]
                place, align, reach = (x, strip.bottom + bar.label_standoff), ("center", "top"), width + 4
                along = at * strip.width
            canvas.line(mark, **{**tick, "zorder": GUIDES + 2})
            if along - last < 0.8 * reach:
                continue  # Bokeh's NoOverlap policy leaves such labels out too
            last = along
            canvas.text(*place, text, math=math, ha=align[0], va=align[1], order=GUIDES + 2, **style)
