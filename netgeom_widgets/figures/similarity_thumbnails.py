"""Thumbnails with two lines of words under each, where a caller puts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, make_plot
from netgeom_widgets.figures.similarity_ranking import INK, WRONG, Facts
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.taps import nearest_id
from netgeom_widgets.figures.theme import GRID, PICKED
from netgeom_widgets.figures.transition_marks import hover_html

_TILE = 40.0
#: Pixels of a line of words, of title, caption and borders, and that a thumbnail gets at most in a wide cell.
_LINE, _AROUND, _ROOM = 13, 66, 64
#: Pixels of a narrow cell.
_NARROW = 400.0


class Cell(NamedTuple):
    """One thumbnail: its column and row, whose it is, the words under it, and how it is framed."""

    column: float
    row: int
    sample: int
    words: str
    short: str
    is_wrong: bool = False
    is_first: bool = False


class ThumbnailPlot:
    """A plot of thumbnails; ``root`` is the Bokeh figure.

    Parameters
    ----------
    sprites : SpriteMarks
    measure : str
        What the first line under each is, for the hover box.
    second : str
        What the second label of a sample is, for the hover box.
    """

    def __init__(self, sprites: SpriteMarks, measure: str = "k", second: str = "prediction") -> None:
        self._sprites = sprites
        self._x, self._y = (Range1d(*ends, reset_start=ends[0], reset_end=ends[1]) for ends in ((0, 1), (1, 0)))
        self.root = make_plot(160, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None)
        self.root.axis.visible = self.root.grid.visible = False
        self.root.outline_line_color = None
        columns = ("x", "y", "id", "words", "short", "label", "second", "text", "tile", "edge", "width", "size", "ink")
        self.marks = ColumnDataSource({name: [] for name in columns})
        frames = self.root.scatter(
            "x", "y", source=self.marks, marker="square", size="size", fill_color=None, line_color="edge",
            line_width="width",
        )  # fmt: skip
        self._tiles = sprites.add(self.root, self.marks, _TILE)
        for at, (column, ink) in enumerate((("words", INK), ("short", "ink"))):
            self.root.text(
                "x", "y", column, source=self.marks, y_offset=_TILE / 2 + 4 + at * _LINE, text_align="center",
                text_baseline="top", text_font_size=SMALL, text_color=ink,
            )  # fmt: skip
        facts = [("input", "@id"), (measure, "@words"), ("label", "@label"), (second, "@second")]
        tips, formatters = hover_html(facts, True), {"@tile": sprites.hover()}
        self.root.add_tools(HoverTool(renderers=[frames], tooltips=tips, formatters=formatters))
        self.caption = add_caption(self.root)

    def draw(self, cells: Sequence[Cell], facts: Facts, columns: float) -> None:
        """Show cells in so many columns."""
        n_rows = 1 + max((cell.row for cell in cells), default=0)
        lines = 1 + any(cell.short for cell in cells)
        height = _TILE + 14 + lines * _LINE
        side = min(_TILE, max(4.0, _NARROW // columns - 4))
        ids = [cell.sample for cell in cells]
        self._sprites.resize(self._tiles, side)
        self.marks.data = {
            "x": [cell.column + 0.5 for cell in cells],
            "y": [cell.row + (_TILE / 2 + 5) / height for cell in cells],
            "id": ids,
            "words": [cell.words for cell in cells],
            "short": [cell.short for cell in cells],
            "label": [facts.label(one) for one in ids],
            "second": [facts.prediction(one) for one in ids],
            "text": [facts.words(one) for one in ids],
            "tile": np.array(self._sprites.sprites.places(ids), dtype=np.int32),
            "edge": [WRONG if cell.is_wrong else PICKED if cell.is_first else GRID for cell in cells],
            "width": [2.5 if cell.is_wrong or cell.is_first else 1.0 for cell in cells],
            "size": [side + 3.0] * len(ids),
            "ink": [WRONG if cell.is_wrong else INK for cell in cells],
        }
        fit_range(self._x, 0.0, max(columns, 4.0))
        fit_range(self._y, 0.0, float(n_rows), flipped=True)
        self.root.update(height=int(n_rows * height) + _AROUND, max_width=int(_ROOM * max(columns, 7)))

    def sample_at(self, event: Tap) -> int | None:
        """Id of the input at a tap."""
        return nearest_id(self.root, self.marks, event)
