"""Mixin of the equivalence slice viewer: the third coordinate of a slice in three dimensions, as a slider."""

from __future__ import annotations

from typing import Any

import ipywidgets

from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.equivalence_picture import Picture
from netgeom_widgets.widgets.live_runs import LiveRuns


class ThirdDirection(LiveRuns):
    """The slice moves along the third direction while the slider is dragged."""

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
        plane = picture.plane
        if plane is not None and len(plane.basis) > 2:
            reach = max(float(abs(plane.axes[2]).max()), abs(self.third))
            self._show_third(reach)

    def _show_third(self, reach: float | None = None) -> None:
        self._fitting_third = True
        try:
            if reach is not None:
                self._third.step = reach / 100
                with self._third.hold_trait_notifications():
                    self._third.min, self._third.max = -reach, reach
            elif abs(self.third) > self._third.max:
                self._third.min, self._third.max = -abs(self.third), abs(self.third)
            self._third.value = self.third
        finally:
            self._fitting_third = False
        self._third.layout.display = None if self.dimension == 3 else "none"  # type: ignore[attr-defined]
