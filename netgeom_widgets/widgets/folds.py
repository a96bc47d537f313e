"""A part of a widget that is folded away behind a button until somebody wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets


class Fold(ipywidgets.VBox):
    """A button, and below it what it opens; it takes the whole width of the widget.

    Parameters
    ----------
    title : str
        Text of the button.
    tooltip : str
        What opening it shows.
    toggle : callable
        Called with True to open and False to close when the user pressed the button.
    """

    def __init__(self, title: str, tooltip: str, toggle: Callable[[bool], None]) -> None:
        self._toggle = toggle
        self._shown = False  # what it was told to show: anything else comes from the user
        self._button = ipywidgets.ToggleButton(
            description=title, tooltip=tooltip, icon="caret-right", layout={"width": "auto", "align_self": "flex-start"}
        )
        self._body = ipywidgets.VBox(layout={"overflow": "visible", "display": "none"})
        super().__init__([self._button, self._body], layout={"flex": "1 1 100%", "overflow": "visible"})
        self._button.observe(self._pressed, "value")

    def show(self, open: bool) -> None:
        """Open or close it."""
        self._shown = open
        self._button.value = open
        self._button.icon = "caret-down" if open else "caret-right"
        self._body.layout.display = None if open else "none"

    def fill(self, parts: Sequence[ipywidgets.Widget]) -> None:
        """Put these parts into it."""
        self._body.children = tuple(parts)

    @property
    def is_filled(self) -> bool:
        """Whether parts were put into it."""
        return bool(self._body.children)

    def _pressed(self, change: dict[str, bool]) -> None:
        if change["new"] != self._shown:
            self._toggle(change["new"])
