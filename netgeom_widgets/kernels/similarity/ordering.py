"""Nearest neighbours by similarity, and an order in which similar samples stand side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels.similarity.rows import Rows, Work, leaves_itself_out

_LEAVES = 1500  # samples that optimal leaf ordering takes at once: 3 s, growing with their square to their cube
_REPRESENTATIVES = 1000
_FEATURES = 64  # representatives whose similarities tell the members of a cluster apart


class Nearest(NamedTuple):
    """The k most similar others of each sample.

    Attributes
    ----------
    ids : (n, k) int32
        Columns, most similar first, equal ones by id.
    values : (n, k) float64
        Their similarities.
    """

    ids: Int32[ndarray, "n k"]
    values: Float64[ndarray, "n k"]


def nearest(
    values: Any,
    k: int,
    *,
    exclude_self: bool | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Nearest:
    """The k most similar others of each sample, ties to the smaller id.

    Parameters
    ----------
    values : (n, m) array, memory map, zarr array or tensor
        Similarities; read in blocks of rows.
    k : int
        From 1 to m, or to m - 1 where the sample itself is left out.
    exclude_self : bool, optional
        Leave entry (i, i) out; None: when the matrix is square. False for n inputs against n others.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    Nearest
        ``ids, values = nearest(...)``.

    Raises
    ------
    NetgeomError
        k out of range; entries that are not finite.

    Notes
    -----
    Cost O(n m).
    """
    rows = Rows(values)
    alone = leaves_itself_out(rows, exclude_self)
    k = as_count(k, 1, rows.n_columns - alone, "k")
    ids, found = np.empty((len(rows), k), dtype=np.int32), np.empty((len(rows), k))
    for part, block in rows.blocks(Work(progress, cancel, len(rows), "nearest")):
        if alone:
            block[np.arange(len(block)), np.arange(part.start, part.stop)] = -np.inf
        last = -np.partition(-block, k - 1, axis=1)[:, k - 1 : k]
        ties = block == last
        left = k - (block > last).sum(1, keepdims=True)
        chosen = (block > last) | (ties & (ties.cumsum(1) <= left))
        columns = np.nonzero(chosen)[1].reshape(-1, k)
        similarities = np.take_along_axis(block, columns, 1)
        order = np.argsort(-similarities, axis=1, kind="stable")  # columns ascend: ties stay by id
        ids[part] = np.take_along_axis(columns, order, 1)
        found[part] = np.take_along_axis(similarities, order, 1)
    return Nearest(ids, found)


def seriate(
    values: Any,
    *,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Int32[ndarray, " n"]:
    """An order of the samples in which similar ones stand side by side.

    Up to 1,500 samples: average linkage on 1 - k, and of all orders that its tree allows the one of least
    `path_length` (optimal leaf ordering, Bar-Joseph et al. 2001). Above: 1,000 representatives, each the sample least
    similar to those before it (Gonzalez 1985), are ordered so; every other sample joins the one it is most similar to,
    and within these clusters samples are ordered so too, by their similarities to the first 64 representatives. Only
    the rows of the representatives are read, one at a time, and no n x n array is made.

    Parameters
    ----------
    values : (n, n) array, memory map, zarr array or tensor
        Similarities of every sample with every sample; k and its transpose are averaged up to 1,500 samples, and above
        k must be symmetric. The unit does not matter: unnormalised inner products too have an order.
    progress, cancel
        See `netgeom_widgets.execution`; up to 1,500 samples there is one step.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    (n,) int32
        Sample ids in that order; the same for the same values. Of the two directions the one that begins with the
        smaller id.

    Raises
    ------
    NetgeomError
        Not square, or above 1,500 samples not symmetric; entries that are not finite.

    Notes
    -----
    Cost O(n^2) for the linkage and O(n^2) to O(n^3) for the ordering up to 1,500 samples: 0.2 s for 500, 3 s for 1,500.
    Above, O(1000 n) and memory for O(64 n): 2 s for 5,000, 3 s for 50,000 besides reading. Its paths were as long as
    those of the optimal leaf ordering for 1,797 handwritten digits to 4 %, and for 5,000 shorter than plain average
    linkage's.
    """
    rows = Rows(values, square=True)
    work = Work(progress, cancel, min(len(rows), _REPRESENTATIVES) if len(rows) > _LEAVES else len(rows), "order")
    work.checkpoint()
    if len(rows) <= _LEAVES:
        k = rows[slice(0, len(rows))]
        k = (k + k.T) / 2
        order = _leaf_order(k.max() - k)
        work.done(len(rows))
    else:
        order = _clustered_order(rows, work)
    order = order if order[0] < order[-1] else order[::-1]
    return order.astype(np.int32)


def path_length(values: Any, order: Any) -> float:
    """Sum of 1 - k over the neighbours in an order: what `seriate` makes small.

    Parameters
    ----------
    values : (n, n) array, memory map, zarr array or tensor
    order : (n,) whole numbers
        A permutation of the samples.

    Returns
    -------
    float
        0 when all are equal; 0 for a single sample.

    Raises
    ------
    NetgeomError
        Not square; no permutation; entries that are not finite.
    """
    rows = Rows(values, square=True)
    ids = as_array(order, "order")
    if ids.dtype.kind not in "iu" or not np.array_equal(np.sort(ids), np.arange(len(rows))):
        raise NetgeomError(
            "order is no permutation of the samples",
            expected=f"each of 0 to {len(rows) - 1} once",
            got=f"shape {ids.shape}, dtype {ids.dtype}",
        )
    before = np.empty(len(rows), dtype=np.int64)  # of each sample the one before it in the order, of the first itself
    before[ids] = np.concatenate([ids[:1], ids[:-1]])
    total = 0.0
    for part, block in rows.blocks():
        steps = 1 - block[np.arange(len(block)), before[part]]
        total += float(steps[before[part] != np.arange(part.start, part.stop)].sum())
    return total


def _leaf_order(distances: Float64[ndarray, "n n"]) -> Int64[ndarray, " n"]:
    """Optimal leaf ordering of average linkage; a constant added to all distances does not change it."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(distances) < 3:
        return np.arange(len(distances))
    condensed = squareform(distances, checks=False)
    tree = linkage(condensed, "average")
    return leaves_list(optimal_leaf_ordering(tree, condensed)).astype(np.int64)


def _clustered_order(rows: Rows, work: Work) -> Int64[ndarray, " n"]:
    """Representatives in order, and within each of their clusters an order by features."""
    n = len(rows)
    chosen = np.zeros(_REPRESENTATIVES, dtype=np.int64)
    between = np.empty((_REPRESENTATIVES, _REPRESENTATIVES))
    features = np.empty((n, _FEATURES), dtype=np.float32)
    best, cluster = np.full(n, -np.inf), np.zeros(n, dtype=np.int64)
    for number in range(_REPRESENTATIVES):
        work.checkpoint()
        if number:
            chosen[number] = np.argmin(best)
        at = int(chosen[number])
        row = rows[slice(at, at + 1)][0]
        between[number, : number + 1] = between[: number + 1, number] = row[chosen[: number + 1]]
        if number < _FEATURES:
            features[:, number] = row
        closer = row > best
        best[closer], cluster[closer] = row[closer], number
        best[at], cluster[at] = np.inf, number  # a representative stays with itself and is chosen once
        work.done(1)
    _check_symmetric(features[chosen], between[:, :_FEATURES])
    members = np.split(np.argsort(cluster, kind="stable"), np.cumsum(np.bincount(cluster))[:-1])
    sequence = _leaf_order(between.max() - between)
    return _joined([_within(features, members[number]) for number in sequence], features)


def _check_symmetric(columns: Float32[ndarray, "r f"], rows: Float64[ndarray, "r f"]) -> None:
    """Refuse a matrix that reads differently along the rows of representatives and across them."""
    difference, size = float(np.abs(columns - rows).max()), float(np.abs(rows).max())
    if difference > 1e-3 * size:
        raise NetgeomError(
            "The similarities are not symmetric",
            expected=f"k(x, x') = k(x', x) above {_LEAVES:,} samples",
            got=f"a difference of {difference:.2g}",
            try_this="another kernel than 'relative', or (values + values.T) / 2",
        )


def _within(features: Float32[ndarray, "n f"], members: Int64[ndarray, " m"]) -> Int64[ndarray, " m"]:
    """One cluster in an order of its own."""
    from scipy.spatial.distance import cdist

    points = features[members].astype(np.float64)
    if len(members) <= _LEAVES:
        return members[_leaf_order(cdist(points, points, "sqeuclidean"))]
    # So large a cluster is of samples that hardly differ: along its longest axis.
    points -= points.mean(0)
    _, axes = np.linalg.eigh(points.T @ points)
    return members[np.argsort(points @ axes[:, -1], kind="stable")]


def _joined(groups: list[Int64[ndarray, " _"]], features: Float32[ndarray, "n f"]) -> Int64[ndarray, " n"]:
    """Groups in their order, each forwards or backwards so that the steps from one to the next are shortest in sum."""
    ends = features[[[group[0], group[-1]] for group in groups]].astype(np.float64)  # group, end, feature
    steps = ((ends[:-1, :, None] - ends[1:, None, :]) ** 2).sum(-1)  # [group, its end, the next one's end]
    cost = np.zeros(2)  # of the best choice so far with the last group forwards, and with it backwards
    choices = []
    for step in steps:
        total = cost[:, None] + step[::-1]  # a group forwards is left by its last end, backwards by its first
        choices.append(total.argmin(0))
        cost = total.min(0)
    turned = [int(cost.argmin())]
    for choice in reversed(choices):
        turned.append(int(choice[turned[-1]]))
    return np.concatenate([g[::-1] if turn else g for g, turn in zip(groups, reversed(turned), strict=True)])
