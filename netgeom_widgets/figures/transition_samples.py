"""Samples of a training run: one scalar before and after a transition, and a projection over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, Slope
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import add_caption, fit_range, limits, make_plot, say
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.theme import GRID, PICKED
from netgeom_widgets.figures.transition_marks import SampleMarks

_TOOLS = ("pan", "wheel_zoom", "reset")
# One unit across is as long as one unit up, or a turn of the cloud would look like a change of its shape. Runs in the
# browser, which alone knows the frame; also when new limits come.
_EQUAL_UNITS = """
const [w, h] = [plot.inner_width, plot.inner_height]
if (!(w > 1 && h > 1)) return
const [x0, x1, y0, y1] = box.data.ends
const unit = 1.08 * Math.max((x1 - x0) / w, (y1 - y0) / h)
const set = (range, middle, half) => range.setv({start: middle - half, end: middle + half,
                                                 reset_start: middle - half, reset_end: middle + half})
set(plot.x_range, (x0 + x1) / 2, unit * w / 2)
set(plot.y_range, (y0 + y1) / 2, unit * h / 2)
"""


class SamplesPart:
    """One scalar per sample at two snapshots, against each other; ``root`` is the plot."""

    def __init__(
        self, height: int = 290, *, sprites: SpriteMarks | None = None, texts: Mapping[int, str] | None = None
    ) -> None:
        self.root = make_plot(height, tools=_TOOLS, x_range=(0, 1), y_range=(0, 1))
        for axis in (self.root.x_range, self.root.y_range):
            axis.update(reset_start=0, reset_end=1)
        self.root.add_layout(Slope(gradient=1, y_intercept=0, line_color=GRID, line_dash="dashed", level="underlay"))
        self._marks = SampleMarks(self.root, sprites=sprites, thumbnails=True, texts=texts)
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
        at: tuple[str, str] | None = None,
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
        at : (str, str), optional
            What to say instead of "at step ...", of a scalar that belongs to transitions.
        """
        ids, before, after = np.asarray(ids), np.asarray(before, dtype=float), np.asarray(after, dtype=float)
        _same_length(len(ids), before=before, after=after, labels=labels)
        self._labels = _kept(self._labels, labels, len(ids))
        ends = _sample_limits(before, after)
        for axis, (low, high) in zip((self.root.x_range, self.root.y_range), ends, strict=True):
            fit_range(axis, low, high, margin=0.08)
        change = after - before
        shown = self._marks.set(ids, before, after, labels=self._labels, selection=selection, prominence=np.abs(change))
        of = f"{scalar} ({unit})" if unit else scalar
        first, last = at or (f"at step {int(step)}" for step in steps)
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
            f"Without a value: {missing:,}." if missing else "",
            f"Thumbnails: {shown:,} that changed most, where there is room." if 0 < shown < len(ids) - missing else "",
            self._marks.show_legend(self._labels),
            "The axes show different intervals." if ends[0] != ends[1] else "",
            note,
        )

    def explain(self, text: str) -> None:
        """Show no sample, but why there is none to show."""
        nowhere, self._labels = np.empty(0), SampleLabels(None, 0)
        self._marks.set(np.empty(0, dtype=np.int64), nowhere, nowhere, labels=self._labels)
        self._marks.show_legend(self._labels)
        self.root.title.text = "Samples"
        self.root.xaxis.axis_label = self.root.yaxis.axis_label = ""
        say(self._caption, text)

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the samples that the user drew a lasso or box around."""
        self._marks.on_lasso(act)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        self._marks.on_sample(act)


class ProjectionPart:
    """One frame of a projection over time, in limits that do not move; ``root`` is the plot."""

    def __init__(
        self, height: int = 290, *, sprites: SpriteMarks | None = None, texts: Mapping[int, str] | None = None
    ) -> None:
        self.root = make_plot(height, tools=_TOOLS, x_range=(0, 1), y_range=(0, 1), match_aspect=True)
        self._box = ColumnDataSource({"ends": []})
        keep = CustomJS(args={"plot": self.root, "box": self._box}, code=_EQUAL_UNITS)
        self.root.js_on_change("inner_width", keep)
        self.root.js_on_change("inner_height", keep)
        self._box.js_on_change("data", keep)
        self._marks = SampleMarks(self.root, sprites=sprites, thumbnails=False, texts=texts)
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
        if list(limits) != list(self._box.data["ends"]):
            for axis, (low, high) in zip((self.root.x_range, self.root.y_range), (limits[:2], limits[2:]), strict=True):
                fit_range(axis, low, high, margin=0.04)
            self._box.data = {"ends": [float(end) for end in limits]}
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
        self._marks.on_lasso(act)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        self._marks.on_sample(act)


def _kept(before: SampleLabels, labels: Any, n: int) -> SampleLabels:
    """The labels drawn last if they are the same, so that nothing of them is sent again."""
    same = (before.labels is None) == (labels is None) and before.n == n
    return before if same and (labels is None or np.array_equal(before.labels, labels)) else SampleLabels(labels, n)


def _sample_limits(before: np.ndarray, after: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes: the same ones, unless one of the columns would fill less than a third of them."""
    both = limits(before, after)
    own = limits(before), limits(after)
    filled = min(high - low for low, high in own) / (both[1] - both[0])
    return (both, both) if filled > 1 / 3 else own


def _same_length(n: int, **columns: Any) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != n:
            raise NetgeomError(f"{name} and ids differ in length.", expected=f"{n} rows", got=f"{len(column)}")
