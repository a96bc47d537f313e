"""Tables: their look, how numbers are written in them, and tables of which the user picks a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bokeh.models import (
    ColumnDataSource,
    DataTable,
    InlineStyleSheet,
    NumberFormatter,
    ScientificFormatter,
    StringFormatter,
    TableColumn,
)

#: Colours of the notebook's theme; on a page without one those of a light ground.
_STYLE = """
:host { --text: var(--jp-ui-font-color1, #222); --ground: var(--jp-layout-color0, #fff);
  --other: var(--jp-layout-color1, #f7f7f7); --line: var(--jp-border-color2, #ddd); }
.bk-data-table, .slick-viewport, .slick-pane { background: var(--ground); color: var(--text); }
.slick-header-columns, .slick-header-column.slick-header-column, .slick-header-column.ui-state-default {
  background: var(--other); color: var(--text); border-color: var(--line); font-weight: 600; }
.slick-header-column:hover { text-decoration: underline; }
.slick-row, .slick-row.odd, .slick-row.even { background: var(--ground); color: var(--text); }
.slick-row.odd { background: var(--other); }
.slick-cell.slick-cell { border-color: var(--line); }
.slick-cell.selected.selected, .slick-row .slick-cell.selected {
  background: #e6007e; color: #fff; }
.slick-row:hover .slick-cell:not(.selected) { background: var(--jp-layout-color2, #eee); }
"""


def make_table(columns: Sequence[TableColumn], height: int, **options: Any) -> DataTable:
    """A table of these columns without a row as yet; a browser draws only the rows in view."""
    return DataTable(
        source=ColumnDataSource({column.field: [] for column in columns}), columns=list(columns), height=height,
        sizing_mode="stretch_width", index_position=None, reorderable=False, row_height=24, autosize_mode="none",
        stylesheets=[InlineStyleSheet(css=_STYLE)], **options,
    )  # fmt: skip


def whole_formatter(format: str = "0,0") -> NumberFormatter:
    """Whole numbers, aligned to the right."""
    return NumberFormatter(format=format, text_align="right")


def decimal_formatter() -> ScientificFormatter:
    """Four digits after the point, or a power of ten where that is shorter."""
    return ScientificFormatter(
        precision=4, power_limit_low=-3, power_limit_high=5, text_align="right", nan_format="undefined"
    )


def make_columns(columns: Iterable[tuple[str, str, str, int]]) -> list[TableColumn]:
    """Columns from (field, title, "whole" | "decimal" | "text", width in pixels); a title may hold a user's words."""
    formatters = {"whole": lambda: whole_formatter("0"), "decimal": decimal_formatter, "text": StringFormatter}
    return [
        TableColumn(field=field, title=escape(title), formatter=formatters[kind](), width=width)
        for field, title, kind, width in columns
    ]


class PickTable:
    """A table that is sorted by a click on a column's head, and of which the user picks a row.

    Parameters
    ----------
    columns : sequence of TableColumn
    height : int
        In pixels.

    Attributes
    ----------
    root : bokeh.models.DataTable
    """

    def __init__(self, columns: Sequence[TableColumn], height: int) -> None:
        self.root = make_table(columns, height, sortable=True, selectable=True, scroll_to_selection=True)
        self._is_ours = False  # a change of the picked row that Python makes

    @property
    def data(self) -> Mapping[str, Any]:
        """The columns that are shown, in the order that they were given in."""
        return self.root.source.data

    def fill(self, data: Mapping[str, Any]) -> None:
        """Show rows, none picked."""
        self._is_ours = True
        try:
            self.root.source.selected.indices = []
            self.root.source.data = dict(data)
        finally:
            self._is_ours = False

    def pick(self, row: int | None) -> None:
        """Select a row and bring it into view, or none."""
        self.mark([] if row is None else [row])

    def mark(self, rows: Sequence[int]) -> None:
        """Select these rows and no others."""
        rows = list(rows)
        if list(self.root.source.selected.indices) == rows:
            return
        self._is_ours = True
        try:
            self.root.source.selected.indices = rows
        finally:
            self._is_ours = False

    def on_pick(self, act: Callable[[int], None]) -> None:
        """Call with the row that the user picks; of several the one added."""

        def selected(attr: str, old: list[int], new: list[int]) -> None:
            if not self._is_ours and new:
                added = [row for row in new if row not in old] or new
                act(added[-1])

        self.root.source.selected.on_change("indices", selected)

    def on_rows(self, act: Callable[[list[int]], None]) -> None:
        """Call with all rows that are selected when the user has changed them; with Ctrl or Shift there are several."""

        def selected(attr: str, old: list[int], new: list[int]) -> None:
            if not self._is_ours:
                act(sorted(new))

        self.root.source.selected.on_change("indices", selected)


class NumberedTable:
    """A table with a row per thing that has a number, in its first column; columns without values are hidden.

    Parameters
    ----------
    columns : sequence of (field, title, kind, width)
        As `make_columns` takes them; the numbers stand in the first.
    height : int
        In pixels.

    Attributes
    ----------
    root : bokeh.models.DataTable
    """

    def __init__(self, columns: Sequence[tuple[str, str, str, int]], height: int) -> None:
        self._fields = [field for field, *_ in columns]
        self._table = PickTable(make_columns(columns), height)
        self.root = self._table.root

    def fill(self, columns: Mapping[str, Any]) -> None:
        """Show columns of equal length, the numbers among them; no row is picked."""
        empty = [""] * len(columns[self._fields[0]])
        self._table.fill({field: list(columns.get(field, empty)) for field in self._fields})
        for column in self.root.columns:
            column.visible = column.field in columns

    def pick(self, number: int | None) -> None:
        """Select the row with a number and bring it into view, or none."""
        numbers = [int(one) for one in self._table.data[self._fields[0]]]
        self._table.pick(numbers.index(number) if number in numbers else None)

    def on_pick(self, act: Callable[[int], None]) -> None:
        """Call with the number of the row that the user picks."""
        self._table.on_pick(lambda row: act(int(self._table.data[self._fields[0]][row])))
