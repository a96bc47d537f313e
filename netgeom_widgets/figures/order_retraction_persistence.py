"""How long Morse nodes last when the grid gets finer and the boxes wider: a bar for each track."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, Range1d

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.order_retraction_colours import NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_words import share
from netgeom_widgets.figures.plots import KeyLegend, add_caption, fit_range, make_plot, name_ticks, number, say
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import GRID, PICKED

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import Persistence

#: Bars at most: of more tracks those that last longest, then the largest.
_MOST = 40
#: Pixels of a bar with its gap, at least and at most, and of what is around the bars.
_BAR, _AROUND = (9, 22), 150


class PersistenceFigure:
    """Bars of tracks over levels; ``root`` is the plot.

    Attributes
    ----------
    shown : (m,) int
        Tracks from the top.
    """

    def __init__(self) -> None:
        self.shown = np.empty(0, dtype=np.int64)
        self._x, self._y = Range1d(0, 1, reset_start=0, reset_end=1), Range1d(1, 0, reset_start=1, reset_end=0)
        self.root = make_plot(
            300, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None, title="Morse nodes over levels",
        )  # fmt: skip
        self.root.ygrid.visible = False
        self.root.xaxis[0].axis_label = "level: subdivisions n, confidence z (standard deviations)"
        self.root.yaxis[0].axis_label = "track"
        names = ("y", "left", "right", "fill", "edge", "edge_width", "track", "node", "lasts", "volume", "came", "went")
        self._bars = ColumnDataSource({name: [] for name in names})
        self._links = ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1")})
        self.root.segment("x0", "y0", "x1", "y1", source=self._links, line_color=GRID, line_width=1.2)
        bars = self.root.hbar(
            y="y", left="left", right="right", height=0.7, source=self._bars, fill_color="fill", line_color="edge",
            line_width="edge_width",
        )  # fmt: skip
        self._ends = {
            marker: ColumnDataSource({"x": [], "y": []}) for marker in ("triangle", "x")
        }  # fmt: skip
        for marker, source in self._ends.items():
            self.root.scatter(
                "x", "y", source=source, marker=marker, size=8, fill_color=GRID, line_color=GRID, line_width=2
            )
        tips = [(words, f"@{name}") for words, name in (
            ("track", "track"), ("last node", "node"), ("lasts", "lasts"), ("part of the domain", "volume"),
            ("began", "came"), ("ended", "went"),
        )]  # fmt: skip
        self.root.add_tools(HoverTool(renderers=[bars], tooltips=tips))
        self._legend = KeyLegend(self.root, "above", width=430, room=2)
        self._caption = add_caption(self.root)
        self._persistence: Persistence | None = None
        self._notes: list[str] = []

    def show(self, persistence: Persistence, *, colours: NodeColours | None = None, note: str = "") -> None:
        """Show tracks.

        Parameters
        ----------
        persistence : Persistence
        colours : NodeColours, optional
            Of the nodes of the last level; those of the levels before follow from them by the cells they share.
        note : str
            Said below.
        """
        self._persistence, tracks = persistence, persistence.n_tracks
        volume = persistence.volume[np.arange(tracks), persistence.death]
        order = np.lexsort((-volume, -persistence.lifetimes, -persistence.death))
        longest = np.lexsort((-volume, -persistence.lifetimes))[:_MOST]
        self.shown = order[np.isin(order, longest)]
        names = level_names(persistence)
        name_ticks(self.root.xaxis[0], np.arange(len(names)), names)
        fit_range(self._x, -0.5, len(names) - 0.5)
        n = max(len(self.shown), 1)
        fit_range(self._y, -0.7, n - 0.3, flipped=True)
        self.root.height = int(np.clip(220 / n, *_BAR) * n) + _AROUND
        name_ticks(self.root.yaxis[0], np.arange(len(self.shown)), [str(track) for track in self.shown.tolist()])
        self._draw(track_colours(persistence, colours), volume, names)
        self._notes = [*self._words(), note]
        self.mark_track(None)

    def mark_track(self, track: int | None) -> None:
        """Outline the bar of a track; None outlines none."""
        if self._persistence is None:
            return
        if track is not None and not 0 <= track < self._persistence.n_tracks:
            raise NetgeomError(
                "There is no such track.", expected=f"0 to {self._persistence.n_tracks - 1}", got=f"{track}"
            )
        is_it = self.shown == (-1 if track is None else track)
        self._bars.data = {
            **self._bars.data, "edge": [PICKED if one else GRID for one in is_it],
            "edge_width": np.where(is_it, 3.0, 0.6),
        }  # fmt: skip
        say(self._caption, f"Outlined: track {track}." if is_it.any() else "", *self._notes)

    def on_track(self, act: Callable[[int], None]) -> None:
        """Call with the number of a track whose bar the user taps."""
        on_tap(self.root, self._track_at, act)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _draw(self, fills: list[str], volume: np.ndarray, names: list[str]) -> None:
        found = self._persistence
        if found is None:
            return
        row = {track: at for at, track in enumerate(self.shown.tolist())}
        tracks, last = self.shown, len(names) - 1
        born, died = found.birth[tracks], found.death[tracks]
        nodes = found.matrix[tracks, died] if len(tracks) else np.empty(0, dtype=int)
        facts = [(int(track), int(a), int(b)) for track, a, b in zip(tracks, born, died, strict=True)]
        self._bars.data = {
            "y": np.arange(len(tracks)), "left": born - 0.42, "right": died + 0.42, "track": tracks, "node": nodes,
            "fill": [fills[track] for track in tracks.tolist()], "edge": [GRID] * len(tracks),
            "edge_width": np.full(len(tracks), 0.6),
            "lasts": [f"{b - a + 1} of {last + 1} levels, {names[a]} to {names[b]}" for _, a, b in facts],
            "volume": [f"{100 * volume[track]:.3g} %" for track, _, _ in facts],
            "came": [_came(int(found.origin[track]), a, names) for track, a, _ in facts],
            "went": [_went(int(found.heir[track]), b, last, names) for track, _, b in facts],
        }  # fmt: skip
        splits = [(a - 0.5, row[t], row.get(int(found.origin[t]))) for t, a, _ in facts if found.origin[t] >= 0]
        merges = [(b + 0.5, row[t], row.get(int(found.heir[t]))) for t, _, b in facts if found.heir[t] >= 0]
        joined = [(x, y, other) for x, y, other in (*splits, *merges) if other is not None]
        self._links.data = {
            "x0": [x for x, _, _ in joined], "x1": [x for x, _, _ in joined], "y0": [y for _, y, _ in joined],
            "y1": [other for _, _, other in joined],
        }  # fmt: skip
        for marker, marks in (("triangle", splits), ("x", merges)):
            self._ends[marker].data = {"x": [x for x, _, _ in marks], "y": [y for _, y, _ in marks]}
        entries = [("split off", GRID, "triangle")] * bool(splits) + [("went into another", GRID, "x")] * bool(merges)
        self._legend.set(entries)

    def _words(self) -> list[str]:
        found = self._persistence
        if found is None:
            return []
        tracks, levels = found.n_tracks, len(found.levels)
        if not tracks:
            return ["No level has a recurrent cell: there is no Morse node to follow."]
        whole = int((found.lifetimes == levels).sum())
        said = [f"{whole} of {tracks} tracks last{'s' if tracks == 1 else ''} over all {levels} levels."]
        if len(self.shown) < tracks:
            said.append(f"Shown: the {len(self.shown)} that last longest.")
        once = int((found.lifetimes == 1).sum())
        if once and levels > 1:
            said.append(f"{once} {'is' if once == 1 else 'are'} there at one level only.")
        stray = float(found.stray.max(initial=0))
        if stray > 0:
            worst = level_names(found)[int(found.stray.argmax())]
            said.append(f"At {worst}, {share(round(1e6 * stray), 10**6)} of what recurs did not one level before.")
        return said

    def _track_at(self, event: Tap) -> int | None:
        found = self._persistence
        if found is None or event.x is None or event.y is None:
            return None
        row = round(event.y)
        if not 0 <= row < len(self.shown):
            return None
        track = int(self.shown[row])
        return track if found.birth[track] - 0.5 <= event.x <= found.death[track] + 0.5 else None


def level_names(persistence: Persistence) -> list[str]:
    """What each level is: its subdivisions where they change, its confidence where that changes."""
    several = len({z for _, z in persistence.levels}) > 1
    first = persistence.levels[0][1] if persistence.levels else 0.0
    return [
        f"z = {number(z)}" if several and z != first else f"n = {subdivisions}"
        for subdivisions, z in persistence.levels
    ]


def track_colours(persistence: Persistence, colours: NodeColours | None = None) -> list[str]:
    """Colour of each track: that of its node at its last level, hues of the last level handed down."""
    known: dict[int, NodeColours] = {}
    after: tuple[Any, NodeColours] | None = None
    for level in range(len(persistence.levels) - 1, -1, -1):
        decomposition = persistence.decompositions[level]
        is_given = after is None and colours is not None
        known[level] = colours if is_given and colours is not None else node_colours(decomposition, after)
        after = (decomposition, known[level])
    return [
        known[int(level)].names[int(persistence.matrix[track, level])]
        for track, level in enumerate(persistence.death.tolist())
    ]


def persistence_bars(persistence: Persistence, *, colours: NodeColours | None = None, note: str = "") -> LayoutDOM:
    """Bars of the tracks of Morse nodes, for scripts and notebooks; see `PersistenceFigure.show`.

    Examples
    --------
    >>> persistence_bars(persistence(leslie, grid, range(8, 17, 2)))  # doctest: +SKIP
    """
    part = PersistenceFigure()
    part.show(persistence, colours=colours, note=note)
    return part.root


def _came(origin: int, level: int, names: list[str]) -> str:
    if level == 0:
        return "there at the first level"
    return f"at {names[level]}, " + (f"split off track {origin}" if origin >= 0 else "where nothing recurred before")


def _went(heir: int, level: int, last: int, names: list[str]) -> str:
    if level == last:
        return "there at the last level"
    return f"after {names[level]}, " + (f"into track {heir}" if heir >= 0 else "nothing of it was left")
