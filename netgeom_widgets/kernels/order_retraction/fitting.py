"""Learn the map of training from starts and ends."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress, single_blas_threads
from netgeom_widgets.kernels._inputs import as_array, as_choice, as_count
from netgeom_widgets.kernels.order_retraction.baselines import AffineMap, NearestStarts
from netgeom_widgets.kernels.order_retraction.doubts import doubts
from netgeom_widgets.kernels.order_retraction.fitted import FittedMap, Model
from netgeom_widgets.kernels.order_retraction.gaussian_process import GaussianProcess, affine_basis
from netgeom_widgets.kernels.order_retraction.hyperparameters import Ranges, ranges_of
from netgeom_widgets.kernels.order_retraction.likelihood import Fitted, Likelihood
from netgeom_widgets.kernels.order_retraction.pairing import Ids, match_by_run, run_of

MODELS, MEANS = ("gp", "knn", "linear"), ("identity", "zero", "linear")

# What DOODL3 fits: scikit-learn's GaussianProcessRegressor(RBF(0.5, (0.01, 2)) + WhiteKernel()). On its Iris runs the
# length scale ends at the bound 2, and away from the data the map goes to 0.
DOODL3_SETTINGS: dict[str, Any] = {
    "model": "gp",
    "mean": "zero",
    "ard": False,
    "amplitude": 1.0,
    "length_scale_bounds": (0.01, 2.0),
    "noise_bounds": (1e-5, 1e5),
    "restarts": 0,
}

_MOST_PAIRS = 6000  # of a Gaussian process: its factorisation takes n^3 / 3 operations and 8 n^2 bytes, several times
_FEWEST_PAIRS = 3


def fit_map(
    starts: Any,
    ends: Any,
    *,
    mean: Literal["identity", "zero", "linear"] = "identity",
    run_ids: tuple[Sequence[Any], Sequence[Any]] | None = None,
    model: Literal["gp", "knn", "linear"] = "gp",
    ard: bool = True,
    amplitude: float | None = None,
    length_scale: Any = None,
    noise: float | None = None,
    length_scale_bounds: tuple[float, float] | None = None,
    noise_bounds: tuple[float, float] | None = None,
    neighbours: int = 5,
    restarts: int = 3,
    likelihood_pairs: int = 400,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> FittedMap:
    """A map that takes the starts of runs to their ends.

    A Gaussian process with the kernel amplitude^2 exp(-1/2 sum_k (x_k - x'_k)^2 / l_k^2) + noise, shared by all
    coordinates of the end; its hyperparameters maximise the marginal likelihood (Rasmussen and Williams 2006, 5.4).
    With equal settings the same as scikit-learn's GaussianProcessRegressor(RBF + WhiteKernel). Or the mean of the
    nearest starts, or an affine map.

    Parameters
    ----------
    starts, ends : (n, d)
        Row i of both belongs to one run, unless `run_ids` says otherwise.
    mean : {"identity", "zero", "linear"}
        What the process is about, and what it returns to far from the starts: staying where one is (the process is of
        the displacement), the origin (DOODL3), or an affine map with a flat prior. Nearest neighbours take the first
        two; the affine map is the same for all.
    run_ids : (ids of the starts, ids of the ends), optional
        Rows are matched by it, whatever their order: ids of runs, or (run, step) where a run has several pairs. As
        `Pairs.ids` gives them.
    model : {"gp", "knn", "linear"}
    ard : bool
        One length scale for each coordinate instead of one for all.
    amplitude, length_scale, noise : float, optional
        Fixed instead of chosen; `length_scale` one number or d, `noise` a variance. ``amplitude=1.0`` for kernels
        without a constant, as DOODL3's.
    length_scale_bounds, noise_bounds : (lower, upper), optional
        None: from the extent of the starts on each axis over n^(1/d), about their distance on a grid, to 100 times the
        extent; 1e-6 to 10 times the mean square of what is to be explained.
    neighbours : int
        Of ``"knn"``.
    restarts : int
        Further searches from random hyperparameters: the likelihood may have several maxima.
    likelihood_pairs : int
        With more pairs, a random subset of this many chooses the hyperparameters; the map then uses all. It says so.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor
        Accepted as by every long function and not used.
    seed : int or numpy Generator
        For the restarts and the subset.

    Returns
    -------
    FittedMap

    Raises
    ------
    NetgeomError
        Ids that do not match; NaN or infinite values; fewer than 3 pairs; starts that are all the same; starts that do
        not span the space where an affine map is asked for.
    TooLargeError
        More than 6000 pairs for a Gaussian process.

    Notes
    -----
    Cost of ``"gp"`` O(n^3): 0.1 s for 100 pairs. `DOODL3_SETTINGS` holds the settings of DOODL3, as
    ``fit_map(starts, ends, **DOODL3_SETTINGS)``.
    """
    as_choice(mean, MEANS, "mean")
    as_choice(model, MODELS, "model")
    as_count(restarts, 0, 1000, "restarts")
    as_count(likelihood_pairs, _FEWEST_PAIRS, _MOST_PAIRS, "likelihood_pairs")
    x, y, ids = _pairs(starts, ends, run_ids)
    groups = _groups(ids, len(x))
    report, stop = as_progress(progress), as_cancel(cancel)
    report.update(0, 1, f"fitting a map to {len(x)} pairs")
    settings: dict[str, Any] = {"model": model, "mean": mean}
    options = {
        "mean": mean,
        "model": model,
        "ard": ard,
        "amplitude": amplitude,
        "length_scale": length_scale,
        "noise": noise,
        "length_scale_bounds": length_scale_bounds,
        "noise_bounds": noise_bounds,
        "neighbours": neighbours,
        "restarts": restarts,
        "likelihood_pairs": likelihood_pairs,
    }
    stop.checkpoint()
    fitted: Fitted | None = None
    targets = y - x if mean == "identity" and model != "linear" else y
    if model == "knn":
        regression: Model = _nearest(x, targets, mean, neighbours, groups)
        settings["neighbours"] = neighbours
    elif model == "linear":
        _spanning(x)
        regression, mean, settings["mean"] = AffineMap(x, targets), "linear", "linear"
    else:
        ranges = ranges_of(x, targets, ard, amplitude, length_scale, noise, length_scale_bounds, noise_bounds)
        chosen = min(likelihood_pairs, len(x))
        regression, fitted = _process(x, targets, mean, ranges, restarts, chosen, np.random.default_rng(seed), stop)
        settings |= {"ard": ard, **ranges.described(), "restarts": restarts, "likelihood_pairs": chosen}
    report.update(1, 1)
    return _result(x, y, ids, groups, model, mean, regression, fitted, settings, options)


def _process(
    x: Float64[ndarray, "n d"],
    targets: Float64[ndarray, "n d"],
    mean: str,
    ranges: Ranges,
    restarts: int,
    n_chosen: int,
    rng: np.random.Generator,
    cancel: Cancel,
) -> tuple[GaussianProcess, Fitted]:
    """The process with the best hyperparameters; chosen on a subset where there are many pairs."""
    if len(x) > _MOST_PAIRS:
        raise TooLargeError(
            "Too many pairs for a Gaussian process",
            expected=f"at most {_MOST_PAIRS}",
            got=f"{len(x)}",
            try_this="a larger lag, fewer runs, or model='knn'",
        )
    if mean == "linear":
        _spanning(x)
    basis = affine_basis(x) if mean == "linear" else np.zeros((len(x), 0))
    chosen = np.sort(rng.choice(len(x), n_chosen, replace=False)) if n_chosen < len(x) else np.arange(len(x))
    with single_blas_threads():
        search = Likelihood(x[chosen], targets[chosen], basis[chosen], len(ranges.length_scale) == 1)
        fitted = search.best(ranges, restarts, rng, cancel)
        return GaussianProcess(x, targets, fitted.best, mean == "linear"), fitted


def _result(
    x: Float64[ndarray, "n d"],
    y: Float64[ndarray, "n d"],
    ids: Ids | None,
    groups: Int64[ndarray, " n"],
    model: str,
    mean: str,
    regression: Model,
    fitted: Fitted | None,
    settings: dict[str, Any],
    options: dict[str, Any],
) -> FittedMap:
    deviation = np.sqrt(regression.noise)
    spread, moved = float(np.sqrt(y.var(0).mean())), float(np.sqrt(((y - x) ** 2).mean()))
    closure, displacement = (float(deviation / size) if size > 0 else float("nan") for size in (spread, moved))
    process = regression if isinstance(regression, GaussianProcess) else None
    return FittedMap(
        starts=x,
        ends=y,
        ids=ids,
        model=model,
        mean=mean,
        length_scale=None if process is None else np.array(process.parameters.length_scale),
        amplitude=None if process is None else process.parameters.amplitude,
        noise=regression.noise,
        log_marginal_likelihood=None if process is None else process.log_marginal_likelihood,
        closure_defect=closure,
        displacement_defect=displacement,
        warnings=doubts(x, model, mean, closure, fitted, settings),
        settings=settings,
        options=options,
        regression=regression,
        groups=groups,
    )


def _pairs(
    starts: Any, ends: Any, run_ids: tuple[Sequence[Any], Sequence[Any]] | None
) -> tuple[Float64[ndarray, "n d"], Float64[ndarray, "n d"], Ids | None]:
    x, y = (as_array(value, what).astype(np.float64) for value, what in ((starts, "starts"), (ends, "ends")))
    if x.ndim != 2 or y.ndim != 2 or not x.shape[1] or x.shape[1] != y.shape[1]:
        raise NetgeomError(
            "Starts and ends do not fit each other", expected="two arrays (n, d)", got=f"{x.shape} and {y.shape}"
        )
    if run_ids is None and len(x) != len(y):
        raise NetgeomError(
            "Starts and ends differ in number",
            expected="row i of both of one run",
            got=f"{len(x)} and {len(y)} rows",
            try_this="run_ids=(ids of the starts, ids of the ends)",
        )
    ids: Ids | None = None
    if run_ids is not None:
        y, ids = match_by_run(x, y, run_ids)
    for what, array in (("starts", x), ("ends", y)):
        bad = np.flatnonzero(~np.isfinite(array).all(1))
        if len(bad):
            raise NetgeomError(
                f"Some {what} are not finite",
                expected="finite numbers",
                got=f"NaN or infinity in {len(bad)} of {len(array)} rows, first row {bad[0]}",
                try_this="leave out the runs that diverged",
            )
    if len(x) < _FEWEST_PAIRS:
        raise NetgeomError("Too few pairs for a map", expected=f"at least {_FEWEST_PAIRS}", got=f"{len(x)}")
    if (np.ptp(x, axis=0) == 0).all():
        raise NetgeomError(
            "All starts are the same",
            expected="different starts",
            got=f"{len(x)} starts at {x[0]}",
            try_this="a later start, where the runs have parted",
        )
    return x, y, ids


def _groups(ids: Ids | None, n: int) -> Int64[ndarray, " n"]:
    """Number of each row's run."""
    if ids is None:
        return np.arange(n)
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(run_of(i), len(number)) for i in ids])


def _spanning(x: Float64[ndarray, "n d"]) -> None:
    n, d = x.shape
    if n < d + 2 or np.linalg.matrix_rank(x - x.mean(0)) < d:
        raise NetgeomError(
            "The starts do not determine an affine map",
            expected=f"at least {d + 2} starts that do not lie in a plane of {d - 1} dimensions",
            got=f"{n} starts of rank {np.linalg.matrix_rank(x - x.mean(0))} about their mean",
            try_this="fewer coordinates, or mean='identity'",
        )


def _nearest(
    x: Float64[ndarray, "n d"],
    targets: Float64[ndarray, "n d"],
    mean: str,
    neighbours: int,
    groups: Int64[ndarray, " n"],
) -> NearestStarts:
    if mean == "linear":
        raise NetgeomError(
            "Nearest neighbours have no linear mean", expected="mean='identity' or 'zero'", got="'linear'"
        )
    largest = int(np.bincount(groups).max())
    if largest == len(x):
        raise NetgeomError("Neighbours are sought in other runs", expected="at least 2 runs", got="1 run")
    as_count(neighbours, 1, len(x) - largest, "neighbours", "more runs")
    return NearestStarts(x, targets, neighbours, groups)
