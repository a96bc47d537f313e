"""Under the heat map: choose its cell and a sample by keyboard, read a sample's facts, see which were forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from netgeom_widgets.widgets.controls import ROW, OptionalNumber, icon_button
from netgeom_widgets.widgets.menus import Menu
from netgeom_widgets.widgets.transition_details import Events
from netgeom_widgets.widgets.transition_kinds import Cell

#: The list has no more rows: every one is sent to the browser, and nobody reads on.
MOST_LISTED = 200
_NONE = -1  # the value of "none" in the menus: a Dropdown shows nothing at all for None


class TransitionPanel(ipywidgets.Box):
    """Menus, index box, facts and list; it knows no recording, and calls back for what is asked.

    Parameters
    ----------
    pin : callable
        Called with the cell chosen by its two menus, or None.
    go : callable
        Called with the id of the sample chosen, or None.
    step : callable
        Called with -1 or 1 for the previous or next sample.
    clear : callable
        Called without arguments to select no samples.
    """

    def __init__(
        self,
        *,
        pin: Callable[[Cell | None], None],
        go: Callable[[int | None], None],
        step: Callable[[int], None],
        clear: Callable[[], None],
    ) -> None:
        self._pin, self._go = pin, go
        self._showing = False
        self._menus = [
            Menu(description=text, tooltip=f"{what} of the pinned cell")
            for text, what in (("Compare", "Row"), ("with", "Column"))
        ]
        self._unpin = icon_button("times", "Pin no cell", lambda: pin(None))
        self._index = OptionalNumber(
            description="Sample",
            tooltip="Id of the sample whose neighbours are shown",
            parse=int,
            placeholder="none",
            width="76px",
        )
        previous = icon_button("chevron-left", "Previous sample", lambda: step(-1))
        following = icon_button("chevron-right", "Next sample", lambda: step(1))
        self._clear = icon_button("times", "Show no sample", lambda: go(None))
        self._selected = ipywidgets.Label(tooltip="How many samples are selected", layout={"margin": "2px 4px 2px 2px"})
        self._unselect = icon_button("times", "Select no samples: the matrix is of all again", clear)
        self._selection = ipywidgets.Box([self._selected, self._unselect], layout={**ROW, "display": "none"})
        self._facts = ipywidgets.Label(tooltip="What is recorded of the sample")
        self._facts.add_class("netgeom-status")
        self._said = ipywidgets.Label(tooltip="What the list shows")
        self._said.add_class("netgeom-status")
        self._list = ipywidgets.Select(
            rows=6,
            description="",
            tooltip="Samples that were forgotten, most often first: choose one to see its neighbours",
            layout={"width": "auto", "max_width": "100%", "display": "none"},
        )
        for menu in self._menus:
            menu.observe(self._cell_chosen, "value")
        self._index.observe(self._typed, "value")
        self._list.observe(self._listed_chosen, "value")
        cell = ipywidgets.Box([*self._menus, self._unpin], layout=ROW)
        sample = ipywidgets.Box([self._index, previous, following, self._clear], layout=ROW)
        column = {"flex": "1 1 300px", "min_width": "0", "overflow": "visible"}
        left = ipywidgets.VBox([cell, self._selection, sample, self._facts], layout=column)
        right = ipywidgets.VBox([self._said, self._list], layout=column)
        super().__init__([left, right], layout={"flex": "1 1 100%", "flex_flow": "row wrap", "overflow": "visible"})
        self.show_cell(None, ())

    # ---- what is shown

    def show_cell(self, cell: Cell | None, names: Sequence[str]) -> None:
        """Show the pinned cell; ``names`` are those of rows and columns."""
        self._showing = True
        try:
            choices = [("none", _NONE), *((name, at) for at, name in enumerate(names))]
            for menu, at in zip(self._menus, cell or (_NONE, _NONE), strict=True):
                menu.value = at
                menu.set_choices(choices)
        finally:
            self._showing = False
        self._unpin.disabled = cell is None

    def show_selection(self, count: int) -> None:
        """Show how many samples are selected."""
        self._selected.value = f"{count:,} selected"
        self._selection.layout.display = None if count else "none"

    def show_sample(self, sample: int | None, facts: str | None) -> None:
        """Show which sample is picked and what is known of it; None leaves the words as they are."""
        self._showing = True
        try:
            self._index.value = sample
            listed = [value for _, value in self._list.options]
            self._list.value = sample if sample in listed else None
        finally:
            self._showing = False
        self._clear.disabled = sample is None
        if facts is not None:
            self._facts.value = facts

    def show_events(self, events: Events | str) -> None:
        """List the samples that were forgotten, or say why that is not known."""
        if isinstance(events, str):
            self._said.value, rows = events, []
        else:
            n = int((events.forgotten > 0).sum())
            more = f" (the first {MOST_LISTED:,} are listed)" if n > MOST_LISTED else ""
            self._said.value = f"Forgotten at least once: {n:,} of {len(events.ids):,} samples{more}"
            rows = [_row(events, at) for at in range(min(n, MOST_LISTED))]
        self._showing = True
        try:
            if tuple(rows) != self._list.options:
                kept = self._list.value
                self._list.options = rows
                self._list.value = kept if kept in [value for _, value in rows] else None
        finally:
            self._showing = False
        self._list.layout.display = None if rows else "none"

    # ---- what is asked

    def _cell_chosen(self, change: Any) -> None:
        if self._showing:
            return
        row, column = (menu.value for menu in self._menus)
        if change["new"] == _NONE:
            self._pin(None)
        else:  # the first menu chosen alone means the transition itself
            self._pin((column if row == _NONE else row, row if column == _NONE else column))

    def _typed(self, change: Any) -> None:
        if not self._showing:
            self._go(change["new"])

    def _listed_chosen(self, change: Any) -> None:
        if not self._showing and change["new"] is not None:
            self._go(change["new"])


def _row(events: Events, at: int) -> tuple[str, int]:
    forgotten, learned = int(events.forgotten[at]), int(events.learned[at])
    text = f"sample {events.ids[at]}, label {events.labels[at]}: forgotten {forgotten}, learned {learned}"
    return text, int(events.ids[at])
