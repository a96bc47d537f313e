"""Under the matrix: choose a row and a pair by keyboard, read what is known of them, take neighbours as selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from netgeom_widgets.widgets.controls import ROW, OptionalNumber, icon_button


class SimilarityPanel(ipywidgets.Box):
    """Index boxes, facts, the list of neighbours; it knows no matrix, and calls back for what is asked.

    Parameters
    ----------
    go : callable
        Called with the id of the row chosen, or None.
    step : callable
        Called with -1 or 1 for the previous or next row in the order shown.
    pair : callable
        Called with the id of the other input of the pair, or None.
    take : callable
        Called without arguments to select the neighbours beyond the threshold.
    clear : callable
        Called without arguments to select no inputs.
    """

    def __init__(
        self,
        *,
        go: Callable[[int | None], None],
        step: Callable[[int], None],
        pair: Callable[[int | None], None],
        take: Callable[[], None],
        clear: Callable[[], None],
    ) -> None:
        self._go, self._pair = go, pair
        self._showing = False
        self._row = _number("Row", "Id of the input whose neighbours are shown")
        self._other = _number("with", "Id of the other input of the pair")
        previous = icon_button("chevron-left", "Previous input in the order shown", lambda: step(-1))
        following = icon_button("chevron-right", "Next input in the order shown", lambda: step(1))
        self._none = icon_button("times", "Show no row and no pair", lambda: go(None))
        self._take = icon_button("check-square-o", "Select the neighbours beyond the threshold, and the row", take)
        self._selected = ipywidgets.Label(tooltip="How many inputs are selected", layout={"margin": "2px 4px 2px 2px"})
        self._unselect = icon_button("times", "Select no inputs", clear)
        self._selection = ipywidgets.Box([self._selected, self._unselect], layout={**ROW, "display": "none"})
        self.pointer = _line("What the pointer is over")
        self._facts = _line("What is known of the row")
        self._told = _line("What is known of the pair")
        self._badges = ipywidgets.HTML(layout={"max_width": "100%"})
        self._list = ipywidgets.Select(
            rows=6,
            description="",
            tooltip="Most similar inputs, the first first: choose one to see the pair",
            layout={"width": "auto", "max_width": "100%", "display": "none"},
        )
        self._row.observe(self._row_typed, "value")
        self._other.observe(self._other_typed, "value")
        self._list.observe(self._listed, "value")
        chosen = ipywidgets.Box([self._row, previous, following, self._other, self._none, self._take], layout=ROW)
        column = {"flex": "1 1 300px", "min_width": "0", "overflow": "visible"}
        left = ipywidgets.VBox([chosen, self._selection, self._facts, self._told, self.pointer], layout=column)
        right = ipywidgets.VBox([self._list, self._badges], layout=column)
        super().__init__([left, right], layout={"flex": "1 1 100%", "flex_flow": "row wrap", "overflow": "visible"})
        self.show_row("", ())
        self.show_picked(None, None, "")

    # ---- what is shown

    def show_row(self, facts: str, neighbours: Sequence[tuple[str, int]]) -> None:
        """Show what is known of the row, and its neighbours as (text, id)."""
        self._showing = True
        try:
            options = tuple(neighbours)
            if self._list.options != options:
                self._list.options = options
        finally:
            self._showing = False
        self._list.layout.display = None if options else "none"
        self._facts.value = facts

    def show_picked(self, row: int | None, pair: tuple[int, int] | None, facts: str) -> None:
        """Show which row and pair are picked, and what is known of the pair."""
        other = None if pair is None else pair[1]
        self._showing = True
        try:
            self._row.show(row)
            self._other.show(other)
            listed = [value for _, value in self._list.options]
            self._list.value = other if other in listed else None
        finally:
            self._showing = False
        self._none.disabled = self._take.disabled = row is None
        self._told.value = facts

    def show_selection(self, count: int) -> None:
        """Show how many inputs are selected."""
        self._selected.value = f"{count:,} selected"
        self._selection.layout.display = None if count else "none"

    def show_badges(self, html: str) -> None:
        """Show remarks on the matrix, as HTML."""
        self._badges.value = html

    def point(self, text: str) -> None:
        """Show what the pointer is over; an empty text hides the line."""
        self.pointer.value = text
        self.pointer.layout.display = None if text else "none"

    # ---- what is asked

    def _row_typed(self, change: Any) -> None:
        if not self._showing:
            self._go(change["new"])

    def _other_typed(self, change: Any) -> None:
        if not self._showing:
            self._pair(change["new"])

    def _listed(self, change: Any) -> None:
        if not self._showing and change["new"] is not None:
            self._pair(change["new"])


def _number(text: str, tooltip: str) -> OptionalNumber:
    return OptionalNumber(description=text, tooltip=tooltip, parse=int, placeholder="none", width="76px")


def _line(tooltip: str) -> ipywidgets.Label:
    line = ipywidgets.Label(tooltip=tooltip, layout={"max_width": "100%"})
    line.add_class("netgeom-status")
    return line
