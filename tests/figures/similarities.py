"""Similarity matrices for the tests of figures."""

from __future__ import annotations

import numpy as np


def cosines(n: int, m: int | None = None, seed: int = 0) -> np.ndarray:
    """(n, n) cosines of the angles between random directions in four dimensions; with m, (n, m) to as many others."""
    points = np.random.default_rng(seed).normal(size=(n + (m or 0), 4))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points[:n] @ points[n:].T if m else points @ points.T
