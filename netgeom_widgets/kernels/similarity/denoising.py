"""Self-denoising: what a trained network makes of noisy targets by averaging over similar samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._inputs import as_array
from netgeom_widgets.kernels.similarity.matrix import gram_of
from netgeom_widgets.kernels.similarity.pairs import Pairs
from netgeom_widgets.kernels.similarity.rows import Work

_SINGULAR = 1e-10  # of sum |K_ij|: below it a sum of K_ij is rounding
_ENTRIES_AT_ONCE = 1 << 21  # 16 MiB of float64


@dataclass(frozen=True, eq=False)
class Denoised:
    """Averages of the targets over similar samples, and what is left of their noise.

    With K_ij the inner products of the gradients of samples i and j, and S_i = sum_j K_ij. One output: (n,) arrays;
    d outputs: K_ij is d x d and so are the matrices below.

    Attributes
    ----------
    estimate : (n,) or (n, d) float64
        S_i^-1 sum_j K_ij y_j of the targets y. At a stationary point of the squared loss it equals the same average of
        the network's outputs.
    factor : (n,) float64
        Noise of independent targets with standard deviation sigma is left in the estimate with standard deviation
        factor * sigma: sqrt(sum_j K_ij^2) / |S_i|; for several outputs the root of the mean over them.
    variance : (n, d, d) float64
        sum_j A_ij A_ij^T with A_ij = K_ij^T S_i^-T, the matrix that the authors' program calls denoising factors. Its
        trace over d is the square of `factor`.
    covariance : (n, d, d) float64
        sum_j A_ij^T A_ij: the covariance of the noise left in the outputs' estimates, for sigma = 1.
    consistency : (n,) float64
        Output minus its own average over similar samples; for several outputs the length of this vector.
    defined : (n,) bool
        False where S_i vanishes or is singular (zero gradients, probabilities): all of the above are NaN there.
    stationarity : float
        max over i of |sum_j K_ij r_j| with the residuals r_j = output - target: 0 at a stationary point of the squared
        loss. Elsewhere the estimate is an average of the targets, and no statement about the network.
    gradient_share : float
        The same without a unit: the norm of the loss's gradient, sum_j J_j^T r_j, over the sum of the norms of its
        terms. 0 at a stationary point, 1 where all samples pull the same way. NaN when every residual is
        0. Rounding leaves 1e-8.
    """

    estimate: Float64[ndarray, "n ..."]
    factor: Float64[ndarray, " n"]
    variance: Float64[ndarray, "n d d"]
    covariance: Float64[ndarray, "n d d"]
    consistency: Float64[ndarray, " n"]
    defined: Bool[ndarray, " n"]
    stationarity: float
    gradient_share: float


def denoise(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    *,
    output: Any = None,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Denoised:
    """What a network makes of noisy targets by averaging over similar samples (Charpiat et al. 2019, arXiv 2102.05262).

    At a stationary point of the squared loss, sum_j J_j^T (output_j - target_j) = 0; multiplied by J_i this says that
    the averages of outputs and of targets with weights K_ij are the same. So independent noise of the targets is
    averaged away by the factor given here. ``stationarity`` says how far the network is from such a point; for another
    loss the identity does not hold.

    Parameters
    ----------
    model, inputs, output, parameters, dtype, progress, cancel, executor, seed
        As in `similarity_matrix`; ``output`` names the d outputs that ``targets`` are for.
    targets : (n, d), or (n,) for one output
        Real numbers: what the network was trained on.

    Returns
    -------
    Denoised
        One output gives the scalar form, several the matrix form.

    Raises
    ------
    NetgeomError
        Targets that do not fit, and as `similarity_matrix`.
    TooLargeError
        n x n x d x d numbers do not fit in memory.

    Notes
    -----
    Cost that of `cross_gram`, plus O(n^2 d^3).
    """
    pairs = Pairs(model, inputs, None, output, parameters, False, dtype, "none", seed, cancel)
    n, d = pairs.shape[0], pairs.gradients.n_outputs
    targets = _columns(targets, n, d, "targets")  # before the work
    gram = gram_of(pairs, progress)
    return denoise_from_gram(
        gram[:, :, 0, 0] if d == 1 else gram, targets, pairs.chosen(), progress=progress, cancel=cancel
    )


def denoise_from_gram(
    gram: Any,
    targets: Any,
    outputs: Any,
    *,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Denoised:
    """Self-denoising from inner products of gradients that are at hand (Charpiat et al. 2019, arXiv 2102.05262).

    Parameters
    ----------
    gram : (n, n) or (n, n, d, d) array, memory map, zarr array or tensor
        K: `similarity_matrix(..., kernel="inner").values` or `cross_gram(...)`; not normalised.
    targets, outputs : (n,) or (n, d)
        Real numbers: what the network was trained on, and what it gives.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    Denoised
        (n, n) gives the signed consistency of one output, (n, n, d, d) its length.

    Raises
    ------
    NetgeomError
        Shapes that do not fit; values that are not finite.

    Notes
    -----
    Cost O(n^2 d^3), in blocks of rows. Sums whose smallest singular value is below 1e-10 of sum_j |K_ij| are taken for
    singular.
    """
    k = gram if hasattr(gram, "shape") and hasattr(gram, "__getitem__") else as_array(gram, "gram")
    shape = tuple(int(size) for size in k.shape)
    n, plain = (shape[0] if shape else 0), len(shape) == 2
    if len(shape) not in (2, 4) or not n or shape[1] != n or (not plain and (shape[2] != shape[3] or not shape[2])):
        raise NetgeomError("gram has the wrong shape", expected="(n, n) or (n, n, d, d)", got=f"{shape}")
    d = 1 if plain else shape[2]
    y, z = (_columns(values, n, d, what) for values, what in ((targets, "targets"), (outputs, "outputs")))
    estimate, consistency = np.empty((n, d)), np.empty((n, d))
    variance, covariance = np.empty((n, d, d)), np.empty((n, d, d))
    defined, pull, own = np.empty(n, dtype=bool), np.empty((n, d)), np.empty((n, d, d))
    work = Work(progress, cancel, n, "denoising")
    for part, block in _blocks(k, n, d):
        work.checkpoint()
        inverse, defined[part] = _inverses(block)
        weights = inverse[:, None] @ block  # column convention: A_ij^T = S_i^-1 K_ij
        estimate[part] = np.einsum("ijab,jb->ia", weights, y)
        consistency[part] = z[part] - np.einsum("ijab,jb->ia", weights, z)
        variance[part] = np.einsum("ijba,ijbc->iac", weights, weights)
        covariance[part] = np.einsum("ijab,ijcb->iac", weights, weights)
        pull[part] = np.einsum("ijab,jb->ia", block, z - y)
        own[part] = block[np.arange(len(block)), np.arange(part.start, part.stop)]
        work.done(len(block))
    return Denoised(
        estimate=estimate[:, 0] if plain else estimate,
        factor=np.sqrt(covariance.trace(axis1=1, axis2=2) / d),
        variance=variance,
        covariance=covariance,
        consistency=consistency[:, 0] if plain else np.sqrt((consistency**2).sum(1)),
        defined=defined,
        stationarity=float(np.sqrt((pull**2).sum(1)).max()),
        gradient_share=_share(pull, own, z - y),
    )


def _blocks(k: Any, n: int, d: int) -> Iterator[tuple[slice, Float64[ndarray, "rows n d d"]]]:
    step = max(1, _ENTRIES_AT_ONCE // (n * d * d))
    for at in range(0, n, step):
        part = slice(at, min(at + step, n))
        block = as_array(k[part], "gram").astype(np.float64).reshape(-1, n, d, d)
        if not np.isfinite(block).all():
            raise NetgeomError("gram has NaN or infinite entries", expected="finite inner products")
        yield part, block


def _columns(values: Any, n: int, d: int, what: str) -> Float64[ndarray, "n d"]:
    array = as_array(values, what).astype(np.float64)
    fits = array.shape == (n, d) or (d == 1 and array.shape == (n,))
    if not fits or not np.isfinite(array).all():
        raise NetgeomError(
            f"The {what} do not fit",
            expected=f"finite numbers of shape ({n}, {d})",
            got=f"shape {array.shape}" if not fits else "NaN or infinite values",
        )
    return array.reshape(n, d)


def _inverses(block: Float64[ndarray, "rows n d d"]) -> tuple[Float64[ndarray, "rows d d"], Bool[ndarray, " rows"]]:
    """S_i^-1, NaN where S_i is singular."""
    sums, sizes = block.sum(1), np.sqrt((block**2).sum((2, 3))).sum(1)
    left, singular, right = np.linalg.svd(sums)
    defined = (singular[:, -1] > _SINGULAR * sizes) & (sizes > 0)
    with np.errstate(divide="ignore"):
        inverse = np.where(defined[:, None], 1 / np.where(singular > 0, singular, np.nan), np.nan)
    return right.transpose(0, 2, 1) @ (inverse[:, :, None] * left.transpose(0, 2, 1)), defined


def _share(pull: Float64[ndarray, "n d"], own: Float64[ndarray, "n d d"], residuals: Float64[ndarray, "n d"]) -> float:
    squared = float((residuals * pull).sum())  # |sum_j J_j^T r_j|^2
    terms = np.einsum("ia,iab,ib->i", residuals, own, residuals)
    total = float(np.sqrt(np.maximum(terms, 0.0)).sum())
    return float(np.sqrt(max(squared, 0.0)) / total) if total > 0 else float("nan")
