"""Mixin of the equivalence slice viewer: the third coordinate of a slice in three dimensions, as a slider."""

from __future__ import annotations

from typing import Any

import ipywidgets

from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.equivalence_picture import Picture
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.live_runs import LiveRuns


class ThirdDirection(LiveRuns):
    """The slice moves along the third direction while the slider is dragged."""

    _source: Source
    _fitting_third = False

    def _bars(self) -> list[ipywidgets.Widget]:
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        self._third = ipywidgets.FloatSlider(
            min=-1.0, max=1.0, step=0.01, description="c3", readout_format=".3g",
            layout={"width": "320px", "max_width": "100%"},
            tooltip="Where the slice lies along the third direction", style={"description_width": "initial"},
        )  # fmt: skip
        self._third.observe(self._third_moved, "value")
        row = ipywidgets.Box([controls["epsilon"].box, self._third], layout=ROW)
        self.observe(lambda _: self._show_third(), ["dimension", "third"])
        self._show_third()
        return [*super()._bars(), row]  # type: ignore[misc]

    def _third_moved(self, change: Any) -> None:
        if not self._fitting_third:
            self.third = change["new"]

    def _setting_changed(self, name: str, kind: str) -> None:
        """A slider that is dragged must not cancel each slice before it is shown."""
        if name == "third" and not (self._closed or self._waits_for_run):  # type: ignore[attr-defined]
            self._run_live()
        else:
            super()._setting_changed(name, kind)  # type: ignore[misc]

    def _fit_third(self, picture: Picture) -> None:
        """Let the slider reach as far as the third axis does."""
        plane, grid = picture.plane, picture.source.grid
        axes = grid.axes if grid is not None else () if plane is None else plane.axes
        if len(axes) > 2:
            self._show_third((float(axes[2].min()), float(axes[2].max())))

    def _show_third(self, ends: tuple[float, float] | None = None) -> None:
        """Show where the slice is, on a slider between these ends or wider."""
        low, high = ends or (self._third.min, self._third.max)
        self._fitting_third = True
        try:
            with self._third.hold_trait_notifications():
                self._third.min, self._third.max = min(low, self.third), max(high, self.third)
                self._third.step = (high - low) / 200
            self._third.value = self.third
        finally:
            self._fitting_third = False
        grid = self._source.grid
        there = self.dimension == 3 if grid is None else len(grid.axes) == 3  # type: ignore[attr-defined]
        self._third.layout.display = None if there else "none"
