"""One view of a partition made ready to draw: exact polygons while they are few, a raster painted from them beyond."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from netgeom_widgets.figures.region_geometry import Window, layer_segments, rings, seen_through
from netgeom_widgets.figures.region_values import layer_count

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition

#: More polygons than this in view are painted into a raster: a frame of 5,000 takes about 50 ms while panning.
MAX_POLYGONS = 5_000
#: Longer side, in pixels, of the coarse picture of the whole domain that lies under a zoomed view.
_BACKDROP = 640


@dataclass(frozen=True, eq=False)
class Raster:
    """Region ids of the full partition at the pixel centres of a window; -1 outside, row 0 at ``window.ymin``."""

    ids: Int[np.ndarray, "H W"]
    window: Window

    @classmethod
    def of(cls, partition: Partition, window: Window, width: int, height: int) -> Raster:
        """Painted from the exact polygons of ``partition``."""
        ids = partition.rasterise(window.xmin, window.xmax, window.ymin, window.ymax, width, height)
        return cls(np.asarray(ids, dtype=np.int32), window)

    @classmethod
    def backdrop(cls, partition: Partition) -> Raster:
        """The whole domain, coarse."""
        window = Window.around(partition.domain.polygon)
        scale = _BACKDROP / max(window.width, window.height)
        size = (max(round(scale * window.width), 16), max(round(scale * window.height), 16))
        return cls.of(partition, window, *size)


@dataclass(frozen=True, eq=False)
class RegionScene:
    """Geometry of one view; every id in it is one of the full partition.

    Attributes
    ----------
    full : Partition
        Of the whole domain: ids, values and colours come from it.
    shown : Partition
        The partition drawn: ``full``, or that of a viewport.
    window : Window
        What the geometry covers.
    shapes : (S,) ids
        Regions of ``shown`` that are drawn as polygons; empty for a raster.
    ids : (R_shown + 1,) ids
        Region of ``full`` that each region of ``shown`` lies in; the last entry is -1, so that index -1 stays -1.
    raster, backdrop : Raster or None
    n_polygons : int
        How many polygons of ``shown`` are in view.
    """

    full: Partition
    shown: Partition
    window: Window
    shapes: Int[np.ndarray, " S"]
    ids: Int[np.ndarray, " R1"]
    n_polygons: int
    raster: Raster | None = None
    backdrop: Raster | None = None
    polygons: tuple[list[list[float]], list[list[float]]] = field(default=([], []))

    @classmethod
    def of(
        cls,
        full: Partition,
        *,
        shown: Partition | None = None,
        window: Window | None = None,
        size: tuple[int, int] = (800, 480),
        backdrop: Raster | None = None,
        max_polygons: int = MAX_POLYGONS,
    ) -> RegionScene:
        """Prepare what is seen of ``shown`` (by default ``full``) in ``window`` (by default all of the domain).

        ``size`` is that of the raster in pixels. O(regions + edges) and, for a raster, O(pixels).
        """
        shown = full if shown is None else shown
        whole = Window.around(shown.domain.polygon)
        window = whole if window is None else window.intersect(whole)
        in_view = seen_through(shown, window)
        common = {
            "full": full,
            "shown": shown,
            "window": window,
            "ids": ids_in(full, shown),
            "n_polygons": len(in_view),
            "backdrop": backdrop,
        }
        if len(in_view) <= max_polygons:
            return cls(shapes=in_view, polygons=rings(shown, in_view), **common)
        painted = Raster.of(shown, window, *size)
        raster = Raster(common["ids"][painted.ids], window)
        return cls(shapes=np.empty(0, dtype=np.int64), raster=raster, **common)

    @property
    def is_raster(self) -> bool:
        """Whether the regions are painted, not drawn."""
        return self.raster is not None

    @cached_property
    def segments(self) -> list[Float[np.ndarray, "S 4"]]:
        """Hinge lines in view, per activation operation."""
        within = None
        if len(self.shapes) < self.shown.n_regions and not self.is_raster:
            within = np.zeros(self.shown.n_regions, dtype=bool)
            within[self.shapes] = True
        return [layer_segments(self.shown, op, within) for op in range(layer_count(self.shown))]

    @cached_property
    def boundary(self) -> Float[np.ndarray, "B 4"]:
        """Decision boundary in the shown partition; empty before the output is known."""
        if not self.shown.complete:
            return np.empty((0, 4))
        return np.asarray(self.shown.decision_boundary().segments).reshape(-1, 4)


def ids_in(full: Partition, shown: Partition) -> Int[np.ndarray, " R1"]:
    """For each region of ``shown`` the region of ``full`` that holds its centroid; -1 is appended for "outside"."""
    if shown is full:
        inside = np.arange(full.n_regions)
    else:
        inside = np.asarray(full.locate(shown.centroids))
    return np.append(inside, -1).astype(np.int32)
