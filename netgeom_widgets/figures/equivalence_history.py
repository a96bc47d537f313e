"""How the loss of every start fell: log10 R against the iteration, with what became of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Span
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_marks import STATUSES, status_look, status_name
from netgeom_widgets.figures.equivalence_scale import log_loss
from netgeom_widgets.figures.plots import KeyLegend, add_caption, fit_range, limits, literal, make_plot, number, say
from netgeom_widgets.figures.taps import nearest_id, on_tap
from netgeom_widgets.figures.theme import GRID, PICKED

#: Dash of the lines of each status: none is told by its colour alone.
_DASHES = {"converged": "solid", "local_minimum": "dashed", "dead": "dotted", "diverged": "dashdot"}
#: More lines than this are thinner and fainter.
_CROWD = 60
#: Colour of the line of the function that is zero everywhere.
_ZERO = "#9A6FB8"
#: A member's R is at most 1e-20 and may be 0: far below what the colours of a slice tell apart.
_FLOOR = 1e-32
_LINES, _ENDS = ("xs", "ys", "colour", "dash", "id", "status", "loss"), ("x", "y", "colour", "marker", "id")


class HistoryPicture:
    """Histories of a search; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels.
    """

    def __init__(self, height: int = 280, **options: Any) -> None:
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "histories"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, title="Loss of every start", **options)
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = "iteration", "log10 R"
        self._lines, self._bold = (ColumnDataSource({name: [] for name in _LINES}) for _ in range(2))
        self._ends = ColumnDataSource({name: [] for name in _ENDS})
        self._spans = [
            Span(location=0, dimension="width", line_color=colour, line_width=1.6, line_dash=dash, visible=False)
            for colour, dash in ((PICKED, [6, 3]), (_ZERO, [2, 2]), (GRID, []))
        ]  # tolerance, zero function, constant
        for span in self._spans:
            self.root.add_layout(span)
        self._drawn = self.root.multi_line(
            "xs", "ys", source=self._lines, line_color="colour", line_dash="dash", line_width=1.6
        )
        self._drawn.nonselection_glyph = self._drawn.selection_glyph = self._drawn.glyph
        for colour, width in (("#ffffff", 6.0), (PICKED, 3.2)):
            self.root.multi_line("xs", "ys", source=self._bold, line_color=colour, line_width=width)
        ends = self.root.scatter(
            "x", "y", source=self._ends, marker="marker", size=8, fill_color="colour", line_color="#101010",
            line_width=0.8,
        )  # fmt: skip
        ends.nonselection_glyph = ends.selection_glyph = ends.glyph
        tips = [("element", "@id"), ("status", "@status"), ("R at the end", "@loss")]
        self.root.add_tools(HoverTool(renderers=[self._drawn], tooltips=tips, line_policy="nearest", limit=4))
        self._legend = KeyLegend(self.root, "below", width=430, room=len(STATUSES) + len(self._spans))
        self._caption = add_caption(self.root)
        self._picked: int | None = None

    def show(self, elements: Any, *, tolerance: float | None = None, note: str = "") -> None:
        """Show the histories of a search.

        Parameters
        ----------
        elements : Elements
            Or what has its ``history``, ``history_iterations``, ``status``, ``relative_loss``, ``zero_loss`` and
            ``variance``.
        tolerance : float, optional
            R up to which a start is a member; by default that of the search.
        note : str
            Said below.
        """
        settings = getattr(elements, "settings", None) or {}
        zero = float(elements.zero_loss) / float(elements.variance)
        self.draw(
            elements.history, elements.history_iterations, elements.status, elements.relative_loss,
            tolerance=settings.get("tolerance") if tolerance is None else tolerance, zero=zero, note=note,
        )  # fmt: skip

    def draw(
        self,
        history: Float[np.ndarray, "n T"],
        iterations: Int[np.ndarray, " T"],
        status: Any,
        relative_loss: Float[np.ndarray, " n"],
        *,
        ids: Any = None,
        tolerance: float | None = None,
        zero: float | None = None,
        note: str = "",
    ) -> None:
        """Show histories, such as those of the starts that have been settled so far; the one picked stays so.

        Parameters
        ----------
        history : (n, T) float
            R after so many ``iterations`` (T,); NaN after the end.
        status : sequence of n str
        relative_loss : (n,) float
            R at the end.
        ids : sequence of n int, optional
        tolerance, zero : float, optional
            R of the tolerance and of the function that is zero everywhere.
        note : str
        """
        values, n = log_loss(history, _FLOOR), len(relative_loss)
        if values.shape != (n, len(iterations)) or len(status) != n:
            raise NetgeomError(
                "The histories do not belong together.", expected=f"({n}, {len(iterations)}), {n} statuses",
                got=f"{values.shape}, {len(status)}",
            )  # fmt: skip
        numbers = list(range(n)) if ids is None else [int(one) for one in ids]
        kept = [np.flatnonzero(np.isfinite(row)) for row in values]
        steps, names = np.asarray(iterations, dtype=float), [str(one) for one in status]
        self._lines.data = {
            "xs": [steps[rows] for rows in kept], "ys": [row[rows] for row, rows in zip(values, kept, strict=True)],
            "colour": [status_look(name)[0] for name in names], "dash": [_DASHES.get(name, "dashed") for name in names],
            "id": numbers, "status": [status_name(name) for name in names],
            "loss": [number(float(loss)) for loss in relative_loss],
        }  # fmt: skip
        there = [(at, rows[-1]) for at, rows in enumerate(kept) if len(rows)]
        self._ends.data = {
            "x": [steps[last] for _, last in there], "y": [values[at, last] for at, last in there],
            "colour": [status_look(names[at])[0] for at, _ in there],
            "marker": [status_look(names[at])[1] for at, _ in there], "id": [numbers[at] for at, _ in there],
        }  # fmt: skip
        self._drawn.glyph.update(line_width=1.6 if n <= _CROWD else 0.8, line_alpha=1.0 if n <= _CROWD else 0.5)
        lines = self._place_spans(tolerance, zero)
        fit_range(self._x, 0.0, max((steps[last] for _, last in there), default=1.0) or 1.0, margin=0.02)
        fit_range(self._y, *limits(values, lines), margin=0.05)
        self._legend.set([*_counted(names), *self._signs(zero)])
        unseen = n - len(there)
        say(self._caption, f"{unseen} without a finite value." if unseen else "", literal(note))
        self.pick(self._picked)

    def pick(self, element: int | None) -> None:
        """Draw the line of an element bold, or none."""
        self._picked, data = element, self._lines.data
        rows = [row for row, one in enumerate(data["id"]) if one == element]
        self._bold.data = {name: [data[name][row] for row in rows] for name in _LINES}

    def on_element(self, act: Callable[[int], None]) -> None:
        """Call with the number of an element whose end the user taps."""
        on_tap(self.root, lambda event: nearest_id(self.root, self._ends, event), act)

    def _place_spans(self, tolerance: float | None, zero: float | None) -> list[float]:
        """Lines of tolerance, zero function and constant; their places."""
        places = []
        for span, value in zip(self._spans, (tolerance, zero, 1.0), strict=True):
            span.visible = value is not None and math.isfinite(value) and value > 0
            if span.visible and value is not None:
                span.location = math.log10(value)
                places.append(span.location)
        return places

    def _signs(self, zero: float | None) -> list[tuple[str, str, str]]:
        tolerance, nothing, _ = self._spans
        entries = [("tolerance (dashed)", PICKED, "dash")] if tolerance.visible else []
        if nothing.visible and zero is not None:
            entries.append((f"zero: R = {number(zero)}", _ZERO, "dash"))
        return [*entries, ("constant: R = 1", GRID, "dash")]


def _counted(names: list[str]) -> list[tuple[str, str, str]]:
    """Entries of a legend: each status with how many there are."""
    known = [name if name in STATUSES else "" for name in names]
    return [
        (f"{status_name(status)}: {known.count(status)}", *status_look(status))
        for status in STATUSES
        if status in known
    ]
