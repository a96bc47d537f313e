"""The runs of an order retraction plot, and its tiles, as tables that are sorted by a click on a column's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from netgeom_widgets.figures.tables import PickTable, make_columns

#: How a tile is called that is none: the join rule finds no value, nothing recurrent is reached, outside the domain.
UNDECIDED, LEAVES, OUTSIDE = "undecided", "leaves", "outside"


def tile_names(node: np.ndarray, status: np.ndarray, cells: np.ndarray) -> list[str]:
    """What the tiles of some cells are called.

    Parameters
    ----------
    node, status : (cells of the grid,) int
        Of an order retraction.
    cells : (n,) int
        -1 for a place outside the domain.
    """
    return [
        OUTSIDE if cell < 0 else str(node[cell]) if node[cell] >= 0 else LEAVES if status[cell] == 3 else UNDECIDED
        for cell in np.asarray(cells).tolist()
    ]


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
            Names of the tiles in which they start and end, see :func:`tile_names`.
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

    def draw(
        self, tiles: Sequence[str], runs: Sequence[int], quantities: Mapping[str, Mapping[str, np.ndarray]]
    ) -> None:
        """Show the tiles.

        Parameters
        ----------
        tiles : sequence of t str
        runs : sequence of t int
            How many start there.
        quantities : mapping of name to {"mean", "sd", "median": (t,) float}
            As they were named in the constructor.
        """
        columns: dict[str, Any] = {"tile": list(tiles), "runs": [int(count) for count in runs]}
        for at, found in enumerate(quantities.values()):
            columns |= {f"{short}{at}": np.asarray(found[short], dtype=float) for short in ("mean", "sd", "median")}
        self._table.fill(columns)

    def on_tile(self, act: Callable[[str], None]) -> None:
        """Call with the name of the tile whose row the user picks."""
        self._table.on_pick(lambda row: act(str(self._table.data["tile"][row])))
