"""A map fitted to pairs of starts and ends: values, uncertainty, how well it holds, functions drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels.order_retraction.baselines import AffineMap, NearestStarts
from netgeom_widgets.kernels.order_retraction.coordinates import domain
from netgeom_widgets.kernels.order_retraction.gaussian_process import Axes, GaussianProcess
from netgeom_widgets.kernels.order_retraction.grid import lattice
from netgeom_widgets.kernels.order_retraction.pairing import Ids
from netgeom_widgets.kernels.order_retraction.posterior_draws import Box, DrawnMap, draw_affine, draw_process
from netgeom_widgets.kernels.order_retraction.prior_samples import PeriodicField

Model = GaussianProcess | NearestStarts | AffineMap


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Each pair as the map fitted without its run predicts it; hyperparameters are those of all pairs.

    Attributes
    ----------
    errors : ndarray (n, d) float64
        End minus prediction.
    std : ndarray (n,) float64
        What the model says this error should be, noise included, for each coordinate.
    rmse : ndarray (d,) float64
        Root mean square error of each coordinate.
    explained : float
        1 - sum of squared errors / sum of squared deviations of the ends from their mean: 1 perfect, 0 no better than
        that mean, negative worse.
    covered : float
        Share of the errors within 1.96 `std`: about 0.95 where the model knows how uncertain it is.
    """

    errors: Float64[ndarray, "n d"]
    std: Float64[ndarray, " n"]
    rmse: Float64[ndarray, " d"]
    explained: float
    covered: float


@dataclass(frozen=True, eq=False, repr=False)
class FittedMap:
    """Where a start goes, learnt from pairs; a map (M, d) -> (M, d) for `box_images`. See `fit_map`.

    Attributes
    ----------
    starts, ends : ndarray (n, d) float64
        The pairs, matched.
    ids : tuple or None
        Their ids, where there were any.
    model : str
        ``"gp"``, ``"knn"`` or ``"linear"``.
    mean : str
        What the model is about: ``"identity"``, ``"zero"`` or ``"linear"``.
    length_scale : ndarray (d,) float64, or None
        Of the Gaussian process, in the units of the coordinates.
    amplitude : float or None
        Its standard deviation before any data.
    noise : float
        Variance of the ends about any function of these coordinates that the model can be, for each coordinate.
    log_marginal_likelihood : float or None
        Of all ends, summed over the coordinates.
    closure_defect : float
        Root of `noise` over the standard deviation of the ends (pooled over the coordinates): 0 where the start in
        these coordinates decides the end, near 1 where it says nothing about it.
    displacement_defect : float
        Root of `noise` over the root mean square displacement: the same for how far a run moves. Of use for small lags,
        where start and end are near each other whatever the map.
    warnings : tuple of str
        What to doubt.
    settings : dict
        What it was fitted with: bounds in the units of the data, for instance.
    options : dict
        Keywords with which `fit_map` fits such a map to other pairs.
    regression : GaussianProcess, NearestStarts or AffineMap
        The model itself: of the ends, less the starts for ``mean="identity"``.
    groups : ndarray (n,) int64
        Number of each pair's run.
    """

    starts: Float64[ndarray, "n d"]
    ends: Float64[ndarray, "n d"]
    ids: Ids | None
    model: str
    mean: str
    length_scale: Float64[ndarray, " d"] | None
    amplitude: float | None
    noise: float
    log_marginal_likelihood: float | None
    closure_defect: float
    displacement_defect: float
    warnings: tuple[str, ...]
    settings: dict[str, Any]
    options: dict[str, Any]
    regression: Model
    groups: Int64[ndarray, " n"]

    @property
    def dims(self) -> int:
        """Dimension d of the space."""
        return self.starts.shape[1]

    def __call__(self, points: Any) -> Float64[ndarray, "M d"]:
        """The same as `predict`."""
        return self.predict(points)

    def predict(self, points: Any) -> Float64[ndarray, "M d"]:
        """Where points go: the mean of the fitted model, exact. O(M n d) for a Gaussian process.

        Raises
        ------
        NetgeomError
            Points of another shape, or not finite.
        """
        at = self._points(points)
        return self._plus_mean(self.regression.predict(at), at)

    def on_lattice(self, axes: Axes) -> Float64[ndarray, "points d"]:
        """`predict` at the points of a lattice, in C order, without forming them one by one where possible."""
        found = self.regression.predict_on_lattice(axes)
        return found + lattice(list(axes)) if self.mean == "identity" else found

    def std(self, points: Any, *, noise: bool = False) -> Float64[ndarray, "M d"]:
        """Standard deviation of the map at points, the same for every coordinate.

        Parameters
        ----------
        points : (M, d)
        noise : bool
            Add the noise: of a run's end instead of the map (as scikit-learn's WhiteKernel does).

        Raises
        ------
        NetgeomError
            Points of another shape; one nearest neighbour, which has no spread.
        """
        return self._spread(self.regression.variance(self._points(points)), noise)

    def std_on_lattice(self, axes: Axes, *, noise: bool = False) -> Float64[ndarray, "points d"]:
        """`std` at the points of a lattice, in C order."""
        return self._spread(self.regression.variance_on_lattice(axes), noise)

    @cached_property
    def leave_one_run_out(self) -> HeldOut:
        """Every pair predicted without its run: in closed form, hyperparameters kept. Rows without ids count as runs.

        Raises
        ------
        NetgeomError
            All pairs belong to one run.
        """
        if self.groups.max(initial=0) == 0:
            raise NetgeomError("Nothing is left without the run", expected="pairs of at least 2 runs", got="1 run")
        errors, variance = self.regression.held_out(self.groups)
        deviations = self.ends - self.ends.mean(0)
        total = float((deviations**2).sum())
        squares = float((errors**2).sum())
        std = np.sqrt(np.maximum(variance, 0.0))
        return HeldOut(
            errors=errors,
            std=std,
            rmse=np.sqrt((errors**2).mean(0)),
            explained=1 - squares / total if total > 0 else float("nan"),
            covered=float((np.abs(errors) <= 1.96 * std[:, None]).mean()),
        )

    def sample(
        self,
        n: int,
        seed: int | np.random.Generator = 0,
        *,
        lower: Any = None,
        upper: Any = None,
    ) -> tuple[DrawnMap, ...]:
        """Maps drawn from the posterior: each is one function, the same wherever it is evaluated.

        A Gaussian process is drawn by pathwise conditioning (Wilson et al. 2021): a function drawn from the prior, less
        what the process makes of its values and noise at the starts, plus the fitted mean. The prior function is exact
        in the box to 1e-12 of its variance (`PeriodicField`). An affine map has normal coefficients. Hyperparameters
        stay as they are.

        Parameters
        ----------
        n : int
        seed : int or numpy Generator
            The first maps are the same whatever `n`.
        lower, upper : (d,), optional
            The box in which the maps will be evaluated, as of the grid; None: that of `domain`.

        Returns
        -------
        tuple of DrawnMap

        Raises
        ------
        NetgeomError
            Nearest neighbours, which have no posterior; a box that is none.
        TooLargeError
            Length scales that are tiny against the box.
        """
        as_count(n, 1, 1_000_000, "n")
        box = self._box(lower, upper)
        generators = np.random.default_rng(seed).spawn(n)
        if isinstance(self.regression, AffineMap):
            return tuple(draw_affine(self.regression, rng, box) for rng in generators)
        if isinstance(self.regression, GaussianProcess):
            low, high = np.minimum(box[0], self.starts.min(0)), np.maximum(box[1], self.starts.max(0))
            waves, identity = PeriodicField(self.regression.parameters, low, high), self.mean == "identity"
            return tuple(draw_process(self.regression, self.starts, waves, identity, rng, box) for rng in generators)
        raise NetgeomError(
            "Nearest neighbours have no posterior",
            expected="model='gp' or 'linear'",
            got=self.model,
            try_this="kind='bootstrap'",
        )

    def _box(self, lower: Any, upper: Any) -> Box:
        low, high = domain(self.starts, self.ends)
        low = low if lower is None else as_array(lower, "lower").astype(np.float64)
        high = high if upper is None else as_array(upper, "upper").astype(np.float64)
        if low.shape != (self.dims,) or high.shape != (self.dims,) or not (low < high).all():
            raise NetgeomError(
                "lower and upper are no box", expected=f"{self.dims} numbers each, lower < upper", got=f"{low}, {high}"
            )
        return low, high

    def _plus_mean(self, values: Float64[ndarray, "M d"], points: Float64[ndarray, "M d"]) -> Float64[ndarray, "M d"]:
        return values + points if self.mean == "identity" else values

    def _spread(self, variance: Float64[ndarray, " M"], noise: bool) -> Float64[ndarray, "M d"]:
        found = np.sqrt(variance + self.noise if noise else variance)
        return np.repeat(found[:, None], self.dims, axis=1)

    def _points(self, points: Any) -> Float64[ndarray, "M d"]:
        array = as_array(points, "points").astype(np.float64)
        if array.ndim != 2 or array.shape[1] != self.dims or not np.isfinite(array).all():
            raise NetgeomError(
                "These are no points of the map", expected=f"finite numbers (M, {self.dims})", got=f"{array.shape}"
            )
        return array

    def __repr__(self) -> str:
        return (
            f"<FittedMap {self.model} about {self.mean}: {len(self.starts)} pairs in {self.dims} dimensions, "
            f"closure defect {self.closure_defect:.2g}>"
        )
