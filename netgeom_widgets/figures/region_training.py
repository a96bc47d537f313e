"""How a partition changes in training: one small plot per number, over the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import BasicTicker, Column, ColumnDataSource, HoverTool, LayoutDOM, Range1d
from jaxtyping import Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import fit_range, limits, make_plot
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.transition_plot import StepAxis, StepLine, name_snapshots, step_names

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition

    #: What is known of a step: numbers by the keys of `MEASURES`; None before it is computed.
    TrainingRow = Mapping[str, float]

#: Marks are smaller from this many steps on.
_MANY = 50
#: Pixels that the step axis takes below the last plot.
_FOOT = 34
_BORDERS = {"min_border_left": 74, "min_border_right": 12}  # so that the frames line up


@dataclass(frozen=True)
class Measure:
    """A number of a whole partition: its key in a row, its name, its units with an orthonormal plane and without."""

    key: str
    name: str
    units: tuple[str, str]


MEASURES = (
    Measure("regions", "Regions, exact", ("regions", "regions")),
    Measure("mean_area", "Mean area of a region, exact", ("input units²", "(s, t) units²")),
    Measure("boundary_length", "Length of the decision boundary, exact", ("input units", "(s, t) units")),
    Measure("local_complexity", "Local complexity, sampled", ("units per point", "units per point")),
)
"""What `curves` shows, from top to bottom."""


def training_row(partition: Partition, *, local_complexity: float | None = None) -> dict[str, float]:
    """The numbers of one step for `curves`: region count, mean area, length of the decision boundary.

    Parameters
    ----------
    partition : Partition
        Of the network at that step, complete.
    local_complexity : float, optional
        Mean of ``kernels.regions.local_complexity`` over points of your choice.
    """
    row = {
        "regions": float(partition.n_regions),
        "mean_area": float(np.mean(partition.areas)),
        "boundary_length": float(partition.decision_boundary().length),
    }
    return row if local_complexity is None else {**row, "local_complexity": float(local_complexity)}


class _MeasurePlot:
    """One line with marks over the shared axis of steps."""

    def __init__(self, axis: StepAxis, height: int) -> None:
        self._height = height
        self._y = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(
            height,
            x_range=axis.range,
            y_range=self._y,
            tools=[],
            toolbar_location=None,
            visible=False,
        )
        self.root.update(**_BORDERS)
        self.root.yaxis[0].ticker = self.root.ygrid[0].ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
        self._source = ColumnDataSource({"x": [], "y": [], "step": []})
        self.root.line("x", "y", source=self._source, line_color=palettes.OKABE_ITO[0], line_width=2)
        self._dots = self.root.scatter("x", "y", source=self._source, size=6, color=palettes.OKABE_ITO[0])
        tips = "<div>step <b>@step</b></div><div><b>@y{%.6g}</b></div>"
        self.root.add_tools(HoverTool(renderers=[self._dots], tooltips=tips, formatters={"@y": "printf"}, mode="vline"))
        self.now = StepLine(self.root)

    def draw(self, title: str, unit: str, values: np.ndarray, names: list[str], *, last: bool) -> None:
        self._source.data = {"x": np.arange(len(values)), "y": values, "step": names}
        self._dots.glyph.size = 6 if len(values) <= _MANY else 3
        self.root.title.text = title
        self.root.yaxis[0].axis_label = unit
        self.root.xaxis.visible = last
        self.root.height = self._height + _FOOT * last
        name_snapshots(self.root, names)
        low, high = limits(values)
        fit_range(self._y, min(0.0, low), high, margin=0.08)


class TrainingFigure:
    """Region count, mean area, boundary length and local complexity over the steps; ``root`` is the Bokeh model.

    Parameters
    ----------
    height : int
        Of each plot, in pixels.
    """

    def __init__(self, height: int = 110) -> None:
        self.axis = StepAxis()
        self._plots = {measure.key: _MeasurePlot(self.axis, height) for measure in MEASURES}
        self.root = Column(*(plot.root for plot in self._plots.values()), sizing_mode="stretch_width", spacing=0)

    def draw(
        self,
        steps: Int[np.ndarray, " T"] | Sequence[int],
        rows: Sequence[TrainingRow | None],
        *,
        metric: bool = True,
        current: int | None = None,
        sampled: str = "",
    ) -> None:
        """Show rows; a number that no row has gets no plot, a step without it is a gap. See `curves`."""
        steps = np.asarray(steps)
        if len(steps) != len(rows):
            raise NetgeomError(
                "Steps and rows do not belong together.", expected=f"{len(steps)} rows", got=f"{len(rows)}"
            )
        _check_keys(rows)
        self.axis.set(steps, of_transitions=False)
        names = step_names(steps)
        shown = [m for m in MEASURES if any(m.key in row for row in rows if row)] or [MEASURES[0]]
        for measure in MEASURES:
            plot = self._plots[measure.key]
            if measure in shown:
                values = np.array([float((row or {}).get(measure.key, np.nan)) for row in rows])
                how = f" ({sampled})" if sampled and measure.key == "local_complexity" else ""
                unit = measure.units[0 if metric else 1]
                plot.draw(measure.name + how, unit, values, names, last=measure is shown[-1])
            plot.root.visible = measure in shown
        self.mark(current)

    def mark(self, current: int | None) -> None:
        """Mark one of the steps, or none."""
        for plot in self._plots.values():
            plot.now.move(self.axis.place(current), f"{current or 0:,}")

    def on_step(self, act: Callable[[int], None]) -> None:
        """Call with the number of the nearest step when the user taps a plot."""
        for plot in self._plots.values():
            on_tap(plot.root, lambda event: self.axis.nearest_step(event.x), act)


def curves(
    steps: Int[np.ndarray, " T"] | Sequence[int],
    rows: Sequence[TrainingRow | None],
    *,
    metric: bool = True,
    current: int | None = None,
    sampled: str = "",
    height: int = 110,
) -> LayoutDOM:
    """Numbers of the partition over a training run, one small plot each over a shared axis, for scripts and notebooks.

    Parameters
    ----------
    steps : (T,) int
        Steps of training, increasing. They stand at equal distances, as on the slider.
    rows : sequence of T mappings
        What `training_row` gives for each step; keys are those of `MEASURES`. None, a missing key or NaN: a gap.
    metric : bool
        Whether u and v of the slice are orthonormal (``domain.metric``), so that lengths are in input units.
    current : int, optional
        A step to mark.
    sampled : str
        How the local complexity was sampled, for its title: points, samples about each, and how far.
    height : int
        Of each plot, in pixels.

    Returns
    -------
    bokeh.models.Column

    Raises
    ------
    NetgeomError
        Where steps and rows do not belong together, and for a key that is no measure.

    Examples
    --------
    >>> curves(run.steps, [training_row(partition(net, domain)) for net in nets])  # doctest: +SKIP
    """
    found = TrainingFigure(height)
    found.draw(steps, rows, metric=metric, current=current, sampled=sampled)
    return found.root


def _check_keys(rows: Sequence[Any]) -> None:
    known = {measure.key for measure in MEASURES}
    unknown = sorted({str(key) for row in rows if row for key in row if key not in known})
    if unknown:
        raise NetgeomError("There is no such measure.", expected=", ".join(sorted(known)), got=", ".join(unknown))
