"""Planes through parameter space: directions of a slice, and where points lie with respect to it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from torch import nn

from netgeom_widgets.kernels._inputs import as_choice, as_count
from netgeom_widgets.kernels.equivalence.planes import DEPENDENT, as_basis, as_point, as_rows, independent_rows

_EQUAL = 1e-6  # (w, -a) with |w| = |a|, a scaling, must not turn round with the last digit of either


def difference_basis(center: Any, elements: Any) -> Float64[ndarray, "r P"]:
    """Orthonormal directions from a centre to elements, in their order (GENNI, arXiv 2011.07407).

    Gram-Schmidt of elements[i] - center (by QR) with a positive diagonal: every element has a positive coordinate along
    the direction that it adds. Elements that add none are left out, and a warning says which.

    Parameters
    ----------
    center : (P,)
    elements : (q, P)

    Returns
    -------
    (r, P) float64, r <= q
        Orthonormal to 1e-12.

    Raises
    ------
    NetgeomError
        Shapes that do not fit, values that are not finite, no direction at all.

    Notes
    -----
    O(P q^2).
    """
    basis, dropped = independent_rows(as_rows(elements, "elements") - as_point(center, elements))
    if dropped:
        warnings.warn(
            f"Elements {', '.join(map(str, dropped))} lie in the span of the others: {len(basis)} directions remain.",
            stacklevel=2,
        )
    return basis


def pca_basis(points: Any, k: int, *, center: Any = None) -> Float64[ndarray, "k P"]:
    """The k directions of largest variance of parameter vectors, such as a training path (Li et al. 2018, section 7).

    Parameters
    ----------
    points : (n, P)
    k : int
    center : (P,), optional
        Differences are taken from it; by default from the mean.

    Returns
    -------
    (k, P) float64
        Orthonormal; signs such that the largest entry is positive.

    Raises
    ------
    NetgeomError
        Fewer than k directions, shapes that do not fit, values that are not finite.

    Notes
    -----
    O(P n^2) for n points fewer than P.
    """
    array = as_rows(points, "points")
    differences = array - (array.mean(0) if center is None else as_point(center, array))
    _, lengths, directions = np.linalg.svd(differences, full_matrices=False)
    rank = int((lengths > DEPENDENT * max(lengths[0], 1e-300)).sum())
    k = as_count(k, 1, rank, "k", f"at most {rank}: the points span no more directions")
    return with_signs(directions[:k])


def random_basis(
    model: nn.Module,
    k: int,
    *,
    normalise: str | None = "filter",
    parameters: Any = None,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "k P"]:
    """Random directions, scaled filter by filter as the parameters are (Li et al. 2018, section 4).

    Every row of a weight (an output unit's incoming weights, a filter) of the direction gets the norm of the same row
    of the parameters; vectors such as biases and scales get 0, as in that paper. With normalise=None: orthonormal.

    Parameters
    ----------
    model : torch.nn.Module
        Gives names, shapes and, by default, the parameters.
    k : int
    normalise : "filter" or None
    parameters : (P,), optional
    seed : int or numpy Generator

    Returns
    -------
    (k, P) float64
        Linearly independent; not orthonormal with "filter": a unit of a coordinate then is as far as the parameters are
        long.

    Raises
    ------
    NetgeomError
        More directions than parameters, an unknown option, parameters that do not fit.

    Notes
    -----
    O(P k^2).
    """
    named = [parameter.detach().cpu().double().numpy() for parameter in model.parameters()]
    theta = np.concatenate([entry.ravel() for entry in named]) if named else np.zeros(0)
    if parameters is not None:
        theta = as_point(parameters, theta[None])
    k = as_count(k, 1, theta.size, "k", "at most as many directions as parameters")
    rng = np.random.default_rng(seed)
    if normalise is None:
        return independent_rows(rng.standard_normal((k, theta.size)))[0]
    as_choice(normalise, ("filter",), "normalise")
    rows = np.zeros((k, theta.size))
    start = 0
    for entry in named:
        part = slice(start, start + entry.size)
        start = part.stop
        if entry.ndim < 2:
            continue
        drawn = rng.standard_normal((k, len(entry), entry[0].size))
        norms = np.linalg.norm(theta[part].reshape(len(entry), -1), axis=1)
        rows[:, part] = (drawn / np.linalg.norm(drawn, axis=2, keepdims=True) * norms[:, None]).reshape(k, -1)
    return as_basis(rows, theta.size)


def with_signs(rows: Float64[ndarray, "k P"]) -> Float64[ndarray, "k P"]:
    """Signs such that every row's largest entry is positive; of entries that differ by rounding only, the first."""
    sizes = np.abs(rows)
    largest = (sizes >= (1 - _EQUAL) * sizes.max(1, initial=0, keepdims=True)).argmax(1)
    return rows * np.where(np.take_along_axis(rows, largest[:, None], axis=1) < 0, -1.0, 1.0)
