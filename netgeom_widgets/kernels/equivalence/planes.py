"""Points, directions and grids in parameter space, checked, and where points lie with respect to a plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._arrays import load_npy
from netgeom_widgets.kernels._inputs import as_array

DEPENDENT = 1e-10  # a row this short after projection, relative to before, adds no direction


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
        if length > DEPENDENT * before:
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


def as_basis(basis: Any, n_parameters: int) -> Float64[ndarray, "k P"]:
    """Rows of your own, or of an .npy file: linearly independent, otherwise as they are.

    Raises
    ------
    NetgeomError
        A file that is no number array, another shape, values that are not finite, dependent rows.
    """
    if isinstance(basis, str | Path):
        basis = load_npy(basis, "an array in numpy's .npy format")
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
