"""Mixin of the region explorer: which region and which samples are picked."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from bokeh.events import Tap

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.kernels.regions import Partition, Slice
from netgeom_widgets.widgets.region_side import Side
from netgeom_widgets.widgets.region_view import Prepared

#: A point off a plane by no more than this share of the inputs' size lies in it: what is left is rounding.
_ON_PLANE = 1e-9


class Picking(traitlets.HasTraits):
    """What clicks, buttons and assignments to ``region`` set off; the samples in the region become the selection."""

    _prepared: Prepared | None = None
    _scene: RegionScene | None = None
    _point: np.ndarray | None = None  # where the region was picked, (1, 2): what stays when the network changes
    _plane: Slice | None = None  # whose coordinates these are

    @traitlets.validate("region")
    def _check_region(self, proposal: Any) -> int | None:
        region, result = proposal["value"], self.result
        if region is not None and (region < 0 or (result is not None and region >= result.n_regions)):
            last = "" if result is None else f" to {result.n_regions - 1}"
            raise NetgeomError("There is no such region.", expected=f"None or an id from 0{last}", got=str(region))
        return region

    @traitlets.observe("region")
    def _pick_samples(self, change: Any) -> None:
        region = change["new"]
        if self._prepared is None:
            return
        self._move_point()
        if len(self._points):
            self.selection = () if region is None else tuple(self._held(region).tolist())

    def _move_point(self) -> None:
        """Have the point lie in the picked region: where the click was, otherwise in the middle."""
        prepared, region = self._prepared, self.region
        if prepared is None or region is None or region >= prepared.result.n_regions:
            return
        found = prepared.result
        point = self._point_on(found.domain)
        inside = point is not None and int(found.locate(point)[0]) == region
        self._point, self._plane = point if inside else found.centroids[region][None], found.domain

    def _point_on(self, domain: Slice) -> np.ndarray | None:
        """Where the point lies on a slice; None where it lies off its plane."""
        if self._point is None or self._plane is None or self._plane == domain:
            return self._point
        place = self._plane.to_input(self._point)
        points, distance = domain.to_slice(place)
        scale = max(np.abs(place).max(), np.abs(domain.to_input(domain.polygon)).max())
        return points if distance[0] <= _ON_PLANE * scale else None

    def _carried(self, picked: int | None, old: Partition | None, new: Partition) -> int | None:
        """A picked region, an id in ``old``, as an id in ``new``; None where it means nothing there."""
        if picked is None or old is new:
            return picked
        if old is None or _same_partition(old, new):
            return picked if picked < new.n_regions else None
        if not self._steps and old.digest != new.digest:
            return None  # an id means nothing in another network
        point = self._point_on(new.domain)
        if point is None:
            return None
        found = int(new.locate(point)[0])
        return found if found >= 0 else None

    @traitlets.observe("result")
    def _carry_region(self, change: Any) -> None:
        old, new, picked = change["old"], change["new"], self.region
        if picked is None:
            return
        self.region = self._carried(picked, old, new)
        if self.region == picked and (old is None or not _same_partition(old, new)):
            self._pick_samples({"new": picked})  # the same number, and yet another region

    def _held(self, region: int, side: Side | None = None) -> np.ndarray:
        """Ids of the samples whose projection lies in a region, of the first network unless a side is given."""
        prepared = self._prepared if side is None else side.prepared
        return (
            np.flatnonzero(prepared.sample_regions == region) if prepared is not None else np.empty(0, dtype=np.int64)
        )

    def _step(self, by: int) -> None:
        result = self.result
        if result is not None:
            self.region = (by - 1 if by > 0 and self.region is None else (self.region or 0) + by) % result.n_regions

    def _go(self, region: int | None) -> None:
        """Pick a region by what was typed; None lets the samples go too."""
        try:
            self.region = region
            if region is None:
                self.selection = ()
        except (NetgeomError, traitlets.TraitError) as error:
            no_number = NetgeomError("A region's id is a whole number.", got=str(region))
            self._say(str(no_number if isinstance(error, traitlets.TraitError) else error))
            self._redraw_marks()

    def _on_tap(self, event: Tap) -> None:
        if event.x is None or event.y is None:
            return
        point = np.array([[event.x, event.y]], dtype=np.float64)

        def pick() -> None:
            if self.result is not None and self._scene is not None and self._scene.full is self.result:
                found = int(self.result.locate(point)[0])
                self._point, self._plane = point, self.result.domain
                self._go(found if found >= 0 else None)

        self._paint(pick, "pick")

    def _on_lasso(self, ids: list[int]) -> None:
        self._paint(lambda: setattr(self, "selection", tuple(ids)), "lasso")


def _same_partition(old: Partition, new: Partition) -> bool:
    same = old.digest == new.digest and old.domain == new.domain
    return same and old.n_regions == new.n_regions
