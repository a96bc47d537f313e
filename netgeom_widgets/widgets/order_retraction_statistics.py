"""Runs by the tile that they start in: does it predict the result? Distributions, a test, a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from bokeh.models import Column, LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_colours import NodeColours
from netgeom_widgets.figures.order_retraction_statistics import TileStatisticsFigure, p_words
from netgeom_widgets.figures.order_retraction_tables import TileTable
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.order_retraction_parts import PlotParts, Take
from netgeom_widgets.widgets.order_retraction_words import counted
from netgeom_widgets.widgets.part import Part, Publish

if TYPE_CHECKING:
    from netgeom_widgets.widgets.order_retraction_picture import Picture


class StatisticsPart(Part):
    """A violin per tile and quantity with a permutation test, and a row per tile; a row selects its runs."""

    key = "statistics"
    title = "Runs by tile"
    tooltip = "Compare what became of the runs between the tiles in which they start"

    def __init__(self, quantities: Sequence[str], take: Take, colours: Callable[[], NodeColours | None]) -> None:
        self._quantities, self._take, self._colours = quantities, take, colours
        self._found: Any = None

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """Statistics and tests."""
        from netgeom_widgets.kernels.order_retraction import tile_statistics

        quantities = subject.source.per_run
        return tile_statistics(subject.retraction, subject.starts, quantities, progress=progress, cancel=cancel)

    def make(self) -> LayoutDOM:
        """Violins over the table."""
        self._figure, self._table = TileStatisticsFigure(), TileTable(self._quantities)
        self._table.on_row(self._picked)
        return Column(self._figure.root, self._table.root, sizing_mode="stretch_width")

    def _picked(self, row: int) -> None:
        if self._found is not None:
            self._take(self._found.runs(int(self._found.tiles[row])).tolist())

    def pictured(self, root: LayoutDOM) -> LayoutDOM | None:
        """The violins."""
        return self._figure.root if self._quantities else None

    def draw(self, found: Any, subject: Picture) -> None:
        """Violins and table."""
        self._found = found
        self._figure.show(found, self._colours())
        self._table.draw(found)

    def words(self, found: Any, subject: Picture) -> str:
        """What the tests found."""
        tiles = f"{counted(len(found.tile), 'run')} in {counted(len(found.tiles), 'tile')}"
        click = "A click on a row selects its runs."
        if not found.tests:
            return f"{tiles}. {click} Nothing to compare: give per_run={{'accuracy': ...}}, or record metrics."
        told = "; ".join(_tested(name, test) for name, test in found.tests.items())
        several = f" Together (Holm): {_together(found.adjusted_p)}." if len(found.tests) > 1 else ""
        return f"{tiles}. Does the tile of the start predict the result? {told}.{several} {click}"

    def arrays(self, found: Any) -> dict[str, Any]:
        """Tile of each run, statistics of each tile, p of each quantity."""
        tests = {f"{name} p": np.array(test.p) for name, test in found.tests.items()}
        return {"run_tile": found.tile, **found.table(), **tests}


class StatisticsPanel(PlotParts):
    """The fold on statistics of the tiles."""

    statistics = traitlets.Bool(False, help="Whether runs are compared between tiles.").tag(
        setting="mark", needs="runs, no map given as such"
    )

    def _make_parts(self) -> list[Part]:
        parts, source = super()._make_parts(), self._source  # type: ignore[attr-defined]
        if source.is_map:
            return parts
        colours = lambda: self._figure.colours  # type: ignore[attr-defined]  # noqa: E731
        return [*parts, StatisticsPart(tuple(source.per_run), self._select_runs, colours)]


def _tested(name: str, test: Any) -> str:
    if not np.isfinite(test.p):
        return f"{name}: nothing to compare"
    return f"{name}: {p_words(test.p)}, the tile explains {number(100 * test.explained)} % of its variance"


def _together(adjusted: dict[str, float]) -> str:
    return ", ".join(f"{name} {p_words(p)}" for name, p in adjusted.items() if np.isfinite(p)) or "nothing"
