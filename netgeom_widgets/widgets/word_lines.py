"""Lines of words beside a figure that wrap and hide when there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from netgeom_widgets.widgets.controls import ROW, icon_button


class WordLine(ipywidgets.HTML):
    """Words that wrap; those who fill it escape what users typed."""

    def __init__(self, tooltip: str) -> None:
        super().__init__(tooltip=tooltip, layout={"max_width": "100%", "display": "none"})

    def put(self, html: str) -> None:
        """Say something; an empty text hides the line."""
        # in a block of its own: an HTML widget alone gives each line the height of a control
        self.value = f"<div class='netgeom-status'>{html}</div>"
        self.layout.display = None if html else "none"


class SelectionCount(ipywidgets.Box):
    """How many samples are selected, and a button that selects none; hidden while there are none.

    Parameters
    ----------
    one, many : str
        What they are: "run", "runs".
    clear : callable
        Called without arguments when the button is pressed.
    """

    def __init__(self, one: str, many: str, clear: Callable[[], None]) -> None:
        self._names = one, many
        self._words = ipywidgets.Label(tooltip=f"How many {many} are selected", layout={"margin": "2px 4px 2px 2px"})
        none = icon_button("times", f"Select no {many}", clear)
        super().__init__([self._words, none], layout={**ROW, "display": "none"})

    @property
    def words(self) -> str:
        """What it says."""
        return str(self._words.value)

    def show(self, count: int) -> None:
        """Show how many are selected."""
        self._words.value = f"{count:,} {self._names[count != 1]} selected"
        self.layout.display = None if count else "none"
