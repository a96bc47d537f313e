"""A map of the plane for the tests of order retraction plots."""

from __future__ import annotations

import numpy as np

SQUARE = ([-2.0, -2.0], [2.0, 2.0])


def bistable(x: np.ndarray) -> np.ndarray:
    """Attracting points at x = -1 and 1, a saddle between them."""
    return np.stack([1.6 * x[:, 0] - 0.6 * x[:, 0] ** 3, 0.4 * x[:, 1]], axis=1)
