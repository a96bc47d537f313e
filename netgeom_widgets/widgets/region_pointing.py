"""Mixin of the region explorer: where the pointer is, and what is said and shown of that point."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from bokeh.events import MouseLeave, MouseMove

from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_input import InputPictures
from netgeom_widgets.figures.region_pair import LinkedPointer
from netgeom_widgets.figures.region_text import hover_line, place
from netgeom_widgets.widgets.region_side import Side


class Pointing(traitlets.HasTraits):
    """What the moving pointer sets off in Python; what a browser can do by itself it does, without a message.

    Python hears of the pointer only where something depends on it: a raster knows no polygons, two networks have their
    regions named beside each other, and an image-like input is shown.
    """

    pointer = traitlets.Any(
        None,
        read_only=True,
        help="Where the pointer is, (s, t), or None; followed for rasters, two networks and inputs shown as images.",
    )

    _sides: tuple[Side, ...] = ()
    _linked: LinkedPointer | None = None
    _inputs: InputPictures | None = None

    def _listen_to_pointer(self, plot: Any) -> None:
        plot.on_event(MouseMove, self._on_pointer)
        plot.on_event(MouseLeave, self._on_pointer)

    def _on_pointer(self, event: MouseMove | MouseLeave) -> None:
        """Take note of a point; many reports may come while one is worked on, and the latest counts."""
        if event.x is None or event.y is None or self._closed:
            return
        point = None if isinstance(event, MouseLeave) else (float(event.x), float(event.y))
        self._painter.submit(lambda progress, cancel: self._point_at(point), key="pointer")

    def _point_at(self, point: tuple[float, float] | None) -> None:
        if not self._follows_pointer():
            return
        if point is not None and not self._figure.window.contains(Window(point[0], point[0], point[1], point[1])):
            point = None  # over the axes
        self.set_trait("pointer", point)
        with self.pane.batch():
            if self._inputs is not None and point is not None:
                self._inputs.point_at(point)
            if self._linked is not None:
                self._linked.outline_rasters([side.scene for side in self._sides], point)
        if point is not None:
            self._panel.say(self._pointer_lines(point))

    def _pointer_lines(self, point: tuple[float, float]) -> str:
        """The region under the pointer in each network, in words; nothing where the figure's own box says it."""
        if len(self._sides) == 1 and not any(side.scene is not None and side.scene.is_raster for side in self._sides):
            return ""
        lines = [
            f"{name}: " * bool(name) + hover_line(result, int(result.locate(np.array([point]))[0]))
            for name, result in self._named_results().items()
        ]
        return f"{place(point)}: {'; '.join(lines)}"

    def _follows_pointer(self) -> bool:
        if any(side.prepared is None for side in self._sides):
            return False
        raster = any(side.scene is not None and side.scene.is_raster for side in self._sides)
        return raster or len(self._sides) > 1 or self._inputs is not None

    def _follow_pointer(self) -> None:
        """Have the browser report the pointer, or not."""
        wanted = self._follows_pointer()
        for side in self._sides:
            side.figure.canvas.follow_pointer(wanted)
        if not wanted:
            self._panel.say("")
