"""What becomes of the neighbours of one sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32
from numpy import ndarray

from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels.transitions.neighbours import Neighbours, prefix


@dataclass(frozen=True, eq=False)
class NeighbourChanges:
    """Neighbours of one sample at two snapshots, nearest first.

    Attributes
    ----------
    before_ids, after_ids : (k,) int32
    before_distances, after_distances : (k,) float64
    kept : (k,) bool
        For the ones before: whether they are neighbours after too; the others are lost.
    gained : (k,) bool
        For the ones after: whether they were no neighbours before.
    """

    before_ids: Int32[ndarray, " k"]
    before_distances: Float64[ndarray, " k"]
    after_ids: Int32[ndarray, " k"]
    after_distances: Float64[ndarray, " k"]

    @property
    def kept(self) -> Bool[ndarray, " k"]:  # noqa: D102 - with the attributes
        return np.isin(self.before_ids, self.after_ids)

    @property
    def gained(self) -> Bool[ndarray, " k"]:  # noqa: D102 - with the attributes
        return ~np.isin(self.after_ids, self.before_ids)


def neighbour_changes(
    neighbours: Neighbours, sample: int, before: int, after: int, *, k: int | None = None
) -> NeighbourChanges:
    """Which neighbours of a sample were kept, lost and gained between two snapshots, O(k log k).

    Parameters
    ----------
    neighbours : Neighbours
    sample : int
        Its row.
    before, after : int
        Snapshots, counted from 0.
    k : int, optional
        Of the stored neighbours only the k nearest.

    Returns
    -------
    NeighbourChanges

    Raises
    ------
    NetgeomError
        Anything out of range.
    """
    ids = prefix(neighbours, k)
    row = as_count(sample, 0, ids.shape[1] - 1, "sample")
    first, second = (as_count(t, 0, len(ids) - 1, "snapshot") for t in (before, after))
    distances = neighbours.distances[:, row, : ids.shape[2]]
    return NeighbourChanges(ids[first, row], distances[first], ids[second, row], distances[second])
