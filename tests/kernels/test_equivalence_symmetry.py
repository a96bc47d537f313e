"""Symmetry generators and dead units: the kernel of the Jacobian, explained."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels.equivalence import (
    Generators,
    dead_units,
    is_dead_network,
    symmetry_basis,
    symmetry_generators,
)
from netgeom_widgets.kernels.equivalence.dead import has_dead_layer
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from tests.kernels.equivalence_models import LeNet, golden, lenet_inputs, mlp, parameters_of


def null_dimension(jacobian: np.ndarray) -> int:
    singular = np.linalg.svd(jacobian, compute_uv=False)
    return jacobian.shape[1] - int((singular > 1e-9 * singular[0]).sum())


def assert_in_kernel(model: nn.Module, theta: np.ndarray, x: np.ndarray) -> tuple[Generators, np.ndarray]:
    """No generator changes an output to first order: the Jacobian, by autograd, takes it to 0."""
    jacobian = torch.func.jacrev(FlatNetwork(model, x).one)(torch.from_numpy(theta)).reshape(-1, len(theta)).numpy()
    found = symmetry_generators(model, theta, x)
    lengths = np.linalg.norm(found.rows, axis=1)
    assert (np.linalg.norm(jacobian @ found.rows.T, axis=0) <= 1e-12 * np.linalg.norm(jacobian) * lengths).all()
    assert (lengths > 0).all() and len(found) == len(found.labels) == len(found.rows)
    return found, jacobian


def assert_explained(model: nn.Module, theta: np.ndarray, x: np.ndarray, expected: int | None = None) -> Generators:
    """The generators span the kernel."""
    found, jacobian = assert_in_kernel(model, theta, x)
    units = found.rows / np.linalg.norm(found.rows, axis=1, keepdims=True)
    dimension = null_dimension(jacobian)
    assert (np.linalg.matrix_rank(units, tol=1e-8) if len(units) else 0) == dimension
    assert expected is None or dimension == expected
    return found


@pytest.mark.parametrize(
    ("name", "sizes", "activation", "bias", "kinds"),
    [
        ("nulldim_0", (1, 2, 1), "relu", False, {"scaling"}),
        ("nulldim_1", (2, 4, 1), "relu", True, {"scaling"}),
        ("nulldim_2", (2, 4, 1), "tanh", True, set()),
        ("nulldim_3", (5, 3, 4), "id", True, {"linear group"}),
        ("nulldim_4", (4, 8, 8, 2), "tanh", True, set()),
        ("deeplinear_0", (5, 3, 4), "id", False, {"linear group"}),
        ("deeplinear_1", (4, 6, 3), "id", False, {"linear group", "dependent units"}),
        ("reducible_tanh_0", (2, 6, 1), "tanh", True, {"dead unit", "duplicate unit", "dependent units"}),
    ],
)
def test_golden_null_dimensions_are_explained(name, sizes, activation, bias, kinds) -> None:
    case = golden(name)
    found = assert_explained(mlp(sizes, activation, bias), case["theta"], case["x"], int(case["null_dim"]))
    assert set(found.kinds) == kinds
    if name == "reducible_tanh_0":  # one unit split in two: 1 + 3, one without outgoing weight: 3
        assert Counter(found.kinds) == {"dead unit": 3, "duplicate unit": 4, "dependent units": 1 + 2 * 3}


@pytest.mark.parametrize("seed", range(4))
def test_relu_nets_with_dead_and_always_active_units_are_explained(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((200, 3))
    model = mlp((3, 6, 5, 2), "relu", seed=seed)
    theta = parameters_of(model)
    theta[18:22] = 50, (-50 if seed % 2 else 60), 50, -70  # biases of the first layer
    found = assert_explained(model, theta, x)
    assert {"scaling", "dead unit", "same pattern"} <= set(found.kinds)
    dead = dead_units(model, theta, x)
    assert {d.unit for d in dead if d.layer == 0} == ({1, 3} if seed % 2 else {3})
    assert all(d.kind == "never active" and d.name == "0" for d in dead if d.layer == 0)


@pytest.mark.parametrize("seed", range(2))
def test_other_activations_and_copies_are_explained(seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((600, 3))
    leaky = nn.Sequential(*mlp((3, 7, 1), seed=seed))
    leaky[1] = nn.LeakyReLU(0.01)
    theta = parameters_of(leaky)
    theta[21:24] = 30, -30, 30  # linear pieces with different slopes
    assert_explained(leaky, theta, x)
    theta[9:12], theta[24] = 2 * theta[12:15], 2 * theta[25]  # and a scaled copy
    assert "duplicate unit" in assert_explained(leaky, theta, x).kinds
    theta[15:18], theta[26] = -theta[18:21], -theta[27]  # and one that is active where another is not
    assert "dependent units" in assert_in_kernel(leaky, theta, x)[0].kinds

    behind = nn.Sequential(*mlp((3, 4, 2), seed=seed), nn.ReLU())
    behind[1] = nn.Sigmoid()
    theta = parameters_of(behind)
    theta[3:6], theta[13] = -theta[:3], -theta[12]  # f(-z) = 1 - f(z), the bias behind takes the 1
    theta[-2:] = 2, -9  # and a ReLU behind the output that is never active
    assert_explained(behind, theta, x)
    assert [(d.layer, d.unit, d.kind) for d in dead_units(behind, theta, x)] == [(1, 1, "never active")]
    theta[-2:] = -9
    assert {d.kind for d in dead_units(behind, theta, x)} == {"cut off", "never active"}
    assert is_dead_network(behind, theta, x)

    flat = x @ np.random.default_rng(1).standard_normal((3, 5))  # five inputs that span three dimensions
    few = assert_explained(mlp((5, 4, 1), "tanh"), parameters_of(mlp((5, 4, 1), "tanh")), flat, expected=8)
    assert "dependent units" in few.kinds


def test_dead_units_of_a_tanh_net() -> None:
    model = mlp((2, 5, 4, 1), "tanh")
    with torch.no_grad():
        model[0].weight[0] = 0  # the bias alone is left: constant
        model[0].bias[1] = 50  # saturated
        model[2].weight[:, 2] = 0
        model[4].weight[:, 3] = 0
        model[2].weight[:3, 4] = 0  # leads only to unit 3
    x = np.random.default_rng(0).standard_normal((40, 2))
    assert [(d.layer, d.unit, d.kind) for d in dead_units(model, parameters_of(model), x)] == [
        (0, 0, "constant"),
        (0, 1, "constant"),
        (0, 2, "no outgoing weight"),
        (0, 4, "cut off"),
        (1, 3, "no outgoing weight"),
    ]
    assert_in_kernel(model, parameters_of(model), x)
    assert not is_dead_network(model, parameters_of(model), x)


def test_gennis_lenet_is_dead_and_has_no_known_symmetry() -> None:
    case = golden("genni_lenet_2d_Dec10_16_11_33")
    x = lenet_inputs(60)
    assert is_dead_network(LeNet(), case["theta"][0], x)
    assert not is_dead_network(LeNet(), case["theta"][1], x)
    found = symmetry_generators(LeNet(), case["theta"][0], x)
    assert len(found) == 0 and found.rows.shape == (0, 43661) and "no chain" in found.notes[0]
    with pytest.raises(UnsupportedModuleError, match=r"this model cannot be read.*LeNet"):
        dead_units(LeNet(), case["theta"][0], x)


class OneStep(nn.Module):
    """A recurrence of one step: the weights of its state, which is 0, are not used."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.last = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x):
        return self.last(self.gru(x[:, None])[0][:, 0])


def test_a_layer_is_dead_where_the_outputs_are_constant_too() -> None:
    x = np.random.default_rng(0).standard_normal((30, 2))
    alive = FlatNetwork(OneStep(), x)
    assert not has_dead_layer(alive, alive.parameters)
    for bias, dead in ((-50.0, True), (0.0, False)):
        model = mlp((2, 4, 3, 1), "relu")
        with torch.no_grad():
            model[2].bias.fill_(bias)
        network = FlatNetwork(model, x)
        assert has_dead_layer(network, network.parameters) is dead


def test_a_basis_of_symmetries_is_orthonormal_and_keeps_the_loss_to_second_order() -> None:
    model = mlp((2, 4, 1), "relu")
    theta = parameters_of(model)
    found = symmetry_generators(model, theta)
    assert "Without inputs" in found.notes[0]
    assert found.labels[2] == "scaling of unit 2 of layer 0 (0)"
    basis = symmetry_basis(model, theta, [2, 0])
    assert np.abs(basis @ basis.T - np.eye(2)).max() < 1e-14
    assert np.allclose(basis[0], found.rows[2] / np.linalg.norm(found.rows[2]), rtol=1e-14)
    assert symmetry_basis(model, theta, 3).shape == (3, 17)
    for choice in (5, 0, [4], True):
        with pytest.raises(NetgeomError):
            symmetry_basis(model, theta, choice)
    with pytest.raises(NetgeomError, match="too few"):
        symmetry_basis(mlp((2, 4, 1), "tanh"), theta, 1)
    with pytest.raises(NetgeomError, match="do not fit"):
        symmetry_generators(model, theta[:-1])


def test_groups_too_large_for_memory_are_named() -> None:
    """Fewer samples than inputs leave every unit of the first layer 384 directions: 12,288 rows of 0.2 MB."""
    model = mlp((784, 32, 10), "relu")
    found = symmetry_generators(model, parameters_of(model), np.random.default_rng(0).standard_normal((400, 784)))
    assert set(found.kinds) == {"scaling"} and len(found) == 32
    assert any("Left out" in note and "dependent inputs" in note for note in found.notes)
