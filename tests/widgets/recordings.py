"""Small recordings for the tests of widgets that show one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import netgeom_widgets as ng
from netgeom_widgets.recording import Recording

#: Not 0..N-1: whatever takes a row for an id fails.
IDS = np.arange(40) * 3 + 5
STEPS = np.array([0, 1, 2, 4, 8, 16])
CLASSES = 3


def snapshots(seed: int = 0, n_snapshots: int = len(STEPS), n: int = len(IDS), n_features: int = 6) -> np.ndarray:
    """A drift that slows down, (T, N, D) float32."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(size=(n_snapshots, n, n_features)) / (1 + np.arange(n_snapshots))[:, None, None]
    return np.cumsum(moves, axis=0).astype(np.float32)


def record(path: Path, **changes: object) -> Recording:
    """A run with outputs, one layer, labels, thumbnails and two metrics; ``changes`` replace any of it."""
    outputs = snapshots(1, n_features=CLASSES) * 2
    given = {
        "steps": STEPS,
        "ids": IDS,
        "outputs": outputs,
        "layers": {"features": snapshots()},
        "labels": outputs[-1].argmax(axis=1),
        "inputs": np.random.default_rng(2).uniform(size=(len(IDS), 8, 8)).astype(np.float32),
        "metrics": {"loss": np.linspace(2, 1, len(STEPS)), "accuracy": np.linspace(0.3, 0.9, len(STEPS))},
    }
    return ng.record_arrays(path, **{**given, **changes})  # type: ignore[arg-type]
