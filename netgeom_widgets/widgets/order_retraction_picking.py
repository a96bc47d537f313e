"""Mixin of the order retraction plot: which node and which cell are picked, by click, by keyboard, or by assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.order_retraction_panel import OrderRetractionPanel
from netgeom_widgets.widgets.order_retraction_picture import Picture
from netgeom_widgets.widgets.order_retraction_source import Source


class Picking(traitlets.HasTraits):
    """A node or a cell is picked, never both: each has the picture to itself."""

    _source: Source
    _panel: OrderRetractionPanel
    _picture: Picture | None = None

    def _panel_of_picks(self) -> OrderRetractionPanel:
        """The controls that pick; made once."""
        self._panel = OrderRetractionPanel(
            go=lambda node: self._pick_typed("node", node),
            step=self._step_node,
            cell=lambda cell: self._pick_typed("grid_cell", cell),
            take=self._take_runs,
            clear=lambda: setattr(self, "selection", ()),
            collapse=self._collapse_node,
            restore=lambda: setattr(self, "collapsed", ()),
            write=lambda: self._write_here(self.export_graph, ".graphml"),  # type: ignore[attr-defined]
        )
        self._panel.has_runs(bool(self._source.n_runs))
        return self._panel

    # ---- what may be picked

    @traitlets.validate("node")
    def _check_node(self, proposal: Any) -> int | None:
        node, picture = proposal["value"], self._picture
        if node is not None and picture is not None and node >= picture.decomposition.n_nodes:
            k = picture.decomposition.n_nodes
            expected = f"None or a number from 0 to {k - 1}" if k else "None: the Morse graph is empty"
            raise NetgeomError("There is no such Morse node.", expected=expected, got=str(node))
        return node  # type: ignore[no-any-return]

    @traitlets.validate("grid_cell")
    def _check_cell(self, proposal: Any) -> int | None:
        cell, picture = proposal["value"], self._picture
        if cell is not None and picture is not None and cell >= picture.grid.n_cells:
            expected = f"None or a number from 0 to {picture.grid.n_cells - 1:,}"
            raise NetgeomError("There is no such cell.", expected=expected, got=str(cell))
        return cell  # type: ignore[no-any-return]

    @traitlets.observe("node")
    def _node_alone(self, change: Any) -> None:
        if change["new"] is not None:
            self.grid_cell = None

    @traitlets.observe("grid_cell")
    def _cell_alone(self, change: Any) -> None:
        if change["new"] is not None:
            self.node = None

    def _carry_picks(self, before: Picture, now: Picture) -> None:
        """What is picked stays where it was: a cell by its middle, a node by the cells of its Morse set."""
        if before.decomposition is now.decomposition:
            return
        cell, node = self.grid_cell, self.node
        same_axes = before.space.names == now.space.names
        if cell is not None and not (same_axes and _same_grid(before, now)):
            found = -1
            if same_axes and cell < before.grid.n_cells:
                found = int(now.grid.locate(_middles(before.grid, [cell]))[0])
            self.grid_cell = found if found >= 0 else None
        if node is not None:
            self.node = _same_node(before, now, node) if same_axes else None

    # ---- what is asked

    def _tapped_cell(self, cell: int) -> None:
        """Pick the cell that was tapped, or nothing if it was picked."""
        self.grid_cell = None if cell == self.grid_cell else cell

    def _tapped_node(self, node: int) -> None:
        """Pick the node that was tapped, or nothing if it was picked."""
        self.node = None if node == self.node else node

    def _pick_typed(self, name: str, value: Any) -> None:
        """Pick what was typed or chosen from a list."""
        try:
            setattr(self, name, value)
        except (NetgeomError, traitlets.TraitError) as error:
            no_number = NetgeomError("Nodes and cells are whole numbers from 0.", got=str(value))
            self._say(str(no_number if isinstance(error, traitlets.TraitError) else error))  # type: ignore[attr-defined]
            self._redraw_marks()  # type: ignore[attr-defined]  # the cell shows what is picked again

    def _step_node(self, by: int) -> None:
        """Go to the next node."""
        picture = self._picture
        k = 0 if picture is None else picture.decomposition.n_nodes
        if k:
            self.node = (by > 0) * 0 + (by < 0) * (k - 1) if self.node is None else (self.node + by) % k

    def _collapse_node(self) -> None:
        """Collapse the picked node, beside those that are already."""
        picture, node = self._picture, self.node
        if picture is not None and node is not None:
            self.collapsed = (*self.collapsed, picture.kept[node])

    def _take_runs(self) -> None:
        """Select the runs that start in the picked cell, or in the tile of the picked node."""
        picture, cell, node = self._picture, self.grid_cell, self.node
        if picture is not None and (cell is not None or node is not None):
            found = picture.start_nodes == node if cell is None else picture.start_cells == cell
            self.selection = tuple(np.flatnonzero(found).tolist())


def _middles(grid: Any, cells: Any) -> np.ndarray:
    lower, upper = grid.boxes(cells)
    return (lower + upper) / 2  # type: ignore[no-any-return]


def _same_domain(before: Picture, now: Picture) -> bool:
    ends = zip((before.grid.lower, before.grid.upper), (now.grid.lower, now.grid.upper), strict=True)
    return all(np.array_equal(one, other) for one, other in ends)


def _same_grid(before: Picture, now: Picture) -> bool:
    return _same_domain(before, now) and before.grid.subdivisions == now.grid.subdivisions


def _same_node(before: Picture, now: Picture, node: int) -> int | None:
    """Which node has most of the cells of an earlier one."""
    from netgeom_widgets.kernels.order_retraction import match_nodes

    if not _same_domain(before, now) or node >= before.decomposition.n_nodes:
        return None
    found = np.flatnonzero(match_nodes(before.decomposition, now.decomposition) == node)
    return int(found[np.argmax(now.decomposition.sizes[found])]) if found.size else None
