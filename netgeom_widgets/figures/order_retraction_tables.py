"""The runs of an order retraction plot, and its tiles, as tables that are sorted by a click on a column's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.figures.tables import PickTable, make_columns

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import TileStatistics


class RunTable:
    """A row per run: its tiles at the start and at the end, and the quantities known of it; ``root`` is a Bokeh table.

    Parameters
    ----------
    quantities : sequence of str
        Names of the quantities.
    height : int
        In pixels.
    """

    def __init__(self, quantities: Sequence[str] = (), height: int = 260) -> None:
        columns = [
            ("run", "run", "whole", 56),
            ("id", "id", "text", 150),
            ("start", "tile of the start", "text", 110),
            ("end", "tile of the end", "text", 104),
        ]
        columns += [(f"q{at}", name, "decimal", max(90, 30 + 7 * len(name))) for at, name in enumerate(quantities)]
        self._table = PickTable(make_columns(columns), height)
        self.root = self._table.root

    def draw(
        self, ids: Sequence[str], start: Sequence[str], end: Sequence[str], quantities: Mapping[str, np.ndarray]
    ) -> None:
        """Show the runs, in the order given, none selected.

        Parameters
        ----------
        ids : sequence of n str
        start, end : sequence of n str
            Names of the tiles in which they start and end.
        quantities : mapping of name to (n,) float
            As they were named in the constructor.
        """
        columns: dict[str, Any] = {
            "run": list(range(len(ids))),
            "id": list(ids),
            "start": list(start),
            "end": list(end),
        }
        columns |= {f"q{at}": np.asarray(values, dtype=float) for at, values in enumerate(quantities.values())}
        self._table.fill(columns)

    def mark(self, runs: Sequence[int]) -> None:
        """Select the rows of these runs and no others."""
        n = len(self._table.data["run"])
        self._table.mark([run for run in runs if run < n])

    def on_runs(self, act: Callable[[list[int]], None]) -> None:
        """Call with the runs whose rows are selected when the user has changed that."""
        self._table.on_rows(act)


class TileTable:
    """A row per tile: its runs, and the mean, deviation and median of each quantity; ``root`` is a Bokeh table.

    Parameters
    ----------
    quantities : sequence of str
    height : int
        In pixels.
    """

    def __init__(self, quantities: Sequence[str] = (), height: int = 150) -> None:
        columns = [("tile", "tile of the start", "text", 110), ("runs", "runs", "whole", 56)]
        for at, name in enumerate(quantities):
            for short, title in (("mean", "mean"), ("sd", "sd"), ("median", "median")):
                said = f"{name}: {title}"
                columns.append((f"{short}{at}", said, "decimal", max(84, 26 + 7 * len(said))))
        self._table = PickTable(make_columns(columns), height)
        self.root = self._table.root

    def draw(self, statistics: TileStatistics) -> None:
        """Show the tiles that hold a run, none picked; quantities as they were named in the constructor."""
        columns: dict[str, Any] = {"tile": list(statistics.names), "runs": statistics.n_runs}
        for at, found in enumerate(statistics.summary.values()):
            columns |= {f"{short}{at}": found[short] for short in ("mean", "sd", "median")}
        self._table.fill(columns)

    def on_row(self, act: Callable[[int], None]) -> None:
        """Call with the row, as in `TileStatistics.tiles`, that the user picks."""
        self._table.on_pick(act)
