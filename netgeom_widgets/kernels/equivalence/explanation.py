"""How much of a null space known symmetries explain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.kernels.equivalence.generators import KINDS, symmetry_generators
from netgeom_widgets.kernels.equivalence.network import FlatNetwork

_DEPENDENT = 1e-9  # of unit generators: singular values up to this share of the largest add no direction
_MOST_WORK = 1e11  # multiplications of their orthogonalisation: half a minute
_OUTSIDE = 1e-6  # part of a unit generator in the row space above which it is no null direction


def explained_dimensions(
    network: FlatNetwork, theta: Tensor, row_space: Float64[ndarray, "r P"]
) -> tuple[dict[str, int], list[str]]:
    """Dimensions of the null space that the generators of each kind of symmetry add to those of earlier kinds.

    Parameters
    ----------
    row_space : (r, P)
        Orthonormal rows; what generators have in it is taken out.

    Returns
    -------
    dict of str to int
        By kind, in the order of `KINDS`.
    list of str
        Notes.
    """
    found = dict.fromkeys(KINDS, 0)
    try:
        generators = symmetry_generators(network, theta)
    except TooLargeError as error:
        return found, [f"Known symmetries are not counted: {error.what}."]
    if len(generators) ** 2 * network.n_parameters > _MOST_WORK:
        return found, [f"Known symmetries are not counted: {len(generators)} generators are too many."]
    notes, spanned = list(generators.notes), np.empty((0, network.n_parameters))
    for kind in KINDS:
        rows = generators.rows[[name == kind for name in generators.kinds]]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        outside = np.linalg.norm(rows @ row_space.T, axis=1) > _OUTSIDE
        if outside.any():
            notes.append(f"{int(outside.sum())} generators ({kind}) move the outputs here and are left out.")
        new = _added(rows[~outside], row_space, spanned)
        found[kind] = len(new)
        spanned = np.vstack([spanned, new])
    return found, notes


def _added(rows: ndarray, row_space: ndarray, spanned: ndarray) -> ndarray:
    """Orthonormal rows of what is left of unit rows off the two spaces."""
    if not len(rows):
        return rows
    for _ in range(2):
        rows = rows - (rows @ row_space.T) @ row_space
        rows = rows - (rows @ spanned.T) @ spanned
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    return directions[values > _DEPENDENT * max(1.0, values[0])]
