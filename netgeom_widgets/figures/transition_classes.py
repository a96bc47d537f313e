"""From which class to which class predictions went between two snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper, Range1d
from jaxtyping import Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    SMALL,
    add_caption,
    add_colour_bar,
    fit_range,
    literal,
    make_plot,
    name_ticks,
    say,
)
from netgeom_widgets.figures.transition_plot import ARROW

#: Counts are written into the cells up to this many classes.
WRITTEN = 12
_PALETTE = palettes.VIRIDIS[60:]  # the darkest end would vanish on dark ground
_STAYED = palettes.MISSING
_FROM_TO = """
const row = Math.floor(special_vars.y), column = Math.floor(special_vars.x)
const [before, after] = [names.data.name[row], names.data.name[column]]
if (before == null || after == null) return "outside"
const n = counts.data.count[row * names.data.name.length + column]
return `${before} ARROW ${after}: ${n} ${n == 1 ? "sample" : "samples"}`
""".replace("ARROW", ARROW)


class ClassesPart:
    """The class transition matrix; ``root`` is its plot."""

    def __init__(self, height: int = 290) -> None:
        self._rows = Range1d(1, 0, reset_start=1, reset_end=0)
        self._columns = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(height, x_range=self._columns, y_range=self._rows)
        self.root.grid.visible = False
        self._mapper = LinearColorMapper(
            palette=list(_PALETTE), low=0.5, high=1.5, low_color="rgba(0, 0, 0, 0)", nan_color=_STAYED
        )
        self._image = ColumnDataSource({"image": [], "size": []})
        cells = self.root.image("image", x=0, y=0, dw="size", dh="size", source=self._image, color_mapper=self._mapper)
        self._texts = ColumnDataSource({"x": [], "y": [], "text": [], "colour": []})
        self.root.text(
            "x", "y", "text", source=self._texts, text_color="colour", text_font_size=SMALL, text_align="center",
            text_baseline="middle",
        )  # fmt: skip
        self._names, self._counts = ColumnDataSource({"name": []}), ColumnDataSource({"count": []})
        words = CustomJSHover(args={"names": self._names, "counts": self._counts}, code=_FROM_TO)
        self.root.add_tools(HoverTool(renderers=[cells], tooltips=[("", "$x{words}")], formatters={"$x": words}))
        ticker = BasicTicker(desired_num_ticks=5, min_interval=1)
        self._bar = add_colour_bar(self.root, self._mapper, ticker=ticker, width=12, title="samples that changed")
        self._caption = add_caption(self.root)

    def draw(
        self,
        counts: Int[np.ndarray, "C C"],
        *,
        steps: tuple[int, int],
        names: Sequence[Any] | None = None,
        note: str = "",
    ) -> None:
        """Show counts.

        Parameters
        ----------
        counts : (C, C) int
            ``counts[c, d]``: samples predicted as class c at the earlier and as d at the later snapshot.
        steps : (int, int)
            Steps of the two snapshots.
        names : sequence, optional
            Class names; 0..C-1 by default.
        """
        counts = np.asarray(counts)
        n = len(counts)
        if counts.ndim != 2 or counts.shape != (n, n) or n < 1 or (names is not None and len(names) != n):
            raise NetgeomError(
                "These are no counts of class transitions.",
                expected="(C, C) counts and C names",
                got=f"shape {counts.shape}" + ("" if names is None else f", {len(names)} names"),
            )
        shown = [literal(name) for name in (range(n) if names is None else names)]
        fit_range(self._columns, 0, n)
        fit_range(self._rows, 0, n, flipped=True)
        stayed = np.eye(n, dtype=bool)
        moved = np.where(stayed, 0, counts)
        most = int(moved.max())
        self._mapper.high = max(1.5, float(most))
        self._bar.visible = most > 0
        self._image.data = {"image": [np.where(stayed, np.nan, counts).astype(np.float32)], "size": [float(n)]}
        self._names.data, self._counts.data = {"name": shown}, {"count": counts.ravel()}
        self._texts.data = self._written(counts, stayed) if n <= WRITTEN else _empty(self._texts)
        first, last = (f"step {int(step)}" for step in steps)
        for axis, words in ((self.root.yaxis[0], f"class at {first}"), (self.root.xaxis[0], f"class at {last}")):
            name_ticks(axis, np.arange(n) + 0.5, shown)
            axis.axis_label = words
        changes, total = int(moved.sum()), int(counts.sum())
        self.root.title.text = f"Class changes from {first} to {last}: {changes:,} of {total:,}"
        quiet = "No sample changed its class." if not changes else ""
        say(self._caption, f"Grey diagonal: {total - changes:,} stayed in their class.", quiet, note)

    def explain(self, text: str) -> None:
        """Show no counts, but why there are none."""
        for source in (self._image, self._texts, self._names, self._counts):
            source.data = _empty(source)
        self._bar.visible = False
        for axis in self.root.axis:
            name_ticks(axis, [], [])
            axis.axis_label = ""
        self.root.title.text = "Class changes"
        say(self._caption, text)

    def _written(self, counts: np.ndarray, stayed: np.ndarray) -> dict[str, Any]:
        """Counts above zero in the middle of their cells, dark on light colours and light on dark ones."""
        rows, columns = np.nonzero(counts)
        fills = palettes.to_rgba([*_PALETTE, _STAYED]).astype(float)
        at = palettes.palette_index(counts[rows, columns], len(_PALETTE), 0.5, self._mapper.high)
        at[stayed[rows, columns]] = len(_PALETTE)
        light = fills[at, :3] @ [0.299, 0.587, 0.114] > 105
        return {
            "x": columns + 0.5,
            "y": rows + 0.5,
            "text": [f"{count}" for count in counts[rows, columns].tolist()],
            "colour": np.where(light, "#000000", "#ffffff").tolist(),
        }


def _empty(source: ColumnDataSource) -> dict[str, Any]:
    return {name: [] for name in source.data}
