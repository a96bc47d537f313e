"""The set of small loss in three coordinates: its points, or its contours layer by layer, seen from a direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_marks import ElementMarks, SliceElements
from netgeom_widgets.figures.equivalence_scale import (
    EvenGrid,
    as_epsilon,
    colours,
    log_loss,
    quantity,
    root_grid,
    slice_values,
)
from netgeom_widgets.figures.equivalence_words import axis_names, epsilon_words, reference_words, zero_value
from netgeom_widgets.figures.orthographic import Cube, CubePlot, View
from netgeom_widgets.figures.plots import KeyLegend, add_caption, add_colour_bar, limits, literal, say

Mode = Literal["points", "contours"]
MODES: tuple[Mode, ...] = ("points", "contours")
#: Points, and layers of contours, at most: of more every so-manieth is drawn, and it is said.
_POINTS, _LAYERS = 6000, 25
_COLUMNS = ("x", "y", "fill", "size", "c1", "c2", "c3", "value")


class EpsilonSpace:
    """A slice of three axes; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    view : View
    mode : {"points", "contours"}
    epsilon : float or None
    """

    def __init__(self, height: int = 440, **options: Any) -> None:
        self.view = View()
        self.epsilon: float | None = None
        self.mode: Mode = "points"
        self._slice: Any = None
        self._cube = Cube(np.array([[0.0, 1.0]] * 3), ["", "", ""])
        self._elements: SliceElements | None = None
        self._notes: list[str] = []
        self._plot = CubePlot(height, **({"name": "set of small loss"} | options))
        self.root = self._plot.root
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=-1, high=0)
        self._points = ColumnDataSource({name: [] for name in _COLUMNS})
        self._lines = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "c3")})
        lines = self.root.multi_line("xs", "ys", source=self._lines, line_color="colour", line_width=1.8)
        dots = self.root.scatter(
            "x", "y", source=self._points, size="size", fill_color="fill", line_color="#101010", line_width=0.3
        )
        tips = [*((f"c{axis}", f"@c{axis}{{%.4g}}") for axis in (1, 2, 3)), ("loss", "@value{%.3g}")]
        formats: dict[str, Any] = dict.fromkeys(("@c1", "@c2", "@c3", "@value"), "printf")
        nearest: dict[str, Any] = {"sort_by": [("size", -1)], "limit": 1}  # what is on top
        self.root.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters=formats, **nearest))
        self.root.add_tools(HoverTool(renderers=[lines], tooltips=[("c3", "@c3{%.4g}")], formatters={"@c3": "printf"}))
        self._marks = ElementMarks(self.root)
        self._bar = add_colour_bar(self.root, self._mapper)
        self._legend = KeyLegend(self.root, "below", width=430, room=6)
        self._caption = add_caption(self.root)
        self._set: np.ndarray = np.empty((0, 3))
        self._losses: np.ndarray = np.empty(0)
        self._contours: list[tuple[np.ndarray, float]] = []

    def show(
        self,
        loss_slice: Any,
        *,
        epsilon: float | None = None,
        names: Sequence[str] | None = None,
        mode: Mode | None = None,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show a slice; the direction stays.

        Parameters
        ----------
        loss_slice : LossSlice
            Of three axes, evenly spaced.
        epsilon : float, optional
            By default the one set before; without any nothing is drawn but the cube.
        names : sequence of 3 str, optional
            What each row of the basis is.
        mode : {"points", "contours"}, optional
            The grid points with a loss of at most epsilon, or the contours at epsilon in the layers of the third axis.
        title, note : str, optional

        Raises
        ------
        NetgeomError
            For another number of axes.
        """
        if len(loss_slice.axes) != 3:
            raise NetgeomError("A cube has three axes.", expected="a slice of 3 axes", got=f"{len(loss_slice.axes)}")
        self._slice, self._elements = loss_slice, None
        bounds = np.array([[float(axis[0]), float(axis[-1])] for axis in loss_slice.axes])
        self._cube = Cube(bounds, ["c1", "c2", "c3"])
        letter = slice_values(loss_slice)[1]
        said = [f"{name}." for name in axis_names(3, names)] if names is not None else []
        self._notes = [*said, *reference_words(loss_slice, letter), literal(note)]
        self.root.title.text = literal(title) if title is not None else f"Set of small {quantity(letter)}"
        self._marks.clear()
        self._legend.set([])
        self._plot.draw(self._cube, self.view)
        self.set_epsilon(self.epsilon if epsilon is None else epsilon, mode)

    def clear(self, why: str) -> None:
        """Show nothing, but why."""
        self._slice = self._elements = None
        self._plot.clear()
        self._marks.clear()
        self._legend.set([])
        for source in (self._points, self._lines):
            source.data = {name: [] for name in source.data}
        say(self._caption, why)

    def set_epsilon(self, epsilon: float | None, mode: Mode | None = None) -> None:
        """Show the set of another epsilon, or in the other way; nothing is evaluated."""
        if mode is not None and mode not in MODES:
            raise NetgeomError("There is no such way to draw a set.", expected=", ".join(MODES), got=repr(mode))
        self.epsilon, self.mode = as_epsilon(epsilon), self.mode if mode is None else mode
        if self._slice is None:
            return
        values, letter = slice_values(self._slice)
        self._set, self._losses, self._contours = np.empty((0, 3)), np.empty(0), []
        words = []
        if epsilon is not None:
            words.append(epsilon_words(values, epsilon, letter, zero_value(self._slice, letter)))
            words.append(
                self._take_points(values, epsilon) if self.mode == "points" else self._take_contours(values, epsilon)
            )
        self._colour(letter)
        self._move()
        say(self._caption, *words, *self._notes)

    def set_view(self, azimuth: float, elevation: float) -> None:
        """Look from another direction; only places are sent."""
        self.view = View(float(azimuth), float(elevation))
        if self._slice is not None:
            self._plot.draw(self._cube, self.view)
            self._move()

    def draw_elements(self, elements: SliceElements | None) -> None:
        """Show elements by their three coordinates; None shows none."""
        self._elements = elements
        self._legend.set([] if elements is None else elements.legend)
        self._place_elements()

    def pick_element(self, element: int | None) -> None:
        """Ring an element, or none."""
        self._marks.pick(element)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _take_points(self, values: np.ndarray, epsilon: float) -> str:
        index = np.argwhere(np.isfinite(values) & (values <= epsilon))
        n = len(index)
        index = index[:: max(1, math.ceil(n / _POINTS))]
        self._set = np.stack([np.asarray(axis)[index[:, at]] for at, axis in enumerate(self._slice.axes)], axis=1)
        self._losses = values[tuple(index.T)]
        return f"Drawn: {len(index):,} of these {n:,}." if len(index) < n else ""

    def _take_contours(self, values: np.ndarray, epsilon: float) -> str:
        c1, c2, c3 = (np.asarray(axis, dtype=float) for axis in self._slice.axes)
        step = math.ceil(len(c3) / _LAYERS)
        level = math.sqrt(epsilon)
        for layer in range(0, len(c3), step):
            for x, y in zip(*root_grid(EvenGrid(c1, c2, values[:, :, layer])).lines([level]), strict=True):
                self._contours.append((np.column_stack([x, y, np.full(len(x), c3[layer])]), float(c3[layer])))
        return f"Contours of one layer in {step} along c3." if step > 1 else "Contours of each layer along c3."

    def _colour(self, letter: str) -> None:
        if self.mode == "points":
            low, high = limits(log_loss(self._losses))
            title = f"log10 {letter}"
        else:
            low, high = self._cube.bounds[2].tolist()
            title = "c3"
        self._mapper.update(low=low, high=high)
        self._bar.title = title

    def _move(self) -> None:
        """Places of all that is drawn, from the direction."""
        places, depth = self.view.project(self._cube.scaled(self._set))
        order = np.argsort(depth, kind="stable")  # the nearest last, on top
        at, kept = places[order], self._set[order]
        fills = np.array(colours(log_loss(self._losses), (self._mapper.low, self._mapper.high)), dtype=object)
        self._points.data = {
            "x": at[:, 0], "y": at[:, 1], "fill": fills[order].tolist(), "size": 5 + 1.5 * depth[order],
            "c1": kept[:, 0], "c2": kept[:, 1], "c3": kept[:, 2], "value": self._losses[order],
        }  # fmt: skip
        lines = [(self.view.project(self._cube.scaled(points))[0], c3) for points, c3 in self._contours]
        heights = np.array([c3 for _, c3 in lines])
        self._lines.data = {
            "xs": [points[:, 0] for points, _ in lines], "ys": [points[:, 1] for points, _ in lines],
            "colour": colours(heights, (self._mapper.low, self._mapper.high)), "c3": heights,
        }  # fmt: skip
        self._place_elements()

    def _place_elements(self) -> None:
        if self._elements is None:
            self._marks.clear()
            return
        places, _ = self.view.project(self._cube.scaled(np.asarray(self._elements.coordinates, dtype=float)))
        reach = 0.5 * float(np.linalg.norm(np.diff(self._cube.bounds, axis=1)))
        self._marks.draw(self._elements, places, np.asarray(self._elements.distance, dtype=float), reach)


def epsilon_space(
    loss_slice: Any, *, epsilon: float, view: View | None = None, height: int = 440, **options: Any
) -> Any:
    """The set of small loss of a slice of three axes as a picture by itself; see `EpsilonSpace.show`.

    Examples
    --------
    >>> epsilon_space(relative_loss_slice(net, x, y, center, basis, axes), epsilon=1e-3)  # doctest: +SKIP
    """
    part = EpsilonSpace(height)
    if view is not None:
        part.set_view(view.azimuth, view.elevation)
    part.show(loss_slice, epsilon=epsilon, **options)
    return part.root
