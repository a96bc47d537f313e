"""The map of training drawn again: from other runs, or from what the model leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_choice
from netgeom_widgets.kernels.order_retraction.fitted import FittedMap
from netgeom_widgets.kernels.order_retraction.fitting import fit_map
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.posterior_draws import DrawnMap

FEWEST_RUNS = 5  # of three, the three different runs that a map needs would be the same ones in every sample

_HYPERPARAMETERS = ("amplitude", "length_scale", "noise", "length_scale_bounds", "noise_bounds")


def resampled_map(
    fitted: FittedMap, kind: str, seed: int, *, grid: CubicalGrid, refit: bool = False
) -> FittedMap | DrawnMap:
    """One map as `morse_frequencies` draws it; with the seed of a sample the map of that sample.

    Parameters
    ----------
    fitted : FittedMap
        The map of all pairs.
    kind : {"bootstrap", "posterior"}
        As many runs drawn with replacement, each with all its pairs; or a function from the posterior.
    seed : int
    grid : CubicalGrid
        Where a function from the posterior will be evaluated.
    refit : bool
        Hyperparameters chosen anew, on the distinct runs of a bootstrap sample.

    Returns
    -------
    FittedMap or DrawnMap

    Raises
    ------
    NetgeomError
        Runs that are too few to be drawn from; nearest neighbours, for the posterior.
    """
    as_choice(kind, ("bootstrap", "posterior"), "kind")
    if kind == "posterior":
        return fitted.sample(1, seed, lower=grid.lower, upper=grid.upper)[0]
    rows = _runs_again(fitted.groups, np.random.default_rng(seed))
    options = dict(fitted.options)
    if fitted.model == "gp":
        source = fitted
        if refit:
            distinct = np.unique(rows)
            source = fit_map(fitted.starts[distinct], fitted.ends[distinct], **options)
        for name in _HYPERPARAMETERS:
            options.pop(name, None)
        options |= {"amplitude": source.amplitude, "length_scale": source.length_scale, "noise": source.noise}
    ids: Any = [(int(run), i) for i, run in enumerate(fitted.groups[rows])]
    return fit_map(fitted.starts[rows], fitted.ends[rows], run_ids=(ids, ids), **options)


def _runs_again(groups: Int64[ndarray, " n"], rng: np.random.Generator) -> Int64[ndarray, " m"]:
    """Rows of as many runs as there are, drawn with replacement; at least 3 different ones, or nothing is fitted."""
    n_runs = int(groups.max()) + 1
    if n_runs < FEWEST_RUNS:
        raise NetgeomError(
            "There are too few runs to draw from",
            expected=f"at least {FEWEST_RUNS}",
            got=f"{n_runs}",
            try_this="kind='posterior'",
        )
    drawn = rng.integers(n_runs, size=n_runs)
    while len(np.unique(drawn)) < 3:
        drawn = rng.integers(n_runs, size=n_runs)
    order = np.argsort(groups, kind="stable")
    ends = np.searchsorted(groups[order], np.arange(n_runs + 1))
    return np.concatenate([order[ends[run] : ends[run + 1]] for run in drawn])
