"""Planes through parameter space: directions of a slice, and where points lie with respect to it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array, as_choice, as_count

_DEPENDENT = 1e-10  # a row this short after projection, relative to before, adds no direction


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


def independent_rows(rows: Float64[ndarray, "q P"]) -> tuple[Float64[ndarray, "r P"], list[int]]:
    """Gram-Schmidt with a positive diagonal, and the rows that add no direction.

    Raises
    ------
    NetgeomError
        None does.
    """
    kept: list[ndarray] = []
    dropped: list[int] = []
    for i, row in enumerate(rows):
        rest = row.copy()
        for _ in range(2):  # once is not enough: what is projected off comes back by rounding (Kahan, Parlett)
            for direction in kept:
                rest -= (direction @ rest) * direction
        length, before = np.linalg.norm(rest), np.linalg.norm(row)
        if length > _DEPENDENT * before:
            kept.append(rest / length)
        else:
            dropped.append(i)
    if not kept:
        raise NetgeomError(
            "There is no direction to slice along",
            expected="at least one point that differs from the centre",
            got=f"{len(rows)} differences of length 0",
        )
    return np.stack(kept), dropped


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
    rank = int((lengths > _DEPENDENT * max(lengths[0], 1e-300)).sum())
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


def as_basis(basis: Any, n_parameters: int) -> Float64[ndarray, "k P"]:
    """Rows of your own, or of an .npy file: linearly independent, otherwise as they are.

    Raises
    ------
    NetgeomError
        A file that is no number array, another shape, values that are not finite, dependent rows.
    """
    if isinstance(basis, str | Path):
        try:
            basis = np.load(basis, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NetgeomError(
                f"{basis} cannot be read", expected="an array in numpy's .npy format", got=f"{error}"
            ) from error
    rows = np.atleast_2d(as_array(basis, "basis").astype(np.float64))
    if rows.ndim != 2 or rows.shape[1] != n_parameters or not len(rows):
        raise NetgeomError(
            "The basis does not fit the parameters",
            expected=f"(k, {n_parameters}): a row for each direction",
            got=f"shape {rows.shape}",
        )
    if not np.isfinite(rows).all():
        raise NetgeomError("The basis is not finite", expected="finite numbers", got="NaN or infinity")
    lengths = np.linalg.norm(rows, axis=1)
    dependent = [*np.flatnonzero(lengths == 0)] or independent_rows(rows / lengths[:, None])[1]
    if dependent:
        raise NetgeomError(
            "The rows of the basis are linearly dependent",
            expected=f"{len(rows)} independent directions",
            got=f"row {', '.join(map(str, dependent))} adds none",
        )
    return rows


def coordinates(points: Any, center: Any, basis: Any) -> tuple[Float64[ndarray, "n k"], Float64[ndarray, " n"]]:
    """Where points lie in a slice, and how far from it: the nearest point center + c @ basis, and the distance to it.

    Parameters
    ----------
    points : (n, P)
    center : (P,)
    basis : (k, P)
        Independent rows, orthonormal or not.

    Returns
    -------
    coordinates : (n, k) float64
    distance : (n,) float64
        Euclidean, in parameter space. The loss drawn at the coordinates is the point's own only where this is 0.

    Raises
    ------
    NetgeomError
        Shapes that do not fit, values that are not finite.

    Notes
    -----
    O(n k P).
    """
    array = as_rows(points, "points")
    rows = as_basis(basis, array.shape[1])
    differences = array - as_point(center, array)
    found = np.linalg.lstsq(rows.T, differences.T, rcond=None)[0].T
    return found, np.linalg.norm(differences - found @ rows, axis=1)


def with_signs(rows: Float64[ndarray, "k P"]) -> Float64[ndarray, "k P"]:
    """Signs such that every row's largest entry is positive."""
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)
    return rows * np.where(largest < 0, -1.0, 1.0)


def as_rows(points: Any, what: str) -> Float64[ndarray, "n P"]:
    """Parameter vectors as rows.

    Raises
    ------
    NetgeomError
        No rows, values that are not finite.
    """
    array = np.atleast_2d(as_array(points, what).astype(np.float64))
    if array.ndim != 2 or not array.size:
        raise NetgeomError(f"The {what} are no rows", expected="(n, P)", got=f"shape {array.shape}")
    if not np.isfinite(array).all():
        raise NetgeomError(f"Some {what} are not finite", expected="finite numbers", got="NaN or infinity")
    return array


def as_point(center: Any, points: Any) -> Float64[ndarray, " P"]:
    """A centre that fits points (n, P).

    Raises
    ------
    NetgeomError
        Another shape, values that are not finite.
    """
    array = as_array(center, "centre").astype(np.float64)
    wanted = np.atleast_2d(as_array(points, "points")).shape[-1]
    if array.shape != (wanted,) or not np.isfinite(array).all():
        raise NetgeomError(
            "The centre does not fit", expected=f"({wanted},), finite", got=f"shape {array.shape}, or not finite"
        )
    return array


def as_axes(axes: Any) -> list[Float64[ndarray, " m"]]:
    """Coordinates along every direction of a slice, copied.

    Raises
    ------
    NetgeomError
        None at all, one that is empty, not 1-D, not finite.
    """
    try:
        given = list(axes)
    except TypeError as error:
        raise NetgeomError("The axes are not understood", expected="a list of arrays", got=f"{axes!r}") from error
    found = [as_array(axis, "axes").astype(np.float64) for axis in given]
    for i, axis in enumerate(found):
        if axis.ndim != 1 or not axis.size or not np.isfinite(axis).all():
            raise NetgeomError(
                f"Axis {i} is not understood",
                expected="coordinates (m,), m >= 1, finite",
                got=f"shape {axis.shape}" if axis.ndim != 1 or not axis.size else "NaN or infinity",
                try_this="axes=[numpy.linspace(-1, 1, 51)] * k" if axis.ndim == 0 else "",
            )
    if not found:
        raise NetgeomError("The axes are empty", expected="one array for each direction", got="none")
    return found
