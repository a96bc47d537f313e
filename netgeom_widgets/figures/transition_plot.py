"""The axis of snapshots that the plots of a training run share, and how snapshots and transitions are called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from bokeh.models import BasicTicker, NoOverlap, Range1d, Span
from bokeh.plotting import figure

from netgeom_widgets.figures.plots import fit_range, name_ticks
from netgeom_widgets.figures.theme import GRID

ARROW = "\N{RIGHTWARDS ARROW}"
#: More snapshots than this do not get a tick and a grid line each.
_TICKS = 12


def step_names(steps: Sequence[int] | np.ndarray) -> list[str]:
    """Snapshots by their step numbers, in thousands (k) where all are whole and long."""
    numbers = [int(step) for step in np.asarray(steps).tolist()]
    if max(numbers, default=0) >= 10_000 and all(step % 1000 == 0 for step in numbers):
        return [f"{step // 1000}k" if step else "0" for step in numbers]
    return [str(step) for step in numbers]


def transition_names(steps: Sequence[int] | np.ndarray) -> list[str]:
    """Transitions by the steps they lead from and to."""
    names = step_names(steps)
    return [f"{before}{ARROW}{after}" for before, after in pairwise(names)]


def name_snapshots(plot: figure, names: Sequence[str]) -> None:
    """Ticks and grid at snapshots 0, 1, ...: all of a few, else about ten of those in view, also where zoomed in."""
    axis, n = plot.xaxis[0], len(names)
    if n <= _TICKS:
        axis.bounds = "auto"
        name_ticks(axis, range(n), names)
    else:
        if getattr(axis.ticker, "min_interval", 0) != 1:
            ticker = BasicTicker(desired_num_ticks=_TICKS - 3, min_interval=1, num_minor_ticks=0)
            axis.update(ticker=ticker, major_label_policy=NoOverlap(min_distance=6))
        # no ticks beyond the snapshots, where numbers would be places and not steps
        axis.update(bounds=(0, n - 1), major_label_overrides={float(at): name for at, name in enumerate(names)})
    plot.xgrid[0].bounds = axis.bounds


class StepLine:
    """A dashed line at one snapshot of a plot, and its step in the label of the axis."""

    def __init__(self, plot: figure) -> None:
        self._plot = plot
        self.span = Span(
            location=0, dimension="height", line_color=GRID, line_width=2, line_dash="dashed", visible=False
        )
        plot.add_layout(self.span)

    def move(self, place: int | None, step: str) -> None:
        """Put it at a snapshot whose step is called so; None hides it."""
        there = place is not None
        self.span.update(location=float(place or 0), visible=there)
        self._plot.xaxis.axis_label = f"step (dashed line: {step})" if there else "step"


class StepAxis:
    """The horizontal axis that the matrix and the curves share, in units of snapshots.

    Snapshot t lies at t. A transition a from snapshot a to a + 1 fills a..a + 1, a snapshot t the interval
    t - 1/2..t + 1/2, so that the cells of either kind of matrix stand over the points of the curves.
    """

    def __init__(self) -> None:
        self.range = Range1d(0, 1, reset_start=0, reset_end=1)
        self.of_transitions = True
        self.steps = np.arange(2)

    def set(self, steps: np.ndarray, of_transitions: bool | None = None) -> bool:
        """Steps of the snapshots, and which of them or of their transitions are cells; whether anything changed."""
        self.of_transitions = self.of_transitions if of_transitions is None else of_transitions
        changed = not np.array_equal(steps, self.steps)
        self.steps = np.asarray(steps)
        return fit_range(self.range, self.first, self.first + self.cells) or changed

    @property
    def cells(self) -> int:
        """Columns of the matrix; one where there is none yet."""
        return max(1, len(self.steps) - 1) if self.of_transitions else len(self.steps)

    @property
    def first(self) -> float:
        """Where the first cell begins."""
        return 0.0 if self.of_transitions and len(self.steps) > 1 else -0.5

    def nearest(self, x: float | None) -> int | None:
        """Index of the snapshot nearest to a place on the axis; None where there is none."""
        if x is None or not len(self.steps):
            return None
        return int(np.clip(np.floor(x + 0.5), 0, len(self.steps) - 1))

    def nearest_step(self, x: float | None) -> int | None:
        """Step number of the snapshot nearest to a place on the axis; None where there is none."""
        at = self.nearest(x)
        return None if at is None else int(self.steps[at])

    def place(self, step: int | None) -> int | None:
        """Index of the snapshot of a step; None where there is none."""
        steps = self.steps.tolist()
        return steps.index(step) if step in steps else None

    @property
    def names(self) -> list[str]:
        """A name for each cell."""
        return transition_names(self.steps) if self.of_transitions else step_names(self.steps)
