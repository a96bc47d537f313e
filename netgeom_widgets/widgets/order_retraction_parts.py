"""What a choice made in a part below the order retraction plot does to the plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netgeom_widgets.widgets.parts import Parts

Take = Callable[[Sequence[int]], None]  # called with the runs to select


class PlotParts(Parts):
    """Parts whose marks are nodes and runs: a click on one shows a node, or selects runs."""

    def _pick_node(self, node: int) -> None:
        """Answer a click on a node."""
        self._paint(lambda: setattr(self, "node", node), "pick")  # type: ignore[attr-defined]

    def _select_runs(self, runs: Sequence[int]) -> None:
        """Answer a choice of runs."""
        self._paint(lambda: setattr(self, "selection", tuple(runs)), "lasso")  # type: ignore[attr-defined]
