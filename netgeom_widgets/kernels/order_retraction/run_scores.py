"""One number for each run, or for each sample over all runs, from predicted probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_labels

_OFF = 1e-4  # of 1: how far a sum of float32 probabilities may be off


def prediction_entropy(probabilities: Any) -> Float64[ndarray, " n"]:
    """Entropy of the mean probabilities over runs, for each sample: how much the runs disagree, or hesitate (DOODL3).

    Parameters
    ----------
    probabilities : (runs, n, C)
        Predicted probabilities of each run for each sample.

    Returns
    -------
    (n,) float64
        In nats, 0 to log C; exact to C eps.

    Raises
    ------
    NetgeomError
        Another shape, or numbers that are no probabilities.
    """
    return _entropy(_as_probabilities(probabilities).mean(0))


def run_entropy(probabilities: Any) -> Float64[ndarray, " runs"]:
    """Mean over the samples of the entropy of each run's own probabilities: how much it hesitates.

    Parameters
    ----------
    probabilities : (runs, n, C)

    Returns
    -------
    (runs,) float64
        In nats, 0 to log C.

    Raises
    ------
    NetgeomError
        As `prediction_entropy`.
    """
    return _entropy(_as_probabilities(probabilities)).mean(1)


def run_accuracy(probabilities: Any, labels: Any, *, balanced: bool = False) -> Float64[ndarray, " runs"]:
    """Share of samples that each run classifies rightly; of equal probabilities the first counts.

    Parameters
    ----------
    probabilities : (runs, n, C)
        Or outputs of any kind, of which the largest is the prediction.
    labels : (n,) whole numbers
    balanced : bool
        Mean over the classes of the share within the class (as scikit-learn's balanced_accuracy_score).

    Returns
    -------
    (runs,) float64

    Raises
    ------
    NetgeomError
        Shapes that do not fit; labels that are no classes.
    """
    array = _cube(probabilities)
    wanted = as_labels(labels, array.shape[1])
    if wanted.min() < 0 or wanted.max() >= array.shape[2]:
        raise NetgeomError(
            "A label is no class", expected=f"0 to {array.shape[2] - 1}", got=f"{wanted.min()} to {wanted.max()}"
        )
    right = array.argmax(2) == wanted
    groups = [wanted == label for label in np.unique(wanted)] if balanced else [np.ones(len(wanted), dtype=bool)]
    found: Float64[ndarray, " runs"] = np.mean([right[:, group].mean(1) for group in groups], axis=0)
    return found


def _entropy(chances: Float64[ndarray, "*samples C"]) -> Float64[ndarray, "*samples"]:
    logs = np.log(np.where(chances > 0, chances, 1.0))
    return -(chances * logs).sum(-1) + 0.0


def _cube(values: Any) -> Float64[ndarray, "runs n C"]:
    array = as_array(values, "probabilities").astype(np.float64)
    if array.ndim != 3 or 0 in array.shape or not np.isfinite(array).all():
        raise NetgeomError(
            "The predictions have the wrong form", expected="finite numbers (runs, n, C)", got=f"shape {array.shape}"
        )
    return array


def _as_probabilities(values: Any) -> Float64[ndarray, "runs n C"]:
    array = _cube(values)
    sums = array.sum(2)
    if array.min() < -_OFF or np.abs(sums - 1).max() > _OFF:
        raise NetgeomError(
            "These are no probabilities",
            expected="numbers from 0 that sum to 1 over the classes",
            got=f"from {array.min():.3g}, sums {sums.min():.3g} to {sums.max():.3g}",
            try_this="scipy.special.softmax(outputs, axis=-1)",
        )
    chances = np.maximum(array, 0.0)
    found: Float64[ndarray, "runs n C"] = chances / chances.sum(2, keepdims=True)
    return found
