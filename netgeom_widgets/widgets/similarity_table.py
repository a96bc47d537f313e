"""Mixin of the similarity matrix: the selected inputs as a table."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import traitlets

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.similarity_table import InputTable, table_columns
from netgeom_widgets.widgets.folds import Fold
from netgeom_widgets.widgets.pane import BokehPane
from netgeom_widgets.widgets.similarity_details import predictions
from netgeom_widgets.widgets.similarity_picture import Picture
from netgeom_widgets.widgets.similarity_source import Source


class SelectionTable(traitlets.HasTraits):
    """A table that is filled only while it is open: the selection, or all inputs when nothing is selected."""

    table = traitlets.Bool(False, help="Whether the table of the selected inputs is shown.").tag(setting="mark")

    _source: Source
    _picture: Picture | None = None
    _table_fold: Fold | None = None
    _table_of: tuple[Any, ...] = ()

    def _panels(self) -> list[ipywidgets.Widget]:
        self._table_fold = Fold("Table", "Show the selected inputs, or all, in a table", self._open_table)
        return [*super()._panels(), self._table_fold]  # type: ignore[misc]  # of AnalysisWidget

    def _open_table(self, wanted: bool) -> None:
        self.table = wanted

    @traitlets.observe("table", "selection", "row", "neighbour_counts")
    def _table_soon(self, _: Any = None) -> None:
        if self._table_fold is None or self._closed:
            return
        self._table_fold.show(self.table)
        if self.table and self._picture is not None:
            self._submit(self._fill_table, key="table", debounce=0.1)

    def _fill_table(self, progress: Progress, cancel: Cancel) -> None:
        picture, counts, row = self._picture, self.neighbour_counts, self.row
        selection: tuple[int, ...] = self.selection
        wanted = (picture, counts, row, selection)
        if picture is None or not self.table or self._table_of == wanted:
            return
        ids = np.array(selection, dtype=np.int64) if selection else picture.order
        samples = self._source.samples
        columns = table_columns(
            ids,
            {
                "label": samples.known.names if samples.labels is not None else None,
                "predicted": predictions(picture),
                "text": samples.texts,
                "k": None if row is None else picture.entries.row(row),
                **{name: None if counts is None else getattr(counts, name) for name in ("hard", "soft", "less_soft")},
            },
        )
        with self._lock:
            cancel.checkpoint()  # under the lock: nothing late is drawn
            fold = self._table_fold
            if self._picture is not picture or fold is None or self._closed:
                return
            if not fold.is_filled:
                self._make_table(fold)
            with self._table_pane.batch():
                self._input_table.fill(columns)
                self._input_table.pick(row)
            self._table_said.value = (
                f"{len(selection):,} selected inputs." if selection else f"All {len(ids):,} inputs: none is selected."
            ) + " A click on a column's head sorts, a click on a row picks it."
            self._table_of = wanted

    def _make_table(self, fold: Fold) -> None:
        """Make the parts, once."""
        self._input_table = InputTable()
        self._input_table.on_pick(lambda sample: self._paint(lambda: self._go(sample), "pick"))
        self._table_pane = BokehPane(
            self._input_table.root,
            lock=self._lock,
            on_error=self._fail,
            label="Table of the selected inputs",
        )
        self._table_said = ipywidgets.Label()
        self._table_said.add_class("netgeom-status")
        fold.fill([self._table_said, self._table_pane])
