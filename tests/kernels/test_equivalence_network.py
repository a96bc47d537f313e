"""kernels/equivalence/{network,mlp,activations,differentiation}.py: derivatives against autograd and differences."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.kernels.equivalence import activations, differentiation
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from tests.kernels.equivalence_models import parameters_of
from tests.kernels.test_equivalence_slices import ODD, problem
from tests.reference import equivalence as twin

STEP = 1e-6


class Elementwise(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


ACTIVATIONS = {
    "identity": nn.Identity(),
    "relu": nn.ReLU(),
    "leaky_relu(0.2)": nn.LeakyReLU(0.2),
    "elu(0.7)": nn.ELU(0.7),
    "softplus(2)": nn.Softplus(2),
    "gelu": nn.GELU(),
    "gelu(tanh)": nn.GELU(approximate="tanh"),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softsign": nn.Softsign(),
    "sin": Elementwise(torch.sin),
    "abs": Elementwise(torch.abs),
}


@torch.no_grad()  # derivatives are had whatever the caller's mode is
def assert_derivatives(model, inputs, theta, seed: int = 0) -> None:
    """All four products against autograd one number at a time, and against central differences."""
    network = FlatNetwork(model, inputs)
    point = torch.as_tensor(theta)
    n, c, p = network.n_samples, network.n_outputs, network.n_parameters
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # of a module that looks at its own weights
        expected = twin.jacobian(model, theta, inputs)  # (N * C, P)
        of_half = twin.jacobian(model, theta / 2, inputs)
    scale = np.abs(expected).max()
    outputs, found = network.jacobian(torch.stack([point, point / 2]))
    assert outputs.shape == (2, c, n) and found.shape == (2, p, c, n)

    def rows(jacobian):
        return jacobian.permute(2, 1, 0).reshape(n * c, p).numpy()

    np.testing.assert_allclose(rows(found[0]), expected, rtol=1e-11, atol=1e-13 * scale)
    np.testing.assert_allclose(rows(found[1]), of_half, rtol=1e-11, atol=1e-13 * scale)
    np.testing.assert_allclose(outputs[0].T.numpy(), twin.outputs(model, theta, inputs), rtol=1e-11, atol=1e-13)
    general = rows(differentiation.jacobian(network, point))
    np.testing.assert_allclose(general, expected, rtol=1e-11, atol=1e-13 * scale)

    rng = np.random.default_rng(seed)
    directions, cotangents = rng.standard_normal((3, p)), rng.standard_normal((3, c, n))
    moved = network.jvp(point, torch.from_numpy(directions)).numpy()
    np.testing.assert_allclose(
        moved.transpose(0, 2, 1).reshape(3, -1), directions @ expected.T, rtol=1e-9, atol=1e-12 * scale * p
    )
    pulled = network.vjp(point, torch.from_numpy(cotangents)).numpy()
    np.testing.assert_allclose(
        pulled, cotangents.transpose(0, 2, 1).reshape(3, -1) @ expected, rtol=1e-9, atol=1e-12 * scale * n * c
    )
    _, gradient = network.pullback(point[None], lambda values: torch.from_numpy(cotangents[:1]))
    np.testing.assert_allclose(gradient.numpy(), pulled[:1], rtol=1e-12, atol=1e-13 * scale * n * c)

    ahead, behind = (network.outputs(torch.from_numpy(theta + s * STEP * directions)) for s in (1, -1))
    np.testing.assert_allclose(moved, ((ahead - behind) / (2 * STEP)).numpy(), rtol=1e-6, atol=1e-7 * (scale + 1) * p)


@pytest.mark.parametrize("name", ODD)
def test_derivatives_of_odd_modules(name):
    model, inputs, _, theta, _ = problem(name)
    assert_derivatives(model, inputs, theta)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_of_every_activation(name, bias):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        layers = [nn.Linear(3, 4, bias=bias), ACTIVATIONS[name], nn.Linear(4, 3, bias=bias), ACTIVATIONS[name]]
        model = nn.Sequential(*layers, nn.Linear(3, 2, bias=bias)).double()
    inputs = np.random.default_rng(3).standard_normal((6, 3))
    network = FlatNetwork(model, inputs)
    assert network.mlp is not None and [layer.activation.name for layer in network.mlp.hidden] == [name, name]
    assert_derivatives(model, inputs, parameters_of(model))


@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    name=st.sampled_from(sorted(ACTIVATIONS)),
    n=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_derivatives_of_random_perceptrons(widths, name, n, seed):
    rng = np.random.default_rng(seed)
    layers: list[nn.Module] = []
    for position, width in enumerate(widths[1:]):
        layers += [nn.Linear(widths[position], width, bias=bool(rng.integers(2))), ACTIVATIONS[name]]
    model = nn.Sequential(*layers).double()
    assert_derivatives(model, rng.standard_normal((n, widths[0])), rng.standard_normal(parameters_of(model).size))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_say_what_they_are(name):
    activation = activations.of_module(ACTIVATIONS[name]) or activations.of_call(ACTIVATIONS[name].function, (), {})
    assert activation is not None and activation.name == name
    z = torch.cat([torch.linspace(-30, 30, 601), torch.tensor([-800.0, -0.0, 0.0, 1e-300, 800.0])]).double()
    kept = z.clone()
    leaf = z.clone().requires_grad_()
    values = ACTIVATIONS[name](leaf)
    (expected,) = torch.autograd.grad(values.sum(), leaf)
    torch.testing.assert_close(activation.function(z), values.detach(), rtol=0, atol=0)
    torch.testing.assert_close(activation.derivative(z), expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(z, kept)
    for claim, holds in (
        (activation.homogeneous, torch.allclose(activation.function(3 * z), 3 * values)),
        (activation.odd, torch.allclose(activation.function(-z), -values)),
        (activation.linear, torch.allclose(values, z)),
    ):
        assert claim == holds
    if activation.point_symmetry is not None:
        torch.testing.assert_close(activation.function(-z), activation.point_symmetry - values.detach())
