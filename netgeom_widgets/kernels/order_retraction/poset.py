"""Finite posets given as matrices leq[i, j]: i <= j."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray


def heights(leq: Bool[ndarray, "k k"]) -> Int64[ndarray, " k"]:
    """Length of the longest chain below each element; 0 for the minimal ones."""
    out = np.zeros(len(leq), np.int64)
    for j in np.argsort(leq.sum(axis=0), kind="stable"):  # whatever is below j has fewer elements below it
        below = np.flatnonzero(leq[:, j])
        out[j] = max((out[i] + 1 for i in below if i != j), default=0)
    return out


def covers(leq: Bool[ndarray, "k k"]) -> list[tuple[int, int]]:
    """Pairs (upper, lower) with nothing between: the transitive reduction of the order."""
    strict = leq & ~np.eye(len(leq), dtype=bool)
    paths = strict.astype(np.float32)
    between = paths @ paths > 0  # whole numbers, exact in float32 below 2^24
    lower, upper = np.nonzero(strict & ~between)
    return sorted(zip(upper.tolist(), lower.tolist(), strict=True))


def upper_bounds(leq: Bool[ndarray, "k k"], sets: Bool[ndarray, "U k"]) -> Bool[ndarray, "U k"]:
    """Elements above all members of each set."""
    return (sets.astype(np.float32) @ (~leq).astype(np.float32)) == 0


def joins(leq: Bool[ndarray, "k k"], sets: Bool[ndarray, "U k"]) -> Int32[ndarray, " U"]:
    """Least upper bound of each set, -1 where there is none: no upper bound, or several minimal ones."""
    if not len(leq):
        return np.full(len(sets), -1, np.int32)
    bounds = upper_bounds(leq, sets)
    above = bounds.astype(np.float32) @ leq.T.astype(np.float32)  # [u, p]: upper bounds of u that are above p
    least = bounds & (above == bounds.sum(axis=1, keepdims=True))
    return np.where(least.any(axis=1), least.argmax(axis=1), -1).astype(np.int32)


def minimal(leq: Bool[ndarray, "k k"], members: Bool[ndarray, " k"]) -> Int64[ndarray, " m"]:
    """The minimal elements of a set."""
    ids = np.flatnonzero(members)
    below = leq[np.ix_(ids, ids)].sum(axis=0)
    return ids[below == 1]
