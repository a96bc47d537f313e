"""Recurrence quantification of a distance matrix: how much of it lies on lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_count


@dataclass(frozen=True, eq=False)
class Recurrence:
    """Measures of the recurrence plot R[a, b] = low <= distance[a, b] <= high.

    Attributes
    ----------
    low, high : float
        The band.
    rate : float
        Share of recurrent points, main diagonal included.
    determinism : float
        Share of the recurrent points off the main diagonal that lie on diagonal lines of at least l_min points: pieces
        of training that repeat. NaN without such points.
    laminarity : float
        Share of recurrent points on vertical lines of at least l_min points: states that last. NaN without points.
    trapping_time : float
        Mean length of those vertical lines, in steps of the matrix; NaN without any.
    diagonal_entropy : float
        Shannon entropy (nats) of the distribution of the lengths of those diagonal lines; NaN without any.
    """

    low: float
    high: float
    rate: float
    determinism: float
    laminarity: float
    trapping_time: float
    diagonal_entropy: float


@dataclass(frozen=True, eq=False)
class RecurrenceBands:
    """The measures of `Recurrence` for consecutive bands, arrays of one entry per band.

    Attributes
    ----------
    low, high : (B,) float64
        Ends of the bands, in the unit of `scale`.
    rate, determinism, laminarity, trapping_time, diagonal_entropy : (B,) float64
    scale : float
        The distance that counts as 1.
    """

    low: Float64[ndarray, " B"]
    high: Float64[ndarray, " B"]
    rate: Float64[ndarray, " B"]
    determinism: Float64[ndarray, " B"]
    laminarity: Float64[ndarray, " B"]
    trapping_time: Float64[ndarray, " B"]
    diagonal_entropy: Float64[ndarray, " B"]
    scale: float


def recurrence(distance: Any, low: float, high: float, *, l_min: int = 2) -> Recurrence:
    """Recurrence measures of a distance matrix within a band of distances (Marwan et al. 2007, Physics Reports 438).

    Parameters
    ----------
    distance : (M, M)
        Symmetric, not negative, finite.
    low, high : float
        Closed ends of the band, in the unit of the distance.
    l_min : int
        Shortest line that counts, in points.

    Returns
    -------
    Recurrence
        Quotients of whole-number counts.

    Raises
    ------
    NetgeomError
        No square matrix of finite numbers, an empty band, l_min below 1.

    Notes
    -----
    The line of identity is left out of the diagonal measures only. Cost O(M^2).
    """
    matrix = _as_matrix(distance)
    if not (np.isfinite(low) and low <= high):
        raise NetgeomError("The band is empty", expected="low <= high", got=f"{low!r} to {high!r}")
    return _measures((matrix >= low) & (matrix <= high), float(low), float(high), as_count(l_min, 1, 1 << 31, "l_min"))


def recurrence_bands(
    distance: Any, width: float = 0.05, *, l_min: int = 2, scale: float | None = None
) -> RecurrenceBands:
    """Recurrence measures over bands [x, x + width] of the normalised distance, x = 0, width, ..., 1 - width.

    Those of the training fingerprint (Ferreira et al. 2022), with one difference: their entropy divides the numbers of
    lines by the sum of the lengths, which is no distribution; here they are divided by the number of lines.

    Parameters
    ----------
    distance : (M, M)
        Symmetric, not negative, finite.
    width : float
        Of a band, above 0, at most 1; rounded so that the bands fill 0 to 1.
    l_min : int
        Shortest line that counts, in points.
    scale : float, optional
        The distance that counts as 1: 1.0 leaves `class_transition_distance` as it is. None: the largest entry.

    Returns
    -------
    RecurrenceBands
        A distance on the border of two bands counts in both.

    Raises
    ------
    NetgeomError
        As `recurrence`; width or scale out of range.

    Notes
    -----
    Cost O(M^2 / width).
    """
    matrix = _as_matrix(distance)
    if not 0 < width <= 1:
        raise NetgeomError("The width of the bands is out of range", expected="0 < width <= 1", got=f"{width!r}")
    if scale is None:
        scale = float(matrix.max()) or 1.0
    if not (np.isfinite(scale) and scale > 0):
        raise NetgeomError("The scale must be a positive number", expected="a distance above 0", got=f"{scale!r}")
    l_min = as_count(l_min, 1, 1 << 31, "l_min")
    ends = np.arange(round(1 / width) + 1) / round(1 / width)
    found = [
        _measures((matrix >= a * scale) & (matrix <= b * scale), a, b, l_min)
        for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]
    names = ("low", "high", "rate", "determinism", "laminarity", "trapping_time", "diagonal_entropy")
    return RecurrenceBands(**{name: np.array([getattr(f, name) for f in found]) for name in names}, scale=float(scale))


def _as_matrix(distance: Any) -> Float64[ndarray, "M M"]:
    matrix = as_array(distance, "distance").astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size or not np.isfinite(matrix).all():
        raise NetgeomError(
            "This is no distance matrix",
            expected="a square matrix of finite numbers, at least 1 x 1",
            got=f"shape {matrix.shape}" + ("" if np.isfinite(matrix).all() else " with NaN or infinite entries"),
        )
    if (matrix < 0).any() or (matrix != matrix.T).any():
        raise NetgeomError("This is no distance matrix", expected="symmetric, no negative entry")
    return matrix


def _measures(recurrent: Bool[ndarray, "M M"], low: float, high: float, l_min: int) -> Recurrence:
    size = len(recurrent)
    vertical = _line_lengths(recurrent)
    # Row d is the d-th diagonal above the main one, with zeros behind its end; those below it are the same.
    sheared = np.zeros((size, size), dtype=bool)
    for d in range(1, size):
        sheared[d, : size - d] = np.diagonal(recurrent, d)
    diagonal = _line_lengths(sheared)
    long_vertical, long_diagonal = vertical[vertical >= l_min], diagonal[diagonal >= l_min]
    shares = np.unique(long_diagonal, return_counts=True)[1] / max(len(long_diagonal), 1)
    return Recurrence(
        low,
        high,
        rate=float(recurrent.mean()),
        determinism=_share(long_diagonal.sum(), diagonal.sum()),
        laminarity=_share(long_vertical.sum(), vertical.sum()),
        trapping_time=_share(long_vertical.sum(), len(long_vertical)),
        diagonal_entropy=float(-(shares * np.log(shares)).sum()) + 0.0 if len(long_diagonal) else float("nan"),
    )


def _line_lengths(points: Bool[ndarray, "M M"]) -> Int64[ndarray, " lines"]:
    """Lengths of all runs of points within the rows."""
    bordered = np.pad(points, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(bordered.reshape(-1))
    return np.flatnonzero(steps < 0) - np.flatnonzero(steps > 0)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
