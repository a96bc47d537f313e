"""Mixin of the similarity matrix: the network of any recorded step of training, all steps in the order of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Progress
from netgeom_widgets.widgets.checkpoints import Checkpoints
from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.following import Following
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.similarity_picture import COMPUTED, Picture, PictureMaker
from netgeom_widgets.widgets.similarity_source import Source
from netgeom_widgets.widgets.steps import StepNumber, Stepping

if TYPE_CHECKING:
    from torch import nn

_SERIATED = "seriated"


class OrderStep(StepNumber):
    """A step whose order is kept, or None."""

    default_value = None


class KeepOrder(ipywidgets.Box):
    """A check box that keeps the order of the step shown; ``value`` is that step, or None for each its own."""

    value = traitlets.Any(None)

    def __init__(self, *, description: str, tooltip: str, **_: Any) -> None:
        self._words, self._step = description, None
        self._showing = False
        self._box = ipywidgets.Checkbox(
            indent=False, description=description, tooltip=tooltip, layout={"width": "auto"}
        )
        super().__init__([self._box], layout=ROW)
        self._box.observe(self._checked, "value")
        self.observe(lambda _: self._show(), "value")

    def set_step(self, step: int | None) -> None:
        """Say which step is shown, whose order a check keeps."""
        self._step = step
        self._show()

    def _show(self) -> None:
        self._showing = True
        try:
            self._box.value = self.value is not None
        finally:
            self._showing = False
        step = self._step if self.value is None else self.value
        self._box.description = self._words if step is None else f"{self._words} of step {step:,}"

    def _checked(self, change: Any) -> None:
        if not self._showing:
            self.value = self._step if change["new"] else None


class Training(Stepping, Following):
    """What the checkpoints of a training run add to the matrix: which network it is of, chosen by ``step``."""

    step = StepNumber(help="The training step whose network is shown; None without checkpoints.").tag(
        setting="run", control=False
    )
    order_step = StepNumber(
        help="The step whose seriated order all steps are shown in; None: each in its own. The last one by default."
    ).tag(setting="run", bar=True, label="Keep the order", control=KeepOrder)

    _source: Source
    _maker: PictureMaker
    _checkpoints: Checkpoints | None = None

    def _setup_training(self, checkpoints: Any) -> None:
        """Take the checkpoints; called before ``super().__init__``."""
        self._kept_orders = Recent(12)
        if checkpoints is None:
            return
        if self._source.is_stored:
            raise NetgeomError("A stored matrix has no checkpoints.", expected="a model and inputs", got="a store")
        self._checkpoints = Checkpoints.of(self._source.model, checkpoints)
        self._steps = self._checkpoints.steps

    def _follow_training(self) -> None:
        """Look out for further steps; called once the widget is there."""
        self._controls["order_step"].widget.set_step(self.step)  # type: ignore[attr-defined]
        if self._checkpoints is None:
            self._controls["live"].box.layout.display = "none"  # type: ignore[attr-defined]
        else:
            self._follow(self._checkpoints)

    def _recording_grew(self) -> None:
        if self._checkpoints is not None:
            self._set_steps(self._checkpoints.steps)

    def _recording_rested(self) -> None:
        self._recording_grew()  # a run may have taken note of steps, and left the one it showed

    def _bars(self) -> list[ipywidgets.Widget]:
        bars = super()._bars()
        if self._steps and self._step_control is not None:
            box = self._controls["order_step"].box  # type: ignore[attr-defined]
            self._step_control.layout.flex = "1 1 340px"
            self._step_control.layout.max_width = "560px"
            return [*bars[:-1], ipywidgets.Box([self._step_control, box], layout=ROW)]
        return bars

    @traitlets.observe("step")
    def _offer_order(self, change: Any) -> None:
        control = self.__dict__.get("_controls", {}).get("order_step")
        if control is not None:
            control.widget.set_step(change["new"])

    @traitlets.validate("order_step")
    def _check_order_step(self, proposal: Any) -> int | None:
        step: int | None = proposal["value"]
        if step is not None and step not in self._steps:
            raise NetgeomError("This step was not recorded.", expected="None, or a recorded step", got=str(step))
        return step

    # ---- runs

    def _network_at(self, step: int) -> tuple[nn.Module, Any]:
        """The network at a step, and a key that says which it is."""
        assert self._checkpoints is not None  # noqa: S101 - there is no step without checkpoints
        return self._checkpoints.model(self._steps.index(step)), ("step", step)

    def _take_up_steps(self) -> None:
        """Take note of steps recorded since; called when a run begins."""
        self._refresh_if_asked()
        if self._checkpoints is not None:
            self._set_steps(self._checkpoints.steps, follow=False)

    def _order_kept(
        self, settings: dict[str, Any], compute: Callable[..., Picture], progress: Progress
    ) -> np.ndarray | None:
        """The order of the step whose order is kept, where that is another than the one shown."""
        step = settings["order_step"]
        if step in (None, settings["step"]) or settings["order"] != _SERIATED:
            return None

        def order() -> np.ndarray:
            model, key = self._network_at(step)
            told = Progress(lambda part: progress.update(part.done, part.total, f"order of step {step:,}: {part.text}"))
            return compute(model, settings, key, progress=told, publish=lambda picture: None).order

        return self._kept_orders.get((step, *(settings[name] for name in COMPUTED)), order)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the widget; see :meth:`AnalysisWidget.close`."""
        super().close()
        self.__dict__.pop("_kept_orders", None)
