"""Planes of the Gauss-Newton approximation: directions that move the outputs most, and those that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_choice, as_count
from netgeom_widgets.kernels.equivalence.bases import with_signs
from netgeom_widgets.kernels.equivalence.jacobian_svd import as_rtol, is_dense, jacobian_svd
from netgeom_widgets.kernels.equivalence.matrix_free import Jacobian, top_singular_vectors
from netgeom_widgets.kernels.equivalence.null_space import null_space
from netgeom_widgets.kernels.equivalence.problem import network_at


def gauss_newton_basis(
    model: nn.Module,
    parameters: Any,
    inputs: Any,
    k: int,
    *,
    directions: str = "null",
    rtol: float = 1e-9,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "k P"]:
    """Orthonormal directions of a plane by how much the outputs feel them, to first order.

    Parameters
    ----------
    model : torch.nn.Module
    parameters : array (P,) or None
        The point; None: the model's own.
    inputs : array (N, ...)
    k : int
        How many.
    directions : {"null", "top"}
        "top": right singular vectors of the Jacobian of the outputs by descending singular value s; with squared loss
        they are eigenvectors of its Gauss-Newton matrix, to eigenvalues 2 s^2 / (N C), and at a member of the class of
        its Hessian. "null": directions that move no output, those of `NullSpace.directions`, which depend on the null
        space alone; where that is `estimated`, `NullSpace.sample` with `seed`.
    rtol : float
        As in `null_space`.
    progress, cancel, executor, seed
        As everywhere; `executor` has no use here.

    Returns
    -------
    (k, P) float64
        The largest entry of each row is positive.

    Raises
    ------
    NetgeomError
        As `null_space`; more directions than there are.

    Notes
    -----
    Cost as `null_space`; "top" is matrix-free where that is `estimated`: a few passes over the samples for each.
    """
    if as_choice(directions, ("null", "top"), "directions") == "null":
        space = null_space(model, parameters, inputs, rtol=rtol, progress=progress, cancel=cancel, seed=seed)
        return space.sample(k, seed, progress=progress, cancel=cancel) if space.estimated else space.directions(k)
    cancel, reports, rtol = as_cancel(cancel), as_progress(progress), as_rtol(rtol)
    network, theta = network_at(model, parameters, inputs)
    k = as_count(k, 1, min(network.n_parameters, network.n_samples * network.n_outputs), "The number of top directions")
    with torch.no_grad():
        if is_dense(network):
            factors = jacobian_svd(network, theta, cancel=cancel)
            found = factors.vectors[: min(k, factors.rank(rtol))].numpy()
        else:
            rng = np.random.default_rng(seed)
            found = top_singular_vectors(Jacobian(network, theta, cancel), k, progress=reports, rng=rng)[1]
    if len(found) < k:
        raise NetgeomError(
            "There are not so many directions that move the outputs",
            expected=f"at most {len(found)}",
            got=f"{k}",
            try_this='directions="null"',
        )
    return with_signs(found)
