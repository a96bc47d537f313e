"""How the matrix comes about in training: CKA of every recorded step with the last or the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.similarity_compare import StepsFigure
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.parts import Parts
from netgeom_widgets.widgets.similarity_subject import Subject
from netgeom_widgets.widgets.steps import missing_position

if TYPE_CHECKING:
    from torch import nn

LAST, FIRST = "last", "first"


class StepsPart(Part):
    """A curve over the steps: the ends first, then what lies between, so that its shape is there early.

    Parameters
    ----------
    control : Widget
        The choice of the reference.
    steps : callable
        The recorded steps.
    network : callable
        The network at a step.
    go : callable
        Called with the step that the user picks.
    """

    key = "over_steps"
    title = "Over training"
    tooltip = "Show how far the matrix of each step agrees with that of the last or first one"
    options = ("steps_against", "steps")

    def __init__(
        self, control: ipywidgets.Widget, network: Callable[[int], nn.Module], go: Callable[[int], None]
    ) -> None:
        self._control, self._network, self._go = control, network, go
        self._known: dict[int, tuple[float, float]] = {}
        self._known_of: tuple[Any, ...] = ()

    def controls(self) -> list[ipywidgets.Widget]:
        """The reference."""
        return [self._control]

    def lacks(self, subject: Subject, options: dict[str, Any]) -> str:
        """Inputs that can be correlated."""
        return "" if len(subject.samples) > 1 else "CKA needs two inputs."

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """CKA of each step that is not known yet."""
        from netgeom_widgets.kernels.similarity import cka, similarity_matrix

        steps = options["steps"]
        reference = steps[-1 if options["steps_against"] == LAST else 0]

        def matrix(step: int) -> np.ndarray:
            model = self._network(step)
            return similarity_matrix(model, subject.samples.inputs, cancel=cancel, **subject.this_options).values

        same = (reference, subject.key)
        if self._known_of != same:
            self._known_of, self._known = same, {}
        compared, n = matrix(reference), len(subject.samples)
        while (at := missing_position([step in self._known for step in steps])) is not None:
            progress.update(len(self._known), len(steps), f"step {steps[at]:,}")
            try:
                values = compared if steps[at] == reference else matrix(steps[at])
            except NetgeomError:  # of this step, such as weights that are not finite; the others may be fine
                self._known[steps[at]] = (float("nan"), float("nan"))
                continue
            debiased = cka(compared, values, debiased=True) if n > 3 else float("nan")
            self._known[steps[at]] = (cka(compared, values), debiased)
            publish((steps, dict(self._known), reference))
        return steps, dict(self._known), reference

    def make(self) -> LayoutDOM:
        """Curves."""
        self._figure = StepsFigure()
        self._figure.on_step(self._go)
        return self._figure.root

    def draw(self, found: Any, subject: Subject) -> None:
        """Curves."""
        steps, known, reference = found
        biased, debiased = np.array([known.get(step, (np.nan, np.nan)) for step in steps]).T
        self._figure.draw(steps, biased, debiased, reference=reference, current=subject.step)

    def words(self, found: Any, subject: Subject) -> str:
        """What the curve is."""
        steps, known, reference = found
        undefined = sum(bool(np.isnan(known[step][0])) for step in steps)
        words = f"CKA of {len(steps):,} steps with step {reference:,}, biased and debiased"
        return words + (f"; undefined for {undefined:,}" if undefined else "")

    def arrays(self, found: Any) -> dict[str, Any]:
        """Steps and both curves."""
        steps, known, _ = found
        return {"steps": np.array(steps), "cka": np.array([known[step] for step in steps])}


class StepsPanel(Parts):
    """The fold on the matrix over training."""

    over_steps = traitlets.Bool(
        False, help="Whether the curve over training is shown, and computed; wait() waits for it."
    ).tag(setting="mark", needs="checkpoints")
    steps_against = traitlets.Enum((LAST, FIRST), LAST, help="Which step the others are compared with.").tag(
        setting="draw", bar=True, label="CKA with the", texts={LAST: "last step", FIRST: "first step"}
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        if not self._steps:  # type: ignore[attr-defined]
            return parts
        control = self._controls["steps_against"].box  # type: ignore[attr-defined]
        network = lambda step: self._network_at(step)[0]  # type: ignore[attr-defined]  # noqa: E731
        return [*parts, StepsPart(control, network, self._go_to_step)]

    def _set_steps(self, steps: Iterable[int], *, follow: bool = True) -> None:
        before = len(self._steps)  # type: ignore[attr-defined]
        super()._set_steps(steps, follow=follow)  # type: ignore[misc]  # of Stepping
        if len(self._steps) > before and self.over_steps:  # type: ignore[attr-defined]
            self._update_part(self._shown_parts["over_steps"])

    def _go_to_step(self, step: int) -> None:
        """Answer a click on the curve; a user who goes somewhere by hand wants to stay there."""

        def go() -> None:
            self.pause()  # type: ignore[attr-defined]
            self.step = step

        self._paint(go, "pick")  # type: ignore[attr-defined]
