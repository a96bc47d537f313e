"""Samples whose label disagrees with the labels of those the network treats alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._inputs import as_choice, as_labels
from netgeom_widgets.kernels.similarity.ordering import Nearest, nearest
from netgeom_widgets.kernels.similarity.rows import Rows, Work, leaves_itself_out

METHODS = ("nearest", "soft", "less_soft")


def label_noise_scores(
    values: Any,
    labels: Any,
    *,
    method: str = "nearest",
    k: int = 10,
    power: float = 4.0,
    labels_others: Any = None,
    exclude_self: bool | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, " n"]:
    """Share of a sample's similarity to others that lies with other labels: the higher, the more suspicious the label.

    sum over j with another label of w_ij / sum over all j of w_ij. "nearest": w is max(k, 0) of the k most similar
    others; "soft": max(k, 0) of all others; "less_soft": max(k, 0)^power of all others.

    A caution: on an easy data set this need not beat the plainest rival. For handwritten digits with 10 % of the labels
    flipped, ten nearest neighbours by similarity found the flips with an area under the ROC curve of 0.997 to 0.999,
    and ten nearest neighbours by pixels with 0.999. Compare with neighbours in the inputs before a claim is made.

    Parameters
    ----------
    values : (n, m) array, memory map, zarr array or tensor, or Nearest
        Similarities, normalised (trace, flat, cosine ...); or the table that `nearest` gives, all of it, for "nearest".
    labels : (n,) whole numbers
        The labels in doubt, of the rows.
    method : str
        "nearest", "soft" or "less_soft".
    k : int
        How many others "nearest" takes, where ``values`` is no table; all of them when there are fewer.
    power : float
        Of "less_soft".
    labels_others : (m,) whole numbers, optional
        Labels of the columns, when these are other samples.
    exclude_self : bool, optional
        Leave entry (i, i) out; None: when there are no ``labels_others``.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    (n,) float64
        0 (all that is similar has the same label) to 1. NaN where nothing is similar, as for a zero gradient.

    Raises
    ------
    NetgeomError
        Labels that do not fit, an unknown method, entries that are not finite.

    Notes
    -----
    Cost O(n m).
    """
    as_choice(method, METHODS, "method")
    if isinstance(values, Nearest):
        if method != "nearest":
            raise NetgeomError("A table of nearest neighbours fits one method", expected="'nearest'", got=f"{method!r}")
        own = as_labels(labels, len(values.ids))
        others = own if labels_others is None else as_labels(labels_others, len(np.asarray(labels_others)))
        if values.ids.max() >= len(others):
            raise NetgeomError(
                "A neighbour has no label", expected=f"{values.ids.max() + 1} labels", got=f"{len(others)}"
            )
        return _share(np.maximum(values.values, 0.0), others[values.ids] != own[:, None])
    rows = Rows(values)
    own = as_labels(labels, len(rows))
    others = as_labels(own if labels_others is None else labels_others, rows.n_columns)
    alone = leaves_itself_out(rows, labels_others is None if exclude_self is None else exclude_self)
    if method == "nearest":
        if rows.n_columns == alone:  # a single sample has no others
            return np.full(1, np.nan)
        count = min(k, rows.n_columns - alone)
        table = nearest(values, count, exclude_self=alone, progress=progress, cancel=cancel)
        return _share(np.maximum(table.values, 0.0), others[table.ids] != own[:, None])
    scores = np.empty(len(rows))
    for part, block in rows.blocks(Work(progress, cancel, len(rows), "labels")):
        weights = np.maximum(block, 0.0)
        if method == "less_soft":
            weights **= power
        if alone:
            weights[np.arange(len(weights)), np.arange(part.start, part.stop)] = 0.0
        scores[part] = _share(weights, others != own[part, None])
    return scores


def _share(weights: Float64[ndarray, "n m"], differs: ndarray) -> Float64[ndarray, " n"]:
    total = weights.sum(1)
    wrong = (weights * differs).sum(1)
    return np.where(total > 0, wrong / np.where(total > 0, total, 1.0), np.nan)
