"""How well the network fits, beside the neighbour counts: a count of a network that does not fit says little."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import Span
from jaxtyping import Float

from netgeom_widgets.figures.plots import add_caption, fit_range, limits, make_plot, number, say
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.theme import GRID
from netgeom_widgets.figures.transition_marks import SampleMarks

if TYPE_CHECKING:
    from netgeom_widgets.kernels.similarity import Fit

#: From this share of a constant's loss on, the words ask whether training has converged.
ASKED_FROM = 0.1
_UNITS = {"cross_entropy": "nats"}
_NAMES = {"cross_entropy": "cross-entropy", "mse": "mean squared error"}


def fit_words(fit: Fit) -> str:
    """The fit error in words: mean loss, its share of a constant's, accuracy; and a question where it is not small."""
    relative = fit.relative
    words = [f"fit error {number(fit.mean)} ({_NAMES.get(fit.loss, fit.loss)}"]
    if np.isfinite(relative):
        words[0] += f", {100 * relative:.3g} % of a constant's"
    words[0] += ")"
    if fit.accuracy is not None:
        words.append(f"accuracy {100 * fit.accuracy:.4g} %")
    if relative >= ASKED_FROM:
        words.append("not converged?")
    return ", ".join(words)


class FitFigure:
    """Loss of each input (up) against its neighbour count (across); ``root`` is the plot.

    Parameters
    ----------
    height : int
        In pixels; the width stretches to its container.
    """

    def __init__(self, height: int = 300) -> None:
        self.root = make_plot(height, x_range=(0, 1), y_range=(0, 1), title="Fit error of each input")
        for axis in (self.root.x_range, self.root.y_range):
            axis.update(reset_start=0, reset_end=1)
        self._lines = [
            Span(location=0, dimension="width", line_color=GRID, line_width=2, line_dash=dash, level="underlay")
            for dash in ("solid", "dashed")
        ]
        for line in self._lines:
            self.root.add_layout(line)
        self._marks = SampleMarks(self.root, sprites=None, thumbnails=False, texts=None)
        self._caption = add_caption(self.root)
        self._labels = SampleLabels(None, 0)

    def draw(
        self, fit: Fit, counts: Float[np.ndarray, " n"], *, labels: Any = None, selection: Iterable[int] = ()
    ) -> None:
        """Show the losses of n inputs.

        Parameters
        ----------
        fit : Fit
            From `netgeom_widgets.kernels.similarity.fit_error`.
        counts : (n,) float
            Soft neighbour counts, self included.
        labels : (n,), optional
            Coloured and shaped.
        selection : iterable of int
            Ids outlined.
        """
        n = len(fit.losses)
        if labels is not self._labels.labels or n != self._labels.n:
            self._labels = SampleLabels(labels, n)
        fit_range(self.root.x_range, *limits(counts), margin=0.08)
        fit_range(self.root.y_range, *limits(fit.losses, [0.0, fit.constant]), margin=0.08)
        of = _NAMES.get(fit.loss, fit.loss)
        unit = f" ({_UNITS[fit.loss]})" if fit.loss in _UNITS else ""
        self.root.yaxis[0].axis_label, self.root.xaxis[0].axis_label = (
            f"{of}{unit}",
            "soft neighbour count, self included",
        )
        for line, at in zip(self._lines, (fit.mean, fit.constant), strict=True):
            line.location = at
        ids = np.arange(n)
        wrong = None if fit.correct is None else ~fit.correct
        self._marks.set(ids, np.asarray(counts, dtype=float), fit.losses, labels=self._labels, selection=selection)
        self._marks.tell(
            [("input", "@id"), *([("label", "@label")] if labels is not None else []),
             (of, "@y{%.4g}"), ("soft count", "@x{%.4g}")]
        )  # fmt: skip
        say(
            self._caption,
            f"Solid line: the mean, {number(fit.mean)}. Dashed: a constant prediction, {number(fit.constant)}.",
            f"Wrong class: {int(wrong.sum()):,} of {n:,}." if wrong is not None else "",
            self._marks.show_legend(self._labels),
            width=52,
        )

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of an input that the user taps."""
        self._marks.on_sample(act)

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the inputs that the user drew a lasso or box around."""
        self._marks.on_lasso(act)
