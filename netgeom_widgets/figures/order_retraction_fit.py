"""How good a fitted map is: predicted against true ends, each run left out, and what to doubt, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.order_retraction_cell_map import cell_map
from netgeom_widgets.figures.plots import (
    KeyLegend,
    add_caption,
    fit_range,
    limits,
    literal,
    make_plot,
    number,
    say,
    wrapping_row,
)
from netgeom_widgets.figures.theme import GRID, PICKED

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import CubicalGrid, FittedMap

_FITTED, _HELD_OUT = palettes.OKABE_ITO[4], palettes.OKABE_ITO[5]
_MODELS = {"gp": "Gaussian process", "knn": "mean of the nearest starts", "linear": "affine map"}


class _Coordinate:
    """Predicted (up) against true (across) of one coordinate."""

    def __init__(self, height: int) -> None:
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        self.root = make_plot(
            height, x_range=self._x, y_range=self._y, tools=("pan", "wheel_zoom", "reset"), width=320, min_width=260
        )
        self._diagonal = ColumnDataSource({"x": [], "y": []})
        self.root.line("x", "y", source=self._diagonal, line_color=GRID, line_dash=[5, 4], line_width=1.5)
        names = ("x", "fitted", "held", "run", "edge", "width")
        self._points = ColumnDataSource({name: [] for name in names})
        self.root.segment("x", "fitted", "x", "held", source=self._points, line_color=GRID, line_width=0.7)
        looks = (("fitted", "circle", _FITTED), ("held", "diamond", _HELD_OUT))
        marks = [
            self.root.scatter(
                "x", name, source=self._points, marker=marker, size=7, fill_color=colour, line_color="edge",
                line_width="width",
            )
            for name, marker, colour in looks
        ]  # fmt: skip
        tips = [
            ("run", "@run"),
            ("true", "@x{%.4g}"),
            ("predicted", "@fitted{%.4g}"),
            ("without the run", "@held{%.4g}"),
        ]
        formats: dict[str, Any] = dict.fromkeys(("@x", "@fitted", "@held"), "printf")
        self.root.add_tools(HoverTool(renderers=marks, tooltips=tips, formatters=formats))
        self._legend = KeyLegend(self.root, "above", width=260, room=2)
        self._caption = add_caption(self.root)

    def draw(
        self, name: str, true: np.ndarray, fitted: np.ndarray, held: np.ndarray, runs: Sequence[str], picked: np.ndarray
    ) -> None:
        ends = limits(true, fitted, held)
        self._diagonal.data = {"x": list(ends), "y": list(ends)}
        self._points.data = {
            "x": true, "fitted": fitted, "held": held, "run": list(runs),
            "edge": [PICKED if one else "#202020" for one in picked], "width": np.where(picked, 2.4, 0.5),
        }  # fmt: skip
        for axis in (self._x, self._y):
            fit_range(axis, *ends, margin=0.06)
        self.root.title.text = f"Ends predicted: {name}"
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = f"true end, {name}", f"predicted end, {name}"
        left_out = np.isfinite(held)
        entries = [("map of all pairs", _FITTED, "circle"), ("map without the run", _HELD_OUT, "diamond")]
        self._legend.set(entries if left_out.any() else entries[:1])
        rmse = [float(np.sqrt(np.mean((other - true)[there] ** 2))) if there.any() else np.nan for other, there in
                ((fitted, np.isfinite(fitted)), (held, left_out))]  # fmt: skip
        without = f", {number(rmse[1])} for runs left out" if left_out.any() else ""
        say(self._caption, f"Root mean square error: {number(rmse[0])}{without}.", width=44)


class MapFitFigure:
    """A panel for each coordinate of a fitted map; ``root`` is a Bokeh row.

    Parameters
    ----------
    dims : int
        Coordinates.
    height : int
        Of a panel, in pixels.
    """

    def __init__(self, dims: int, height: int = 320) -> None:
        self._parts = [_Coordinate(height) for _ in range(dims)]
        self.root = wrapping_row(*(part.root for part in self._parts), spacing=6)

    def show(self, fitted: FittedMap, *, names: Sequence[str] | None = None, selection: Iterable[int] = ()) -> None:
        """Show a fit.

        Parameters
        ----------
        fitted : FittedMap
        names : sequence of str, optional
            Of the coordinates.
        selection : iterable of int
            Numbers of pairs to outline.
        """
        true = np.asarray(fitted.ends, dtype=float)
        d = true.shape[1]
        if d != len(self._parts):
            raise NetgeomError(
                "The map has another number of coordinates.", expected=f"{len(self._parts)}", got=f"{d}"
            )  # fmt: skip
        names = [f"coordinate {axis + 1}" for axis in range(d)] if names is None else [literal(name) for name in names]
        predicted, held = fitted.predict(fitted.starts), held_out(fitted)
        ids = range(len(true)) if fitted.ids is None else fitted.ids
        runs = [literal(one) for one in ids]
        picked = np.isin(np.arange(len(true)), np.fromiter(selection, dtype=np.int64))
        for axis, part in enumerate(self._parts):
            part.draw(names[axis], true[:, axis], predicted[:, axis], held[:, axis], runs, picked)


def held_out(fitted: FittedMap) -> Float[np.ndarray, "n d"]:
    """Ends as the map without their run predicts them; NaN where nothing is left without it."""
    try:
        return np.asarray(fitted.ends - fitted.leave_one_run_out.errors, dtype=float)
    except NetgeomError:
        return np.full(np.shape(fitted.ends), np.nan)


def fit_sentences(fitted: FittedMap, names: Sequence[str] | None = None) -> list[str]:
    """What a fitted map is, how far it explains the ends, and what to doubt, one sentence each."""
    d = np.shape(fitted.ends)[1]
    names = [f"coordinate {axis + 1}" for axis in range(d)] if names is None else list(names)
    about = {"identity": "of the displacement", "zero": "of the end, with mean 0", "linear": "about an affine map"}
    how = "" if fitted.model == "linear" else f" {about.get(fitted.mean, '')}"
    said = [f"{_MODELS.get(fitted.model, fitted.model)[:1].upper()}{_MODELS.get(fitted.model, fitted.model)[1:]}{how},"
            f" of {len(fitted.ends):,} pairs."]  # fmt: skip
    defect = float(fitted.closure_defect)
    if np.isfinite(defect):
        meaning = (
            "the start decides the end" if defect < 0.1 else "the start leaves a part of the end open" if defect < 0.5
            else "the start says little about the end: no function of these coordinates is the map"
        )  # fmt: skip
        said.append(f"Closure defect {number(defect)} (0: a function, 1: none): {meaning}.")
    if fitted.length_scale is not None:
        scales = np.broadcast_to(fitted.length_scale, d)
        marks = _bound_marks(scales, fitted.settings.get("length_scale_bounds"))
        listed = (f"{name} {number(value)}{mark}" for name, value, mark in zip(names, scales, marks, strict=True))
        said.append(f"Length scales: {', '.join(listed)}.")
        said.append(f"Noise: standard deviation {number(float(np.sqrt(fitted.noise)))}.")
    try:
        held = fitted.leave_one_run_out
        said.append(
            f"Runs left out: {number(100 * held.explained)} % of the variance explained; {number(100 * held.covered)} %"
            " of the ends within 1.96 standard deviations of the model (95 % where it knows its uncertainty)."
        )
    except NetgeomError:
        said.append("With one run none can be left out.")
    return [*said, *fitted.warnings]


def _bound_marks(scales: Float[np.ndarray, " d"], bounds: Sequence[tuple[float, float]] | None) -> list[str]:
    """Which length scales ended at a bound of their search."""
    if not bounds:
        return [""] * len(scales)
    given = [bounds[at if len(bounds) > 1 else 0] for at in range(len(scales))]
    return [
        " (lower bound)" if value <= low * 1.001 else " (upper bound)" if value >= high / 1.001 else ""
        for value, (low, high) in zip(scales.tolist(), given, strict=True)
    ]


def fit_plot(fitted: FittedMap, *, names: Sequence[str] | None = None, height: int = 320) -> LayoutDOM:
    """Predicted against true ends, for scripts and notebooks.

    Examples
    --------
    >>> fit_plot(fit_map(starts, ends))  # doctest: +SKIP
    """
    part = MapFitFigure(np.shape(fitted.ends)[1], height)
    part.show(fitted, names=names)
    return part.root


def std_plot(
    fitted: FittedMap, grid: CubicalGrid, *, names: Sequence[str] | None = None, height: int = 340, **options: Any
) -> LayoutDOM:
    """How uncertain a fitted map is at the middle of each cell, for scripts and notebooks.

    Parameters
    ----------
    fitted : FittedMap
        Its standard deviation is the same for every coordinate; without the noise of single runs.
    grid : CubicalGrid
    names : sequence of str, optional
        Of the axes.
    height : int
        In pixels.
    **options
        ``axes``, ``at`` and ``note`` of `CellMap.show`.

    Returns
    -------
    bokeh.models.Plot

    Raises
    ------
    NetgeomError
        For a model without a spread: one nearest neighbour.

    Examples
    --------
    >>> std_plot(fitted, CubicalGrid(*domain(starts, ends), 12))  # doctest: +SKIP
    """
    spread = fitted.std_on_lattice([grid.middles(axis) for axis in range(grid.dims)])[:, 0]
    return cell_map(
        grid, spread, title="Uncertainty of the fitted map", quantity="standard deviation, units of the coordinates",
        names=names, height=height, **options,
    )  # fmt: skip
