"""A menu whose choices become known after it was made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import ROW

_STYLE = {"description_width": "initial"}


class Menu(ipywidgets.Box):
    """A menu whose choices become known after it was made; until then it shows its value alone."""

    value = traitlets.Any(None)

    def __init__(self, *, description: str, tooltip: str, **_: Any) -> None:
        self._showing = False
        self._menu = ipywidgets.Dropdown(
            description=description, tooltip=tooltip, style=_STYLE, layout={"width": "auto", "max_width": "100%"}
        )
        super().__init__([self._menu], layout=ROW)
        self._choices: list[tuple[str, Any]] = []
        self._menu.observe(self._chosen, "value")
        self.observe(lambda _: self._show(), "value")

    def set_choices(self, choices: Iterable[tuple[str, Any]]) -> None:
        """Offer these (text, value) pairs; the value stays."""
        self._choices = list(choices)
        self._show()

    def _words(self, value: Any) -> str:
        """Words for a value that is not among the choices."""
        return str(value)

    def _show(self) -> None:
        known = [value for _, value in self._choices]
        choices = self._choices if self.value in known else [*self._choices, (self._words(self.value), self.value)]
        self._showing = True
        try:
            if tuple(choices) != self._menu.options:
                self._menu.options = choices
            self._menu.value = self.value
        finally:
            self._showing = False

    def _chosen(self, change: Any) -> None:
        if not self._showing:
            self.value = change["new"]
