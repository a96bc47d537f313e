"""The data in their two principal components, to choose by clicking the samples that a plane goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from jaxtyping import Float

from netgeom_widgets.figures.plots import add_caption, fit_range, limits, make_plot, say
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.theme import PICKED
from netgeom_widgets.figures.transition_marks import SampleMarks


class SampleScatter:
    """A scatter of N samples; those that span the plane are ringed and numbered 1, 2, 3. ``root`` is the plot.

    Parameters
    ----------
    points : (N, 2) float
        Coordinates along the first two principal components; a sample's id is its row.
    shares : (float, float)
        Parts of the variance along them.
    labels : (N,), optional
        Coloured and shaped as in the picture of the regions.
    height : int
        In pixels; the width stretches to its container.
    """

    def __init__(
        self, points: Float[np.ndarray, "N 2"], shares: Sequence[float], labels: Any = None, *, height: int = 300
    ) -> None:
        self._points = np.asarray(points, dtype=np.float64)
        self._labels = SampleLabels(labels, len(self._points))
        self.root = make_plot(
            height, x_range=(0, 1), y_range=(0, 1), title="Samples: click three to lay the plane through"
        )
        for axis, column in zip((self.root.x_range, self.root.y_range), self._points.T, strict=True):
            fit_range(axis, *limits(column), margin=0.15)  # room for the numbers
        names = (f"principal component {n} ({share:.0%} of the variance)" for n, share in enumerate(shares, start=1))
        self.root.xaxis.axis_label, self.root.yaxis.axis_label = names
        self._marks = SampleMarks(self.root, sprites=None, thumbnails=False, texts=None)
        self._marks.tell([("sample", "@id"), *([("label", "@label")] if labels is not None else [])])
        self._anchors = ColumnDataSource({"x": [], "y": [], "name": []})
        at = {"source": self._anchors, "fill_color": None, "size": 17}
        self.root.scatter("x", "y", line_color="#ffffff", line_width=5, **at)
        self.root.scatter("x", "y", line_color=PICKED, line_width=2.5, **at)
        for colour, width in (("#ffffff", 4), (None, 0)):  # white behind the number: read on any ground and mark
            self.root.text(
                "x", "y", "name", source=self._anchors, text_color=PICKED, text_outline_color=colour,
                text_outline_width=width, text_font_size="15px", text_font_style="bold", x_offset=10, y_offset=-6,
            )  # fmt: skip
        caption = add_caption(self.root)
        say(caption, "Ringed: the samples that span the plane.", self._marks.show_legend(self._labels))
        self.mark((), ())

    def mark(self, anchors: Sequence[int], selection: Iterable[int]) -> None:
        """Ring and number some samples, outline those selected."""
        x, y = self._points.T
        self._marks.set(np.arange(len(x)), x, y, labels=self._labels, selection=selection)
        ids = list(anchors)
        names = [str(number) for number in range(1, len(ids) + 1)]
        self._anchors.data = {"x": x[ids], "y": y[ids], "name": names}

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        self._marks.on_sample(act)

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the samples that the user drew a lasso or box around."""
        self._marks.on_lasso(act)
