"""Top singular vectors and null directions of a Jacobian too large to be formed: products with it only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from scipy.sparse.linalg import LinearOperator, lsmr
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
    most = min(jacobian.shape)
    lefts, rights = np.empty((0, jacobian.shape[0])), np.empty((0, jacobian.shape[1]))
    alphas: list[float] = []
    betas: list[float] = []
    right = rng.standard_normal(jacobian.shape[1])
    right /= np.linalg.norm(right)
    values, mixing = np.empty(0), np.empty((0, 0))
    for step in range(1, most + 1):
        require_memory(16 * (step + 1) * sum(jacobian.shape), "The Lanczos vectors", "fewer directions")
        rights = np.vstack([rights, right])
        left, alpha = _next(jacobian.times(right), lefts)
        alphas.append(alpha)
        scale = max(alphas + betas)
        if alpha > _BREAKDOWN * scale:
            lefts = np.vstack([lefts, left])
            right, beta = _next(jacobian.transposed_times(left), rights)
        else:  # the last right vector is a null direction
            alphas[-1], beta, lefts = 0.0, 0.0, np.vstack([lefts, np.zeros_like(left)])
        left_mixing, values, mixing = np.linalg.svd(np.diag(alphas) + np.diag(betas, 1))
        errors = beta * np.abs(left_mixing[-1, :k])
        progress.update(int((errors <= _CONVERGED * values[0]).sum()), k, "singular values")
        if beta <= _BREAKDOWN * scale or (step >= k and (errors <= _CONVERGED * values[0]).all()):
            break
        betas.append(beta)
    kept = (values[:k] > _BREAKDOWN * max(values[0], np.finfo(float).tiny)).sum()
    return values[:kept], mixing[:kept] @ rights


def _next(vector: ndarray, earlier: ndarray) -> tuple[ndarray, float]:
    """A vector made orthogonal to earlier ones, at length one, and the length it had."""
    for _ in range(2):  # once leaves what rounding put back
        vector = vector - earlier.T @ (earlier @ vector)
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector), length


def projected_off(
    jacobian: Jacobian,
    vectors: Float64[ndarray, "k P"],
    known: Float64[ndarray, "m P"],
    *,
    tolerance: float,
    max_iterations: int,
    progress: Progress,
) -> Float64[ndarray, "k P"]:
    """Vectors minus their part in the row space of J, by LSMR on min_u ||J^T u - v||, whose remainder has J v = 0.

    LSMR lets ||J v|| fall with every iteration, and ends where ||J v|| <= tolerance ||J|| ||v||.

    Parameters
    ----------
    known : (m, P)
        Orthonormal directions of the row space (the top ones), taken out exactly: what remains is better conditioned.
    """

    def off(vector: ndarray) -> ndarray:
        return vector - known.T @ (known @ vector)

    rows, columns = jacobian.shape
    operator = LinearOperator(
        (columns, rows),
        matvec=lambda u: off(jacobian.transposed_times(np.ravel(u))),
        rmatvec=lambda v: jacobian.times(off(np.ravel(v))),
        dtype=np.float64,
    )
    found = np.empty_like(vectors)
    for number, vector in enumerate(vectors):
        progress.update(number, len(vectors), "null directions")
        start = off(vector)
        solution = lsmr(operator, start, atol=tolerance, btol=0.0, conlim=0.0, maxiter=max_iterations)[0]
        found[number] = off(off(start - operator.matvec(solution)))
    progress.update(len(vectors))
    return found
