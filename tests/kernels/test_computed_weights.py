"""Weights that a module computes from others: weight and spectral norm, orthogonal maps, pruning; both torch styles."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import utils
from torch.nn.utils import parametrizations, prune

from netgeom_widgets.kernels._model import private_copy
from netgeom_widgets.kernels.regions import Slice, partition
from netgeom_widgets.kernels.regions.operations import magnitude_of_module

BOX = Slice.box(-2, 2, -2, 2)
KINDS = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    # Deprecated in favour of the above, and in many saved models.
    "weight norm by hook": utils.weight_norm,
    "spectral norm by hook": utils.spectral_norm,
    "pruned": lambda module: prune.l1_unstructured(module, "weight", amount=0.3),
}


@pytest.fixture(params=list(KINDS))
def pair(request: pytest.FixtureRequest) -> tuple[nn.Sequential, nn.Sequential]:
    """A model with computed weights after a forward in training mode, and the plain model with the same weights."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the hooks are deprecated
        wrapped = [KINDS[request.param](nn.Linear(size, 8)) for size in (2, 8)]
    model = nn.Sequential(wrapped[0], nn.ReLU(), wrapped[1], nn.ReLU(), nn.Linear(8, 2))
    model(torch.randn(5, 2))
    plain = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    twin = model.eval()
    twin(torch.zeros(1, 2))
    with torch.no_grad():
        for mine, theirs in zip(plain, twin, strict=True):
            if isinstance(mine, nn.Linear):
                mine.weight.copy_(theirs.weight)
                mine.bias.copy_(theirs.bias)
    return model.train(), plain


def test_the_partition_is_that_of_the_weights(pair: tuple[nn.Sequential, nn.Sequential]) -> None:
    model, plain = pair
    found, expected = partition(model, BOX), partition(plain, BOX)
    assert found.region_counts == expected.region_counts
    # Norms were computed in float32 for the plain weights, in float64 for the copy.
    np.testing.assert_allclose(np.sort(found.areas), np.sort(expected.areas), atol=1e-4)
    assert found.certify(grid=20).holds


def test_the_model_goes_on_as_it_was(pair: tuple[nn.Sequential, nn.Sequential]) -> None:
    model, _ = pair
    before = {name: value.clone() for name, value in model.state_dict().items()}
    partition(model, BOX)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(torch.randn(3, 2)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_magnitudes_are_those_of_the_computed_weights(pair: tuple[nn.Sequential, nn.Sequential]) -> None:
    layer = private_copy(pair[0])[2]
    x = torch.rand(1, 8, dtype=torch.float64)
    with torch.no_grad():
        layer(x)  # a hook computes its weight in the forward
        expected = x @ layer.weight.abs().T + layer.bias.abs()
        torch.testing.assert_close(magnitude_of_module(layer)(x), expected)
        assert not torch.equal(layer(x), expected), "the layer itself keeps its signs"
