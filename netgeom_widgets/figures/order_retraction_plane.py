"""The phase plane: cells coloured by the order retraction, runs, a picked node, a picked cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from bokeh.models import Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.order_retraction_colours import NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_image import KindImage
from netgeom_widgets.figures.order_retraction_marks import (
    CellMarks,
    LineGraph,
    RunMarks,
    SetNumbers,
    cell_colours,
    cell_words,
)
from netgeom_widgets.figures.order_retraction_places import PlanePlaces
from netgeom_widgets.figures.order_retraction_raster import PlaneView, RetractionRaster
from netgeom_widgets.figures.order_retraction_words import (
    legend_entries,
    node_words,
    picked_cell_words,
    pixel_words,
    plane_words,
    run_words,
)
from netgeom_widgets.figures.plots import LEGEND_ENTRIES, KeyLegend, add_caption, fit_range, literal, make_plot, say
from netgeom_widgets.figures.taps import on_tap

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import OrderRetraction

Part = Literal["set", "tile", "basin"]
PARTS: tuple[Part, ...] = ("set", "tile", "basin")
"""What of a picked node stays unveiled: its Morse set; that and its tile; all that ends in it or below."""

#: Pixels of the legend across, of a line of words below the plot, and of all at most.
_LEGEND, _LINE, _MOST = 430, 16, 600
#: Morse sets that get their number at most.
_NUMBERED = 40


class PhasePlane:
    """Cells of a grid in their colours; ``root`` is its plot.

    A grid with one axis shows the map's graph, as the boxes that it sends cells to, over tiles as columns. Of one with
    three or more, two axes are shown at a place of the others.

    Parameters
    ----------
    height : int
        Pixels, without the legend and the caption; with these at most 600.

    Attributes
    ----------
    raster : RetractionRaster or None
    view : PlaneView or None
        The part that the image holds.
    colours : NodeColours
    """

    def __init__(self, height: int = 400, **options: Any) -> None:
        self.raster: RetractionRaster | None = None
        self.view: PlaneView | None = None
        self._places: PlanePlaces | None = None
        self.colours = NodeColours(np.empty((0, 3)), np.empty(0, dtype=np.int64))
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "phase plane"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.grid.visible = False
        self._image = KindImage(self.root)
        self._line = LineGraph(self.root)
        self.cells, self.runs = CellMarks(self.root), RunMarks(self.root)
        self._numbers = SetNumbers(self.root)
        self._height = height
        self._legend = KeyLegend(self.root, "below", width=_LEGEND, room=LEGEND_ENTRIES)
        self._caption = add_caption(self.root)
        self._notes: tuple[str, ...] = ()
        self._said, self._cell_said, self._runs_said = "", "", ""
        self._reached: np.ndarray | None = None

    # -- drawing --------------------------------------------------------------------------------------------------

    def show(
        self,
        retraction: OrderRetraction,
        *,
        colours: NodeColours | None = None,
        names: Sequence[str] | None = None,
        axes: tuple[int, int] = (0, 1),
        at: Mapping[int, int] | None = None,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show a retraction; a picked node and cell and the runs of the one before are taken away.

        Parameters
        ----------
        retraction : OrderRetraction
            Of a grid.
        colours : NodeColours, optional
            By default `node_colours`.
        names : sequence of str, optional
            Of the grid's axes, with units where they have any.
        axes : (int, int)
            Axes across and up.
        at : mapping of int to int, optional
            Cell along each further axis at which to cut; the middle by default.
        title, note : str, optional
            Above, and said below.

        Raises
        ------
        NetgeomError
            For a retraction without a grid, and for axes or places that it lacks.
        """
        raster = RetractionRaster(retraction, axes, at)
        places = PlanePlaces(raster)
        d = places.grid.dims
        names = [f"coordinate {axis + 1}" for axis in range(d)] if names is None else [literal(name) for name in names]
        if len(names) != d:
            raise NetgeomError("Each axis has a name.", expected=f"{d} names", got=f"{len(names)}")
        self.raster, self._places = raster, places
        self.colours = node_colours(retraction.decomposition) if colours is None else colours
        self._label(names, literal(title) if title is not None else f"Order retraction, {_counted(raster.k)}")
        self._notes = (*plane_words(retraction, raster, names), note)
        self._legend.set(legend_entries(retraction, self.colours))
        self._line.draw(places)
        self._numbers.draw(places if raster.k <= _NUMBERED else None)
        self._said = ""
        self.mark_cell(None)
        self.draw_runs(None)
        self._image.paint(self.raster, self.colours, None)
        self.zoom()

    def zoom(self, x_range: tuple[float, float] | None = None, y_range: tuple[float, float] | None = None) -> None:
        """Send the pixels for a part, by default what the axes show; a fine grid has more cells than pixels."""
        if self.raster is None or self._places is None:
            return
        places = self._places
        columns = places.interval(places.across, x_range or (self._x.start, self._x.end))
        rows = None if places.is_line else places.interval(places.up, y_range or (self._y.start, self._y.end))
        self.view = view = self.raster.view(columns, rows)
        self._image.draw(view, places.of_view(view))
        self._veil()
        self._say()

    def clear(self, why: str) -> None:
        """Show no cell, but why there is none."""
        self.raster = self.view = self._places = None
        self._image.draw(None)
        for marks in (self._line, self._numbers):
            marks.draw(None)
        self.mark_cell(None)
        self.draw_runs(None)
        self._legend.set([])
        say(self._caption, why)

    def draw_runs(
        self,
        values: Float[np.ndarray, "R T d"] | None,
        *,
        names: Sequence[Any] | None = None,
        lines: bool = True,
        selection: Iterable[int] = (),
    ) -> None:
        """Show runs in the coordinates of the grid: a line, a circle at the start, a diamond at the end; None: none.

        Circle and diamond have the colour of the tile that the run starts in. Points that are not finite are left out.
        ``names`` are the runs' ids, ``selection`` numbers of runs (rows), drawn in front with a wide outline.
        """
        if values is None or self.raster is None or self._places is None:
            self.runs.draw(np.empty((0, 1, 2)), [], [], [])
            self._runs_said = ""
            self._say()
            return
        values = np.asarray(values, dtype=float)
        d = self._places.grid.dims
        if values.ndim != 3 or values.shape[2] != d or values.shape[1] < 1:
            raise NetgeomError(
                "These runs are not in the coordinates of the grid.", expected=f"(runs, times, {d})",
                got=f"shape {values.shape}",
            )  # fmt: skip
        cells, retraction = self._places.grid.locate(values[:, 0]), self.raster.retraction
        paths = self._places.points(values)
        lines = lines and paths.shape[1] > 1
        self._runs_said = run_words(
            len(values), int((cells < 0).sum()), projected=bool(self.raster.at), lines=lines
        )  # fmt: skip
        self.runs.draw(
            paths, cell_colours(retraction, self.colours, cells), cell_words(retraction, cells),
            list(range(len(values)) if names is None else names), lines=lines,
            selection=selection,
        )  # fmt: skip
        self._say()

    # -- marks ----------------------------------------------------------------------------------------------------

    def mark_node(self, node: int | None, part: Part = "basin") -> None:
        """Veil all but a node's set, tile or basin; None lifts the veil. Only the colours are sent."""
        if part not in PARTS:
            raise NetgeomError("There is no such part of a node.", expected=", ".join(PARTS), got=repr(part))
        if self.raster is None or node is None:
            self._said = ""
            self._image.paint(self.raster, self.colours, None)
        else:
            if not 0 <= node < self.raster.k:
                raise NetgeomError("There is no such node.", expected=f"0 to {self.raster.k - 1}", got=f"{node}")
            if part == "basin":
                leq = np.asarray(self.raster.retraction.decomposition.leq, dtype=bool)
                shown = self.raster.kinds_that_end_in(leq[:, node])
            else:
                shown = self.raster.kinds_of([node], tiles=part == "tile")
            self._said = node_words(node, part)
            self._image.paint(self.raster, self.colours, shown)
        self._say()

    def mark_cell(
        self,
        cell: int | None,
        *,
        reached: np.ndarray | None = None,
        orbit: Float[np.ndarray, "S d"] | None = None,
    ) -> None:
        """Outline a cell and the box that the map sends it to; None takes these marks away.

        ``reached`` (cells,) bool are the cells on some path from it, the others are veiled; ``orbit`` the points of one
        path of the map.
        """
        self._reached = None if cell is None or reached is None else np.asarray(reached, dtype=bool)
        self._cell_said = ""
        if self._places is None or cell is None:
            self.cells.cell(None, None)
            self.cells.orbit(None)
        else:
            image = self._places.image(cell)
            self.cells.cell(self._places.cell(cell), image)
            self.cells.orbit(None if orbit is None else self._places.orbit(np.asarray(orbit, dtype=float)))
            kind = cell_words(self._places.raster.retraction, np.array([cell]))[0]
            self._cell_said = picked_cell_words(cell, kind, image is not None, self._reached, orbit is not None)
        self._veil()
        self._say()

    def on_cell(self, act: Callable[[int], None]) -> None:
        """Call with the number of a cell that the user taps."""
        on_tap(self.root, lambda event: self.cell_at(event.x, event.y), act)

    def cell_at(self, x: float | None, y: float | None) -> int | None:
        """The cell at a point of the plot, in the slice that is shown; None outside."""
        return None if self._places is None else self._places.cell_at(x, y)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _label(self, names: Sequence[str], title: str) -> None:
        """Title, axes with their home view, and lines of the hover box."""
        places = self._places
        if places is None:
            return
        across = names[places.across]
        up = f"{across}, one step later" if places.is_line else names[places.up]
        self.root.title.text = title
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = across, up
        left, right, bottom, top = places.home
        fit_range(self._x, left, right)
        fit_range(self._y, bottom, top)
        self._image.name(places.raster.words, across, None if places.is_line else up)

    def _say(self) -> None:
        if self._places is None:
            return
        pixels = pixel_words(1 if self.view is None else self.view.factor, self._places.is_line)
        say(self._caption, self._cell_said, self._said, self._runs_said, pixels, *self._notes)
        lines = self._caption.text.count("\n") + self._legend.rows
        self.root.height = min(self._height + _LINE * lines, max(_MOST, self._height))

    def _veil(self) -> None:
        if self._reached is None or self.raster is None or self.view is None or self._places is None:
            self.cells.reach(None)
            return
        mask, factor = self.raster.mask(self._reached), self.view.factor
        rows = slice(self.view.row, self.view.row + self.view.codes.shape[0] * factor)
        columns = slice(self.view.column, self.view.column + self.view.codes.shape[1] * factor)
        part = mask[rows, columns]
        for axis in (0, 1):  # a pixel is reached where any of its cells is
            part = np.logical_or.reduceat(part, np.arange(0, part.shape[axis], factor), axis=axis)
        self.cells.reach(part, self._places.of_view(self.view))


def _counted(k: int) -> str:
    return f"{k:,} Morse node{'' if k == 1 else 's'}"
