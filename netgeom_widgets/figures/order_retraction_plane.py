"""The phase plane: cells coloured by the order retraction, runs, a picked node, a picked cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.order_retraction_colours import NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_marks import CellMarks, RunMarks, cell_colours, cell_words
from netgeom_widgets.figures.order_retraction_raster import PlaneView, RetractionRaster, number_cells
from netgeom_widgets.figures.order_retraction_words import legend_entries, plane_words
from netgeom_widgets.figures.plots import KeyLegend, add_caption, fit_range, literal, make_plot, say
from netgeom_widgets.figures.taps import on_tap

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import BoxImages, CubicalGrid, OrderRetraction

Part = Literal["set", "tile", "basin"]
PARTS: tuple[Part, ...] = ("set", "tile", "basin")
"""What of a picked node stays unveiled: its Morse set; that and its tile; all that ends in it or below."""

_PLACE = ("x", "y", "dw", "dh")
#: Morse sets that get their number at most.
_NUMBERED = 40
#: Boxes of the graph of a map on a line at most.
_BOXES = 2048
_KIND = """
const kind = Math.floor(value / 3)
return words.data.word[kind] + (value % 3 ? "; may leave the domain" : "")
"""


class PhasePlane:
    """Cells of a grid in their colours; ``root`` is its plot.

    A grid with one axis shows the map's graph, as the boxes that it sends cells to, over tiles as columns. Of one with
    three or more, two axes are shown at a place of the others.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    raster : RetractionRaster or None
    view : PlaneView or None
        The part that the image holds.
    colours : NodeColours
    """

    def __init__(self, height: int = 440, **options: Any) -> None:
        self.raster: RetractionRaster | None = None
        self.view: PlaneView | None = None
        self.colours = NodeColours(np.empty((0, 3)), np.empty(0, dtype=np.int64))
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "phase plane"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.grid.visible = False
        self._mapper = LinearColorMapper(palette=["#ffffff"], low=-0.5, high=0.5)
        self._image = ColumnDataSource({name: [] for name in ("image", *_PLACE)})
        image = self.root.image("image", *_PLACE, source=self._image, color_mapper=self._mapper)
        self._words = ColumnDataSource({"word": []})
        kind = CustomJSHover(args={"words": self._words}, code=_KIND)
        self._hover = HoverTool(renderers=[image], tooltips=None, formatters={"@image": kind})
        self.root.add_tools(self._hover)
        self._graph = ColumnDataSource({name: [] for name in ("left", "right", "bottom", "top")})
        self.root.quad(
            "left", "right", "bottom", "top", source=self._graph, fill_color="#202020", line_color="#202020",
            line_width=1,
        )  # fmt: skip
        self._diagonal = ColumnDataSource({"x": [], "y": []})
        self.root.line("x", "y", source=self._diagonal, line_color="#606060", line_dash=[5, 4], line_width=1.2)
        self.cells, self.runs = CellMarks(self.root), RunMarks(self.root)
        self._numbers = ColumnDataSource({"x": [], "y": [], "name": []})
        for colour, width in (("#ffffff", 3), (None, 0)):  # white behind: read on any colour
            self.root.text(
                "x", "y", "name", source=self._numbers, text_color="#101010", text_outline_color=colour,
                text_outline_width=width, text_font_size="12px", text_font_style="bold", text_align="center",
                text_baseline="bottom", y_offset=-3,
            )  # fmt: skip
        self._legend = KeyLegend(self.root, "below", width=430)
        self._caption = add_caption(self.root)
        self._notes: tuple[str, ...] = ()
        self._said, self._cell_said = "", ""
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
        before = self.raster
        self.raster = RetractionRaster(retraction, axes, at)
        self.colours = node_colours(retraction.decomposition) if colours is None else colours
        d = len(self.grid.shape)
        self.names = [f"coordinate {axis + 1}" for axis in range(d)] if names is None else list(map(literal, names))
        if len(self.names) != d:
            raise NetgeomError("Each axis has a name.", expected=f"{d} names", got=f"{len(self.names)}")
        across, up = self.raster.axes
        self.root.xaxis[0].axis_label = self.names[across]
        self.root.yaxis[0].axis_label = self.names[up] if d > 1 else f"{self.names[0]}, one step later"
        lower, upper = (np.asarray(ends, dtype=float) for ends in (self.grid.lower, self.grid.upper))
        home = [fit_range(axis, lower[at], upper[at]) for axis, at in ((self._x, across), (self._y, up))]
        k = self.raster.k
        self.root.title.text = literal(title) if title is not None else f"Order retraction, {_counted(k, 'Morse node')}"
        self._notes = (*plane_words(retraction, self.raster, self.names), note)
        if before is None or len(before.words) != len(self.raster.words) or before.words != self.raster.words:
            self._words.data = {"word": self.raster.words}
        sides = [(self.names[across], "$x{%.4g}"), *([(self.names[up], "$y{%.4g}")] if d > 1 else [])]
        tips = [("cell", "@image{custom}"), *((literal(name).replace("@", "＠"), form) for name, form in sides)]
        if self._hover.tooltips != tips:
            self._hover.update(
                tooltips=tips, formatters={**self._hover.formatters, "$x": "printf", "$y": "printf"}
            )  # fmt: skip
        self._legend.set(legend_entries(retraction, self.colours))
        self._draw_graph()
        self._number_sets()
        self._said = ""
        self.mark_cell(None)
        self.draw_runs(None)
        self._paint(None)
        self.zoom(*(((None, None)) if any(home) else ()))

    @property
    def grid(self) -> CubicalGrid:
        """The grid that is shown."""
        grid = None if self.raster is None else self.raster.retraction.decomposition.grid
        if grid is None:
            raise NetgeomError("No retraction is shown yet.", try_this="call show(retraction) first")
        return grid

    def zoom(self, x_range: tuple[float, float] | None = None, y_range: tuple[float, float] | None = None) -> None:
        """Send the pixels for a part, by default what the axes show; a fine grid has more cells than pixels."""
        if self.raster is None:
            return
        d, (across, up) = len(self.grid.shape), self.raster.axes
        columns = self._cells(across, x_range or (self._x.start, self._x.end))
        rows = self._cells(up, y_range or (self._y.start, self._y.end)) if d > 1 else None
        self.view = view = self.raster.view(columns, rows)
        there = bool(view.codes.size)
        self._image.data = {"image": [view.codes][:there]} | {
            name: [value][:there] for name, value in zip(_PLACE, self._place(view), strict=True)
        }
        self._veil()
        self._say()

    def clear(self, why: str) -> None:
        """Show no cell, but why there is none."""
        self.raster = self.view = None
        self._image.data = {name: [] for name in self._image.data}
        for source in (self._graph, self._diagonal, self._numbers):
            source.data = {name: [] for name in source.data}
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
        if values is None or self.raster is None:
            self.runs.draw(np.empty((0, 1, 2)), [], [], [])
            return
        values = np.asarray(values, dtype=float)
        d = len(self.grid.shape)
        if values.ndim != 3 or values.shape[2] != d or values.shape[1] < 1:
            raise NetgeomError(
                "These runs are not in the coordinates of the grid.", expected=f"(runs, times, {d})",
                got=f"shape {values.shape}",
            )  # fmt: skip
        cells = np.asarray(self.grid.locate(values[:, 0]))
        retraction = self.raster.retraction
        fills = cell_colours(retraction, self.colours, cells)
        listed = range(len(values)) if names is None else names
        paths = self._points(values)
        self.runs.draw(
            paths, fills, cell_words(retraction, cells), list(listed), lines=lines and paths.shape[1] > 1,
            selection=selection,
        )  # fmt: skip

    # -- marks ----------------------------------------------------------------------------------------------------

    def mark_node(self, node: int | None, part: Part = "basin") -> None:
        """Veil all but a node's set, tile or basin; None lifts the veil. Only the colours are sent."""
        if part not in PARTS:
            raise NetgeomError("There is no such part of a node.", expected=", ".join(PARTS), got=repr(part))
        if self.raster is None or node is None:
            self._said = ""
            self._paint(None)
        else:
            if not 0 <= node < self.raster.k:
                raise NetgeomError("There is no such node.", expected=f"0 to {self.raster.k - 1}", got=f"{node}")
            if part == "basin":
                leq = np.asarray(self.raster.retraction.decomposition.leq, dtype=bool)
                shown = self.raster.kinds_that_end_in(leq[:, node])
            else:
                shown = self.raster.kinds_of([node], tiles=part == "tile")
            self._said = {
                "set": f"Not veiled: Morse set {node}.",
                "tile": f"Not veiled: Morse set {node} and its tile.",
                "basin": f"Not veiled: cells that reach only node {node} and nodes below it.",
            }[part]
            self._paint(shown)
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
        if self.raster is None or cell is None:
            self.cells.cell(None, None)
            self.cells.orbit(None)
        else:
            image = self._image_box(cell)
            self.cells.cell(self._box(cell, image), image)
            self.cells.orbit(None if orbit is None else self._orbit(np.asarray(orbit, dtype=float)))
            self._cell_said = self._cell_words(cell, image is None, orbit is not None)
        self._veil()
        self._say()

    def on_cell(self, act: Callable[[int], None]) -> None:
        """Call with the number of a cell that the user taps."""
        on_tap(self.root, self.cell_at, act)

    def cell_at(self, event: Tap) -> int | None:
        """The cell at a point of the plot, in the slice that is shown."""
        if self.raster is None or event.x is None or event.y is None:
            return None
        low, high = self.grid.boxes(np.array([self._in_slice()]))
        point = (np.asarray(low)[0] + np.asarray(high)[0]) / 2
        across, up = self.raster.axes
        point[across] = event.x
        if len(self.grid.shape) > 1:
            point[up] = event.y
        found = int(np.asarray(self.grid.locate(point[None]))[0])
        return found if found >= 0 else None

    # -- parts ----------------------------------------------------------------------------------------------------

    def _paint(self, shown: np.ndarray | None) -> None:
        palette = ["#ffffff"] if self.raster is None else self.raster.palette(self.colours, shown)
        self._mapper.update(palette=palette, low=-0.5, high=len(palette) - 0.5)

    def _say(self) -> None:
        if self.raster is None:
            return
        factor = 1 if self.view is None else self.view.factor
        pixel = (
            f"Each pixel: the colour of most of {factor} × {factor} cells; Morse sets win, the smallest first."
            if factor > 1
            else ""
        )
        say(self._caption, self._cell_said, self._said, pixel, *self._notes)

    def _cells(self, axis: int, ends: tuple[float, float]) -> tuple[float, float]:
        """An interval of the axis in cells."""
        lower, width = float(self.grid.lower[axis]), float(self.grid.widths[axis])
        low, high = ((end - lower) / width for end in sorted(ends))
        near = 1e-9 * self.grid.shape[axis]  # an end of a view on an edge of cells is no part of the next
        return low + near, high - near

    def _place(self, view: PlaneView) -> tuple[float, float, float, float]:
        """x, y, width and height of a view's pixels in the plot."""
        (across, up), found = self.raster.axes if self.raster else (0, 0), []
        for axis, first, pixels in ((across, view.column, view.codes.shape[1]), (up, view.row, view.codes.shape[0])):
            edges = np.asarray(self.grid.edges(axis), dtype=float)
            last = min(first + pixels * view.factor, len(edges) - 1)
            found.append((float(edges[first]), float(edges[last] - edges[first])))
        if len(self.grid.shape) == 1:
            found[1] = (float(self.grid.lower[0]), float(self.grid.upper[0] - self.grid.lower[0]))
        (x, width), (y, height) = found
        return x, y, width, height

    def _veil(self) -> None:
        if self._reached is None or self.raster is None or self.view is None:
            self.cells.reach(None)
            return
        mask, factor = self.raster.mask(self._reached), self.view.factor
        rows = slice(self.view.row, self.view.row + self.view.codes.shape[0] * factor)
        columns = slice(self.view.column, self.view.column + self.view.codes.shape[1] * factor)
        part = mask[rows, columns]
        for axis in (0, 1):  # a pixel is reached where any of its cells is
            part = np.logical_or.reduceat(part, np.arange(0, part.shape[axis], factor), axis=axis)
        self.cells.reach(part, self._place(self.view))

    def _points(self, values: np.ndarray) -> np.ndarray:
        """Points of runs in the plot; on a line each is joined with the one after it."""
        across, up = self.raster.axes if self.raster else (0, 0)
        if values.shape[2] > 1:
            return values[:, :, [across, up]]
        if values.shape[1] == 1:
            return np.repeat(values, 2, axis=2)
        return np.concatenate([values[:, :-1], values[:, 1:]], axis=2)

    def _orbit(self, points: np.ndarray) -> np.ndarray:
        if points.shape[1] > 1:
            return self._points(points[None])[0]
        twice = np.repeat(points[:, 0], 2)  # up to the graph, across to the diagonal
        return np.column_stack([twice[:-1], twice[1:]])

    def _box(self, cell: int, image: Sequence[float] | None) -> list[float]:
        lower, upper = (np.asarray(ends)[0] for ends in self.grid.boxes(np.array([cell])))
        across, up = self.raster.axes if self.raster else (0, 0)
        if len(self.grid.shape) == 1:
            low, high = (image[2], image[3]) if image is not None else (float(lower[0]), float(upper[0]))
            return [float(lower[0]), float(upper[0]), low, high]
        return [float(lower[across]), float(upper[across]), float(lower[up]), float(upper[up])]

    def _image_box(self, cell: int) -> list[float] | None:
        """The cells that a cell is sent to as left, right, bottom, top; None where there are none or it is unknown."""
        images = self.raster.retraction.decomposition.images if self.raster else None
        if images is None:
            return None
        if images.empty[cell]:
            return None
        first, last = (np.asarray(ends)[cell] for ends in (images.first, images.last))
        ends = []
        for axis in self.raster.axes if self.raster else ():
            edges = np.asarray(self.grid.edges(axis), dtype=float)
            ends.append((float(edges[first[axis]]), float(edges[last[axis] + 1])))
        if len(self.grid.shape) == 1:
            lower, upper = (float(np.asarray(end)[0, 0]) for end in self.grid.boxes(np.array([cell])))
            ends[0] = (lower, upper)
        return [*ends[0], *ends[1]]

    def _cell_words(self, cell: int, no_image: bool, has_orbit: bool) -> str:
        if self.raster is None:
            return ""
        retraction = self.raster.retraction
        said = [f"Cell {cell:,} ({cell_words(retraction, np.array([cell]))[0]}), outlined"]
        known = retraction.decomposition.images is not None
        said.append("; it is sent outside the domain" if known and no_image else "; dashed: the cells it is sent to")
        if self._reached is not None:
            said.append(f"; not veiled: the {int(self._reached.sum()):,} cells it reaches")
        return "".join(said) + ("; black: an orbit." if has_orbit else ".")

    def _in_slice(self) -> int:
        """A cell of the slice that is shown."""
        at = self.raster.at if self.raster else {}
        index = [at.get(axis, 0) for axis in range(len(self.grid.shape))]
        return int(np.ravel_multi_index(index, tuple(self.grid.shape)))

    def _number_sets(self) -> None:
        """Write each node's number at a cell of its Morse set; sets of single cells would be overlooked otherwise."""
        if self.raster is None or self.raster.k > _NUMBERED:
            self._numbers.data = {name: [] for name in self._numbers.data}
            return
        cells, nodes = number_cells(self.raster)
        low, high = (np.asarray(ends, dtype=float) for ends in self.grid.boxes(cells))
        middles, (across, up) = (low + high) / 2, self.raster.axes
        self._numbers.data = {"x": middles[:, across], "y": middles[:, up], "name": [str(node) for node in nodes]}

    def _draw_graph(self) -> None:
        """On a line: the boxes that cells are sent to, and the diagonal."""
        images = None if self.raster is None else self.raster.retraction.decomposition.images
        columns: dict[str, Any] = {name: [] for name in self._graph.data}
        diagonal: dict[str, Any] = {"x": [], "y": []}
        if len(self.grid.shape) == 1:
            diagonal = {name: [float(self.grid.lower[0]), float(self.grid.upper[0])] for name in ("x", "y")}
            columns = columns if images is None else graph_boxes(images)
        self._graph.data, self._diagonal.data = columns, diagonal


def graph_boxes(images: BoxImages) -> dict[str, np.ndarray]:
    """Boxes over a line that hold the graph of a map; of many cells one for several, from their least to greatest."""
    edges = np.asarray(images.grid.edges(0), dtype=float)
    there = ~np.asarray(images.empty)
    low, high = np.full(there.shape, np.nan), np.full(there.shape, np.nan)
    low[there], high[there] = edges[images.first[there, 0]], edges[images.last[there, 0] + 1]
    step = max(1, len(low) // _BOXES)
    at = np.arange(0, len(low), step)
    columns = {
        "left": edges[at],
        "right": edges[np.minimum(at + step, len(low))],
        "bottom": np.fmin.reduceat(low, at),
        "top": np.fmax.reduceat(high, at),
    }
    there = np.isfinite(columns["bottom"])
    return {name: values[there] for name, values in columns.items()}


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
