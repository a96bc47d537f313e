"""The regions of a partition as a table that is sorted by a click on a column's head, and their summary as one."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import TableColumn
from jaxtyping import Int

from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.region_quantities import QUANTITIES, in_words
from netgeom_widgets.figures.tables import PickTable, decimal_formatter, whole_formatter

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition, Statistics

_SUMMARY_STYLE = "<style>.netgeom-summary.netgeom-summary th { max-width: none; }</style>"


class RegionTable:
    """A row per region; ``root`` is a Bokeh table.

    Parameters
    ----------
    height : int
        In pixels.
    """

    def __init__(self, height: int = 260) -> None:
        columns = [_column("region", "region", 64, whole=True)]
        columns += [
            _column(q.key, q.name, max(60 if q.whole else 84, 32 + 6 * len(q.name)), whole=q.whole) for q in QUANTITIES
        ]
        columns += [
            _column(key, title, width, whole=True)
            for key, title, width in (
                ("class", "class", 70),
                ("layer", "layer of birth", 96),
                ("samples", "samples", 80),
            )
        ]
        self._table = PickTable(columns, height)
        self.root = self._table.root

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
        self._table.fill(region_columns(partition, statistics, held))
        for column in self.root.columns:
            if column.field == "samples":
                column.visible = held is not None

    def mark(self, region: int | None) -> None:
        """Select the row of a region and bring it into view, or none."""
        there = region is not None and region < len(self._table.data["region"])
        self._table.pick(region if there else None)

    def on_region(self, act: Callable[[int], None]) -> None:
        """Call with the region whose row the user picks."""
        self._table.on_pick(lambda row: act(int(self._table.data["region"][row])))


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


def _column(field: str, title: str, width: int, *, whole: bool) -> TableColumn:
    formatter = whole_formatter() if whole else decimal_formatter()
    return TableColumn(field=field, title=title, formatter=formatter, width=width)
