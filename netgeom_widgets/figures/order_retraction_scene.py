"""The picture of the order retraction widget: the phase plane, and beside it the Morse graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import Column

from netgeom_widgets.figures.order_retraction_colours import NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_graph import MorseGraph
from netgeom_widgets.figures.order_retraction_plane import Part, PhasePlane
from netgeom_widgets.figures.plots import wrapping_row

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import OrderRetraction

#: Pixels of the columns at most, and of either at least: beside each other where both have room, else stacked.
_PLANE, _GRAPH, _LEAST = 640, 460, 330


class RetractionScene:
    """Both in one Bokeh root, in the same colours and numbers.

    Parameters
    ----------
    height : int
        Pixels of either, of the plane without legend and caption.

    Attributes
    ----------
    root : bokeh.models.Row
    plane : PhasePlane
    graph : MorseGraph
    colours : NodeColours or None
        Of what is shown.
    """

    def __init__(self, height: int = 400) -> None:
        self.plane, self.graph = PhasePlane(height), MorseGraph(height + 60)
        self.colours: NodeColours | None = None
        self._shown: OrderRetraction | None = None
        sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": _LEAST}
        columns = (
            Column(part.root, max_width=width, **sizes)
            for part, width in ((self.plane, _PLANE), (self.graph, _GRAPH))
        )  # fmt: skip
        self.root = wrapping_row(*columns, spacing=8)

    def show(
        self,
        retraction: OrderRetraction,
        *,
        names: Sequence[str] | None = None,
        axes: tuple[int, int] = (0, 1),
        at: Mapping[int, int] | None = None,
        title: str | None = None,
        note: str = "",
        graph_note: str = "",
    ) -> None:
        """Show a retraction; nodes whose cells lie where a node of the one before was keep its hue.

        ``note`` is said below the plane, ``graph_note`` below the graph; for the rest see `PhasePlane.show`.
        """
        before = self._shown
        known = None
        if before is not None and self.colours is not None and _same_domain(before, retraction):
            known = (before.decomposition, self.colours)
        if before is None or before.decomposition is not retraction.decomposition or self.colours is None:
            self.colours = node_colours(retraction.decomposition, known)
        self._shown = retraction
        self.plane.show(retraction, colours=self.colours, names=names, axes=axes, at=at, title=title, note=note)
        self.graph.show(retraction, colours=self.colours, note=graph_note)

    def mark_node(self, node: int | None, part: Part = "basin") -> None:
        """Pick a node in both; None picks none."""
        self.plane.mark_node(node, part)
        self.graph.mark_node(node)

    def on_node(self, act: Callable[[int], None]) -> None:
        """Call with the number of a node that the user taps in the graph."""
        self.graph.on_node(act)

    def on_cell(self, act: Callable[[int], None]) -> None:
        """Call with the number of a cell that the user taps in the plane."""
        self.plane.on_cell(act)


def _same_domain(one: OrderRetraction, other: OrderRetraction) -> bool:
    grids = [each.decomposition.grid for each in (one, other)]
    if grids[0] is None or grids[1] is None:
        return False
    return all(
        np.array_equal(getattr(grids[0], end), getattr(grids[1], end)) for end in ("lower", "upper")
    )  # fmt: skip
