"""Neighbours of one sample before and after: who stayed, who left, who came, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.theme import PICKED
from netgeom_widgets.figures.transition_marks import hover_html, nearest
from netgeom_widgets.figures.transition_plot import KeyLegend, add_caption, fit_range, literal, make_plot, number, say

#: Colour and sign of each status; the sign is drawn at the corner of the mark.
LOOKS = {"kept": ("#0072B2", "circle"), "lost": ("#D55E00", "x"), "gained": ("#009E73", "cross")}
_HINT = "Tap a sample above to see its neighbours before and after."
#: Heights of the sample itself in the two lanes; neighbours are stacked outwards from there.
_LANES = (0.7, -0.7)
_LEVELS = 3
_LEVEL = 0.6
_LEFT = 56  # pixels: the frame stays in place when a sample is picked, whose steps are written left of it
_WIDTH = 26.0  # marks that fit side by side into a narrow frame

Neighbour = tuple[int, float, str]


class NeighboursPart:
    """Two lanes over one axis of distance: the earlier snapshot above, the later one below; ``root`` is the plot."""

    def __init__(
        self, height: int = 290, *, sprites: SpriteMarks | None = None, texts: Mapping[int, str] | None = None
    ) -> None:
        self._sprites, self._texts = sprites, texts or {}
        top = _LANES[0] + _LEVEL * (_LEVELS - 1) + 0.45
        self._x = Range1d(0, 1, reset_start=0, reset_end=1)
        self.root = make_plot(height, x_range=self._x, y_range=Range1d(-top, top, reset_start=-top, reset_end=top))
        self.root.ygrid.visible = False
        self.root.min_border_left = _LEFT
        self.root.yaxis[0].ticker = FixedTicker(ticks=list(_LANES), minor_ticks=[])
        self._draw_marks()
        self._legend = KeyLegend(self.root, "above")
        self._caption = add_caption(self.root)
        self._callbacks: list[Callable[[int], None]] = []
        self.root.on_event(Tap, self._tapped)
        self.clear()

    def _draw_marks(self) -> None:
        plot = self.root
        columns = ("x", "y", "id", "label", "text", "tile", "distance", "status", "rank", "colour", "size", "width")
        self._marks = ColumnDataSource({name: [] for name in columns})
        self._links = ColumnDataSource({"x0": [], "y0": [], "x1": [], "y1": []})
        self._signs = {status: ColumnDataSource({"x": [], "y": []}) for status in ("lost", "gained")}
        plot.segment("x0", "y0", "x1", "y1", source=self._links, line_color="#56A0D0")
        frame = {"fill_color": "colour", "line_color": "colour", "size": "size", "marker": "square"}
        if self._sprites is None:
            frame |= {"marker": "circle"}
        self._frames = plot.scatter("x", "y", source=self._marks, line_width="width", fill_alpha=0.9, **frame)
        if self._sprites is not None:
            self._sprites.add(plot, self._marks, 18.0)
        for status, source in self._signs.items():
            colour, sign = LOOKS[status]
            at = {"source": source, "marker": sign, "size": 10}
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
        self._self = ColumnDataSource({"x": [], "y": [], "tile": []})
        at = {"source": self._self, "line_color": PICKED, "line_width": 2.5}
        if self._sprites is None:
            plot.scatter("x", "y", marker="star", size=18, fill_color=PICKED, **at)
        else:
            plot.scatter("x", "y", marker="square", size=28, fill_color=None, **at)
            self._sprites.add(plot, self._self, 24.0)

    def clear(self, hint: str = _HINT) -> None:
        """Show no sample, but what to do to see one."""
        for source in (self._marks, self._links, self._self, *self._signs.values()):
            if len(next(iter(source.data.values()))):
                source.data = {name: [] for name in source.data}
        self._legend.set([])
        self.root.title.text = "Neighbours of one sample"
        for guide in (*self.root.axis, self.root.xgrid):
            guide.visible = False
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
        far = max((row[1] for row in rows if np.isfinite(row[1])), default=1.0) or 1.0
        fit_range(self._x, -0.06 * far, 1.08 * far)
        heights = [height for lane, lists in enumerate((before, after)) for height in _stacked(lists, lane, far)]
        known = labels or {}
        self._place(rows, heights, known)
        own = [-1, -1] if self._sprites is None else self._sprites.sprites.places([sample_id, sample_id])
        self._self.data = {"x": [0.0, 0.0], "y": list(_LANES), "tile": np.array(own, dtype=np.int32)}
        counts = {status: sum(row[2] == status for row in rows) for status in LOOKS}
        counts["kept"] //= 2
        marker = "square" if self._sprites is not None else "circle"
        signs = {"kept": marker, "lost": LOOKS["lost"][1], "gained": LOOKS["gained"][1]}
        self._legend.set([(f"{n} {status}", LOOKS[status][0], signs[status]) for status, n in counts.items()])
        label = known.get(sample_id)
        said = number(label) if isinstance(label, float | np.floating) else literal(label)
        name = f"sample {sample_id}" + (f" (label {said})" if sample_id in known else "")
        self.root.title.text = f"Neighbours of {name}" + (f": {why}" if why else "")
        for guide in (*self.root.axis, self.root.xgrid):
            guide.visible = True
        self.root.xaxis.axis_label = f"{distance} from {name.partition(' (')[0]}"
        names = dict(zip(_LANES, (f"step {int(step)}" for step in steps), strict=True))
        self.root.yaxis[0].major_label_overrides = names
        say(self._caption, "A line joins the two places of a neighbour that was kept." if counts["kept"] else "", note)

    def _place(self, rows: list[tuple[int, float, str, int]], heights: list[float], labels: Mapping[int, Any]) -> None:
        ids = [row[0] for row in rows]
        x, status = np.array([row[1] for row in rows], dtype=float), [row[2] for row in rows]
        y = np.array(heights, dtype=float)
        thumbs = self._sprites is not None
        ranks = [1 + sum(other[3] == row[3] for other in rows[:at]) for at, row in enumerate(rows)]
        tiles = self._sprites.sprites.places(ids) if self._sprites is not None else [-1] * len(ids)
        self._marks.data = {
            "x": x, "y": y, "id": ids, "distance": x, "status": status, "rank": ranks,
            "label": [str(labels.get(one, "")) for one in ids], "text": [str(self._texts.get(one, "")) for one in ids],
            "tile": np.array(tiles, dtype=np.int32), "colour": [LOOKS[one][0] for one in status],
            "size": [22.0 if thumbs else 12.0] * len(ids), "width": [2.0] * len(ids),
        }  # fmt: skip
        for name, source in self._signs.items():
            here = [at for at, one in enumerate(status) if one == name]
            source.data = {"x": x[here], "y": y[here]}
        first = {row[0]: at for at, row in enumerate(rows) if row[3] == 0}
        pairs = [(first[row[0]], at) for at, row in enumerate(rows) if row[3] == 1 and row[0] in first]
        a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self._links.data = {"x0": x[a], "y0": y[a], "x1": x[b], "y1": y[b]}

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a neighbour that the user taps."""
        self._callbacks.append(act)

    def _tapped(self, event: Tap) -> None:
        row = nearest(self.root, self._marks.data["x"], self._marks.data["y"], event)
        if row is not None:
            for act in self._callbacks:
                act(int(self._marks.data["id"][row]))


def _checked(neighbour: Neighbour) -> tuple[int, float, str]:
    sample, distance, status = neighbour
    if status not in LOOKS:
        raise NetgeomError("The status of a neighbour is unknown.", expected=", ".join(LOOKS), got=repr(status))
    return int(sample), float(distance), status


def _stacked(lane: Iterable[Neighbour], number: int, far: float) -> list[float]:
    """Heights of the marks of one lane: stacked away from the other lane where they would hide each other."""
    away = 1 if number == 0 else -1
    free = [-np.inf] * _LEVELS  # where the last mark of each level ends
    heights = []
    for _, distance, _ in lane:
        level = next((at for at, end in enumerate(free) if end <= distance), int(np.argmin(free)))
        free[level] = distance + 1.14 * far / _WIDTH
        heights.append(_LANES[number] + away * level * _LEVEL)
    return heights
