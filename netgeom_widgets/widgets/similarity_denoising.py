"""Self-denoising: what the targets of similar inputs make of each output, where training has come to rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_denoising import DenoisingFigure
from netgeom_widgets.widgets.part import Go, Part, Publish
from netgeom_widgets.widgets.similarity_subject import InputParts, Subject


class DenoisingPart(Part):
    """Estimates against targets, and the factor by which noise in the targets is damped."""

    key = "denoising"
    title = "Denoising"
    tooltip = "Show how the targets of similar inputs average in each output, and how much noise that leaves"

    def __init__(self, go: Go) -> None:
        self._go = go

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """Estimate, factor, consistency."""
        from netgeom_widgets.kernels.similarity import denoise

        wanted = {name: subject.options[name] for name in ("parameters", "dtype") if name in subject.options}
        samples = subject.samples
        return denoise(subject.model, samples.inputs, samples.targets, progress=progress, cancel=cancel, **wanted)

    def make(self) -> LayoutDOM:
        """Scatter and histogram."""
        self._figure = DenoisingFigure()
        self._figure.on_sample(self._go)
        return self._figure.root

    def draw(self, found: Any, subject: Subject) -> None:
        """Scatter and histogram."""
        self._figure.draw(found.estimate, subject.samples.targets, found.factor)

    def words(self, found: Any, subject: Subject) -> str:
        """Factor, consistency, and whether the identity behind them holds."""
        defined = found.defined
        if not defined.any():
            return "undefined for all inputs: sums of their inner products vanish"
        gap = np.abs(found.consistency[defined]).max()
        words = [
            f"noise of the targets is left with {number(float(np.median(found.factor[defined])))} of its standard "
            "deviation (median)",
            f"outputs differ from their own average by {number(float(gap))} at most",
            f"max |sum of residual · gradient| {number(found.stationarity)}, {number(found.gradient_share)} of what it "
            "could be: the identity holds where this is 0, at rest with squared loss",
        ]
        if not defined.all():
            words.append(f"undefined for {int((~defined).sum()):,} inputs")
        return "; ".join(words)

    def arrays(self, found: Any) -> dict[str, Any]:
        """Estimate, factor, consistency."""
        names = ("estimate", "factor", "consistency", "defined", "stationarity", "gradient_share")
        return {name: np.asarray(getattr(found, name)) for name in names}


class DenoisingPanel(InputParts):
    """The fold on denoising."""

    denoising = traitlets.Bool(False, help="Whether denoising is shown.").tag(
        setting="mark", needs="targets that are values"
    )

    def _make_parts(self) -> list[Part]:
        parts, targets = super()._make_parts(), self._source.samples.targets  # type: ignore[attr-defined]
        real = targets is not None and targets.dtype.kind == "f" and not self._source.is_stored  # type: ignore[attr-defined]
        return [*parts, DenoisingPart(self._pick_row)] if real else parts
