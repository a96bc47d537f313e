"""The panel beside the region picture: step from region to region, read one's facts, see what the pointer is over."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from netgeom_widgets.figures.region_text import DETAIL_STYLE, hint_html
from netgeom_widgets.widgets.controls import OptionalNumber, icon_button


class RegionPanel(ipywidgets.VBox):
    """Buttons, index box, detail text and pointer line; it knows no partition, and calls back for what is asked.

    Parameters
    ----------
    step : callable
        Called with -1 or 1 for the previous or next region.
    go : callable
        Called with the id typed into the index box, or None.
    zoom : callable
        Called without arguments to bring the region into view.
    """

    def __init__(
        self, *, step: Callable[[int], None], go: Callable[[int | None], None], zoom: Callable[[], None]
    ) -> None:
        self._previous = icon_button("chevron-left", "Previous region", lambda: step(-1))
        self._next = icon_button("chevron-right", "Next region", lambda: step(1))
        self._zoom = icon_button("search-plus", "Bring the region into view", zoom)
        self._clear = icon_button("times", "Pick no region and no samples", lambda: go(None))
        self._index = OptionalNumber(
            description="Region", tooltip="Id of the region to pick", parse=int, placeholder="none", width="76px"
        )
        self._go = go
        self._showing = False
        self._index.observe(self._typed, "value")
        self._detail = ipywidgets.HTML(DETAIL_STYLE + hint_html(None))
        self.pointer = ipywidgets.Label(
            tooltip="What the pointer is over", layout={"display": "none", "max_width": "100%"}
        )
        self.pointer.add_class("netgeom-pointer")
        row = ipywidgets.Box(
            [self._previous, self._index, self._next, self._zoom, self._clear],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )
        super().__init__([row, self.pointer, self._detail], layout={"flex": "1 1 250px", "overflow": "hidden"})
        self.show(None, hint_html(None))

    def show(self, region: int | None, html: str, *, picked: bool = False) -> None:
        """Show the picked region's id and text; ``picked`` says whether anything else can be let go."""
        self._showing = True
        try:
            self._index.value = region
        finally:
            self._showing = False
        self._zoom.disabled = region is None
        self._clear.disabled = region is None and not picked
        self._detail.value = DETAIL_STYLE + html

    def say(self, text: str) -> None:
        """Show what the pointer is over; an empty text hides the line."""
        self.pointer.value = text
        self.pointer.layout.display = None if text else "none"

    def _typed(self, change: dict[str, int | None]) -> None:
        if not self._showing:
            self._go(change["new"])
