"""What a user should doubt about a fitted map, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.kernels.order_retraction.likelihood import Fitted

_LARGE_DEFECT = 0.5  # the coordinates leave a quarter of the ends' variance unexplained
_PAIRS_PER_DIMENSION = 10

_MEANING = {
    ("length scale", "lower"): "the map changes faster than the starts are dense",
    ("length scale", "upper"): "the data ask for a smoother map",
    ("amplitude", "lower"): "there is next to nothing to explain beyond the mean",
    ("amplitude", "upper"): "the map is a trend over the whole domain",
    ("noise", "lower"): "the map goes through every end",
    ("noise", "upper"): "the starts say nothing about the ends",
}


def doubts(
    starts: Float64[ndarray, "n d"],
    model: str,
    mean: str,
    closure_defect: float,
    fitted: Fitted | None,
    settings: dict[str, Any],
) -> tuple[str, ...]:
    """Warnings of a fitted map."""
    n, d = starts.shape
    found = []
    if n < _PAIRS_PER_DIMENSION * d:
        found.append(f"Only {n} pairs in {d} dimensions: the map is a guess between them.")
    if not closure_defect <= _LARGE_DEFECT:
        found.append(
            f"Closure defect {closure_defect:.2g}: the model finds no function of these coordinates for the ends."
            if np.isfinite(closure_defect)
            else "All ends are the same: there is no spread to explain."
        )
    flat = np.flatnonzero(np.ptp(starts, axis=0) == 0)
    found += [
        f"All starts are equal on axis {axis}: nothing is known about how the map depends on it." for axis in flat
    ]
    if fitted is None:
        return tuple(found)
    n_scales = len(settings["length_scale_bounds"])
    for name, axis, side in fitted.at_bound:
        value = {
            "length scale": fitted.best.length_scale[max(axis, 0)],
            "amplitude": fitted.best.amplitude,
            "noise": fitted.best.noise,
        }[name]
        where = f" of axis {axis}" if name == "length scale" and n_scales > 1 else ""
        found.append(f"The {name}{where} ended at its {side} bound {value:.3g}: {_MEANING[name, side]}.")
    if mean == "zero":
        found.append("Far from the starts the map goes to 0: recurrent cells there are made by the model.")
    if settings["likelihood_pairs"] < n:
        found.append(f"Hyperparameters were chosen on {settings['likelihood_pairs']} of {n} pairs.")
    return tuple(found)
