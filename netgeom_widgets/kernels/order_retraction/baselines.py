"""Maps to compare a Gaussian process with: the mean of the nearest starts, and an affine map."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from scipy.spatial import cKDTree

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction.gaussian_process import Axes, affine_basis
from netgeom_widgets.kernels.order_retraction.grid import lattice


class NearestStarts:
    """The mean target of the k inputs nearest to a point (Euclidean distance in the units of the coordinates).

    Its variance is that of a mean of k: their sample variance over k, averaged over the outputs. `noise` is the mean
    squared error of prediction without a run, less what the mean of k itself contributes: a factor 1 + 1/k.
    """

    def __init__(
        self,
        inputs: Float64[ndarray, "n d"],
        targets: Float64[ndarray, "n m"],
        neighbours: int,
        groups: Int64[ndarray, " n"],
    ) -> None:
        self._inputs, self._targets, self._k, self._groups = inputs, targets, neighbours, groups
        self._tree = cKDTree(inputs)
        self.noise = float((self.held_out(groups)[0] ** 2).mean() / (1 + 1 / neighbours))

    def predict(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M m"]:
        """Mean target of the nearest inputs."""
        return self._nearest(points).mean(1)

    def predict_on_lattice(self, axes: Axes) -> Float64[ndarray, "points m"]:
        """The same at the points of a lattice, in C order."""
        return self.predict(lattice(list(axes)))

    def variance(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, " M"]:
        """Variance of that mean."""
        if self._k < 2:
            raise NetgeomError("One neighbour has no spread", expected="neighbours of 2 or more", got="neighbours=1")
        return self._nearest(points).var(1, ddof=1).mean(1) / self._k

    def variance_on_lattice(self, axes: Axes) -> Float64[ndarray, " points"]:
        """The same at the points of a lattice, in C order."""
        return self.variance(lattice(list(axes)))

    def held_out(self, groups: Int64[ndarray, " n"]) -> tuple[Float64[ndarray, "n m"], Float64[ndarray, " n"]]:
        """Errors without a row's own group, and their mean square for every row."""
        errors = np.empty_like(self._targets)
        for group in np.unique(groups):
            own = groups == group
            others, targets = self._inputs[~own], self._targets[~own]
            k = min(self._k, len(others))
            _, found = cKDTree(others).query(self._inputs[own], k=np.arange(1, k + 1))
            errors[own] = self._targets[own] - targets[found].mean(1)
        return errors, np.full(len(errors), (errors**2).mean())

    def _nearest(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M k m"]:
        _, found = self._tree.query(points, k=np.arange(1, self._k + 1))
        return self._targets[found]


class AffineMap:
    """The affine map of least squares.

    `noise` is the residual sum of squares over its degrees of freedom, pooled over the outputs.
    """

    def __init__(self, inputs: Float64[ndarray, "n d"], targets: Float64[ndarray, "n m"]) -> None:
        self._basis, self._targets = affine_basis(inputs), targets
        self._q, self._triangle = np.linalg.qr(self._basis)
        self._beta = np.linalg.solve(self._triangle, self._q.T @ targets)
        freedom = (len(inputs) - self._basis.shape[1]) * targets.shape[1]
        self.noise = float(((targets - self._basis @ self._beta) ** 2).sum() / freedom)

    def predict(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M m"]:
        """Values of the affine map."""
        return affine_basis(points) @ self._beta

    def predict_on_lattice(self, axes: Axes) -> Float64[ndarray, "points m"]:
        """The same at the points of a lattice, in C order."""
        return self.predict(lattice(list(axes)))

    def variance(self, points: Float64[ndarray, "M d"]) -> Float64[ndarray, " M"]:
        """Variance of the estimate, noise h^T (H^T H)^-1 h."""
        left = np.linalg.solve(self._triangle.T, affine_basis(points).T)
        found: Float64[ndarray, " M"] = self.noise * (left**2).sum(0)
        return found

    def variance_on_lattice(self, axes: Axes) -> Float64[ndarray, " points"]:
        """The same at the points of a lattice, in C order."""
        return self.variance(lattice(list(axes)))

    def held_out(self, groups: Int64[ndarray, " n"]) -> tuple[Float64[ndarray, "n m"], Float64[ndarray, " n"]]:
        """Errors without a row's own group, (I - Q_G Q_G^T)^-1 r_G, and their variance."""
        residual = self._targets - self._basis @ self._beta
        errors, variance = np.empty_like(residual), np.empty(len(groups))
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            spread = np.linalg.inv(np.eye(len(rows)) - self._q[rows] @ self._q[rows].T)
            errors[rows], variance[rows] = spread @ residual[rows], self.noise * np.diag(spread)
        return errors, variance

    def draw(self, rng: np.random.Generator) -> Float64[ndarray, "b m"]:
        """Coefficients from their posterior under a flat prior, with the noise as estimated."""
        deviates = rng.standard_normal(self._beta.shape) * np.sqrt(self.noise)
        return self._beta + np.linalg.solve(self._triangle, deviates)
