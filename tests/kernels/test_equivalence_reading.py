"""kernels/equivalence/{reading,problem,network}.py: which modules have a closed form, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.equivalence import relative_loss
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.problem import as_problem

_X = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))


class _Forward(nn.Module):
    """Two linear layers and whatever forward is given."""

    def __init__(self, forward, hidden=3) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, hidden), nn.Linear(hidden, 2)
        self.drop = nn.Dropout(0.3)
        self._forward = forward

    def forward(self, x):
        return self._forward(self, x)


_CHAINS = {
    "functional": (lambda m, x: m.b(torch.tanh(m.a(x))), "tanh"),
    "in place": (lambda m, x: m.b(F.relu(m.a(x), inplace=True)), "relu"),
    "method": (lambda m, x: m.b(m.a(x).sigmoid()), "sigmoid"),
    "reshaped": (lambda m, x: m.b(F.silu(m.a(x.view(x.size(0), -1)))), "silu"),
    "shape attribute": (lambda m, x: m.b(torch.relu(m.a(x.reshape(x.shape[0], 4)))), "relu"),
    "dropout": (lambda m, x: m.b(m.drop(F.leaky_relu(m.a(torch.flatten(x, 1)), 0.2))), "leaky_relu(0.2)"),
    "gelu": (lambda m, x: m.b(F.gelu(m.a(x), approximate="tanh")), "gelu(tanh)"),
    "elu": (lambda m, x: m.b(F.elu(m.a(x), 0.7)), "elu(0.7)"),
    "softplus": (lambda m, x: m.b(F.softplus(m.a(x), beta=2)), "softplus(2)"),
    "sine": (lambda m, x: m.b(m.a(x).sin()), "sin"),
    "linear": (lambda m, x: m.b(m.a(x)), "identity"),
}
_OTHERS = {
    "skip": lambda m, x: m.b(torch.tanh(m.a(x))) + x[:, :2],
    "normalised": lambda m, x: m.b(F.normalize(m.a(x))),
    "twice activated": lambda m, x: m.b(torch.tanh(torch.relu(m.a(x)))),
    "activated inputs": lambda m, x: m.b(torch.tanh(m.a(torch.tanh(x)))),
    "rearranged": lambda m, x: m.b(torch.tanh(m.a(x.reshape(4, -1).reshape(-1, 4)).flip(1))),
    "branching": lambda m, x: m.b(m.a(x)) if x.sum() > 0 else m.b(torch.tanh(m.a(x))),
    "unused": lambda m, x: m.a(x),
    "max": lambda m, x: m.b(torch.maximum(m.a(x), m.a(x) * 0.1)),
}


@pytest.mark.parametrize("name", _CHAINS)
def test_a_chain_has_a_closed_form(name):
    forward, activation = _CHAINS[name]
    model = _Forward(forward)
    network = FlatNetwork(model, _X)
    assert network.mlp is not None
    assert network.mlp.widths == (4, 3, 2)
    assert [layer.activation.name for layer in network.mlp.layers] == [activation, "identity"]
    assert [layer.name for layer in network.mlp.layers] == ["a", "b"]
    expected = model.double().eval()(_X.double()).T
    torch.testing.assert_close(network.outputs(network.parameters), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", _OTHERS)
def test_anything_else_goes_through_the_module(name):
    model = _Forward(_OTHERS[name])
    network = FlatNetwork(model, _X)
    assert network.mlp is None
    theta = torch.stack([network.parameters, 2 * network.parameters])
    expected = []
    for row in theta:
        torch.nn.utils.vector_to_parameters(row, model.double().parameters())
        expected.append(model.eval()(_X.double()).T)
    torch.testing.assert_close(network.outputs(theta), torch.stack(expected), rtol=1e-13, atol=1e-14)


def test_modules_that_are_no_chain():
    tied = nn.Linear(4, 4)
    for model in (
        nn.Sequential(tied, nn.Tanh(), tied),
        nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(4, 3), nn.PReLU(), nn.Linear(3, 1)),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 1)),
    ):
        assert FlatNetwork(model, _X).mlp is None
    # along an axis: a chain of modules, but not of this form
    assert FlatNetwork(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)), _X.reshape(3, 4, 4)).mlp is None


def test_the_model_and_its_inputs_stay_as_they_are():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.ReLU(), nn.Linear(3, 1)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = _X.clone()
    network = FlatNetwork(model, x)
    network.outputs(network.parameters + 1)
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, _X)
    assert x.dtype is torch.float32


def test_whole_numbers_become_floats_where_a_model_takes_no_others():
    assert FlatNetwork(nn.Linear(2, 1), np.arange(6).reshape(3, 2)).inputs.dtype is torch.float64
    tokens = FlatNetwork(nn.Sequential(nn.Embedding(9, 3), nn.Flatten()), np.arange(6).reshape(3, 2))
    assert tokens.inputs.dtype is torch.int64
    assert (tokens.n_outputs, tokens.n_parameters) == (6, 27)


def test_relative_loss_is_one_for_the_best_constant():
    model = nn.Linear(1, 2)
    x, y = np.arange(5.0)[:, None], np.stack([np.arange(5.0), 3 + np.arange(5.0) ** 2], axis=1)
    constants = np.concatenate([[0, 0], y.mean(0)])
    found = relative_loss(model, x, y, np.stack([constants, np.zeros(4), [1, 4, 0, 3 - 2]]))
    np.testing.assert_allclose(found.relative_loss[0], 1, rtol=1e-14)
    np.testing.assert_allclose(found.loss[1], (y**2).mean(), rtol=1e-14)
    assert found.zero_loss == found.loss[1]
    np.testing.assert_allclose(found.constant_loss, ((y - y.mean(0)) ** 2).mean(), rtol=1e-14)
    np.testing.assert_allclose(found.relative_loss, found.loss / found.variance, rtol=0)
    np.testing.assert_allclose(found.relative_zero_loss, found.loss[1] / found.variance, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda m: (m, _X, torch.zeros(12, 2)), "constant"),
        (lambda m: (m, _X, torch.full((12, 2), 0.1)), "constant"),
        (lambda m: (m, _X, torch.zeros(11, 2)), "12 rows of 2 numbers"),
        (lambda m: (m, _X, torch.arange(12)), "one-hot"),
        (lambda m: (m, _X, torch.full((12, 2), torch.nan)), "targets are not finite"),
        (lambda m: (m, torch.full((3, 4), torch.inf)), "not finite"),
        (lambda m: (m, torch.zeros(0, 4)), "not understood"),
        (lambda m: (m, torch.zeros(3, 5)), "fails on the inputs"),
        (lambda m: (nn.Flatten(), _X), "no parameters"),
        (lambda m: (nn.Sequential(m, nn.Flatten(0)), _X), "one row of outputs per input"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(NetgeomError, match=message):
        as_problem(*arguments(_Forward(_CHAINS["functional"][0])))


def test_a_dead_teacher_is_refused_in_words():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    nn.init.zeros_(model[2].weight)
    with pytest.raises(NetgeomError, match=r"from the model.*dead"):
        as_problem(model, _X)
