"""Rasters of a scene as RGBA images: fills by look-up, hinge lines painted on top."""

from __future__ import annotations

from collections.abc import Container

import numpy as np
from jaxtyping import UInt32

from netgeom_widgets.figures.region_colours import layer_colours, packed, pixel_colours
from netgeom_widgets.figures.region_geometry import Window, paint_segments
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_values import RegionValues

#: Lines that would cover more than this share of the pixels are painted fainter, so that the fills still show.
_LINE_SHARE = 0.15
_FAINTEST, _STRONGEST = 0.06, 0.9


def images_of(
    scene: RegionScene, values: RegionValues, home: Window, layers: Container[int]
) -> list[tuple[UInt32[np.ndarray, "H W"], Window]]:
    """What lies under the polygons of a scene, from back to front, with the window each image fills.

    That is the coarse picture of the whole domain under a zoomed view, and where there are too many polygons the raster
    with the hinge lines of ``layers``. Only these images change when a raster is coloured anew: O(pixels).
    """
    table = pixel_colours(values)
    images = []
    if scene.backdrop is not None and not scene.window.contains(home):
        images.append((table[scene.backdrop.ids], scene.backdrop.window))
    if scene.raster is not None:
        image = table[scene.raster.ids]
        _paint_lines(image, scene, scene.raster.window, layers)
        images.append((image, scene.raster.window))
    return images


def _paint_lines(image: UInt32[np.ndarray, "H W"], scene: RegionScene, window: Window, layers: Container[int]) -> None:
    colours = layer_colours(len(scene.segments))
    scale = np.array([image.shape[1] / window.width, image.shape[0] / window.height])
    drawn = [(op, segments) for op, segments in enumerate(scene.segments) if op in layers and len(segments)]
    lengths = [np.abs((s[:, 2:] - s[:, :2]) * scale).max(axis=1).sum() for _, s in drawn]
    alpha = _LINE_SHARE * image.size / max(float(np.sum(lengths)), 1.0)
    for op, segments in reversed(drawn):  # the first layer last: its lines are the frame of the picture
        colour = packed(colours[op])
        paint_segments(image, window, segments, colour, min(max(alpha, _FAINTEST), _STRONGEST))
