"""kernels/equivalence/descent.py: the weights that torch's own optimisers give, network by network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.equivalence import find_elements
from tests.kernels.equivalence_models import mlp, parameters_of, with_parameters

_X = torch.randn(70, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
_Y = torch.stack([torch.sin(2 * _X[:, 0]), _X[:, 1] ** 2], dim=1)


class _Convolution(nn.Module):
    """No multilayer perceptron, and batched by vmap only where the image is not looked at."""

    def __init__(self, looks: bool) -> None:
        super().__init__()
        self.convolution, self.linear, self.looks = nn.Conv1d(1, 2, 2), nn.Linear(2, 2), looks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.convolution(x[:, None]).flatten(1))
        y = self.linear(h)
        return y if not self.looks or float(y.detach().sum()) > 1e9 else y * 1.0


def _trained(model: nn.Module, theta: np.ndarray, optimizer, steps: int, batch_size: int) -> np.ndarray:
    """One network through torch's optimiser, batches in order."""
    with_parameters(model.double(), theta)
    step = optimizer(model.parameters())
    batches = list(zip(_X.split(batch_size), _Y.split(batch_size), strict=True))
    for k in range(steps):
        x, y = batches[k % len(batches)]
        step.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        step.step()
    return parameters_of(model)


@pytest.mark.parametrize(
    "model",
    [mlp((2, 5, 2), "tanh"), mlp((2, 4, 3, 2), "relu"), _Convolution(False).double(), _Convolution(True).double()],
    ids=["tanh", "relu", "vmap", "loop"],
)
@pytest.mark.parametrize(
    ("method", "options", "optimizer"),
    [
        ("sgd", {"batch_size": 32}, lambda p: torch.optim.SGD(p, 0.015)),
        ("sgd", {"lr": 0.1, "momentum": 0.9}, lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        (
            "adam",
            {"lr": 0.03, "lr_decay": False, "betas": (0.8, 0.99)},
            lambda p: torch.optim.Adam(p, 0.03, (0.8, 0.99)),
        ),
    ],
    ids=["batches", "momentum", "adam"],
)
def test_the_same_weights_as_one_network_after_the_other(model, method, options, optimizer):
    found = find_elements(model, _X, _Y, 3, method=method, max_iterations=25, seed=1, **options)
    for start, theta in zip(found.start, found.parameters, strict=True):
        expected = _trained(model, start, optimizer, 25, options.get("batch_size", 70))
        assert np.allclose(theta, expected, rtol=1e-11, atol=1e-12)
    assert (found.iterations == 25).all() and set(found.status) <= {"unfinished", "local_minimum"}
    assert found.history_iterations[[0, -1]].tolist() == [0, 25]
    assert np.allclose(found.history[:, -1], found.relative_loss, rtol=1e-10)
    assert np.isfinite(found.history).all() and found.settings["method"] == method


def test_adam_finds_members_and_leaves_when_it_has():
    model = mlp((1, 2, 1), "relu", bias=False, theta=[1.0, -0.7, 0.5, 1.2])
    inputs = torch.randn(50, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = find_elements(model, inputs, None, 20, method="adam", tolerance=1e-6, max_iterations=600, lr=0.1)
    members = found.is_member
    assert members.sum() >= 5 and found.relative_loss[members].max() <= 1e-6
    assert (found.iterations[members] < 600).all() and (found.iterations[~members] == 600).all()
    assert np.isnan(found.history[members, -1]).all()


def test_what_grows_without_bound_has_diverged_and_keeps_finite_parameters():
    for batch_size in (16, 70):
        found = find_elements(
            mlp((2, 6, 2), "relu"), _X, 100 * _Y, 4, method="sgd", lr=50.0, batch_size=batch_size, max_iterations=200
        )
        assert found.counts() == {"diverged": 4}
        assert np.isfinite(found.parameters).all() and np.isfinite(found.relative_loss).all()


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("adam", {"momentum": 0.9}, "momentum is no option"),
        ("sgd", {"betas": (0.9, 0.9)}, "betas is no option"),
        ("levenberg-marquardt", {"lr": 0.1}, "lr is no option"),
        ("sgd", {"lr": 0.0}, "lr is out of range"),
        ("sgd", {"lr": float("nan")}, "lr is out of range"),
        ("sgd", {"momentum": 1.0}, "momentum is out of range"),
        ("sgd", {"batch_size": 0}, "batch_size"),
        ("adam", {"warm_up": 5}, "warm_up is no option"),
        ("levenberg-marquardt", {"max_iterations": 10, "warm_up": 10}, "warm_up is out of range"),
        ("adam", {"betas": (0.9, 1.0)}, "beta is out of range"),
    ],
)
def test_options_that_a_method_does_not_have_or_take(method, options, words):
    with pytest.raises(NetgeomError, match=words):
        find_elements(mlp((2, 2, 2)), _X, _Y, 1, method=method, **options)


def test_a_warm_up_is_adam_and_then_levenberg_marquardt():
    model = mlp((2, 4, 1), "tanh", seed=3)
    plain = find_elements(model, _X, None, 24, seed=6, max_iterations=400)
    warm = find_elements(model, _X, None, 24, seed=6, max_iterations=400, warm_up=50)
    adam = find_elements(model, _X, None, 24, seed=6, max_iterations=50, method="adam", lr=0.03)
    first = (warm.history_iterations <= 50) & np.isin(warm.history_iterations, adam.history_iterations)
    same = np.isin(adam.history_iterations, warm.history_iterations[first])
    assert first.sum() > 20 and np.allclose(warm.history[:, first], adam.history[:, same], rtol=1e-9)
    later = warm.history[:, warm.history_iterations >= 50]
    assert (np.diff(later, axis=1)[np.isfinite(later[:, 1:])] <= 0).all()
    assert warm.is_member.sum() > plain.is_member.sum() >= 1 and (warm.iterations <= 400).all()
    assert warm.settings["warm_up"] == 50 and plain.settings["warm_up"] == 0
    found = find_elements(model, _X, None, 1, start=parameters_of(model)[None], warm_up=5)
    assert found.counts() == {"converged": 1} and found.iterations.tolist() == [0]
