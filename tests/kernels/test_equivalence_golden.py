"""The equivalence kernel and its slow twin against cases with known answers, and against what GENNI stored."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels import equivalence as eq
from tests.kernels.equivalence_models import FOLDER, NAMES, LeNet, golden, lenet_inputs, mlp
from tests.reference import equivalence as twin

SLICES = ("slice_relu_0", "slice_tanh_1")
ORBITS = ("orbit_relu_1", "orbit_tanh_0")
NULL = {"nulldim_0": "relu", "nulldim_1": "relu", "nulldim_2": "tanh", "nulldim_3": "id", "nulldim_4": "tanh"}
FCN = "genni_fcn_elements"
FCN_GRID = "genni_fcn_2d_loss_Nov09_16_57_20"
LENET = "genni_lenet_2d_Dec10_16_11_33"


def close(found, expected, *, rtol=0.0, atol=0.0):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def net_of(name: str, case: dict) -> nn.Module:
    return mlp(case["sizes"], name.split("_")[1], case.get("bias", True))


def test_all_cases_are_there():
    assert len(NAMES) == 17 and (FOLDER / "index.json").exists()


# ------------------------------------------------------------------------------------------------------------- slices


@pytest.mark.parametrize("name", SLICES)
def test_slices(name):
    case = golden(name)
    model, problem = net_of(name, case), (case["x"], case["y"])
    found = eq.loss_slice(model, *problem, case["center"], case["basis"][:2], (case["u"], case["v"]))
    close(found, case["loss2d"], rtol=1e-10)
    close(eq.loss_slice(model, *problem, case["center"], case["basis"], [case["w"]] * 3), case["loss3d"], rtol=1e-10)
    ticks = (case["u"][::11], case["v"][::9])
    close(twin.loss_slice(model, *problem, case["center"], case["basis"][:2], ticks), found[::11, ::9], rtol=1e-12)
    close(case["y"].var(), case["var_y"], rtol=1e-12)  # of all outputs together: not what R divides by
    losses = eq.relative_loss(model, *problem, case["teacher"])
    close(losses.variance, twin.variance(case["y"]), rtol=1e-12)
    close(losses.loss, 0, atol=1e-29)
    close(losses.zero_loss, (case["y"] ** 2).mean(), rtol=1e-12)
    full = eq.relative_loss_slice(model, *problem, case["center"], case["basis"][:2], (case["u"], case["v"]))
    close(full.relative_loss, case["loss2d"] / twin.variance(case["y"]), rtol=1e-10)


def test_the_hyperbola():
    case = golden("hyperbola_0")
    model, x = mlp(case["sizes"], "relu", False), case["x"][:, None]
    y = case["c"] * np.maximum(x, 0)
    grid = (case["u"], case["u"])
    found = eq.loss_slice(model, x, y, np.zeros(2), np.eye(2), grid)
    close(found, case["loss"], rtol=1e-12, atol=1e-13)
    close(eq.relative_loss(model, x, y, case["curve"]).relative_loss, 0, atol=1e-28)
    assert (case["curve"][:, 0] > 0).all()
    close(case["curve"].prod(1), case["c"], rtol=1e-14)
    inside = eq.epsilon_set(found, grid, 0.05)
    assert len(inside) == (case["loss"] <= 0.05).sum() and (inside[:, 0] * inside[:, 1] > 0).all()


@pytest.mark.parametrize("name", ["gramschmidt_0", "gramschmidt_1"])
def test_bases(name):
    case = golden(name)
    dependent = case["rank"] < len(case["elements"])
    with pytest.warns(UserWarning, match="Elements 3 lie in the span") if dependent else nullcontext():
        basis = eq.difference_basis(case["center"], case["elements"])
    assert len(basis) == case["rank"]
    close(basis, case["basis"], atol=1e-10)
    close(twin.gram_schmidt(case["center"], case["elements"]), case["basis"], atol=1e-10)
    coordinates, distance = eq.coordinates(case["elements"], case["center"], basis)
    close(coordinates, case["coords"], atol=1e-10)
    close(distance, 0, atol=1e-10)


# ------------------------------------------------------------------------------------------------------------- orbits


@pytest.mark.parametrize("name", ORBITS)
def test_images_by_their_permutations_and_factors(name):
    case = golden(name)
    model = net_of(name, case)
    for image, perm, scale in zip(case["orbit"], case["perm"], case["scale"], strict=True):
        close(twin.image(case["sizes"], True, case["theta"], perm, scale), image, rtol=1e-14)
        close(twin.outputs(model, image, case["x"][:5]), case["y"][:5], atol=1e-11)
        found = eq.alignment(model, image, case["theta"])
        assert found.permutations[0].tolist() == perm.tolist()
        close(found.factors[0], scale[perm], rtol=1e-9)
    close(eq.relative_loss(model, case["x"], case["y"], case["orbit"]).relative_loss, 0, atol=1e-28)
    if name == "orbit_relu_1":  # one unit after the other, then their order
        image = case["theta"]
        for unit, factor in enumerate(case["scale"][1]):
            image = eq.symmetry_orbit(model, image, unit, [1.0, factor])[1]
        identity = np.arange(len(case["scale"][1]))
        close(image, twin.image(case["sizes"], True, case["theta"], identity, case["scale"][1]), rtol=1e-14)


# --------------------------------------------------------------------------------------------------------- null spaces


def assert_null_space(model, theta, case):
    found = eq.null_space(model, theta, case["x"])
    assert found.dimension == case["null_dim"] and found.stable and found.n_samples == len(case["x"])
    close(found.singular_values[: found.rank], case["singular_values"][: found.rank], rtol=1e-9)
    jacobian = twin.jacobian(model, theta, case["x"][:200])
    assert len(twin.null_basis(jacobian)) == found.dimension and found.basis.shape == (found.dimension, len(theta))
    close(jacobian @ found.basis.T, 0, atol=1e-11 * np.abs(jacobian).max() * len(theta))
    close(found.basis @ found.basis.T, np.eye(found.dimension), atol=1e-12)
    assert found.gap > (1e11 if found.dimension > 0 else 1)
    return found


def explained(found) -> dict[str, int]:
    return {kind: count for kind, count in found.explained.items() if count}


@pytest.mark.parametrize("name", NULL)
def test_null_dimensions(name):
    case = golden(name)
    found = assert_null_space(mlp(case["sizes"], NULL[name], case["bias"]), case["theta"], case)
    assert np.isinf(case["gap"]) == np.isinf(found.gap) == (found.dimension == 0)
    assert found.explained.get("scaling", 0) == case["scaling_dim"] and found.explained["unexplained"] == 0
    assert found.explained.get("linear group", 0) == (case["null_dim"] if NULL[name] == "id" else 0)


@pytest.mark.parametrize("name", ["deeplinear_0", "deeplinear_1"])
def test_deep_linear_nets(name):
    case = golden(name)
    d, h, o = case["sizes"]
    model = mlp(case["sizes"], "id", False)
    for theta in (case["theta"], *case["elements"]):
        first, second = theta[: h * d].reshape(h, d), theta[h * d :].reshape(o, h)
        close(second @ first, case["M"], atol=1e-9 * np.abs(case["M"]).max())
    losses = eq.relative_loss(model, case["x"], case["x"] @ case["M"].T, [case["theta"], *case["elements"]])
    close(losses.relative_loss, 0, atol=1e-18)
    found = assert_null_space(model, case["theta"], case)
    assert found.rank == case["rank"] and len(case["theta"]) - found.rank == case["null_dim"]
    # changes of basis among the hidden units explain what the spare width does not
    spare = case["null_dim"] - found.explained["linear group"]
    assert found.explained["unexplained"] == 0 and spare == (
        0 if h <= min(d, o) else found.explained["dependent units"]
    )
    for element in case["elements"]:
        assert eq.null_space(model, element, case["x"]).dimension == case["null_dim"]


def test_the_reducible_net():
    """A unit split in two and a unit without outgoing weight: 1 + 3 + 3."""
    case = golden("reducible_tanh_0")
    small, wide = mlp((2, 4, 1), "tanh"), mlp((2, 6, 1), "tanh")
    expected = twin.outputs(small, case["teacher"], case["x"])
    close(twin.outputs(wide, case["theta"], case["x"]), expected, atol=1e-12)
    outgoing = case["theta"][18:24]
    (copy,) = np.flatnonzero(np.isclose(outgoing, case["fraction"] * case["teacher"][12]))
    assert 0 in outgoing and np.isclose(outgoing.sum(), case["teacher"][12:16].sum()) and 0 <= copy < 6
    found = assert_null_space(wide, case["theta"], case)
    assert explained(found) == {"dead unit": 3, "duplicate unit": 4}
    (dead,) = eq.dead_units(wide, case["theta"], case["x"])
    assert dead.kind == "no outgoing weight" and outgoing[dead.unit] == 0


def test_the_curve_of_the_hyperbola():
    case = golden("hyperbola_0")
    model, x = mlp(case["sizes"], "relu", False), case["x"][:, None]
    for point in case["curve"][::20]:
        found = eq.null_space(model, point, x)
        assert found.dimension == case["null_dim"] and explained(found) == {"scaling": 1}
        expected = np.array([point[0], -point[1]]) / np.linalg.norm(point)
        close(abs(found.basis[0] @ expected), 1, rtol=1e-12)
    start = case["curve"][40]
    trace = eq.trace_class(model, start, x, [1.0, 0.0], steps=60, step_size=0.05)
    assert not trace.stopped and (np.diff(trace.parameters[:, 0]) > 0).all()
    close(trace.parameters.prod(1), case["c"], atol=1e-10)
    assert (trace.dimension == case["null_dim"]).all() and (trace.residual < 1e-20).all()


# -------------------------------------------------------------------------------------------------------------- GENNI


def fcn_closed_form(theta, x, y) -> np.ndarray:
    """J of a1 relu(w1 x) + a2 relu(w2 x) from the two slopes of every theta (..., 4) in order w1, w2, a1, a2."""
    w, a = theta[..., :2], theta[..., 2:]
    total = 0.0
    for sign in (1, -1):
        slope, side = (a * w * (sign * w > 0)).sum(-1), sign * x > 0
        total = total + ((slope[..., None] * x[side] - y[side]) ** 2).sum(-1)
    return total / len(x)


def mean_of_batches(model, x, y, *plane) -> np.ndarray:
    """J as GENNI takes it: the mean of the means of batches of 256 and 244 samples."""
    return sum(eq.loss_slice(model, x[part], y[part], *plane) for part in (slice(0, 256), slice(256, 500))) / 2


def test_genni_s_elements_are_not_in_the_class():
    case = golden(FCN)
    model = mlp((1, 2, 1), "relu", False, case["teacher"])
    losses = eq.relative_loss(model, case["x"], case["y"], case["elements"])
    close(losses.loss, case["loss"], rtol=1e-5)
    close(losses.relative_loss, case["rel_loss"], rtol=1e-5)
    close(losses.zero_loss, case["zero_loss"], rtol=1e-5)
    assert (losses.relative_loss < 1e-3).sum() == 2 and (losses.relative_loss > 1).sum() == 4
    x, y = case["x"].astype(float).ravel(), case["y"].astype(float).ravel()
    close(losses.loss, fcn_closed_form(case["elements"].astype(float), x, y), rtol=1e-9)
    w, a = case["elements"][:, :2].astype(float), case["elements"][:, 2:]
    close(np.stack([(a * w * (w > 0)).sum(1), (a * w * (w < 0)).sum(1)], 1), case["slopes"], rtol=1e-5, atol=1e-9)
    own = eq.relative_loss(model, case["x"], None, case["teacher"])
    close(own.loss, 0, atol=1e-30)


def test_genni_s_first_grid():
    """To 1e-9 of the mean over all samples; what GENNI stored is the mean of two batch means in float32."""
    case, data = golden(FCN_GRID), golden(FCN)
    model = mlp((1, 2, 1), "relu", False)
    grid = (case["axis"], case["axis"])
    # its basis is orthonormal to float32; its last array axis is the first row
    found = eq.loss_slice(model, data["x"], data["y"], case["center"], case["basis"], grid).T
    close(found, case["full_mean_f64"], rtol=1e-9)
    assert (np.abs(case["batch_mean_f64"] - case["stored"]) <= 1e-4 * case["stored"] + 1e-9).all()
    batched = mean_of_batches(model, data["x"], data["y"], case["center"], case["basis"], grid)
    close(batched.T, case["batch_mean_f64"], rtol=1e-9)
    basis = eq.difference_basis(data["elements"][0], data["elements"][[1, 2]])
    signs = np.sign((basis * case["basis"]).sum(1))
    close(basis * signs[:, None], case["basis"], atol=1e-6)
    closed = np.empty_like(found)
    for (i, c2), (j, c1) in itertools.product(enumerate(case["axis"]), repeat=2):
        theta = case["center"].astype(float) + c1 * case["basis"][0] + c2 * case["basis"][1].astype(float)
        closed[i, j] = fcn_closed_form(theta, data["x"].astype(float).ravel(), data["y"].astype(float).ravel())
    close(found, closed, rtol=1e-9)


def test_genni_s_second_grid_is_centred_on_a_dead_net():
    """A few of the 400 points: LeNet takes long. The center gives 0 everywhere, as no other element does better."""
    case, x = golden(LENET), lenet_inputs()
    assert hashlib.sha256(x.numpy().tobytes()).digest() == bytes(case["x_sha256"])
    close(x.reshape(-1)[:8], case["x_first8"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LeNet()
    losses = eq.relative_loss(model, x, case["y"], case["theta"])
    close(losses.zero_loss, case["zero_loss"], rtol=1e-4)
    expected = ((case["outputs"][:3].astype(float) - case["y"].T) ** 2).mean(1)
    close(losses.loss, expected, rtol=1e-4)
    assert losses.loss[0] == losses.zero_loss and (case["outputs"][0] == 0).all()
    assert [eq.is_dead_network(model, theta, x) for theta in case["theta"]] == [True, False, False]
    assert (losses.loss >= 0.999 * losses.zero_loss).all()
    basis = eq.difference_basis(case["theta"][0], case["theta"][1:])
    coordinates, distance = eq.coordinates(case["theta"][1:], case["theta"][0], basis)
    close(np.abs(coordinates), np.abs(case["coords"]), atol=1e-4)  # GENNI's signs are those of its QR
    close(distance, 0, atol=1e-4)
    rows = basis * np.sign(np.diag(coordinates) * np.diag(case["coords"]))[:, None]
    some = [0, 13]
    found = mean_of_batches(model, x, case["y"], case["theta"][0], rows, [case["axis"][some]] * 2)
    close(found.T, case["stored"][np.ix_(some, some)], rtol=1e-4)
