"""How much of the neighbourhoods two snapshots share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.transitions.neighbours import Neighbours, prefix

_COMPARED_AT_ONCE = 1 << 20  # pairs of ids: 1 MiB of booleans
_INDICATORS_AT_ONCE = 1 << 23  # entries of the float32 indicator matrix: 32 MiB
_PAIRS_AT_ONCE = 1 << 21  # (sample, neighbour) pairs whose occurrences are counted at once: 16 MiB a table

_FEWER = "fewer snapshots: every second or third row of the recording"


def overlap(
    neighbours: Neighbours,
    *,
    k: int | None = None,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "transitions n"]:
    """Share of each sample's neighbours that survive each transition: |A_t ∩ A_t+1| / k.

    Parameters
    ----------
    neighbours : Neighbours
    k : int, optional
        Of the stored neighbours only the k nearest.
    samples : sequence of int or (N,) bool, optional
        Only these rows; their neighbours stay those among all rows.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    (T - 1, n) float64
        Exact multiples of 1 / k; 1 minus its mean over samples is the churn.

    Raises
    ------
    NetgeomError
        k above what is stored, rows that are not there.

    Notes
    -----
    Cost O(T n k^2) comparisons.
    """
    ids = prefix(neighbours, k, samples)
    return shared_counts(ids, as_progress(progress), as_cancel(cancel)) / ids.shape[2]


def shared_counts(ids: Int32[ndarray, "T n k"], progress: Progress, cancel: Cancel) -> Int64[ndarray, "transitions n"]:
    """|A_t ∩ A_t+1| of each sample."""
    n_snapshots, n, k = ids.shape
    counts = np.empty((n_snapshots - 1, n), dtype=np.int64)
    step = max(1, _COMPARED_AT_ONCE // max(1, k**2))  # k is 0 for neighbourhoods of the sample alone
    progress.update(0, n_snapshots - 1, "overlaps")
    for t in range(n_snapshots - 1):
        cancel.checkpoint()
        for at in range(0, n, step):
            part = slice(at, at + step)
            same = ids[t, part, :, None] == ids[t + 1, part, None, :]
            counts[t, part] = same.reshape(len(same), -1).sum(1)
        progress.update(t + 1)
    return counts


def preservation(
    neighbours: Neighbours,
    *,
    k: int | None = None,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "T T"]:
    """Mean over samples of the share of neighbours that two snapshots have in common, for all pairs.

    Parameters
    ----------
    neighbours, k, samples, progress, cancel, executor, seed
        As in `overlap`.

    Returns
    -------
    (T, T) float64
        Symmetric, 1 on the diagonal; correctly rounded quotients of counts, so the order of samples does not matter.

    Raises
    ------
    NetgeomError
        As `overlap`.
    TooLargeError
        T x T does not fit in memory.

    Notes
    -----
    M M^T with the sparse T x (pairs of sample and neighbour) indicator matrix M, in blocks of samples. Columns with
    fewer than two entries are left out; the rest is dense enough that a float32 matrix product is several times faster
    than a sparse one. O(T^2 U) additions, U the number of pairs that occur twice or more (n k to n k T / 2), and
    O(T n k + n N) to find them.
    """
    ids = prefix(neighbours, k, samples)
    n_snapshots, n, width = ids.shape
    require_memory(16 * n_snapshots**2, f"A matrix of {n_snapshots:,} x {n_snapshots:,} snapshots", _FEWER)
    total = np.zeros((n_snapshots, n_snapshots))
    reports, cancel = as_progress(progress), as_cancel(cancel)
    reports.update(0, n, "preservation")
    for done, columns, starts in _blocks(ids, neighbours.n_samples):
        cancel.checkpoint()
        total += _products(columns.reshape(n_snapshots, -1), int(starts[-1]))
        reports.update(done)
    np.fill_diagonal(total, n * width)
    return total / (n * width)


def jaccard(
    neighbours: Neighbours,
    *,
    k: int | None = None,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "T T"]:
    """Mean over samples of |A_t ∩ A_u| / |A_t ∪ A_u|, for all pairs of snapshots.

    Parameters
    ----------
    neighbours, k, samples, progress, cancel, executor, seed
        As in `overlap`.

    Returns
    -------
    (T, T) float64
        Symmetric, 1 on the diagonal; exact to n eps.

    Raises
    ------
    NetgeomError, TooLargeError
        As `preservation`.

    Notes
    -----
    The counts of every sample by themselves, O(T^2 U) additions as in `preservation`, with smaller matrix products.
    """
    ids = prefix(neighbours, k, samples)
    n_snapshots, n, width = ids.shape
    require_memory(24 * n_snapshots**2, f"A matrix of {n_snapshots:,} x {n_snapshots:,} snapshots", _FEWER)
    total = np.zeros((n_snapshots, n_snapshots))
    index = np.arange(width + 1) / (2 * width - np.arange(width + 1))
    reports, cancel = as_progress(progress), as_cancel(cancel)
    reports.update(0, n, "Jaccard index")
    for done, columns, starts in _blocks(ids, neighbours.n_samples):
        cancel.checkpoint()
        for shared in _shared(columns, starts):
            total += index[shared.astype(np.int64)]
        reports.update(done)
    np.fill_diagonal(total, n)
    return total / n


def _shared(columns: Int64[ndarray, "T r k"], starts: Int64[ndarray, " ends"]) -> Iterator[Float32[ndarray, "T T"]]:
    """|A_t ∩ A_u| for t != u, of one sample after the other."""
    for row, (first, end) in enumerate(itertools.pairwise(starts.tolist())):
        yield _products(np.minimum(columns[:, row] - first, end - first), end - first)


def _products(columns: Int64[ndarray, "T entries"], count: int) -> Float32[ndarray, "T T"]:
    """M M^T for the T x count indicator matrix with ones in these columns; entries with number ``count`` are left out.

    Whole numbers below 2^24, exact in float32.
    """
    indicators = np.zeros((len(columns), count + 1), dtype=np.float32)
    np.put_along_axis(indicators, columns, np.float32(1), axis=1)
    indicators = indicators[:, :count]
    return indicators @ indicators.T


def _blocks(ids: Int32[ndarray, "T n k"], n_samples: int) -> Iterator[tuple[int, ndarray, ndarray]]:
    """Samples in blocks: how many are done, (T, r, k) columns of the indicator matrix, (r + 1,) first column of each.

    A column is a pair (sample, neighbour) that occurs in two snapshots or more, numbered sample by sample. One that
    occurs once is in no intersection: it gets the number after the last, starts[-1].
    """
    n_snapshots, n, k = ids.shape
    widest = n_snapshots * min(n_samples, n_snapshots * k // 2 + 1)
    step = max(1, min(_INDICATORS_AT_ONCE // widest, _PAIRS_AT_ONCE // n_samples))
    for at in range(0, n, step):
        block = ids[:, at : at + step]
        rows = block.shape[1]
        keys = block + (np.arange(rows) * n_samples)[:, None]
        shared = np.bincount(keys.reshape(-1), minlength=rows * n_samples) > 1
        numbers = np.cumsum(shared)
        starts = np.append(0, numbers[n_samples - 1 :: n_samples])
        numbers = np.where(shared, numbers - 1, numbers[-1])
        yield at + rows, numbers[keys], starts
