"""Exact nearest neighbours in one snapshot: a fast search proposes, direct differences in float64 decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int32
from numpy import ndarray

from netgeom_widgets.kernels.transitions.inputs import binary_unit

METRICS = ("euclidean", "cosine", "cityblock")

_PAD = 8  # candidates beyond the k asked for: near ties inside it cost no second search
_ROWS_AT_ONCE = 1 << 25  # query rows x samples of one proposal: a few tenths of a second between two cancel points
_PAIRS_AT_ONCE = 1 << 20  # where all rows are candidates: a few arrays of 8 MiB
_DIFFERENCES_AT_ONCE = 1 << 17  # coordinate differences held at once: 1 MiB, so that they stay in the cache
_EPS = float(np.finfo(np.float64).eps)

Ids = Int32[ndarray, "n k"]
Distances = Float64[ndarray, "n k"]


@dataclass(frozen=True, eq=False)
class Space:
    """Points whose sums of coordinate differences rank like the metric, and what turns such a sum into a distance.

    Attributes
    ----------
    points : (N, D) float64
        Scaled by a power of two where squares would overflow or vanish; for cosine directions of length 1.
    metric : str
        One of `METRICS`.
    unit : float
        What a distance of 1 between the points stands for.
    undirected : (N,) bool
        Rows of zeros under cosine, which have no direction; a coordinate of their own sets them apart.
    """

    points: Float64[ndarray, "N D"]
    metric: str
    unit: float
    undirected: Bool[ndarray, " N"]

    @classmethod
    def of(cls, x: Float64[ndarray, "N D"], metric: str) -> Space:
        """The points of one snapshot under a metric."""
        undirected = np.zeros(len(x), dtype=bool)
        if metric == "cosine":
            peaks = np.abs(x).max(1, keepdims=True)
            undirected = peaks[:, 0] == 0
            # Division by the largest entry rounds correctly, so exactly parallel rows become the same row bit for bit.
            rows = x / np.where(peaks == 0, 1.0, peaks)
            rows /= np.maximum(np.sqrt(np.einsum("nd,nd->n", rows, rows)), 1.0)[:, None]
            if undirected.any():
                rows = np.concatenate([rows, undirected[:, None].astype(np.float64)], axis=1)
            return cls(rows, metric, 1.0, undirected)
        unit = binary_unit(x)
        return cls(x / unit if unit != 1.0 else x, metric, unit, undirected)

    def distances(self, differences: Float64[ndarray, "r c D"]) -> Float64[ndarray, "r c"]:
        """Distances in the unit of the points from differences of coordinates, which are overwritten.

        The order of summation depends on D alone: a pair has the same bits whoever asks for it.
        """
        if self.metric == "cityblock":
            return np.abs(differences, out=differences).sum(2)
        squares = np.einsum("rcd,rcd->rc", differences, differences)
        return np.sqrt(squares) if self.metric == "euclidean" else squares / 2

    def chord(self, distances: Float64[ndarray, " r"]) -> Float64[ndarray, " r"]:
        """The distance between the points, which for cosine is not the metric."""
        return np.sqrt(2 * distances) if self.metric == "cosine" else distances


def nearest(
    x: Float64[ndarray, "N D"], k: int, metric: str, checkpoint: Callable[[], None] = lambda: None
) -> tuple[Ids, Distances]:
    """The k nearest other rows of every row, nearest first, equal distances by id.

    Candidates come from scikit-learn's brute force on centred data, whose distances are those of the matrix product
    and so off by rounding. They are ranked again by direct differences. A row is done when rounding cannot have kept a
    nearer row out of the candidates; the others are compared with every row. Cost O(N^2 D), plus O(N k D) for the
    ranking and O(N D) for each location that is compared with all.
    """
    space = Space.of(x, metric)
    count = min(len(x), k + 1 + _PAD)
    ids, distances = np.empty((len(x), k), dtype=np.int32), np.empty((len(x), k))
    propose = _proposer(space, count) if count < len(x) else None
    unsure = []
    step = max(1, (_ROWS_AT_ONCE if propose else _PAIRS_AT_ONCE) // len(x))
    for at in range(0, len(x), step):
        checkpoint()
        rows = np.arange(at, min(at + step, len(x)))
        if propose is None:
            candidates = np.broadcast_to(np.arange(len(x)), (len(rows), len(x)))
            ids[rows], distances[rows] = _ranked(space, rows, candidates, k)
        else:
            candidates, reach = propose(rows)
            ids[rows], distances[rows] = _ranked(space, rows, candidates, k)
            unsure.append(rows[~_certain(space, rows, distances[rows, -1], reach)])
    left = np.concatenate(unsure) if unsure else np.empty(0, dtype=np.int64)
    if len(left):
        ids[left], distances[left] = _compared_with_all(space, left, k, checkpoint)
    with np.errstate(over="ignore"):  # two float64 may be farther apart than float64 can say: then inf
        return ids, distances * space.unit


_Proposer = Callable[[ndarray], tuple[ndarray, ndarray]]


def _proposer(space: Space, count: int) -> _Proposer:
    """Rows -> (ids of their candidates, distance that every other row has at least, but for rounding)."""
    from sklearn.neighbors import NearestNeighbors

    points = space.points
    if space.metric != "cityblock":
        # Distances do not change, but the rounding error of the matrix product grows with the distance from 0.
        points = points - (points[0] + (points - points[0]).mean(0))
    norm = "manhattan" if space.metric == "cityblock" else "euclidean"
    search = NearestNeighbors(n_neighbors=count, algorithm="brute", metric=norm).fit(points)

    def propose(rows: ndarray) -> tuple[ndarray, ndarray]:
        reach, candidates = search.kneighbors(points[rows])
        lengths = np.sqrt(np.einsum("nd,nd->n", points[rows], points[rows]))
        return candidates, np.stack([reach[:, -1], lengths])

    return propose


def _certain(
    space: Space, rows: Int[ndarray, " r"], last: Float64[ndarray, " r"], reach: Float64[ndarray, "two r"]
) -> Bool[ndarray, " r"]:
    """Rows whose candidates provably hold all rows up to the k-th distance, ties included.

    In the matrix product a squared distance d^2 from a row of length l is off by at most (D + 4) u (l + l')^2, where u
    is half of eps and l' <= l + d the other row's length; the margin is four times that, which covers the
    rounding of centring, of the square roots and of the exact distance too.
    """
    found, length = reach
    limit = space.chord(last)
    terms = (space.points.shape[1] + 8) * _EPS
    if space.metric == "cityblock":
        return found > limit * (1 + 4 * terms)
    return found**2 > limit**2 + 2 * terms * (2 * length + limit) ** 2


def _ranked(space: Space, rows: Int[ndarray, " r"], candidates: Int[ndarray, "r c"], k: int) -> tuple[Ids, Distances]:
    """The k nearest candidates of each row but itself, by (distance, id)."""
    exact = np.empty(candidates.shape)
    step = max(1, _DIFFERENCES_AT_ONCE // (candidates.shape[1] * space.points.shape[1]))
    for at in range(0, len(rows), step):
        part = slice(at, at + step)
        differences = space.points[candidates[part]]
        differences -= space.points[rows[part], None]
        exact[part] = space.distances(differences)
    _set_apart(space, rows, candidates, exact)
    exact[candidates == rows[:, None]] = np.inf
    order = np.lexsort((candidates, exact), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, 1).astype(np.int32), np.take_along_axis(exact, order, 1)


def _set_apart(space: Space, rows: Int[ndarray, " r"], others: Int[ndarray, ...], exact: Float[ndarray, "r c"]) -> None:
    """Cosine: exactly 1 between a row of zeros and any row."""
    if space.undirected.any():
        exact[space.undirected[others] | space.undirected[rows][:, None]] = 1.0


def _compared_with_all(
    space: Space, rows: Int[ndarray, " r"], k: int, checkpoint: Callable[[], None]
) -> tuple[Ids, Distances]:
    """The same from the distances to every row, computed once for rows that coincide."""
    # Where rows coincide (dead units, saturated outputs) they see the same distances: the k + 1 nearest of the place,
    # from which each then leaves itself out. Adding 0 makes -0 and 0 the same bytes.
    places = np.ascontiguousarray(space.points[rows] + 0.0)
    keys = places.view(np.dtype((np.void, places.shape[1] * places.itemsize)))[:, 0]
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    near, at = np.empty((len(first), k + 1), dtype=np.int32), np.empty((len(first), k + 1))
    for number, row in enumerate(rows[first]):
        checkpoint()
        near[number], at[number] = _nearest_of_all(space, int(row), k + 1)
    ids, distances = near[place], at[place]
    itself = ids == rows[:, None]
    itself[~itself.any(1), -1] = True  # more than k others at its place have smaller ids
    return ids[~itself].reshape(-1, k), distances[~itself].reshape(-1, k)


def _nearest_of_all(space: Space, row: int, count: int) -> tuple[Int32[ndarray, " c"], Float64[ndarray, " c"]]:
    """The nearest rows of one row, itself included, by (distance, id)."""
    points = space.points
    exact = np.empty((1, len(points)))
    step = max(1, _DIFFERENCES_AT_ONCE // points.shape[1])
    for at in range(0, len(points), step):
        part = slice(at, at + step)
        exact[:, part] = space.distances(points[None, part] - points[row])
    _set_apart(space, np.array([row]), np.arange(len(points))[None], exact)
    flat = exact[0]
    limit = np.partition(flat, count - 1)[count - 1]
    near = np.flatnonzero(flat <= limit)
    order = near[np.argsort(flat[near], kind="stable")][:count]
    return order.astype(np.int32), flat[order]
