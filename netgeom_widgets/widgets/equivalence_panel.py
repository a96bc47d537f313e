"""Beside the slice: choose an element by keyboard, move the centre, find more elements, and read what is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from netgeom_widgets.widgets.controls import OptionalNumber, icon_button
from netgeom_widgets.widgets.picked_panel import PickedPanel
from netgeom_widgets.widgets.sample_list import SampleList
from netgeom_widgets.widgets.word_lines import WordLine


class EquivalencePanel(PickedPanel):
    """Index box, buttons, facts and the list of elements; it knows no model, and calls back for what is asked.

    Parameters
    ----------
    go : callable
        Called with the number of the element chosen, or None.
    step : callable
        Called with -1 or 1 for the previous or next element.
    center : callable
        Called without arguments to have the plane begin at what is picked.
    forget : callable
        Called without arguments to pick nothing.
    more : callable
        Called without arguments to make further starts.
    clear : callable
        Called without arguments to select no samples.
    """

    def __init__(
        self,
        *,
        go: Callable[[int | None], None],
        step: Callable[[int], None],
        center: Callable[[], None],
        forget: Callable[[], None],
        more: Callable[[], None],
        clear: Callable[[], None],
    ) -> None:
        self._go, self._showing = go, False
        self._element = OptionalNumber(
            description="Element", tooltip="Number of the element that is marked", parse=int, placeholder="none",
            width="76px",
        )  # fmt: skip
        previous = icon_button("chevron-left", "Previous element", lambda: step(-1))
        following = icon_button("chevron-right", "Next element", lambda: step(1))
        self._center = icon_button(
            "crosshairs", "Centre here: the plane begins at what is picked, as by a double click on it", center
        )
        self._none = icon_button("times", "Pick no point and no element", forget)
        self._more = ipywidgets.Button(
            description="Find more", icon="plus", tooltip="Make as many starts again, in the background",
            layout={"width": "auto"},
        )  # fmt: skip
        self._more.on_click(lambda _: more())
        self._counts = WordLine("How the starts ended")
        self._elements = SampleList("Elements: choose one to see it in the plane, and its function", go)
        self._element.observe(self._typed, "value")
        self._picking = [self._element, previous, following, self._none]
        super().__init__(
            [*self._picking, self._center, self._more], [self._counts, self._elements],
            selected=("sample", "samples"), of_pick="What is known of the element",
            of_place="What is known of the point", clear=clear,
        )  # fmt: skip
        self.show_picked(None, "", "", centres=False)

    # ---- what is shown

    def offer(self, *, search: bool, elements: bool, centres: bool) -> None:
        """Only what there can be: further starts, elements, other centres."""
        self._more.layout.display = None if search else "none"
        for part in self._picking[:-1]:
            part.layout.display = None if elements else "none"
        self._center.layout.display = None if centres else "none"

    def show_elements(self, counts: str, lines: Sequence[tuple[str, int]]) -> None:
        """Say how the starts ended, and list elements as (words, number)."""
        self._counts.put(counts)
        self._elements.show(lines)

    def show_picked(self, element: int | None, facts: str, told: str, *, centres: bool) -> None:
        """Show which element is picked, what is known of it and of the point, and whether one can be the centre."""
        self._showing = True
        try:
            self._element.show(element)
        finally:
            self._showing = False
        self._center.disabled = not centres
        self._none.disabled = element is None and not told
        self._facts.put(facts)
        self._told.put(told)

    # ---- what is asked

    def _typed(self, change: Any) -> None:
        if not self._showing:
            self._go(change["new"])
