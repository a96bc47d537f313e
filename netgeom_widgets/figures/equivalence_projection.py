"""Points of many coordinates in two: an epsilon set of four or more dimensions, with the elements among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_marks import ElementMarks, SliceElements
from netgeom_widgets.figures.equivalence_scale import log_loss, quantity
from netgeom_widgets.figures.plots import (
    KeyLegend,
    add_caption,
    add_colour_bar,
    fit_range,
    limits,
    literal,
    make_plot,
    number,
    say,
)
from netgeom_widgets.figures.taps import on_tap

#: More points than this are drawn as smaller dots.
_CROWD = 800


class ProjectionPicture:
    """A scatter of projected points coloured by log10 R, elements among them; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels.
    """

    def __init__(self, height: int = 360, **options: Any) -> None:
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "projection"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=-1, high=0, nan_color=palettes.MISSING)
        self._points = ColumnDataSource({name: [] for name in ("x", "y", "log", "value")})
        dots = self.root.scatter(
            "x", "y", source=self._points, size=6, fill_color={"field": "log", "transform": self._mapper},
            line_color=None, fill_alpha=0.85,
        )  # fmt: skip
        self._dots = dots
        self.root.add_tools(
            HoverTool(renderers=[dots], tooltips=[("loss", "@value{%.3g}")], formatters={"@value": "printf"})
        )
        self._marks = ElementMarks(self.root)
        self._bar = add_colour_bar(self.root, self._mapper)
        self._legend = KeyLegend(self.root, "below", width=430, room=6)
        self._caption = add_caption(self.root)

    def show(
        self,
        projection: Any,
        values: Float[np.ndarray, " m"],
        *,
        elements: SliceElements | None = None,
        letter: str = "R",
        epsilon: float | None = None,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show points.

        Parameters
        ----------
        projection : Projection
            Of m points and, in the rows after these, of the elements.
        values : (m,) float
            R, or J, of the points.
        elements : SliceElements, optional
            Their status and loss; places are those of the projection, ``distance`` is to the space of the grid.
        letter : {"R", "J"}
        epsilon : float, optional
            What the points have at most, for the caption.
        title, note : str, optional

        Raises
        ------
        NetgeomError
            Where points, values and elements do not belong together.
        """
        places = np.asarray(projection.coordinates, dtype=float)
        losses, n = np.asarray(values, dtype=float), 0 if elements is None else len(elements)
        if places.shape != (len(losses) + n, 2):
            raise NetgeomError(
                "These points do not belong together.", expected=f"{len(losses)} points and {n} elements",
                got=f"coordinates {places.shape}",
            )  # fmt: skip
        m, logs = len(losses), log_loss(losses)
        self._points.data = {"x": places[:m, 0], "y": places[:m, 1], "log": logs, "value": losses}
        self._dots.glyph.size = 6 if m <= _CROWD else 4
        low, high = limits(logs)
        self._mapper.update(low=low, high=high)
        self._bar.title = f"log10 {letter}"
        for axis, ends in ((self._x, limits(places[:, 0])), (self._y, limits(places[:, 1]))):
            fit_range(axis, *ends, margin=0.06)
        if elements is None:
            self._marks.clear()
        else:
            reach = 0.5 * float(np.hypot(*np.ptp(places[:m], axis=0))) if m else 1.0
            self._marks.draw(elements, places[m:], np.asarray(elements.distance, dtype=float), reach)
        self._legend.set([] if elements is None else elements.legend)
        self._label(projection)
        self.root.title.text = literal(title) if title is not None else f"Projected set of small {quantity(letter)}"
        bound = "" if epsilon is None else f" with {letter} \N{LESS-THAN OR EQUAL TO} {number(epsilon)}"
        said = f"{m:,} points{bound}." if m else f"No point{bound}."
        say(self._caption, said, projection_words(projection), literal(note))

    def clear(self, why: str) -> None:
        """Show no point, but why there is none."""
        self._points.data = {name: [] for name in self._points.data}
        self._marks.clear()
        self._legend.set([])
        say(self._caption, why)

    def pick_element(self, element: int | None) -> None:
        """Ring an element, or none."""
        self._marks.pick(element)

    def on_element(self, act: Callable[[int], None]) -> None:
        """Call with the number of an element that the user taps."""
        on_tap(self.root, self._marks.at, act)

    def _label(self, projection: Any) -> None:
        names = ["t-SNE 1", "t-SNE 2"]
        if projection.shares is not None:
            names = [f"principal axis {at} ({share:.0%})" for at, share in enumerate(projection.shares, start=1)]
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = names


def projection_words(projection: Any) -> str:
    """What distances in the picture mean."""
    if projection.shares is None:
        return "t-SNE (stands in for UMAP): neighbours are kept, axes and distances mean nothing."
    return f"Orthogonal projection: {sum(projection.shares):.0%} of the variance."
