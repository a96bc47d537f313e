"""Mixin of the order retraction plot: what a zoomed plane sets off, and which layer of three dimensions is shown."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.figures.order_retraction_raster import PIXELS
from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.order_retraction_picture import Picture

_PAUSE = 0.08  # seconds without a change of the ranges before the pixels of the view are sent


class Viewing(traitlets.HasTraits):
    """The pixels that the view needs go to the browser; a slider goes through the layers of a grid in 3-D."""

    _figure: Any
    _picture: Picture | None = None
    _layers: ipywidgets.IntSlider

    def _watch_ranges(self) -> None:
        """Listen to the figure; called once it exists."""
        plot = self._figure.plane.root
        for axis in (plot.x_range, plot.y_range):
            for attr in ("start", "end"):
                axis.on_change(attr, self._range_changed)

    def _range_changed(self, attr: str, old: Any, new: Any) -> None:
        if not self._closed:  # type: ignore[attr-defined]
            self._painter.submit(  # type: ignore[attr-defined]
                lambda progress, cancel: self._follow_view(), key="view", debounce=_PAUSE
            ).add_done_callback(self._job_ended)  # type: ignore[attr-defined]

    def _follow_view(self) -> None:
        """Send the pixels of what is in view."""
        picture = None if self._shown is None else self._shown[0]  # type: ignore[attr-defined]
        if picture is not None and max(picture.grid.shape) > PIXELS:  # of fewer all are there already
            with self.pane.batch():  # type: ignore[attr-defined]
                self._figure.plane.zoom()

    # ---- layers

    def _bars(self) -> list[ipywidgets.Widget]:
        self._layers = ipywidgets.IntSlider(
            min=0, max=1, description="at cell", tooltip="Which layer of the cut axis is shown",
            style={"description_width": "initial"}, layout={"width": "280px", "max_width": "100%"},
        )  # fmt: skip
        self._layers.observe(self._layer_moved, "value")
        self._layer_row = ipywidgets.Box([self._controls["slice_axis"].box, self._layers], layout=ROW)  # type: ignore[attr-defined]
        self._layer_row.layout.display = "none"
        self.observe(lambda _: self._show_layers(), ["slice_axis", "slice_index"])
        return [*super()._bars(), self._layer_row]  # type: ignore[misc]

    @traitlets.observe("grid_cell")
    def _go_to_layer(self, change: Any) -> None:
        """Show the layer that holds the picked cell."""
        picture, cell = self._picture, change["new"]
        if picture is not None and picture.grid.dims == 3 and cell is not None:
            self.slice_index = int(picture.grid.indices([cell])[0, self.slice_axis])

    def _layer_moved(self, change: Any) -> None:
        if not self._showing_layers:
            self.slice_index = change["new"]

    _showing_layers = False

    def _show_layers(self) -> None:
        """Fit the slider to the grid shown."""
        picture = self._picture
        there = picture is not None and picture.grid.dims == 3
        self._layer_row.layout.display = None if there else "none"
        if picture is None or not there:
            return
        last = picture.grid.shape[self.slice_axis] - 1
        self._showing_layers = True
        try:
            self._layers.max = max(last, 1)
            self._layers.value = (last + 1) // 2 if self.slice_index is None else min(self.slice_index, last)
        finally:
            self._showing_layers = False
