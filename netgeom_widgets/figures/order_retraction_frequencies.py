"""How often each Morse graph came up when the map was drawn again: bars with small Hasse diagrams, counts of nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import Column, ColumnDataSource, HoverTool, LayoutDOM, Range1d

from netgeom_widgets.figures.layered_layout import layered
from netgeom_widgets.figures.order_retraction_cell_map import CellMap
from netgeom_widgets.figures.order_retraction_colours import node_colours
from netgeom_widgets.figures.plots import add_caption, fit_range, make_plot, name_ticks, say, wrapping_row
from netgeom_widgets.figures.stairs import StairsPlot
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import GRID, PICKED

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import MorseFrequencies

#: Graphs at most, and nodes of one that is drawn small.
_MOST, _SMALL = 12, 60
#: Pixels of a row, and of what is around the rows.
_ROW, _AROUND = 40, 110
#: Where the small diagrams lie, left of 0 %, and the end of the axis, with room for a number.
_LEFT, _RIGHT, _END = -46.0, -5.0, 122.0
_BAR = "#56B4E9"


class GraphBars:
    """A bar with a small diagram for each Morse graph, the most frequent on top; ``root`` is the plot.

    Attributes
    ----------
    shown : list of int
        Rows of `MorseFrequencies.graphs` from the top.
    """

    def __init__(self) -> None:
        self.shown: list[int] = []
        self._x = Range1d(_LEFT - 3, _END, reset_start=_LEFT - 3, reset_end=_END)
        self._y = Range1d(1, 0, reset_start=1, reset_end=0)
        self.root = make_plot(
            200, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None, title="Morse graphs drawn again"
        )
        self.root.ygrid.visible = False
        self.root.yaxis.visible = False
        name_ticks(self.root.xaxis[0], range(0, 101, 20), [f"{at} %" for at in range(0, 101, 20)])
        self.root.xgrid[0].ticker = self.root.xaxis[0].ticker
        self.root.xaxis[0].axis_label = "share of the samples (line: 95 % interval)"
        names = ("y", "right", "low", "high", "said", "nodes", "count", "edge", "edge_width")
        self._bars = ColumnDataSource({name: [] for name in names})
        bars = self.root.hbar(
            y="y", left=0, right="right", height=0.5, source=self._bars, fill_color=_BAR, line_color="edge",
            line_width="edge_width",
        )  # fmt: skip
        self.root.segment("low", "y", "high", "y", source=self._bars, line_color=GRID, line_width=2)
        self.root.text(
            "high", "y", "said", source=self._bars, text_color=GRID, text_font_size="11px", text_baseline="middle",
            x_offset=6,
        )  # fmt: skip
        self._lines = ColumnDataSource({"xs": [], "ys": []})
        self.root.multi_line("xs", "ys", source=self._lines, line_color=GRID, line_width=1.2)
        self._nodes = ColumnDataSource({name: [] for name in ("x", "y", "fill", "size")})
        self.root.scatter("x", "y", source=self._nodes, size="size", fill_color="fill", line_color=GRID, line_width=0.6)
        self._empty = ColumnDataSource({"x": [], "y": [], "words": []})
        self.root.text(
            "x", "y", "words", source=self._empty, text_color=GRID, text_font_size="11px", text_align="center",
            text_baseline="middle",
        )  # fmt: skip
        tips = [("nodes", "@nodes"), ("samples", "@count"), ("share", "@said")]
        self.root.add_tools(HoverTool(renderers=[bars], tooltips=tips))
        self._caption = add_caption(self.root)

    def show(self, frequencies: MorseFrequencies, *, note: str = "") -> None:
        """Show the graphs; that of the fit to all pairs has a wide outline."""
        graphs = list(frequencies.graphs)
        shown = [at for at, graph in enumerate(graphs) if graph.count][:_MOST]
        fit = int(frequencies.graph_of_fit)
        if fit not in shown:
            shown = [*shown[: _MOST - 1], fit]
        self.shown, n = shown, len(shown)
        listed = [graphs[at] for at in shown]
        self._bars.data = {
            "y": np.arange(n) + 0.5, "right": [100 * graph.share for graph in listed],
            "low": [100 * graph.interval[0] for graph in listed], "high": [100 * graph.interval[1] for graph in listed],
            "said": [f"{100 * graph.share:.3g} %" for graph in listed],
            "nodes": [str(graph.form.n_nodes) for graph in listed],
            "count": [f"{graph.count} of {graph.total}" for graph in listed],
            "edge": [PICKED if at == fit else GRID for at in shown],
            "edge_width": [2.5 if at == fit else 0.6 for at in shown],
        }  # fmt: skip
        self._draw_small([graph.example for graph in listed])
        fit_range(self._y, 0.0, float(n), flipped=True)
        self.root.height = _ROW * n + _AROUND
        total = len(frequencies.graph)
        kinds = " and ".join(dict.fromkeys(frequencies.kinds))
        said = [
            f"{_counted(sum(graph.count > 0 for graph in graphs), 'distinct Morse graph')} in {total} {kinds} samples.",
            f"Outlined: that of the map fitted to all pairs; it came up in {100 * frequencies.share_as_fitted:.3g} %.",
        ]
        if len(shown) < len(graphs):
            said.append(f"Shown: the {len(shown)} most frequent.")
        say(self._caption, *said, note)

    def on_graph(self, act: Callable[[int], None]) -> None:
        """Call with the row of `MorseFrequencies.graphs` of a bar that the user taps."""

        def found(event: Tap) -> int | None:
            inside = event.y is not None and 0 <= event.y < len(self.shown)
            return self.shown[int(event.y)] if inside else None

        on_tap(self.root, found, act)

    def _draw_small(self, examples: Sequence[Any]) -> None:
        lines: list[np.ndarray] = []
        nodes: dict[str, list[Any]] = {"x": [], "y": [], "fill": [], "size": []}
        words: dict[str, list[Any]] = {"x": [], "y": [], "words": []}
        middle = (_LEFT + _RIGHT) / 2
        for row, decomposition in enumerate(examples):
            k = int(decomposition.n_nodes)
            if not k or k > _SMALL:
                said = f"{k} nodes" if k else "empty"
                for name, value in (("x", middle), ("y", row + 0.5), ("words", said)):
                    words[name].append(value)
                continue
            heights = np.asarray(decomposition.heights)
            places = layered(heights, list(decomposition.hasse))
            wide = max((float(np.abs(line[:, 0]).max()) for line in places.lines), default=0.0)
            wide = max(wide, float(np.abs(places.x).max()), 1.0)
            layers = max(int(heights.max()), 1)
            scale = np.array([(_RIGHT - _LEFT) / 2 / wide * 0.9, -0.76 / layers])
            foot = np.array([middle, row + 0.88 if heights.max() else row + 0.5])
            lines += [foot + line * scale for line in places.lines]
            at = foot + np.column_stack([places.x, heights]) * scale
            nodes["x"] += at[:, 0].tolist()
            nodes["y"] += at[:, 1].tolist()
            nodes["fill"] += node_colours(decomposition).names
            nodes["size"] += [float(np.clip(34 / max(layers, wide) ** 0.9, 4, 9))] * k
        self._lines.data = {"xs": [line[:, 0] for line in lines], "ys": [line[:, 1] for line in lines]}
        self._nodes.data, self._empty.data = nodes, words


class FrequenciesFigure:
    """Bars of the graphs, a histogram of node counts, and where cells recur; ``root`` is a Bokeh row.

    Attributes
    ----------
    bars : GraphBars
    counts : StairsPlot
    cells : CellMap
    """

    def __init__(self) -> None:
        self.bars, self.cells = GraphBars(), CellMap(300)
        self.counts = StairsPlot(180, whole=True, what="nodes", letters=48)
        sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": 320}
        right = Column(self.counts.root, self.cells.root, max_width=480, spacing=6, **sizes)
        self.root = wrapping_row(Column(self.bars.root, max_width=560, **sizes), right, spacing=8)

    def show(
        self,
        frequencies: MorseFrequencies,
        *,
        names: Sequence[str] | None = None,
        axes: tuple[int, int] = (0, 1),
        at: Mapping[int, int] | None = None,
        note: str = "",
    ) -> None:
        """Show frequencies; ``names``, ``axes`` and ``at`` are those of the grid, as for `PhasePlane.show`."""
        self.bars.show(frequencies, note=note)
        nodes = np.asarray(frequencies.n_nodes)
        low, high = (int(nodes.min()), int(nodes.max())) if len(nodes) else (0, 0)
        step = max(1, -(-(high - low + 1) // 30))
        edges = np.arange(low, high + step + 1, step) - 0.5
        empty = f"{100 * frequencies.share_empty:.3g} % of the samples have no recurrent cell."
        self.counts.draw(
            edges, {"samples": np.histogram(nodes, edges)[0]}, title="Number of Morse nodes",
            labels=("nodes", "samples"), noun="samples", caption=[empty],
        )  # fmt: skip
        self.cells.show(
            frequencies.grid, frequencies.recurrent, title="How often a cell recurs", quantity="share of the samples",
            names=names, axes=axes, at=at, span=(0.0, 1.0),
        )  # fmt: skip

    def on_graph(self, act: Callable[[int], None]) -> None:
        """Call with the row of `MorseFrequencies.graphs` of a bar that the user taps."""
        self.bars.on_graph(act)


def frequencies_plot(frequencies: MorseFrequencies, *, names: Sequence[str] | None = None, note: str = "") -> LayoutDOM:
    """How often each Morse graph came up, for scripts and notebooks; see `FrequenciesFigure.show`.

    Examples
    --------
    >>> frequencies_plot(morse_frequencies(starts, ends, grid, samples=100))  # doctest: +SKIP
    """
    part = FrequenciesFigure()
    part.show(frequencies, names=names, note=note)
    return part.root


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
