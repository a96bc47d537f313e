"""The regions of a partition as a table that is sorted by a click on a column's head, and their summary as one."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    InlineStyleSheet,
    NumberFormatter,
    ScientificFormatter,
    TableColumn,
)
from jaxtyping import Int

from netgeom_widgets.figures.region_quantities import QUANTITIES, in_words
from netgeom_widgets.figures.region_text import number

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition, Statistics

#: Colours of the notebook's theme; on a page without one those of a light ground.
TABLE_STYLE = """
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
_WHOLE, _DECIMAL = (
    {"format": "0,0", "text_align": "right"},
    {"precision": 4, "power_limit_low": -3, "power_limit_high": 5},
)


_SUMMARY_STYLE = "<style>.netgeom-summary.netgeom-summary th { max-width: none; }</style>"


class RegionTable:
    """A row per region; ``root`` is a Bokeh table, of which a browser draws only the rows in view.

    Parameters
    ----------
    height : int
        In pixels.
    """

    def __init__(self, height: int = 260) -> None:
        kinds = {q.key: NumberFormatter(**_WHOLE) if q.whole else decimal_formatter() for q in QUANTITIES}
        columns = [_column("region", "region", NumberFormatter(**_WHOLE), 64)]
        columns += [
            _column(q.key, q.name, kinds[q.key], max(60 if q.whole else 84, 32 + 6 * len(q.name))) for q in QUANTITIES
        ]
        columns += [
            _column(key, title, NumberFormatter(**_WHOLE), width)
            for key, title, width in (
                ("class", "class", 70),
                ("layer", "layer of birth", 96),
                ("samples", "samples", 80),
            )
        ]
        self._source = ColumnDataSource({column.field: [] for column in columns})
        self.root = DataTable(
            source=self._source, columns=columns, height=height, sizing_mode="stretch_width", index_position=None,
            sortable=True, selectable=True, reorderable=False, scroll_to_selection=True, row_height=24,
            autosize_mode="none", stylesheets=[InlineStyleSheet(css=TABLE_STYLE)],
        )  # fmt: skip
        self._showing = False
        self._callbacks: list[Callable[[int], None]] = []
        self._source.selected.on_change("indices", self._selected)

    def draw(self, partition: Partition, statistics: Statistics, held: Int[np.ndarray, " R"] | None = None) -> None:
        """Show the regions of a complete partition, none picked.

        Parameters
        ----------
        partition : Partition
        statistics : Statistics
            Its own.
        held : (R,) int, optional
            How many samples project into each region; without data there is no such column.
        """
        self._showing = True
        try:
            self._source.selected.indices = []
            self._source.data = region_columns(partition, statistics, held)
        finally:
            self._showing = False
        for column in self.root.columns:
            if column.field == "samples":
                column.visible = held is not None

    def mark(self, region: int | None) -> None:
        """Select the row of a region and bring it into view, or none."""
        rows = [] if region is None or region >= len(self._source.data["region"]) else [region]
        if list(self._source.selected.indices) == rows:
            return
        self._showing = True
        try:
            self._source.selected.indices = rows
        finally:
            self._showing = False

    def on_region(self, act: Callable[[int], None]) -> None:
        """Call with the region whose row the user picks."""
        self._callbacks.append(act)

    def _selected(self, attr: str, old: list[int], new: list[int]) -> None:
        if self._showing or not new:
            return
        added = [row for row in new if row not in old] or new
        for act in self._callbacks:
            act(int(self._source.data["region"][added[-1]]))


def region_columns(
    partition: Partition, statistics: Statistics, held: Int[np.ndarray, " R"] | None = None
) -> dict[str, np.ndarray]:
    """Columns with an entry per region: its quantities, class, layer of birth (from 1, 0: never cut), samples held."""
    n = partition.n_regions
    return {
        "region": np.arange(n, dtype=np.int32),
        **{q.key: np.asarray(getattr(statistics, q.key), np.int32 if q.whole else np.float64) for q in QUANTITIES},
        "class": np.asarray(partition.classes, dtype=np.int32),
        "layer": np.asarray(partition.births, dtype=np.int32) + 1,
        "samples": np.zeros(n, dtype=np.int32) if held is None else np.asarray(held, dtype=np.int32),
    }


def summary_html(partition: Partition, statistics: Statistics, name: str = "") -> str:
    """Mean, standard deviation, least and greatest value of each quantity, and the numbers of the whole slice.

    ``name`` says which network it is, where there are several.
    """
    summary, length = statistics.summary, "input units" if statistics.metric else "(s, t) units"
    heads = "".join(f"<th>{head}</th>" for head in ("", "mean", "std", "min", "max"))
    rows = "".join(_summary_row(q.label(metric=statistics.metric), q.key, summary) for q in QUANTITIES)
    boundary = partition.decision_boundary()
    whole = [
        ("regions", f"{partition.n_regions:,}"),
        ("decision boundary", f"{number(boundary.length)} {length}, {len(boundary.segments):,} pieces"),
        ("slope norm, weighted by area", number(summary["slope_norm_area_weighted_mean"])),
        ("area of the slice", f"{number(float(np.sum(partition.areas)))} {length}²"),
    ]
    facts = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in whole)
    title = f"<b>{escape(name)}</b>" if name else ""
    return (
        f"<div class='netgeom-detail netgeom-summary'>{_SUMMARY_STYLE}{title}<table>{facts}</table>"
        f"<table class='netgeom-map'><tr>{heads}</tr>{rows}</table></div>"
    )


def _summary_row(label: str, key: str, summary: dict[str, float]) -> str:
    cells = [summary[f"{key}_{reduction}"] for reduction in ("mean", "std", "min", "max")]
    return f"<tr><th>{label}</th>" + "".join(f"<td>{in_words(value)}</td>" for value in cells) + "</tr>"


def decimal_formatter() -> ScientificFormatter:
    """Four digits after the point, or a power of ten where that is shorter."""
    return ScientificFormatter(**_DECIMAL, text_align="right", nan_format="undefined")


def _column(field: str, title: str, formatter: Any, width: int) -> TableColumn:
    return TableColumn(field=field, title=title, formatter=formatter, width=width)
