"""Beside the order retraction plot: choose a node and a cell by keyboard, read what is known of them, and remarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from netgeom_widgets.widgets.controls import OptionalNumber, icon_button
from netgeom_widgets.widgets.picked_panel import PickedPanel
from netgeom_widgets.widgets.sample_list import SampleList


class OrderRetractionPanel(PickedPanel):
    """Index cells, facts, lists of nodes and obstructions; it knows no retraction, and calls back for what is asked.

    Parameters
    ----------
    go : callable
        Called with the number of the node chosen, or None.
    step : callable
        Called with -1 or 1 for the previous or next node.
    cell : callable
        Called with the number of the cell chosen, or None.
    take : callable
        Called without arguments to select the runs that start in the tile of the picked node, or in the picked cell.
    clear : callable
        Called without arguments to select no runs.
    collapse, restore : callable
        Called without arguments to collapse the picked node, and to have all collapsed ones back.
    write : callable
        Called without arguments to write the Morse graph into a file.
    """

    def __init__(
        self,
        *,
        go: Callable[[int | None], None],
        step: Callable[[int], None],
        cell: Callable[[int | None], None],
        take: Callable[[], None],
        clear: Callable[[], None],
        collapse: Callable[[], None],
        restore: Callable[[], None],
        write: Callable[[], None],
    ) -> None:
        self._go, self._cell_chosen = go, cell
        self._showing = False
        self._node = _number("Node", "Number of the Morse node that is shown with its tile and its basin")
        self._cell = _number("Cell", "Number of the cell that is shown with its image, what it reaches and its orbit")
        previous = icon_button("chevron-left", "Previous Morse node", lambda: step(-1))
        following = icon_button("chevron-right", "Next Morse node", lambda: step(1))
        self._none = icon_button("times", "Pick no node and no cell", lambda: (go(None), cell(None)))
        self._take = icon_button(
            "check-square-o", "Select the runs that start in the picked cell, or in the tile", take
        )
        self._collapse = icon_button("compress", "Collapse the picked node: it is no Morse set any more", collapse)
        self._restore = icon_button("expand", "Have the collapsed nodes back", restore)
        self._write = icon_button("share-alt", "Write the Morse graph next to the notebook (GraphML)", write)
        self._nodes = SampleList("Morse nodes: choose one to see its set, its tile and its basin", go)
        self._listed_what = ipywidgets.Label(layout={"display": "none"})
        self._obstructions = SampleList("Boxes that no value fits: choose one to see what it reaches", cell)
        self._node.observe(self._node_typed, "value")
        self._cell.observe(self._cell_typed, "value")
        nodes = [self._node, previous, following, self._collapse, self._restore]
        super().__init__(
            [*nodes, self._cell, self._none, self._take, self._write],
            [self._nodes, self._listed_what, self._obstructions],
            selected=("run", "runs"), of_pick="What is known of the node", of_place="What is known of the cell",
            clear=clear,
        )  # fmt: skip
        self.show_picked(None, None, "", "")

    # ---- what is shown

    def has_runs(self, there: bool) -> None:
        """Without runs nothing can be selected."""
        self._take.layout.display = None if there else "none"

    def show_nodes(self, nodes: Sequence[tuple[str, int]]) -> None:
        """List the Morse nodes as (words, number)."""
        self._nodes.show(nodes)

    def show_obstructions(self, what: str, cells: Sequence[tuple[str, int]]) -> None:
        """List cells that stand in the way of a retraction as (words, number), and say so."""
        self._listed_what.value = what
        self._listed_what.layout.display = None if what else "none"
        self._obstructions.show(cells)

    def show_picked(self, node: int | None, cell: int | None, facts: str, told: str) -> None:
        """Show which node and cell are picked, and what is known of each."""
        self._showing = True
        try:
            self._node.show(node)
            self._cell.show(cell)
        finally:
            self._showing = False
        self._none.disabled = self._take.disabled = node is None and cell is None
        self._collapse.disabled = node is None
        self._facts.put(facts)
        self._told.put(told)

    def show_collapsed(self, some: bool) -> None:
        """Whether there are collapsed nodes to have back."""
        self._restore.layout.display = None if some else "none"

    # ---- what is asked

    def _node_typed(self, change: Any) -> None:
        if not self._showing:
            self._go(change["new"])

    def _cell_typed(self, change: Any) -> None:
        if not self._showing:
            self._cell_chosen(change["new"])


def _number(text: str, tooltip: str) -> OptionalNumber:
    return OptionalNumber(description=text, tooltip=tooltip, parse=int, placeholder="none", width="84px")
