"""What stands beside a figure about what is picked in it: a row of controls, words, remarks and lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets

from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.word_lines import SelectionCount, WordLine


class PickedPanel(ipywidgets.Box):
    """Controls and words to the left, remarks and lists to the right, one under the other where it is narrow.

    Parameters
    ----------
    chosen : sequence of widgets
        In a row, above the words.
    lists : sequence of widgets
        Under the remarks.
    selected : (str, str)
        What a selection consists of: "run", "runs".
    of_pick, of_place : str
        Tooltips of what is known of the numbered thing that is picked, and of the place.
    clear : callable
        Called without arguments to select nothing.
    """

    def __init__(
        self,
        chosen: Sequence[ipywidgets.Widget],
        lists: Sequence[ipywidgets.Widget],
        *,
        selected: tuple[str, str],
        of_pick: str,
        of_place: str,
        clear: Callable[[], None],
    ) -> None:
        self._selection = SelectionCount(*selected, clear)
        self._pointer = WordLine("What the pointer is over")
        self._facts, self._told = WordLine(of_pick), WordLine(of_place)
        self._badges = ipywidgets.HTML(layout={"max_width": "100%"})
        row = ipywidgets.Box(list(chosen), layout=ROW)
        column = {"flex": "1 1 300px", "min_width": "0", "overflow": "visible"}
        left = ipywidgets.VBox([row, self._selection, self._facts, self._told, self._pointer], layout=column)
        right = ipywidgets.VBox([self._badges, *lists], layout=column)
        super().__init__([left, right], layout={"flex": "1 1 100%", "flex_flow": "row wrap", "overflow": "visible"})

    def show_selection(self, count: int) -> None:
        """Show how many are selected."""
        self._selection.show(count)

    def show_badges(self, html: str) -> None:
        """Show remarks on the picture, as HTML."""
        self._badges.value = html

    def point(self, text: str) -> None:
        """Show what the pointer is over."""
        self._pointer.put(text)
