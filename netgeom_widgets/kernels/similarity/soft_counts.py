"""Soft neighbour counts without the matrix: one sum of gradients, compared with every sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels._model import as_inputs
from netgeom_widgets.kernels.similarity.gradients import Gradients
from netgeom_widgets.kernels.similarity.inputs import Network, as_network
from netgeom_widgets.kernels.similarity.layer_path import evaluated
from netgeom_widgets.kernels.similarity.outputs import Output, as_output, rows_of

_NUMBERS_AT_ONCE = 1 << 25  # activations and cotangents of one pass: 128 MiB in float32


def soft_neighbour_counts(
    model: nn.Module,
    inputs: Any,
    *,
    output: Any = None,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, " n"]:
    """Soft neighbour count of every sample, without the similarities of pairs (Charpiat et al. 2019).

    With a_j = J_j^T K(x_j, x_j)^-1/2 (p x d) the row sum of the trace kernel is N_S(i) = tr(a_i^T sum_j a_j) / d, and
    for one output the sum of correlations. The sum of all a_j is one p x d matrix, by d reverse passes; its product
    with J_i is a directional derivative, by differentiating a reverse pass d times. (The authors' program has two
    definitions under one name for several outputs; this is the row sum of `similarity_matrix`.)

    Parameters
    ----------
    model, inputs, output, parameters, dtype, progress, cancel, executor, seed
        As in `similarity_matrix`.

    Returns
    -------
    (n,) float64
        Each sample counted itself. A zero gradient gives 0. In float64 within 1e-9 of the row sums; float32 is within
        1e-4 for counts of a few hundred.

    Raises
    ------
    NetgeomError
        As `similarity_matrix`; an operation that torch can differentiate only once (fused attention).
    TooLargeError
        d numbers for each parameter do not fit in memory.

    Notes
    -----
    Cost O(n d) passes and the norms of the gradients, in chunks: no n x n array, no n x p array. Few samples are faster
    by the matrix: up to 400 for a multi-layer perceptron of 270,000 parameters, to 1,000 or 2,000 for a convolutional
    network of as many.
    """
    chosen, cancel, reports = as_output(output), as_cancel(cancel), as_progress(progress)
    network = as_network(model, parameters, dtype)
    x = as_inputs(inputs, network.dtype)
    targets = rows_of(chosen, len(x))
    rng = np.random.default_rng(seed)
    gradients = Gradients(network, x, chosen, targets, by_parameter=False, n_samples=len(x), rng=rng)
    x = x.to(network.dtype) if gradients.converts else x
    size = sum(parameter.numel() for parameter in network.parameters.values())
    itemsize = torch.finfo(network.dtype).bits // 8
    require_memory(
        2 * gradients.n_outputs * size * itemsize, "The sum of gradients", "parameters=[...] or output=<one>"
    )

    step = gradients.rows_at_once
    parts = [slice(at, min(at + step, len(x))) for at in range(0, len(x), step)]
    reports.update(0, 2 * len(x), "gradients")
    roots = x.new_empty((len(x), gradients.n_outputs, gradients.n_outputs), dtype=network.dtype)
    total = [torch.zeros_like(p) for p in network.parameters.values() for _ in range(gradients.n_outputs)]
    for part in parts:
        some = None if targets is None else targets[part]
        block = gradients.block(x[part], some, "root", cancel=cancel, first=part.start)
        assert block.scales.factors is not None  # noqa: S101  # "root" gives them
        roots[part] = block.scales.factors.to(network.dtype)
        del block  # its factors would stay beside those of the next chunk
        _add_gradients(total, network, chosen, x[part], some, roots[part])
        reports.update(part.stop)

    counts = np.empty(len(x))
    tangents = [total[c :: gradients.n_outputs] for c in range(gradients.n_outputs)]
    for part in parts:
        cancel.checkpoint()
        some = None if targets is None else targets[part]
        derivatives = _directional(network, chosen, x[part], some, tangents)
        counts[part] = (roots[part] * derivatives).double().sum((1, 2)).numpy() / gradients.n_outputs
        reports.update(len(x) + part.stop, text="soft counts")
    return counts


def _add_gradients(
    total: list[Tensor], network: Network, output: Output, x: Tensor, targets: Tensor | None, roots: Tensor
) -> None:
    """Add sum_j J_j^T K_jj^-1/2: entry [parameter * d + c] belongs to column c of the root."""
    with torch.enable_grad():
        found = output(evaluated(network, x), targets)
        d = found.shape[1]
        for c in range(d if found.requires_grad else 0):
            columns = torch.autograd.grad(
                found, list(network.parameters.values()), roots[:, :, c], retain_graph=c + 1 < d, allow_unused=True
            )
            for number, column in enumerate(columns):
                if column is not None:
                    total[number * d + c] += column


def _directional(
    network: Network, output: Output, x: Tensor, targets: Tensor | None, tangents: list[list[Tensor]]
) -> Tensor:
    """[i, c, e]: derivative of output e at sample i along tangent c, as the gradient in u of (J^T u) . tangent.

    Forward mode would be a little cheaper, but loading it takes torch seconds and a deprecated part of its own.
    """
    with torch.enable_grad():
        found = output(evaluated(network, x), targets)
        u = torch.ones_like(found, requires_grad=True)
        columns: Sequence[Tensor | None] = [None] * len(network.parameters)
        if found.requires_grad:
            columns = torch.autograd.grad(
                found, list(network.parameters.values()), u, create_graph=True, allow_unused=True
            )
        return torch.stack([_derivative(columns, tangent, u) for tangent in tangents], 1)


def _derivative(columns: Sequence[Tensor | None], tangent: list[Tensor], u: Tensor) -> Tensor:
    pairs = [(c, s) for c, s in zip(columns, tangent, strict=True) if c is not None and c.requires_grad]
    if not pairs:
        return torch.zeros_like(u)
    try:
        product = torch.stack([(c * s).sum() for c, s in pairs]).sum()
        return torch.autograd.grad(product, u, retain_graph=True)[0]
    except RuntimeError as error:
        raise NetgeomError(
            "An operation of the model can be differentiated only once",
            expected="operations whose gradient torch can differentiate again",
            got=str(error).strip().splitlines()[0][:200],
            try_this="neighbour_counts(similarity_matrix(...).values)",
        ) from error
