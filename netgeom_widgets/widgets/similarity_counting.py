"""Mixin of the similarity matrix: the threshold, and how many neighbours each input has, hard, soft and less soft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_scene import CountsScene
from netgeom_widgets.widgets.folds import Fold
from netgeom_widgets.widgets.pane import BokehPane
from netgeom_widgets.widgets.similarity_entries import MARGIN
from netgeom_widgets.widgets.similarity_picture import Picture
from netgeom_widgets.widgets.similarity_source import Source

_SELF = "Each input counts itself."
_BINNED = "Hard counts are those at the nearest edge of the store's histograms."


@dataclass(frozen=True, eq=False)
class Counts:
    """Neighbours of each input, itself included.

    Attributes
    ----------
    hard, soft, less_soft : (n,)
        How many are beyond the threshold; sum of k; sum of max(k, 0) to the power.
    near : int or None
        Pairs so near to the threshold that rounding decides; None where that is not known.
    threshold : float
    power : int
    exact : bool
        Whether the hard count is exact, else to the next edge of the store's histograms.
    """

    hard: np.ndarray
    soft: np.ndarray
    less_soft: np.ndarray
    near: int | None
    threshold: float
    power: int
    exact: bool

    @property
    def named(self) -> dict[str, np.ndarray]:
        """The counts by name, with what each depends on."""
        return {
            f"k > {number(self.threshold)}": self.hard,
            "soft": self.soft,
            f"less soft, power {self.power}": self.less_soft,
        }

    def words(self, row: int | None) -> str:
        """The counts of one input and their means, in words."""
        words = f"Neighbours, itself included: mean of all inputs {self._in_words(None)}."
        if row is not None:
            words = f"Input {row}: {self._in_words(row)}. {words}"
        if not self.exact:
            words += f" {_BINNED}"
        if self.near:
            words += f" {self.near:,} pairs lie within {MARGIN:g} of the threshold, where rounding decides."
        return words

    def _in_words(self, row: int | None) -> str:
        """The three counts of one input, or their means."""
        hard, soft, less_soft = (
            number(float(values.mean() if row is None else values[row])) for values in self.named.values()
        )
        return f"{hard} with k > {number(self.threshold)}, soft {soft}, less soft (power {self.power}) {less_soft}"


class Counting(traitlets.HasTraits):
    """Counts follow the threshold slider while it is dragged; the histograms are drawn only while they are open."""

    counts = traitlets.Bool(False, help="Whether the histograms of neighbour counts are shown.").tag(setting="mark")
    neighbour_counts = traitlets.Any(
        None, read_only=True, help="Counts of each input at the threshold: hard, soft and less_soft, (n,) each."
    )

    _source: Source
    _picture: Picture | None = None
    _counts_of: tuple[Any, float, int] | None = None  # what the counts are of
    _counts_drawn: Counts | None = None
    _counts_fold: Fold | None = None
    _counts_figure: Any = None

    def _bars(self) -> list[ipywidgets.Widget]:
        controls: dict[str, Any] = self._controls  # of Settings
        self._counts_line = ipywidgets.Label(
            tooltip="Neighbours of the picked input, and of all", layout={"flex": "1 1 300px", "min_width": "0"}
        )
        self._counts_line.add_class("netgeom-status")
        boxes = [controls["threshold"].box, controls["power"].box, self._counts_line]
        row = ipywidgets.Box(boxes, layout={"flex_flow": "row wrap", "align_items": "center", "overflow": "visible"})
        return [*super()._bars(), row]  # type: ignore[misc]  # of AnalysisWidget

    def _panels(self) -> list[ipywidgets.Widget]:
        self._counts_fold = Fold(
            "Neighbour counts", "Show how many neighbours the inputs have: hard, soft, less soft", self._open_counts
        )
        self._counts_fold.show(self.counts)
        return [*super()._panels(), self._counts_fold]  # type: ignore[misc]

    def _open_counts(self, wanted: bool) -> None:
        self.counts = wanted

    @traitlets.observe("counts")
    def _show_counts(self, _: Any = None) -> None:
        if self._counts_fold is not None and not self._closed:
            self._counts_fold.show(self.counts)
            self._count_soon()

    @traitlets.observe("row")
    def _count_of_row(self, _: Any = None) -> None:
        if self.neighbour_counts is not None and not self._closed:
            self._counts_line.value = self.neighbour_counts.words(self.row)
            if self._counts_figure is not None:
                self._paint(self._mark_counts, "counts marks")

    def _mark_counts(self) -> None:
        with self._counts_pane.batch():
            self._counts_figure.mark(self.row)

    def _count_soon(self) -> None:
        """Count at the present threshold, in the background; the latest wins."""
        if self._counts_fold is not None and not self._closed:
            self._submit(self._count, key="counts")

    def _count(self, progress: Progress, cancel: Cancel) -> None:
        picture = self._picture
        if picture is None:
            return
        found = self._counts_at(picture)
        with self._lock:
            cancel.checkpoint()  # under the lock: nothing late is drawn
            if self._picture is None or self._picture.found is not picture.found or self._closed:
                return
            self.set_trait("neighbour_counts", found)
            self._counts_of = (picture.found, found.threshold, found.power)
            self._counts_line.value = found.words(self.row)
            self._fit_slider(picture)
            if self.counts and self._counts_drawn is not found:
                self._draw_counts(found)

    def _fit_slider(self, picture: Picture) -> None:
        """Let the slider span the similarities there are, where these do not end at -1 and 1."""
        control: Any = self._controls["threshold"]
        low, high = (-1.0, 1.0) if picture.is_cosine else picture.entries.histogram()[1][[0, -1]].tolist()
        if (control.widget.min, control.widget.max) != (low, high):
            control.set_bounds(low, high)
            control.widget.step = (high - low) / 200

    def _counts_at(self, picture: Picture) -> Counts:
        """Counts at the present threshold and power; those in hand where they are of these."""
        threshold, power, held = self.threshold, self.power, self._counts_of
        if held is not None and held[0] is picture.found and held[1:] == (threshold, power):
            return self.neighbour_counts  # type: ignore[no-any-return]
        entries = picture.entries
        return Counts(
            hard=entries.hard(threshold),
            soft=entries.soft(),
            less_soft=entries.less_soft(power),
            near=entries.near(threshold),
            threshold=threshold,
            power=power,
            exact=entries.exact_counts,
        )

    def _draw_counts(self, found: Counts) -> None:
        fold = self._counts_fold
        if fold is None:
            return
        if not fold.is_filled:
            self._counts_figure = CountsScene(self._source.samples.sprites)
            self._counts_figure.on_inputs(self._counts_boxed)
            self._counts_figure.on_sample(lambda sample: self._paint(lambda: self._go(sample), "pick"))
            pane = BokehPane(
                self._counts_figure.root,
                lock=self._lock,
                on_error=self._fail,
                label="Histograms of neighbour counts",
            )
            self._counts_pane = pane
            fold.fill([pane])
        with self._counts_pane.batch():
            self._counts_figure.draw(found.named, _SELF if found.exact else f"{_SELF} {_BINNED}")
            self._counts_figure.mark(self.row)
        self._counts_drawn = found

    def _counts_boxed(self, ids: list[int]) -> None:
        self._paint(lambda: setattr(self, "selection", tuple(ids)), "lasso")

    def _exported_parts(self) -> list[LayoutDOM]:
        parts: list[LayoutDOM] = super()._exported_parts()  # type: ignore[misc]
        if self.counts and self._counts_figure is not None:
            parts.append(self._counts_figure.root)
        return parts
