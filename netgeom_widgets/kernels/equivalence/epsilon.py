"""Epsilon sets: the points of a slice whose loss is small enough."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.planes import as_axes


def epsilon_set(loss: Any, axes: Any, epsilon: float) -> Float64[ndarray, "M k"]:
    """Coordinates of the grid points whose loss is at most epsilon (GENNI, arXiv 2011.07407).

    The class itself meets a generic slice nowhere: with epsilon at or above the loss of the zero function, the set
    shows functions that have learnt nothing. `LossSlice.zero_loss` says where that begins.

    Parameters
    ----------
    loss : array (len(axes[0]), ..., len(axes[k-1]))
        J or R, as `loss_slice` gives them; NaN is not in the set.
    axes : k arrays
        Coordinates of the grid.
    epsilon : float
        In the units of `loss`; included.

    Returns
    -------
    (M, k) float64
        In C order of the grid; M may be 0.

    Raises
    ------
    NetgeomError
        Axes that do not fit the loss, an epsilon that is negative or not a number.

    Notes
    -----
    O(size of the grid).
    """
    values = as_array(loss, "loss")
    grid = as_axes(axes)
    if values.shape != tuple(axis.size for axis in grid):
        raise NetgeomError(
            "The axes do not fit the loss",
            expected=f"shape {tuple(axis.size for axis in grid)}, first axis first",
            got=f"shape {values.shape}",
        )
    if not isinstance(epsilon, int | float | np.number) or not epsilon >= 0:  # NaN too
        raise NetgeomError("epsilon is out of range", expected="a number of 0 or more", got=f"{epsilon!r}")
    places = np.flatnonzero(values.ravel() <= epsilon)
    require_memory(16 * places.size * len(grid), "The epsilon set", "a smaller epsilon or a coarser grid")
    return np.stack([axis[i] for axis, i in zip(grid, np.unravel_index(places, values.shape), strict=True)], axis=1)
