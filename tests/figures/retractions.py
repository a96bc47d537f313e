"""Small order retractions for the tests of their figures."""

from __future__ import annotations

import numpy as np

from netgeom_widgets.kernels.order_retraction import (
    BoxImages,
    CubicalGrid,
    OrderRetraction,
    box_images,
    morse_decomposition,
    order_retraction,
)


def retraction_of(dynamics, lower, upper, subdivisions: int, **options) -> OrderRetraction:
    """The retraction of a map on a grid."""
    images = box_images(dynamics, CubicalGrid(lower, upper, subdivisions), **options)
    return order_retraction(morse_decomposition(images))


def leslie(points: np.ndarray) -> np.ndarray:
    """An overcompensatory Leslie model of two ages."""
    x, y = points.T
    return np.column_stack([(19.6 * x + 23.68 * y) * np.exp(-0.1 * (x + y)), 0.7 * x])


def leslie_retraction(subdivisions: int = 12) -> OrderRetraction:
    """Some nodes on two attractors; almost nothing leaves."""
    return retraction_of(leslie, [-0.001, -0.001], [90, 70], subdivisions)


def pitchfork(points: np.ndarray) -> np.ndarray:
    """Two attracting points and a saddle between them along the first coordinate; the others shrink."""
    return np.column_stack([points[:, 0] + 0.8 * (points[:, 0] - points[:, 0] ** 3), 0.4 * points[:, 1:]])


def pushed(points: np.ndarray) -> np.ndarray:
    """Everything is pushed out of the domain."""
    return points + 3.0


def crown(rule: str = "join", *, apart: bool = False) -> OrderRetraction:
    """Of 4 x 4 cells 4 and 1 lead to 5, which leads to 10 and 11; these four recur, so 5 has no least node above.

    Cell 15 leaves, 14 may leave; all others lead to 10. Nor is there a retraction, unless ``apart``: then 4 and 1 lead
    to 8 and 2 instead, which lead to 10 and 11 too.
    """
    leads = {4: (4, 5), 1: (1, 5), 5: (10, 11), 11: (11, 11), 15: None}
    if apart:
        leads |= {4: (4, 8), 1: (1, 2), 8: (10, 11), 2: (10, 11)}
    grid = CubicalGrid([0, 0], [4, 8], 4)
    first, last = np.zeros((16, 2), np.int32), np.full((16, 2), -1, np.int32)
    for cell in range(16):
        ends = leads.get(cell, (10, 10))
        if ends is not None:
            places = np.array(np.unravel_index(ends, (4, 4)))
            first[cell], last[cell] = places.min(axis=1), places.max(axis=1)
    empty = (last < first).any(axis=1)
    may_leave = empty | (np.arange(16) == 14)
    return order_retraction(morse_decomposition(BoxImages(grid, first, last, empty, may_leave, {})), rule=rule)
