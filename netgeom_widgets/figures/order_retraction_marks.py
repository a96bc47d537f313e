"""Marks over a phase plane: training runs, a picked cell, numbers of nodes, the graph of a map on a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import BoxSelectTool, ColumnDataSource, HoverTool, LassoSelectTool
from bokeh.plotting import figure
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.order_retraction_colours import ENDS, NodeColours
from netgeom_widgets.figures.order_retraction_places import PlanePlaces, graph_boxes
from netgeom_widgets.figures.order_retraction_raster import nothing_reached
from netgeom_widgets.figures.plots import literal
from netgeom_widgets.figures.theme import PICKED

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import OrderRetraction

_INK = "#202020"
#: More runs than this are drawn with thinner lines and smaller marks.
_CROWD = 150
#: The veil over cells that a picked cell does not reach.
_VEIL = "#f0f0f0b8"


def cell_words(retraction: OrderRetraction, cells: Int[np.ndarray, " n"]) -> list[str]:
    """What each cell is, in words; -1 is no cell."""
    label, node, status = (
        np.asarray(values) for values in (retraction.decomposition.label, retraction.node, retraction.status)
    )  # fmt: skip

    def words(cell: int) -> str:
        if cell < 0:
            return "outside the domain"
        if label[cell] >= 0:
            return f"Morse set {label[cell]}"
        if node[cell] >= 0:
            return f"tile {node[cell]}"
        return nothing_reached(retraction.decomposition) if status[cell] == 3 else "undecided"

    return [words(cell) for cell in np.asarray(cells).tolist()]


def cell_colours(retraction: OrderRetraction, colours: NodeColours, cells: Int[np.ndarray, " n"]) -> list[str]:
    """Strong colour of each cell's node; of a node it reaches where undecided, grey where it leaves or is no cell."""
    cells = np.asarray(cells)
    table = np.repeat(palettes.to_rgba([ENDS]), len(cells), axis=0)
    node, status = np.asarray(retraction.node)[cells], np.asarray(retraction.status)[cells]
    known = (cells >= 0) & (node >= 0)
    table[known] = colours.sets[node[known]]
    open_ = (cells >= 0) & (node < 0) & (status != 3)
    decomposition = retraction.decomposition
    sets = np.asarray(decomposition.reach_sets, dtype=bool)[np.asarray(decomposition.reach)[cells[open_]]]
    table[open_] = colours.blends(sets.reshape(len(sets), decomposition.n_nodes))[1]  # also where there are no nodes
    return palettes.to_hex(table)


class RunMarks:
    """Runs in one plot: a line each, its start as a circle, its end as a diamond."""

    def __init__(self, plot: figure) -> None:
        self._plot = plot
        self._lines = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "width", "alpha")})
        names = ("x", "y", "id", "run", "tile", "fill", "edge", "edge_width", "size")
        self.starts, self.ends = (ColumnDataSource({name: [] for name in names}) for _ in range(2))
        plot.multi_line(
            "xs",
            "ys",
            source=self._lines,
            line_color="colour",
            line_width="width",
            line_alpha="alpha",
            line_join="round",
        )
        marks = []
        for source, marker in ((self.ends, "diamond"), (self.starts, "circle")):
            one = plot.scatter(
                "x", "y", source=source, marker=marker, size="size", fill_color="fill", line_color="edge",
                line_width="edge_width",
            )  # fmt: skip
            one.nonselection_glyph = one.selection_glyph = one.glyph  # the columns say what is picked
            marks.append(one)
        tips = [("run", "@run"), ("starts in", "@tile")]
        self._tools = [
            HoverTool(renderers=marks, tooltips=tips),
            *(tool(renderers=marks, continuous=False) for tool in (LassoSelectTool, BoxSelectTool)),
        ]
        self._shown = False

    def offer(self) -> None:
        """Have the tools that pick runs; without runs they would be in the way."""
        if not self._shown:
            self._plot.add_tools(*self._tools)
            self._shown = True

    def draw(
        self,
        paths: Float[np.ndarray, "R T 2"],
        fills: Sequence[str],
        words: Sequence[str],
        names: Sequence[Any],
        *,
        lines: bool = True,
        selection: Iterable[int] = (),
    ) -> None:
        """Show runs by their points in the plot; ``selection`` are numbers of runs, which are drawn in front."""
        n = len(paths)
        if not len(fills) == len(words) == len(names) == n:
            raise NetgeomError(
                "Each run needs a colour and a name.", expected=f"{n}", got=f"{len(fills)}, {len(names)}"
            )
        if n:
            self.offer()
        picked = np.isin(np.arange(n), np.fromiter(selection, dtype=np.int64))
        order = np.argsort(picked, kind="stable")
        rows, crowd, any_picked = order.tolist(), n > _CROWD, bool(picked.any())
        front = picked[order]
        self._lines.data = {
            "xs": [paths[row, :, 0] for row in rows] if lines else [],
            "ys": [paths[row, :, 1] for row in rows] if lines else [],
            "width": np.where(front, 2.4, 0.8 if crowd else 1.3)[: n * lines],
            "alpha": np.where(front, 1.0, 0.25 if any_picked else 0.8)[: n * lines],
            "colour": [fills[row] for row in rows][: n * lines],
        }
        facts = {
            "id": order, "run": [literal(names[row]) for row in rows], "tile": [words[row] for row in rows],
            "fill": [fills[row] for row in rows], "edge": [PICKED if one else _INK for one in front],
            "edge_width": np.where(front, 2.4, 0.8),
        }  # fmt: skip
        for source, at, size in ((self.starts, 0, 7.0), (self.ends, -1, 8.0)):
            if source.selected.indices:
                source.selected.indices = []
            sizes = np.full(n, size - 2 * crowd) + 3 * front
            source.data = {"x": paths[order, at, 0], "y": paths[order, at, 1], "size": sizes, **facts}

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the numbers of the runs whose start or end the user draws a lasso or box around."""
        for source in (self.starts, self.ends):

            def changed(attr: str, old: Any, new: list[int], source: ColumnDataSource = source) -> None:
                if new:  # emptied when the runs are drawn again
                    ids = source.data["id"]
                    act(sorted({int(ids[row]) for row in new if row < len(ids)}))

            source.selected.on_change("indices", changed)


class CellMarks:
    """A picked cell in one plot: its outline, its image box, the cells it reaches, an orbit."""

    def __init__(self, plot: figure) -> None:
        self._veil = ColumnDataSource({name: [] for name in ("image", "x", "y", "dw", "dh")})
        plot.image_rgba("image", "x", "y", "dw", "dh", source=self._veil)
        self._boxes = [ColumnDataSource({name: [] for name in ("left", "right", "bottom", "top")}) for _ in range(2)]
        for source, dash in zip(self._boxes, ("solid", "dashed"), strict=True):
            outline = {"fill_color": None, "line_join": "round", "source": source}
            plot.quad("left", "right", "bottom", "top", line_color="#ffffff", line_width=4.5, **outline)
            plot.quad("left", "right", "bottom", "top", line_color=PICKED, line_width=2.2, line_dash=dash, **outline)
        self._ring, self._orbit = (ColumnDataSource({"x": [], "y": []}) for _ in range(2))
        for colour, width in (("#ffffff", 4.0), (PICKED, 1.8)):
            plot.scatter("x", "y", size=15, source=self._ring, fill_color=None, line_color=colour, line_width=width)
        plot.line("x", "y", source=self._orbit, line_color="#ffffff", line_width=3.5)
        plot.line("x", "y", source=self._orbit, line_color=_INK, line_width=1.4)
        plot.scatter("x", "y", source=self._orbit, size=6, fill_color=_INK, line_color="#ffffff", line_width=1)

    def cell(self, box: Sequence[float] | None, image: Sequence[float] | None) -> None:
        """Outline a cell and its image box, (left, right, bottom, top) each; None outlines none."""
        for source, ends in zip(self._boxes, (box, image), strict=True):
            source.data = {
                name: [] if ends is None else [ends[at]] for at, name in enumerate(("left", "right", "bottom", "top"))
            }
        self._ring.data = {
            "x": [] if box is None else [(box[0] + box[1]) / 2], "y": [] if box is None else [(box[2] + box[3]) / 2]
        }  # fmt: skip

    def reach(self, mask: np.ndarray | None, place: Sequence[float] = (0, 0, 1, 1)) -> None:
        """Veil the pixels of (h, w) bool that are False; ``place`` is x, y, width, height. None lifts the veil."""
        if mask is None:
            self._veil.data = {name: [] for name in self._veil.data}
            return
        table = palettes.to_rgba([_VEIL, "#ffffff00"]).view(np.uint32)[:, 0]
        pixels = np.ascontiguousarray(table[np.asarray(mask).astype(np.intp)])
        self._veil.data = {"image": [pixels]} | {
            name: [float(at)] for name, at in zip(("x", "y", "dw", "dh"), place, strict=True)
        }

    def orbit(self, points: Float[np.ndarray, "S 2"] | None) -> None:
        """Points joined by a line; None draws none."""
        points = np.empty((0, 2)) if points is None else np.asarray(points, dtype=float)
        self._orbit.data = {"x": points[:, 0], "y": points[:, 1]}


class LineGraph:
    """The graph of a map on a line in one plot, as the boxes that its cells are sent to, and the diagonal."""

    def __init__(self, plot: figure) -> None:
        self.boxes = ColumnDataSource({name: [] for name in ("left", "right", "bottom", "top")})
        self._diagonal = ColumnDataSource({"x": [], "y": []})
        for colour, width in (("#ffffff", 4), (_INK, 1)):  # a white edge, for the ground is dark where Morse sets lie
            plot.quad(
                "left", "right", "bottom", "top", source=self.boxes, fill_color=colour, line_color=colour,
                line_width=width,
            )  # fmt: skip
        plot.line("x", "y", source=self._diagonal, line_color="#ffffff", line_width=2.4)
        plot.line("x", "y", source=self._diagonal, line_color="#606060", line_dash=[5, 4], line_width=1.2)

    def draw(self, places: PlanePlaces | None) -> None:
        """Draw both; nothing where there is no line."""
        columns: dict[str, Any] = {name: [] for name in self.boxes.data}
        diagonal: list[float] = []
        if places is not None and places.is_line:
            images = places.raster.retraction.decomposition.images
            columns = columns if images is None else graph_boxes(images)
            diagonal = list(places.home[:2])
        self.boxes.data, self._diagonal.data = columns, {"x": diagonal, "y": diagonal}


class SetNumbers:
    """The number of each node at its Morse set; sets of single cells would be overlooked otherwise."""

    def __init__(self, plot: figure) -> None:
        self._source = ColumnDataSource({"x": [], "y": [], "name": []})
        for colour, width in (("#ffffff", 3), (None, 0)):  # white behind: read on any colour
            plot.text(
                "x", "y", "name", source=self._source, text_color="#101010", text_outline_color=colour,
                text_outline_width=width, text_font_size="12px", text_font_style="bold", text_align="center",
                text_baseline="bottom", y_offset=-3,
            )  # fmt: skip

    def draw(self, places: PlanePlaces | None) -> None:
        """Write the numbers of a plane, or none."""
        self._source.data = {name: [] for name in self._source.data} if places is None else places.numbers()
