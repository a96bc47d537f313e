"""Gaussian process regression with several outputs that share one kernel, evaluated on whole lattices at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.spatial.distance import cdist

from netgeom_widgets.kernels.order_retraction.grid import lattice
from netgeom_widgets.kernels.order_retraction.hyperparameters import Hyperparameters
from netgeom_widgets.kernels.order_retraction.likelihood import JITTER, inverse_of, trend

_RANK = 1e-13  # of the largest singular value: what is left out of a factor of the kernel

_ENTRIES_AT_ONCE = 1 << 21  # 16 MiB of float64: rows of the kernel matrix held at a time

Axes = Sequence[Float64[ndarray, " _"]]


class GaussianProcess:
    """The posterior given targets at inputs (Rasmussen and Williams 2006, 2.2 and 2.7).

    f = trend + g with g of covariance amplitude^2 exp(-1/2 sum_k (x_k - x'_k)^2 / l_k^2); targets = f + noise. The
    trend is 0, or affine with a flat prior; then its uncertainty is part of the variance (universal kriging).

    Parameters
    ----------
    inputs : (n, d)
    targets : (n, m)
    parameters : Hyperparameters
    affine : bool
        Whether there is a trend; the inputs then span the space.
    """

    def __init__(
        self,
        inputs: Float64[ndarray, "n d"],
        targets: Float64[ndarray, "n m"],
        parameters: Hyperparameters,
        affine: bool = False,
    ) -> None:
        self.parameters, self._affine = parameters, affine
        self._scaled = inputs / parameters.length_scale
        covariance = self._kernel(inputs)
        covariance[np.diag_indices(len(inputs))] += parameters.noise + JITTER * parameters.amplitude**2
        self._factor = cholesky(covariance, lower=True)
        self._basis = affine_basis(inputs) if affine else np.zeros((len(inputs), 0))
        self._triangle = np.linalg.qr(solve_triangular(self._factor, self._basis, lower=True))[1]
        self.targets = targets
        self._beta, self._alpha = self.weights(targets)

    @property
    def noise(self) -> float:
        """Variance of the observations about the function."""
        return self.parameters.noise

    @property
    def dual_weights(self) -> Float64[ndarray, "n m"]:
        """K^-1 (targets - trend): the function is its trend plus the kernel times these."""
        return self._alpha

    @property
    def log_marginal_likelihood(self) -> float:
        """Of the targets, summed over the outputs; with a trend at its estimate."""
        n, m = self.targets.shape
        fit = float(((self.targets - self._basis @ self._beta) * self._alpha).sum())
        return -0.5 * fit - m * float(np.log(np.diag(self._factor)).sum()) - 0.5 * n * m * float(np.log(2 * np.pi))

    def weights(self, targets: Float64[ndarray, "n m"]) -> tuple[Float64[ndarray, "b m"], Float64[ndarray, "n m"]]:
        """Coefficients of the trend and of the kernel for any targets at the inputs."""
        beta = trend(self._factor, self._basis, targets)
        return beta, cho_solve((self._factor, True), targets - self._basis @ beta)

    def predict(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M m"]:
        """Posterior mean at points, exact; O(M n d)."""
        return self.evaluate(points, self._beta, self._alpha)

    def predict_on_lattice(self, axes: Axes) -> Float64[ndarray, "points m"]:
        """Posterior mean at the points of a lattice, in C order.

        The kernel factorises over the axes, so a lattice of a x b points costs (a + b) n exponentials and a matrix
        product of a x n x b for each output. The same numbers as `predict` up to rounding.
        """
        return self.evaluate_on_lattice(axes, self._beta, self._alpha)

    def evaluate(
        self, points: Float64[ndarray, "M d"], beta: Float64[ndarray, "b m"], alpha: Float64[ndarray, "n m"]
    ) -> Float64[ndarray, "M m"]:
        """Trend plus kernel times `alpha`."""
        out = np.empty((len(points), alpha.shape[1]))
        for part in self._parts(len(points)):
            out[part] = self._kernel(points[part]) @ alpha
        return out + affine_basis(points) @ beta if self._affine else out

    def evaluate_on_lattice(
        self, axes: Axes, beta: Float64[ndarray, "b m"], alpha: Float64[ndarray, "n m"]
    ) -> Float64[ndarray, "points m"]:
        """Trend plus kernel times `alpha` on a lattice."""
        *leading, last = self._factors(axes)
        columns = [(last * weights).T for weights in (alpha * self.parameters.amplitude**2).T]
        out = np.empty((int(np.prod([len(factor) for factor in leading])), alpha.shape[1], len(last)))
        for part, rows in self._products(leading):
            for k, column in enumerate(columns):
                out[part, k] = rows @ column
        found = np.ascontiguousarray(out.transpose(0, 2, 1)).reshape(-1, alpha.shape[1])
        return found + affine_basis(lattice(list(axes))) @ beta if self._affine else found

    def variance(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, " M"]:
        """Posterior variance of the function, without noise; the same for every output. O(M n^2)."""
        out = np.empty(len(points))
        for part in self._parts(len(points)):
            out[part] = self._variance(points[part], self._kernel(points[part]))
        return out

    def variance_on_lattice(self, axes: Axes) -> Float64[ndarray, " points"]:
        """The same at the points of a lattice, in C order, to 1e-11 of amplitude^2.

        The kernel's factor on the last axis has a small rank r, as the function is smooth: on a line of the lattice the
        variance is a quadratic form in r numbers. O(n^2 r) for a line instead of a point, and O(r^2) for a point.
        """
        *leading, last = self._factors(axes)
        left, singular, right = np.linalg.svd(last, full_matrices=False)
        rank = int((singular > _RANK * singular[0]).sum()) if len(last) else 0
        features, right = left[:, :rank], singular[:rank, None] * right[:rank] * self.parameters.amplitude**2
        inverse = solve_triangular(self._factor, np.eye(len(self._factor)), lower=True)
        if self._affine:
            features = np.concatenate([features, affine_basis(axes[-1][:, None])], axis=1)
            starts = lattice(list(axes[:-1])) if leading else np.empty((1, 0))
        out = np.empty((int(np.prod([len(factor) for factor in leading])), len(last)))
        for part, rows in self._products(leading, rank + len(last)):
            whitened = (rows[:, None] * right) @ inverse.T
            form = -whitened @ whitened.transpose(0, 2, 1)
            if self._affine:
                form = self._with_trend(form, whitened @ (inverse @ self._basis), starts[part])
            out[part] = self.parameters.amplitude**2 + ((features @ form) * features).sum(2)
        return np.maximum(out.ravel(), 0.0)  # rounding, where the data leave nothing open

    def _with_trend(
        self,
        form: Float64[ndarray, "lines r r"],
        explained: Float64[ndarray, "lines r b"],
        starts: Float64[ndarray, "lines leading"],
    ) -> Float64[ndarray, "lines q q"]:
        """The quadratic forms of the lines with the trend's own: in the r numbers, 1, and the last coordinate."""
        n_lines, rank, size = explained.shape
        open_ = np.zeros((n_lines, rank + 2, size))
        open_[:, :rank], open_[:, rank, :-1], open_[:, rank + 1, -1] = -explained, affine_basis(starts), 1.0
        open_ = open_ @ np.linalg.inv(self._triangle)
        found = open_ @ open_.transpose(0, 2, 1)
        found[:, :rank, :rank] += form
        return found

    def held_out(self, groups: Int64[ndarray, " n"]) -> tuple[Float64[ndarray, "n m"], Float64[ndarray, " n"]]:
        """What each group's targets are off from the prediction without that group, and its variance with noise.

        With P = K^-1 - K^-1 H (H^T K^-1 H)^-1 H^T K^-1 the errors of rows G are P_GG^-1 (P y)_G and their covariance
        P_GG^-1 (Rasmussen and Williams 2006, 5.12; Dubrule 1983 with a trend). Hyperparameters stay as they are. O(n^3)
        """
        inverse = inverse_of(self._factor)
        if self._affine:
            left = solve_triangular(self._triangle, (inverse @ self._basis).T, trans="T")
            inverse -= left.T @ left
        pulled = inverse @ self.targets
        errors, variance = np.empty_like(self.targets), np.empty(len(groups))
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
            errors[rows], variance[rows] = covariance @ pulled[rows], np.diag(covariance)
        return errors, variance

    def _kernel(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M n"]:
        squares = cdist(points / self.parameters.length_scale, self._scaled, "sqeuclidean")
        return self.parameters.amplitude**2 * np.exp(-0.5 * squares)

    def _variance(self, points: Float64[ndarray, "M d"], rows: Float64[ndarray, "M n"]) -> Float64[ndarray, " M"]:
        whitened = solve_triangular(self._factor, rows.T, lower=True)
        found = self.parameters.amplitude**2 - (whitened**2).sum(0)
        if self._affine:
            basis = solve_triangular(self._factor, self._basis, lower=True)
            left = solve_triangular(self._triangle, (affine_basis(points) - whitened.T @ basis).T, trans="T")
            found += (left**2).sum(0)
        return np.maximum(found, 0.0)  # rounding, where the data leave nothing open

    def _factors(self, axes: Axes) -> list[Float64[ndarray, "_ n"]]:
        """One factor of the kernel for each axis: its values on the axis against the inputs."""
        scaled = [axis / scale for axis, scale in zip(axes, self.parameters.length_scale, strict=True)]
        return [np.exp(-0.5 * (axis[:, None] - self._scaled[:, k]) ** 2) for k, axis in enumerate(scaled)]

    def _products(
        self, factors: list[Float64[ndarray, "_ n"]], times: int = 1
    ) -> Iterator[tuple[slice, Float64[ndarray, "rows n"]]]:
        """Rows of the product of the factors, in C order over their first axes; parts that so often fit in memory."""
        shape = tuple(len(factor) for factor in factors)
        for part in self._parts(int(np.prod(shape)), times):
            places = np.unravel_index(np.arange(part.start, part.stop), shape) if shape else ()
            rows = np.ones((part.stop - part.start, len(self._scaled)))
            for factor, at in zip(factors, places, strict=True):
                rows *= factor[at]
            yield part, rows

    def _parts(self, n_rows: int, times: int = 1) -> Iterator[slice]:
        step = max(1, _ENTRIES_AT_ONCE // (len(self._scaled) * times))
        return (slice(at, min(at + step, n_rows)) for at in range(0, n_rows, step))


def affine_basis(points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M b"]:
    """Columns 1, x_1, ..., x_d."""
    return np.concatenate([np.ones((len(points), 1)), points], axis=1)
