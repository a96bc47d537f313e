"""Controls that ipywidgets does not have: layers by slider and by check box, a number that may be missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import traitlets

_ROW = {"flex_flow": "row wrap", "align_items": "center", "overflow": "visible"}


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
        super().__init__([self._slider, self._words], layout=_ROW)
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
        super().__init__([self._label], layout=_ROW)
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


class OptionalNumber(ipywidgets.Box):
    """A number that may be missing: an empty field is None; text that is no number is the value, to be refused."""

    value = traitlets.Any(None)

    def __init__(
        self,
        *,
        description: str,
        tooltip: str,
        parse: Callable[[str], Any] = float,
        placeholder: str = "all",
        width: str = "80px",
        **_: Any,
    ) -> None:
        self._parse = parse
        self._field = ipywidgets.Text(
            placeholder=placeholder, tooltip=tooltip, continuous_update=False, layout={"width": width}
        )
        children = (
            [ipywidgets.Label(description, layout={"margin": "2px 8px 2px 2px"}), self._field]
            if description
            else [self._field]
        )
        super().__init__(children, layout=_ROW)
        self._field.observe(self._typed, "value")
        self.observe(lambda _: self._show(), "value")

    def _show(self) -> None:
        self._field.value = self._text

    @property
    def _text(self) -> str:
        if self.value is None:
            return ""
        return f"{self.value:g}" if isinstance(self.value, float) else f"{self.value}"

    def _typed(self, change: Any) -> None:
        text = change["new"].strip()
        try:
            value = self._parse(text) if text else None
        except ValueError:
            value = text
        if value != self.value and text != self._text:
            self.value = value
