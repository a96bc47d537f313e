"""Comparing snapshots as a whole, whatever their rotation: CKA, Procrustes distance, aligned projection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress, single_blas_threads
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.transitions.inputs import Snapshots, binary_unit

_BLOCK_BYTES = 1 << 28  # prepared snapshots held at once, in two blocks

_FEWER = "fewer samples (samples=...)"


def linear_cka(
    snapshots: Any,
    *,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "T T"]:
    """Linear centred kernel alignment of all pairs of snapshots (Kornblith et al. 2019, arXiv 1905.00414).

    ||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F) of the column-centred snapshots: 1 for a rotated, scaled, shifted copy.

    Parameters
    ----------
    snapshots : (T, N, D) array or tensor, or a sequence of (N, D)
        Read again for every block of snapshots that fits in 128 MiB.
    samples : sequence of int or (N,) bool, optional
        Only these rows.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    (T, T) float64
        0 to 1, symmetric, 1 on the diagonal; to 1e-10. NaN in row and column of a snapshot in which all samples
        coincide, where it is not defined.

    Raises
    ------
    NetgeomError
        Rows with NaN, shapes that differ.
    TooLargeError
        N x N with N <= D does not fit in memory.

    Notes
    -----
    Cost O(T^2 N D^2) for D < N by features, else O(T N^2 D + T^2 N^2) by the N x N products.
    """
    reader = Snapshots(snapshots, samples)
    wide = reader.n_features >= reader.n_samples
    size = reader.n_samples * (reader.n_samples if wide else reader.n_features)

    def prepared(x: ndarray) -> ndarray:
        x = _unit(x)
        ready = x @ x.T if wide else x
        return ready / np.sqrt(np.linalg.norm(x.T @ x)) if not wide else ready / np.linalg.norm(ready)

    def alignment(x: ndarray, y: ndarray) -> float:
        return float(np.vdot(x, y)) if wide else float(np.linalg.norm(x.T @ y) ** 2)

    values = _all_pairs(reader, size, prepared, alignment, 1.0, "CKA", as_progress(progress), as_cancel(cancel))
    return np.clip(values, 0.0, 1.0)


def procrustes_distance(
    snapshots: Any,
    *,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "T T"]:
    """Squared distance after the best shift, scaling and orthogonal map, for all pairs of snapshots.

    2 - 2 * nuclear norm of X^T Y, both centred and of unit Frobenius norm (Schönemann 1966; Ding et al. 2021, arXiv
    2108.01661): 0 for a rotated, scaled, shifted copy, at most 2.

    Parameters
    ----------
    snapshots, samples, progress, cancel, executor, seed
        As in `linear_cka`.

    Returns
    -------
    (T, T) float64
        Symmetric, 0 on the diagonal; to 1e-10. Its square root is a metric. NaN in row and column of a snapshot in
        which all samples coincide, where it is not defined.

    Raises
    ------
    NetgeomError
        Rows with NaN, shapes that differ.

    Notes
    -----
    With r = min(N, D): cost O(T N D r) once, and O(N r^2 + r^3) for each pair.
    """
    reader = Snapshots(snapshots, samples)
    n, d = reader.n_samples, reader.n_features

    def prepared(x: ndarray) -> ndarray:
        x = _unit(x)
        # X = L Q with orthonormal rows Q, which leave the nuclear norm alone: N columns are enough.
        return np.asarray(np.linalg.qr(x.T, mode="r")).T if d > n else x

    def distance(x: ndarray, y: ndarray) -> float:
        return 2 - 2 * float(np.linalg.svd(x.T @ y, compute_uv=False).sum())

    values = _all_pairs(
        reader, n * min(n, d), prepared, distance, 0.0, "Procrustes distance", as_progress(progress), as_cancel(cancel)
    )
    return np.clip(values, 0.0, 2.0)


@single_blas_threads()
def aligned_projection(
    snapshots: Any,
    *,
    samples: Any = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "T n 2"]:
    """Each snapshot on its first two principal axes, turned and mirrored to lie nearest to the one before.

    Principal component analysis of each snapshot by itself, then the orthogonal 2 x 2 map of least squares (Schönemann
    1966) to the frame before. Distances in a frame are those of the snapshot's best plane: nothing is scaled.

    Parameters
    ----------
    snapshots, samples, progress, cancel, executor, seed
        As in `linear_cka`.

    Returns
    -------
    (T, n, 2) float64
        Centred, in the unit of the features. In the first frame the (first) sample farthest out on each axis lies on
        its positive side; the second column is 0 for a single feature. To 1e-9 of the spread where the second and third
        principal variance differ; equal ones leave the plane undetermined (still the same bits at every call).

    Raises
    ------
    NetgeomError
        Rows with NaN, shapes that differ.
    TooLargeError
        The smaller of N x N and D x D does not fit in memory.

    Notes
    -----
    Cost O(T (N D r + r^3)) with r = min(N, D).
    """
    reader, reports, cancel = Snapshots(snapshots, samples), as_progress(progress), as_cancel(cancel)
    n, d = reader.n_samples, reader.n_features
    require_memory(8 * (3 * min(n, d) ** 2 + 2 * n * d), "The principal axes", _FEWER)
    frames = np.zeros((len(reader), n, 2))
    reports.update(0, len(reader), "aligned projection")
    last = None
    for t, x in enumerate(reader):
        cancel.checkpoint()
        frame = _principal_plane(x)
        if last is None:
            size = np.abs(frame)
            farthest = (size >= (1 - 1e-6) * size.max(0)).argmax(
                0
            )  # of several equally far the first, despite rounding
            frame = frame * np.where(frame[farthest, [0, 1]] < 0, -1.0, 1.0)
        else:
            left, _, right = np.linalg.svd(frame.T @ last)
            frame = frame @ (left @ right)
        if frame.any():  # all samples in one place give no direction to follow
            last = frame / np.abs(frame).max()
        frames[t] = frame
        reports.update(t + 1)
    return frames


def _centred(x: Float64[ndarray, "N D"]) -> tuple[Float64[ndarray, "N D"], float]:
    """Columns with mean 0, divided by their largest entry, which is returned too; 0 where all samples coincide.

    A column of equal values becomes exactly 0, and large offsets cost no digits but those the data have lost.
    """
    unit = binary_unit(x)
    moved = x / unit - x[0] / unit
    moved -= moved.mean(0)
    largest = float(np.abs(moved).max())
    return moved / (largest or 1.0), largest * unit


def _unit(x: Float64[ndarray, "N D"]) -> Float64[ndarray, "N D"]:
    """Centred and of unit Frobenius norm; NaN where all samples coincide."""
    x, largest = _centred(x)
    return x / np.linalg.norm(x) if largest else np.full_like(x, np.nan)


def _principal_plane(x: Float64[ndarray, "N D"]) -> Float64[ndarray, "N 2"]:
    """Coordinates on the two axes of largest variance, by the smaller of the two Gram matrices."""
    from scipy.linalg import eigh

    x, largest = _centred(x)
    n, d = x.shape
    count, size = min(2, n, d), min(n, d)
    plane = np.zeros((n, 2))
    if largest:
        gram = x.T @ x if d <= n else x @ x.T
        values, axes = eigh(gram, subset_by_index=(size - count, size - 1))
        found = x @ axes if d <= n else axes * np.sqrt(np.maximum(values, 0))
        plane[:, :count] = found[:, ::-1]
    return plane * largest


# Many small products: waiting for a second thread made them 5 to 15 times slower on a busy machine.
@single_blas_threads()
def _all_pairs(
    reader: Snapshots,
    size: int,
    prepared: Callable[[ndarray], ndarray],
    compare: Callable[[ndarray, ndarray], float],
    same: float,
    name: str,
    progress: Progress,
    cancel: Cancel,
) -> Float64[ndarray, "T T"]:
    """A symmetric function of all pairs of snapshots; two blocks of them are held at a time.

    ``size`` entries hold a prepared snapshot; ``same`` is the value of a snapshot with itself. Snapshots that were
    prepared to NaN give NaN.
    """
    n = len(reader)
    require_memory(8 * (3 * size + n**2), f"{name} of {n:,} snapshots", _FEWER)
    per_block = max(1, _BLOCK_BYTES // (2 * 8 * size))
    values = np.full((n, n), np.nan)
    done = 0
    progress.update(0, n * (n + 1) // 2, name)
    for at in range(0, n, per_block):
        first = _block(reader, prepared, at, per_block, cancel)
        for beside in range(at, n, per_block):
            second = first if beside == at else _block(reader, prepared, beside, per_block, cancel)
            for t, x in first.items():
                cancel.checkpoint()
                for u, y in second.items():
                    if u < t:
                        continue
                    if not (np.isnan(x[0, 0]) or np.isnan(y[0, 0])):
                        values[t, u] = values[u, t] = same if t == u else compare(x, y)
                    done += 1
                progress.update(done)
    return values


def _block(
    reader: Snapshots, prepared: Callable[[ndarray], ndarray], at: int, count: int, cancel: Cancel
) -> dict[int, ndarray]:
    block = {}
    for t in range(at, min(at + count, len(reader))):
        cancel.checkpoint()
        block[t] = prepared(reader[t])
    return block
