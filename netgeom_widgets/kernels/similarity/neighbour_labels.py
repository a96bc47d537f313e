"""What the labels of the most similar others say a sample's label should be."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from netgeom_widgets.kernels._inputs import as_labels
from netgeom_widgets.kernels.similarity.ordering import nearest
from netgeom_widgets.kernels.similarity.rows import Rows


def neighbour_labels(values: Any, labels: Any, *, k: int = 10) -> Int64[ndarray, " n"]:
    """The label with the largest sum of similarities among the k most similar others: a nearest-neighbour classifier.

    Parameters
    ----------
    values : (n, n) array, memory map, zarr array or tensor
        Similarities; entries below 0 count as 0.
    labels : (n,) whole numbers
    k : int
        How many others; all of them when there are fewer.

    Returns
    -------
    (n,) int64
        Of equal sums the smaller label; -1 where nothing is similar, as for a zero gradient or a single sample.

    Raises
    ------
    NetgeomError
        Not square, labels that do not fit, entries that are not finite.

    Notes
    -----
    Cost O(n^2), memory for n times the number of classes.
    """
    rows = Rows(values, square=True)
    known, classes = np.unique(as_labels(labels, len(rows)), return_inverse=True)
    if len(rows) < 2:
        return np.full(len(rows), -1, dtype=np.int64)
    table = nearest(values, min(k, len(rows) - 1))
    votes = np.zeros((len(rows), len(known)))
    np.add.at(votes, (np.arange(len(rows))[:, None], classes[table.ids]), np.maximum(table.values, 0.0))
    return np.where(votes.any(1), known[votes.argmax(1)], -1)
