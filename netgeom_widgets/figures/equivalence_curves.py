"""Along curves of an equivalence class: the relative loss, the dimension, and the distance to the plane shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, Range1d
from jaxtyping import Float, Int

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    LEGEND_ENTRIES,
    KeyLegend,
    add_caption,
    fit_range,
    limits,
    literal,
    make_plot,
    say,
    wrapping_row,
)

#: R below this is drawn here: the square of the rounding error of float64.
_FLOOR = 1e-33
_WIDTH = 300


@dataclass(frozen=True, eq=False)
class ClassCurve:
    """A curve of points that share a function, by its signed length from the point that it starts at.

    Attributes
    ----------
    name : str
    length : (n,) float
        Rising; 0 at the start.
    relative_loss : (n,) float
        R against the function at the start.
    dimension : (n,) int
        Of the class there; -1 where it was not computed.
    distance : (n,) float
        To the plane shown.
    """

    name: str
    length: Float[np.ndarray, " n"]
    relative_loss: Float[np.ndarray, " n"]
    dimension: Int[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


class _LengthPlot:
    """One quantity over the length, a line with marks per curve."""

    def __init__(self, title: str, unit: str, lengths: Range1d) -> None:
        self._y = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(
            210, title=title, x_range=lengths, y_range=self._y, tools=["pan", "reset"], width=_WIDTH, min_width=_WIDTH,
            x_axis_label="length from the start", y_axis_label=unit,
        )  # fmt: skip
        self.root.yaxis[0].ticker = self.root.ygrid[0].ticker = BasicTicker(desired_num_ticks=4, num_minor_ticks=0)
        self._lines = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        self._dots = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.root.multi_line("xs", "ys", line_color="colour", line_width=1.5, source=self._lines)
        dots = self.root.scatter("x", "y", color="colour", size=4, source=self._dots)
        tips = f"<div>@name</div><div>length <b>@x{{%.4g}}</b></div><div>{unit} <b>@y{{%.4g}}</b></div>"
        self.root.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters={"@x": "printf", "@y": "printf"}))

    def draw(self, curves: Sequence[ClassCurve], values: list[np.ndarray]) -> None:
        """Show the values of each curve over its length."""
        colours = palettes.categorical(max(len(curves), 1))[: len(curves)]
        self._lines.data = {
            "xs": [curve.length.tolist() for curve in curves],
            "ys": [column.tolist() for column in values],
            "colour": list(colours),
        }
        owners = [at for at, curve in enumerate(curves) for _ in range(len(curve.length))]
        self._dots.data = {
            "x": _joined([curve.length for curve in curves]),
            "y": _joined(values),
            "colour": [colours[at] for at in owners],
            "name": [literal(curves[at].name) for at in owners],
        }
        fit_range(self._y, *limits(_joined(values)), margin=0.08)


class ClassCurvesFigure:
    """Relative loss, dimension and distance to the plane along class curves; ``root`` is the Bokeh model."""

    def __init__(self) -> None:
        self._lengths = Range1d(-1, 1, reset_start=-1, reset_end=1)
        self._loss = _LengthPlot("Relative loss along the curve", "log10 R", self._lengths)
        self._dimension = _LengthPlot("Dimension of the null space there", "dimension", self._lengths)
        self._distance = _LengthPlot("Distance to the plane shown", "distance", self._lengths)
        self._legend = KeyLegend(self._loss.root, "above", _WIDTH - 40, room=LEGEND_ENTRIES)
        self._caption = add_caption(self._loss.root)
        plots = (self._loss, self._dimension, self._distance)
        self.root = wrapping_row(*(plot.root for plot in plots))

    def show(self, curves: Sequence[ClassCurve]) -> None:
        """Draw these curves in place of the last ones."""
        self._loss.draw(curves, [np.log10(np.maximum(curve.relative_loss, _FLOOR)) for curve in curves])
        self._dimension.draw(curves, [np.where(curve.dimension < 0, np.nan, curve.dimension) for curve in curves])
        self._distance.draw(curves, [curve.distance for curve in curves])
        fit_range(self._lengths, *limits(_joined([curve.length for curve in curves])), margin=0.03)
        colours = palettes.categorical(max(len(curves), 1))
        listed = list(zip(curves, colours, strict=False))[:LEGEND_ENTRIES]
        self._legend.set([(literal(curve.name), colour, "circle") for curve, colour in listed])
        least = min((float(curve.relative_loss.min()) for curve in curves if len(curve.relative_loss)), default=1.0)
        say(
            self._caption,
            f"R below {_FLOOR:.0e} is drawn there." if least < _FLOOR else "",
            f"{len(curves) - LEGEND_ENTRIES} more curves." if len(curves) > LEGEND_ENTRIES else "",
            width=44,
        )


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(column, dtype=float) for column in columns]) if columns else np.empty(0)
