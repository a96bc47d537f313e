"""similarity_matrix and cross_gram: all pairs of inputs, a tile of pairs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_progress
from netgeom_widgets.kernels.similarity.normalisation import ADDITIVE, KERNELS, SCALING, of_blocks
from netgeom_widgets.kernels.similarity.pairs import OnRows, Pairs, numpy_dtype
from netgeom_widgets.kernels.similarity.result import Similarity


def similarity_matrix(
    model: nn.Module,
    inputs: Any,
    others: Any = None,
    *,
    kernel: str = "trace",
    output: Any = None,
    parameters: Sequence[str] | None = None,
    by_parameter: bool = False,
    dtype: torch.dtype | None = None,
    on_rows: OnRows | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Similarity:
    """Similarity of inputs from the network's perspective: of the gradients of its outputs in its parameters.

    Charpiat, Girard, Felardos and Tarabalka, "Input Similarity from the Neural Network Perspective" (NeurIPS 2019,
    arXiv 2102.05262). With J_x = d f(x) / d theta (d x p), K(x, x') = J_x J_x'^T and, with symmetric roots,
    K_C = K(x, x)^-1/2 K(x, x') K(x', x')^-1/2:

    - "trace": tr(K_C) / d; the correlation of the gradients for one output
    - "frobenius": |K_C|_F / sqrt(d); "nuclear": sum of the singular values / d, the maximum over orthogonal maps of the
      outputs; "rotation": the maximum over rotations, d = 2
    - "flat": cosine of the flattened J_x
    - "inner": k_I = g . g'; "relative": k_N, values[i, j] = g_i . g_j / |g_i|^2: how far f(x_j) moves when a gradient
      step moves f(x_i) by 1; "cosine": k_C. These need one output: name it with `output` when there are more.

    Parameters
    ----------
    model : torch.nn.Module
        Takes one tensor (batch first) and returns one; more axes of the result are flattened to C outputs. It is copied
        and evaluated in eval mode, never touched.
    inputs : (n, *input shape)
        Whole numbers are taken as tokens where the model takes them.
    others : (m, *input shape), optional
        Compare with these instead of with the inputs themselves.
    kernel : str
        See above.
    output : None, int, callable, or Output
        The d outputs that count: None for all C, the number of one, a differentiable function of the outputs (n, C)
        that gives (n,) or (n, d) row by row, or one of `probabilities`, `margin`, `loss_gradient`.
    parameters : list of str, optional
        Dotted names of those that count; None: all that require gradients.
    by_parameter : bool
        Also give the contribution of each parameter; for the kernels that are sums over parameters.
    dtype : torch.float32 or torch.float64, optional
        None: the model's own. Values in float32 are within 1e-6 for well-conditioned K(x, x).
    on_rows : callable, optional
        Called as ``on_rows(start, stop, rows (stop - start, m))`` whenever rows are finished.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor
        Accepted as by every long function and not used: matrix products already use torch's threads.
    seed : int or numpy Generator
        Of the four samples and cotangents that the computation is checked with.

    Returns
    -------
    Similarity
        |values| <= 1 for the normalised kernels. Zero gradients give 0, with a flag, and never NaN. In float64 within
        1e-9 of the definition.

    Raises
    ------
    NetgeomError
        An unknown kernel, output or parameter; inputs that are not finite or the model does not take; a model whose
        outputs for a sample depend on the rest of the batch, or that routes samples to experts of which the check has
        met one; gradients that are not finite.
    TooLargeError
        The matrix does not fit in memory.

    Notes
    -----
    Gradients are kept in factors (inputs and cotangents of layers), never as an n x p matrix where that is larger. With
    layers of a inputs and b outputs met once the cost is O(n m sum(a + d b)) and d backward passes; weights met at T
    positions cost the cheaper of O(n m d a b) and O(n m T^2 (a + d b)). Raw parameters cost O(n m d p), n p d numbers.
    Every call compares its products for 4 samples with autograd; parameters that disagree are differentiated whole.
    """
    if kernel not in KERNELS:
        raise NetgeomError("The kernel is not known", expected=", ".join(KERNELS), got=f"{kernel!r}")
    if by_parameter and kernel not in ADDITIVE:
        raise NetgeomError(
            f"The {kernel} kernel is no sum over parameters",
            expected=f"one of {', '.join(ADDITIVE)} with by_parameter=True",
            got=f"{kernel!r}",
        )
    pairs = Pairs(model, inputs, others, output, parameters, by_parameter, dtype, SCALING[kernel], seed, cancel)
    d = pairs.gradients.n_outputs
    check_kernel(kernel, d)
    kept = len(pairs.gradients.method) if by_parameter else 0
    pairs.require(1 + kept, "The similarity matrix")
    values = np.empty(pairs.shape, numpy_dtype(pairs.dtype))
    parts = {name: np.empty_like(values) for name in pairs.gradients.method} if by_parameter else {}
    for rows, columns, left, right in pairs.tiles(as_progress(progress), on_rows, values):
        if by_parameter:
            tiles = left.traces_by_parameter(right, pairs.before_each)
            for name, part in parts.items():
                found = tiles.get(name, torch.zeros(len(left), len(right), dtype=pairs.dtype))
                pairs.put(part, rows, columns, found, kernel, left, right)
            tile = torch.stack(list(tiles.values())).sum(0)
        elif kernel in ADDITIVE:
            tile = left.traces(right, pairs.before_each)
        else:
            tile = of_blocks(left.blocks(right, pairs.before_each), kernel)
        pairs.put(values, rows, columns, tile, kernel, left, right)
    return pairs.result(values, parts, kernel)


def cross_gram(
    model: nn.Module,
    inputs: Any,
    others: Any = None,
    *,
    output: Any = None,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float[ndarray, "n m d d"]:
    """Inner products of gradients, K(x, x') = J_x J_x'^T, for all pairs: the empirical neural tangent kernel.

    Parameters
    ----------
    model, inputs, others, output, parameters, dtype, progress, cancel, executor, seed
        As in `similarity_matrix`.

    Returns
    -------
    (n, m, d, d)
        Entry [i, j, c, e] is d f_c(x_i)/d theta . d f_e(x_j')/d theta. In float64 within 1e-9.

    Raises
    ------
    NetgeomError, TooLargeError
        As `similarity_matrix`.

    Notes
    -----
    Cost as there, with d^2 in place of d.
    """
    return gram_of(Pairs(model, inputs, others, output, parameters, False, dtype, "none", seed, cancel), progress)


def gram_of(pairs: Pairs, progress: Progress | bool | None) -> Float[ndarray, "n m d d"]:
    """The blocks of all pairs, of gradients that are not scaled."""
    d = pairs.gradients.n_outputs
    pairs.require(d * d, "The blocks of all pairs")
    values = np.empty((*pairs.shape, d, d), numpy_dtype(pairs.dtype))
    for rows, columns, left, right in pairs.tiles(as_progress(progress), None, values):
        tile = left.blocks(right, pairs.before_each).numpy()
        values[rows, columns] = tile
        if pairs.symmetric and rows != columns:
            values[columns, rows] = tile.transpose(1, 0, 3, 2)
    return values


def check_kernel(kernel: str, d: int) -> None:
    """Refuse kernels of one or two outputs where there are more."""
    if kernel in ("inner", "relative", "cosine") and d > 1:
        raise NetgeomError(
            f"The {kernel} kernel compares one output",
            expected="output=<its number>, margin() or a function that gives one number per sample",
            got=f"{d} outputs",
            try_this="output=0, or kernel='trace', which takes them all",
        )
    if kernel == "rotation" and d != 2:
        raise NetgeomError("The rotation kernel is for two outputs", expected="2 outputs", got=f"{d}")
