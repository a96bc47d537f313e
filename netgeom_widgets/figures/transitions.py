"""The picture of a training run's transitions: heat map, curves, and panels for what a cell or a sample stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from bokeh.models import Column, LayoutDOM
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import wrapping_row
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.transition_classes import ClassesPart
from netgeom_widgets.figures.transition_curves import CurvesPart, RecurrencePart
from netgeom_widgets.figures.transition_matrix import MatrixPart
from netgeom_widgets.figures.transition_neighbours import NeighboursPart
from netgeom_widgets.figures.transition_plot import StepAxis
from netgeom_widgets.figures.transition_samples import ProjectionPart, SamplesPart

Panel = Literal["samples", "classes", "projection", "recurrence"]
PANELS: tuple[Panel, ...] = ("samples", "classes", "projection", "recurrence")
"""What the upper slot on the right can show."""

#: Side borders of matrix and curves, wide enough for a colour bar or a second axis, so that their frames line up.
_LEFT, _RIGHT = 74, 86
#: Pixels of the left column at most, where the matrix is square, and of either column at least.
_LEFT_WIDTH, _LEAST_WIDTH = 520, 340
_CURVES = 160


class TransitionFigure:
    """All parts of the heat map widget in one Bokeh root; each part is drawn, and left out, on its own.

    Parameters
    ----------
    sprites : SpriteSheet, optional
        Thumbnails; the browser gets them once.
    texts : mapping of sample id to str, optional
        The user's words for the hover boxes.
    height : int
        Pixels of either column.

    Attributes
    ----------
    root : bokeh.models.Row
    matrix, curves, samples, classes, projection, recurrence, neighbours
        The parts.
    panel : str
        Which of `PANELS` the upper slot shows.
    """

    def __init__(
        self, *, sprites: SpriteSheet | None = None, texts: Mapping[int, str] | None = None, height: int = 600
    ) -> None:
        marks = SpriteMarks(sprites) if sprites is not None else None
        half = height // 2 - 5
        axis = StepAxis()
        self.matrix = MatrixPart(axis, height - _CURVES)
        self.curves = CurvesPart(axis, _CURVES)
        self.samples = SamplesPart(half, sprites=marks, texts=texts)
        self.projection = ProjectionPart(half, sprites=marks, texts=texts)
        self.classes, self.recurrence = ClassesPart(half), RecurrencePart(half)
        self.neighbours = NeighboursPart(half, sprites=marks, texts=texts)
        for part in (self.matrix, self.curves):
            part.root.update(min_border_left=_LEFT, min_border_right=_RIGHT)
        self._slots: dict[Panel, Any] = {
            "samples": self.samples, "classes": self.classes, "projection": self.projection,
            "recurrence": self.recurrence,
        }  # fmt: skip
        sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": _LEAST_WIDTH}
        left = Column(self.matrix.root, self.curves.root, max_width=_LEFT_WIDTH, spacing=0, **sizes)
        right = Column(*(part.root for part in self._slots.values()), self.neighbours.root, spacing=6, **sizes)
        self.root = wrapping_row(left, right, spacing=8)
        self.show("samples")

    def show(self, panel: Panel) -> None:
        """Put one of the panels into the upper slot."""
        if panel not in self._slots:
            raise NetgeomError("There is no such panel.", expected=", ".join(PANELS), got=repr(panel))
        self.panel = panel
        for name, part in self._slots.items():
            if part.root.visible != (name == panel):
                part.root.visible = name == panel


def heat_map(
    values: Float[np.ndarray, "M M"],
    steps: Int[np.ndarray, " T"],
    *,
    name: str = "transition distance",
    unit: str = "",
    similarity: bool = False,
    churn: Float[np.ndarray, " T-1"] | None = None,
    metrics: Mapping[str, Any] | None = None,
    note: str = "",
    height: int = 600,
) -> LayoutDOM:
    """A heat map by itself, for scripts: to be saved as HTML, PNG or SVG, or shown with ``bokeh.io.show``.

    Parameters
    ----------
    values : (M, M) float
        A matrix of `netgeom_widgets.kernels.transitions`: of transitions (M = T - 1) or of snapshots (M = T).
    steps : (T,) int
        Step numbers of the snapshots.
    name, unit, similarity, note
        As for `MatrixPart.draw`.
    churn, metrics
        As for `CurvesPart.draw`; without both there are no curves.

    Returns
    -------
    bokeh.models.Column

    Raises
    ------
    NetgeomError
        Where the numbers of rows and of steps do not belong together.

    Examples
    --------
    >>> heat = heat_map(transition_distance(neighbours), recording.steps)  # doctest: +SKIP
    >>> Path("run.html").write_text(to_html(heat))  # doctest: +SKIP
    """
    axis, steps = StepAxis(), np.asarray(steps)
    matrix = MatrixPart(axis, height - _CURVES)
    matrix.draw(
        values, steps, name=name, unit=unit, of_transitions=len(values) == len(steps) - 1, similarity=similarity,
        note=note,
    )  # fmt: skip
    parts = [matrix.root]
    if churn is not None or metrics:
        curves = CurvesPart(axis, _CURVES)
        curves.draw(steps, churn, metrics or {})
        parts.append(curves.root)
    for plot in parts:
        plot.update(min_border_left=_LEFT, min_border_right=_RIGHT)
    return Column(*parts, sizing_mode="stretch_width", max_width=_LEFT_WIDTH)
