"""Activations that a user declares: cut at their breakpoints when the declaration is right, refused when it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels.regions import Slice, partition, register_activation, registry
from tests.kernels.checks import assert_complex, assert_jacobians, assert_values, patterns_of
from tests.reference import regions as twin

BOX = Slice.box(-2, 2, -2, 2)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})


class Sawtooth(nn.Module):
    """Up and down between 0 and 1 inside [-teeth, teeth], slope 1 beyond."""

    def __init__(self, teeth: int = 3) -> None:
        super().__init__()
        self.teeth = teeth

    def forward(self, x):
        inside = (x - 2 * torch.round(x / 2)).abs()
        edge = float(self.teeth % 2)
        return torch.where(x.abs() <= self.teeth, inside, x.abs() - self.teeth + edge)


def teeth(module: Sawtooth) -> list[float]:
    return [float(k) for k in range(-module.teeth, module.teeth + 1)]


def steps(module: Sawtooth) -> list[float]:
    inner = [1.0 if k % 2 == 0 else -1.0 for k in range(-module.teeth, module.teeth)]
    return [-1.0, *inner, 1.0]


def network(module: nn.Module, width: int = 5) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, width), module, nn.Linear(width, 4), module, nn.Linear(4, 1)).double()
    with torch.no_grad():
        model[0].weight.mul_(3)
    return model


def test_a_sawtooth_is_cut_at_every_tooth():
    with pytest.raises(UnsupportedModuleError):
        partition(network(Sawtooth()), BOX)
    register_activation(Sawtooth, teeth, steps)
    model, module = network(Sawtooth()), Sawtooth()
    found = partition(model, BOX)
    program = twin.Program(2)
    for k in (0, 2):
        program.affine(model[k].weight.detach().numpy(), model[k].bias.detach().numpy())
        points = teeth(module)
        program.pieces(points, steps(module), module(torch.tensor(points)).tolist())
    program.affine(model[4].weight.detach().numpy(), model[4].bias.detach().numpy())
    slow = twin.partition(program, BOX.polygon, BOX.origin, BOX.u, BOX.v)
    assert list(found.region_counts) == slow.counts and found.n_regions > 100
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-8, atol=1e-13)
    assert_complex(found)
    assert_values(found, model)
    assert_jacobians(found, model)
    assert found.certify(grid=60, samples=200).holds
    assert found.edge_unit[found.edge_op == 0].max() == 4, "edges are labelled by units, not by their breakpoints"
    z = model[0](torch.as_tensor(found.centroids)).detach().numpy()
    for region in np.flatnonzero(found.areas > 1e-9)[:50]:
        first = patterns_of(found, region)[0]
        assert first.tolist() == [sum(value > point for point in teeth(module)) for value in z[region]]


def test_only_breakpoints_that_cut_cost_anything():
    """Two thousand breakpoints on three hundred units: a few of them pass through a small domain."""
    register_activation(Sawtooth, teeth, steps)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 300), Sawtooth(1000), nn.Linear(300, 1)).double()
    found = partition(model, Slice.box(0, 0.05, 0, 0.05))
    assert 1 < found.n_regions < 1000 and len(found.layers[0].varying) < 300
    assert found.pattern(0)["1"].dtype == np.int16 and found.pattern(0)["1"].max() > 900
    assert_values(found, model)
    assert found.certify(grid=20, samples=50).holds


class Kink(nn.Module):
    def forward(self, x):
        return torch.where(x > 0.5, 2 * x, x + 0.5)


class Jump(nn.Module):
    def forward(self, x):
        return torch.where(x > 0.5, x + 1, x)


class Smooth(nn.Module):
    def forward(self, x):
        return torch.nn.functional.silu(x)


class Mixes(nn.Module):
    def forward(self, x):
        return (x - x.mean(-1, keepdim=True)).relu()


class Narrow(nn.Module):
    def forward(self, x):
        return x[:, :1].relu()


WRONG = {
    "another slope": (Kink, [0.5], [1, 3], "not the function"),
    "another breakpoint": (Kink, [0.4], [1, 2], "not the function"),
    "a breakpoint left out": (Sawtooth, [-3, 3], [-1, 0, 1], "not the function"),
    "a jump": (Jump, [0.5], [1, 1], "not the function"),
    "no piecewise linear function": (Smooth, [0.0], [0, 1], "not the function"),
    "not elementwise": (Mixes, [0.0], [0, 1], "by itself"),
    "another shape": (Narrow, [0.0], [0, 1], "by itself"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_declaration_is_refused(name):
    cls, breakpoints, slopes, message = WRONG[name]
    register_activation(cls, breakpoints, slopes)
    with pytest.raises(NetgeomError, match=message) as caught:
        partition(network(cls()), BOX)
    assert cls.__name__ in str(caught.value)


MALFORMED = {
    "too few slopes": (Kink, [0.5], [1], "one slope more"),
    "no breakpoints": (Kink, [], [1], "do not describe"),
    "not ascending": (Kink, [1, 0], [1, 2, 3], "do not describe"),
    "not finite": (Kink, [np.inf], [1, 2], "do not describe"),
    "no numbers": (Kink, "ab", [1, 2, 3], "not understood"),
    "no class": (Kink(), [0.5], [1, 2], "module classes"),
    "supported anyway": (nn.ReLU, [0.0], [0, 1], "supported as it is"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_declaration_is_refused_at_once(name):
    cls, breakpoints, slopes, message = MALFORMED[name]
    with pytest.raises(NetgeomError, match=message):
        register_activation(cls, breakpoints, slopes)


def test_declaring_again_replaces_and_subclasses_count():
    register_activation(Kink, [0.5], [1, 3])
    register_activation(Kink, [0.5], [1, 2])
    kind = type("Heir", (Kink,), {})
    assert partition(network(kind()), BOX).certify(grid=20, samples=50).holds
