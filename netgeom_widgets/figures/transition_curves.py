"""Curves over a training run: churn and metrics under the heat map, recurrence measures over their bands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    GlyphRenderer,
    HoverTool,
    Legend,
    LegendItem,
    LinearAxis,
    Range1d,
)
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, limits, literal, make_plot, say, style_axis
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.transition_plot import StepAxis, StepLine, name_snapshots, step_names, transition_names

#: Colour, marker and dash of each line: no line is told by its colour alone.
_LOOKS = (
    ("#D55E00", "circle", []),
    ("#0072B2", "square", []),
    ("#009E73", "triangle", []),
    ("#CC79A7", "diamond", [6, 3]),
    ("#E69F00", "inverted_triangle", [6, 3]),
    ("#56B4E9", "hex", [2, 2]),
)
#: More points than this on a line get smaller marks; pixels of a narrow legend.
_MANY, _WIDTH = 50, 380
#: Says which lines belong to the axis on the right.
_TO_RIGHT = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}"
_SHARES = ("acc", "auc", "f1", "precision", "recall", "score", "iou", "dice", "top1", "top5")


@dataclass(frozen=True, eq=False)
class Curve:
    """One line: where it is drawn, and how each point is called in a hover box."""

    name: str
    x: np.ndarray
    y: np.ndarray
    at: list[str]
    right: bool = False


class LinesPlot:
    """Lines with marks on two vertical axes: shares from 0 to 1 on the left, anything else on the right."""

    def __init__(self, height: int, at: str, *, right_from_zero: bool = False, **options: Any) -> None:
        self._least = [0.0] if right_from_zero else []
        self._right = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(height, y_range=(-0.04, 1.04), extra_y_ranges={"right": self._right}, **options)
        self._right_axis = LinearAxis(y_range_name="right", visible=False)
        style_axis(self._right_axis)
        self.root.add_layout(self._right_axis, "right")
        self._legend = Legend(
            items=[],
            orientation="horizontal",
            location="left",
            label_text_font_size=SMALL,
            border_line_alpha=0,
            background_fill_alpha=0,
            padding=1,
            margin=0,
            spacing=6,
            glyph_height=12,
            label_height=12,
            label_standoff=3,
        )
        self.root.add_layout(self._legend, "above")
        self._lines: dict[tuple[int, bool], tuple[GlyphRenderer, GlyphRenderer]] = {}
        self._items: dict[tuple[int, bool], LegendItem] = {}
        tips = f"<div>{at} <b>@at</b></div><div>@name <b>@y{{%.4g}}</b></div>"
        self._hover = HoverTool(renderers=[], tooltips=tips, formatters={"@y": "printf"})
        self.root.add_tools(self._hover)
        self._add_line(0, False)  # a plot without any glyph draws a warning
        self.set([])

    def set(self, curves: list[Curve]) -> list[str]:
        """Show these lines, whose looks go by their order; names of those that would look like others."""
        shown = {(at, curve.right): curve for at, curve in enumerate(curves[: len(_LOOKS)])}
        for key in shown:
            if key not in self._lines:
                self._add_line(*key)
        for key, pair in self._lines.items():
            for renderer in pair:
                renderer.visible = key in shown
        for key, curve in shown.items():
            columns = {"x": curve.x, "y": curve.y, "at": curve.at, "name": [curve.name] * len(curve.x)}
            line, dots = self._lines[key]
            line.data_source.data = columns
            dots.glyph.size = 5 if len(curve.x) <= _MANY else 2.5
        for key, item in self._items.items():
            item.visible = key in shown
            if key in shown:
                item.label = {"value": shown[key].name + f" {_TO_RIGHT}" * shown[key].right}
        longest = max((len(curve.name) for curve in shown.values()), default=0)
        self._legend.update(visible=bool(shown), ncols=max(1, _WIDTH // (46 + 6 * longest)))
        self._name_axes(list(shown.values()))
        return [curve.name for curve in curves[len(_LOOKS) :]]

    def _name_axes(self, curves: list[Curve]) -> None:
        left, right = ([curve for curve in curves if curve.right is side] for side in (False, True))
        self.root.yaxis[0].axis_label = _joined(left, "shares")
        self._right_axis.visible = bool(right)
        if right:
            self._right_axis.axis_label = f"{_TO_RIGHT} {_joined(right, 'other metrics')}"
            fit_range(self._right, *limits(self._least, *(curve.y for curve in right)), margin=0.05)

    def _add_line(self, number: int, right: bool) -> None:
        colour, marker, dash = _LOOKS[number]
        source = ColumnDataSource({"x": [], "y": [], "at": [], "name": []})
        on = {"source": source, "y_range_name": "right" if right else "default"}
        line = self.root.line("x", "y", line_color=colour, line_width=2, line_dash=dash, **on)
        dots = self.root.scatter("x", "y", marker=marker, size=5, color=colour, **on)
        self._lines[number, right] = (line, dots)
        self._items[number, right] = LegendItem(label={"value": ""}, renderers=[line, dots])
        self._legend.items = [self._items[key] for key in sorted(self._items)]
        self._hover.renderers = [pair[1] for pair in self._lines.values()]


def _joined(curves: list[Curve], many: str) -> str:
    return " / ".join(curve.name for curve in curves) if 0 < len(curves) <= 2 else many


class CurvesPart:
    """Churn and metrics under the heat map, on its horizontal axis; ``root`` is the plot."""

    def __init__(self, axis: StepAxis, height: int = 150) -> None:
        self.axis = axis
        self._lines = LinesPlot(height, "step", x_range=axis.range, tools=["xpan", "xwheel_zoom", "reset"])
        self.root = self._lines.root
        self.root.title.visible = False
        self.root.xaxis.axis_label = "step"
        self._now = StepLine(self.root)
        self._caption = add_caption(self.root)

    def draw(
        self,
        steps: Int[np.ndarray, " T"],
        churn: Float[np.ndarray, " T-1"] | None,
        metrics: Mapping[str, Any],
        *,
        step_index: int | None = None,
    ) -> None:
        """Show churn and metrics.

        Parameters
        ----------
        steps : (T,) int
        churn : (T-1,) float or None
            1 minus the mean neighbour overlap of each transition.
        metrics : mapping of str to (T,) float
            Shares (accuracy and its kind, all values within 0..1) go to the left axis, all others to the right one.
            NaN is a gap.
        step_index : int, optional
            Snapshot to mark.
        """
        steps = np.asarray(steps)
        self.axis.set(steps)
        names, n = step_names(steps), len(steps)
        name_snapshots(self.root, names)
        curves = []
        if churn is not None and len(churn):
            _same_length("churn", churn, n - 1)
            curves.append(Curve("churn", np.arange(n - 1) + 0.5, np.asarray(churn, float), transition_names(steps)))
        for name, values in metrics.items():
            _same_length(name, values, n)
            column = np.asarray(values, dtype=float)
            curves.append(Curve(literal(name), np.arange(n), column, names, right=not is_share(str(name), column)))
        left_out = self._lines.set(curves)
        say(self._caption, f"Not drawn: {', '.join(left_out)}." if left_out else "", width=64)
        self.mark(step_index)

    def mark(self, step_index: int | None) -> None:
        """Mark one snapshot, or none."""
        there = step_index is not None and 0 <= step_index < len(self.axis.steps)
        self._now.move(step_index if there else None, str(int(self.axis.steps[step_index or 0])) if there else "")

    def on_step(self, act: Callable[[int], None]) -> None:
        """Call with the index of the nearest snapshot when the user taps the curves."""
        on_tap(self.root, lambda event: self.axis.nearest(event.x), act)


class RecurrencePart:
    """Recurrence measures of a distance matrix over its bands of distance; ``root`` is the plot."""

    def __init__(self, height: int = 290) -> None:
        self._lines = LinesPlot(height, "band", right_from_zero=True, x_range=(0, 1))
        self.root = self._lines.root
        self.root.xaxis.axis_label = "distance band, as part of the largest distance"
        self._caption = add_caption(self.root)

    def draw(
        self,
        bands: Float[np.ndarray, " B"],
        laminarity: Float[np.ndarray, " B"],
        *,
        entropy: Float[np.ndarray, " B"] | None = None,
        determinism: Float[np.ndarray, " B"] | None = None,
        rate: Float[np.ndarray, " B"] | None = None,
        width: float = 0.05,
        name: str,
        note: str = "",
    ) -> None:
        """Show the measures of each band.

        Parameters
        ----------
        bands : (B,) float
            Lower end of each band, in parts of the largest distance.
        laminarity, determinism, rate : (B,) float
            Shares, on the left axis: of recurrent points in vertical lines, in diagonal lines, of all points.
        entropy : (B,) float, optional
            Of the lengths of diagonal lines, in nats, on the right axis.
        width : float
            Width of a band.
        name : str
            Which matrix.
        """
        bands = np.asarray(bands, dtype=float)
        at = [f"{low:.2f} to {low + width:.2f}" for low in bands.tolist()]
        given = {
            "laminarity": laminarity,
            "determinism": determinism,
            "recurrence rate": rate,
            "entropy (nats)": entropy,
        }
        curves = []
        for label, values in given.items():
            if values is not None:
                _same_length(label, values, len(bands))
                right = label.startswith("entropy")
                curves.append(Curve(label, bands + width / 2, np.asarray(values, dtype=float), at, right=right))
        self._lines.set(curves)
        self.root.title.text = f"Recurrence of the {name}"
        say(
            self._caption,
            f"A point counts in a band when its distance lies in it (width {width:g}).",
            "Laminarity: share of them in vertical lines, where training stays alike for a while.",
            note,
        )

    def explain(self, text: str) -> None:
        """Show no measures, but why there are none."""
        self._lines.set([])
        self.root.title.text = "Recurrence"
        say(self._caption, text)


def is_share(name: str, values: np.ndarray) -> bool:
    """Whether a metric is a share from 0 to 1, such as accuracy, by its name and its values."""
    finite = values[np.isfinite(values)]
    named = any(word in name.lower() for word in _SHARES) and "loss" not in name.lower()
    return named and (not finite.size or (float(finite.min()) >= 0 and float(finite.max()) <= 1))


def _same_length(name: str, values: Any, n: int) -> None:
    if np.shape(values) != (n,):
        raise NetgeomError(f"{name} does not fit the axis.", expected=f"{n} values", got=f"shape {np.shape(values)}")
