"""Neighbours of one sample before and after: who stayed, who left, who came, and how far they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import (
    SMALL,
    KeyLegend,
    add_caption,
    fit_range,
    literal,
    make_plot,
    name_ticks,
    number,
    say,
)
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.taps import nearest_id, on_tap
from netgeom_widgets.figures.theme import PICKED
from netgeom_widgets.figures.transition_marks import hover_html

#: Colour and sign of each status; the sign is drawn on the mark, or at the edge of a thumbnail.
LOOKS = {"kept": ("#0072B2", "circle"), "lost": ("#D55E00", "x"), "gained": ("#009E73", "cross")}
_HINT = "Tap a sample above to see its neighbours before and after."
#: Heights, in pixels of a low frame, of the middles of the two lanes, of the words beyond them, and of the ends.
_LANES = (32.0, -32.0)
_WORDS, _END = 65.0, 74.0
#: Ranks side by side before a lane gets a second row; rows of a lane at most; the largest mark by their number.
_COLUMNS, _ROWS = 15, 3
_LARGEST = {1: 22.0, 2: 19.0, 3: 14.0}
_INK = "#777777"  # readable on light and dark ground
_LEFT = 56  # pixels: the frame stays in place when a sample is picked, whose steps are written left of it
_WIDTH = 276.0  # pixels of a narrow frame
_FIRST, _SAMPLE, _AFTER = -1.0, -0.2, 0.6  # columns: start, the sample itself, room right of the last rank
_RIM = 4.0  # pixels of a thumbnail's frame, both sides together

Neighbour = tuple[int, float, str]


class NeighboursPart:
    """Two lanes of neighbours by rank: the earlier snapshot above, the later one below; ``root`` is the plot."""

    def __init__(
        self, height: int = 290, *, sprites: SpriteMarks | None = None, texts: Mapping[int, str] | None = None
    ) -> None:
        self._sprites, self._texts = sprites, texts or {}
        self._x = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(height, x_range=self._x, y_range=Range1d(-_END, _END, reset_start=-_END, reset_end=_END))
        self.root.grid.visible = False
        self.root.min_border_left = _LEFT
        self.root.yaxis[0].ticker = FixedTicker(ticks=list(_LANES), minor_ticks=[])
        self._draw_marks()
        self._legend = KeyLegend(self.root, "above")
        self._caption = add_caption(self.root)
        self.clear()

    def _draw_marks(self) -> None:
        plot = self.root
        columns = ("x", "y", "id", "label", "text", "tile", "distance", "status", "rank", "colour", "size", "width")
        self._marks = ColumnDataSource({name: [] for name in columns})
        self._links = ColumnDataSource({"x0": [], "y0": [], "x1": [], "y1": []})
        self._signs = {status: ColumnDataSource({"x": [], "y": [], "size": []}) for status in ("lost", "gained")}
        plot.segment("x0", "y0", "x1", "y1", source=self._links, line_color="#56A0D0")
        frame = {"fill_color": "colour", "line_color": "colour", "size": "size", "marker": "square"}
        if self._sprites is None:
            frame |= {"marker": "circle"}
        self._frames = plot.scatter("x", "y", source=self._marks, line_width="width", fill_alpha=0.9, **frame)
        if self._sprites is not None:
            self._thumbnails = self._sprites.add(plot, self._marks, 18.0)
        for status, source in self._signs.items():
            colour, sign = LOOKS[status]
            at = {"source": source, "marker": sign, "size": "size"}
            plot.scatter("x", "y", line_color="#ffffff", line_width=5, **at)
            plot.scatter("x", "y", line_color=colour, line_width=2.5, **at)
        facts = [
            ("sample", "@id"),
            ("label", "@label"),
            ("neighbour number", "@rank, @status"),
            ("distance", "@distance{%.4g}"),
        ]
        formatters: dict[str, Any] = {"@distance": "printf"}
        if self._sprites is not None:
            formatters["@tile"] = self._sprites.hover()
        tips = hover_html(facts, self._sprites is not None)
        plot.add_tools(HoverTool(renderers=[self._frames], tooltips=tips, formatters=formatters))
        self._reach = ColumnDataSource({"x": [], "y": [], "text": []})
        plot.text("x", "y", "text", source=self._reach, text_font_size=SMALL, text_baseline="middle", text_color=_INK)
        self._self = ColumnDataSource({"x": [], "y": [], "tile": [], "size": []})
        at = {"source": self._self, "line_color": PICKED, "line_width": 2.5}
        if self._sprites is None:
            plot.scatter("x", "y", marker="star", size="size", fill_color=PICKED, **at)
        else:
            plot.scatter("x", "y", marker="square", size="size", fill_color=None, **at)
            self._own = self._sprites.add(plot, self._self, 24.0)

    def clear(self, hint: str = _HINT) -> None:
        """Show no sample, but what to do to see one."""
        for source in (self._marks, self._links, self._self, self._reach, *self._signs.values()):
            if len(next(iter(source.data.values()))):
                source.data = {name: [] for name in source.data}
        self._legend.set([])
        self.root.title.text = "Neighbours of one sample"
        for axis in self.root.axis:
            axis.visible = False
        say(self._caption, hint)

    def draw(
        self,
        sample_id: int | None,
        before: Sequence[Neighbour] = (),
        after: Sequence[Neighbour] = (),
        *,
        steps: tuple[int, int] = (0, 1),
        distance: str = "distance",
        labels: Mapping[int, Any] | None = None,
        why: str = "",
        note: str = "",
    ) -> None:
        """Show the neighbours of a sample at two snapshots.

        Parameters
        ----------
        sample_id : int or None
            None shows a hint instead.
        before, after : sequence of (id, distance, status)
            Status is "kept", "lost" (only before) or "gained" (only after).
        steps : (int, int)
            Steps of the two snapshots.
        distance : str
            Name of the distance.
        labels : mapping of id to label, optional
            For the hover boxes and the title.
        why : str
            Why this sample is shown, for the title, if the user did not pick it.
        """
        if sample_id is None:
            self.clear(note or _HINT)
            return
        rows = [(*_checked(one), lane) for lane, lists in enumerate((before, after)) for one in lists]
        side = self._arrange(max(len(before), len(after)))
        known = labels or {}
        self._place(rows, side, known)
        self._place_self(sample_id, side)
        counts = {status: sum(row[2] == status for row in rows) for status in LOOKS}
        counts["kept"] //= 2
        marker = "square" if self._sprites is not None else "circle"
        signs = {"kept": marker, "lost": LOOKS["lost"][1], "gained": LOOKS["gained"][1]}
        self._legend.set([(f"{n} {status}", LOOKS[status][0], signs[status]) for status, n in counts.items()])
        label = known.get(sample_id)
        said = number(label) if isinstance(label, float | np.floating) else literal(label)
        name = f"sample {sample_id}" + (f" (label {said})" if sample_id in known else "")
        self.root.title.text = f"Neighbours of {name}" + (f": {why}" if why else "")
        for axis in self.root.axis:
            axis.visible = True
        self._tell_distances((before, after), distance)
        names = dict(zip(_LANES, (f"step {int(step)}" for step in steps), strict=True))
        self.root.yaxis[0].major_label_overrides = names
        say(self._caption, "A line joins the two places of a neighbour that was kept." if counts["kept"] else "", note)

    def _arrange(self, number_of: int) -> float:
        """Give every rank a column, and lanes of many ranks further rows; pixels of a mark."""
        self._rows = min(_ROWS, max(1, math.ceil(number_of / _COLUMNS)))
        self._columns = max(1, math.ceil(number_of / self._rows))
        fit_range(self._x, _FIRST, self._columns + _AFTER)
        wrapped = f"; {self._columns} to a row, the next row farther out" if self._rows > 1 else ""
        self.root.xaxis.axis_label = f"neighbour, nearest first{wrapped}"
        ranks = range(1, self._columns + 1)
        name_ticks(self.root.xaxis[0], ranks, [str(rank) for rank in ranks])
        room = _WIDTH / (self._columns + _AFTER - _FIRST) - 1
        return max(3.0, min(_LARGEST[self._rows], math.floor(room)))

    def _place_self(self, sample_id: int, side: float) -> None:
        """The sample at the left of both lanes, a little larger than its neighbours."""
        tiles, size = [-1, -1], min(18.0, side + 6)
        if self._sprites is not None:
            tiles, size = list(self._sprites.sprites.places([sample_id, sample_id])), side + 6
            self._sprites.resize(self._own, size - _RIM)
        self._self.data = {
            "x": [_SAMPLE] * 2, "y": list(_LANES), "tile": np.array(tiles, dtype=np.int32), "size": [size] * 2
        }  # fmt: skip

    def _place(self, rows: list[tuple[int, float, str, int]], side: float, labels: Mapping[int, Any]) -> None:
        ids = [row[0] for row in rows]
        distance, status = np.array([row[1] for row in rows], dtype=float), [row[2] for row in rows]
        lane = np.array([row[3] for row in rows], dtype=int)
        first_of_after = int((lane == 0).sum())
        ranks = np.arange(len(rows)) - first_of_after * lane
        x = 1.0 + ranks % self._columns
        outwards = (ranks // self._columns - (self._rows - 1) / 2) * (_LARGEST[self._rows] + 2)
        y = np.array(_LANES)[lane] + np.where(lane == 0, outwards, -outwards)
        thumbs = self._sprites is not None
        tiles = self._sprites.sprites.places(ids) if self._sprites is not None else [-1] * len(ids)
        if self._sprites is not None:
            self._sprites.resize(self._thumbnails, max(2.0, side - _RIM))
        self._marks.data = {
            "x": x, "y": y, "id": ids, "distance": distance, "status": status, "rank": (1 + ranks).tolist(),
            "label": [str(labels.get(one, "")) for one in ids], "text": [str(self._texts.get(one, "")) for one in ids],
            "tile": np.array(tiles, dtype=np.int32), "colour": [LOOKS[one][0] for one in status],
            "size": [side if thumbs else min(side, 12.0)] * len(ids), "width": [2.0] * len(ids),
        }  # fmt: skip
        for name, source in self._signs.items():
            here = [at for at, one in enumerate(status) if one == name]
            # at the outer edge of a thumbnail, which it would hide from its middle
            edge = np.where(lane[here] == 0, 0.4, -0.4) * side * thumbs
            size = min(10.0, (0.6 if thumbs else 0.7) * side)
            source.data = {"x": x[here], "y": y[here] + edge, "size": [size] * len(here)}
        first = {row[0]: at for at, row in enumerate(rows) if row[3] == 0}
        pairs = [(first[row[0]], at) for at, row in enumerate(rows) if row[3] == 1 and row[0] in first]
        a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self._links.data = {"x0": x[a], "y0": y[a], "x1": x[b], "y1": y[b]}

    def _tell_distances(self, lanes: Sequence[Sequence[Neighbour]], distance: str) -> None:
        """Write the nearest and the farthest distance beyond each lane."""
        words = [f"{literal(distance)}: {_interval([one[1] for one in lane])}" for lane in lanes]
        self._reach.data = {"x": [0.5, 0.5], "y": [_WORDS, -_WORDS], "text": words}

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a neighbour that the user taps."""
        on_tap(self.root, lambda event: nearest_id(self.root, self._marks, event), act)


def _checked(neighbour: Neighbour) -> tuple[int, float, str]:
    sample, distance, status = neighbour
    if status not in LOOKS:
        raise NetgeomError("The status of a neighbour is unknown.", expected=", ".join(LOOKS), got=repr(status))
    return int(sample), float(distance), status


def _interval(distances: Sequence[float]) -> str:
    """The least and the greatest distance with three significant digits; one of them where they read the same."""
    finite = [distance for distance in map(float, distances) if math.isfinite(distance)]
    if not finite:
        return "none"
    ends = [f"{end:#.3g}".rstrip(".") for end in (min(finite), max(finite))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
