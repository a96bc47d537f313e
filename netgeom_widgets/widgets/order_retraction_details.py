"""Mixin of the order retraction plot: what is shown of the picked node or cell, and of the cell under the pointer."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import traitlets
from bokeh.events import MouseLeave, MouseMove

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.order_retraction_panel import OrderRetractionPanel
from netgeom_widgets.widgets.order_retraction_picture import Picture
from netgeom_widgets.widgets.order_retraction_words import cell_words, node_words

#: Applications of the map in the forward orbit of a cell's middle.
ORBIT = 30


@dataclass(frozen=True, eq=False)
class Ahead:
    """What lies ahead of a cell of the grid.

    Attributes
    ----------
    cell : int
    image : (lower, upper) or None
        The rectangle of cells that its image meets; None where that lies outside.
    reached : (cells,) bool
        The cells on some way from it, itself included.
    orbit : (steps + 1, d)
        Of its middle under the map; NaN from where it leaves.
    """

    cell: int
    image: tuple[np.ndarray, np.ndarray] | None
    reached: np.ndarray
    orbit: np.ndarray


def look_ahead(picture: Picture, cell: int) -> Ahead:
    """What lies ahead of a cell."""
    from netgeom_widgets.kernels.order_retraction import orbit, reachable_cells

    images, grid = picture.decomposition.images, picture.grid
    lower, upper = grid.boxes([cell])
    image = None
    if not images.empty[cell]:
        ends = [np.ravel_multi_index(tuple(end[cell]), grid.shape) for end in (images.first, images.last)]
        image = (grid.boxes(ends[:1])[0][0], grid.boxes(ends[1:])[1][0])
    path = np.asarray(orbit(picture.space.map, (lower + upper) / 2, ORBIT, grid))
    return Ahead(cell, image, np.asarray(reachable_cells(picture.decomposition, [cell])), path[:, 0])


class Details(traitlets.HasTraits):
    """What lies ahead of a cell is computed on the worker, for what is picked now; the latest request wins."""

    _figure: Any
    _panel: OrderRetractionPanel
    _picture: Picture | None = None
    _ahead: Ahead | None = None  # drawn
    _ahead_of: tuple[Picture, int | None] | None = None
    _hovered: int | None = None

    ahead = traitlets.Any(None, read_only=True, help="Image, reach set and forward orbit of the picked cell, or None.")

    def _setup_details(self) -> None:
        """Listen to picks and pointer; called once the figure exists."""
        plot = self._figure.plane.root
        plot.on_event(MouseMove, self._on_pointer)
        plot.on_event(MouseLeave, self._on_pointer)
        self.observe(self._cell_soon, "grid_cell")
        self.observe(self._details_again, "status")

    def _details_again(self, change: Any) -> None:
        """A run cancels what is being fetched; one that brings no new picture owes it."""
        if change["new"] in ("cancelled", "error"):
            self._cell_soon()

    def _cell_soon(self, _: Any = None) -> None:
        if not self._closed:  # type: ignore[attr-defined]
            self._submit(self._fetch_cell, key="view")  # type: ignore[attr-defined]

    def _fetch_cell(self, progress: Progress, cancel: Cancel) -> None:
        """See what lies ahead of the picked cell and draw it; runs on the worker's thread."""
        picture, cell = self._picture, self.grid_cell
        if picture is None or self._ahead_of == (picture, cell):
            return
        found = None if cell is None or cell >= picture.grid.n_cells else look_ahead(picture, cell)
        with self._lock:  # type: ignore[attr-defined]
            cancel.checkpoint()  # under the lock: nothing late is drawn
            if self._picture is not picture or self._closed:  # type: ignore[attr-defined]
                return
            self._ahead, self._ahead_of = found, (picture, cell)
            self.set_trait("ahead", found)
            if self._shown is not None and self._shown[0] is picture:  # type: ignore[attr-defined]
                with self.pane.batch():  # type: ignore[attr-defined]
                    self._draw_marks(picture)  # type: ignore[attr-defined]
        self._keep_picture()  # type: ignore[attr-defined]

    # ---- words

    def _show_picked(self, picture: Picture) -> None:
        """Say in the panel what is known of what is picked."""
        node, cell = self.node, self.grid_cell
        facts = "" if node is None else escape(node_words(picture, node))
        told = "" if cell is None or cell >= picture.grid.n_cells else escape(self._cell_words(picture, cell))
        self._panel.show_picked(node, cell, facts, told)
        if cell is not None and cell == self._hovered:
            self._panel.point("")  # said once

    def _cell_words(self, picture: Picture, cell: int) -> str:
        words = cell_words(picture, cell)
        deviation = self._deviation(picture, cell)
        ahead = self._ahead
        if ahead is not None and ahead.cell == cell:
            deviation += f"; reaches {int(ahead.reached.sum()):,} cells, itself included"
        return f"{words}{deviation}"

    def _deviation(self, picture: Picture, cell: int) -> str:
        """Standard deviation of a fitted map in the middle of a cell."""
        std = picture.space.deviation
        if std is None:
            return ""
        lower, upper = picture.grid.boxes([cell])
        try:
            found = np.asarray(std((lower + upper) / 2), dtype=float).ravel()
        except NetgeomError:
            return ""
        return f"; standard deviation of the map {', '.join(number(float(value)) for value in found)}"

    # ---- the pointer

    def _on_pointer(self, event: MouseMove | MouseLeave) -> None:
        """Take note of a point; many reports may come while one is worked on, and the latest counts."""
        if self._closed:  # type: ignore[attr-defined]
            return
        left = isinstance(event, MouseLeave) or event.x is None or event.y is None
        at = None if left else (float(event.x), float(event.y))  # type: ignore[arg-type]
        self._painter.submit(lambda progress, cancel: self._point_at(at), key="pointer").add_done_callback(  # type: ignore[attr-defined]
            self._job_ended  # type: ignore[attr-defined]
        )

    def _point_at(self, at: tuple[float, float] | None) -> None:
        picture = self._picture
        if picture is None or self._shown is None or self._shown[0] is not picture:  # type: ignore[attr-defined]
            return  # cells of a first picture have other numbers
        cell = None if at is None else self._figure.plane.cell_at(*at)
        if cell == self._hovered:
            return
        self._hovered = cell
        self._panel.point("" if cell is None or cell == self.grid_cell else escape(self._cell_words(picture, cell)))
