"""Whether groups differ in a number: a permutation test, exact where few arrangements exist."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.execution import Cancel

_TIE = 1e-9  # of the total sum of squares: arrangements whose statistics differ by rounding count as equal
_AT_ONCE = 1 << 20  # entries of permuted groups held at a time


@dataclass(frozen=True)
class GroupTest:
    """Whether a quantity differs between groups.

    Attributes
    ----------
    f : float
        Variance between the groups over that within them (one-way analysis of variance); infinite where the groups have
        no variance within, NaN where there is nothing to compare.
    explained : float
        Share of the quantity's variance between the groups (eta squared), 0 to 1.
    p : float
        Share of arrangements of the runs over the groups, sizes kept, whose `f` is at least the one found. Drawn ones:
        (b + 1) / (m + 1) for b of m (Phipson and Smyth 2010). NaN where there is nothing to compare.
    exact : bool
        Whether all arrangements were looked at.
    arrangements : int
        How many were looked at.
    n_runs, n_groups : int
        Runs with a value, and groups that hold one.
    """

    f: float
    explained: float
    p: float
    exact: bool
    arrangements: int
    n_runs: int
    n_groups: int


def permutation_test(
    values: Float64[ndarray, " n"],
    groups: Int64[ndarray, " n"],
    permutations: int,
    rng: np.random.Generator,
    cancel: Cancel,
) -> GroupTest:
    """Compare groups by the sum of squares between them, which orders arrangements as F does.

    Parameters
    ----------
    values : (n,)
        Finite.
    groups : (n,)
    permutations : int
        Drawn where there are more arrangements than this; else all are looked at.
    rng : numpy Generator
    cancel : Cancel

    Returns
    -------
    GroupTest
    """
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    n, k = len(values), len(sizes)
    centred = values - values.mean() if n else values
    total = float((centred**2).sum())
    if k < 2 or total == 0 or n <= k:
        return GroupTest(float("nan"), float("nan"), float("nan"), False, 0, n, k)
    between = float(_between(centred, codes[None], sizes)[0])
    within = max(total - between, 0.0)
    f = (between / (k - 1)) / (within / (n - k)) if within > _TIE * total else float("inf")
    number = math.factorial(n) // math.prod(math.factorial(int(size)) for size in sizes)
    exact = number <= permutations + 1
    at_least, looked_at = 0, 0
    for arranged in _all(sizes) if exact else _drawn(codes, permutations, rng):
        cancel.checkpoint()
        at_least += int((_between(centred, arranged, sizes) >= between - _TIE * total).sum())
        looked_at += len(arranged)
    p = at_least / looked_at if exact else (at_least + 1) / (looked_at + 1)
    return GroupTest(f, between / total, p, exact, looked_at, n, k)


def _between(
    centred: Float64[ndarray, " n"], codes: Int64[ndarray, "m n"], sizes: Int64[ndarray, " k"]
) -> Float64[ndarray, " m"]:
    """Sum of squares between the groups of each arrangement."""
    sums = np.stack([(codes == group) @ centred for group in range(len(sizes))], axis=1)
    return (sums**2 / sizes).sum(1)


def _drawn(codes: Int64[ndarray, " n"], m: int, rng: np.random.Generator) -> Iterator[Int64[ndarray, "part n"]]:
    step = max(1, _AT_ONCE // len(codes))
    for start in range(0, m, step):
        rows = min(step, m - start)
        yield rng.permuted(np.broadcast_to(codes, (rows, len(codes))), axis=1)


def _all(sizes: Int64[ndarray, " k"]) -> Iterator[Int64[ndarray, "part n"]]:
    """Every arrangement of that many runs over groups of these sizes, once."""

    def extend(places: list[int], group: int, codes: list[int]) -> Iterator[list[int]]:
        if group == len(sizes) - 1:
            yield [group if i in set(places) else code for i, code in enumerate(codes)]
            return
        for chosen in combinations(places, int(sizes[group])):
            taken = set(chosen)
            filled = [group if i in taken else code for i, code in enumerate(codes)]
            yield from extend([i for i in places if i not in taken], group + 1, filled)

    n = int(sizes.sum())
    yield np.array(list(extend(list(range(n)), 0, [0] * n)))
