"""Values that do not fit are computed anew instead of stored: the partition stays what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice, partition, polylines, vertex_values
from netgeom_widgets.kernels.regions.polylines import Lines
from tests.kernels.networks import MODULES, SEQUENTIAL, warmed

SQUARE = np.array([[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]])


def a_slice(shape: tuple[int, ...]) -> Slice:
    u, v = np.linalg.qr(np.random.default_rng(3).standard_normal((int(np.prod(shape)), 2)))[0].T.reshape(2, *shape)
    return Slice(np.full(shape, 0.05), u, v, SQUARE)


def in_special_position() -> nn.Module:
    """Lines through corners of the cells, scaled copies, values that are zero on whole cells."""
    weights = torch.tensor([[1, 0], [0, 1], [1, 1], [1, -1], [-2, 2]]).double()
    model = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.ReLU(), nn.Linear(6, 4), nn.ReLU())
    model = nn.Sequential(*model, nn.Linear(4, 2)).double()
    with torch.no_grad():
        model[0].weight.copy_(weights)
        model[0].bias.zero_()
        model[2].weight.copy_(torch.arange(30).reshape(6, 5) % 5 - 2)
        model[2].bias.copy_(torch.tensor([0, 0, -1, 0, 1, 0]))
    return model


CASES = {**SEQUENTIAL, **MODULES, "special position": (in_special_position, (2,))}


@pytest.mark.parametrize("held", [0, 40_000])
@pytest.mark.parametrize("name", CASES)
def test_nothing_changes_when_values_are_computed_anew(name, held, monkeypatch):
    build, shape = CASES[name]
    torch.manual_seed(5)
    model, domain = warmed(build()), a_slice(shape)
    expected = partition(model, domain)
    monkeypatch.setattr(vertex_values, "HELD_BYTES", held)
    found = partition(model, domain)
    assert found.region_counts == expected.region_counts
    for array in ("edges", "edge_op", "edge_unit", "edge_regions", "ring_offsets", "ring_vertices", "snapped"):
        assert np.array_equal(getattr(found, array), getattr(expected, array)), array
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        assert np.array_equal(ours.bits, theirs.bits) and np.array_equal(ours.varying, theirs.varying)
    assert np.allclose(found.vertices, expected.vertices, rtol=0, atol=1e-12)
    assert np.abs(found.outputs - expected.outputs).max() <= 1e-12 * (1 + np.abs(expected.outputs).max())


def test_it_was_really_not_stored(monkeypatch):
    """With a small limit a wide layer is never held at all vertices at once."""
    held = []
    advance = vertex_values.VertexValues._advance

    def watched(self, *args, **kwargs):
        advance(self, *args, **kwargs)
        held.append(sum(value.numel() for value in self._stored.values()))

    monkeypatch.setattr(vertex_values.VertexValues, "_advance", watched)
    monkeypatch.setattr(vertex_values, "HELD_BYTES", 40_000)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    found = partition(model, Slice.box(-2, 2, -2, 2))
    assert 8 * max(held[:-1]) <= 40_000 < 8 * 40 * len(found.vertices)
    assert found.certify(grid=40, samples=100).holds


class Transposed(nn.Module):
    """The result of an activation whose input lies in memory in another order than its shape says."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 8), nn.Linear(8, 12)

    def forward(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))).unflatten(1, (3, 4)).transpose(1, 2))


@pytest.mark.parametrize("held", [0, vertex_values.HELD_BYTES])
def test_units_are_exactly_zero_on_their_hinges(held, monkeypatch):
    torch.manual_seed(4)
    monkeypatch.setattr(vertex_values, "HELD_BYTES", held)
    found = partition(Transposed(), Slice.box(-2, 2, -2, 2))
    made = np.flatnonzero(found.edge_op == 1)
    assert len(made) > 50
    assert (found.outputs[found.edges[made], found.edge_unit[made, None]] == 0).all()


class Skipping(nn.Module):
    """The last activation's result meets its own input, an earlier one, and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(2, 24), nn.Linear(24, 24), nn.Linear(24, 3)

    def forward(self, x):
        early = torch.relu(self.a(x))
        z = self.b(early)
        return self.out(nn.functional.leaky_relu(z, -0.3) + early - 0.5 * z) + 1e3


POLYLINES = {
    "relu": (lambda: nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 4)), (2,)),
    "one layer": (lambda: nn.Sequential(nn.Linear(2, 20), nn.ReLU(), nn.Linear(20, 1)), (2,)),
    "skipping": (Skipping, (2,)),
    "prelu": (SEQUENTIAL["prelu per channel"][0], (2,)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 6, 3), nn.PReLU(6), nn.Flatten(), nn.Linear(96, 3)),
        (1, 6, 6),
    ),
}


@pytest.mark.parametrize("name", POLYLINES)
def test_outputs_along_lines_are_those_of_all_units(name, monkeypatch):
    """The last activation's new vertices from polylines, and from the interpolated values of all units."""
    build, shape = POLYLINES[name]
    torch.manual_seed(11)
    model, domain = warmed(build()), a_slice(shape)
    filled = []
    fill = Lines.fill
    monkeypatch.setattr(Lines, "fill", lambda self, *args: (filled.append(len(self.t)), fill(self, *args))[1])
    monkeypatch.setattr(polylines, "_NUMBERS_AT_ONCE", 150)
    # whether it is less work is another question
    monkeypatch.setattr(vertex_values.VertexValues, "_polylines", lambda self, recipe, n_new: self._at_last(recipe))
    found = partition(model, domain)
    assert sum(filled) >= len(found.vertices) // 2
    monkeypatch.setattr(vertex_values.VertexValues, "_polylines", lambda self, recipe, n_new: ())
    expected = partition(model, domain)
    assert np.array_equal(found.vertices, expected.vertices)
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        assert np.array_equal(ours.bits, theirs.bits)
    assert (np.abs(found.outputs - expected.outputs) <= found.output_rounding).all()
    assert found.certify(grid=50, samples=200).holds
