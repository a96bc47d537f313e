"""How far the layers of a network agree on which inputs are alike: CKA of their matrices, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d
from jaxtyping import Float

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    add_caption,
    add_colour_bar,
    fit_range,
    literal,
    make_plot,
    name_ticks,
    say,
)
from netgeom_widgets.figures.taps import on_tap

#: Pixels of a cell of the heat map, and its height at most.
_CELL, _HIGHEST = 34, 460
#: Longer names of layers are cut: their axis would take the plot.
_LETTERS = 20
#: Layers whose share is said.
_LISTED = 8


class LayersFigure:
    """CKA of every layer with every layer; ``root`` is the plot."""

    def __init__(self) -> None:
        self._range = {"x_range": Range1d(0, 1), "y_range": Range1d(1, 0)}
        self.root = make_plot(300, tools=["reset"], title="Agreement of the layers", max_width=720, **self._range)
        self.root.grid.visible = False
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=0, high=1, nan_color=palettes.MISSING)
        self._cells = ColumnDataSource({name: [] for name in ("x", "y", "cka", "row", "column")})
        cells = self.root.rect(
            "x", "y", 1, 1, source=self._cells, line_color=None, fill_color={"field": "cka", "transform": self._mapper}
        )
        tips = [("layers", "@row and @column"), ("CKA", "@cka{%.4g}")]
        self.root.add_tools(HoverTool(renderers=[cells], tooltips=tips, formatters={"@cka": "printf"}))
        add_colour_bar(self.root, self._mapper, title="CKA (1 alike)", margin=30, padding=10)
        self._caption = add_caption(self.root)
        self._count = 0

    def draw(self, cka: Float[np.ndarray, "L L"], names: Sequence[str], shares: Float[np.ndarray, " L"]) -> None:
        """Show L layers.

        Parameters
        ----------
        cka : (L, L) float
            NaN is drawn grey.
        names : sequence of L str
            Dotted names of the layers, first to last.
        shares : (L,) float
            Mean share of each in k(x, x); they sum to 1.
        """
        self._count = n = len(names)
        shown = [literal(name if len(name) <= _LETTERS else f"…{name[1 - _LETTERS :]}") for name in names]
        for side, axis in (("x_range", self.root.xaxis[0]), ("y_range", self.root.yaxis[0])):
            fit_range(self._range[side], 0.0, float(n), flipped=side == "y_range")
            name_ticks(axis, np.arange(n) + 0.5, shown)
            axis.axis_label = "layer"
        self.root.xaxis[0].major_label_orientation = math.pi / 4 if max(map(len, shown), default=0) > 4 else 0
        self.root.height = int(min(_HIGHEST, 150 + _CELL * n))
        rows, columns = np.divmod(np.arange(n * n), n) if n else (np.empty(0, int),) * 2
        self._cells.data = {
            "x": columns + 0.5,
            "y": rows + 0.5,
            "cka": np.asarray(cka, dtype=float).ravel(),
            "row": [names[i] for i in rows.tolist()],
            "column": [names[i] for i in columns.tolist()],
        }
        finite = np.asarray(cka)[np.isfinite(cka)]
        self._mapper.update(low=min(0.0, float(finite.min(initial=0))), high=1.0)
        largest = np.argsort(-np.asarray(shares), kind="stable")[:_LISTED].tolist()
        said = ", ".join(f"{shown[i]} {100 * float(shares[i]):.3g} %" for i in largest)
        say(
            self._caption,
            "CKA (biased) of the parts that the layers contribute to the matrix.",
            f"Share of k(x, x), mean, the largest first: {said}.",
            "Grey: undefined, the part is constant." if finite.size < np.size(cka) else "",
            width=52,
        )

    def on_cell(self, act: Callable[[int, int], None]) -> None:
        """Call with the places of the two layers whose cell the user taps."""
        on_tap(self.root, self._cell_at, lambda cell: act(*cell))

    def _cell_at(self, event: Tap) -> tuple[int, int] | None:
        if event.x is None or event.y is None:
            return None
        row, column = math.floor(event.y), math.floor(event.x)
        return (row, column) if 0 <= row < self._count and 0 <= column < self._count else None
