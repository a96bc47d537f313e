"""Nearest neighbours of every sample at every snapshot of a training run."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_executor, as_progress, single_blas_threads
from netgeom_widgets.kernels._arrays import load_npz, save_npz
from netgeom_widgets.kernels._inputs import as_choice, as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.transitions.inputs import Snapshots, as_rows
from netgeom_widgets.kernels.transitions.search import METRICS, nearest

_FORMAT = "netgeom_widgets neighbours 1"
_IN_FLIGHT = 4  # snapshots that an executor holds at once
_FEWER = "a subset of the samples (samples=...), a smaller k, or fewer snapshots"


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest neighbours of N samples at T snapshots.

    Attributes
    ----------
    ids : (T, N, k) int32
        Rows, nearest first, equal distances by id; a sample is never its own neighbour. With `samples` they count
        within it.
    distances : (T, N, k) float64
        In the unit of the features; for cosine 1 - cos.
    metric : str
        "euclidean", "cosine" or "cityblock".
    samples : (N,) int64 or None
        Rows of the snapshots that took part, when not all did.
    versions : dict
        Of the libraries that found them.
    """

    ids: Int32[ndarray, "T N k"]
    distances: Float64[ndarray, "T N k"]
    metric: str
    samples: Int64[ndarray, " N"] | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def k(self) -> int:
        """How many neighbours are stored for each sample."""
        return int(self.ids.shape[2])

    @property
    def n_snapshots(self) -> int:
        """T."""
        return int(self.ids.shape[0])

    @property
    def n_samples(self) -> int:
        """N."""
        return int(self.ids.shape[1])

    def __repr__(self) -> str:
        return f"<Neighbours: {self.k} of {self.n_samples:,} samples at {self.n_snapshots:,} snapshots, {self.metric}>"

    def extended(
        self,
        snapshots: Any,
        *,
        progress: Progress | bool | None = None,
        cancel: Cancel | None = None,
        executor: Any = None,
        seed: int | np.random.Generator = 0,
    ) -> Neighbours:
        """These and the neighbours at further snapshots of the same samples: one search for each new snapshot.

        Parameters
        ----------
        snapshots : (T', N, D) array or sequence of (N, D)
            Only the new ones, all rows as in the first search.
        progress, cancel, executor, seed
            As in `nearest_neighbours`.

        Returns
        -------
        Neighbours
            T + T' snapshots; this one stays as it is.

        Raises
        ------
        NetgeomError
            As `nearest_neighbours`, and when the number of samples differs.
        """
        reader = Snapshots(snapshots, self.samples)
        if reader.n_samples != self.n_samples:
            raise NetgeomError(
                "The new snapshots have another number of samples",
                expected=f"{self.n_samples}",
                got=f"{reader.n_samples}",
            )
        new = _search(reader, self.k, self.metric, as_progress(progress), as_cancel(cancel), executor)
        ids, distances = np.concatenate([self.ids, new.ids]), np.concatenate([self.distances, new.distances])
        return Neighbours(ids, distances, self.metric, self.samples, new.versions)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one npz file; an older file of that name is replaced in one step."""
        arrays: dict[str, Any] = {"ids": self.ids, "distances": self.distances}
        if self.samples is not None:
            arrays["samples"] = self.samples
        save_npz(path, _FORMAT, arrays, {"metric": self.metric, "versions": self.versions}, compress=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Neighbours:
        """Read what `save` wrote; nothing in the file is executed.

        Raises
        ------
        NetgeomError
            The file holds something else, or arrays that do not fit each other.
        """

        def build(arrays: dict[str, Any], about: dict[str, Any]) -> Neighbours:
            return cls(**arrays, metric=about["metric"], versions=dict(about["versions"]))._checked()

        return load_npz(path, _FORMAT, build, what="neighbours", writer="Neighbours.save")

    def _checked(self) -> Neighbours:
        """Self, unless the arrays contradict each other: later code would read beyond them."""
        ids, distances = self.ids, self.distances
        as_choice(self.metric, METRICS, "metric")
        if ids.ndim != 3 or ids.dtype != np.int32 or distances.shape != ids.shape or distances.dtype != np.float64:
            raise ValueError(f"ids {ids.shape} {ids.dtype}, distances {distances.shape} {distances.dtype}")
        if not ids.size or ids.min() < 0 or ids.max() >= self.n_samples:
            raise ValueError(f"ids outside 0 to {self.n_samples - 1}")
        ordered = np.sort(ids, 2)
        if (ordered[:, :, 1:] == ordered[:, :, :-1]).any() or (ids == np.arange(self.n_samples)[:, None]).any():
            raise ValueError("a neighbour twice, or a sample that is its own neighbour")
        if self.samples is not None and self.samples.shape != (self.n_samples,):
            raise ValueError(f"{self.samples.shape} samples")
        return self


def nearest_neighbours(
    snapshots: Any,
    k: int,
    *,
    metric: str = "euclidean",
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Neighbours:
    """The k nearest neighbours of every sample at every snapshot, exact.

    A sample leaves itself out by its index, so duplicates stay as neighbours at distance 0; equal distances go to the
    smaller id.

    Parameters
    ----------
    snapshots : (T, N, D) array or tensor, or a sequence of (N, D)
        Any real dtype; read one at a time and converted to float64.
    k : int
        1 to N - 1.
    metric : str
        "euclidean", "cosine" (1 - cos, computed as half the squared distance of the unit vectors, which keeps its
        digits for nearly parallel rows; a row of zeros is at distance 1 from every row) or "cityblock".
    samples : sequence of int or (N,) bool, optional
        Only these rows take part, as queries and as neighbours: ReprDynamics' "neighbours within the selection". Ids
        then count within ``samples``. For statistics over a subset with neighbours among all rows, search once with all
        and give ``samples`` to the statistic.
    progress, cancel
        See `netgeom_widgets.execution`; the search can be cancelled between blocks of rows.
    executor : optional
        Each snapshot becomes a task. None: one after the other on this thread, each with all cores.
    seed
        Accepted as by every long function and not used: nothing is random.

    Returns
    -------
    Neighbours
        Ids exact for distances as float64 computes them from coordinate differences (relative error (D + 2) eps); the
        same bits on every executor. Offsets do not matter: float32 features of spread 0.01 around 100 are exact.

    Raises
    ------
    NetgeomError
        Rows with NaN (which snapshot and how many), shapes that differ, k out of range, unknown metric.
    TooLargeError
        The result does not fit in memory.

    Notes
    -----
    Cost O(T N^2 D) as matrix products (direct differences for cityblock, and for rows whose neighbours lie closer
    together than the rounding of a matrix product can tell); memory O(N D) for one snapshot and 12 bytes for each
    neighbour of the result.
    """
    reader = Snapshots(snapshots, samples)
    as_choice(metric, METRICS, "metric")
    k = as_count(k, 1, reader.n_samples - 1, "k")
    return _search(reader, k, metric, as_progress(progress), as_cancel(cancel), executor)


def _search(reader: Snapshots, k: int, metric: str, progress: Progress, cancel: Cancel, executor: Any) -> Neighbours:
    shape = (len(reader), reader.n_samples, k)
    require_memory(
        12 * int(np.prod(shape)), f"{k} neighbours of {shape[1]:,} samples at {shape[0]:,} snapshots", _FEWER
    )
    require_memory(3 * 8 * reader.n_samples * reader.n_features, "One snapshot in float64", _FEWER)
    ids, distances = np.empty(shape, dtype=np.int32), np.empty(shape)
    progress.update(0, len(reader), "nearest neighbours")
    # scikit-learn sets the number of BLAS threads and puts it back in every call; two searches at once would put back
    # each other's. Within this block it finds the same number each time.
    with single_blas_threads():
        for t, (found, at) in enumerate(_results(reader, k, metric, cancel, executor)):
            ids[t], distances[t] = found, at
            progress.update(t + 1)
    return Neighbours(ids, distances, metric, reader.rows, _versions())


def _results(
    reader: Snapshots, k: int, metric: str, cancel: Cancel, executor: Any
) -> Iterator[tuple[ndarray, ndarray]]:
    """Ids and distances of each snapshot in order."""
    if executor is None:
        yield from (nearest(x, k, metric, cancel.checkpoint) for x in reader)
        return
    pool = as_executor(executor)
    waiting: deque[Future[tuple[ndarray, ndarray]]] = deque()
    snapshots = iter(reader)
    try:
        while True:
            cancel.checkpoint()
            for x in itertools.islice(snapshots, _IN_FLIGHT - len(waiting)):
                waiting.append(pool.submit(_task, x, k, metric))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _task(x: Float64[ndarray, "N D"], k: int, metric: str) -> tuple[ndarray, ndarray]:
    """One snapshot on an executor, perhaps in another process."""
    with single_blas_threads():
        return nearest(x, k, metric)


def _versions() -> dict[str, str]:
    import sklearn

    import netgeom_widgets

    return {
        "netgeom_widgets": netgeom_widgets.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }


def prefix(neighbours: Neighbours, k: int | None, samples: Any = None) -> Int32[ndarray, "T n k"]:
    """Ids of the k nearest of some rows: what `k` and `samples` of the statistics mean.

    Raises
    ------
    NetgeomError
        No Neighbours, more neighbours than are stored, rows that are not there.
    """
    if not isinstance(neighbours, Neighbours):
        raise NetgeomError(
            "These are no neighbours", expected="what nearest_neighbours returned", got=type(neighbours).__name__
        )
    k = neighbours.k if k is None else as_count(k, 1, neighbours.k, "k", "nearest_neighbours with a larger k")
    ids = neighbours.ids[:, :, :k]
    return ids if samples is None else ids[:, as_rows(samples, neighbours.n_samples)]
