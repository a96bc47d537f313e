"""One number per sample from the network's outputs: entropy, margin, cross-entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array


def entropy(outputs: Any) -> Float64[ndarray, ...]:
    """Shannon entropy of the softmax of the outputs, in nats: 0 certain, log C undecided.

    A single output z stands for the two classes of a logistic model, with logits 0 and z.

    Parameters
    ----------
    outputs : (..., C)
        Logits. Rows with NaN (never recorded) or infinite values (diverged) give NaN.

    Returns
    -------
    (...) float64
        Exact to C eps.

    Raises
    ------
    NetgeomError
        No axis of outputs.
    """
    logs = _log_softmax(outputs)
    chances = np.exp(logs)
    return -np.where(chances > 0, chances * logs, 0.0 * chances).sum(-1) + 0.0


def margin(outputs: Any) -> Float64[ndarray, ...]:
    """Largest output minus the second largest: the log of the ratio of their probabilities, in nats.

    Not bounded, so that samples stay apart when all are certain; needs no labels. A single output z has margin |z|.

    Parameters
    ----------
    outputs : (..., C)
        Logits. Rows with NaN (never recorded) or infinite values (diverged) give NaN.

    Returns
    -------
    (...) float64
        Not negative; exact.

    Raises
    ------
    NetgeomError
        No axis of outputs.
    """
    ordered = np.sort(_logits(outputs), axis=-1)
    return ordered[..., -1] - ordered[..., -2]


def cross_entropy(outputs: Any, labels: Any) -> Float64[ndarray, ...]:
    """The loss of each sample: minus the log of the softmax probability of its label, in nats.

    A single output z stands for the two classes of a logistic model, with logits 0 and z.

    Parameters
    ----------
    outputs : (..., N, C)
        Logits. Rows with NaN (never recorded) or infinite values (diverged) give NaN.
    labels : (N,) whole numbers, or any shape that fits (..., N)
        Classes from 0 to C - 1.

    Returns
    -------
    (..., N) float64
        Exact to C eps of the spread of the outputs.

    Raises
    ------
    NetgeomError
        Labels that do not fit the outputs.
    """
    logs = _log_softmax(outputs)
    classes = as_array(labels, "labels")
    n = logs.shape[-1]
    try:
        classes = np.broadcast_to(classes, logs.shape[:-1])
        fits = classes.dtype.kind in "iu"
    except ValueError:
        fits = False
    if not fits or (classes.size and not 0 <= classes.min() <= classes.max() < n):
        raise NetgeomError(
            "The labels do not fit the outputs",
            expected=f"whole numbers from 0 to {n - 1}, shape {logs.shape[:-1]} or its last axis",
            got=f"shape {classes.shape}, dtype {classes.dtype}",
        )
    return -np.take_along_axis(logs, classes[..., None].astype(np.int64), -1)[..., 0] + 0.0


def _logits(outputs: Any) -> Float64[ndarray, "... C"]:
    array = as_array(outputs, "outputs").astype(np.float64)
    if not array.ndim or not array.shape[-1]:
        raise NetgeomError("The outputs have the wrong shape", expected="(..., C)", got=f"{array.shape}")
    array[~np.isfinite(array).all(-1)] = np.nan  # astype made a copy
    return np.concatenate([np.zeros_like(array), array], -1) if array.shape[-1] == 1 else array


def _log_softmax(outputs: Any) -> Float64[ndarray, "... C"]:
    logits = _logits(outputs)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
