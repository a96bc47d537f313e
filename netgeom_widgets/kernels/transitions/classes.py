"""What training does to the predicted classes: transitions between classes, forgetting and learning."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count, as_labels
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.transitions.inputs import as_predictions


def class_transitions(
    predictions: Any, n_classes: int | None = None, *, samples: Any = None
) -> Int32[ndarray, "transitions C C"]:
    """How many samples went from class c to class c' in each transition (Ferreira et al. 2022).

    Parameters
    ----------
    predictions : (T, N) whole numbers
        Predicted class of each sample at each snapshot.
    n_classes : int, optional
        C; None: the largest class that occurs, plus 1.
    samples : sequence of int or (N,) bool, optional
        Only these samples.

    Returns
    -------
    (T - 1, C, C) int32
        Row the class before, column the class after; each matrix sums to the number of samples.

    Raises
    ------
    NetgeomError
        Predictions that are no classes, or a class beyond C.
    TooLargeError
        The counts do not fit in memory.

    Notes
    -----
    Cost O(T (N + C^2)).
    """
    classes = as_predictions(predictions, samples)
    largest = int(classes.max())
    n = largest + 1 if n_classes is None else as_count(n_classes, 1, 1 << 20, "n_classes")
    if largest >= n:
        raise NetgeomError("A class is beyond n_classes", expected=f"0 to {n - 1}", got=f"{largest}")
    require_memory(4 * (len(classes) - 1) * n**2, f"Transition counts of {n:,} classes", "fewer snapshots or classes")
    counts = np.empty((len(classes) - 1, n, n), dtype=np.int32)
    for t in range(len(counts)):
        counts[t] = np.bincount(classes[t] * n + classes[t + 1], minlength=n * n).reshape(n, n)
    return counts


def class_transition_distance(counts: Any) -> Float64[ndarray, "transitions transitions"]:
    """Bray-Curtis distance of class transitions, samples that stayed left out (Ferreira et al. 2022).

    sum |a - b| / sum (a + b) over c != c'; 0 where nobody changed class in either, 1 where in one only.

    Parameters
    ----------
    counts : (T - 1, C, C) whole numbers
        Of `class_transitions`.

    Returns
    -------
    (T - 1, T - 1) float64
        Symmetric, 0 on the diagonal, 0 to 1; correctly rounded quotients of whole numbers.

    Raises
    ------
    NetgeomError
        Counts of another shape, with a fraction, or negative.

    Notes
    -----
    Cost O(T^2 P), P the pairs of different classes that occur at all.
    """
    array = as_array(counts, "counts")
    if array.ndim != 3 or array.shape[1] != array.shape[2] or array.dtype.kind not in "iu" or (array < 0).any():
        raise NetgeomError(
            "The counts have the wrong form",
            expected="(T - 1, C, C) whole numbers, not negative",
            got=f"shape {array.shape}, dtype {array.dtype}",
        )
    changed = array[:, array.any(0) & ~np.eye(array.shape[1], dtype=bool)].astype(np.int64)
    distance = np.zeros((len(array), len(array)))
    for a in range(len(array)):
        difference = np.abs(changed[a] - changed[a:]).sum(1)
        size = (changed[a] + changed[a:]).sum(1)
        distance[a, a:] = distance[a:, a] = difference / np.maximum(size, 1)
    return distance


def classification_distance(predictions: Any, *, samples: Any = None) -> Int64[ndarray, "T T"]:
    """How many samples two snapshots classify differently (the "raw classification" of Ferreira et al. 2022).

    Parameters
    ----------
    predictions : (T, N) whole numbers
    samples : sequence of int or (N,) bool, optional
        Only these samples.

    Returns
    -------
    (T, T) int64
        Exact; a metric (Hamming).

    Raises
    ------
    NetgeomError
        Predictions that are no classes.

    Notes
    -----
    Cost O(T^2 N).
    """
    classes = as_predictions(predictions, samples)
    require_memory(
        8 * len(classes) ** 2, f"A matrix of {len(classes):,} x {len(classes):,} snapshots", "fewer snapshots"
    )
    distance = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for t in range(len(classes)):
        distance[t, t:] = distance[t:, t] = (classes[t:] != classes[t]).sum(1)
    return distance


def forgetting_events(predictions: Any, labels: Any) -> Int64[ndarray, " N"]:
    """How often each sample went from correct to wrong (Toneva et al. 2019, arXiv 1812.05159).

    Parameters
    ----------
    predictions : (T, N) whole numbers
    labels : (N,) whole numbers

    Returns
    -------
    (N,) int64
        Exact.

    Raises
    ------
    NetgeomError
        Predictions or labels that do not fit.
    """
    correct = _correct(predictions, labels)
    return (correct[:-1] & ~correct[1:]).sum(0)


def learning_events(predictions: Any, labels: Any) -> Int64[ndarray, " N"]:
    """How often each sample went from wrong to correct (Toneva et al. 2019, arXiv 1812.05159).

    Parameters and errors as `forgetting_events`.

    Returns
    -------
    (N,) int64
        Exact.
    """
    correct = _correct(predictions, labels)
    return (~correct[:-1] & correct[1:]).sum(0)


def first_correct(predictions: Any, labels: Any) -> Int64[ndarray, " N"]:
    """The first snapshot at which each sample is classified correctly, -1 for never.

    Parameters and errors as `forgetting_events`.

    Returns
    -------
    (N,) int64
        Snapshots, counted from 0.
    """
    correct = _correct(predictions, labels)
    return np.where(correct.any(0), correct.argmax(0), -1)


def _correct(predictions: Any, labels: Any) -> Bool[ndarray, "T N"]:
    classes = as_predictions(predictions)
    return classes == as_labels(labels, classes.shape[1])
