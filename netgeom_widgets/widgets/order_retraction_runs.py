"""The runs of an order retraction plot as a table: tiles at both ends, quantities; rows are the selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_tables import RunTable
from netgeom_widgets.widgets.order_retraction_parts import PlotParts, Take
from netgeom_widgets.widgets.part import Part, Publish

if TYPE_CHECKING:
    from netgeom_widgets.widgets.order_retraction_picture import Picture


class RunsPart(Part):
    """A row per run; selected rows are the selection, and the other way round."""

    key = "run_table"
    title = "Runs"
    tooltip = "List the runs with the tiles in which they start and end, and what is known of each"
    marks = ("selection",)

    def __init__(self, quantities: Sequence[str], take: Take) -> None:
        self._quantities, self._take = quantities, take

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> tuple[list[str], list[str]]:
        """Tiles of both ends."""
        from netgeom_widgets.kernels.order_retraction import tile_statistics

        found = [tile_statistics(subject.retraction, at, {}) for at in (subject.starts, subject.ends)]
        start, end = ([dict(zip(one.tiles, one.names, strict=True))[tile] for tile in one.tile] for one in found)
        return start, end

    def make(self) -> LayoutDOM:
        """A table."""
        self._table = RunTable(self._quantities)
        self._table.on_runs(self._take)
        return self._table.root

    def pictured(self, root: LayoutDOM) -> None:
        """A table is in no picture."""

    def draw(self, found: Any, subject: Picture) -> None:
        """Rows."""
        start, end = found
        self._table.draw(subject.source.run_words, start, end, subject.source.per_run)

    def mark(self, marks: dict[str, Any]) -> None:
        """Rows of the selected runs."""
        self._table.mark(marks["selection"])

    def words(self, found: Any, subject: Picture) -> str:
        """How many runs start where, and how to use the table."""
        tiles, counts = np.unique(np.array(found[0]), return_counts=True)
        told = ", ".join(f"{tile}: {count:,}" for tile, count in zip(tiles.tolist(), counts.tolist(), strict=True))
        how = "A click on a column's head sorts, a click on a row selects its run; Ctrl or Shift adds."
        return f"Runs by the tile of the start: {told}. {how}"

    def arrays(self, found: Any) -> dict[str, Any]:
        """Names of the tiles."""
        return {"start_tile": np.array(found[0]), "end_tile": np.array(found[1])}


class RunsPanel(PlotParts):
    """The fold with the table of runs."""

    run_table = traitlets.Bool(False, help="Whether the table of runs is shown.").tag(
        setting="mark", needs="runs, no map given as such"
    )

    def _make_parts(self) -> list[Part]:
        parts, source = super()._make_parts(), self._source  # type: ignore[attr-defined]
        return parts if source.is_map else [*parts, RunsPart(tuple(source.per_run), self._select_runs)]
