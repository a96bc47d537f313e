"""Which region a point lies in, for scattered points and for the pixels of a raster, by horizontal lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Int32
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.partition import Partition

_CROSSINGS_AT_ONCE = 1 << 23  # bounds the temporary arrays to a few hundred MB
_MAX_SIDE = 1 << 15


def locate(partition: Partition, points: Any) -> Int32[ndarray, " M"]:
    """Region of each point: the one right of the nearest edge on its left. O(M sqrt(E) log) for well-shaped regions."""
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise NetgeomError(
            "The points are not slice coordinates", expected="an array (M, 2) of finite numbers", got=f"{points.shape}"
        )
    found = np.full(len(points), -1, dtype=np.int32)
    heights, row = np.unique(points[:, 1], return_inverse=True)
    order = np.lexsort((points[:, 0], row))
    row_starts = np.searchsorted(row[order], np.arange(len(heights) + 1))
    for first, last, crossing_row, x, region in _scan(partition, heights):
        chosen = order[row_starts[first] : row_starts[last]]
        found[chosen] = _right_of(crossing_row - first, x, region, row[chosen] - first, points[chosen, 0], last - first)
    return found


def rasterise(
    partition: Partition, xmin: float, xmax: float, ymin: float, ymax: float, width: int, height: int
) -> Int32[ndarray, "h w"]:
    """Region at every pixel centre. O(E + crossings of pixel rows with edges)."""
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE) or not (xmax > xmin and ymax > ymin):
        raise NetgeomError(
            "The raster has no pixels or too many",
            expected=f"1 to {_MAX_SIDE} a side, xmax > xmin, ymax > ymin",
            got=f"{width}x{height}",
        )
    require_memory(width * height * 4, "The raster", "fewer pixels")
    ys = ymin + (np.arange(height) + 0.5) * ((ymax - ymin) / height)
    image = np.full((height, width), -1, dtype=np.int32)
    for first, last, row, x, region in _scan(partition, ys):
        if not len(row):
            continue
        # Every crossing starts a run of pixels whose centres lie right of it and ends the run before.
        column = np.clip(np.ceil((x - xmin) * (width / (xmax - xmin)) - 0.5), 0, width).astype(np.int64)
        place = (row - first) * width + column
        ends = np.append(place[1:], (last - first) * width)
        new_row = np.append(row[1:] != row[:-1], True)
        ends[new_row] = (row[new_row] - first + 1) * width
        runs = np.full((last - first) * width, -1, dtype=np.int32)
        runs_length = ends - place
        index = np.repeat(place - (np.cumsum(runs_length) - runs_length), runs_length) + np.arange(runs_length.sum())
        runs[index] = np.repeat(region, runs_length)
        image[first:last] = runs.reshape(last - first, width)
    return image


def _scan(
    partition: Partition, heights: Float[ndarray, " K"]
) -> Iterator[tuple[int, int, Int[ndarray, " X"], Float[ndarray, " X"], Int32[ndarray, " X"]]]:
    """Crossings of horizontal lines with edges, sorted by line and x, with the region to the right; in blocks of lines.

    A line stands for the one infinitely little above it: an edge is crossed from its lower end (included) to its upper
    end, and edges that meet on the line are ordered by their direction.
    """
    a, b = (partition.vertices[partition.edges[:, i]] for i in (0, 1))
    upward = b[:, 1] > a[:, 1]
    low, high = np.where(upward[:, None], a, b), np.where(upward[:, None], b, a)
    right = np.where(upward, partition.edge_regions[:, 1], partition.edge_regions[:, 0])
    first_row = np.searchsorted(heights, low[:, 1], side="left")
    last_row = np.searchsorted(heights, high[:, 1], side="left")
    crossed = np.flatnonzero(last_row > first_row)
    low, high, right, first_row, last_row = (
        low[crossed],
        high[crossed],
        right[crossed],
        first_row[crossed],
        last_row[crossed],
    )
    with np.errstate(divide="ignore", over="ignore"):
        run = (high[:, 0] - low[:, 0]) / (high[:, 1] - low[:, 1])
    per_row = np.cumsum(
        np.bincount(first_row, minlength=len(heights) + 1) - np.bincount(last_row, minlength=len(heights) + 1)
    )
    total = np.concatenate([[0], np.cumsum(per_row[: len(heights)])])
    start = 0
    while start < len(heights):
        stop = max(start + 1, int(np.searchsorted(total, total[start] + _CROSSINGS_AT_ONCE, side="right")) - 1)
        inside = np.flatnonzero((first_row < stop) & (last_row > start))
        begin, end = np.maximum(first_row[inside], start), np.minimum(last_row[inside], stop)
        edge = np.repeat(inside, end - begin)
        row = np.repeat(begin - (np.cumsum(end - begin) - (end - begin)), end - begin) + np.arange(len(edge))
        # From the nearer end, so that edges which meet just above or below the line keep their order; at equal x they
        # are ordered by their direction away from the point in which they meet.
        below, above = heights[row] - low[edge, 1], high[edge, 1] - heights[row]
        from_low = below <= above
        x = np.where(from_low, low[edge, 0] + below * run[edge], high[edge, 0] - above * run[edge])
        x = np.clip(x, np.minimum(low[edge, 0], high[edge, 0]), np.maximum(low[edge, 0], high[edge, 0]))
        order = np.lexsort((np.where(from_low, run[edge], -run[edge]), x, row))
        yield start, stop, row[order], x[order], right[edge][order]
        start = stop


def _right_of(
    crossing_row: ndarray, x: ndarray, region: ndarray, row: ndarray, at: ndarray, n_rows: int
) -> Int32[ndarray, " M"]:
    """Region right of the last crossing at or left of each point; points sorted by row and x like the crossings."""
    rows = np.concatenate([crossing_row, row])
    order = np.lexsort((np.repeat([0, 1], [len(x), len(at)]), np.concatenate([x, at]), rows))
    is_crossing = order < len(x)
    latest = np.maximum.accumulate(np.where(is_crossing, np.arange(len(order)), -1))
    points = np.flatnonzero(~is_crossing)
    before = latest[points]
    valid = before >= 0
    source = order[np.maximum(before, 0)]
    query = order[points] - len(x)
    valid &= rows[source] == row[query]
    found = np.full(len(at), -1, dtype=np.int32)
    found[query[valid]] = region[source[valid]]
    return found
