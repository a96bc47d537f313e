"""Distances between transitions, from the neighbourhoods."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_choice, as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.transitions.inputs import Snapshots
from netgeom_widgets.kernels.transitions.neighbours import Neighbours, nearest_neighbours, prefix
from netgeom_widgets.kernels.transitions.overlaps import shared_counts

NORMS = ("euclidean", "cityblock")


def transition_distance(
    neighbours: Neighbours,
    *,
    norm: str = "euclidean",
    k: int | None = None,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "transitions transitions"]:
    """Distance ||o_a - o_b|| of the per-sample overlaps of two transitions, for all pairs.

    Large where different samples moved, also when equally many did, which the formula of ReprDynamics cannot see.

    Parameters
    ----------
    neighbours : Neighbours
    norm : str
        "euclidean" or "cityblock", over samples.
    k, samples, progress, cancel, executor, seed
        As in `overlap`.

    Returns
    -------
    (T - 1, T - 1) float64
        Symmetric, 0 on the diagonal, at most sqrt(n) or n. Computed from whole-number counts: exact to 2 eps, whatever
        the order of samples.

    Raises
    ------
    NetgeomError
        An unknown norm, and as `overlap`.

    Notes
    -----
    Cost O(T n k^2) comparisons and O(T^2 n) for the norms.
    """
    as_choice(norm, NORMS, "norm")
    ids = prefix(neighbours, k, samples)
    require_memory(
        24 * len(ids) ** 2, f"A matrix of {len(ids) - 1:,} x {len(ids) - 1:,} transitions", "fewer snapshots"
    )
    counts = shared_counts(ids, as_progress(progress), as_cancel(cancel)).astype(np.float64)
    if norm == "cityblock":
        from scipy.spatial.distance import cdist

        return cdist(counts, counts, "cityblock") / ids.shape[2] if len(counts) else np.empty((0, 0))
    products = counts @ counts.T  # sums of products of counts are whole numbers below 2^53: exact
    squares = np.diag(products)
    return np.sqrt(squares[:, None] + squares - 2 * products) / ids.shape[2]


def reprdynamics_distance(
    snapshots: Any,
    k: int,
    *,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "transitions transitions"]:
    """ReprDynamics' distance matrix: sqrt(n) |s_a - s_b| with s the mean overlap of transitions, self counted.

    Its neighbourhoods hold the sample itself and its k - 1 nearest others within the selection; s_t is one number for a
    transition, so two transitions in which equally many but different samples moved have distance 0.

    Parameters
    ----------
    snapshots : (T, N, D) array or sequence of (N, D)
    k : int
        Size of a neighbourhood with the sample itself, 1 to N; the original's dashboard uses 4.
    samples : sequence of int or (N,) bool, optional
        The selection; neighbours are searched within it.
    progress, cancel, executor, seed
        As in `nearest_neighbours`; the metric is euclidean.

    Returns
    -------
    (T - 1, T - 1) float64
        Equals the original's to 1e-9 (by our rule for ties: where rows coincide the original may leave the sample
        itself out of its neighbourhood).

    Raises
    ------
    NetgeomError
        As `nearest_neighbours`.
    """
    reader = Snapshots(snapshots, samples)
    k = as_count(k, 1, reader.n_samples, "k")
    if k == 1:  # every neighbourhood is the sample itself
        return np.zeros((len(reader) - 1, len(reader) - 1))
    found = nearest_neighbours(
        snapshots, k - 1, samples=samples, progress=progress, cancel=cancel, executor=executor, seed=seed
    )
    return reprdynamics_distance_of_neighbours(found, k, cancel=cancel)


def reprdynamics_distance_of_neighbours(
    neighbours: Neighbours,
    k: int | None = None,
    *,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "transitions transitions"]:
    """ReprDynamics' formula from stored neighbours, without a new search.

    With s' the mean overlap of the k - 1 nearest others, s = (1 + (k - 1) s') / k. For neighbours found within the
    selection this is `reprdynamics_distance`; for neighbours found among all rows it is the same formula with
    neighbourhoods that reach beyond ``samples``.

    Parameters
    ----------
    neighbours : Neighbours
    k : int, optional
        Size of a neighbourhood with the sample itself, 1 to the stored number plus 1 (default).
    samples : sequence of int or (N,) bool, optional
        Rows of the mean.
    progress, cancel, executor, seed
        As in `overlap`.

    Returns
    -------
    (T - 1, T - 1) float64

    Raises
    ------
    NetgeomError
        As `overlap`.
    """
    stored = prefix(neighbours, None, samples)
    k = stored.shape[2] + 1 if k is None else as_count(k, 1, stored.shape[2] + 1, "k")
    n = stored.shape[1]
    counts = shared_counts(stored[:, :, : k - 1], as_progress(progress), as_cancel(cancel)).sum(1)
    # sqrt(n) |s_a - s_b| with s = (n + counts) / (n k): the difference of whole numbers comes first and is exact.
    return np.abs(counts[:, None] - counts) / (np.sqrt(n) * k)
