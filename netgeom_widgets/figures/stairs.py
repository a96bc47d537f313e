"""Heights over bins: bars for one series, outlines for several."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColumnDataSource,
    GlyphRenderer,
    HoverTool,
    Legend,
    LegendItem,
    LogTicker,
    NoOverlap,
    Range1d,
    Span,
)
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    LEGEND_ENTRIES,
    SMALL,
    add_caption,
    fit_range,
    literal,
    make_plot,
    name_ticks,
    number,
)
from netgeom_widgets.figures.theme import PICKED

#: Dashes of the outlines, in turn: none is told by its colour alone.
_DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [9, 3, 2, 3])
#: Bins of a histogram: the root of the number of values, within these.
_FEWEST, _MOST = 8, 40
#: Characters of a caption's line in a plot that is a third of a cell wide, and pixels of a line.
_CAPTION, _LINE = 38, 15
#: Pixels of the legend of such a plot, of a sign in it, and of a letter.
_WIDTH, _SIGN, _LETTER = 240, 40, 6


class StairsPlot:
    """A plot of one or several series over common bins; ``root`` is the Bokeh figure.

    Parameters
    ----------
    height : int
        In pixels; the width stretches to its container.
    log, whole : bool
        Whether the horizontal axis is logarithmic; whether it takes whole numbers only.
    what : str
        What a bin is about, for the hover box.
    letters : int
        Characters of a caption's line; by default those of a plot that is a third of a cell wide.
    """

    def __init__(
        self, height: int = 200, *, log: bool = False, whole: bool = False, what: str = "", letters: int = _CAPTION
    ) -> None:
        self._height, self._title, self._letters = height, "", letters
        self._x = Range1d(1, 10, reset_start=1, reset_end=10)
        self._y = Range1d(0, 1, reset_start=0, reset_end=1)
        axis = "log" if log else "linear"
        self.root = make_plot(
            height,
            x_range=self._x,
            y_range=self._y,
            x_axis_type=axis,
            width=280,
            min_width=230,
            tools=[],
            toolbar_location=None,
        )  # fmt: skip
        least = 1 if whole else 0
        ticker = LogTicker(num_minor_ticks=0) if log else BasicTicker(num_minor_ticks=0, min_interval=least)
        ticker.desired_num_ticks = 5
        self.root.xaxis[0].update(ticker=ticker, major_label_policy=NoOverlap(min_distance=6))
        self.root.xgrid[0].ticker = ticker
        self.root.yaxis[0].ticker = self.root.ygrid[0].ticker = BasicTicker(desired_num_ticks=4, num_minor_ticks=0)
        self._bins = ColumnDataSource({name: [] for name in ("left", "right", "top", "range", "said")})
        self._bars = ColumnDataSource({"left": [], "right": [], "top": []})
        self.root.quad(
            "left", "right", "top", 0, source=self._bars, fill_color=palettes.OKABE_ITO[0], fill_alpha=0.75,
            line_color=palettes.OKABE_ITO[0], line_width=0.6,
        )  # fmt: skip
        boxes = self.root.quad("left", "right", "top", 0, source=self._bins, fill_alpha=0.0, line_alpha=0.0)
        tips = f"<div>{what} <b>@range</b></div><div style='white-space: pre-line'>@said</div>"
        self.root.add_tools(HoverTool(renderers=[boxes], tooltips=tips, point_policy="follow_mouse"))
        self._lines: list[GlyphRenderer] = []
        self._legend = Legend(
            items=[], orientation="horizontal", location="left", label_text_font_size=SMALL, border_line_alpha=0,
            background_fill_alpha=0, padding=1, margin=0, spacing=6, glyph_height=12, glyph_width=26, label_height=12,
            label_standoff=3, visible=False,
        )  # fmt: skip
        self.root.add_layout(self._legend, "above")
        self.root.title.text_font_size = "12px"
        self.root.yaxis[0].formatter = BasicTickFormatter(use_scientific=False)
        self._mark = Span(location=1, dimension="height", line_color=PICKED, line_width=2.5, visible=False)
        self.root.add_layout(self._mark)
        self._caption = add_caption(self.root)

    def draw(
        self,
        edges: Float[np.ndarray, " B+1"],
        heights: Mapping[str, Float[np.ndarray, " B"]],
        *,
        title: str,
        labels: tuple[str, str],
        noun: str,
        caption: Sequence[str] = (),
        ranges: Sequence[str] | None = None,
        ticks: Sequence[str] | None = None,
    ) -> None:
        """Show these series, with no value marked.

        Parameters
        ----------
        edges : (B+1,) float
            Ends of the bins, increasing; positive on a logarithmic axis. Without bins: shape (0,).
        heights : mapping of str to (B,) float
            The series by name; a single one is drawn as bars, without a legend. NaN: the series has no such bin.
        title : str
        labels : (str, str)
            Of the two axes.
        noun : str
            What the heights count, for the hover box.
        caption : sequence of str
            Lines of text below; long ones are wrapped.
        ranges : sequence of str, optional
            What each bin is called; its ends by default.
        ticks : sequence of str, optional
            Names of ticks in the middle of each bin, instead of numbers.

        Raises
        ------
        NetgeomError
            For more series than a legend takes, and for series that do not fit the bins.
        """
        edges = np.asarray(edges, dtype=np.float64)
        n = max(0, len(edges) - 1)
        columns = {literal(name): np.asarray(values, dtype=np.float64) for name, values in heights.items()}
        check_names(heights)
        for name, values in columns.items():
            if values.shape != (n,):
                raise NetgeomError(
                    f"The series {name} does not fit the bins.", expected=f"{n} values", got=f"{values.shape}"
                )
        highest = max((float(np.nanmax(values, initial=0.0)) for values in columns.values()), default=0.0)
        top = 1.06 * highest or 1.0
        self._title = literal(title)
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = (literal(label) for label in labels)
        self._bins.data = {
            "left": edges[:-1],
            "right": edges[1:],
            "top": np.full(n, top),
            "range": list(ranges) if ranges is not None else _between(edges),
            "said": _said(columns, n, noun),
        }
        only = next(iter(columns.values())) if len(columns) == 1 else None
        empty = np.empty(0)
        left, right = (edges[:-1], edges[1:]) if only is not None else (empty, empty)
        self._bars.data = {"left": left, "right": right, "top": empty if only is None else only}
        self._draw_outlines(edges, {} if only is not None else columns)
        fit_range(self._y, 0.0, top)
        if n:
            fit_range(self._x, float(edges[0]), float(edges[-1]))
        if ticks is not None:
            name_ticks(self.root.xaxis[0], (edges[:-1] + edges[1:]) / 2, ticks)
            self.root.xgrid[0].ticker = self.root.xaxis[0].ticker
        self.write(caption)
        self.mark(None)

    def mark(self, value: float | None, words: str = "") -> None:
        """Mark one value by an upright line, and say so in the title; a value beyond the bins is only said."""
        shown = value is not None and math.isfinite(value) and self._x.reset_start <= value <= self._x.reset_end
        if shown:
            self._mark.location = value
        self._mark.visible = bool(shown)
        self.root.title.text = self._title + literal(words)

    def write(self, caption: Sequence[str]) -> None:
        """Put other words into the caption; it and the legend take no height from the frame."""
        texts = [text for given in caption for text in given.splitlines()]
        lines = [line for text in texts for line in textwrap.wrap(literal(text), self._letters)]
        self._caption.text = "\n".join(lines)
        rows = math.ceil(len(self._legend.items) / self._legend.ncols) if self._legend.visible else 0
        self.root.height = self._height + _LINE * (max(0, len(lines) - 1) + rows)

    def _draw_outlines(self, edges: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
        for at in range(len(self._lines), len(columns)):
            self._lines.append(self._add_line(at))
        colours = palettes.categorical(max(1, len(columns)))
        x = np.repeat(edges, 2)
        for at, line in enumerate(self._lines):
            shown = at < len(columns)
            values = list(columns.values())[at] if shown else np.empty(0)
            line.data_source.data = {
                "x": x if shown else [],
                "y": np.r_[0.0, np.repeat(values, 2), 0.0][: len(x) * shown],
            }
            line.glyph.line_color = colours[at % len(colours)]
            line.visible = shown
        items = zip(columns, self._lines, strict=False)
        self._legend.items = [LegendItem(label={"value": name}, renderers=[line]) for name, line in items]
        longest = max(map(len, columns), default=0)
        self._legend.update(visible=bool(columns), ncols=max(1, _WIDTH // (_SIGN + _LETTER * longest)))

    def _add_line(self, at: int) -> GlyphRenderer:
        source = ColumnDataSource({"x": [], "y": []})
        return self.root.line("x", "y", source=source, line_width=2, line_dash=_DASHES[at % len(_DASHES)])


def check_names(series: Mapping[str, object]) -> None:
    """Refuse more series than one can tell apart."""
    if not 1 <= len(series) <= LEGEND_ENTRIES:
        raise NetgeomError(
            "One plot does not hold so many series.", expected=f"1 to {LEGEND_ENTRIES}", got=f"{len(series)}"
        )


def _between(edges: np.ndarray) -> list[str]:
    names = [number(edge) for edge in edges.tolist()]
    return [f"{low} to {high}" for low, high in pairwise(names)]


def _said(columns: Mapping[str, np.ndarray], n: int, noun: str) -> list[str]:
    """What the hover box says of each bin."""
    several = len(columns) > 1
    rows = np.stack(list(columns.values()), axis=1).tolist() if columns else [[]] * n

    def words(name: str, value: float) -> str:
        return f"{f'{name}: ' if several else ''}{value:,.6g} {noun}"

    pairs = (zip(columns, row, strict=True) for row in rows)
    return ["\n".join(words(name, value) for name, value in pair if math.isfinite(value)) for pair in pairs]


def bin_edges(
    values: Float[np.ndarray, " N"], *, log: bool = False, whole: bool = False, bins: int | None = None
) -> Float[np.ndarray, " B+1"]:
    """Ends of equal bins, on the axis as it is drawn, that cover finite values; shape (0,) where there is none."""
    if not len(values):
        return np.empty(0)
    low, high = float(values.min()), float(values.max())
    n = bins or int(np.clip(math.ceil(math.sqrt(len(values))), _FEWEST, _MOST))
    if whole:
        width = max(1, math.ceil((high - low + 1) / _MOST))
        return np.arange(math.floor(low), high + width + 0.5, width) - 0.5
    if not high > low * (1 + 1e-9):  # a single value: one bin around it
        low, high, n = (low / 1.25, high * 1.25, 1) if log else (low - 0.5, high + 0.5, 1)
    edges = np.geomspace(low, high, n + 1) if log else np.linspace(low, high, n + 1)
    edges[[0, -1]] = low, high
    return edges


def whole_bins(edges: np.ndarray) -> list[str]:
    """Names of bins of whole numbers."""
    ends = [(math.ceil(low), math.floor(high)) for low, high in pairwise(edges.tolist())]
    return [f"{low}" if low == high else f"{low} to {high}" for low, high in ends]
