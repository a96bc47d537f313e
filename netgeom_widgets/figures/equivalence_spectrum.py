"""Singular values of the output Jacobian, the gap below which directions are null, and what explains these."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from bokeh.models import BoxAnnotation, Column, ColumnDataSource, HoverTool, Range1d, Span

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_scale import EPSILON
from netgeom_widgets.figures.plots import (
    SMALL,
    KeyLegend,
    add_caption,
    fit_range,
    limits,
    literal,
    make_plot,
    number,
    say,
)

#: Colours of what explains null directions; "unexplained" is grey, and further kinds take the next colour.
_KINDS = ("scaling", "dead unit", "linear group", "same pattern", "dependent units", "duplicate unit")
_UNEXPLAINED = "#7F7F7F"
#: Kept and null values: shape tells them apart, too.
_KEPT, _NULL = ("#0072B2", "circle"), ("#D55E00", "triangle")
#: A value of 0 is drawn this many powers of ten below the least positive one.
_BELOW = 1.0
#: More values than this: the axis ends with those that are listed.
_LISTED = 3000


class SpectrumPicture:
    """Spectrum and explanation of a null space; ``root`` is a Bokeh column.

    Parameters
    ----------
    height : int
        Pixels of the spectrum.
    """

    def __init__(self, height: int = 260) -> None:
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        self.plot = make_plot(
            height, x_range=self._x, y_range=self._y, tools=("pan", "wheel_zoom", "box_zoom", "reset"),
            title="Singular values", name="spectrum",
        )  # fmt: skip
        self.plot.xaxis[0].axis_label, self.plot.yaxis[0].axis_label = (
            "number, from the largest",
            "log10 singular value",
        )
        self._null = BoxAnnotation(fill_color=_NULL[0], fill_alpha=0.12, line_color=None, visible=False)
        self._threshold = Span(location=0, dimension="width", line_color=EPSILON, line_dash=[6, 3], line_width=2)
        self._threshold.visible = False
        self.plot.add_layout(self._null)
        self.plot.add_layout(self._threshold)
        self._values = ColumnDataSource({name: [] for name in ("x", "y", "value", "fill", "marker", "kind")})
        dots = self.plot.scatter(
            "x", "y", source=self._values, marker="marker", size=6, fill_color="fill", line_color=None
        )
        tips = [("number", "@x"), ("singular value", "@value{%.4g}"), ("", "@kind")]
        self.plot.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters={"@value": "printf"}))
        self._gap = ColumnDataSource({name: [] for name in ("x", "low", "high", "middle", "text")})
        self.plot.segment("x", "low", "x", "high", source=self._gap, line_color=EPSILON, line_width=2)
        for end, marker in (("low", "inverted_triangle"), ("high", "triangle")):
            self.plot.scatter("x", end, source=self._gap, marker=marker, size=8, color=EPSILON)
        self.plot.text(
            "x", "middle", "text", source=self._gap, text_font_size=SMALL, text_color=EPSILON, x_offset=8,
            text_baseline="middle",
        )  # fmt: skip
        self._legend = KeyLegend(self.plot, "above", width=430, room=3)
        self._caption = add_caption(self.plot)
        self._explained = _ExplainedBar()
        self.root = Column(self.plot, self._explained.root, sizing_mode="stretch_width", spacing=2)

    def show(self, null_space: Any, *, title: str | None = None, note: str = "") -> None:
        """Show a null space.

        Parameters
        ----------
        null_space : NullSpace
            Its ``singular_values``, ``rank``, ``dimension``, ``threshold``, ``gap``, ``explained``, ``estimated``,
            ``bounds``, ``n_parameters``, ``n_samples``, ``half_dimension`` and ``notes`` are shown.
        title, note : str, optional
        """
        values = np.asarray(null_space.singular_values, dtype=float)
        rank = len(values) if null_space.rank is None else int(null_space.rank)
        positive = values[values > 0]
        floor = math.log10(float(positive.min())) - _BELOW if positive.size else 0.0
        logs = np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), floor)
        kept = np.arange(len(values)) < rank
        self._values.data = {
            "x": np.arange(1, len(values) + 1), "y": logs, "value": values,
            "fill": np.where(kept, _KEPT[0], _NULL[0]).tolist(), "marker": np.where(kept, _KEPT[1], _NULL[1]).tolist(),
            "kind": np.where(kept, "moves outputs", "null").tolist(),
        }  # fmt: skip
        p = int(null_space.n_parameters)
        last = len(values) if null_space.estimated or p > _LISTED else p
        fit_range(self._x, 0.0, last + 1.0)
        has_threshold = null_space.threshold > 0 and not null_space.estimated
        level = math.log10(null_space.threshold) if has_threshold else 0.0
        fit_range(self._y, *limits(logs, [level] * has_threshold), margin=0.08)
        self._threshold.update(location=level, visible=has_threshold)
        self._null.update(left=rank + 0.5, right=max(last, rank) + 0.5, visible=bool(null_space.dimension))
        self._draw_gap(null_space, logs, rank)
        self.plot.title.text = literal(title) if title is not None else "Singular values of the Jacobian"
        self._legend.set(
            [
                ("moves outputs", *_KEPT),
                *([("null", *_NULL)] if rank < len(values) else []),
                *([("threshold", EPSILON, "dash")] if has_threshold else []),
            ]
        )
        say(self._caption, *spectrum_words(null_space), literal(note))
        self._explained.draw(dict(null_space.explained), null_space.dimension)

    def clear(self, why: str) -> None:
        """Show no spectrum, but why there is none."""
        for source in (self._values, self._gap):
            source.data = {name: [] for name in source.data}
        self._null.visible = self._threshold.visible = False
        self._legend.set([])
        self._explained.draw({}, None)
        say(self._caption, why)

    def _draw_gap(self, null_space: Any, logs: np.ndarray, rank: int) -> None:
        there = 0 < rank < len(logs) and math.isfinite(null_space.gap)
        low, high = (float(logs[rank]), float(logs[rank - 1])) if there else (0.0, 0.0)
        self._gap.data = {
            "x": [rank + 0.5][:there], "low": [low][:there], "high": [high][:there],
            "middle": [(low + high) / 2][:there], "text": [f"gap {number(null_space.gap)}"][:there],
        }  # fmt: skip


class _ExplainedBar:
    """One bar whose parts say how many null directions each known symmetry explains."""

    def __init__(self, height: int = 96) -> None:
        self._x = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(
            height, x_range=self._x, y_range=Range1d(0, 1), tools=[], toolbar_location=None, title="Null directions"
        )
        self.root.yaxis.visible = self.root.grid.visible = False
        self._parts = ColumnDataSource({name: [] for name in ("left", "right", "fill", "name", "count", "x", "text")})
        parts = self.root.quad(
            "left", "right", 0.9, 0.1, source=self._parts, fill_color="fill", line_color="#101010", line_width=0.8
        )
        self.root.text(
            "x", 0.5, "text", source=self._parts, text_align="center", text_baseline="middle", text_font_size=SMALL,
            text_color="#000000",
        )  # fmt: skip
        self.root.add_tools(HoverTool(renderers=[parts], tooltips=[("@name", "@count")]))
        self._legend = KeyLegend(self.root, "below", width=430, room=len(_KINDS) + 2)
        self._base = height

    def draw(self, explained: Mapping[str, int], dimension: int | None) -> None:
        """Show counts by kind."""
        shown = {literal(kind): int(count) for kind, count in explained.items() if count}
        counts = np.array(list(shown.values()), dtype=float)
        right = np.cumsum(counts)
        fills = [_fill(kind, at) for at, kind in enumerate(shown)]
        self._parts.data = {
            "left": right - counts, "right": right, "fill": fills, "name": list(shown), "count": counts,
            "x": right - counts / 2, "text": [f"{count:.0f}" for count in counts],
        }  # fmt: skip
        fit_range(self._x, 0.0, float(right[-1]) if len(right) else 1.0)
        self._legend.set(
            [(f"{kind}: {count}", fill, "square") for (kind, count), fill in zip(shown.items(), fills, strict=True)]
        )
        self.root.title.text = (
            "Null directions: not known" if dimension is None
            else f"{dimension} null direction{'' if dimension == 1 else 's'}" + (", explained by" if shown else "")
        )  # fmt: skip
        self.root.height = self._base + 18 * self._legend.rows


def _fill(kind: str, at: int) -> str:
    if kind == "unexplained":
        return _UNEXPLAINED
    colours = palettes.categorical(7)
    return colours[_KINDS.index(kind)] if kind in _KINDS else colours[(len(_KINDS) + at) % 7]


def spectrum_words(null_space: Any) -> list[str]:
    """Dimension, gap and what a reader must know of a null space, in words."""
    p, n = int(null_space.n_parameters), int(null_space.n_samples)
    if null_space.dimension is None:
        low, high = null_space.bounds
        words = [f"Estimated (matrix-free): between {low:,} and {high:,} of {p:,} directions are null."]
    else:
        gap = null_space.gap
        said = f", gap {number(gap)}" if math.isfinite(gap) else ", no value near the threshold"
        words = [f"{null_space.dimension:,} of {p:,} directions are null on these {n:,} samples{said}."]
        listed = len(null_space.singular_values)
        if listed < p and not null_space.estimated:
            words.append(f"{p - listed:,} are null because there are fewer outputs on samples than parameters.")
        half = null_space.half_dimension
        if half is not None and half != null_space.dimension:
            words.append(f"On half the samples {half:,} are: the number depends on the samples!")
        elif half is not None:
            words.append("Half the samples give the same number.")
    return [*words, *(literal(one) for one in null_space.notes)]
