"""Hyperparameters of a Gaussian process by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.order_retraction.hyperparameters import Hyperparameters, Range, Ranges

JITTER = 1e-10  # of the signal variance on the diagonal, as scikit-learn adds: equal starts stay factorable

_AT_BOUND = 1e-3  # of a log: an optimum this near to a bound was stopped by it
_NARROW = 0.1  # random starts keep this share of the log interval away from either bound, where the gradient vanishes


@dataclass(frozen=True)
class Fitted:
    """The best hyperparameters, and which of them ended at a bound, by (name, axis)."""

    best: Hyperparameters
    at_bound: tuple[tuple[str, int, str], ...]


class Likelihood:
    """The log marginal likelihood of all outputs, which share one kernel, with its gradient.

    sum over outputs of -1/2 r^T K^-1 r - 1/2 log det K - n/2 log 2 pi, with K = amplitude^2 exp(-1/2 sum_k
    (x_k - x'_k)^2 / l_k^2) + noise I, and r the targets less their trend, if any, at its generalised least squares
    estimate (Rasmussen and Williams 2006, 2.30 and 5.9). The profile over the trend has the gradient at the estimate.

    Parameters
    ----------
    inputs : (n, d)
    targets : (n, m)
    basis : (n, b)
        Columns of the trend; b may be 0.
    isotropic : bool
        One length scale for all axes.
    """

    def __init__(
        self,
        inputs: Float64[ndarray, "n d"],
        targets: Float64[ndarray, "n m"],
        basis: Float64[ndarray, "n b"],
        isotropic: bool,
    ) -> None:
        squares = (inputs.T[:, :, None] - inputs.T[:, None, :]) ** 2
        self._squares = squares.sum(0, keepdims=True) if isotropic else squares
        self._targets, self._basis = targets, basis
        self._dims = inputs.shape[1]

    def __call__(self, logs: Float64[ndarray, " p"]) -> tuple[float, Float64[ndarray, " p"]]:
        """Value and gradient at the logs of (length scales, amplitude^2, noise)."""
        scales, signal, noise = np.exp(logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
        weighted = self._squares / (scales**2)[:, None, None]
        smooth = signal * np.exp(-0.5 * weighted.sum(0))
        covariance = smooth.copy()
        n, m = self._targets.shape
        covariance[np.diag_indices(n)] += noise + JITTER * signal
        try:
            factor = cholesky(covariance, lower=True)
        except np.linalg.LinAlgError:
            return -np.inf, np.zeros_like(logs)
        residual = self._targets - self._basis @ trend(factor, self._basis, self._targets)
        alpha = cho_solve((factor, True), residual)
        value = -0.5 * float((residual * alpha).sum()) - m * float(np.log(np.diag(factor)).sum())
        value -= 0.5 * n * m * float(np.log(2 * np.pi))
        inner = alpha @ alpha.T - m * inverse_of(factor)
        by_smooth = inner * smooth
        slopes = [0.5 * float(np.vdot(by_smooth, axis)) for axis in weighted]
        by_signal = 0.5 * float(by_smooth.sum()) + 0.5 * JITTER * signal * float(np.trace(inner))
        return value, np.array([*slopes, by_signal, 0.5 * noise * float(np.trace(inner))])

    def best(self, ranges: Ranges, restarts: int, rng: np.random.Generator, cancel: Cancel) -> Fitted:
        """Maximum over the ranges: L-BFGS-B from the given start and from random ones."""
        signal = ranges.amplitude
        listed = [*ranges.length_scale, Range(signal.lower**2, signal.upper**2, signal.start**2), ranges.noise]
        bounds = np.log([(r.lower, r.upper) for r in listed])
        free = np.array([not r.fixed for r in listed])
        logs = np.clip(np.log([r.start for r in listed]), bounds[:, 0], bounds[:, 1])
        found = [(self(logs)[0], logs)]
        for attempt in range((1 + restarts) if free.any() else 0):
            start = logs.copy()
            if attempt:
                share = rng.uniform(_NARROW, 1 - _NARROW, size=int(free.sum()))
                start[free] = bounds[free, 0] + share * (bounds[free, 1] - bounds[free, 0])
            found.append(self._climb(start, free, bounds, cancel))
        logs = max(found, key=lambda pair: pair[0])[1]
        return Fitted(self._read(logs), _ends(logs, free, bounds, len(ranges.length_scale)))

    def _climb(
        self, start: Float64[ndarray, " p"], free: ndarray, bounds: Float64[ndarray, "p 2"], cancel: Cancel
    ) -> tuple[float, Float64[ndarray, " p"]]:
        def downhill(chosen: Float64[ndarray, " q"]) -> tuple[float, Float64[ndarray, " q"]]:
            cancel.checkpoint()
            logs = start.copy()
            logs[free] = chosen
            value, slope = self(logs)
            return (-value, -slope[free]) if np.isfinite(value) else (1e25, np.zeros(int(free.sum())))

        found = minimize(downhill, start[free], jac=True, method="L-BFGS-B", bounds=bounds[free])
        logs = start.copy()
        logs[free] = np.clip(found.x, bounds[free, 0], bounds[free, 1])
        return -float(found.fun), logs

    def _read(self, logs: Float64[ndarray, " p"]) -> Hyperparameters:
        scales = np.exp(logs[:-2]) * np.ones(self._dims)
        return Hyperparameters(tuple(scales.tolist()), float(np.exp(0.5 * logs[-2])), float(np.exp(logs[-1])))


def trend(
    factor: Float64[ndarray, "n n"], basis: Float64[ndarray, "n b"], targets: Float64[ndarray, "n m"]
) -> Float64[ndarray, "b m"]:
    """Generalised least squares coefficients of the trend, with the covariance's Cholesky factor."""
    if not basis.shape[1]:
        return np.zeros((0, targets.shape[1]))
    whitened = solve_triangular(factor, np.concatenate([basis, targets], axis=1), lower=True)
    coefficients, *_ = np.linalg.lstsq(whitened[:, : basis.shape[1]], whitened[:, basis.shape[1] :], rcond=None)
    return coefficients


def inverse_of(factor: Float64[ndarray, "n n"]) -> Float64[ndarray, "n n"]:
    """Inverse of a matrix from its lower Cholesky factor; half the work of solving for the columns of the identity."""
    half = np.tril(dpotri(factor, lower=1)[0])
    return half + np.tril(half, -1).T


def _ends(
    logs: Float64[ndarray, " p"], free: ndarray, bounds: Float64[ndarray, "p 2"], n_scales: int
) -> tuple[tuple[str, int, str], ...]:
    names = [*(("length scale", k) for k in range(n_scales)), ("amplitude", -1), ("noise", -1)]
    found = []
    for at, (name, axis) in enumerate(names):
        for side, bound in (("lower", bounds[at, 0]), ("upper", bounds[at, 1])):
            if free[at] and abs(logs[at] - bound) < _AT_BOUND:
                found.append((name, axis, side))
    return tuple(found)
