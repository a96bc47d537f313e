"""Neighbours of inputs that are no images: a row of text for each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d

from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, literal, make_plot
from netgeom_widgets.figures.similarity_ranking import INK, WRONG, Facts, Strip, k_text
from netgeom_widgets.figures.transition_marks import hover_html

#: Pixels of a row, and of title, caption and borders; letters of a text at most.
_ROW, _AROUND, _LETTERS = 17, 70, 60
#: Where the columns begin, in parts of the width.
_PLACES = {"rank": 0.0, "id": 0.11, "k": 0.24, "label": 0.34, "short": 0.5}


class NeighbourRows:
    """Rank, id, k, label and words of each neighbour, under those of the input; ``root`` is the plot."""

    def __init__(self) -> None:
        self._y = Range1d(1, 0, reset_start=1, reset_end=0)
        self.root = make_plot(
            160,
            x_range=Range1d(-0.01, 1, reset_start=-0.01, reset_end=1),
            y_range=self._y,
            tools=[],
            toolbar_location=None,
        )
        self.root.axis.visible = self.root.grid.visible = False
        self._lines = ColumnDataSource({name: [] for name in (*_PLACES, "y", "ink", "style")})
        self._rows = ColumnDataSource({"left": [], "right": [], "top": [], "bottom": [], "id": [], "text": []})
        for name, place in _PLACES.items():
            self.root.text(
                place, "y", name, source=self._lines, text_font_size=SMALL, text_color="ink", text_font_style="style",
                text_baseline="middle",
            )  # fmt: skip
        boxes = self.root.quad("left", "right", "top", "bottom", source=self._rows, fill_alpha=0.0, line_alpha=0.0)
        self.root.add_tools(HoverTool(renderers=[boxes], tooltips=hover_html([("input", "@id")], False)))
        self.caption = add_caption(self.root)

    def draw(self, strips: Sequence[Strip], facts: Facts) -> None:
        """Show strips as rows, with a line of heads."""
        lines: list[tuple[str, int, str, bool]] = []
        for strip in strips:
            lines.append(("input", strip.sample, "", True))
            lines += [(f"{rank + 1}.", one, k_text(k), False) for rank, (one, k) in enumerate(strip.nearest)]
            last = len(strip.farthest)
            lines += [
                (f"last {last - at}" if last - at > 1 else "last", one, k_text(k), False)
                for at, (one, k) in enumerate(strip.farthest)
            ]
        heads = {"rank": "rank", "id": "id", "k": "k", "label": "label", "short": "input"}
        ids = [line[1] for line in lines]
        columns = {
            "rank": [line[0] for line in lines],
            "id": [str(one) for one in ids],
            "k": [line[2] for line in lines],
            "label": [facts.short(one) for one in ids],
            "short": [_cut(facts.words(one)) for one in ids],
        }
        n = len(lines)
        self._lines.data = {
            **{name: [heads[name][: 99 * bool(n)], *columns[name]] for name in columns},
            "y": [0.5 + at for at in range(n + 1)],
            "ink": [INK, *(WRONG if facts.is_wrong(one) else INK for one in ids)],
            "style": ["italic", *("bold" if line[3] else "normal" for line in lines)],
        }
        at = [1.0 + row for row in range(n)]
        self._rows.data = {
            "left": [0.0] * n, "right": [1.0] * n, "top": at, "bottom": [one + 1 for one in at], "id": ids,
            "text": [facts.words(one) for one in ids],
        }  # fmt: skip
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
