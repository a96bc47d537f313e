"""Finite posets given as matrices leq[i, j]: i <= j, where the smaller of two elements has the smaller number."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray

from netgeom_widgets.kernels.order_retraction.rectangles import positions

_OCTETS = 1 << 24  # octets gathered at a time


def heights(leq: Bool[ndarray, "k k"]) -> Int64[ndarray, " k"]:
    """Length of the longest chain below each element, 0 for the minimal ones; in any numbering."""
    out, below_of = np.zeros(len(leq), np.int64), np.ascontiguousarray(leq.T)
    for j in np.argsort(leq.sum(axis=0), kind="stable"):  # whatever is below j has fewer elements below it
        below = below_of[j].copy()
        below[j] = False
        if below.any():
            out[j] = out[below].max() + 1
    return out


def covers(leq: Bool[ndarray, "k k"]) -> list[tuple[int, int]]:
    """Pairs (upper, lower) with nothing between, sorted: the transitive reduction of the order."""
    found, below_of = [], np.ascontiguousarray(leq.T)
    for upper, below in enumerate(below_of):
        left = below.copy()
        left[upper] = False
        while left.any():
            lower = left.size - 1 - int(left[::-1].argmax())  # the last is below none of the others
            found.append((upper, lower))
            left &= ~below_of[lower]
    return sorted(found)


def upper_bounds(leq: Bool[ndarray, "k k"], sets: Bool[ndarray, "U k"]) -> Bool[ndarray, "U k"]:
    """Elements above all members of each set; of the empty set: all."""
    k = len(leq)
    packed = np.packbits(leq, axis=1)
    out = np.full((len(sets), packed.shape[1]), 255, np.uint8)
    filled = np.flatnonzero(sets.any(axis=1))
    for rows in _parts(sets, filled, _OCTETS // max(1, packed.shape[1])):
        owner, member = np.nonzero(sets[rows])
        starts = np.searchsorted(owner, np.arange(rows.size))
        out[rows] = np.bitwise_and.reduceat(packed[member], starts, axis=0)
    return np.unpackbits(out, axis=1, count=k).view(bool)


def maximal(hasse: list[tuple[int, int]], sets: Bool[ndarray, "U k"]) -> Bool[ndarray, "U k"]:
    """The maximal members of each down-set, by the edges (upper, lower) of the order: they have its upper bounds."""
    edges = np.array(hasse, np.int64).reshape(-1, 2)
    upper = edges[np.argsort(edges[:, 1], kind="stable"), 0]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(edges[:, 1], minlength=sets.shape[1]))])
    out = sets.copy()
    for rows in _parts(sets, np.arange(len(sets)), _OCTETS // 64):
        owner, member = np.nonzero(sets[rows])
        counts, places = positions(indptr, member)
        pair = np.repeat(np.arange(member.size), counts)
        below = pair[sets[rows[owner[pair]], upper[places]]]  # a member above is in the set too
        out[rows[owner[below]], member[below]] = False
    return out


def _parts(sets: Bool[ndarray, "U k"], rows: Int64[ndarray, " m"], members: int) -> list[Int64[ndarray, " _"]]:
    """Rows in stretches that hold about some number of members together."""
    ends, room = np.cumsum(sets[rows].sum(axis=1)), max(1, members)
    cuts = np.searchsorted(ends, np.arange(room, int(ends[-1]) if ends.size else 0, room))
    return [part for part in np.split(rows, np.unique(cuts)) if part.size]


def joins(leq: Bool[ndarray, "k k"], bounds: Bool[ndarray, "U k"]) -> Int32[ndarray, " U"]:
    """The least one of each set of upper bounds, -1 where there is none: no upper bound, or several minimal ones."""
    if not len(leq):
        return np.full(len(bounds), -1, np.int32)
    first = bounds.argmax(axis=1)  # a least element comes before all others
    least = bounds.any(axis=1) & ~(bounds & ~leq[first]).any(axis=1)
    return np.where(least, first, -1).astype(np.int32)


def minimal(leq: Bool[ndarray, "k k"], members: Bool[ndarray, " k"]) -> Int64[ndarray, " m"]:
    """The minimal elements of a set."""
    ids = np.flatnonzero(members)
    below = leq[np.ix_(ids, ids)].sum(axis=0)
    return ids[below == 1]
