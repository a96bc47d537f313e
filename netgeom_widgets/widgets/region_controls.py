"""Controls that ipywidgets does not have: layers by slider and by check box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import ROW


class LayerSlider(ipywidgets.Box):
    """How many layers are shown; ``value`` is None for all of them, also before their number is known."""

    value = traitlets.Any(None)

    def __init__(self, *, description: str, tooltip: str, **_: Any) -> None:
        self._names: list[str] = []
        self._showing = False
        self._slider = ipywidgets.IntSlider(
            description=description,
            tooltip=tooltip,
            min=0,
            max=1,
            value=1,
            readout=False,
            disabled=True,
            style={"description_width": "initial"},
            layout={"width": "180px"},
        )
        self._words = ipywidgets.Label("all", layout={"min_width": "56px", "margin": "0 0 0 6px"})
        super().__init__([self._slider, self._words], layout=ROW)
        self._slider.observe(self._moved, "value")
        self.observe(lambda _: self._show(), "value")

    def set_layers(self, names: Sequence[str]) -> None:
        """Offer these layers; the value stays."""
        self._names = list(names)
        self._showing = True
        try:
            self._slider.max = max(len(names), 1)
        finally:
            self._showing = False
        self._slider.disabled = not names
        self._show()

    def _show(self) -> None:
        last = len(self._names)
        shown = last if self.value is None else min(self.value, last)
        self._showing = True
        try:
            self._slider.value = shown if last else 1
        finally:
            self._showing = False
        if self.value is None or shown >= last:
            self._words.value = f"all {last}" if last else "all"
        else:
            self._words.value = f"{shown} of {last}" + (f" ({self._names[shown - 1]})" if shown else " (domain)")

    def _moved(self, change: Any) -> None:
        if not self._showing:
            self.value = None if change["new"] >= len(self._names) else change["new"]


class LayerChecks(ipywidgets.Box):
    """Which layers' lines are shown, a check box each; ``value`` is None for all, else a tuple of layer indices."""

    value = traitlets.Any(None)

    def __init__(self, *, description: str, tooltip: str, **_: Any) -> None:
        self._tooltip = tooltip
        self._showing = False
        self._label = ipywidgets.Label(description, layout={"margin": "2px 8px 2px 2px"})
        super().__init__([self._label], layout=ROW)
        self.observe(lambda _: self._show(), "value")

    def set_layers(self, names: Sequence[str]) -> None:
        """Offer these layers; the value stays."""
        if len(names) == len(self.children) - 1:
            return
        for box in self.children[1:]:
            box.unobserve_all()
            box.close()
        boxes = [
            ipywidgets.Checkbox(
                description=f"{number}",
                tooltip=f"{self._tooltip}: layer {number}, {name}",
                indent=False,
                layout={"width": "auto", "margin": "0 8px 0 0"},
            )
            for number, name in enumerate(names, start=1)
        ]
        self.children = (self._label, *boxes)
        self._show()
        for box in boxes:
            box.observe(self._ticked, "value")

    def _show(self) -> None:
        self._showing = True
        try:
            for op, box in enumerate(self.children[1:]):
                box.value = self.value is None or op in self.value
        finally:
            self._showing = False

    def _ticked(self, _: Any) -> None:
        if self._showing:
            return
        ticked = tuple(op for op, box in enumerate(self.children[1:]) if box.value)
        self.value = None if len(ticked) == len(self.children) - 1 else ticked
