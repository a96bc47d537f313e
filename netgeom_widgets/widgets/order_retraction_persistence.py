"""How long Morse sets last over resolution and confidence, and collapsing those that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_colours import NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_persistence import PersistenceFigure
from netgeom_widgets.widgets.order_retraction_parts import PlotParts
from netgeom_widgets.widgets.order_retraction_words import counted
from netgeom_widgets.widgets.part import Part, Publish

if TYPE_CHECKING:
    from netgeom_widgets.widgets.order_retraction_picture import Picture

#: Numbers of subdivisions looked at, up to that of the picture; a level costs twice the one before.
LEVELS = 8
#: A finer grid is not looked at: with it the levels below cost as much again.
FINEST = 18
#: Half widths of the confidence boxes looked at, in standard deviations.
WIDTHS = (0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Lives:
    """Tracks of nodes, and which node of the picture each is at the level that is most like the picture's.

    Attributes
    ----------
    tracks : Persistence
    level : int
        That level: the finest, at the picture's confidence.
    found : (nodes before collapse,) int32
        Track of each node; -1 for none.
    shown : (nodes shown,) int32
        The same for those after.
    """

    tracks: Any
    level: int
    found: np.ndarray
    shown: np.ndarray

    def short(self, fewer: int) -> tuple[int, ...]:
        """Nodes, before collapse, that are there at fewer levels than this."""
        lives = np.where(self.found >= 0, self.tracks.lifetimes[np.maximum(self.found, 0)], 0)
        return tuple(np.flatnonzero(lives < fewer).tolist())

    def node(self, track: int) -> int | None:
        """The node shown that a track is; None where it has ended, or was collapsed."""
        nodes = np.flatnonzero(self.shown == track)
        return int(nodes[0]) if len(nodes) else None


class PersistencePart(Part):
    """A bar per track of nodes over the levels."""

    key = "persistence"
    title = "Persistence"
    tooltip = "Show which Morse sets last when the boxes get smaller, and when their images get wider"
    options = ("widths",)
    marks = ("node",)

    def __init__(
        self,
        controls: Callable[[], list[ipywidgets.Widget]],
        go: Callable[[int], None],
        colours: Callable[[], NodeColours | None],
    ) -> None:
        self._make_controls, self._go, self._colours = controls, go, colours
        self.found: Lives | None = None
        self._known: tuple[tuple[Any, ...], Any] | None = None

    def controls(self) -> list[ipywidgets.Widget]:
        """Levels of confidence, and collapsing."""
        return self._make_controls()

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Lives:
        """Morse graphs of all levels, matched."""
        from netgeom_widgets.kernels.order_retraction import match_nodes, persistence

        settings, space = subject.settings, subject.space
        levels, widths = levels_of(subject, wider=options["widths"])
        method = "corners" if settings["method"] == "confidence" else settings["method"]
        common = {"method": method, "padding": settings["padding"], "std": space.std}
        key = (space, tuple(subject.grid.lower), tuple(subject.grid.upper), tuple(levels), widths, *common.values())
        if self._known is None or self._known[0] != key:  # a node that was collapsed changes no track
            found = persistence(space.map, subject.grid, levels, z=widths, progress=progress, cancel=cancel, **common)
            self._known = (key, found)
        tracks = self._known[1]
        own = tracks.levels.index((levels[-1], _width(settings)))
        of, like = tracks.tracks(own), tracks.decompositions[own]
        found, shown = (_tracks(of, match_nodes(like, one)) for one in (subject.found, subject.decomposition))
        return Lives(tracks, own, found, shown)

    def make(self) -> LayoutDOM:
        """Bars."""
        self._figure = PersistenceFigure()
        self._figure.on_track(self._picked)
        return self._figure.root

    def _picked(self, track: int) -> None:
        node = None if self.found is None else self.found.node(track)
        if node is not None:
            self._go(node)

    def draw(self, found: Lives, subject: Picture) -> None:
        """Bars."""
        self.found = found
        shown, tracks = self._colours(), found.tracks
        known = None if shown is None else (subject.decomposition, shown)
        self._figure.show(tracks, colours=node_colours(tracks.decompositions[-1], known))

    def mark(self, marks: dict[str, Any]) -> None:
        """The bar of the picked node."""
        node, shown = marks["node"], None if self.found is None else self.found.shown
        track = -1 if node is None or shown is None or node >= len(shown) else int(shown[node])
        self._figure.mark_track(None if track < 0 else track)

    def words(self, found: Lives, subject: Picture) -> str:
        """How many last."""
        tracks = found.tracks
        (n, low), (most, z) = tracks.levels[0], tracks.levels[-1]
        through = int((tracks.lifetimes == len(tracks.levels)).sum())
        words = f"{counted(tracks.n_tracks, 'Morse set')} from 2^{n} to 2^{most} cells"
        if z:
            words += f" {'and up to' if z > low else 'at'} ±{z:g} standard deviations"
        words += f"; {through:,} at every level"
        coarser = subject.settings["subdivisions"] > most
        words += f"; finer grids than 2^{FINEST} are not looked at." if coarser else "."
        return words + (" A click on a bar picks its node." if tracks.n_tracks else "")

    def arrays(self, found: Lives) -> dict[str, Any]:
        """The table of tracks, nodes, volumes and levels."""
        tracks = found.tracks
        levels = {"levels": np.array(tracks.levels), "nodes": tracks.matrix, "volumes": tracks.volume}
        return {**tracks.table(), **levels}


class PersistencePanel(PlotParts):
    """The fold on persistence, and the button that collapses what does not last."""

    persistence = traitlets.Bool(False, help="Whether the persistence of Morse sets is shown.").tag(setting="mark")
    widths = traitlets.Bool(False, help="Then widen the images, to ±2 standard deviations of the map.").tag(
        setting="draw", bar=True, label="Wider images too"
    )
    fewer_levels = traitlets.Int(
        3, min=2, max=LEVELS + len(WIDTHS), help="A Morse set at fewer levels than this is short-lived."
    ).tag(
        setting="draw", bar=True, label="Short-lived: levels fewer than",
        control=lambda layout, **common: ipywidgets.BoundedIntText(
            min=2, max=LEVELS + len(WIDTHS), layout={**layout, "width": "260px"}, **common
        ),
    )  # fmt: skip

    def _make_parts(self) -> list[Part]:
        colours = lambda: self._figure.colours  # type: ignore[attr-defined]  # noqa: E731
        return [*super()._make_parts(), PersistencePart(self._persistence_controls, self._pick_node, colours)]

    def _persistence_controls(self) -> list[ipywidgets.Widget]:
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        collapse = ipywidgets.Button(
            description="Collapse the short-lived",
            tooltip="Leave short-lived Morse sets out of the order, and compute the retraction onto the others",
            icon="compress",
            layout={"width": "auto"},
        )
        collapse.on_click(lambda _: self.collapse_short_lived())
        wider = [controls["widths"].box] if self._source.has_std else []  # type: ignore[attr-defined]
        return [*wider, controls["fewer_levels"].box, collapse]

    def collapse_short_lived(self) -> None:
        """Collapse the Morse nodes that are there at fewer than ``fewer_levels`` levels; ``persistence`` must be shown.

        Sets ``collapsed``; where all nodes are short-lived nothing is collapsed, and the fold says so.
        """
        shown = self._shown_parts["persistence"]
        lives: Lives | None = shown.found if shown.of is not None else None
        if lives is None:
            return
        short = lives.short(self.fewer_levels)
        if short and len(short) == len(lives.found):
            shown.fold.say(f"All Morse sets are at fewer than {self.fewer_levels} levels: none is collapsed.")
        else:
            self.collapsed = short


def levels_of(subject: Picture, *, wider: bool) -> tuple[list[int], tuple[float, ...]]:
    """Numbers of subdivisions and half widths to look at: those of the picture are among them unless it is too fine."""
    finest = min(subject.grid.subdivisions, FINEST)
    levels = list(range(max(1, finest - LEVELS + 1), finest + 1))
    own = _width(subject.settings)
    can = wider and subject.source.has_std and subject.settings["method"] != "centre"
    return levels, tuple(sorted({own, *WIDTHS})) if can else (own,)


def _width(settings: dict[str, Any]) -> float:
    """Half width of the picture's boxes."""
    return float(settings["z"]) if settings["method"] == "confidence" else 0.0


def _tracks(of: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Track of each of these nodes, -1 for node -1."""
    return np.where(nodes >= 0, of[np.maximum(nodes, 0)], -1) if len(of) else np.full(len(nodes), -1)
