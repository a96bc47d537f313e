"""Areas, centroids and shape statistics of polygons given as rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.partition import Partition


def areas_and_centroids(
    vertices: Float[ndarray, "V 2"], offsets: Int[ndarray, " offsets"], ring: Int[ndarray, " H"]
) -> tuple[Float[ndarray, " R"], Float[ndarray, "R 2"]]:
    """Shoelace formula about each region's first corner, so that tiny regions far from the origin keep their digits."""
    starts = offsets[:-1]
    sides = np.diff(offsets)
    first = vertices[ring[starts]]
    here = vertices[ring] - np.repeat(first, sides, 0)
    after = here[successors(offsets)]
    cross = here[:, 0] * after[:, 1] - after[:, 0] * here[:, 1]
    doubled = np.add.reduceat(cross, starts)
    moment = np.add.reduceat((here + after) * cross[:, None], starts, axis=0)
    mean = np.add.reduceat(here, starts, axis=0) / sides[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = moment / (3 * doubled[:, None])
    # A region thinner than rounding can have a centroid outside itself: the mean of its corners is inside.
    lost = ~((centre >= np.minimum.reduceat(here, starts, 0)) & (centre <= np.maximum.reduceat(here, starts, 0))).all(1)
    centre[lost] = mean[lost]
    return np.maximum(doubled / 2, 0.0), first + centre


def successors(offsets: Int[ndarray, " offsets"]) -> Int[ndarray, " H"]:
    """Position of the next ring entry, cyclically within each region."""
    after = np.arange(1, offsets[-1] + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return after


def segment_argmax(values: ndarray, starts: Int[ndarray, " G"], sizes: Int[ndarray, " G"]) -> Int[ndarray, " G"]:
    """Position of the first largest value in each segment."""
    top = np.repeat(np.maximum.reduceat(values, starts), sizes)
    position = np.where(values == top, np.arange(len(values)), len(values))
    return np.minimum.reduceat(position, starts)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Shape and steepness of the regions; lengths and areas in slice coordinates.

    Attributes
    ----------
    area : (R,)
    eccentricity : (R,)
        sqrt(l1/l2) of the inertia tensor of the polygon's area, 1 for a disc or a square; infinite without width.
    vertex_eccentricity : (R,)
        SplineCam's: largest over smallest distance between two corners.
    sides : (R,)
        Corners, which is also the number of neighbours across an edge plus sides on the border.
    slope_norm : (R,)
        Spectral norm of the region's slopes (C x 2).
    summary : dict
        count, and for each of the above mean, std, min, max, and the area-weighted mean of the slope norm.
    metric : bool
        Whether u and v of the slice are orthonormal, so that areas and slopes are in input units.
    """

    area: Float[ndarray, " R"]
    eccentricity: Float[ndarray, " R"]
    vertex_eccentricity: Float[ndarray, " R"]
    sides: Int[ndarray, " R"]
    slope_norm: Float[ndarray, " R"]
    summary: dict[str, float]
    metric: bool


def statistics(partition: Partition) -> Statistics:
    """Per-region arrays and summary, O(H) and O(R C)."""
    arrays = {
        "area": partition.areas,
        "eccentricity": _inertia_eccentricity(partition),
        "vertex_eccentricity": _vertex_eccentricity(partition),
        "sides": np.diff(partition.ring_offsets),
        "slope_norm": slope_norms(partition.slopes),
    }
    summary: dict[str, float] = {"count": float(partition.n_regions)}
    for name, values in arrays.items():
        finite = values[np.isfinite(values)]
        for reduction in ("mean", "std", "min", "max"):
            summary[f"{name}_{reduction}"] = float(getattr(np, reduction)(finite)) if len(finite) else float("nan")
    summary["slope_norm_area_weighted_mean"] = float(np.average(arrays["slope_norm"], weights=arrays["area"]))
    return Statistics(**arrays, summary=summary, metric=partition.domain.metric)


def slope_norms(slopes: Float[ndarray, "R C 2"]) -> Float[ndarray, " R"]:
    """Spectral norm of each (C, 2) matrix: the root of the larger eigenvalue of its 2 x 2 Gram matrix, by hypot."""
    a = np.einsum("rc,rc->r", slopes[:, :, 0], slopes[:, :, 0])
    c = np.einsum("rc,rc->r", slopes[:, :, 1], slopes[:, :, 1])
    b = np.einsum("rc,rc->r", slopes[:, :, 0], slopes[:, :, 1])
    return np.sqrt((a + c + np.hypot(a - c, 2 * b)) / 2)


def _inertia_eccentricity(partition: Partition) -> Float[ndarray, " R"]:
    offsets = partition.ring_offsets
    here = partition.vertices[partition.ring_vertices] - np.repeat(partition.centroids, np.diff(offsets), 0)
    after = here[successors(offsets)]
    cross = here[:, 0] * after[:, 1] - after[:, 0] * here[:, 1]

    def second_moment(i: int, j: int) -> ndarray:
        terms = (
            2 * here[:, i] * here[:, j]
            + 2 * after[:, i] * after[:, j]
            + here[:, i] * after[:, j]
            + after[:, i] * here[:, j]
        )
        return np.add.reduceat(cross * terms, offsets[:-1])

    xx, yy, xy = second_moment(0, 0), second_moment(1, 1), second_moment(0, 1)
    spread = np.hypot(xx - yy, 2 * xy)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (xx + yy + spread) / (xx + yy - spread)
    return np.sqrt(np.where(ratio >= 1, ratio, np.inf))


def _vertex_eccentricity(partition: Partition) -> Float[ndarray, " R"]:
    """Largest over smallest distance of two corners, one corner offset of the ring at a time."""
    offsets, sides = partition.ring_offsets, np.diff(partition.ring_offsets)
    points = partition.vertices[partition.ring_vertices]
    start = np.repeat(offsets[:-1], sides)
    place = np.arange(len(points)) - start
    length = np.repeat(sides, sides)
    largest, smallest = np.zeros(len(sides)), np.full(len(sides), np.inf)
    for step in range(1, int(sides.max()) // 2 + 1):
        entries = np.flatnonzero(length >= 2 * step)
        other = start[entries] + (place[entries] + step) % length[entries]
        distance = np.linalg.norm(points[other] - points[entries], axis=1)
        owners = np.flatnonzero(sides >= 2 * step)
        at = np.cumsum(sides[owners]) - sides[owners]
        largest[owners] = np.maximum(largest[owners], np.maximum.reduceat(distance, at))
        smallest[owners] = np.minimum(smallest[owners], np.minimum.reduceat(distance, at))
    with np.errstate(divide="ignore"):
        return largest / smallest
