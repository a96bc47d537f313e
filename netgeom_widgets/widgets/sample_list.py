"""A list of samples in words: each is picked by a click or by the arrow keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets

#: No more are listed: every line is sent to the browser, and nobody reads on.
MOST_LISTED = 200


class SampleList(ipywidgets.Select):
    """Samples in words, the most remarkable first; it calls back with the id of the one chosen.

    Parameters
    ----------
    tooltip : str
        What the list holds and what choosing does.
    go : callable
        Called with the id of the sample chosen.
    """

    def __init__(self, tooltip: str, go: Callable[[int], None]) -> None:
        self._go = go
        self._showing = False
        super().__init__(
            rows=6, description="", tooltip=tooltip, layout={"width": "auto", "max_width": "100%", "display": "none"}
        )
        self.observe(self._chosen, "value")

    def show(self, lines: Sequence[tuple[str, int]]) -> None:
        """List (words, id) pairs, none chosen; an empty list is hidden."""
        self._showing = True
        try:
            self.options = list(lines)[:MOST_LISTED]
            self.value = None
        finally:
            self._showing = False
        self.layout.display = None if lines else "none"

    def _chosen(self, change: dict[str, int | None]) -> None:
        if not self._showing and change["new"] is not None:
            self._go(change["new"])
