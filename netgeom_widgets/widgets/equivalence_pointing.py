"""Mixin of the equivalence slice viewer: the function at the pointer, else at what is picked, beside the slice."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import traitlets
from bokeh.events import MouseLeave, MouseMove

from netgeom_widgets.execution import Cancel, Progress, Worker
from netgeom_widgets.widgets.equivalence_panel import EquivalencePanel
from netgeom_widgets.widgets.equivalence_picture import Picture
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.equivalence_words import element_words, point_words
from netgeom_widgets.widgets.recent import Recent

_FEW = 200  # inputs of a curve between the least and the greatest sample


@dataclass(frozen=True, eq=False)
class Function:
    """The function of some parameters on the samples.

    Attributes
    ----------
    name : str
        What they are: "element 3".
    point : tuple of float or None
        Coordinates in the slice, where they lie in it.
    parameters : (P,) float64
    outputs, targets : (N, C) float64
    loss, relative_loss : float
        J and R.
    curve : ((m,), (m, C)) float64, or None
        For one input: the function at evenly spaced inputs.
    """

    name: str
    point: tuple[float, ...] | None
    parameters: np.ndarray
    outputs: np.ndarray
    targets: np.ndarray
    loss: float
    relative_loss: float
    curve: tuple[np.ndarray, np.ndarray] | None


class Pointing(traitlets.HasTraits):
    """The function is evaluated on a thread of its own, for what is pointed at now; the latest request wins."""

    pointed = traitlets.Any(None, read_only=True, help="The function that is shown, at the pointer or what is picked.")

    _source: Source
    _figure: Any
    _panel: EquivalencePanel
    _picture: Picture | None = None
    _hovered: tuple[float, ...] | None = None
    _pointed_in: Any = None  # the copy of the model that the function shown is of

    def _setup_runs(self, **options: Any) -> None:
        super()._setup_runs(**options)  # type: ignore[misc]  # of AnalysisWidget
        self._evaluator = Worker(name="netgeom-function")
        self._workers = (*self._workers, self._evaluator)  # wait() waits for it too, close() ends it
        self._problems = Recent(1)  # a module cannot be called on two threads at once: this thread has its own

    def _setup_pointing(self) -> None:
        """Listen to picks and pointer; called once the figure exists."""
        for plot in (self._figure.plane.root, self._figure.line.root):
            plot.on_event(MouseMove, self._on_pointer)
            plot.on_event(MouseLeave, self._on_pointer)
        self.observe(lambda _: self._function_soon(), ["element", "point"])
        function = self._figure.function
        if function is not None:
            function.on_sample(lambda sample: self._paint(lambda: self._toggle_sample(sample), "pick"))  # type: ignore[attr-defined]

    def _toggle_sample(self, sample: int) -> None:
        selection: tuple[int, ...] = self.selection  # type: ignore[attr-defined]
        kept = tuple(one for one in selection if one != sample)
        self.selection = kept if sample in selection else (*selection, sample)

    def _on_pointer(self, event: MouseMove | MouseLeave) -> None:
        """Take note of a point; many reports may come while one is worked on, and the latest counts."""
        left = isinstance(event, MouseLeave) or event.x is None or event.y is None
        at = None if left else (float(event.x), float(event.y))  # type: ignore[arg-type]
        if not self._closed:  # type: ignore[attr-defined]
            self._evaluate(lambda cancel: self._point_at(at, cancel))

    def _function_soon(self) -> None:
        if not self._closed:  # type: ignore[attr-defined]
            self._evaluate(self._show_function)

    def _evaluate(self, job: Any) -> None:
        def work(progress: Progress, cancel: Cancel) -> None:
            job(cancel)

        self._evaluator.submit(work, key="function").add_done_callback(self._job_ended)  # type: ignore[attr-defined]

    def _point_at(self, at: tuple[float, float] | None, cancel: Cancel) -> None:
        with self._lock:  # type: ignore[attr-defined]  # the picture must not change between
            found = None if at is None else self._figure.point_at(*at)
        if found != self._hovered:
            self._hovered = found
            self._show_function(cancel)

    # ---- what is shown

    def _show_function(self, cancel: Cancel) -> None:
        """Evaluate the function of what is pointed at and draw it; runs on the thread for it."""
        picture, hovered = self._picture, self._hovered
        if picture is None or picture.model is None:
            self._panel.point("" if hovered is None or picture is None else escape(_grid_words(picture, hovered)))
            return
        name, point, parameters = self._wanted(picture)
        function = self.pointed
        known = function is not None and function.name == name and np.array_equal(function.parameters, parameters)
        if not known or self._pointed_in is not picture.model:
            function = self._function_of(picture, name, point, parameters)
        with self._lock:  # type: ignore[attr-defined]
            cancel.checkpoint()  # under the lock: nothing late is drawn
            if self._picture is not picture or self._closed:  # type: ignore[attr-defined]
                return
            self.set_trait("pointed", function)
            self._pointed_in = picture.model
            with self.pane.batch():  # type: ignore[attr-defined]
                self._draw_function(function, picture)
            self._panel.point("" if hovered is None else escape(_words(function)))
            self._show_picked(picture)
        self._keep_picture()  # type: ignore[attr-defined]

    def _wanted(self, picture: Picture) -> tuple[str, tuple[float, ...] | None, np.ndarray]:
        """What the function is of: the pointer, else the point or element picked, else the centre."""
        k = len(picture.found.axes)
        for name, point in (("the pointer", self._hovered), ("the point", self.point)):  # type: ignore[attr-defined]
            if point is not None and len(point) == k:
                return name, point, picture.parameters_at(point)
        element = self.element  # type: ignore[attr-defined]
        if element >= 0 and picture.elements is not None and element < len(picture.elements.status):
            return f"element {element}", None, np.asarray(picture.elements.parameters[element])
        return "the centre", (0.0,) * k, picture.center

    def _function_of(
        self, picture: Picture, name: str, point: tuple[float, ...] | None, parameters: np.ndarray
    ) -> Function:
        import torch

        torch.get_num_threads()  # a fresh thread settles how many it uses only when asked
        problem = self._problems.get(id(picture.model), lambda: self._source.problem(picture.model))  # type: ignore[arg-type]
        theta = torch.from_numpy(np.ascontiguousarray(parameters)[None].copy())
        with torch.no_grad():
            outputs = problem.network.outputs(theta)
            loss = float(problem.mean_square(outputs)[0])
            curve = None
            if self._figure.function.is_curve:
                x = problem.network.inputs.reshape(-1)
                between = torch.linspace(float(x.min()), float(x.max()), _FEW, dtype=torch.float64)
                shaped = between.reshape(-1, *problem.network.inputs.shape[1:])
                y = problem.network.one(theta[0], shaped)
                curve = between.numpy(), y.T.numpy()
        arrays = (parameters, outputs[0].T.numpy(), problem.targets.T.numpy())
        return Function(name, point, *arrays, loss, loss / problem.variance, curve)

    def _draw_function(self, function: Function, picture: Picture) -> None:
        in_plane = picture.settings["profile"] and function.point is not None
        self._figure.function.set_targets(function.targets)
        self._figure.function.show(
            function.outputs, relative_loss=function.relative_loss, loss=function.loss, curve=function.curve,
            title=f"Function at {function.name}",
            note="In the plane itself, not where the other parameters are best." if in_plane else "",
        )  # fmt: skip

    def _show_picked(self, picture: Picture) -> None:
        """Say in the panel what is known of what is picked; called with the lock held."""
        element, point = self.element, self.point  # type: ignore[attr-defined]
        n = 0 if picture.elements is None else len(picture.elements.status)
        facts = escape(element_words(picture.elements, element, picture.distance)) if 0 <= element < n else ""
        function, told = self.pointed, ""
        if point is not None:
            known = function is not None and function.name == "the point" and function.point == point
            told = escape(_words(function) if known else _grid_words(picture, point))
        picked = bool(facts or told) and picture.plane is not None
        self._panel.show_picked(element if element >= 0 else None, facts, told, centres=picked)


def _words(function: Function) -> str:
    if function.point is None:
        return f"R = {function.relative_loss:.4g}"
    return point_words(function.point, function.loss, function.relative_loss)


def _grid_words(picture: Picture, point: tuple[float, ...]) -> str:
    """Losses at the grid point next to a point."""
    found = picture.found
    at = tuple(int(np.argmin(np.abs(axis - c))) for axis, c in zip(found.axes, point, strict=True))
    near = tuple(float(axis[i]) for axis, i in zip(found.axes, at, strict=True))
    relative = None if found.relative_loss is None else float(found.relative_loss[at])
    return f"{point_words(near, float(found.loss[at]), relative)} (nearest point of the grid)"
