"""Mixin of the region explorer: the view follows the ranges of the figure, the picture follows the view."""

from __future__ import annotations

from functools import partial
from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.widgets.places import ViewTrait
from netgeom_widgets.widgets.region_side import Side
from netgeom_widgets.widgets.region_view import Prepared, is_drawn, view_scenes

_PAN_PAUSE = 0.15  # seconds without a change of the ranges before the view is computed


class Zooming(traitlets.HasTraits):
    """What a zoomed or moved figure sets off: the caption at once, the exact polygons of the view in the background."""

    view = ViewTrait(None, help="The window shown, (s from, s to, t from, t to); None for the whole domain.").tag(
        setting="mark"
    )
    viewport = traitlets.Any(None, read_only=True, help="The partition that is drawn: result, or that of the view.")

    _sides: tuple[Side, ...] = ()
    _seen: tuple[float, ...] | None = None  # the view as it was read off the figure last

    def zoom_to_region(self) -> None:
        """Bring the picked region into view, as close as float64 allows."""
        prepared, region = self._sides[0].prepared, self.region
        if prepared is None or region is None or region >= prepared.result.n_regions:
            return
        box = Window.around(prepared.result.polygon(region))
        half = max(box.width, box.height, prepared.narrowest)
        s, t = prepared.result.centroids[region].tolist()
        self.view = (s - half, s + half, t - half, t + half)

    def _reset(self) -> None:
        self.view = None
        super()._reset()  # type: ignore[misc]  # of AnalysisWidget

    def _watch_ranges(self) -> None:
        """Listen to the figure; called once it exists."""
        plot = self._figure.root
        if self.view is not None:
            self._figure.look_at(Window(*self.view))
        for axis in (plot.x_range, plot.y_range):
            for attr in ("start", "end"):
                axis.on_change(attr, self._range_changed)
        self.observe(self._go_to_view, "view")

    def _range_changed(self, attr: str, old: Any, new: Any) -> None:
        if not self._closed:
            self._recompute_view()

    def _go_to_view(self, change: Any) -> None:
        """Move the figure to a view that somebody set; one that was read off the figure is there already."""
        wanted = change["new"]
        if wanted == self._seen or self._closed:
            return
        self._seen = wanted

        def move() -> None:
            with self.pane.batch():
                self._figure.look_at(None if wanted is None else Window(*wanted))

        self._paint(move, "view")

    def _recompute_view(self) -> None:
        self._submit(self._follow_view, key="view", debounce=_PAN_PAUSE)

    def _follow_view(self, progress: Progress, cancel: Cancel) -> None:
        prepared = self._sides[0].prepared
        if prepared is None or self._shown is None or self._shown[0] is not prepared.result:
            return
        with self.pane.batch():
            window = self._figure.window
            self._limit_zoom()
            for side in self._sides:
                side.figure.write()
        whole = window.contains(prepared.home)
        self._seen = None if whole else (window.xmin, window.xmax, window.ymin, window.ymax)
        self.view = self._seen
        behind = [(side, side.prepared) for side in self._sides if side.prepared and not _shows(side, window)]
        if not behind:
            return
        self._frame.cancel.disabled = False
        try:
            for side, held in behind:
                view_scenes(
                    held,
                    window,
                    side.figure.frame,
                    shown=side.scene,
                    progress=Progress(self._throttled_progress()),
                    cancel=cancel,
                    show=partial(self._show_scene, side, held, cancel),
                )
        except NetgeomError as error:
            self._say(f"The view was not computed anew; it shows the polygons of the whole domain. {error}")
        else:
            self._say(self._summary(), progress=1.0)
        finally:
            self._frame.cancel.disabled = self.status != "running"

    def _limit_zoom(self) -> None:
        """Stop zooming where the partition with the coarser numbers ends to be trusted: the ranges are common."""
        narrowest = max((side.prepared.narrowest for side in self._sides if side.prepared), default=0.0)
        for side in self._sides:
            side.figure.limit(narrowest)

    def _show_scene(self, side: Side, prepared: Prepared, cancel: Cancel, scene: RegionScene) -> None:
        with self._lock:
            cancel.checkpoint()  # under the lock: a view that was left meanwhile is never shown
            first = self._sides[0].prepared
            if first is None or self._shown is None or self._shown[0] is not first.result:
                return
            if side.prepared is not prepared:
                return
            side.scene = scene
            with self.pane.batch():
                side.figure.draw(scene)
                self._follow_pointer()
            self._say_viewports()
        self._keep_picture()

    def _say_viewports(self) -> None:
        """Let the traits name the partitions that are drawn."""
        for name, side in zip(("viewport", "against_viewport"), self._sides, strict=False):
            self.set_trait(name, side.scene.shown if side.scene is not None else None)


def _shows(side: Side, window: Window) -> bool:
    """Whether the picture of a side is exact and fine enough for a window."""
    prepared, scene = side.prepared, side.scene
    if prepared is None or scene is None or scene.full is not prepared.result:
        return False
    exact = window.contains(prepared.home) or scene.shown is not prepared.result
    return exact and is_drawn(scene, window, prepared.home)
