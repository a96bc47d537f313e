"""Windows on a slice, and the polygons, lines and rasters of a partition that are seen through one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from netgeom_widgets.figures.region_values import groups_at

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition


@dataclass(frozen=True)
class Window:
    """An axis-parallel rectangle in slice coordinates (s, t)."""

    xmin: float
    xmax: float
    ymin: float
    ymax: float

    @classmethod
    def around(cls, points: Float[np.ndarray, "K 2"]) -> Window:
        """The bounding box of some points."""
        (xmin, ymin), (xmax, ymax) = np.min(points, axis=0).tolist(), np.max(points, axis=0).tolist()
        return cls(xmin, xmax, ymin, ymax)

    @property
    def width(self) -> float:
        """Length in s."""
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        """Length in t."""
        return self.ymax - self.ymin

    def grown(self, share: float) -> Window:
        """The rectangle made larger on each side by ``share`` of its width and height."""
        dx, dy = share * self.width, share * self.height
        return Window(self.xmin - dx, self.xmax + dx, self.ymin - dy, self.ymax + dy)

    def shaped(self, width: float, height: float) -> Window:
        """The smallest window around this one, with the same centre, that has the proportions width : height."""
        unit = max(self.width / width, self.height / height)
        return self.resized(unit * width, unit * height)

    def resized(self, width: float, height: float) -> Window:
        """A window of another size with the same centre."""
        x, y = (self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2
        return Window(x - width / 2, x + width / 2, y - height / 2, y + height / 2)

    def intersect(self, other: Window) -> Window:
        """The common part; of negative width or height when there is none."""
        return Window(
            max(self.xmin, other.xmin),
            min(self.xmax, other.xmax),
            max(self.ymin, other.ymin),
            min(self.ymax, other.ymax),
        )

    def contains(self, other: Window) -> bool:
        """Whether ``other`` lies in this rectangle, up to rounding."""
        slack = 1e-9 * max(self.width, self.height)
        return (
            self.xmin <= other.xmin + slack
            and self.xmax >= other.xmax - slack
            and self.ymin <= other.ymin + slack
            and self.ymax >= other.ymax - slack
        )


def clip_polygon(polygon: Float[np.ndarray, "K 2"], window: Window) -> Float[np.ndarray, "L 2"]:
    """The part of a convex polygon in a rectangle (Sutherland-Hodgman 1974); shape (0, 2) when there is none.

    Corners of the result that coincide to 1e-12 of the window are merged: a domain must have distinct corners.
    """
    points = np.asarray(polygon, dtype=np.float64)
    for axis, sign, bound in ((0, 1, window.xmin), (0, -1, window.xmax), (1, 1, window.ymin), (1, -1, window.ymax)):
        if not len(points):
            break
        inside = sign * (points[:, axis] - bound)
        kept: list[np.ndarray] = []
        for i in range(len(points)):
            j = (i + 1) % len(points)
            if inside[i] >= 0:
                kept.append(points[i])
            if (inside[i] > 0) != (inside[j] > 0) and inside[i] * inside[j] < 0:
                cut = points[i] + inside[i] / (inside[i] - inside[j]) * (points[j] - points[i])
                cut[axis] = bound  # exactly on the side, whatever the rounding of the line above
                kept.append(cut)
        points = np.array(kept).reshape(-1, 2)
    if len(points) < 3:
        return np.empty((0, 2))
    gap = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
    points = points[gap > 1e-12 * max(window.width, window.height)]
    return points if len(points) >= 3 else np.empty((0, 2))


def seen_through(partition: Partition, window: Window) -> Int[np.ndarray, " S"]:
    """Ids of the regions whose bounding box meets the window."""
    points = partition.vertices[partition.ring_vertices]
    starts = partition.ring_offsets[:-1]
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    apart = (high < (window.xmin, window.ymin)) | (low > (window.xmax, window.ymax))
    return np.flatnonzero(~apart.any(axis=1))


def rings(partition: Partition, ids: Int[np.ndarray, " S"]) -> tuple[list[list[float]], list[list[float]]]:
    """Corner coordinates of the regions ``ids`` as lists of lists, which Bokeh takes six times faster than arrays."""
    points = partition.vertices[partition.ring_vertices]
    xs, ys = points[:, 0].tolist(), points[:, 1].tolist()
    bounds = list(zip(partition.ring_offsets[ids].tolist(), partition.ring_offsets[ids + 1].tolist(), strict=True))
    return [xs[a:b] for a, b in bounds], [ys[a:b] for a, b in bounds]


def layer_segments(
    partition: Partition, op: int, within: Bool[np.ndarray, " R"] | None = None
) -> Float[np.ndarray, "S 4"]:
    """Hinge lines of activation operation ``op`` as rows x0, y0, x1, y1; only those at a region marked by ``within``.

    Inside one region of the layer before, a unit's hinge is straight however many edges later cuts have made of it:
    those edges are joined, which halves the lines to draw. A group is joined only if its edges add up to the distance
    of its outermost ends, so a unit with several parallel hinges keeps them apart.
    """
    wanted = np.flatnonzero(partition.edge_op == op)
    sides = partition.edge_regions[wanted]
    if within is not None:
        near = (within[sides] & (sides >= 0)).any(axis=1)
        wanted, sides = wanted[near], sides[near]
    ends = partition.vertices[partition.edges[wanted]]
    if len(wanted) < 2:
        return ends.reshape(-1, 4)
    parents = groups_at(partition, op)[sides.max(axis=1)]
    order = np.lexsort((parents, partition.edge_unit[wanted]))
    ends, keys = ends[order], np.stack([partition.edge_unit[wanted], parents])[:, order]
    starts = np.flatnonzero(np.append(True, (np.diff(keys) != 0).any(axis=0)))
    sizes = np.diff(np.append(starts, len(ends)))
    steps = ends[:, 1] - ends[:, 0]
    lengths = np.hypot(*steps.T)
    # All edges of a line are measured along the first one of their group, from its first end.
    unit = (steps / np.maximum(lengths, 1e-300)[:, None])[np.repeat(starts, sizes)]
    along = ((ends - ends[np.repeat(starts, sizes), :1]) * unit[:, None]).sum(axis=2)
    low, high = along.min(axis=1), along.max(axis=1)
    first, last = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    joined = np.abs(last - first - np.add.reduceat(lengths, starts)) <= 1e-9 * (last - first)
    rows = np.arange(len(ends))
    at_first = rows[low == np.repeat(first, sizes)]
    at_last = rows[high == np.repeat(last, sizes)]
    group = np.repeat(np.arange(len(starts)), sizes)
    begin, finish = np.zeros((len(starts), 2)), np.zeros((len(starts), 2))
    begin[group[at_first]] = ends[at_first, along[at_first].argmin(axis=1)]
    finish[group[at_last]] = ends[at_last, along[at_last].argmax(axis=1)]
    whole = np.concatenate([begin, finish], axis=1)[joined]
    return np.concatenate([whole, ends[~joined[group]].reshape(-1, 4)])


def neighbours(partition: Partition, region: int) -> Int[np.ndarray, " S"]:
    """Ids of the regions that share an edge with ``region``."""
    sides = partition.edge_regions
    beside = sides[(sides == region).any(axis=1)]
    return np.unique(beside[(beside != region) & (beside >= 0)])


def paint_segments(
    image: UInt32[np.ndarray, "H W"], window: Window, segments: Float[np.ndarray, "S 4"], colour: int, alpha: float
) -> None:
    """Paint line segments, one pixel wide, into an RGBA image whose row 0 is at ``window.ymin``; in place.

    Each segment is sampled once per pixel along its longer side, so the cost is the number of pixels painted.
    """
    if not len(segments):
        return
    height, width = image.shape
    scale = np.array([width / window.width, height / window.height] * 2)
    ends = _shortened((segments - np.array([window.xmin, window.ymin] * 2)) * scale, width, height)
    steps = np.ceil(np.abs(ends[:, 2:] - ends[:, :2]).max(axis=1, initial=0)).astype(np.int64) + 1
    which = np.repeat(np.arange(len(ends)), steps)
    along = (np.arange(len(which)) - np.repeat(np.cumsum(steps) - steps, steps)) / np.maximum(steps - 1, 1)[which]
    points = np.floor(ends[which, :2] + along[:, None] * (ends[which, 2:] - ends[which, :2])).astype(np.int64)
    points = points[((points >= 0) & (points < (width, height))).all(axis=1)]
    rows, columns = points[:, 1], points[:, 0]
    old = image[rows, columns].view(np.uint8).reshape(-1, 4).astype(np.float64)
    new = np.frombuffer(np.uint32(colour).tobytes(), dtype=np.uint8).astype(np.float64)
    mixed = np.rint(old + alpha * (new - old)).astype(np.uint8)
    mixed[:, 3] = 255
    image[rows, columns] = np.ascontiguousarray(mixed).view(np.uint32).ravel()


def _shortened(pixels: Float[np.ndarray, "S 4"], width: int, height: int) -> Float[np.ndarray, "H 4"]:
    """The segments that meet the image, each cut to it and a two-pixel frame around it (Liang-Barsky 1984)."""
    start, step = pixels[:, :2], pixels[:, 2:] - pixels[:, :2]
    low, high = np.array([-2.0, -2.0]), np.array([width + 2.0, height + 2.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (low - start) / step, (high - start) / step
    flat = step == 0
    enter = np.where(flat, -np.inf, np.minimum(first, second)).max(axis=1).clip(min=0.0)
    leave = np.where(flat, np.inf, np.maximum(first, second)).min(axis=1).clip(max=1.0)
    meets = (enter <= leave) & ~(flat & ((start < low) | (start > high))).any(axis=1)
    start, step, enter, leave = start[meets], step[meets], enter[meets, None], leave[meets, None]
    return np.concatenate([start + enter * step, start + leave * step], axis=1)
