"""The heat map: distances or similarities between all transitions, or all snapshots, of a training run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import (
    ColumnDataSource,
    CustomJSHover,
    HoverTool,
    LinearColorMapper,
    Range1d,
)
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    add_caption,
    add_colour_bar,
    fit_range,
    limits,
    make_plot,
    name_ticks,
    number,
    say,
)
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import PICKED
from netgeom_widgets.figures.transition_plot import StepAxis

_NAME_OF = """
const cell = Math.floor(value - home.reset_start)
return names.data.name[cell] ?? "outside"
"""
_NAME_OF_ROW = _NAME_OF.replace("reset_start", "reset_end")  # the vertical axis points down


class MatrixPart:
    """The heat map itself; ``root`` is its plot.

    Parameters
    ----------
    axis : StepAxis
        Horizontal axis, shared with the curves below.
    height : int
        Pixels.
    """

    def __init__(self, axis: StepAxis, height: int = 430, **options: Any) -> None:
        self.axis = axis
        self.cell: tuple[int, int] | None = None
        self._rows = Range1d(1, 0, reset_start=1, reset_end=0)
        self._note = ""
        self._values = np.empty((0, 0))
        self.root = make_plot(height, x_range=axis.range, y_range=self._rows, **options)
        self.root.grid.visible = False
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=0, high=1, nan_color=palettes.MISSING)
        self._image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        image = self.root.image("image", "x", "y", "dw", "dh", source=self._image, color_mapper=self._mapper)
        self._names = ColumnDataSource({"name": []})
        self._hover = HoverTool(renderers=[image], tooltips=None, formatters=self._formatters())
        self.root.add_tools(self._hover)
        self._pins = [ColumnDataSource({"x": [], "y": []}) for _ in range(2)]
        for source, look in zip(self._pins[::-1], ({"line_dash": [4, 3]}, {}), strict=True):
            at = {"source": source, "width": 1, "height": 1, "fill_color": None, "line_join": "round"}
            self.root.rect("x", "y", line_color="#ffffff", line_width=4.5, **at)
            self.root.rect("x", "y", line_color=PICKED, line_width=2.5, **at, **look)
        self._bar = add_colour_bar(self.root, self._mapper)
        self._caption = add_caption(self.root)

    def draw(
        self,
        values: Float[np.ndarray, "M M"],
        steps: Int[np.ndarray, " T"],
        *,
        name: str,
        unit: str = "",
        of_transitions: bool,
        similarity: bool = False,
        note: str = "",
    ) -> None:
        """Show a matrix.

        Parameters
        ----------
        values : (M, M) float
            M = T - 1 transitions or M = T snapshots; row 0 is drawn on top. NaN is drawn grey.
        steps : (T,) int
            Step numbers of the snapshots.
        name, unit : str
            What the values are, for title, colour bar and hover.
        of_transitions : bool
            Whether a row is a transition, else a snapshot.
        similarity : bool
            Whether high values mean alike; the palette is turned then, so that dark always means alike.
        note : str
            Said below the picture.
        """
        values = np.asarray(values, dtype=float)
        wanted = len(steps) - 1 if of_transitions else len(steps)
        if values.shape != (wanted, wanted):
            raise NetgeomError(
                "The matrix does not belong to these steps.",
                expected=f"shape ({wanted}, {wanted}) for {len(steps)} snapshots",
                got=f"shape {values.shape}",
            )
        self._values, self._note = values, note
        self.axis.set(np.asarray(steps), of_transitions)
        fit_range(self._rows, self.axis.first, self.axis.first + self.axis.cells, flipped=True)
        self._label(name, unit)
        start, size = [self.axis.first], [float(wanted)]
        fits = not wanted or np.abs(values[np.isfinite(values)]).max(initial=0) < np.finfo(np.float32).max
        shown = [values.astype(np.float32) if fits else values] if wanted else []
        ends = (start, start, size, size) if wanted else ([], [], [], [])
        self._image.data = dict(zip(("image", "x", "y", "dw", "dh"), (shown, *ends), strict=True))
        low, high = limits(values)
        palette = palettes.VIRIDIS[::-1] if similarity else palettes.VIRIDIS
        self._mapper.update(palette=list(palette), low=low, high=high)
        self._bar.visible = bool(np.isfinite(values).any())
        self.pin(self.cell)

    def pin(self, cell: tuple[int, int] | None) -> None:
        """Outline a cell (row, column), and its mirror dashed; None outlines nothing."""
        self.cell = cell
        m = len(self._values)
        shown = cell is not None and all(0 <= at < m for at in cell)
        for source, turn in zip(self._pins, (1, -1), strict=True):
            row, column = (cell or (0, 0))[::turn]
            here = shown and (turn == 1 or row != column)
            middle = self.axis.first + 0.5
            wanted = {"x": [column + middle] if here else [], "y": [row + middle] if here else []}
            if dict(source.data) != wanted:
                source.data = wanted
        say(self._caption, self._pinned_words() if shown else "", *self._remarks(), self._note, width=64)

    def on_cell(self, act: Callable[[int, int], None]) -> None:
        """Call with row and column when the user taps a cell."""
        on_tap(self.root, self._cell_at, lambda cell: act(*cell))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _label(self, name: str, unit: str) -> None:
        names, kind = self.axis.names, "transition" if self.axis.of_transitions else "snapshot"
        places = self.axis.first + 0.5 + np.arange(len(names))
        self.root.title.text = name[:1].upper() + name[1:]
        for axis in (self.root.xaxis[0], self.root.yaxis[0]):
            name_ticks(axis, places, names)
            axis.axis_label = f"{kind} (from step to step)" if self.axis.of_transitions else f"{kind} (step)"
        self._names.data = {"name": names}
        self._hover.tooltips = [(f"{kind}s", "$y{row} and $x{column}"), (name, "@image{%.4g}")]
        of = f"{name}, {unit}" if unit else name
        self._bar.title = f"{of} (dark: alike)"

    def _formatters(self) -> dict[str, Any]:
        args = {"names": self._names}
        return {
            "$x": CustomJSHover(args={**args, "home": self.axis.range}, code=_NAME_OF),
            "$y": CustomJSHover(args={**args, "home": self._rows}, code=_NAME_OF_ROW),
            "@image": "printf",
        }

    def _pinned_words(self) -> str:
        row, column = self.cell or (0, 0)
        names, value = self.axis.names, self._values[row, column]
        said = number(value) if math.isfinite(value) else "no value"
        return f"Pinned: {names[row]} and {names[column]}: {said}."

    def _remarks(self) -> list[str]:
        """What a reader could take for a fault of the picture."""
        values = self._values
        if not values.size:
            return ["There is no transition yet: the first comes with the second snapshot."]
        if len(values) == 1:
            kind = "transition" if self.axis.of_transitions else "snapshot"
            return [f"There is only one {kind}, and nothing to compare it with yet."]
        finite = values[np.isfinite(values)]
        if not finite.size:
            return ["No cell has a value."]
        words = ["Grey: no value."] if finite.size < values.size else []
        if float(finite.min()) == float(finite.max()):
            words.append(f"All values are equal: {number(float(finite.min()))}.")
        return words

    def _cell_at(self, event: Tap) -> tuple[int, int] | None:
        if event.x is None or event.y is None:
            return None
        row, column = (math.floor(at - self.axis.first) for at in (event.y, event.x))
        m = len(self._values)
        return (row, column) if 0 <= row < m and 0 <= column < m else None
