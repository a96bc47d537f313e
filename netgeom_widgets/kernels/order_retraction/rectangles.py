"""Rectangles of cells, and rows of unequal length, written out."""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Int32, Int64, Integer
from numpy import ndarray


def volumes(first: Int32[ndarray, "M d"], last: Int32[ndarray, "M d"]) -> Int64[ndarray, " M"]:
    """Cells in each rectangle; 0 where an axis has none."""
    out = np.ones(len(first), np.int64)
    for axis in range(first.shape[1]):
        out *= np.maximum(last[:, axis] - first[:, axis] + 1, 0)
    return out


def cells_of(
    first: Int32[ndarray, "M d"], last: Int32[ndarray, "M d"], shape: tuple[int, ...]
) -> tuple[Int64[ndarray, " M"], Int64[ndarray, " E"]]:
    """The cells of rectangles, one rectangle after the other, each ascending: (how many each, ids)."""
    counts = volumes(first, last)
    owner = np.arange(len(first)) if counts.all() else np.flatnonzero(counts)
    ids = np.zeros(len(owner), np.int64)
    for axis, n in enumerate(shape):
        start = first[owner, axis]
        length = last[owner, axis] - start + 1
        ids = ids * n + start
        if (length == 1).all():
            continue
        ends = np.cumsum(length)
        ids = np.repeat(ids - (ends - length), length)
        ids += np.arange(ids.size)
        if axis < len(shape) - 1:
            owner = np.repeat(owner, length)
    return counts, ids


def add_boxes(
    total: Int32[ndarray, "*shape"], first: Int32[ndarray, "M d"], last: Int32[ndarray, "M d"], amount: int
) -> None:
    """Add a number to every cell of each rectangle, once for each rectangle that holds it.

    By a difference array: O(M 2**d + cells), however large the rectangles are.
    """
    d = total.ndim
    padded = tuple(n + 1 for n in total.shape)
    difference = np.zeros(int(np.prod(padded)), np.int32)
    strides = [int(np.prod(padded[k + 1 :])) for k in range(d)]
    for corner in product((0, 1), repeat=d):
        at = np.zeros(len(first), np.int64)
        for axis, end in enumerate(corner):
            at += (last[:, axis] + 1 if end else first[:, axis]).astype(np.int64) * strides[axis]
        np.add.at(difference, at, np.int32(amount if sum(corner) % 2 == 0 else -amount))
    table = difference.reshape(padded)
    for axis in range(d):
        np.cumsum(table, axis=axis, out=table)
    total += table[tuple(slice(n) for n in total.shape)]


def summed_area(marks: ndarray) -> Int32[ndarray, "*padded"]:
    """Sums over all cells before each, with a border of zeros in front (Crow 1984)."""
    table = np.zeros(tuple(n + 1 for n in marks.shape), np.int32)
    inner = table[(slice(1, None),) * marks.ndim]
    inner[...] = marks
    for axis in range(marks.ndim):
        np.cumsum(inner, axis=axis, out=inner)
    return table


def sums_in_boxes(
    table: Int32[ndarray, "*padded"], first: Int32[ndarray, "M d"], last: Int32[ndarray, "M d"]
) -> Int32[ndarray, " M"]:
    """Sum over each rectangle by 2**d look-ups in a summed-area table."""
    d = table.ndim
    strides = [int(np.prod(table.shape[k + 1 :])) for k in range(d)]
    flat, out = table.reshape(-1), np.zeros(len(first), np.int32)
    for corner in product((0, 1), repeat=d):
        at = np.zeros(len(first), np.int64)
        for axis, end in enumerate(corner):
            at += (last[:, axis] + 1 if end else first[:, axis]).astype(np.int64) * strides[axis]
        out += flat[at] if (d - sum(corner)) % 2 == 0 else -flat[at]
    return out


def positions(indptr: Integer[ndarray, " R1"], rows: Integer[ndarray, " M"]) -> tuple[ndarray, Int64[ndarray, " E"]]:
    """Where the entries of some rows lie in a list of rows: (how many each, places)."""
    start = indptr[rows]
    counts = indptr[rows + 1] - start
    ends = np.cumsum(counts, dtype=np.int64)
    places = np.repeat(start - (ends - counts), counts)
    places += np.arange(places.size)
    return counts, places
