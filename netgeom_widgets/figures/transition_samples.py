"""Samples of a training run: one scalar before and after a transition, and a projection over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, Slope
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.transition_marks import PICKED, SampleMarks
from netgeom_widgets.figures.transition_plot import LINE, add_caption, fit_range, limits, make_plot, say

_TOOLS = ("pan", "wheel_zoom", "reset")


class SamplesPart:
    """One scalar per sample at two snapshots, against each other; ``root`` is the plot."""

    def __init__(
        self, height: int = 290, *, sprites: SpriteMarks | None = None, texts: Mapping[int, str] | None = None
    ) -> None:
        self.root = make_plot(height, tools=_TOOLS, x_range=(0, 1), y_range=(0, 1))
        for axis in (self.root.x_range, self.root.y_range):
            axis.update(reset_start=0, reset_end=1)
        self.root.add_layout(Slope(gradient=1, y_intercept=0, line_color=LINE, line_dash="dashed", level="underlay"))
        self._marks = SampleMarks(self.root, [], sprites=sprites, thumbnails=True, texts=texts)
        self._marks.add_tools()
        self._caption = add_caption(self.root)
        self._labels = SampleLabels(None, 0)

    def draw(
        self,
        ids: Int[np.ndarray, " N"],
        before: Float[np.ndarray, " N"],
        after: Float[np.ndarray, " N"],
        *,
        scalar: str,
        unit: str = "",
        labels: Any = None,
        steps: tuple[int, int],
        selection: Iterable[int] = (),
        note: str = "",
    ) -> None:
        """Show a scalar at the earlier snapshot (across) against the later one (up).

        Parameters
        ----------
        ids : (N,) int
            Sample ids.
        before, after : (N,) float
            Samples without a number in both are left out, and counted in the caption.
        scalar, unit : str
            What the numbers are.
        labels : (N,), optional
            Colours and shapes; a legend for up to 12 different ones.
        steps : (int, int)
            Steps of the two snapshots.
        selection : iterable of int
            Ids outlined.
        """
        ids, before, after = np.asarray(ids), np.asarray(before, dtype=float), np.asarray(after, dtype=float)
        _same_length(len(ids), before=before, after=after, labels=labels)
        self._labels = _kept(self._labels, labels, len(ids))
        low, high = limits(before, after)
        for axis in (self.root.x_range, self.root.y_range):
            fit_range(axis, low, high, margin=0.05)
        change = after - before
        shown = self._marks.set(ids, before, after, labels=self._labels, selection=selection, prominence=np.abs(change))
        of = f"{scalar} ({unit})" if unit else scalar
        first, last = (f"at step {int(step)}" for step in steps)
        self.root.title.text = f"Samples: {scalar} {first} and {last}"
        self.root.xaxis.axis_label, self.root.yaxis.axis_label = f"{of} {first}", f"{of} {last}"
        self._marks.tell(
            [("sample", "@id"), *([("label", "@label")] if labels is not None else []),
             (f"{scalar} {first}", "@x{%.4g}"), (f"{scalar} {last}", "@y{%.4g}")]
        )  # fmt: skip
        missing = int((~np.isfinite(change)).sum())
        rose, fell = int((change > 0).sum()), int((change < 0).sum())
        say(
            self._caption,
            f"Above the line it rose ({rose:,}), below it fell ({fell:,}).",
            f"{missing:,} samples have no value." if missing else "",
            f"Thumbnails: the {shown:,} that changed most." if 0 < shown < len(ids) - missing else "",
            self._marks.show_legend(self._labels),
            note,
        )

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the samples that the user drew a lasso or box around."""
        self._marks.add_lasso(act)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        _on_tap(self._marks, act)


class ProjectionPart:
    """One frame of a projection over time, in limits that do not move; ``root`` is the plot."""

    def __init__(
        self, height: int = 290, *, sprites: SpriteMarks | None = None, texts: Mapping[int, str] | None = None
    ) -> None:
        self.root = make_plot(height, tools=_TOOLS, x_range=(0, 1), y_range=(0, 1))
        for axis in (self.root.x_range, self.root.y_range):
            axis.update(reset_start=0, reset_end=1)
        self._marks = SampleMarks(self.root, [], sprites=sprites, thumbnails=False, texts=texts)
        self._marks.add_tools()
        self._ring = ColumnDataSource({"x": [], "y": []})
        at = {"source": self._ring, "fill_color": None, "size": 20}
        self.root.scatter("x", "y", line_color="#ffffff", line_width=5, **at)
        self.root.scatter("x", "y", line_color=PICKED, line_width=2.5, **at)
        self._caption = add_caption(self.root)
        self._labels = SampleLabels(None, 0)

    def draw(
        self,
        points: Float[np.ndarray, "N 2"],
        *,
        step: int,
        limits: tuple[float, float, float, float],
        ids: Int[np.ndarray, " N"],
        labels: Any = None,
        selection: Iterable[int] = (),
        sample: int | None = None,
        explained: tuple[float, float] | None = None,
        note: str = "",
    ) -> None:
        """Show the points of one snapshot.

        Parameters
        ----------
        points : (N, 2) float
        step : int
            Step of the snapshot.
        limits : (xmin, xmax, ymin, ymax)
            Of all snapshots, so that the frames of a film can be compared.
        ids, labels, selection
            As for :meth:`SamplesPart.draw`.
        sample : int, optional
            Id of the sample ringed.
        explained : (float, float), optional
            Parts of the variance along the two axes.
        """
        ids, points = np.asarray(ids), np.asarray(points, dtype=float)
        _same_length(len(ids), points=points, labels=labels)
        self._labels = _kept(self._labels, labels, len(ids))
        fit_range(self.root.x_range, limits[0], limits[1], margin=0.04)
        fit_range(self.root.y_range, limits[2], limits[3], margin=0.04)
        self._marks.set(ids, points[:, 0], points[:, 1], labels=self._labels, selection=selection)
        ring = points[ids == sample] if sample is not None else points[:0]
        self._ring.data = {"x": ring[:, 0], "y": ring[:, 1]}
        self.root.title.text = f"Projection of all samples at step {int(step)}"
        parts = ["", ""] if explained is None else [f" ({part:.0%} of the variance)" for part in explained]
        self.root.xaxis.axis_label, self.root.yaxis.axis_label = (
            f"component {at}{part}" for at, part in zip((1, 2), parts, strict=True)
        )
        self._marks.tell([("sample", "@id"), *([("label", "@label")] if labels is not None else [])])
        ringed = f"Ring: sample {sample}." if len(ring) else ""
        say(self._caption, ringed, self._marks.show_legend(self._labels), note)

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the samples that the user drew a lasso or box around."""
        self._marks.add_lasso(act)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        _on_tap(self._marks, act)


def _on_tap(marks: SampleMarks, act: Callable[[int], None]) -> None:
    def tapped(event: Tap) -> None:
        sample = marks.at(event)
        if sample is not None:
            act(sample)

    marks.plot.on_event(Tap, tapped)


def _kept(before: SampleLabels, labels: Any, n: int) -> SampleLabels:
    """The labels drawn last if they are the same, so that nothing of them is sent again."""
    same = (before.labels is None) == (labels is None) and before.n == n
    return before if same and (labels is None or np.array_equal(before.labels, labels)) else SampleLabels(labels, n)


def _same_length(n: int, **columns: Any) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != n:
            raise NetgeomError(f"{name} and ids differ in length.", expected=f"{n} rows", got=f"{len(column)}")
