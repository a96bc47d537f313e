"""One Bokeh plot: ranges, panels around the frame, everything on the frame."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
from bokeh.models import (
    Axis,
    ColorBar,
    DataRange1d,
    FactorRange,
    GlyphRenderer,
    Grid,
    Legend,
    LogScale,
    Title,
    ToolbarPanel,
)

from netgeom_widgets.figures.static.annotations import annotation_bounds, draw_annotation
from netgeom_widgets.figures.static.axes import axis_size, draw_axis, draw_grid, draw_title, title_size
from netgeom_widgets.figures.static.canvas import GUIDES, Box, Canvas
from netgeom_widgets.figures.static.colour_bar import ColourBar
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.columns import as_numbers
from netgeom_widgets.figures.static.coordinates import Scale, finite_bounds, make_scale, match_aspect, union
from netgeom_widgets.figures.static.frame import Coordinates, apply_scale
from netgeom_widgets.figures.static.glyphs import known_glyph
from netgeom_widgets.figures.static.layers import glyph_layers, is_visible, rows_of
from netgeom_widgets.figures.static.legend import corner, draw_legend, legend_size
from netgeom_widgets.figures.static.strokes import fill_colour, line_style

_LEVELS = ("image", "underlay", "glyph", "guide", "annotation", "overlay")
_SIDES = ("left", "right", "above", "below")
_LEAST_BORDER = 12.0


class PlotPicture:
    """A Bokeh plot measured and drawn with matplotlib.

    Parameters
    ----------
    plot : bokeh.models.Plot
    width, height : float, optional
        Outer size in CSS pixels; by default what the plot asks for.
    """

    def __init__(self, plot: Any) -> None:
        self.plot = plot
        self._x_factors = self._first_scales("x")
        self._y_factors = self._first_scales("y")

    # Ranges.

    def _ranges(self, which: str) -> dict[str, tuple[Any, Any]]:
        plot = self.plot
        found = {"default": (getattr(plot, f"{which}_range"), getattr(plot, f"{which}_scale"))}
        scales = getattr(plot, f"extra_{which}_scales")
        for name, range_ in getattr(plot, f"extra_{which}_ranges").items():
            found[name] = (range_, scales.get(name, found["default"][1]))
        return found

    def _first_scales(self, which: str) -> dict[str, Scale]:
        """Scales good enough to turn columns into numbers: factors matter, ends do not yet."""
        return {
            name: make_scale(range_, scale, (0.0, 1.0)) if isinstance(range_, FactorRange) else Scale(0.0, 1.0)
            for name, (range_, scale) in self._ranges(which).items()
        }

    def _glyph_renderers(self) -> list[GlyphRenderer]:
        return [one for one in self.plot.renderers if isinstance(one, GlyphRenderer)]

    def _bounds(self, range_: Any, which: str, *, log: bool) -> tuple[float, float]:
        """Bounds of the data drawn in a DataRange1d."""
        found = []
        wanted = range_.renderers if isinstance(range_.renderers, list) and range_.renderers else None
        for model in [*self.plot.renderers, *self.plot.center]:
            if (wanted is not None and model not in wanted) or (range_.only_visible and not model.visible):
                continue
            at = Coordinates(None, self._x_factors[model.x_range_name], self._y_factors[model.y_range_name])
            name = getattr(model, f"{which}_range_name")
            if self._ranges(which)[name][0] is not range_:
                continue
            if isinstance(model, GlyphRenderer):
                points = known_glyph(model.glyph)[0](rows_of(model), at)
            else:
                points = tuple(np.array(ends, dtype=float) for ends in annotation_bounds(model))
            found.append(finite_bounds(points[which == "y"], log=log))
        return union(found)

    def scales(self, frame: tuple[float, float]) -> tuple[dict[str, Scale], dict[str, Scale]]:
        """All x and y scales by range name, for a frame of this size."""
        found: dict[str, dict[str, tuple[float, float]]] = {"x": {}, "y": {}}
        for which in "xy":
            for name, (range_, scale) in self._ranges(which).items():
                auto = isinstance(range_, DataRange1d)
                log = isinstance(scale, LogScale)
                found[which][name] = self._bounds(range_, which, log=log) if auto else (0.0, 1.0)
        if self.plot.match_aspect:
            x, y = found["x"]["default"], found["y"]["default"]
            if np.isfinite([*x, *y]).all():
                ratio = frame[0] / frame[1] / self.plot.aspect_scale
                found["x"]["default"], found["y"]["default"] = match_aspect(x, y, ratio)
        xs, ys = (
            {name: make_scale(*pair, found[which][name]) for name, pair in self._ranges(which).items()}
            for which in "xy"
        )
        return xs, ys

    # Panels.

    def _panels(self, side: str) -> list[Any]:
        """Visible models on a side, from the frame outwards."""
        models = list(getattr(self.plot, side))
        if self.plot.title_location == side and self.plot.title is not None:
            models.append(self.plot.title)
        return [model for model in models if is_visible(model) and not isinstance(model, ToolbarPanel)]

    def _panel_size(self, model: Any, side: str, xs: Any, ys: Any, frame: tuple[float, float]) -> float:
        across = side in ("left", "right")
        if isinstance(model, Axis):
            return axis_size(model, self._axis_scale(model, side, xs, ys), side)
        if isinstance(model, Title):
            return title_size(model, side)
        if isinstance(model, Legend):
            size = legend_size(model)
            return (size[0] if across else size[1]) + (model.margin if size[0] else 0)
        if isinstance(model, ColorBar):
            size = ColourBar(model, self._mapped_values).size(side, frame)
            return size[0] if across else size[1]
        raise unknown(f"{side} panel", model)

    @staticmethod
    def _axis_scale(axis: Any, side: str, xs: Any, ys: Any) -> Scale:
        return ys[axis.y_range_name] if side in ("left", "right") else xs[axis.x_range_name]

    def _margins(self, frame: tuple[float, float]) -> dict[str, list[tuple[Any, float]]]:
        xs, ys = self.scales(frame)
        return {
            side: [(model, self._panel_size(model, side, xs, ys, frame)) for model in self._panels(side)]
            for side in _SIDES
        }

    def _border(self, side: str, panels: list[tuple[Any, float]]) -> float:
        name = {"above": "top", "below": "bottom"}.get(side, side)
        least = getattr(self.plot, f"min_border_{name}")
        least = self.plot.min_border if least is None else least
        # room for half a tick label beyond the frame's corner
        return max(float(least or 0), _LEAST_BORDER, sum(size for _, size in panels) + 4)

    def outer_size(self) -> tuple[float, float]:
        """Width and height the plot asks for."""
        plot = self.plot
        width, height = float(plot.width or 600), float(plot.height or 600)
        if plot.frame_width is not None or plot.frame_height is not None:
            margins = self._margins((float(plot.frame_width or width), float(plot.frame_height or height)))
            room = {side: self._border(side, panels) for side, panels in margins.items()}
            if plot.frame_width is not None:
                width = plot.frame_width + room["left"] + room["right"]
            if plot.frame_height is not None:
                height = plot.frame_height + room["above"] + room["below"]
        return width, height

    def _layout(self, outer: Box) -> tuple[Box, dict[str, list[tuple[Any, float]]]]:
        """Frame and panels; two passes, because automatic ranges depend on the frame and tick labels on the ranges."""
        size = (0.8 * outer.width, 0.8 * outer.height)
        for _ in range(2):
            panels = self._margins(size)
            room = {side: self._border(side, panels[side]) for side in _SIDES}
            width = max(outer.width - room["left"] - room["right"], 10.0)
            height = max(outer.height - room["above"] - room["below"], 10.0)
            size = (width, height)
        size = self._equal_units(size)
        return Box(outer.left + room["left"], outer.top + room["above"], *size), panels

    def _equal_units(self, size: tuple[float, float]) -> tuple[float, float]:
        """The frame made narrower or lower for `match_aspect`, where the ranges are given and stay as they are.

        A browser's frame has another shape than this one, so ranges that matched there would not match here. Ranges
        so unlike that less than a quarter of the frame would remain are left as they are, as BokehJS leaves them.
        """
        xs, ys = self.scales(size)
        x, y = xs["default"], ys["default"]
        if not self.plot.match_aspect or x.log or y.log or x.factors or y.factors:
            return size
        wanted = abs((x.end - x.start) / (y.end - y.start)) * self.plot.aspect_scale
        excess = size[0] / size[1] / wanted
        if not 0.25 < excess < 4:
            return size
        return (size[0] / excess, size[1]) if excess > 1 else (size[0], size[1] * excess)

    # Drawing.

    def draw(self, canvas: Canvas, outer: Box) -> None:
        """Draw the plot into `outer` on the canvas."""
        frame, panels = self._layout(outer)
        plot = self.plot
        border = fill_colour(plot, "border_fill")
        canvas.ground(outer, border)
        axes = canvas.figure.add_axes(
            canvas.fraction(frame), frameon=True, facecolor=fill_colour(plot, "background_fill")
        )
        axes.set_axis_off()
        canvas.rectangle(frame, facecolor=fill_colour(plot, "background_fill"), edgecolor="none", order=-0.5)
        xs, ys = self.scales((frame.width, frame.height))
        self._draw_frame(canvas, axes, frame, xs, ys)
        outline = line_style(plot, "outline_line")
        canvas.rectangle(
            frame, facecolor="none", edgecolor=outline["color"], linewidth=outline["linewidth"], order=GUIDES - 1
        )
        for side, models in panels.items():
            offset = 0.0
            for model, size in models:
                self._draw_panel(canvas, model, side, frame, offset, size, (xs, ys))
                offset += size

    def _draw_panel(
        self, canvas: Canvas, model: Any, side: str, frame: Box, offset: float, size: float, scales: Any
    ) -> None:
        if isinstance(model, Axis):
            draw_axis(canvas, model, self._axis_scale(model, side, *scales), side, frame, offset)
            return
        if isinstance(model, Title):
            draw_title(canvas, model, side, frame, offset)
            return
        room = {
            "left": Box(frame.left - offset - size, frame.top, size, frame.height),
            "right": Box(frame.right + offset, frame.top, size, frame.height),
            "above": Box(frame.left, frame.top - offset - size, frame.width, size),
            "below": Box(frame.left, frame.bottom + offset, frame.width, size),
        }[side]
        if isinstance(model, Legend):
            if size:
                left, top = corner(model.location, legend_size(model), room, 0.0)
                shift = model.margin if side in ("right", "below") else 0.0
                left = room.left + shift if side in ("left", "right") else left
                top = room.top + shift if side in ("above", "below") else top
                draw_legend(canvas, model, left, top)
            return
        bar = ColourBar(model, self._mapped_values)
        wanted = bar.size(side, (frame.width, frame.height))
        bar.draw(canvas, side, Box(room.left, room.top, min(wanted[0], room.width), min(wanted[1], room.height)))

    def _coordinates(self, axes: Any, frame: Box, xs: Any, ys: Any) -> dict[tuple[str, str], Coordinates]:
        """One coordinate system per pair of range names in use; the default one is that of the axes themselves."""
        order, size = count(1), (frame.width, frame.height)
        apply_scale(axes, xs["default"], ys["default"])
        pairs = {("default", "default"): Coordinates(axes, xs["default"], ys["default"], axes.transData, size, order)}
        for model in [*self.plot.renderers, *self.plot.center]:
            pair = (model.x_range_name, model.y_range_name)
            if pair not in pairs:
                other = axes.figure.add_axes(axes.get_position(), frameon=False)
                other.set_axis_off()
                apply_scale(other, xs[pair[0]], ys[pair[1]])
                pairs[pair] = Coordinates(axes, xs[pair[0]], ys[pair[1]], other.transData, size, order)
        return pairs

    def _draw_frame(self, canvas: Canvas, axes: Any, frame: Box, xs: Any, ys: Any) -> None:
        systems = self._coordinates(axes, frame, xs, ys)
        models = [model for model in [*self.plot.center, *self.plot.renderers] if is_visible(model)]
        for model in sorted(models, key=lambda model: _LEVELS.index(model.level)):
            at = systems[model.x_range_name, model.y_range_name]
            if getattr(model, "coordinates", None) is not None:
                raise unknown("coordinate mapping", model.coordinates)
            if isinstance(model, GlyphRenderer):
                for rows in glyph_layers(model):
                    painter = known_glyph(rows.model)[1]
                    if len(rows):
                        painter(rows, at)
            elif isinstance(model, Grid):
                draw_grid(model, at, at.x if model.dimension == 0 else at.y, None)
            elif isinstance(model, Legend):
                draw_legend(canvas, model, *corner(model.location, legend_size(model), frame, model.margin))
            elif isinstance(model, ColorBar):
                bar = ColourBar(model, self._mapped_values)
                size = bar.size("center", (frame.width, frame.height))
                bar.draw(canvas, "center", Box(*corner(model.location, size, frame, model.margin), *size))
            else:
                draw_annotation(model, at)

    def _mapped_values(self, mapper: Any) -> np.ndarray:
        """All numbers on this plot that go through a colour mapper: they set its automatic ends."""
        found = [np.empty(0)]
        for renderer in self._glyph_renderers():
            if getattr(renderer.glyph, "color_mapper", None) is mapper:
                images = rows_of(renderer).values("image")
                found += [np.asarray(image, dtype=float).ravel() for image in images]
                continue
            for name in ("fill_color", "line_color", "text_color"):
                if name in renderer.glyph.properties():
                    vector, column, transform = rows_of(renderer).spec(name)
                    if transform is mapper and vector:
                        found.append(as_numbers(column))
        return np.concatenate(found)
