"""Slices in closed form for the tests of figures of equivalence classes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


def loss_slice(values: np.ndarray, axes: tuple[np.ndarray, ...], variance: float = 0.5, zero: float = 0.49) -> Any:
    """What `loss_slice` gives, from values of R."""
    k = len(axes)
    return SimpleNamespace(
        loss=values * variance, relative_loss=values, axes=axes, center=np.zeros(k), basis=np.eye(k),
        variance=variance, zero_loss=zero, settings={},
    )  # fmt: skip


def hyperbola(m: int = 41, n: int = 31) -> Any:
    """R = (a w - 1)^2 for w > 0 and 1 + (a w)^2 for w < 0: the class of a relu(w x) is a w = 1, w > 0."""
    a, w = np.linspace(-2, 2, m), np.linspace(-1.5, 2.5, n)
    product = a[:, None] * w[None]
    return loss_slice(np.where(w > 0, (product - 1) ** 2, 1 + product**2), (a, w))


def sphere(n: int = 13, k: int = 3) -> Any:
    """R = (|c|^2 - 1)^2 on -1.5..1.5."""
    axes = (np.linspace(-1.5, 1.5, n),) * k
    square = sum(np.meshgrid(*(axis**2 for axis in axes), indexing="ij"))
    return loss_slice((square - 1) ** 2, axes)
