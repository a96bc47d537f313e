"""How far two matrices of similarities agree: CKA, alignment, rank correlation, neighbours gained and lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels.similarity.ordering import Nearest, nearest
from netgeom_widgets.kernels.similarity.rows import Rows, Work, leaves_itself_out, same_shape

_EPS = float(np.finfo(np.float64).eps)

_Block = Float64[ndarray, "rows n"]
_Centring = Callable[[slice, _Block], _Block]


def cka(
    values_a: Any,
    values_b: Any,
    *,
    debiased: bool = False,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> float:
    """Centred kernel alignment of two matrices of the same samples (Cortes et al. 2012; Kornblith et al. 2019).

    <HKH, HLH> / (|HKH| |HLH|) with the centring matrix H = I - 11^T/n. Debiased: with the unbiased estimate of HSIC
    (Song et al. 2012) in all three places, which leaves the diagonal out; about 0 for unrelated matrices, where the
    biased one grows with dimension over n.

    Parameters
    ----------
    values_a, values_b : (n, n) array, memory map, zarr array or tensor
        Symmetric similarities, normalised or not; read twice, in blocks of rows.
    debiased : bool
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    float
        -1 to 1, and 0 to 1 for positive semidefinite matrices unless debiased; to 1e-10. NaN where centring leaves
        nothing of a matrix, as of a constant one.

    Raises
    ------
    NetgeomError
        Not square, different shapes, fewer than 4 samples when debiased; entries that are not finite.

    Notes
    -----
    Cost O(n^2), memory for two blocks of rows.
    """
    a, b = Rows(values_a, "values_a", square=True), Rows(values_b, "values_b", square=True)
    if debiased and len(a) < 4:
        raise NetgeomError("Too few samples for the unbiased estimate", expected="at least 4", got=f"{len(a)}")
    same_shape(a, b)
    centre = _centring_without_diagonal if debiased else _centring
    work = Work(progress, cancel, 3 * len(a), "CKA")
    return _cosine(a, b, centre(a, work), centre(b, work), work)


def kernel_alignment(
    values_a: Any,
    values_b: Any,
    *,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> float:
    """Cosine of two matrices as long vectors: <K, L> / (|K| |L|), not centred (Cristianini et al. 2001).

    Parameters
    ----------
    values_a, values_b : (n, m) array, memory map, zarr array or tensor
    progress, cancel, executor, seed
        As in `cka`.

    Returns
    -------
    float
        -1 to 1; to 1e-10. NaN where a matrix is 0. Near 1 for any two matrices of mostly positive entries: see `cka`.

    Raises
    ------
    NetgeomError
        Different shapes; entries that are not finite.

    Notes
    -----
    Cost O(n m), memory for two blocks of rows.
    """
    a, b = Rows(values_a, "values_a"), Rows(values_b, "values_b")
    same_shape(a, b)
    return _cosine(a, b, _as_it_is, _as_it_is, Work(progress, cancel, len(a), "alignment"))


def spearman_rows(
    values_a: Any,
    values_b: Any,
    *,
    exclude_self: bool | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, " n"]:
    """Spearman's rank correlation of each row with the same row of another matrix.

    1 where both rank the others alike from the point of view of that sample.

    Parameters
    ----------
    values_a, values_b : (n, m) array, memory map, zarr array or tensor
    exclude_self : bool, optional
        Leave entry (i, i) out, which is largest in both; None: when the matrices are square.
    progress, cancel, executor, seed
        As in `cka`.

    Returns
    -------
    (n,) float64
        -1 to 1, equal values sharing the mean of their ranks. NaN where a row is constant or has one entry.

    Raises
    ------
    NetgeomError
        Different shapes; entries that are not finite.

    Notes
    -----
    Cost O(n m log m).
    """
    a, b = Rows(values_a, "values_a"), Rows(values_b, "values_b")
    same_shape(a, b)
    alone = leaves_itself_out(a, exclude_self)
    found = np.empty(len(a))
    for part, block in a.blocks(Work(progress, cancel, len(a), "rank correlation")):
        x, y = (_ranks(rows, part.start if alone else None) for rows in (block, b[part]))
        norms = np.sqrt((x * x).sum(1) * (y * y).sum(1))
        found[part] = np.where(norms > 0, (x * y).sum(1) / np.where(norms > 0, norms, 1.0), np.nan)
    return np.clip(found, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class NeighbourhoodChanges:
    """The k most similar others of every sample in two matrices.

    Attributes
    ----------
    before, after : Nearest
        Their ids and similarities (n, k).
    kept : (n, k) bool
        For those before: whether they are among those after; the others are lost.
    gained : (n, k) bool
        For those after: whether they were not among those before.
    """

    before: Nearest
    after: Nearest
    kept: Bool[ndarray, "n k"]
    gained: Bool[ndarray, "n k"]

    @property
    def n_changed(self) -> Int64[ndarray, " n"]:
        """How many neighbours each sample lost, which is how many it gained."""
        return self.gained.sum(1)


def neighbour_changes(
    values_a: Any,
    values_b: Any,
    k: int,
    *,
    exclude_self: bool | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> NeighbourhoodChanges:
    """Which of its k most similar others each sample kept, lost and gained from one matrix to another.

    Parameters
    ----------
    values_a, values_b : (n, m) array, memory map, zarr array or tensor
        Before and after: two checkpoints, models, layers.
    k, exclude_self, progress, cancel, executor, seed
        As in `nearest`.

    Returns
    -------
    NeighbourhoodChanges

    Raises
    ------
    NetgeomError
        Different shapes, and as `nearest`.

    Notes
    -----
    Cost O(n m + n k log(n k)).
    """
    a, b = Rows(values_a, "values_a"), Rows(values_b, "values_b")
    same_shape(a, b)
    before, after = (
        nearest(values, k, exclude_self=exclude_self, progress=progress, cancel=cancel)
        for values in (values_a, values_b)
    )
    offsets = np.arange(len(a))[:, None] * a.n_columns  # the same column in another row is another number
    first, second = before.ids + offsets, after.ids + offsets
    return NeighbourhoodChanges(before, after, np.isin(first, second), ~np.isin(second, first))


def _cosine(a: Rows, b: Rows, centre_a: _Centring, centre_b: _Centring, work: Work) -> float:
    """<K, L> / (|K| |L|) of two centred matrices; NaN when rounding is all that is left of one."""
    inner = norm_a = norm_b = size_a = size_b = 0.0
    for part, block in a.blocks(work):
        other = b[part]
        size_a, size_b = max(size_a, float(np.abs(block).max())), max(size_b, float(np.abs(other).max()))
        x, y = centre_a(part, block), centre_b(part, other)
        inner += float(np.vdot(x, y))
        norm_a, norm_b = norm_a + float(np.vdot(x, x)), norm_b + float(np.vdot(y, y))
    rounding = 4 * _EPS * len(a)  # each of n x n entries by a few eps of the largest
    if norm_a <= (rounding * size_a) ** 2 or norm_b <= (rounding * size_b) ** 2:
        return float("nan")
    return float(np.clip(inner / np.sqrt(norm_a) / np.sqrt(norm_b), -1.0, 1.0))


def _as_it_is(part: slice, block: _Block) -> _Block:
    return block


def _sums(rows: Rows, work: Work, *, diagonal: bool) -> tuple[Float64[ndarray, " n"], Float64[ndarray, " n"]]:
    by_row, by_column = np.zeros(len(rows)), np.zeros(rows.n_columns)
    for part, block in rows.blocks(work):
        if not diagonal:
            _clear_diagonal(part, block)
        by_row[part] = block.sum(1)
        by_column += block.sum(0)
    return by_row, by_column


def _centring(rows: Rows, work: Work) -> _Centring:
    """Subtracts the means of rows and columns: HKH."""
    n = len(rows)
    by_row, by_column = _sums(rows, work, diagonal=True)
    mean = by_row.sum() / n**2

    def centred(part: slice, block: _Block) -> _Block:
        return block - by_row[part, None] / n - (by_column / n - mean)

    return centred


def _centring_without_diagonal(rows: Rows, work: Work) -> _Centring:
    """U-centring (Székely and Rizzo 2014): inner products of the results are n (n - 3) times the unbiased HSIC."""
    n = len(rows)
    by_row, by_column = _sums(rows, work, diagonal=False)
    mean = by_row.sum() / ((n - 1) * (n - 2))

    def centred(part: slice, block: _Block) -> _Block:
        moved = block - by_row[part, None] / (n - 2) - (by_column / (n - 2) - mean)
        _clear_diagonal(part, moved)
        return moved

    return centred


def _clear_diagonal(part: slice, block: _Block) -> None:
    block[np.arange(len(block)), np.arange(part.start, part.stop)] = 0.0


def _ranks(block: _Block, start: int | None) -> _Block:
    """Centred ranks of each row; with ``start`` the entry of the sample itself is left out (0 in the result)."""
    from scipy.stats import rankdata

    n_rows, n_columns = block.shape
    if start is None:
        return rankdata(block, axis=1) - (n_columns + 1) / 2
    own = np.arange(start, start + n_rows)
    block[np.arange(n_rows), own] = np.inf  # ranked last, so that the others have the ranks 1 to n - 1
    ranks = rankdata(block, axis=1) - n_columns / 2
    ranks[np.arange(n_rows), own] = 0.0
    return ranks
