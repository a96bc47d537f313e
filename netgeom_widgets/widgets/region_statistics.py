"""Mixin of the region explorer: the regions in numbers, as a summary, histograms and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_statistics import StatisticsFigure
from netgeom_widgets.figures.region_table import RegionTable, summary_html
from netgeom_widgets.figures.region_text import DETAIL_STYLE
from netgeom_widgets.widgets.folds import Fold
from netgeom_widgets.widgets.pane import BokehPane

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition, Statistics
    from netgeom_widgets.widgets.region_view import Prepared

_KEY = "statistics"  # of the jobs: the latest wins
_DEBOUNCE = 0.15  # seconds; spares the statistics of results that pass by while a slider is dragged


class StatisticsPanel(traitlets.HasTraits):
    """What the statistics of the picked result show; computed in the background, and only while it is open.

    The picked region is marked in the histograms and selected in the table; a click on a row picks its region. Two
    networks are outlined over each other; the table is that of the first.
    """

    statistics = traitlets.Bool(False, help="Whether histograms, summary and the table of regions are shown.").tag(
        setting="mark"
    )

    _statistics_of: tuple[tuple[Partition, Statistics], ...] = ()  # what is drawn, of each network
    _statistics_fold: Fold | None = None

    def _panels(self) -> list[ipywidgets.Widget]:
        self._statistics_fold = Fold(
            "Statistics", "Show histograms, a summary and the table of regions", self._open_statistics
        )
        return [*super()._panels(), self._statistics_fold]  # type: ignore[misc]  # of AnalysisWidget

    def _open_statistics(self, wanted: bool) -> None:
        self.statistics = wanted

    @traitlets.observe("statistics", "result", "against_result")
    def _update_statistics(self, _: Any = None) -> None:
        """Show what the traits say; nothing is computed for a panel that is closed."""
        fold = self._statistics_fold
        if fold is None or self._closed:
            return
        fold.show(self.statistics)
        if self.statistics and self.result is not None:
            self._submit(self._draw_statistics, key=_KEY, debounce=_DEBOUNCE)

    def _start(self, settings: dict[str, Any], debounce: float) -> None:
        self._worker.cancel(_KEY)  # of a result that is about to be replaced
        super()._start(settings, debounce)  # type: ignore[misc]

    @traitlets.observe("status")
    def _statistics_of_last_good(self, change: Any) -> None:
        """After a run that came to nothing the result is still there, and its statistics may have been cancelled."""
        if change["new"] in ("error", "cancelled"):
            self._update_statistics()

    @traitlets.observe("region")
    def _mark_statistics(self, _: Any = None) -> None:
        if self._statistics_of and self.statistics:
            self._paint(self._mark_in_statistics, "statistics marks")

    def _fill_statistics(self, fold: Fold, names: Sequence[str]) -> None:
        """Make the parts, once."""
        self._summary_text = ipywidgets.HTML()
        self._histograms, self._table = StatisticsFigure(), RegionTable()
        self._table.on_region(lambda region: self._paint(lambda: self._go(region), "pick"))
        options = {"lock": self._lock, "on_error": self._fail}
        self._histogram_pane = BokehPane(self._histograms.root, label="Histograms of the regions", **options)
        self._table_pane = BokehPane(self._table.root, label="Table of the regions", **options)
        whose = f"Regions of the network named {names[0]}. " if len(names) > 1 else ""
        hint = ipywidgets.Label(f"{whose}A click on a column's head sorts, a click on a row picks its region.")
        hint.add_class("netgeom-status")
        fold.fill([self._summary_text, self._histogram_pane, hint, self._table_pane])

    def _draw_statistics(self, progress: Progress, cancel: Cancel) -> None:
        fold, finished = self._statistics_fold, [side for side in self._sides if side.prepared is not None]
        if not finished or fold is None or not self.statistics:
            return
        found = [side.prepared.result for side in finished]
        if [partition for partition, _ in self._statistics_of] != found:
            names = [side.name or "regions" for side in finished]
            measured = [(partition, partition.statistics()) for partition in found]
            cancel.checkpoint()
            summary = "".join(
                summary_html(*one, name if len(found) > 1 else "") for name, one in zip(names, measured, strict=True)
            )
            held = self._samples_held(finished[0].prepared)
            cancel.checkpoint()
            with self._lock:
                cancel.checkpoint()  # under the lock: nothing late is ever shown
                if not fold.is_filled:
                    self._fill_statistics(fold, names)
                self._statistics_of = tuple(measured)
                self._summary_text.value = DETAIL_STYLE + summary
                with self._histogram_pane.batch():
                    self._histograms.draw(dict(zip(names, [statistics for _, statistics in measured], strict=True)))
                    counts = [partition.region_counts for partition in found]
                    self._histograms.draw_layers(dict(zip(names, counts, strict=True)), found[0].ops)
                with self._table_pane.batch():
                    self._table.draw(*measured[0], held)
        self._mark_in_statistics()

    def _samples_held(self, prepared: Prepared) -> np.ndarray | None:
        """How many samples project into each region; None without data."""
        regions = prepared.sample_regions
        return np.bincount(regions[regions >= 0], minlength=prepared.result.n_regions) if len(self._points) else None

    def _mark_in_statistics(self) -> None:
        with self._lock:
            if not self._statistics_of or self._closed or self._statistics_of[0][0] is not self.result:
                return
            found, statistics = self._statistics_of[0]
            region = self.region if self.region is not None and self.region < found.n_regions else None
            with self._histogram_pane.batch():
                self._histograms.mark(region, statistics)
            with self._table_pane.batch():
                self._table.mark(region)

    def _exported_parts(self) -> list[LayoutDOM]:
        parts = super()._exported_parts()  # type: ignore[misc]
        if self.statistics and self._statistics_of:
            parts.append(self._histograms.root)
        return parts

    def close(self) -> None:
        """Close the widget; see :meth:`AnalysisWidget.close`."""
        super().close()  # type: ignore[misc]
        self._statistics_of = ()
