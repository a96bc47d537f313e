"""How many neighbours each sample has, from a matrix of similarities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._inputs import as_choice
from netgeom_widgets.kernels.similarity.rows import Rows, Work

KINDS = ("soft", "hard", "less_soft")


def neighbour_counts(
    values: Any,
    *,
    kind: str = "soft",
    threshold: float | None = None,
    power: float | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, " n"] | Int64[ndarray, " n"]:
    """Number of neighbours of each sample (Charpiat et al. 2019, arXiv 2102.05262).

    soft: the sum of its similarities; hard: how many lie above a threshold, strictly; less-soft: the sum of
    max(k, 0)^power. A sample counts itself, with the similarity that stands on the diagonal: 1, r/d where K(x, x) has
    rank r < d, and 0 where its gradient is zero. (The authors' program leaves the sample out of the hard and less-soft
    counts and in the soft one.)

    Parameters
    ----------
    values : (n, m) array, memory map, zarr array or tensor
        Similarities; read in blocks of rows, so that n is not bound by memory.
    kind : str
        "soft", "hard" or "less_soft".
    threshold : float, optional
        For "hard", and only there: compared as float64.
    power : float, optional
        For "less_soft", and only there: above 0; the authors use 2, 3 and 4.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    (n,) float64, or int64 for "hard"
        Sums are taken in float64. A hard count is as exact as the entries: see `near_threshold`.

    Raises
    ------
    NetgeomError
        An option that is missing or does not belong to the kind; entries that are not finite.

    Notes
    -----
    Cost O(n m).
    """
    as_choice(kind, KINDS, "kind")
    option = _option(kind, threshold, power)
    rows = Rows(values)
    counts = np.empty(len(rows), dtype=np.int64 if kind == "hard" else np.float64)
    for part, block in rows.blocks(Work(progress, cancel, len(rows), "counts")):
        if kind == "hard":
            counts[part] = np.count_nonzero(block > option, axis=1)
        else:
            counts[part] = (block if kind == "soft" else np.maximum(block, 0.0) ** option).sum(1)
    return counts


def near_threshold(
    values: Any,
    threshold: float,
    *,
    margin: float = 1e-6,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Int64[ndarray, " n"]:
    """Entries of each row so close to a threshold that rounding decides on which side they lie.

    Parameters
    ----------
    values : (n, m) array, memory map, zarr array or tensor
    threshold : float
    margin : float
        Largest distance that counts as near; similarities in float32 are within 1e-6.
    progress, cancel, executor, seed
        As in `neighbour_counts`.

    Returns
    -------
    (n,) int64
        The hard count of a row at this threshold is uncertain by at most so many.

    Raises
    ------
    NetgeomError
        A threshold or margin that is no finite number, a negative margin; entries that are not finite.

    Notes
    -----
    Cost O(n m).
    """
    threshold, margin = _number(threshold, "threshold"), _number(margin, "margin")
    if margin < 0:
        raise NetgeomError("margin is negative", expected="0 or more", got=f"{margin}")
    rows = Rows(values)
    counts = np.empty(len(rows), dtype=np.int64)
    for part, block in rows.blocks(Work(progress, cancel, len(rows), "near the threshold")):
        counts[part] = np.count_nonzero(np.abs(block - threshold) <= margin, axis=1)
    return counts


def _option(kind: str, threshold: float | None, power: float | None) -> float:
    """The one number that a kind takes; 0 for "soft", which takes none."""
    given = {"threshold": threshold, "power": power}
    wanted = {"soft": None, "hard": "threshold", "less_soft": "power"}[kind]
    for name, value in given.items():
        if (value is None) == (name == wanted):
            raise NetgeomError(
                f"{name} is missing" if name == wanted else f"{name} has no meaning here",
                expected=f"kind={kind!r} with {wanted or 'neither threshold nor power'}",
                got=f"{name}={value!r}",
            )
    if wanted is None:
        return 0.0
    option = _number(given[wanted], wanted)
    if wanted == "power" and option <= 0:
        raise NetgeomError("power is out of range", expected="above 0", got=f"{option}")
    return option


def _number(value: Any, what: str) -> float:
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not math.isfinite(value):
        raise NetgeomError(f"{what} is no finite number", expected="a real number", got=f"{value!r}")
    return float(value)
