"""Whether a network treats inputs and their transformed copies alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_choice
from netgeom_widgets.kernels._model import as_inputs
from netgeom_widgets.kernels.similarity.gradients import Block, Gradients
from netgeom_widgets.kernels.similarity.inputs import as_network
from netgeom_widgets.kernels.similarity.matrix import check_kernel
from netgeom_widgets.kernels.similarity.normalisation import ADDITIVE, KERNELS, SCALING, of_blocks
from netgeom_widgets.kernels.similarity.outputs import as_output, rows_of
from netgeom_widgets.kernels.similarity.pairs import finished, numpy_dtype

_ROWS_AT_ONCE = 64  # all pairs of so many inputs are taken to get those on the diagonal


@dataclass(frozen=True, eq=False)
class Invariance:
    """Similarity of inputs with their transformed copies, beside similarity with other inputs.

    Attributes
    ----------
    values : (n,)
        k(x, T x).
    random : (n,)
        k(x, x') with another input x', drawn at random.
    partners : (n,) int64
        Which one: its number among the inputs, or among the others given.
    zero_gradient : (n,) bool
        Inputs with a zero gradient, or whose copy or partner has one: similarity 0 there by convention.
    settings : dict
    model_digest : str
    """

    values: Float[ndarray, " n"]
    random: Float[ndarray, " n"]
    partners: Int64[ndarray, " n"]
    zero_gradient: Bool[ndarray, " n"]
    settings: dict[str, Any] = field(default_factory=dict)
    model_digest: str = ""

    @property
    def share_above(self) -> float:
        """Share of the inputs that are more similar to their transformed copy than to the random other."""
        return float((self.values > self.random).mean())


def invariance(
    model: nn.Module,
    inputs: Any,
    transform: Callable[[Any], Any],
    *,
    others: Any = "random",
    kernel: str = "trace",
    output: Any = None,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Invariance:
    """Similarity k(x, T x) of every input with its transformed copy, against k(x, x') with another input.

    For a network that is invariant under a group k(x, T x) is 1 for every element of it (Charpiat et al. 2019).

    Parameters
    ----------
    model, inputs, kernel, output, parameters, dtype, progress, cancel, executor
        As in `similarity_matrix`.
    transform : callable
        Gets a copy of all inputs, an array or tensor as given, and returns as many of the same shape.
    others : "random" or (m, *input shape)
        Where the other inputs are drawn from: the inputs themselves, each taken once and never for itself, or these.
    seed : int or numpy Generator
        Of the draw, and of the samples that the computation is checked with.

    Returns
    -------
    Invariance

    Raises
    ------
    NetgeomError
        A transform that fails or returns another shape, a single input, and as `similarity_matrix`.

    Notes
    -----
    Cost that of the gradients of 3 n inputs, and of 128 n pairs.
    """
    as_choice(kernel, KERNELS, "kernel")
    function, cancel, reports = as_output(output), as_cancel(cancel), as_progress(progress)
    network = as_network(model, parameters, dtype)
    x = as_inputs(inputs, network.dtype)
    moved = as_inputs(_transformed(transform, inputs), network.dtype, "transformed inputs")
    rng = np.random.default_rng(seed)
    own = isinstance(others, str) and as_choice(others, ("random",), "others") == "random"
    pool = x if own else as_inputs(others, network.dtype, "others")
    for found, what in ((moved, "transform's result"), (pool[: len(x)], "others")):
        if found.shape[1:] != x.shape[1:] or (what.startswith("t") and len(found) != len(x)):
            raise NetgeomError(f"The {what} has another shape", expected=f"{(*x.shape,)}", got=f"{(*found.shape,)}")
    partners = _derangement(len(x), rng) if own else rng.integers(len(pool), size=len(x))
    targets = rows_of(function, len(x))
    pool_targets = targets if own else rows_of(function, len(pool), others=True)

    gradients = Gradients(network, x, function, targets, by_parameter=False, n_samples=3 * len(x), rng=rng)
    check_kernel(kernel, gradients.n_outputs)
    values, random = np.empty(len(x), numpy_dtype(network.dtype)), np.empty(len(x), numpy_dtype(network.dtype))
    zero = np.zeros(len(x), dtype=bool)
    reports.update(0, len(x), "invariance")

    def block(inputs: Tensor, targets: Tensor | None) -> Block:
        return gradients.block(inputs, targets, SCALING[kernel], cancel=cancel, first=at)

    for at in range(0, len(x), _ROWS_AT_ONCE):
        part = slice(at, min(at + _ROWS_AT_ONCE, len(x)))
        chosen = torch.from_numpy(partners[part])
        some = None if targets is None else targets[part]
        left, copy = block(x[part], some), block(moved[part], some)
        other = block(pool[chosen], None if pool_targets is None else pool_targets[chosen])
        values[part] = _paired(left, copy, kernel, gradients.n_outputs)
        random[part] = _paired(left, other, kernel, gradients.n_outputs)
        zero[part] = (left.scales.zero | copy.scales.zero | other.scales.zero).numpy()
        reports.update(part.stop)
    settings = {
        "kernel": kernel,
        "output": function.name,
        "parameters": list(network.parameters),
        "transform": getattr(transform, "__name__", type(transform).__name__),
        "others": "random" if own else "given",
        "seed": seed if isinstance(seed, int) else "generator",
    }
    return Invariance(values, random, partners, zero, settings, network.digest)


def _paired(left: Block, right: Block, kernel: str, d: int) -> ndarray:
    """Similarities of sample i of one block with sample i of the other."""
    products = left.traces(right) if kernel in ADDITIVE else of_blocks(left.blocks(right), kernel)
    return finished(products, kernel, left, d).diagonal().numpy()


def _transformed(transform: Callable[[Any], Any], inputs: Any) -> Any:
    given = inputs.detach().clone() if isinstance(inputs, Tensor) else np.array(inputs)
    try:
        return transform(given)
    except Exception as error:  # user code: whatever it raises, the answer is the same
        raise NetgeomError(
            f"The transform failed ({type(error).__name__}: {error})",
            expected="a function that maps a batch of inputs to as many of the same shape",
            got=f"an error for inputs of shape {tuple(given.shape)}",
        ) from error


def _derangement(n: int, rng: np.random.Generator) -> Int64[ndarray, " n"]:
    """Each of n numbers in the place of another one: the next on a random cycle."""
    if n < 2:
        raise NetgeomError("There is no other input to compare with", expected="at least 2 inputs, or others=", got="1")
    cycle = rng.permutation(n)
    partners = np.empty(n, dtype=np.int64)
    partners[cycle] = np.roll(cycle, -1)
    return partners
