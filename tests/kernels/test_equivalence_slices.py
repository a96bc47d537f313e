"""Slices, planes and epsilon sets against the slow twin, for random networks and odd modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels import equivalence as eq
from netgeom_widgets.kernels.equivalence import network as flat_network
from tests.kernels.equivalence_models import mlp, parameters_of
from tests.reference import equivalence as twin


class Functional(nn.Module):
    """Raw parameters, one of them frozen, a buffer, a float32 constant, a skip connection."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(2, 4))
        self.frozen = nn.Parameter(torch.randn(2, 3), requires_grad=False)
        self.register_buffer("shift", torch.randn(4))

    def forward(self, x):
        h = torch.sin(F.linear(x, self.a) + self.shift) * torch.ones(4)
        return F.linear(h, self.b) + F.linear(x, self.frozen)


class Tied(nn.Module):
    """An autoencoder whose second weight is the first one, turned."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return torch.tanh(self.layer(x)) @ self.layer.weight


class Branching(nn.Module):
    """Looks at values, so that no graph and no vmap can be had of it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        y = self.layer(x)
        return y.abs() if float(self.layer.weight.sum()) > 0 else y**2


class Overwriting(nn.Module):
    """Changes the inputs that it is given."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        x += 1
        return self.layer(x)


class Random(nn.Module):
    """Drops units in eval mode too."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(F.dropout(x))


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return self.layer(x) * self.calls


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.same = nn.Linear(3, 3), nn.Linear(3, 3)
        self.same.weight = self.first.weight

    def forward(self, x):
        return self.same(torch.relu(self.first(x)))


class Reshaping(nn.Module):
    """A perceptron by way of sizes, a second name for a function, and a method."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(12, 5), nn.Linear(5, 2)

    def forward(self, x):
        x = x.view(x.size(0), -1)
        return self.out(F.dropout(self.hidden(x).tanh(), training=self.training)).squeeze(-1)


def normed():
    """Batch norm whose running values are no longer those of the start, and dropout."""
    model = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2))
    model(torch.randn(50, 3))
    return model


ODD = {
    "conv": (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 2)), 1),
    "batch norm and dropout": (normed, 0),
    "functional": (Functional, 0),
    "tied": (Tied, 0),
    "one weight twice": (Twice, 0),
    "branching": (Branching, 0),
    "overwriting": (Overwriting, 0),
    "reshaping": (Reshaping, 2),
    "gelu, dropout": (lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Dropout(), nn.Linear(4, 2)), 0),
    "activation last": (lambda: nn.Sequential(nn.Linear(3, 4, bias=False), nn.ELU(), nn.Linear(4, 2), nn.ReLU()), 0),
    "activation first": (lambda: nn.Sequential(nn.Tanh(), nn.Linear(3, 2)), 0),
    "float32": (lambda: nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2)).float(), 0),
}
SHAPES = [(3,), (1, 4, 4), (3, 4)]


def problem(name: str, n: int = 7):
    make, shape = ODD[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = make()
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((n, *SHAPES[shape]))
    width = 3 if name in ("tied", "one weight twice") else 2
    theta = parameters_of(model)
    return model, inputs, rng.standard_normal((n, width)), theta, rng


@pytest.mark.parametrize("name", ODD)
def test_odd_modules(name):
    model, inputs, targets, theta, rng = problem(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    given = inputs.copy()
    plane = (theta, rng.standard_normal((2, theta.size)), ([-0.5, 0.0, 1.5], [0.3, -1.0]))
    expected = twin.loss_slice(model, inputs, targets, *plane)
    for method in ("auto", "loop") if name == "branching" else ("auto", "batch", "loop"):
        found = eq.relative_loss_slice(model, inputs, targets, *plane, method=method)
        np.testing.assert_allclose(found.loss, expected, rtol=1e-10, err_msg=method)
        np.testing.assert_allclose(found.relative_loss, expected / twin.variance(targets), rtol=1e-10)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    np.testing.assert_array_equal(inputs, given)
    network = flat_network.FlatNetwork(model, inputs)
    is_mlp = name in ("reshaping", "gelu, dropout", "activation last", "float32")
    assert (network.mlp is not None) == is_mlp
    assert network.method == ("loop" if name == "branching" else "batch")
    for row in (theta, theta + rng.standard_normal(theta.size)):
        np.testing.assert_allclose(
            network.outputs(torch.as_tensor(row)).T, twin.outputs(model, row, inputs), rtol=1e-11, atol=1e-13
        )
        _, jacobian = network.jacobian(torch.as_tensor(row)[None])
        expected = twin.jacobian(model, row, inputs).T.reshape(theta.size, len(inputs), -1).swapaxes(1, 2)
        np.testing.assert_allclose(jacobian[0], expected, rtol=1e-9, atol=1e-11)
        moved = torch.as_tensor(rng.standard_normal((2, theta.size)))
        pushed = network.jvp(torch.as_tensor(row), moved)
        np.testing.assert_allclose(pushed, np.tensordot(moved, expected, 1), rtol=1e-9, atol=1e-10)
        pulled = network.vjp(torch.as_tensor(row), pushed)
        np.testing.assert_allclose(pulled, np.tensordot(pushed, expected, ((1, 2), (1, 2))), rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.sampled_from(["relu", "tanh", "id"]),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 1000),
)
def test_random_perceptrons(sizes, activation, bias, k, seed):
    rng = np.random.default_rng(seed)
    model = mlp(sizes, activation, bias, seed=seed)
    n_parameters = sum(p.numel() for p in model.parameters())
    k = min(k, n_parameters)
    inputs, targets = rng.standard_normal((6, sizes[0])), rng.standard_normal((6, sizes[-1]))
    center, basis = rng.standard_normal(n_parameters), rng.standard_normal((k, n_parameters))
    axes = [rng.uniform(-2, 2, m) for m in (4, 2, 3)[:k]]
    found = eq.loss_slice(model, inputs, targets, center, basis, axes)
    assert found.shape == (4, 2, 3)[:k] and found.dtype == np.float64
    np.testing.assert_allclose(found, twin.loss_slice(model, inputs, targets, center, basis, axes), rtol=1e-10)
    order = np.random.default_rng(seed).permutation(k)
    turned = eq.loss_slice(model, inputs, targets, center, basis[order], [axes[i] for i in order])
    np.testing.assert_allclose(turned, found.transpose(order), rtol=1e-10)
    one = eq.loss_slice(model, torch.as_tensor(inputs).float(), targets, center, basis[0], axes[:1])
    rounded = twin.loss_slice(model, inputs.astype(np.float32), targets, center, basis[:1], axes[:1])
    np.testing.assert_allclose(one, rounded, rtol=1e-10)


def test_parts_cover_the_grid_once_coarse_first():
    model, inputs, targets, theta, rng = problem("gelu, dropout")
    axes = (np.linspace(-1, 1, 70), np.linspace(0, 1, 33))
    plane = (theta, rng.standard_normal((2, theta.size)), axes)
    whole = eq.loss_slice(model, inputs, targets, *plane)
    parts = list(eq.slice_parts(model, inputs, targets, *plane))
    steps = [part.step for part in parts]
    assert steps == sorted(steps, reverse=True) and (steps[0], steps[-1]) == (4, 1)
    places = np.concatenate([part.index for part in parts])
    assert sorted(places.tolist()) == list(range(whole.size))
    assert [part.done for part in parts] == np.cumsum([part.index.size for part in parts]).tolist()
    assert {part.total for part in parts} == {whole.size}
    for part in parts:
        np.testing.assert_array_equal(part.loss, whole.ravel()[part.index])
        assert all((i % part.step == 0).all() for i in np.unravel_index(part.index, whole.shape))
    coarse = np.concatenate([part.index for part in parts if part.step == 4])
    assert sorted(coarse.tolist()) == np.arange(whole.size).reshape(whole.shape)[::4, ::4].ravel().tolist()


def test_cancel_and_progress():
    model, inputs, targets, theta, rng = problem("branching")
    plane = (theta, rng.standard_normal((1, theta.size)), [np.linspace(-1, 1, 200)])
    cancel = Cancel()
    parts = eq.slice_parts(model, inputs, targets, *plane, cancel=cancel)
    next(parts)
    cancel.set()
    with pytest.raises(Cancelled):
        list(parts)
    with pytest.raises(Cancelled):
        eq.loss_slice(model, inputs, targets, *plane, cancel=cancel)


def test_a_teacher_without_targets():
    model, inputs, _, theta, _ = problem("conv")
    found = eq.relative_loss_slice(model, inputs, None, theta, np.eye(theta.size)[:1], [[0.0, 1.0]])
    assert found.loss[0] < 1e-30 < found.loss[1] and found.settings["is_teacher"] is True
    y = twin.outputs(model, theta, inputs)
    np.testing.assert_allclose([found.variance, found.zero_loss], [twin.variance(y), (y**2).mean()], rtol=1e-12)
    np.testing.assert_array_equal(found.parameters_at([2.0]), theta + 2 * np.eye(theta.size)[0])
    losses = eq.relative_loss(model, inputs, y, [theta, theta + 0.1])
    expected = [twin.loss(model, row, inputs, y) for row in (theta, theta + 0.1)]
    np.testing.assert_allclose(losses.loss, expected, rtol=1e-10, atol=1e-30)
    assert losses.constant_loss == losses.variance == found.variance


# ------------------------------------------------------------------------------------------------------------- planes


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(1, 4), st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_difference_basis(n_parameters, q, scale, seed):
    rng = np.random.default_rng(seed)
    q = min(q, n_parameters)
    center, elements = scale * rng.standard_normal(n_parameters), scale * rng.standard_normal((q, n_parameters))
    basis = eq.difference_basis(center, elements)
    np.testing.assert_allclose(basis, twin.gram_schmidt(center, elements), atol=1e-9)
    np.testing.assert_allclose(basis @ basis.T, np.eye(q), atol=1e-12)
    coordinates, distance = eq.coordinates(elements, center, basis)
    assert (np.diag(coordinates) > 0).all()
    np.testing.assert_allclose(np.triu(coordinates, 1), 0, atol=1e-9 * scale)
    np.testing.assert_allclose(distance, 0, atol=1e-12 * scale)
    # least squares, whatever the rows of the basis are
    oblique, others = rng.standard_normal((q, n_parameters)), rng.standard_normal((3, n_parameters))
    found, far = eq.coordinates(others, center, oblique)
    for i, point in enumerate(others):
        expected, distance = twin.coordinates(point, center, oblique)
        np.testing.assert_allclose(found[i], expected, rtol=1e-6, atol=1e-6 * scale)
        np.testing.assert_allclose(far[i], distance, rtol=1e-9, atol=1e-9 * scale)


def test_pca_and_random_bases(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.standard_normal((8, 3)) @ rng.standard_normal((3, 30)) + 5
    basis = eq.pca_basis(points, 3)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(eq.coordinates(points, points.mean(0), basis)[1], 0, atol=1e-12)
    spread = ((points - points.mean(0)) @ basis.T).var(0)
    assert (np.diff(spread) < 0).all()
    values = np.linalg.eigvalsh(np.cov(points.T, bias=True))[::-1][:3]
    np.testing.assert_allclose(spread, values, rtol=1e-9)
    around = eq.pca_basis(points, 1, center=np.zeros(30))
    assert abs(around[0] @ points.mean(0)) > 0.99 * np.linalg.norm(points.mean(0))
    with pytest.raises(NetgeomError, match=r"k is out of range.*at most 3"):
        eq.pca_basis(points, 4)

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double()
    rows = eq.random_basis(model, 2, seed=3)
    np.testing.assert_array_equal(rows, eq.random_basis(model, 2, seed=3))
    start = 0
    for parameter in model.parameters():
        drawn = rows[:, start : start + parameter.numel()].reshape(2, len(parameter), -1)
        start += parameter.numel()
        norms = parameter.detach().reshape(len(parameter), -1).norm(dim=1).numpy() * (parameter.ndim > 1)
        np.testing.assert_allclose(np.linalg.norm(drawn, axis=2), [norms] * 2, rtol=1e-12)
    plain = eq.random_basis(model, 4, normalise=None)
    np.testing.assert_allclose(plain @ plain.T, np.eye(4), atol=1e-12)

    np.save(tmp_path / "plane.npy", plain)
    np.testing.assert_array_equal(eq.as_basis(tmp_path / "plane.npy", plain.shape[1]), plain)
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "several.npz", plain)
    for path in ("objects.npy", "absent.npy", "empty.npy", "several.npz"):
        with pytest.raises(NetgeomError, match="cannot be read"):
            eq.as_basis(tmp_path / path, 3)


@given(st.integers(0, 1000), st.integers(1, 3), st.floats(0, 2))
def test_epsilon_sets(seed, k, epsilon):
    rng = np.random.default_rng(seed)
    axes = [rng.standard_normal(m) for m in (4, 3, 2)[:k]]
    values = rng.uniform(0, 2, [len(axis) for axis in axes])
    values.flat[0] = np.nan
    values.flat[1] = epsilon
    found = eq.epsilon_set(values, axes, epsilon)
    assert found.shape[1] == k
    assert [tuple(row) for row in found.tolist()] == twin.epsilon_set(values, axes, epsilon)


# ---------------------------------------------------------------------------------------------------------- refusals


def refused(part: str, kind: type[NetgeomError] = NetgeomError, **changes):
    model, inputs, targets, theta, _ = problem("gelu, dropout")
    plane = {"center": theta, "basis": np.eye(theta.size)[:2], "axes": [np.linspace(-1, 1, 5)] * 2}
    with pytest.raises(kind, match=part):
        eq.loss_slice(model, **({"inputs": inputs, "targets": targets} | plane | changes))


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        (r"centre are not finite", {"center": np.full(26, np.nan)}),
        (r"centre do not fit the model.*\(26,\).*\(25,\)", {"center": np.zeros(25)}),
        (r"one centre.*2 rows", {"center": np.zeros((2, 26))}),
        (r"basis does not fit.*\(k, 26\).*\(2, 3\)", {"basis": np.eye(3)[:2]}),
        (r"linearly dependent.*row 1", {"basis": np.ones((2, 26))}),
        (r"linearly dependent.*row 0", {"basis": np.eye(26)[:2] * [[0], [1]]}),
        (r"basis is not finite", {"basis": np.full((1, 26), np.inf), "axes": [[0.0]]}),
        (r"axes are empty", {"axes": []}),
        (r"Axis 1 is not understood.*shape \(0,\)", {"axes": [[0.0], []]}),
        (r"axes do not fit the basis.*2 arrays.*1", {"axes": [[0.0]]}),
        (r"Axis 0 .*NaN", {"axes": [[np.nan], [0.0]]}),
        (r"axes are not understood", {"axes": 3}),
        (r"targets are constant.*infinite", {"targets": np.ones((7, 2))}),
        (r"targets do not fit.*7 rows of 2 numbers.*\(7, 3\)", {"targets": np.zeros((7, 3))}),
        (r"one-hot", {"targets": np.arange(7)}),
        (r"targets are not finite", {"targets": np.full((7, 2), np.nan)}),
        (r"method is not known.*'auto' or 'batch' or 'loop'.*'fast'", {"method": "fast"}),
        (r"model fails on the inputs.*\(7, 4\)", {"inputs": np.zeros((7, 4))}),
        (r"inputs.*finite", {"inputs": np.full((7, 3), np.nan)}),
    ],
)
def test_refusals(part, changes):
    refused(part, **changes)


def test_a_grid_too_large_for_memory():
    plane = {"basis": np.eye(26)[:4], "axes": [np.zeros(10_000)] * 4}
    refused(r"A grid of 10000000000000000 points.*GiB.*fewer points", TooLargeError, **plane)


@pytest.mark.parametrize("model", [Random(), Counting()], ids=["random", "counting"])
def test_models_that_are_no_functions_are_refused(model):
    rng = np.random.default_rng(0)
    with pytest.raises(NetgeomError, match=r"other outputs when it is called again.*training=self.training"):
        eq.relative_loss(model, rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), np.zeros(8))


def test_other_refusals():
    model, inputs, targets, theta, _ = problem("branching")
    with pytest.raises(NetgeomError, match=r"several parameter vectors at once.*RuntimeError.*method=.loop"):
        eq.loss_slice(model, inputs, targets, theta, np.eye(theta.size)[:1], [[0.0]], method="batch")
    with pytest.raises(NetgeomError, match="no direction"):
        eq.difference_basis(np.ones(3), np.ones((2, 3)))
    with pytest.raises(NetgeomError, match=r"axes do not fit the loss.*\(2,\).*\(3,\)"):
        eq.epsilon_set(np.zeros(3), [[0, 1]], 0.1)
    for epsilon in (-1.0, float("nan")):
        with pytest.raises(NetgeomError, match="epsilon is out of range"):
            eq.epsilon_set(np.zeros(2), [[0, 1]], epsilon)
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(-1)
    with pytest.raises(NetgeomError, match=r"targets are constant.*Got: 0 for all 5 samples.*dead"):
        eq.relative_loss(model, np.random.default_rng(0).standard_normal((5, 2)), None, np.zeros(6))
    with pytest.raises(NetgeomError, match="no parameters"):
        eq.relative_loss(nn.ReLU(), np.ones((3, 1)), np.arange(3), np.zeros(1))
