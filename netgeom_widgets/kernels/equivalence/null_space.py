"""The null space of the Jacobian of the outputs: directions in which parameters move without moving the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels.equivalence.bases import with_signs
from netgeom_widgets.kernels.equivalence.explanation import explained_dimensions
from netgeom_widgets.kernels.equivalence.jacobian_svd import as_rtol, count_above, is_dense, jacobian_svd, most_rows
from netgeom_widgets.kernels.equivalence.matrix_free import Jacobian, top_singular_vectors
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.null_directions import NullSpace
from netgeom_widgets.kernels.equivalence.problem import network_at, origin

_TOP = 16  # singular values that are computed where not all can be
_PROBED_ROWS = 1_000  # of a Jacobian too large to be factored: enough for an upper bound of the dimension
_AT_KINK = 1e-9  # |pre-activation| below this share of the layer's largest


def null_space(
    model: nn.Module,
    parameters: Any,
    inputs: Any,
    *,
    rtol: float = 1e-9,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> NullSpace:
    """Null space of the Jacobian of the outputs by the parameters: the tangent of the equivalence class.

    J (N C, P) holds the derivatives of every output of every sample. A direction with J v = 0 changes no output to
    first order; where the rank is the same all around, the class {theta : f_theta = f} is a smooth surface there whose
    dimension is that of the null space. At singular points the null space is larger than the class.

    Singular values come from QR factorisations and an SVD in float64, never from J J^T, which would turn 1e-9 into
    1e-18. They are those of J as it is: no column is rescaled, so parameters in very different units call for another
    rtol.

    Parameters
    ----------
    model : torch.nn.Module
    parameters : array (P,) or None
        The point; None: the model's own.
    inputs : array (N, ...)
    rtol : float
        Singular values up to this share of the largest count as zero.
    progress, cancel, executor, seed
        As everywhere; `executor` has no use here. `seed` starts the iterations of the large case.

    Returns
    -------
    NullSpace
        Exact to rounding with at most 5,000 parameters, whatever N is, and with more where N C is at most 5,000 and
        N C P at most 2e8. Beyond, `estimated` is set: the largest 16 singular values by Lanczos steps, bounds for the
        dimension (at least P - N C and what symmetries give; at most P less the rank on about 1,000 of the outputs),
        and `sample` draws null directions by iteration.

    Raises
    ------
    NetgeomError
        As `FlatNetwork`; parameters that do not fit, what is not finite there (parameters, outputs, derivatives), an
        rtol that is not between 0 and 1.
    TooLargeError
        The factors do not fit in memory.

    Notes
    -----
    Time O(N C P min(N C, P)): 20 s on one core for 3,183 parameters and 6,000 outputs, 6 s for 43,661 and 500. Memory:
    P^2 and a block of samples, or 3 N C P for P > N C. Whether a unit sits on its kink is seen in perceptrons only.
    """
    cancel, reports = as_cancel(cancel), as_progress(progress)
    rtol = as_rtol(rtol)
    network, theta = network_at(model, parameters, inputs)
    with torch.no_grad():
        if is_dense(network):
            reports.update(0, 1, "singular values")
            found = _exact(network, theta, rtol, cancel)
            reports.update(1)
            return found
        return _estimated(network, theta, rtol, reports, cancel, np.random.default_rng(seed))


def _exact(network: FlatNetwork, theta: Tensor, rtol: float, cancel: Cancel) -> NullSpace:
    factors = jacobian_svd(network, theta, halves=True, cancel=cancel)
    values, vectors = factors.singular_values.numpy(), factors.vectors.numpy()
    rank, p = factors.rank(rtol), network.n_parameters
    half = p - (0 if factors.half_values is None else count_above(factors.half_values, rtol))
    explained, notes = explained_dimensions(network, theta, vectors[:rank])
    explained["unexplained"] = p - rank - sum(explained.values())
    n_rows = network.n_samples * network.n_outputs
    if n_rows < p:
        notes.insert(0, f"At least {p - n_rows} dimensions are free for lack of samples: they have {n_rows} outputs.")
    elif half != p - rank:
        notes.insert(0, f"Half of the samples give dimension {half}: more samples may give fewer.")
    return NullSpace(
        dimension=p - rank,
        bounds=(p - rank, p - rank),
        rank=rank,
        singular_values=values,
        threshold=rtol * float(values[0]),
        gap=_gap(values, rank),
        half_dimension=half,
        explained=explained,
        row_space=vectors[:rank],
        estimated=False,
        n_samples=network.n_samples,
        notes=(_equivalence(network), *notes, *network.notes, *_kinks(network, theta)),
        settings={"rtol": rtol, "method": "factorisation", **origin(network)},
        _network=network,
        _theta=theta,
        _rows=with_signs(vectors[rank:]) if len(vectors) == p else None,
    )


def _estimated(
    network: FlatNetwork,
    theta: Tensor,
    rtol: float,
    progress: Progress,
    cancel: Cancel,
    rng: np.random.Generator,
) -> NullSpace:
    p, n_rows = network.n_parameters, network.n_samples * network.n_outputs
    values, vectors = top_singular_vectors(Jacobian(network, theta, cancel), _TOP, progress=progress, rng=rng)
    explained, notes = explained_dimensions(network, theta, vectors)
    few = max(1, min(_PROBED_ROWS, most_rows(p) // 2) // network.n_outputs)
    probed = jacobian_svd(network.on(slice(few)), theta, cancel=cancel).rank(rtol)
    bounds = (max(p - n_rows, sum(explained.values()), 0), p - max(probed, len(values)))
    notes.insert(0, f"With {p} parameters and {n_rows} outputs the dimension is not computed: bounds are given.")
    return NullSpace(
        dimension=None,
        bounds=bounds,
        rank=None,
        singular_values=values,
        threshold=rtol * float(values[0]) if len(values) else 0.0,
        gap=float("nan"),
        half_dimension=None,
        explained=explained,
        row_space=vectors,
        estimated=True,
        n_samples=network.n_samples,
        notes=(_equivalence(network), *notes, *network.notes, *_kinks(network, theta)),
        settings={"rtol": rtol, "method": "matrix-free", "n_probed": few, **origin(network)},
        _network=network,
        _theta=theta,
    )


def _gap(values: ndarray, rank: int) -> float:
    """Smallest kept over largest dropped value."""
    if not 0 < rank < len(values) or values[rank] == 0:
        return float("inf")
    return float(values[rank - 1] / values[rank])


def _equivalence(network: FlatNetwork) -> str:
    n = network.n_samples
    return f"Equivalence on {'this sample' if n == 1 else f'these {n} samples'}, to first order."


def _kinks(network: FlatNetwork, theta: Tensor) -> list[str]:
    """Whether some unit sits on its kink for some sample: there J is the derivative to one side."""
    if network.mlp is None:
        return []
    near = 0
    for layer, (z, _) in zip(
        network.mlp.layers, network.mlp.pre_activations(theta[None], network.features), strict=True
    ):
        if layer.activation.homogeneous and not layer.activation.linear:
            near += int((z.abs() <= _AT_KINK * z.abs().max()).sum())
    return [f"{near} pre-activations lie on a kink: there the Jacobian is one-sided."] if near else []
