"""Which coordinates of all were chosen: how much each spreads over the runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, Range1d

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import KeyLegend, add_caption, fit_range, literal, make_plot, name_ticks, number, say
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import GRID

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import Coordinates, Trajectories

#: Bars at most.
_MOST = 40
_CHOSEN, _OTHER = palettes.OKABE_ITO[5], palettes.OKABE_ITO[4]
_KINDS = {
    "largest_spread": "Chosen: the largest standard deviation of the final value.",
    "smallest_spread": "Chosen: the smallest standard deviation of the final value.",
    "pca_final": "Chosen: principal axes of the final values.",
    "pca_all": "Chosen: principal axes of all values.",
    "pca_displacement": "Chosen: principal axes of final minus first values.",
    "named": "Chosen by name.",
}


class CoordinatesFigure:
    """A bar for each weight; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    shown : (m,) int
        Numbers of the weights, from the left.
    """

    def __init__(self, height: int = 320) -> None:
        self.shown = np.empty(0, dtype=np.int64)
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        self.root = make_plot(
            height, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None, title="Spread of each weight"
        )
        self.root.xgrid.visible = False
        self.root.xaxis[0].axis_label = "weight, by spread"
        self.root.yaxis[0].axis_label = "standard deviation over runs"
        self._bars = ColumnDataSource({name: [] for name in ("x", "top", "fill", "name", "share")})
        bars = self.root.vbar(
            x="x", top="top", bottom=0, width=0.8, source=self._bars, fill_color="fill", line_color=GRID, line_width=0.5
        )
        tips = [("weight", "@name"), ("standard deviation", "@top{%.4g}"), ("in the axes shown", "@share")]
        self.root.add_tools(HoverTool(renderers=[bars], tooltips=tips, formatters={"@top": "printf"}))
        self._legend = KeyLegend(self.root, "above", width=430, room=2)
        self._caption = add_caption(self.root)

    def show(self, trajectories: Trajectories, coordinates: Coordinates) -> None:
        """Show the spread of the final value of each weight over the runs, and which weights the axes are made of.

        Of more than 40 weights those with the most part in the axes and then the largest spread are shown.
        """
        values = np.asarray(trajectories.values, dtype=float)
        matrix = np.asarray(coordinates.matrix, dtype=float)
        if matrix.shape[0] != values.shape[2]:
            raise NetgeomError(
                "The coordinates are not of these trajectories.", expected=f"{values.shape[2]} weights",
                got=f"{matrix.shape[0]}",
            )  # fmt: skip
        spread = values[:, -1].std(axis=0)
        part = (matrix**2).sum(axis=1)
        first = np.lexsort((-np.nan_to_num(spread), -np.round(part, 12)))[:_MOST]
        self.shown = first[np.argsort(-np.nan_to_num(spread[first]), kind="stable")]
        names = [literal(name) for name in trajectories.names]
        chosen = (
            part[self.shown] > 1 / max(len(part), 1) if coordinates.kind.startswith("pca") else part[self.shown] > 0
        )
        self._bars.data = {
            "x": np.arange(len(self.shown)), "top": spread[self.shown],
            "fill": [_CHOSEN if one else _OTHER for one in chosen], "name": [names[at] for at in self.shown.tolist()],
            "share": [self._share(coordinates, at) for at in self.shown.tolist()],
        }  # fmt: skip
        n = len(self.shown)
        name_ticks(self.root.xaxis[0], np.arange(n), [names[at] for at in self.shown.tolist()])
        self.root.xaxis[0].major_label_orientation = 0.7 if n > 4 else 0.0
        fit_range(self._x, -0.6, max(n, 1) - 0.4)
        fit_range(self._y, 0.0, max(float(np.nanmax(spread, initial=0.0)), 1e-12), margin=0.05)
        is_pca = coordinates.kind.startswith("pca")
        self._legend.set(
            [("much in the axes" if is_pca else "an axis of the plane", _CHOSEN, "square"), ("other", _OTHER, "square")]
        )
        explained = ", ".join(
            f"{literal(name)} {number(100 * float(part))} %"
            for name, part in zip(coordinates.names, coordinates.explained, strict=True)
        )
        total = len(part)
        fewer = f"Shown: {n} of {total:,} weights." if n < total else ""
        plane = f"{matrix.shape[1]} of {total:,} coordinates: what happens in them need not depend on them alone."
        say(
            self._caption, _KINDS.get(coordinates.kind, ""), f"Share of the variance over runs: {explained}.",
            fewer, plane if matrix.shape[1] < total else "",
        )  # fmt: skip

    def on_weight(self, act: Callable[[int], None]) -> None:
        """Call with the number of a weight whose bar the user taps."""

        def found(event: Tap) -> int | None:
            place = None if event.x is None else round(event.x)
            return int(self.shown[place]) if place is not None and 0 <= place < len(self.shown) else None

        on_tap(self.root, found, act)

    @staticmethod
    def _share(coordinates: Coordinates, weight: int) -> str:
        row = np.asarray(coordinates.matrix)[weight]
        names = [literal(name) for name in coordinates.names]
        parts = [
            f"{number(float(value))} of {name}" for name, value in zip(names, row, strict=True) if abs(value) > 5e-4
        ]
        return ", ".join(parts) or "no part"


def coordinates_plot(trajectories: Trajectories, coordinates: Coordinates, *, height: int = 320) -> LayoutDOM:
    """The spread of each weight and which were chosen, for scripts and notebooks; see `CoordinatesFigure.show`.

    Examples
    --------
    >>> coordinates_plot(runs, choose_coordinates(runs, "largest_spread"))  # doctest: +SKIP
    """
    part = CoordinatesFigure(height)
    part.show(trajectories, coordinates)
    return part.root
