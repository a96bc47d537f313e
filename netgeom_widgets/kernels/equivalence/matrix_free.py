"""Top singular vectors and null directions of a Jacobian too large to be formed: products with it only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.jacobian_svd import require_finite
from netgeom_widgets.kernels.equivalence.network import FlatNetwork

_CONVERGED = 1e-8  # error of a singular value, in terms of the largest, at which Lanczos steps end
_BREAKDOWN = 1e-13  # a next Lanczos vector shorter than this share of the largest singular value is rounding


@dataclass(frozen=True, eq=False)
class Jacobian:
    """The (N C, P) Jacobian at one parameter vector as a linear map, by one forward-mode or reverse-mode pass each."""

    network: FlatNetwork
    theta: Float64[Tensor, " P"]
    cancel: Cancel

    @property
    def shape(self) -> tuple[int, int]:
        """Rows: outputs of samples; columns: parameters."""
        return self.network.n_outputs * self.network.n_samples, self.network.n_parameters

    def times(self, direction: Float64[ndarray, " P"]) -> Float64[ndarray, " rows"]:
        """J v."""
        self.cancel.checkpoint()
        moved = self.network.jvp(self.theta, torch.from_numpy(direction)[None])
        return require_finite(moved)[0].reshape(-1).numpy()

    def transposed_times(self, cotangent: Float64[ndarray, " rows"]) -> Float64[ndarray, " P"]:
        """J^T u."""
        self.cancel.checkpoint()
        shape = (1, self.network.n_outputs, self.network.n_samples)
        pulled = self.network.vjp(self.theta, torch.from_numpy(cotangent).reshape(shape))
        return require_finite(pulled)[0].numpy()


class _Rows:
    """Orthonormal rows to which more are added: copied when their number has doubled, not each time."""

    def __init__(self, rows: Float64[ndarray, "m P"]) -> None:
        self._buffer, self._count = rows, len(rows)

    @property
    def rows(self) -> Float64[ndarray, "m P"]:
        """All so far."""
        return self._buffer[: self._count]

    def add(self, row: Float64[ndarray, " P"]) -> None:
        """One more."""
        if self._count == len(self._buffer):
            room = np.empty((max(16, 2 * self._count), row.size))
            require_memory(room.nbytes, "The directions found so far", "fewer samples, or fewer directions")
            room[: self._count] = self._buffer
            self._buffer = room
        self._buffer[self._count] = row
        self._count += 1


def top_singular_vectors(
    jacobian: Jacobian, k: int, *, progress: Progress, rng: np.random.Generator
) -> tuple[Float64[ndarray, " m"], Float64[ndarray, "m P"]]:
    """The k largest singular values and their right singular vectors (rows), by Golub-Kahan-Lanczos bidiagonalisation.

    All Lanczos vectors are kept and orthogonalised twice against each other, so no value is found twice. m < k where
    the Jacobian has no more different ones: of equal singular values, which no generic Jacobian has, one is found.

    Raises
    ------
    TooLargeError
        The Lanczos vectors do not fit in memory.

    Notes
    -----
    Steps end when each value is exact to 1e-8 of the largest: each step is two passes over the samples and
    O(steps (P + N C)).
    """
    lefts, rights = (_Rows(np.empty((0, size))) for size in jacobian.shape)
    alphas: list[float] = []
    betas: list[float] = []
    # From a random cotangent, so that all right vectors lie in the row space; null directions would take steps.
    right, beta = _next(jacobian.transposed_times(rng.standard_normal(jacobian.shape[0])), rights.rows)
    values, mixing = np.empty(0), np.empty((0, 0))
    while beta > _BREAKDOWN * max(alphas, default=0.0) and len(alphas) < min(jacobian.shape):
        rights.add(right)
        left, alpha = _next(jacobian.times(right), lefts.rows)
        lefts.add(left)
        alphas.append(alpha)
        right, beta = _next(jacobian.transposed_times(left), rights.rows)
        left_mixing, values, mixing = np.linalg.svd(np.diag(alphas) + np.diag(betas, 1))
        errors = beta * np.abs(left_mixing[-1, :k])
        done = int((errors <= _CONVERGED * values[0]).sum())
        progress.update(done, k, "singular values")
        if len(alphas) >= k and done == k:
            break
        betas.append(beta)
    kept = int((values[:k] > _BREAKDOWN * values.max(initial=0)).sum())
    return values[:kept], mixing[:kept] @ rights.rows


def _next(vector: ndarray, earlier: ndarray) -> tuple[ndarray, float]:
    """A vector made orthogonal to earlier ones, at length one, and the length it had."""
    vector = _off(vector, earlier)
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector), length


def _off(vector: ndarray, rows: ndarray) -> ndarray:
    """A vector minus its part in the span of orthonormal rows."""
    for _ in range(2):  # once leaves what rounding put back
        vector = vector - rows.T @ (rows @ vector)
    return vector


def projected_off(
    jacobian: Jacobian,
    vectors: Float64[ndarray, "k P"],
    known: Float64[ndarray, "m P"],
    *,
    norm: float,
    tolerance: float,
    max_steps: int,
    progress: Progress,
) -> Float64[ndarray, "k P"]:
    """Vectors minus their part in the row space of J, which is spanned step by step by J^T J times what is left.

    That is the subspace in which LSQR (Paige, Saunders 1982) solves min_u ||J^T u - v||, and the same remainder, in
    exact arithmetic; here the basis is kept orthogonal, which takes memory, saves the many steps that LSQR needs once
    it has lost orthogonality, and serves the next vector too. Each step adds a direction, so there are at most as many
    as J has rank, for all vectors together.

    Parameters
    ----------
    known : (m, P)
        Orthonormal directions of the row space.
    norm : float
        ||J||, its largest singular value.
    tolerance : float
        A vector is done when ||J v|| <= tolerance ||J|| ||v||.
    max_steps : int
        For each vector.

    Raises
    ------
    TooLargeError
        The basis does not fit in memory.
    """
    row_space, found = _Rows(known), np.empty_like(vectors)
    for number, vector in enumerate(vectors):
        progress.update(number, len(vectors), "null directions")
        left = _off(vector, row_space.rows)
        for _ in range(max_steps):
            moved = jacobian.times(left)
            if np.linalg.norm(moved) <= tolerance * norm * np.linalg.norm(left):
                break
            direction = _next(jacobian.transposed_times(moved), row_space.rows)[0]
            row_space.add(direction)
            left = left - (left @ direction) * direction
        found[number] = _off(left, row_space.rows)
    progress.update(len(vectors))
    return found
