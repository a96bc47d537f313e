"""The Morse graph: nodes in layers by height, lines of the Hasse diagram, a picked node with all below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from jaxtyping import Bool, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.layered_layout import layered
from netgeom_widgets.figures.order_retraction_colours import NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_words import share
from netgeom_widgets.figures.plots import add_caption, fit_range, literal, make_plot, say
from netgeom_widgets.figures.taps import nearest_id, on_tap
from netgeom_widgets.figures.theme import GRID, PICKED

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import MorseDecomposition, OrderRetraction

#: Nodes drawn at most; of more the largest.
_MOST, _SUMMARY = 200, 60
#: Pixels of a node at most and at least, of the frame across, and of a letter.
_LARGEST, _LEAST, _FRAME, _LETTER = 34.0, 9.0, 300.0, 6.0
#: Below this size a node has no room for its number inside.
_INSIDE = 15.0
_FADED = 0.18


class MorseGraph:
    """The Hasse diagram of the Morse nodes; ``root`` is its plot.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    shown : (m,) int
        Numbers of the nodes that are drawn: all, or of more than 200 the 60 largest.
    """

    def __init__(self, height: int = 440, **options: Any) -> None:
        self.shown = np.empty(0, dtype=np.int64)
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "reset"), "name": "Morse graph"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.xaxis.visible = False
        self.root.xgrid.visible = False
        self.root.yaxis[0].axis_label = "height: longest chain below"
        self.root.yaxis[0].ticker.min_interval = 1
        self.root.yaxis[0].ticker.desired_num_ticks = 5
        self.root.ygrid[0].ticker = self.root.yaxis[0].ticker
        self._edges = ColumnDataSource({name: [] for name in ("xs", "ys", "alpha")})
        self.root.multi_line("xs", "ys", source=self._edges, line_color=GRID, line_width=1.6, line_alpha="alpha")
        names = ("x", "y", "id", "fill", "size", "alpha", "edge", "edge_width", "name", "ink", "cells", "tile")
        self._nodes = ColumnDataSource({name: [] for name in (*names, "below")})
        circles = self.root.scatter(
            "x", "y", source=self._nodes, marker="circle", size="size", fill_color="fill", fill_alpha="alpha",
            line_color="edge", line_width="edge_width", line_alpha="alpha",
        )  # fmt: skip
        circles.nonselection_glyph = circles.selection_glyph = circles.glyph
        self.root.text(
            "x", "y", "name", source=self._nodes, text_color="ink", text_align="center",
            text_baseline="middle", text_font_size="12px", text_font_style="bold",
        )  # fmt: skip
        self._beside = ColumnDataSource({"x": [], "y": [], "beside": [], "shift": []})
        self.root.text(
            "x", "y", "beside", source=self._beside, text_color=GRID, text_baseline="middle", text_font_size="10px",
            x_offset="shift",
        )  # fmt: skip
        tips = [("node", "@id"), ("cells of its Morse set", "@cells"), ("its tile", "@tile"), ("reaches", "@below")]
        self.root.add_tools(HoverTool(renderers=[circles], tooltips=tips))
        self._empty = ColumnDataSource({"x": [], "y": [], "words": []})
        self.root.text(
            "x", "y", "words", source=self._empty, text_color=GRID, text_align="center", text_baseline="middle",
            text_font_size="14px",
        )  # fmt: skip
        self._caption = add_caption(self.root)
        self._said = ""
        self._notes: list[str] = []
        self._decomposition: MorseDecomposition | None = None
        self._kept: list[tuple[int, int]] = []
        self._inks: list[str] = []
        self._colours: NodeColours | None = None
        self.node: int | None = None

    def show(
        self,
        retraction: OrderRetraction | MorseDecomposition,
        *,
        colours: NodeColours | None = None,
        node: int | None = None,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show a Morse graph.

        Parameters
        ----------
        retraction : OrderRetraction or MorseDecomposition
            The former also says how large the tiles are.
        colours : NodeColours, optional
            By default `node_colours`.
        node : int, optional
            The picked node; see `mark_node`.
        title, note : str, optional
            Above, and said below.
        """
        decomposition = getattr(retraction, "decomposition", retraction)
        tiles = getattr(retraction, "tile_sizes", None)
        colours = node_colours(decomposition) if colours is None else colours
        self._decomposition, self._colours, k = decomposition, colours, int(decomposition.n_nodes)
        if k > _MOST:
            keep = np.sort(np.argsort(-np.asarray(decomposition.sizes), kind="stable")[:_SUMMARY])
            heights, edges = order_of_some(np.asarray(decomposition.leq, dtype=bool), keep)
        else:
            keep, heights, edges = np.arange(k), np.asarray(decomposition.heights), list(decomposition.hasse)
        self.shown = keep
        self._draw(keep, heights, edges, colours, None if tiles is None else np.asarray(tiles))
        counted = f"{k:,} Morse node{'' if k == 1 else 's'}"
        self.root.title.text = literal(title) if title is not None else f"Morse graph, {counted}"
        self._notes = [*self._words(k, retraction), note]
        self.mark_node(node if node is not None and node < k else None)

    def mark_node(self, node: int | None) -> None:
        """Ring a node and fade those that it does not reach; None rings none."""
        leq = np.empty((0, 0), dtype=bool) if self._decomposition is None else np.asarray(self._decomposition.leq)
        if node is not None and not 0 <= node < len(leq):
            raise NetgeomError("There is no such node.", expected=f"0 to {len(leq) - 1}", got=f"{node}")
        self.node = node
        lit = np.ones(len(self.shown), dtype=bool) if node is None else leq[self.shown, node]
        is_node = self.shown == (-1 if node is None else node)
        columns = {
            "alpha": np.where(lit, 1.0, _FADED),
            "edge": [PICKED if one else GRID for one in is_node],
            "edge_width": np.where(is_node, 3.5, 1.0),
            "ink": [ink if on else GRID for ink, on in zip(self._inks, lit.tolist(), strict=True)],
        }
        self._nodes.data = {**self._nodes.data, **columns}
        alpha = [1.0 if lit[upper] and lit[lower] else _FADED for upper, lower in self._kept]
        self._edges.data = {**self._edges.data, "alpha": alpha}
        self._said = ""
        if node is not None:
            n = int(leq[:, node].sum()) - 1
            self._said = f"Ringed: node {node}, which reaches {n} other{'' if n == 1 else 's'}; the rest is faded."
        self._say()

    def say_note(self, note: str) -> None:
        """Say something else in place of the note below."""
        self._notes[-1:] = [note]
        self._say()

    def on_node(self, act: Callable[[int], None]) -> None:
        """Call with the number of a node that the user taps."""
        on_tap(self.root, lambda event: nearest_id(self.root, self._nodes, event), act)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _say(self) -> None:
        say(self._caption, self._said, *self._notes, width=52)

    def _draw(
        self, keep: np.ndarray, heights: np.ndarray, edges: list[tuple[int, int]], colours: NodeColours,
        tiles: np.ndarray | None,
    ) -> None:  # fmt: skip
        """Nodes and lines; ``edges`` are pairs of rows of ``keep``."""
        decomposition = self._decomposition
        places = layered(heights, edges)
        layers = int(heights.max(initial=0)) + 1
        ends = [float(np.abs(line[:, 0]).max()) for line in places.lines] + np.abs(places.x).tolist()
        widest = 2 * max(ends, default=0.0) + 1
        size = float(
            np.clip(min(_FRAME / widest, _LARGEST, (self.root.height or 400) / layers * 0.62), _LEAST, _LARGEST)
        )
        sizes = np.zeros(0, dtype=np.int64) if decomposition is None else np.asarray(decomposition.sizes)[keep]
        n = 0 if decomposition is None else decomposition.n_cells
        leq = np.zeros((0, 0)) if decomposition is None else np.asarray(decomposition.leq)
        fills = [colours.names[node] for node in keep.tolist()]
        self._inks = inks = ["#ffffff" if light < 0.66 else "#101010" for light in colours.strong[keep, 0].tolist()]
        y = heights.astype(float)
        self._nodes.data = {
            "x": places.x, "y": y, "id": keep, "fill": fills, "size": np.full(len(keep), size),
            "alpha": np.ones(len(keep)), "edge": [GRID] * len(keep), "edge_width": np.ones(len(keep)),
            "name": [str(node) if size >= _INSIDE else "" for node in keep.tolist()], "ink": inks,
            "cells": [f"{one:,}" for one in sizes.tolist()],
            "tile": ["not computed" if tiles is None else f"{tiles[one]:,} cells, {share(int(tiles[one]), n)}"
                     for one in keep.tolist()],
            "below": [_listed(np.flatnonzero(leq[:, node]), node) for node in keep.tolist()],
        }  # fmt: skip
        beside = [f"{one:,}" for one in sizes.tolist()]
        roomy = _FRAME / widest >= size + 6 + _LETTER * max(map(len, beside), default=0)
        self._beside.data = {
            "x": places.x if roomy else [], "y": y if roomy else [], "shift": [size / 2 + 4] * (len(keep) * roomy),
            "beside": beside if roomy else [],
        }  # fmt: skip
        self._kept = edges
        self._edges.data = {
            "xs": [line[:, 0] for line in places.lines], "ys": [line[:, 1] for line in places.lines],
            "alpha": np.ones(len(edges)),
        }  # fmt: skip
        fit_range(self._x, -widest / 2 - 0.35, widest / 2 + 0.35)
        fit_range(self._y, -0.6, max(layers - 1, 0) + 0.5)

    def _words(self, k: int, retraction: Any) -> list[str]:
        empty: dict[str, list[Any]] = {"x": [], "y": [], "words": []}
        self.root.yaxis.visible = self.root.ygrid.visible = bool(k)
        if not k and self._decomposition is not None and "kept" in self._decomposition.settings:
            self._empty.data = {"x": [0.0], "y": [0.0], "words": ["All Morse nodes were left out."]}
            return ["Cells recur, but none of the nodes that they make was kept."]
        if not k:
            left = np.asarray(retraction.may_leave)
            sure = share(int(left.sum()), len(left))
            words = f"No recurrent cell:\nthe Morse graph is empty.\n{sure} of the cells leave."
            self._empty.data = {"x": [0.0], "y": [0.0], "words": [words]}
            return ["From every cell all paths end or leave the domain: nothing in it recurs."]
        self._empty.data = empty
        said = ["A line: the upper node reaches the lower one. Beside a node: cells of its Morse set."]
        if len(self.shown) < k:
            said = [f"{k:,} nodes; shown: the {len(self.shown)} with the most cells and the order among them."]
        elif not len(self._beside.data["x"]):
            said = ["A line: the upper node reaches the lower one. Point at a node to read its cells."]
        single = int((np.asarray(self._decomposition.sizes) == 1).sum()) if self._decomposition is not None else 0
        if single:
            said.append(f"{single} of {k} nodes {'is' if single == 1 else 'are'} a single cell, which may be spurious.")
        return said


def order_of_some(
    leq: Bool[np.ndarray, "k k"], keep: Int[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " m"], list[tuple[int, int]]]:
    """Heights and Hasse diagram of some nodes in the order of all; edges: (upper, lower), rows of ``keep``."""
    below = leq[np.ix_(keep, keep)] & ~np.eye(len(keep), dtype=bool)  # [i, j]: i < j
    between = (below.astype(np.float32) @ below.astype(np.float32)) > 0
    edges = [(int(upper), int(lower)) for lower, upper in np.argwhere(below & ~between)]
    heights = np.zeros(len(keep), dtype=np.int64)
    for row in np.argsort(below.sum(axis=0), kind="stable").tolist():  # those with fewer below come first
        under = np.flatnonzero(below[:, row])
        heights[row] = heights[under].max(initial=-1) + 1
    return heights, edges


def _listed(nodes: np.ndarray, itself: int) -> str:
    others = [node for node in nodes.tolist() if node != itself]
    if not others:
        return "no other node: an attractor of the grid"
    more = f" and {len(others) - 10} more" if len(others) > 10 else ""
    return ", ".join(map(str, others[:10])) + more
