"""Maps drawn from a posterior: each is one function on a box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array
from netgeom_widgets.kernels.order_retraction.baselines import AffineMap
from netgeom_widgets.kernels.order_retraction.gaussian_process import Axes, GaussianProcess, affine_basis
from netgeom_widgets.kernels.order_retraction.grid import lattice
from netgeom_widgets.kernels.order_retraction.prior_samples import PeriodicField

Box = tuple[Float64[ndarray, " d"], Float64[ndarray, " d"]]


class DrawnMap:
    """One map drawn from a posterior, callable (M, d) -> (M, d) in the box it was drawn for.

    Attributes
    ----------
    lower, upper : ndarray (d,) float64
        The box; points outside are refused.
    """

    def __init__(
        self,
        at: Callable[[Float64[ndarray, "M d"]], Float64[ndarray, "M d"]],
        on_lattice: Callable[[Axes], Float64[ndarray, "points d"]],
        lower: Float64[ndarray, " d"],
        upper: Float64[ndarray, " d"],
    ) -> None:
        self._at, self._on_lattice, self.lower, self.upper = at, on_lattice, lower, upper

    def __call__(self, points: Any) -> Float64[ndarray, "M d"]:
        """Where points of the box go."""
        array = as_array(points, "points").astype(np.float64)
        self._inside(list(array.T))
        return self._at(array)

    def on_lattice(self, axes: Axes) -> Float64[ndarray, "points d"]:
        """The same at the points of a lattice, in C order."""
        self._inside(axes)
        return self._on_lattice(axes)

    def _inside(self, axes: Axes) -> None:
        slack = 1e-9 * (self.upper - self.lower)
        for axis, (low, high) in enumerate(zip(self.lower - slack, self.upper + slack, strict=True)):
            values = axes[axis]
            if values.size and not (values.min() >= low and values.max() <= high):
                raise NetgeomError(
                    "Points lie outside the box that the map was drawn for",
                    expected=f"{self.lower[axis]:g} to {self.upper[axis]:g} on axis {axis}",
                    got=f"{values.min():g} to {values.max():g}",
                    try_this="sample(..., lower=grid.lower, upper=grid.upper)",
                )


def draw_process(
    process: GaussianProcess,
    inputs: Float64[ndarray, "n d"],
    waves: PeriodicField,
    identity: bool,
    rng: np.random.Generator,
    box: Box,
) -> DrawnMap:
    """A function from the prior, less what the process makes of its values and noise at the inputs, plus the mean."""
    drawn = waves.draw(rng, process.targets.shape[1])
    errors = rng.standard_normal(process.targets.shape) * np.sqrt(process.noise)
    beta, alpha = process.weights(process.targets - waves.at(drawn, inputs) - errors)

    def at(points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M d"]:
        found = process.evaluate(points, beta, alpha) + waves.at(drawn, points)
        return found + points if identity else found

    def on_lattice(axes: Axes) -> Float64[ndarray, "points d"]:
        found = process.evaluate_on_lattice(axes, beta, alpha) + waves.on_lattice(drawn, axes)
        return found + lattice(list(axes)) if identity else found

    return DrawnMap(at, on_lattice, *box)


def draw_affine(affine: AffineMap, rng: np.random.Generator, box: Box) -> DrawnMap:
    """An affine map with coefficients from their posterior."""
    coefficients = affine.draw(rng)

    def at(points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M d"]:
        return affine_basis(points) @ coefficients

    return DrawnMap(at, lambda axes: at(lattice(list(axes))), *box)
