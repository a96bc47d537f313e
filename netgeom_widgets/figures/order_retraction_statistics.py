"""Runs by the tile that they start in: a violin for each tile, a panel for each quantity, its test in the title."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import LayoutDOM

from netgeom_widgets.figures.order_retraction_colours import ENDS, NodeColours
from netgeom_widgets.figures.plots import literal, number, wrapping_row
from netgeom_widgets.figures.violins import GROUPS, ViolinPanel

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import GroupTest, TileStatistics

#: Letters of a quantity's name in a title with a p value.
_NAME = 20


class TileStatisticsFigure:
    """A panel for each quantity; ``root`` is a Bokeh row.

    Parameters
    ----------
    height : int
        Of a panel without its caption, in pixels.
    """

    def __init__(self, height: int = 240) -> None:
        self._height = height
        self._panels: list[ViolinPanel] = []
        self.root = wrapping_row(spacing=6)

    def show(self, statistics: TileStatistics, colours: NodeColours | None = None) -> None:
        """Show how each quantity is distributed in each tile, tiles as the phase plane colours them.

        Parameters
        ----------
        statistics : TileStatistics
        colours : NodeColours, optional
            Of the retraction's nodes; without it all tiles look the same.

        Notes
        -----
        Of more than 24 tiles those with the most runs are shown.
        """
        tiles, counts = np.asarray(statistics.tiles), np.asarray(statistics.n_runs)
        kept = np.sort(np.argsort(-counts, kind="stable")[:GROUPS])
        names = [tile_name(tile) for tile in tiles[kept].tolist()]
        fills = {} if colours is None else dict(zip(names, tile_fills(tiles[kept], colours), strict=True))
        while len(self._panels) < len(statistics.quantities):
            self._panels.append(ViolinPanel(self._height))
        runs = {
            name: np.asarray(statistics.runs(int(tiles[at]))) for name, at in zip(names, kept.tolist(), strict=True)
        }
        fewer = f"Shown: the {len(kept)} tiles with the most runs of {len(tiles)}." if len(kept) < len(tiles) else ""
        panels = self._panels[: len(statistics.quantities)] if len(tiles) else []
        for panel, (quantity, values) in zip(panels, statistics.quantities.items(), strict=True):
            test = statistics.tests[quantity]
            panel.show(
                {f"{name} ({len(rows)})": np.asarray(values)[rows] for name, rows in runs.items()},
                quantity=quantity, of="node of the tile (runs)", title=_title(quantity, test),
                colours={f"{name} ({len(rows)})": fills[name] for name, rows in runs.items() if name in fills},
                names={f"{name} ({len(rows)})": rows.tolist() for name, rows in runs.items()},
                note=" ".join(filter(None, [tested_words(test), fewer])),
            )  # fmt: skip
        roots = [panel.root for panel in panels]
        if list(self.root.children) != roots:
            self.root.children = roots


def tile_name(tile: int) -> str:
    """A short name of a tile: the number of its node, or what it is without one."""
    return str(tile) if tile >= 0 else {-1: "undecided", -2: "no node", -3: "outside"}.get(tile, str(tile))


def tile_fills(tiles: np.ndarray, colours: NodeColours) -> list[str]:
    """Colour of each tile; grey for what is no tile of a node."""
    return [colours.names[tile] if 0 <= tile < len(colours.names) else ENDS for tile in np.asarray(tiles).tolist()]


def p_words(p: float) -> str:
    """A p value as it is written: not more digits than it has."""
    return "p not defined" if not np.isfinite(p) else "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def tested_words(test: GroupTest) -> str:
    """What a test of the tiles found, in words."""
    if not np.isfinite(test.p):
        return "Nothing to compare: one tile only, or no spread."
    how = "all" if test.exact else f"{test.arrangements:,} random"
    share = f"The tile explains {number(100 * test.explained)} % of the variance"
    return f"{share}; {p_words(test.p)} by {how} arrangements of {test.n_runs} runs over {test.n_groups} tiles."


def tile_statistics_plot(
    statistics: TileStatistics, colours: NodeColours | None = None, *, height: int = 240
) -> LayoutDOM:
    """Runs by tile, for scripts and notebooks; see `TileStatisticsFigure.show`.

    Examples
    --------
    >>> statistics = tile_statistics(retraction, starts, {"accuracy": accuracies})  # doctest: +SKIP
    >>> tile_statistics_plot(statistics, node_colours(retraction.decomposition))  # doctest: +SKIP
    """
    part = TileStatisticsFigure(height)
    part.show(statistics, colours)
    return part.root


def _title(quantity: str, test: GroupTest) -> str:
    name = literal(quantity)
    short = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
    return f"{short} by tile, {p_words(test.p)}"
