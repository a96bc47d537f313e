"""The decision boundary of the network inside the slice, exact on every region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions.measures import segment_argmax

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.partition import Partition

_ROWS_AT_ONCE = 1 << 14  # regions whose class pairs are clipped together


@dataclass(frozen=True, eq=False)
class Boundary:
    """Straight pieces of the decision boundary.

    Attributes
    ----------
    segments : (S, 2, 2) float64
        End points in slice coordinates.
    classes : (S, 2) int32
        The two classes that meet, smaller first; (0, 1) for a single output.
    regions : (S,) int32
        The region it runs through; for a piece along a hinge one of the two beside it.
    length : float
        Total length in slice coordinates.
    """

    segments: Float[ndarray, "S 2 2"]
    classes: Int32[ndarray, "S 2"]
    regions: Int32[ndarray, " S"]
    length: float


def boundary(partition: Partition) -> Boundary:
    """Where the predicted class changes: above zero or not for one output, the argmax for several.

    Inside a region the outputs are affine: a pair of classes ties on a chord, which is clipped to where no third output
    is larger. Where the class changes exactly along a hinge, the edge itself is the boundary. A region on which the
    leading outputs tie throughout has no boundary inside.
    """
    logits = partition.outputs
    if logits.shape[1] == 1:
        # A second output that is always zero makes the zero set an argmax boundary; ties go to it, as "on" means above
        # zero.
        logits = np.concatenate([np.zeros_like(logits), logits], 1)
        rounding = np.repeat(partition.output_rounding, 2)
    else:
        rounding = partition.output_rounding
    threshold = float(np.max(rounding))
    pieces = [*_inside_regions(partition, logits, threshold), _along_edges(partition, logits, threshold)]
    segments, classes, regions = (np.concatenate(part) for part in zip(*pieces, strict=True))
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    kept = lengths > 0
    return Boundary(
        segments[kept], classes[kept].astype(np.int32), regions[kept].astype(np.int32), float(lengths[kept].sum())
    )


_Pieces = tuple[ndarray, ndarray, ndarray]


def _inside_regions(partition: Partition, logits: ndarray, threshold: float) -> Iterator[_Pieces]:
    offsets, ring = partition.ring_offsets, partition.ring_vertices
    lowest = np.minimum.reduceat(logits[ring], offsets[:-1], axis=0)
    highest = np.maximum.reduceat(logits[ring], offsets[:-1], axis=0)
    # A class that nowhere in the region reaches the best guaranteed output cannot win in it.
    possible = highest > lowest.max(1, keepdims=True) + threshold
    possible |= lowest == lowest.max(1, keepdims=True)
    contested = np.flatnonzero(possible.sum(1) > 1)
    for at in range(0, len(contested), _ROWS_AT_ONCE):
        regions = contested[at : at + _ROWS_AT_ONCE]
        for i, j in _pairs(possible[regions]):
            both = regions[possible[regions, i] & possible[regions, j]]
            found = _chords(partition, logits, both, i, j, threshold)
            if len(found[0]):
                yield _clip(partition, logits, *found, i, j, threshold)


def _pairs(possible: Bool[ndarray, "M C"]) -> Iterator[tuple[int, int]]:
    together = possible.T.astype(np.float32) @ possible.astype(np.float32)
    yield from ((int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(together, 1)), strict=True))


def _chords(
    partition: Partition, logits: ndarray, regions: ndarray, i: int, j: int, threshold: float
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Where outputs i and j tie in each region: (regions, a, b, t), the chord's two ends on the sides a -> b."""
    starts, sides = partition.ring_offsets[regions], np.diff(partition.ring_offsets)[regions]
    entry = np.repeat(starts - (np.cumsum(sides) - sides), sides) + np.arange(sides.sum())
    owner = np.repeat(np.arange(len(regions)), sides)
    last = np.cumsum(sides) - 1
    vertex = partition.ring_vertices[entry]
    following = np.append(vertex[1:], 0)
    following[last] = vertex[last - sides + 1] if len(last) else following[last]
    gap = logits[:, i] - logits[:, j]
    z = np.where(np.abs(gap) <= threshold, 0.0, gap)
    here, after = z[vertex], z[following]
    through = (here * after < 0) | (here == 0)
    n = len(regions)
    above, below = (np.bincount(owner[side], minlength=n) for side in (here > 0, here < 0))
    ends = np.bincount(owner[through], minlength=n)
    fine = (above > 0) & (below > 0) & (ends >= 2)
    chosen = np.flatnonzero(through & fine[owner])
    if not len(chosen):
        return regions[:0], vertex[:0, None], vertex[:0, None], here[:0, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(here == 0, 0.0, here / (here - after))[chosen]
    a, b = vertex[chosen], following[chosen]
    pair = _farthest_pair((1 - t[:, None]) * partition.vertices[a] + t[:, None] * partition.vertices[b], owner[chosen])
    return regions[owner[chosen][pair[:, 0]]], a[pair], b[pair], t[pair]


def _farthest_pair(points: Float[ndarray, "N 2"], group: Int[ndarray, " N"]) -> Int[ndarray, "G 2"]:
    """Two far ends of each group of points on a line: two of them, or more where neighbours tie within rounding."""
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    sizes = np.diff(np.append(starts, len(group)))
    ends = [starts]
    for _ in range(2):
        offset = points - np.repeat(points[ends[-1]], sizes, 0)
        ends.append(segment_argmax((offset**2).sum(1), starts, sizes))
    return np.sort(np.stack(ends[1:], 1), 1)


def _clip(
    partition: Partition,
    logits: ndarray,
    regions: ndarray,
    a: ndarray,
    b: ndarray,
    t: ndarray,
    i: int,
    j: int,
    threshold: float,
) -> _Pieces:
    """Keep the part of each chord on which no third output exceeds the tied pair."""

    def at_end(values: ndarray, end: int) -> ndarray:
        weight = t[:, end].reshape(-1, *[1] * (values.ndim - 1))
        return (1 - weight) * values[a[:, end]] + weight * values[b[:, end]]

    start, stop = at_end(logits, 0), at_end(logits, 1)
    lead_start, lead_stop = start[:, [i]] - start, stop[:, [i]] - stop
    lead_start[:, [i, j]] = lead_stop[:, [i, j]] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        root = lead_start / (lead_start - lead_stop)
    low = np.where((lead_start < -threshold) & (lead_stop >= -threshold), root, 0.0).max(1).clip(0, 1)
    high = np.where((lead_stop < -threshold) & (lead_start >= -threshold), root, 1.0).min(1).clip(0, 1)
    beaten = ((lead_start < -threshold) & (lead_stop < -threshold)).any(1)
    kept = ~beaten & (high > low)
    p, q = at_end(partition.vertices, 0), at_end(partition.vertices, 1)
    ends = np.stack([p + low[:, None] * (q - p), p + high[:, None] * (q - p)], 1)[kept]
    return ends, np.tile([i, j], (len(ends), 1)), regions[kept]


def _along_edges(partition: Partition, logits: ndarray, threshold: float) -> _Pieces:
    """Edges on which the two leading outputs tie while the class differs on the two sides."""
    edges, sides = partition.edges, partition.edge_regions
    middle = logits[edges].mean(1)
    top = np.argsort(-middle, axis=1, kind="stable")[:, :2]
    i, j = top.min(1), top.max(1)
    gap = np.take_along_axis(logits[edges], i[:, None, None], 2) - np.take_along_axis(
        logits[edges], j[:, None, None], 2
    )
    tied = np.flatnonzero((np.abs(gap[..., 0]) <= threshold).all(1) & (sides >= 0).all(1))
    if not len(tied):
        return np.empty((0, 2, 2)), np.empty((0, 2), dtype=np.int32), np.empty(0, dtype=np.int32)
    changes = np.zeros(len(tied), dtype=bool)
    for first, second in np.unique(np.stack([i, j], 1)[tied], axis=0):
        chosen = np.flatnonzero((i[tied] == first) & (j[tied] == second))
        gap = (logits[:, first] - logits[:, second])[partition.ring_vertices]
        # The first leads where it is at least the second, as argmax breaks ties.
        leads = np.minimum.reduceat(gap, partition.ring_offsets[:-1]) >= -threshold
        left, right = sides[tied[chosen]].T
        changes[chosen] = leads[left] != leads[right]
    kept = tied[changes]
    return partition.vertices[edges[kept]], np.stack([i, j], 1)[kept], sides[kept, 0]


def sample(found: Boundary, n: int, seed: int | np.random.Generator) -> Float[ndarray, "n 2"]:
    """Points uniform by length."""
    if n < 0:
        raise NetgeomError("The number of points must not be negative", got=f"{n}")
    if not len(found.segments):
        return np.empty((0, 2))
    rng = np.random.default_rng(seed)
    ends = np.cumsum(np.linalg.norm(found.segments[:, 1] - found.segments[:, 0], axis=1))
    at = rng.random(n) * ends[-1]
    chosen = np.minimum(np.searchsorted(ends, at, side="right"), len(ends) - 1)
    weight = rng.random(n)[:, None]
    return (1 - weight) * found.segments[chosen, 0] + weight * found.segments[chosen, 1]
