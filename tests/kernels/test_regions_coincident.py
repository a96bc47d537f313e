"""Hinges that coincide by the hundred, as those of a convolution on constant images: cut once, nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice, arrangement, partition
from netgeom_widgets.kernels.regions.coincident import leaders


def constant_images() -> tuple[nn.Module, Slice]:
    """A small convolutional net on a slice of images that are constant in every channel."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )
    u, v = np.zeros((2, 8, 8)), np.zeros((2, 8, 8))
    u[0], v[1] = 1.0, 1.0
    return net, Slice.around(np.zeros((2, 8, 8)), u, v, 3.0)


def test_the_partition_is_the_one_cut_unit_by_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    net, domain = constant_images()
    found = partition(net, domain)
    monkeypatch.setattr(arrangement, "leaders", lambda values, _: torch.arange(values.shape[1]))
    slow = partition(net, domain)
    assert found.region_counts == slow.region_counts and len(found.vertices) == len(slow.vertices)
    there = slow.locate(found.centroids)
    assert len(np.unique(there)) == found.n_regions
    for mine, theirs in zip(found.branches(np.arange(found.n_regions)), slow.branches(there), strict=True):
        assert np.array_equal(mine, theirs)
    np.testing.assert_allclose(found.slopes, slow.slopes[there], atol=1e-12)


def test_the_certificate_holds() -> None:
    net, domain = constant_images()
    found = partition(net, domain)
    certificate = found.certify(grid=60)
    assert certificate.holds, str(certificate)
    assert found.region_counts[0] < len(found.layers[0].varying)  # many more units than distinct hinges


def test_leaders_are_proportional_and_others_are_left_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    values = torch.cat([base, -2 * base[:, :1], 0.5 * base[:, 1:2], base[:, 2:] + 1e-3], 1)
    values[:, 3] *= 1 + 1e-15
    assert leaders(values, 1e-10 * values.abs().amax(0)).tolist() == [0, 1, 2, 0, 1, 5]


def test_a_small_difference_is_no_coincidence() -> None:
    column = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)[:, None]
    values = torch.cat([column, column + 1e-9], 1)
    assert leaders(values, torch.full((2,), 1e-10, dtype=torch.float64)).tolist() == [0, 1]
