"""What plots share: their look, captions, ticks with names, ranges, colour bars, legends of signs, rows of plots."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColorMapper,
    ColumnDataSource,
    FixedTicker,
    GlyphRenderer,
    InlineStyleSheet,
    LayoutDOM,
    Legend,
    LegendItem,
    LinearAxis,
    NoOverlap,
    Range1d,
    Row,
    Scatter,
    Title,
)
from bokeh.plotting import figure

from netgeom_widgets.figures.theme import GRID, make_groundless

SMALL = "11px"
#: Markers that have no inside.
_STROKES = ("x", "cross", "dash")
#: More entries than this make a legend longer than its plot.
LEGEND_ENTRIES = 12
#: Pixels of a sign in a legend with what is around it, and of a letter.
_SIGN, _LETTER = 28, 6


def make_plot(height: int, *, tools: Sequence[Any] = ("pan", "wheel_zoom", "reset"), **options: Any) -> figure:
    """An empty plot that stretches to its container, readable on light and dark ground."""
    options = {
        "sizing_mode": "stretch_width", "height": height, "output_backend": "canvas", "toolbar_location": "above",
    } | options  # fmt: skip
    plot = figure(
        tools=list(tools),
        active_scroll="wheel_zoom" if "wheel_zoom" in tools else None,
        lod_threshold=None,  # decimated marks while dragging would tell another story
        min_border_right=8,
        **options,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    make_groundless(plot)
    plot.title.text_font_size = "13px"
    for axis in plot.axis:
        style_axis(axis)
    return plot


def style_axis(axis: LinearAxis) -> None:
    """Small upright labels, no minor ticks."""
    axis.update(
        axis_label_text_font_size=SMALL,
        axis_label_text_font_style="normal",
        major_label_text_font_size="10px",
        axis_label_standoff=3,
        axis_line_color=GRID,
        major_tick_line_color=GRID,
        major_tick_in=0,
        major_tick_out=4,
    )
    axis.ticker.num_minor_ticks = 0


def add_caption(plot: figure) -> Title:
    """A line of small text below a plot, empty as yet."""
    caption = Title(text="", text_font_size=SMALL, text_font_style="normal")
    plot.add_layout(caption, "below")
    return caption


def say(words: Title, *sentences: str, width: int = 60) -> None:
    """Put sentences into a title, in lines that fit a narrow cell: canvas text does not wrap by itself."""
    text = textwrap.fill(" ".join(filter(None, sentences)), width)
    if words.text != text:
        words.text = text


def number(value: float) -> str:
    """Four significant digits, with a true minus sign."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def literal(text: Any) -> str:
    """A user's words on a canvas, where BokehJS would fetch a typesetter for the delimiters of formulas."""
    return str(text).replace("$$", "$\u200b$").replace("\\(", "\\\u200b(").replace("\\[", "\\\u200b[")


def name_ticks(axis: LinearAxis, places: Sequence[float] | np.ndarray, names: Sequence[str]) -> None:
    """Ticks with names; names that would run into each other are left out."""
    ticks = [float(place) for place in places]
    if not isinstance(axis.ticker, FixedTicker):
        # Once: each new model has Bokeh walk through all models of the document.
        axis.update(ticker=FixedTicker(minor_ticks=[]), major_label_policy=NoOverlap(min_distance=6))
    axis.ticker.ticks = ticks
    axis.major_label_overrides = dict(zip(ticks, names, strict=True))


def fit_range(axis: Range1d, low: float, high: float, *, flipped: bool = False, margin: float = 0.0) -> bool:
    """Show low..high unless that is the home view already; whether it was new."""
    pad = margin * (high - low)
    ends = (high + pad, low - pad) if flipped else (low - pad, high + pad)
    if (axis.reset_start, axis.reset_end) == ends:
        return False
    axis.update(start=ends[0], end=ends[1], reset_start=ends[0], reset_end=ends[1])
    return True


def limits(*columns: Any) -> tuple[float, float]:
    """Least and greatest finite value, a single one in an interval that leaves no sign it lacks; 0..1 without any."""
    numbers = np.concatenate([np.asarray(column, dtype=float).ravel() for column in columns])
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return 0.0, 1.0
    low, high = float(numbers.min()), float(numbers.max())
    half = max(0.5, abs(low) / 1000)  # more than the spacing of floats at large values
    if high > low:
        return low, high
    return (low - half if low < 0 else max(0.0, low - half)), high + half


def wrapping_row(*parts: LayoutDOM, spacing: int = 4) -> Row:
    """Parts beside each other where all have room, else one under the other."""
    sheet = InlineStyleSheet(css=":host { flex-wrap: wrap; align-items: flex-start; }")
    return Row(*parts, sizing_mode="stretch_width", spacing=spacing, stylesheets=[sheet])


def add_colour_bar(plot: figure, mapper: ColorMapper, **options: Any) -> ColorBar:
    """A narrow colour bar on the right of a plot."""
    options = {"ticker": BasicTicker(desired_num_ticks=6), "width": 14, "margin": 0, "padding": 6} | options
    bar = ColorBar(
        color_mapper=mapper, background_fill_alpha=0, title_text_font_size=SMALL, title_text_font_style="normal",
        major_label_text_font_size="10px", **options,
    )  # fmt: skip
    plot.add_layout(bar, "right")
    return bar


class KeyLegend:
    """A legend of its own signs beside a plot: colour and shape with a name each.

    Parameters
    ----------
    plot : bokeh.plotting.figure
    side : {"right", "left", "above", "below"}
    width : float, optional
        Pixels that a legend above or below may take before it gets a second row; without it, there is one row.
    room : int
        Entries that are made at once. In a live plot BokehJS puts the legend in a wrong place when others come later.
    """

    def __init__(self, plot: figure, side: str = "right", width: float | None = None, *, room: int = 0) -> None:
        across = side in ("above", "below")
        self._plot, self._width = plot, width
        self._signs: list[GlyphRenderer] = []
        self._legend = Legend(
            items=[],
            orientation="horizontal" if across else "vertical",
            location="left" if across else "top",
            label_text_font_size=SMALL,
            border_line_alpha=0,
            background_fill_alpha=0,
            padding=2,
            margin=2,
            spacing=1,
            glyph_height=14,
            glyph_width=16,
            label_height=14,
            label_standoff=3,
            visible=False,
        )
        plot.add_layout(self._legend, side)
        self._make_room(room)

    def set(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Show (name, colour, marker) entries; signs once made are used again."""
        self._make_room(len(entries))
        for at, (item, sign) in enumerate(zip(self._legend.items, self._signs, strict=True)):
            item.visible = at < len(entries)
            if at < len(entries):
                name, colour, marker = entries[at]
                item.label = {"value": name}
                edge = colour if marker in _STROKES else GRID  # a dark sign is seen on a dark page by its edge
                sign.glyph.update(
                    marker=marker, fill_color=colour, line_color=edge, line_width=2 if edge == colour else 1
                )
        if self._width is not None:
            longest = max((len(name) for name, _, _ in entries), default=0)
            self._legend.ncols = max(1, int(self._width // (_SIGN + _LETTER * longest)))
        self._legend.visible = bool(entries)

    def _make_room(self, entries: int) -> None:
        """Have at least so many signs."""
        if entries > len(self._signs):
            signs = [_make_sign() for _ in range(entries - len(self._signs))]
            self._signs += signs
            # Once for all: each change of the list has Bokeh walk through all models of the document.
            self._plot.renderers = [*self._plot.renderers, *signs]
            self._legend.items = [
                LegendItem(label={"value": ""}, renderers=[sign], visible=False) for sign in self._signs
            ]

    @property
    def rows(self) -> int:
        """Rows that a legend above or below takes."""
        shown = sum(item.visible for item in self._legend.items) if self._legend.visible else 0
        return -(-shown // (self._legend.ncols if self._width is not None else max(shown, 1)))


def _make_sign() -> GlyphRenderer:
    """A glyph at no point: it exists for its legend entry only."""
    glyph = Scatter(x="x", y="y", size=11, line_width=2)
    return GlyphRenderer(data_source=ColumnDataSource({"x": [np.nan], "y": [np.nan]}), glyph=glyph)
