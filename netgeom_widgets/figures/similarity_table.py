"""Selected inputs as a table that is sorted by a click on a column's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    InlineStyleSheet,
    NumberFormatter,
    StringFormatter,
    TableColumn,
)

from netgeom_widgets.figures.region_table import TABLE_STYLE, decimal_formatter

_COLUMNS = (  # field, title, kind, width
    ("input", "input", "whole", 64),
    ("label", "label", "text", 80),
    ("predicted", "predicted", "whole", 76),
    ("text", "text", "text", 160),
    ("k", "k to the row", "decimal", 92),
    ("hard", "hard count", "whole", 88),
    ("soft", "soft count", "decimal", 88),
    ("less_soft", "less-soft count", "decimal", 110),
)


class InputTable:
    """A row per input; ``root`` is a Bokeh table, of which a browser draws only the rows in view.

    Parameters
    ----------
    height : int
        In pixels.
    """

    def __init__(self, height: int = 260) -> None:
        self._source = ColumnDataSource({field: [] for field, *_ in _COLUMNS})
        columns = [
            TableColumn(field=field, title=title, formatter=_formatter(kind), width=width)
            for field, title, kind, width in _COLUMNS
        ]
        self.root = DataTable(
            source=self._source, columns=columns, height=height, sizing_mode="stretch_width", index_position=None,
            sortable=True, selectable=True, reorderable=False, scroll_to_selection=True, row_height=24,
            autosize_mode="none", stylesheets=[InlineStyleSheet(css=TABLE_STYLE)],
        )  # fmt: skip
        self._showing = False
        self._callbacks: list[Callable[[int], None]] = []
        self._source.selected.on_change("indices", self._selected)

    def draw(self, columns: Mapping[str, Any]) -> None:
        """Show inputs, none picked.

        Parameters
        ----------
        columns : mapping of name to (m,) array
            ``input``, the ids; any of label, predicted, text, k (to the picked row), hard, soft, less_soft. Columns
            that are missing are not shown.
        """
        n = len(columns["input"])
        data = {field: list(columns[field]) if field in columns else [""] * n for field, *_ in _COLUMNS}
        self._showing = True
        try:
            self._source.selected.indices = []
            self._source.data = data
        finally:
            self._showing = False
        for column in self.root.columns:
            column.visible = column.field in columns

    def mark(self, sample: int | None) -> None:
        """Select the row of an input and bring it into view, or none."""
        ids = list(self._source.data["input"])
        rows = [ids.index(sample)] if sample in ids else []
        if list(self._source.selected.indices) == rows:
            return
        self._showing = True
        try:
            self._source.selected.indices = rows
        finally:
            self._showing = False

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of the input whose row the user picks."""
        self._callbacks.append(act)

    def _selected(self, attr: str, old: list[int], new: list[int]) -> None:
        if self._showing or not new:
            return
        added = [row for row in new if row not in old] or new
        for act in self._callbacks:
            act(int(self._source.data["input"][added[-1]]))


def _formatter(kind: str) -> Any:
    if kind == "decimal":
        return decimal_formatter()
    return NumberFormatter(format="0", text_align="right") if kind == "whole" else StringFormatter()


def table_columns(ids: np.ndarray, named: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns of some inputs, taken from arrays over all inputs; None is left out."""
    found: dict[str, list[Any]] = {"input": np.asarray(ids).tolist()}
    for name, values in named.items():
        if values is not None:
            found[name] = [values[i] for i in found["input"]] if isinstance(values, list) else values[ids].tolist()
    return found
