"""How much of a null space known symmetries explain."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.kernels.equivalence.generators import KINDS, symmetry_generators
from netgeom_widgets.kernels.equivalence.network import FlatNetwork

_DEPENDENT = 1e-9  # length of what is left of unit generators up to which it is rounding
_ROWS_AT_ONCE = 256  # the SVD of all rows at once would take the cube of their number
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
    generators = symmetry_generators(network, theta)
    found, notes = dict.fromkeys(KINDS, 0), list(generators.notes)
    spanned = np.empty((0, network.n_parameters))
    for kind in KINDS:
        rows = generators.rows[[name == kind for name in generators.kinds]]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        outside = np.linalg.norm(rows @ row_space.T, axis=1) > _OUTSIDE
        if outside.any():
            notes.append(f"{int(outside.sum())} generators ({kind}) move the outputs here and are left out.")
        before, inside = len(spanned), rows[~outside]
        for at in range(0, len(inside), _ROWS_AT_ONCE):
            spanned = np.vstack([spanned, _added(inside[at : at + _ROWS_AT_ONCE], row_space, spanned)])
        found[kind] = len(spanned) - before
    return found, notes


def _added(rows: ndarray, row_space: ndarray, spanned: ndarray) -> ndarray:
    """Orthonormal rows of what is left of unit rows off the two spaces."""
    for _ in range(2):
        rows = rows - (rows @ row_space.T) @ row_space
        rows = rows - (rows @ spanned.T) @ spanned
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    return directions[values > _DEPENDENT]
