"""The visible window of the region explorer: what is drawn for it at once, what is recomputed for it exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_geometry import Window, clip_polygon
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_scene import Raster, RegionScene
from netgeom_widgets.figures.region_values import slope_norms
from netgeom_widgets.kernels.regions import Partition, Slice

#: Share of the view computed beyond each side, so that a short pan finds polygons there already.
_MARGIN = 0.25
#: The drawn window may be this many times wider than needed before a closer one is computed.
_SLACK = 2.0
_FALLBACK = (760, 430)
_MAX_PIXELS = 1600
#: A view narrower than this many times the partition's resolution is not trusted, and not reached.
TRUSTED = 1000.0

_CORNER_BYTES = 2 * (24 + 8)  # a corner of a drawn polygon: two Python floats and their places in lists

Kernel = Callable[..., Partition]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A finished partition with everything that drawing it needs, made on the worker's thread."""

    result: Partition
    kernel: Kernel
    scene: RegionScene
    backdrop: Raster
    samples: SliceSamples
    sample_regions: np.ndarray

    @classmethod
    def of(
        cls, result: Partition, kernel: Kernel, samples: SliceSamples, size: tuple[int, int], cancel: Cancel
    ) -> Prepared:
        """Prepare the whole domain; costly properties of the partition are computed here, not while drawing."""
        slope_norms(result)
        cancel.checkpoint()
        backdrop = Raster.backdrop(result)
        scene = RegionScene.of(result, size=size)
        cancel.checkpoint()
        _ = scene.segments, scene.boundary, result.classes
        cancel.checkpoint()
        regions = np.asarray(result.locate(samples.points)) if len(samples) else np.empty(0, dtype=np.int32)
        return cls(result, kernel, scene, backdrop, samples, regions)

    @property
    def n_bytes(self) -> int:
        """About how much memory it takes."""
        result, corners = self.result, len(self.scene.polygons[0]) and int(self.result.ring_offsets[-1])
        arrays = [*vars(result).values(), *vars(self.scene).values(), *(layer.bits for layer in result.layers)]
        arrays += [self.backdrop.ids, self.sample_regions, *self.scene.segments]
        arrays += [self.scene.raster.ids] if self.scene.raster is not None else []
        return sum(getattr(array, "nbytes", 0) for array in arrays) + _CORNER_BYTES * corners

    @property
    def narrowest(self) -> float:
        """Width at which zooming stops."""
        return TRUSTED * self.result.resolution

    @property
    def home(self) -> Window:
        """The domain's bounding box."""
        return Window.around(self.result.domain.polygon)


def pixels(size: tuple[Any, Any], window: Window, target: Window) -> tuple[int, int]:
    """Raster size for ``target`` at the resolution at which ``window`` fills a frame of ``size`` pixels."""
    inner = [s if isinstance(s, int | float) and s > 1 else f for s, f in zip(size, _FALLBACK, strict=True)]
    shares = (target.width / window.width, target.height / window.height)
    return tuple(int(np.clip(round(n * share), 16, _MAX_PIXELS)) for n, share in zip(inner, shares, strict=True))  # type: ignore[return-value]


def is_drawn(scene: RegionScene, window: Window, home: Window) -> bool:
    """Whether a scene shows the window closely enough: it covers it and is not much wider."""
    needed = window.intersect(home)
    if needed.width <= 0 or needed.height <= 0:
        return True
    target = window.grown(_MARGIN).intersect(home)
    fine = scene.window.width <= _SLACK * target.width and scene.window.height <= _SLACK * target.height
    return scene.window.contains(needed) and fine


def view_scenes(
    prepared: Prepared,
    window: Window,
    size: tuple[Any, Any],
    *,
    shown: RegionScene | None,
    progress: Progress,
    cancel: Cancel,
    show: Callable[[RegionScene], None],
) -> None:
    """Show a window: first what the full partition has of it, then the partition of the window itself.

    ``show`` is called with each scene; the second is exact to the rounding of the window, not of the domain.
    """
    home = prepared.home
    if window.grown(_MARGIN).contains(home):
        show(prepared.scene)
        return
    target = window.grown(_MARGIN).intersect(home)
    polygon = clip_polygon(prepared.result.domain.polygon, target)
    if not len(polygon):
        return
    n_pixels = pixels(size, window, target)
    if shown is None or shown.is_raster or not shown.window.contains(window.intersect(home)):
        show(RegionScene.of(prepared.result, window=target, size=n_pixels, backdrop=prepared.backdrop))
    cancel.checkpoint()
    domain: Slice = prepared.result.domain.with_polygon(polygon)
    viewport = prepared.kernel(domain, progress=progress, cancel=cancel)
    scene = RegionScene.of(prepared.result, shown=viewport, window=target, size=n_pixels, backdrop=prepared.backdrop)
    _ = scene.segments, scene.boundary
    cancel.checkpoint()
    show(scene)
