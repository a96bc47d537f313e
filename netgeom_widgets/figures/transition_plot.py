"""What the plots of the transition heat map share: their look, the axis of snapshots, legends, words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    FixedTicker,
    GlyphRenderer,
    Legend,
    LegendItem,
    LinearAxis,
    NoOverlap,
    Range1d,
    Title,
)
from bokeh.plotting import figure

from netgeom_widgets.figures.theme import GRID, make_groundless

SMALL = "11px"
ARROW = "\N{RIGHTWARDS ARROW}"
#: Markers that have no inside.
_STROKES = ("x", "cross")
#: More snapshots than this do not get a tick and a grid line each.
_TICKS = 12
#: More entries than this make a legend longer than its plot.
LEGEND_ENTRIES = 12


def make_plot(height: int, *, tools: Sequence[Any] = ("pan", "wheel_zoom", "reset"), **options: Any) -> figure:
    """An empty plot that stretches to its container, readable on light and dark ground."""
    options = {"sizing_mode": "stretch_width", "height": height, "output_backend": "canvas"} | options
    plot = figure(
        tools=list(tools),
        active_scroll="wheel_zoom" if "wheel_zoom" in tools else None,
        toolbar_location="above",
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


def say(words: Title, *sentences: str, width: int = 72) -> None:
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


def step_names(steps: Sequence[int] | np.ndarray) -> list[str]:
    """Snapshots by their step numbers, in thousands (k) where all are whole and long."""
    numbers = [int(step) for step in np.asarray(steps).tolist()]
    if max(numbers, default=0) >= 10_000 and all(step % 1000 == 0 for step in numbers):
        return [f"{step // 1000}k" if step else "0" for step in numbers]
    return [str(step) for step in numbers]


def transition_names(steps: Sequence[int] | np.ndarray) -> list[str]:
    """Transitions by the steps they lead from and to."""
    names = step_names(steps)
    return [f"{before}{ARROW}{after}" for before, after in pairwise(names)]


def name_ticks(axis: LinearAxis, places: Sequence[float] | np.ndarray, names: Sequence[str]) -> None:
    """Ticks with names; names that would run into each other are left out."""
    ticks = [float(place) for place in places]
    if not isinstance(axis.ticker, FixedTicker):
        # Once: each new model has Bokeh walk through all models of the document.
        axis.update(ticker=FixedTicker(minor_ticks=[]), major_label_policy=NoOverlap(min_distance=6))
    axis.ticker.ticks = ticks
    axis.major_label_overrides = dict(zip(ticks, names, strict=True))


def name_snapshots(plot: figure, names: Sequence[str]) -> None:
    """Ticks and grid at snapshots 0, 1, ...: all of a few, else about ten of those in view, also where zoomed in."""
    axis, n = plot.xaxis[0], len(names)
    if n <= _TICKS:
        axis.bounds = "auto"
        name_ticks(axis, range(n), names)
    else:
        if getattr(axis.ticker, "min_interval", 0) != 1:
            ticker = BasicTicker(desired_num_ticks=_TICKS - 3, min_interval=1, num_minor_ticks=0)
            axis.update(ticker=ticker, major_label_policy=NoOverlap(min_distance=6))
        # no ticks beyond the snapshots, where numbers would be places and not steps
        axis.update(bounds=(0, n - 1), major_label_overrides={float(at): name for at, name in enumerate(names)})
    plot.xgrid[0].bounds = axis.bounds


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


class StepAxis:
    """The horizontal axis that the matrix and the curves share, in units of snapshots.

    Snapshot t lies at t. A transition a from snapshot a to a + 1 fills a..a + 1, a snapshot t the interval
    t - 1/2..t + 1/2, so that the cells of either kind of matrix stand over the points of the curves.
    """

    def __init__(self) -> None:
        self.range = Range1d(0, 1, reset_start=0, reset_end=1)
        self.of_transitions = True
        self.steps = np.arange(2)

    def set(self, steps: np.ndarray, of_transitions: bool | None = None) -> bool:
        """Steps of the snapshots, and which of them or of their transitions are cells; whether anything changed."""
        self.of_transitions = self.of_transitions if of_transitions is None else of_transitions
        changed = not np.array_equal(steps, self.steps)
        self.steps = np.asarray(steps)
        return fit_range(self.range, self.first, self.first + self.cells) or changed

    @property
    def cells(self) -> int:
        """Columns of the matrix; one where there is none yet."""
        return max(1, len(self.steps) - 1) if self.of_transitions else len(self.steps)

    @property
    def first(self) -> float:
        """Where the first cell begins."""
        return 0.0 if self.of_transitions and len(self.steps) > 1 else -0.5

    @property
    def names(self) -> list[str]:
        """A name for each cell."""
        return transition_names(self.steps) if self.of_transitions else step_names(self.steps)


class KeyLegend:
    """A legend of its own signs beside a plot: colour and shape with a name each."""

    def __init__(self, plot: figure, side: str = "right") -> None:
        across = side in ("above", "below")
        self._plot = plot
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

    def set(self, entries: Sequence[tuple[str, str, str]]) -> None:
        """Show (name, colour, marker) entries; signs once made are used again."""
        if len(entries) > len(self._signs):
            self._signs += [self._make_sign() for _ in range(len(entries) - len(self._signs))]
            self._legend.items = [LegendItem(label={"value": ""}, renderers=[sign]) for sign in self._signs]
        for at, (item, sign) in enumerate(zip(self._legend.items, self._signs, strict=True)):
            item.visible = at < len(entries)
            if at < len(entries):
                name, colour, marker = entries[at]
                item.label = {"value": name}
                edge = colour if marker in _STROKES else None
                sign.glyph.update(marker=marker, fill_color=colour, line_color=edge)
        self._legend.visible = bool(entries)

    def _make_sign(self) -> GlyphRenderer:
        """A glyph at no point: it exists for its entry only."""
        return self._plot.scatter([np.nan], [np.nan], size=11, line_width=2)
