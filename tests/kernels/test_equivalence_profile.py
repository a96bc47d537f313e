"""kernels/equivalence/profile.py: the least loss over all parameters outside a plane."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.equivalence import (
    coordinates,
    loss_slice,
    profile_parts,
    profile_slice,
    random_basis,
    relative_profile_slice,
)
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from tests.kernels.equivalence_models import golden, mlp, parameters_of
from tests.reference import equivalence as reference

_X = np.random.default_rng(3).normal(size=(40, 2))


@pytest.mark.parametrize("scale", [1.0, -0.25])
@pytest.mark.parametrize("center", [np.zeros(4), np.array([0.3, -2.0, 0.5, 0.1])])
def test_golden_profile_over_the_outgoing_weights(center, scale):
    case = golden("profile_0")
    model, u = mlp((1, 2, 1), "relu", False), case["u"]
    basis = scale * np.eye(4)[:2]  # the incoming weights
    axes = [(u - center[0]) / scale, (u - center[1]) / scale]
    found = relative_profile_slice(model, case["x"][:, None], case["y"], center, basis, axes)
    assert np.allclose(found.loss, case["profile"], rtol=0, atol=1e-10)
    assert found.converged.all() and "ProfileSlice 20 x 20" in repr(found)
    assert np.allclose(found.relative_loss, found.loss / found.variance)


def test_outgoing_weights_of_several_outputs_by_least_squares():
    model = mlp((2, 2, 3), "tanh", False, seed=4)
    targets = np.random.default_rng(0).normal(size=(40, 3))
    center, axis = parameters_of(model), np.linspace(-1, 1, 5)
    found = profile_slice(model, _X, targets, center, np.eye(10)[:4], [axis[:3], axis, axis[:2], axis[:2]])
    assert found.shape == (3, 5, 2, 2)
    for place in itertools.product(*map(range, found.shape)):
        w = center[:4] + axis[list(place)]
        hidden = np.tanh(_X @ w.reshape(2, 2).T)
        rest = targets - hidden @ np.linalg.lstsq(hidden, targets, rcond=None)[0]
        assert found[place] == pytest.approx(np.mean(rest**2), rel=1e-8)


@settings(max_examples=12)  # each is a dozen minimisations
@given(
    st.sampled_from([((2, 3, 1), "tanh"), ((2, 2, 1), "relu"), ((2, 2, 2, 1), "tanh")]),
    st.integers(1, 3),
    st.integers(0, 50),
)
def test_never_above_the_plain_slice_and_where_it_says(architecture, k, seed):
    sizes, activation = architecture
    model, x = mlp(sizes, activation, seed=seed), _X[:15]
    targets = np.sin(x[:, :1] * 2 + seed)
    center = parameters_of(model)
    basis = random_basis(model, k, normalise=None, seed=seed) * 0.7
    axes = [np.linspace(-1, 1, 3), np.linspace(0, 1, 3), np.array([0.5, -0.5])][:k]
    found = relative_profile_slice(model, x, targets, center, basis, axes, max_iterations=40)
    plain = loss_slice(model, x, targets, center, basis, axes)
    assert (found.loss <= plain * (1 + 1e-12)).all() and np.allclose(found.plain_loss, plain, rtol=1e-12)
    rows = found.parameters.reshape(-1, center.size)
    places, _ = coordinates(rows, center, basis)
    grid = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], 1)
    assert np.allclose(places, grid, atol=1e-9)
    inside = np.linalg.qr(basis.T)[0]
    network = FlatNetwork(model, x)
    for i in range(0, len(rows), 4):
        loss = found.loss.flat[i]
        assert loss == pytest.approx(reference.loss(model, rows[i], x, targets), rel=1e-9, abs=1e-25)
        if found.converged.flat[i] and activation == "tanh":  # a ReLU may stop at a kink
            outputs, jacobian = network.jacobian(torch.from_numpy(rows[i])[None])
            columns = jacobian[0, :, 0].numpy()
            slope = columns @ (outputs[0, 0].numpy() - targets[:, 0])
            slope -= inside @ (inside.T @ slope)
            assert np.abs(slope).max() <= 1e-4 * np.sqrt(15 * loss) * np.linalg.norm(columns, axis=1).max() + 1e-11


def test_a_plane_through_the_class_is_projected_from_all_sides():
    """Where the plain slice meets the class in a curve, the profile is 0 wherever both signs of w occur."""
    model = mlp((1, 2, 1), "relu", False, theta=[1.0, -0.7, 0.5, 1.2])
    x, axis = np.random.default_rng(0).normal(size=(50, 1)), np.linspace(-1, 1, 24)
    found = relative_profile_slice(model, x, None, np.zeros(4), np.eye(4)[:2], [axis, axis])
    expected = axis[:, None] * axis[None] < 0
    assert ((found.relative_loss < 1e-18) == expected).all()
    assert (found.plain_loss > 0.1 * found.variance).all()


def test_parts_cover_the_grid_and_only_ever_lower_it():
    model = mlp((2, 3, 1), "relu", seed=5)
    given_ = (model, _X, np.sin(3 * _X[:, :1]), parameters_of(model), random_basis(model, 2, normalise=None))
    axes = [np.linspace(-3, 3, 33), np.linspace(-3, 3, 7)]
    loss = np.full(33 * 7, np.inf)
    steps = []
    for part in profile_parts(*given_, axes, max_iterations=15):
        assert (part.loss <= loss[part.index]).all() and part.done <= part.total == loss.size
        loss[part.index] = part.loss
        steps.append(part.step)
    assert steps == sorted(steps, reverse=True) and steps[0] == 2 and steps[-1] == 1
    progress = Progress()
    again = profile_slice(*given_, axes, max_iterations=15, progress=progress)
    assert np.array_equal(again.ravel(), loss) and progress.fraction == 1
    cancel = Cancel()
    parts = profile_parts(*given_, axes, cancel=cancel)
    next(parts)
    cancel.set()
    with pytest.raises(Cancelled):
        list(parts)


def test_a_basis_of_everything_leaves_nothing_to_minimise():
    model = mlp((1, 1, 1), "tanh", False, seed=1)
    basis, axes = np.array([[1.0, 1.0], [0.0, 2.0]]), [np.linspace(-1, 1, 4), np.linspace(0, 1, 3)]
    x = _X[:, :1]
    found = profile_slice(model, x, x**2, np.zeros(2), basis, axes)
    assert np.allclose(found, loss_slice(model, x, x**2, np.zeros(2), basis, axes), rtol=1e-14)


def test_refusals():
    model = mlp((2, 700, 1), "relu")
    with pytest.raises(TooLargeError, match="2,000 parameters"):
        profile_slice(model, _X, None, parameters_of(model), np.eye(2801)[:1], [[0.0, 1.0]])
    small = mlp((2, 2, 1))
    with pytest.raises(NetgeomError, match="max_iterations"):
        profile_slice(small, _X, None, parameters_of(small), np.eye(9)[:1], [[0.0, 1.0]], max_iterations=0)
    with pytest.raises(NetgeomError, match="axes do not fit"):
        profile_slice(small, _X, None, parameters_of(small), np.eye(9)[:2], [[0.0, 1.0]])
