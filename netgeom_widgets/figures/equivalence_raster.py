"""The plane of a slice as an image of log10 R with contours, and the set below epsilon."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper, Range1d
from bokeh.plotting import figure

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_plane import SlicePlane
from netgeom_widgets.figures.equivalence_scale import (
    EPSILON,
    EvenGrid,
    contour_levels,
    log_loss,
    root_grid,
    scale_limits,
    with_nearest,
)
from netgeom_widgets.figures.plots import add_colour_bar, fit_range

_PLACE = ("image", "x", "y", "dw", "dh")
_VALUE = "return Number.isFinite(value) ? (10 ** value).toExponential(2) : 'no finite number'"


class LossRaster:
    """Image, contours and colour bar of one plot.

    Attributes
    ----------
    logs : EvenGrid or None
        log10 of what is drawn.
    limits : (float, float)
        log10 values at the ends of the colours.
    image, thin, strong, veil : ColumnDataSource
        Pixels; contours at powers of ten; that of epsilon; the set below it.
    """

    def __init__(self, plot: figure) -> None:
        self.logs: EvenGrid | None = None
        self._roots: EvenGrid | None = None
        self.limits: tuple[float, float] = (-1.0, 0.0)
        self._x: Range1d = plot.x_range
        self._y: Range1d = plot.y_range
        self.mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=-1, high=0, nan_color=palettes.MISSING)
        self.image = ColumnDataSource({name: [] for name in _PLACE})
        image = plot.image(*_PLACE, source=self.image, color_mapper=self.mapper)
        formats: dict[str, Any] = {"@image": CustomJSHover(code=_VALUE), "$x": "printf", "$y": "printf"}
        self._hover = HoverTool(renderers=[image], tooltips=None, formatters=formats)
        plot.add_tools(self._hover)
        self.bar = add_colour_bar(plot, self.mapper, ticker=BasicTicker(desired_num_ticks=6, min_interval=1))
        self.thin, self.strong = (ColumnDataSource({"xs": [], "ys": []}) for _ in range(2))
        # One row of all polygons, always: BokehJS paints before it has placed further rows where a message changes the
        # layout too, as a caption that grows does.
        self.veil = ColumnDataSource({"xs": [[]], "ys": [[]]})
        plot.multi_polygons(
            "xs", "ys", source=self.veil, fill_color="#ffffff", fill_alpha=0.12, line_color=None,
            hatch_pattern="right_diagonal_line", hatch_color="#ffffff", hatch_alpha=0.45, hatch_scale=10,
        )  # fmt: skip
        plot.multi_line("xs", "ys", source=self.thin, line_color="#ffffff", line_alpha=0.5, line_width=0.8)
        for colour, width in (("#ffffff", 4.0), (EPSILON, 2.2)):
            plot.multi_line("xs", "ys", source=self.strong, line_color=colour, line_width=width, line_join="round")

    def draw(self, plane: SlicePlane, limits: tuple[float, float] | None, *, partial: bool) -> None:
        """Show the numbers of a plane; ``partial``: NaN is what is not known yet."""
        values = with_nearest(plane.grid.values) if partial else plane.grid.values
        self.logs = logs = replace(plane.grid, values=log_loss(values))
        self._roots = root_grid(replace(plane.grid, values=values))
        self.limits = scale_limits(logs.values) if limits is None else (float(limits[0]), float(limits[1]))
        self.mapper.update(low=self.limits[0], high=self.limits[1])
        self.image.data = logs.image
        levels = contour_levels(self.limits[0], float(np.nanmax(logs.values, initial=self.limits[1])))
        xs, ys = self._roots.lines([10 ** (level / 2) for level in levels])
        self.thin.data = {"xs": xs, "ys": ys}
        left, right, bottom, top = logs.bounds
        fit_range(self._x, left, right)
        fit_range(self._y, bottom, top)
        self.bar.title = f"log10 {plane.letter}"
        places = [(f"c{axis + 1}", f"${which}{{%.4g}}") for axis, which in zip(plane.axes, "xy", strict=True)]
        tips = [(plane.letter, "@image{custom}"), *places]
        if self._hover.tooltips != tips:
            self._hover.tooltips = tips

    def draw_epsilon(self, epsilon: float | None) -> None:
        """Show the contour at epsilon, and hatch the set below; None takes them away. Nothing else is sent."""
        strong: tuple[list[Any], list[Any]] = ([], [])
        veil = strong
        if self._roots is not None and epsilon is not None:
            level = math.sqrt(epsilon)
            strong, veil = self._roots.lines([level]), self._roots.filled_below(level)
        if strong[0] or len(self.strong.data["xs"]):
            self.strong.data = dict(zip(("xs", "ys"), strong, strict=True))
        if veil[0] or len(self.veil.data["xs"][0]):
            self.veil.data = {
                name: [list(chain.from_iterable(rows))] for name, rows in zip(("xs", "ys"), veil, strict=True)
            }

    def clear(self) -> None:
        """Show nothing."""
        self.logs = self._roots = None
        self.draw_epsilon(None)
        for source in (self.image, self.thin):
            source.data = {name: [] for name in source.data}
