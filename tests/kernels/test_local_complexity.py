"""Local complexity against a plain loop, and what it promises about seeds and batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.regions import local_complexity
from tests.kernels import networks
from tests.reference import regions as twin

CASES = ["linear relu", "max pool after relu", "max pool overlapping, padded, ceil", "hardtanh", "conv1d"]


def directions(size: int, n: int, seed: int) -> np.ndarray:
    frame, triangle = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, n)))
    return (frame * np.sign(np.diag(triangle))).T


@pytest.mark.parametrize("name", CASES)
def test_equals_a_plain_loop(name):
    constructor, shape = networks.SEQUENTIAL[name]
    torch.manual_seed(1)
    model = networks.warmed(constructor())
    size = int(np.prod(shape))
    points = np.random.default_rng(0).normal(size=(12, *shape))
    n = min(8, 2 * size)
    found = local_complexity(model, points, 0.4, n, seed=3)
    expected = twin.local_complexity(twin.from_torch(model, shape), points, 0.4, directions(size, n // 2, 3))
    assert found.tolist() == expected and found.dtype == np.int64 and found.max() > found.min()


def test_maxima_of_pairs_and_skips():
    torch.manual_seed(1)
    model = networks.Pairs()
    points = np.random.default_rng(0).normal(size=(9, 2))
    expected = twin.local_complexity(model.program(), points, 0.5, directions(2, 2, 0))
    assert local_complexity(model, torch.as_tensor(points), 0.5, 4).tolist() == expected


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 2))


def test_a_number_does_not_depend_on_the_other_points_or_on_the_batch(monkeypatch):
    import sys

    points = np.random.default_rng(0).normal(size=(30, 5))
    whole = local_complexity(net(), points, 0.3, 10)
    assert np.array_equal(whole[7:9], local_complexity(net(), points[7:9], 0.3, 10))
    monkeypatch.setattr(sys.modules[local_complexity.__module__], "_NUMBERS_AT_ONCE", 1)
    seen: list[float] = []
    progress = Progress(lambda p: seen.append(p.fraction))
    assert np.array_equal(whole, local_complexity(net(), points, 0.3, 10, progress=progress))
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) >= 30


def test_it_grows_with_the_radius_and_vanishes_without_hinges():
    points = np.random.default_rng(0).normal(size=(40, 5))
    small, large = (local_complexity(net(), points, radius, 10) for radius in (1e-7, 100.0))
    assert small.sum() == 0 and large.min() > 35
    assert local_complexity(nn.Linear(5, 2), points, 1.0, 4).tolist() == [0] * 40


BAD = {
    "odd n": ({"n": 3}, "even"),
    "n beyond the dimension": ({"n": 12}, "from 2 to 10"),
    "no radius": ({"radius": 0.0}, "radius"),
    "infinite radius": ({"radius": np.inf}, "radius"),
    "no points": ({"points": np.empty((0, 5))}, "no points"),
    "one point without a batch": ({"points": np.zeros(5)}, "no points"),
    "points that are not finite": ({"points": np.full((2, 5), np.nan)}, "finite"),
    "another shape": ({"points": np.zeros((2, 4))}, "shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused(name):
    changed, message = BAD[name]
    with pytest.raises(NetgeomError, match=message):
        local_complexity(net(), **({"points": np.zeros((2, 5)), "radius": 0.1, "n": 4} | changed))


def test_unsupported_modules_and_cancel():
    with pytest.raises(UnsupportedModuleError, match="1"):
        local_complexity(nn.Sequential(nn.Linear(5, 4), nn.GELU()), np.zeros((2, 5)), 0.1, 4)
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        local_complexity(net(), np.zeros((2, 5)), 0.1, 4, cancel=cancel)
