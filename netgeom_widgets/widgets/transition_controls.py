"""The control of the transition heat map that ipywidgets does not have: how many neighbours count."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import ROW

_STYLE = {"description_width": "initial"}


class NeighbourSlider(ipywidgets.Box):
    """How many of the stored neighbours count; ``value`` is None for all of them."""

    value = traitlets.Any(None)

    def __init__(self, *, description: str, tooltip: str, **_: Any) -> None:
        self._most = 1
        self._showing = False
        self._slider = ipywidgets.IntSlider(
            description=description,
            tooltip=tooltip,
            min=1,
            max=2,
            value=1,
            readout=False,
            disabled=True,
            style=_STYLE,
            layout={"width": "200px"},
        )
        self._words = ipywidgets.Label("all", layout={"min_width": "56px", "margin": "0 0 0 6px"})
        super().__init__([self._slider, self._words], layout=ROW)
        self._slider.observe(self._moved, "value")
        self.observe(lambda _: self._show(), "value")

    def set_most(self, most: int) -> None:
        """Say how many are stored; the value stays."""
        self._most = most
        self._show()

    def _show(self) -> None:
        shown = self._most if self.value is None else max(1, min(self.value, self._most))
        self._showing = True
        try:
            self._slider.max = max(2, self._most)
            self._slider.value = shown
        finally:
            self._showing = False
        self._slider.disabled = self._most < 2
        self._words.value = f"all {self._most}" if self.value is None else f"{shown} of {self._most}"

    def _moved(self, change: Any) -> None:
        if not self._showing:
            self.value = None if change["new"] >= self._most else change["new"]
