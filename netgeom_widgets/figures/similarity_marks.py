"""Marks on the picture of a matrix: a row, a pair, borders between classes."""

from __future__ import annotations

from collections.abc import Iterable

from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from netgeom_widgets.figures.theme import GRID, PICKED


class MatrixMarks:
    """Marks, by places in the picture; every mark keeps its width on the screen, so that it is seen at any zoom.

    Parameters
    ----------
    plot : bokeh.plotting.figure
        Row r fills the vertical interval r..r + 1, column c the horizontal one c..c + 1.
    """

    def __init__(self, plot: figure) -> None:
        self._borders = ColumnDataSource({"x0": [], "y0": [], "x1": [], "y1": []})
        self._row = ColumnDataSource({"left": [], "right": [], "top": [], "bottom": []})
        self._cell, self._ring = (ColumnDataSource({"x": [], "y": []}) for _ in range(2))
        plot.segment("x0", "y0", "x1", "y1", source=self._borders, line_color=GRID, line_width=1)
        for colour, width in (("#ffffff", 3.5), (PICKED, 1.5)):
            outline = {"fill_color": None, "line_color": colour, "line_width": width, "line_join": "round"}
            plot.quad("left", "right", "top", "bottom", source=self._row, **outline)
            plot.rect("x", "y", width=1, height=1, source=self._cell, **outline)
            plot.scatter("x", "y", size=13, source=self._ring, fill_color=None, line_color=colour, line_width=width)

    def row(self, place: int | None, columns: int) -> None:
        """Outline a row of so many columns; None outlines none."""
        at = {"left": 0.0, "right": float(columns), "top": place, "bottom": None if place is None else place + 1}
        _set(self._row, {name: [] if place is None else [value] for name, value in at.items()})

    def pair(self, place: tuple[int, int] | None) -> None:
        """Outline a cell (row, column), and draw a ring around it; None draws neither."""
        at = {"x": [], "y": []} if place is None else {"x": [place[1] + 0.5], "y": [place[0] + 0.5]}
        _set(self._cell, at)
        _set(self._ring, at)

    def borders(self, rows: Iterable[int], columns: Iterable[int], shape: tuple[int, int]) -> None:
        """Lines below these rows and right of these columns."""
        down, right = [float(at) for at in rows], [float(at) for at in columns]
        height, width = (float(size) for size in shape)
        _set(
            self._borders,
            {
                "x0": [0.0] * len(down) + right,
                "x1": [width] * len(down) + right,
                "y0": down + [0.0] * len(right),
                "y1": down + [height] * len(right),
            },
        )


def _set(source: ColumnDataSource, columns: dict[str, list]) -> None:
    if dict(source.data) != columns:
        source.data = columns
