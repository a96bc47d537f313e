"""Inputs that are no images: a row of text for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, literal, make_plot
from netgeom_widgets.figures.similarity_ranking import INK, WRONG, Facts
from netgeom_widgets.figures.transition_marks import hover_html

#: Pixels of a row, and of title, caption and borders; letters of a text at most.
_ROW, _AROUND, _LETTERS = 17, 70, 60
#: Where the columns begin, in parts of the width.
_PLACES = {"rank": 0.0, "id": 0.11, "words": 0.24, "short": 0.36, "text": 0.5}


class Line(NamedTuple):
    """One row: rank, whose it is, two columns of words, and how it is written."""

    rank: str
    sample: int
    words: str
    short: str
    is_wrong: bool = False
    is_first: bool = False


class RowsPlot:
    """A table that is drawn: rank, id, two columns, and the user's words; ``root`` is the plot."""

    def __init__(self) -> None:
        self._y = Range1d(1, 0, reset_start=1, reset_end=0)
        ends = Range1d(-0.01, 1, reset_start=-0.01, reset_end=1)
        self.root = make_plot(160, x_range=ends, y_range=self._y, tools=[], toolbar_location=None)
        self.root.axis.visible = self.root.grid.visible = False
        self.root.outline_line_color = None
        self._lines = ColumnDataSource({name: [] for name in (*_PLACES, "y", "ink", "style")})
        self._rows = ColumnDataSource({name: [] for name in ("left", "right", "top", "bottom", "id", "text")})
        for name, place in _PLACES.items():
            self.root.text(
                place, "y", name, source=self._lines, text_font_size=SMALL, text_color="ink", text_font_style="style",
                text_baseline="middle",
            )  # fmt: skip
        boxes = self.root.quad("left", "right", "top", "bottom", source=self._rows, fill_alpha=0.0, line_alpha=0.0)
        self.root.add_tools(HoverTool(renderers=[boxes], tooltips=hover_html([("input", "@id")], False)))
        self.caption = add_caption(self.root)

    def draw(self, lines: Sequence[Line], facts: Facts, heads: tuple[str, str]) -> None:
        """Show rows under a line with the heads of the two columns."""
        n, ids = len(lines), [line.sample for line in lines]
        columns = {
            "rank": ["rank", *(line.rank for line in lines)],
            "id": ["id", *map(str, ids)],
            "words": [heads[0], *(line.words for line in lines)],
            "short": [heads[1], *(line.short for line in lines)],
            "text": ["", *(_cut(facts.words(one)) for one in ids)],
            "y": [0.5 + at for at in range(n + 1)],
            "ink": [INK, *(WRONG if line.is_wrong else INK for line in lines)],
            "style": ["italic", *("bold" if line.is_first else "normal" for line in lines)],
        }
        self._lines.data = columns if n else {name: [] for name in columns}
        self._rows.data = {
            "left": [0.0] * n,
            "right": [1.0] * n,
            "top": [1.0 + at for at in range(n)],
            "bottom": [2.0 + at for at in range(n)],
            "id": ids,
            "text": [facts.words(one) for one in ids],
        }
        fit_range(self._y, 0.0, float(n + 1), flipped=True)
        self.root.height = (n + 1) * _ROW + _AROUND

    def sample_at(self, event: Tap) -> int | None:
        """Id of the input in the row of a tap."""
        ids = self._rows.data["id"]
        row = -1 if event.y is None else math.floor(event.y) - 1
        return int(ids[row]) if 0 <= row < len(ids) else None


def _cut(words: str) -> str:
    line = " ".join(words.split())
    return literal(line if len(line) <= _LETTERS else line[: _LETTERS - 1] + "…")
