"""Mixin of the region explorer: curves over training, computed in the background step by step."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, Worker
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_text import count
from netgeom_widgets.figures.region_training import TrainingFigure, training_row
from netgeom_widgets.kernels.regions import local_complexity
from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.folds import Fold
from netgeom_widgets.widgets.pane import BokehPane
from netgeom_widgets.widgets.steps import missing_position

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Slice

_PAUSE = 0.05  # seconds between looks at whether a run is finished, which goes first
_POINTS, _AROUND = 100, 8  # of the local complexity
_REDRAW = 0.3  # seconds between two pictures while steps come in


class Curves(traitlets.HasTraits):
    """Region count, mean area and boundary length at every recorded step, exact, and local complexity, sampled.

    Steps that were shown count at once. While ``curves`` is on, the others are computed on a thread of their own, which
    gives way to runs: first the ends, then what lies between, so that the shape is there early. The local complexity is
    the mean over 100 points, uniform on the slice and the same for all steps, of the units that change their branch
    among up to 8 samples about a point; their distance, about a twentieth of the slice's width, stands in the title.
    """

    curves = traitlets.Bool(
        False,
        help="Whether the curves over training are shown, and computed for steps not seen yet; wait() waits for these.",
    ).tag(setting="mark")

    _curves_fold: Fold | None = None
    _curves_of: tuple[Any, ...] = ()  # slice and limits that the rows belong to

    def _setup_runs(self, **options: Any) -> None:
        super()._setup_runs(**options)  # type: ignore[misc]  # of AnalysisWidget
        self._rows: dict[int, dict[str, float]] = {}
        self._failed_steps: dict[int, str] = {}
        self._curve_worker = Worker(name="netgeom-curves")
        self._workers = (*self._workers, self._curve_worker)  # wait() waits for it too, close() ends it

    # ---- the panel

    def _panels(self) -> list[ipywidgets.Widget]:
        self._curves_fold = Fold(
            "Training curves", "Show how the partition changes over the training steps", self._open_curves
        )
        if not self._steps:
            self._curves_fold.layout.display = "none"
        return [*super()._panels(), self._curves_fold]  # type: ignore[misc]

    def _open_curves(self, wanted: bool) -> None:
        self.curves = wanted

    def _fill_curves(self, fold: Fold) -> None:
        """Make the parts, once."""
        self._curve_figure = TrainingFigure()
        self._curve_figure.on_step(lambda step: self._paint(lambda: self._go_to_step(step), "pick"))
        self._curve_pane = BokehPane(
            self._curve_figure.root, lock=self._lock, on_error=self._fail, label="Curves over training"
        )
        self._curve_button = ipywidgets.Button(icon="stop", layout={"width": "36px"})
        self._curve_button.on_click(lambda _: self._stop_or_go_on())
        self._curve_bar = ipywidgets.FloatProgress(
            min=0.0, max=1.0, tooltip="How many steps are computed", layout={"width": "160px", "margin": "2px 8px"}
        )
        self._curve_words = ipywidgets.Label(tooltip="What is computed for the curves")
        self._curve_words.add_class("netgeom-status")
        row = ipywidgets.Box([self._curve_button, self._curve_bar, self._curve_words], layout=ROW)
        fold.fill([row, self._curve_pane])

    def _exported_parts(self) -> list[LayoutDOM]:
        parts = super()._exported_parts()  # type: ignore[misc]
        if self.curves and self._curves_fold is not None and self._curves_fold.is_filled:
            parts.append(self._curve_figure.root)
        return parts

    def _go_to_step(self, step: int) -> None:
        """Answer a click on a curve; a user who goes somewhere by hand wants to stay there."""
        self.pause()
        self.step = step

    def _stop_or_go_on(self) -> None:
        if self._curve_worker.is_busy():
            self._curve_worker.cancel()
        else:
            self._start_curves()

    @traitlets.observe("curves")
    def _curves_wanted(self, _: Any = None) -> None:
        fold = self._curves_fold
        if fold is None or self._closed:
            return
        fold.show(self.curves)
        if not self.curves:
            self._curve_worker.cancel()
            return
        self._paint(self._draw_curves, "curves")
        if self._rows and self._missing_step() is not None and not self._curve_worker.is_busy():
            self._start_curves()  # before the first result the run goes first

    @traitlets.validate("curves")
    def _check_curves(self, proposal: Any) -> bool:
        if proposal["value"] and not self._steps:
            raise NetgeomError("There are no training steps.", expected="False, or checkpoints", got="True")
        return bool(proposal["value"])

    @traitlets.observe("step")
    def _mark_step(self, _: Any = None) -> None:
        if self.curves and self._curves_fold is not None:
            self._paint(self._draw_curves, "curves")

    def _draw_curves(self) -> None:
        with self._lock:
            fold = self._curves_fold
            if self._closed or fold is None:
                return
            if not fold.is_filled:
                self._fill_curves(fold)
            rows = [self._rows.get(step) for step in self._steps]
            domain = self._curves_of[0] if self._curves_of else self.domain
            with self._curve_pane.batch():
                self._curve_figure.draw(
                    self._steps, rows, metric=domain.metric, current=self.step, sampled=_Sampling(domain).words
                )
            self._say_curves()

    def _say_curves(self) -> None:
        """How far it has come, and what the button does now."""
        total, left = len(self._steps), len(self._unknown_steps())
        done = total - left - len(self._failed_steps)
        busy = left > 0 and self._curve_worker.is_busy()
        self._curve_bar.value = done / max(1, total)
        state = " so far" if busy else ", stopped" if left > 0 else ""
        words = [f"{done:,} of {count(total, 'step')} computed{state}"]
        words += [f"step {step:,} failed: {why}" for step, why in list(self._failed_steps.items())[:1]]
        self._curve_words.value = "; ".join(words)
        self._curve_button.icon = "stop" if busy else "play"
        self._curve_button.tooltip = "Stop computing the steps" if busy else "Compute the steps that are missing"
        self._curve_button.disabled = left <= 0
        self._curve_bar.layout.display = None if left > 0 else "none"

    # ---- rows

    @traitlets.observe("result")
    def _take_row(self, change: Any) -> None:
        """The step that a run has shown needs no more computing."""
        found, shown = change["new"], self._last_good
        if found is None or not self._steps or shown is None:
            return
        settings = shown[1]
        changed = self._keep_rows_of(found.domain, settings["tolerance"], settings["max_regions"])
        step = settings["step"]
        self._rows[step] = {**self._rows.get(step, {}), **training_row(found)}
        self._failed_steps.pop(step, None)
        self._curves_wanted()
        if changed and self.curves:
            self._start_curves()

    def _keep_rows_of(self, *belongs: Any) -> bool:
        """Forget rows of another slice or of other limits; whether there was a change."""
        same = self._curves_of == belongs
        if not same:
            self._curves_of = belongs
            self._rows.clear()
            self._failed_steps.clear()
        return not same

    def _set_steps(self, steps: Iterable[int], *, follow: bool = True) -> None:
        before = len(self._steps)
        super()._set_steps(steps, follow=follow)  # type: ignore[misc]  # of Stepping
        if self.curves and len(self._steps) > before:
            self._start_curves()

    # ---- in the background

    def cancel(self) -> None:
        """Stop the run, play and the curves; what is finished stays. Returns at once."""
        self._curve_worker.cancel()
        super().cancel()  # type: ignore[misc]  # of Stepping

    def _start_curves(self) -> None:
        """Compute what is missing; returns at once."""
        if not self._closed:
            self._curve_worker.submit(self._compute_curves, key="curves").add_done_callback(self._curves_ended)

    def _curves_ended(self, future: Future[Any]) -> None:
        self._job_ended(future)
        self._paint(self._draw_curves, "curves")

    def _compute_curves(self, progress: Progress, cancel: Cancel) -> None:
        belongs, drawn = self._curves_of, 0.0
        while belongs is self._curves_of and (step := self._missing_step()) is not None:
            while self._worker.is_busy():  # what the user looks at goes first
                cancel.checkpoint()
                time.sleep(_PAUSE)
            try:
                row = self._rows.get(step) or self._row_at(step, *belongs, cancel=cancel)
                row = {**row, "local_complexity": self._complexity_at(step, belongs[0], cancel)}
            except NetgeomError as error:  # of this step; the others may be fine
                self._failed_steps[step] = str(error)
            else:
                if belongs is self._curves_of:
                    self._rows[step] = row
            if time.monotonic() - drawn > _REDRAW:
                self._paint(self._draw_curves, "curves")
                drawn = time.monotonic()

    def _unknown_steps(self) -> list[int]:
        """Steps that are to be computed yet."""
        known = {step for step, row in list(self._rows.items()) if "local_complexity" in row}
        return [step for step in self._steps if step not in known and step not in self._failed_steps]

    def _missing_step(self) -> int | None:
        """The step to compute next."""
        unknown = set(self._unknown_steps())
        at = missing_position([step not in unknown for step in self._steps])
        return None if at is None else self._steps[at]

    def _row_at(
        self, step: int, domain: Slice, tolerance: float, max_regions: int, *, cancel: Cancel
    ) -> dict[str, float]:
        kept = self._recent.get((step, tolerance, max_regions, domain))
        if kept is not None:
            return training_row(kept.result)
        kernel = self._kernel_at(step, domain, tolerance=tolerance, max_regions=max_regions)
        return training_row(kernel(domain, cancel=cancel))

    def _complexity_at(self, step: int, domain: Slice, cancel: Cancel) -> float:
        """Mean local complexity of the network at a step."""
        assert self._checkpoints is not None  # noqa: S101 - there is no step without checkpoints
        model, how = self._checkpoints.model(self._steps.index(step)), _Sampling(domain)
        return float(local_complexity(model, how.points, how.radius, how.n, cancel=cancel).mean())


class _Sampling:
    """Where and how the local complexity is sampled on a slice."""

    def __init__(self, domain: Slice) -> None:
        width = float(np.ptp(domain.polygon, axis=0).max() * np.linalg.norm(domain.u))
        self.radius = SliceSamples.natural_reach(width)
        self.n = min(_AROUND, 2 * domain.origin.size)
        self._domain = domain

    @property
    def points(self) -> np.ndarray:
        """(M, *input shape)."""
        return self._domain.to_input(self._domain.sample(_POINTS))

    @property
    def words(self) -> str:
        """For the title of the curve."""
        return f"{_POINTS} points, {self.n} samples {self.radius:g} from each"
