"""kernels/equivalence/{null_space,null_directions,jacobian_svd,matrix_free,gauss_newton,explanation}.py."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels import _memory
from netgeom_widgets.kernels import equivalence as eq
from netgeom_widgets.kernels.equivalence import jacobian_svd, matrix_free
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from tests.kernels.equivalence_models import golden, mlp, parameters_of
from tests.kernels.test_equivalence_slices import problem
from tests.reference import equivalence as twin


def inputs_of(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, width))


def assert_null(space: eq.NullSpace, model, theta, inputs) -> None:
    """The twin's dimension and null space, whatever way directions are asked for."""
    expected = twin.null_basis(twin.jacobian(model, theta, inputs))
    assert space.dimension == len(expected) == space.n_parameters - space.rank == len(space.basis)
    assert space.bounds == (space.dimension, space.dimension) and not space.estimated
    assert sum(space.explained.values()) == space.dimension and min(space.explained.values()) >= 0
    if not len(expected):
        return
    projector = expected.T @ expected
    found = [space.basis, space.directions(len(expected)), space.sample(len(expected), seed=1)]
    for rows in found:
        np.testing.assert_allclose(rows @ rows.T, np.eye(len(expected)), atol=1e-12)
        np.testing.assert_allclose(rows.T @ rows, projector, atol=1e-9)
        assert (rows[np.arange(len(rows)), np.abs(rows).argmax(1)] > -1e-6).all()
        assert space.residual(rows).max() < 1e-13
    one = space.sample(1, seed=2)
    np.testing.assert_allclose(one @ projector, one, atol=1e-9)


# ------------------------------------------------------------------------------------------------ against closed forms


def test_golden_gaps():
    for number, activation in enumerate(["relu", "relu", "tanh", "id", "tanh"]):
        case = golden(f"nulldim_{number}")
        space = eq.null_space(mlp(case["sizes"], activation, bool(case["bias"]), case["theta"]), None, case["x"])
        assert space.dimension == case["null_dim"] and space.gap >= 2e14
        assert space.threshold == 1e-9 * space.singular_values[0]
        assert space.notes == ("Equivalence on these 800 samples, to first order.",)


@given(
    widths=st.lists(st.integers(1, 5), min_size=3, max_size=4),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_deep_linear_networks(widths, bias, seed):
    model = mlp(widths, "id", bias, seed=seed)
    space = eq.null_space(model, None, inputs_of(40, widths[0], seed))
    r, d, o = min(widths), widths[0], widths[-1]
    assert space.dimension == parameters_of(model).size - r * (d + o - r) - (o if bias else 0)
    assert space.gap > 1e6


@given(hidden=st.lists(st.integers(1, 6), min_size=1, max_size=2), bias=st.booleans(), seed=st.integers(0, 99))
def test_relu_networks_can_be_rescaled(hidden, bias, seed):
    model = mlp([3, *hidden, 2], "relu", bias, seed=seed)
    space = eq.null_space(model, None, inputs_of(60, 3, seed))
    assert space.dimension >= sum(hidden)
    assert space.explained["scaling"] <= sum(hidden)  # of dead units scaling moves nothing or is part of more
    assert sum(space.explained.values()) - space.explained["unexplained"] >= sum(hidden)


def test_dead_units_are_counted():
    model = mlp([2, 4, 1], "tanh", seed=1)
    with torch.no_grad():
        model[2].weight[0, 1] = 0
    space = eq.null_space(model, None, inputs_of(50, 2))
    assert space.dimension == 3 == space.explained["dead unit"]
    model = mlp([2, 4, 1], "relu", seed=1)
    with torch.no_grad():
        model[0].weight[2], model[0].bias[2] = 0.01, -5
    space = eq.null_space(model, None, inputs_of(50, 2))
    assert (
        space.dimension == 3 + 4 and space.explained["unexplained"] == 0
    )  # all four parameters of a unit never active


# -------------------------------------------------------------------------------------------------- against the twin


@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    activation=st.sampled_from(["relu", "tanh", "id"]),
    bias=st.booleans(),
    n=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_random_perceptrons(widths, activation, bias, n, seed):
    model, inputs = mlp(widths, activation, bias, seed=seed), inputs_of(n, widths[0], seed)
    theta = np.random.default_rng(seed).standard_normal(parameters_of(model).size)
    values = np.linalg.svd(twin.jacobian(model, theta, inputs), compute_uv=False)
    assume(not ((values > 1e-13 * values[0]) & (values < 1e-6 * values[0])).any())  # else rounding decides
    space = eq.null_space(model, theta, inputs)
    assert_null(space, model, theta, inputs)
    np.testing.assert_allclose(space.singular_values, values, atol=1e-13 * (values[0] or 1))
    half = twin.jacobian(model, theta, inputs[: n // 2]).reshape(-1, theta.size)
    assert space.half_dimension == len(twin.null_basis(half))
    if n * widths[-1] < theta.size:
        assert any("for lack of samples" in note for note in space.notes)
        assert space.dimension >= theta.size - n * widths[-1]


@pytest.mark.parametrize("name", ["conv", "batch norm and dropout", "tied", "float32"])
def test_other_modules(name):
    model, inputs, _, theta, _ = problem(name, n=20)
    space = eq.null_space(model, theta, torch.as_tensor(inputs))
    assert_null(space, model, theta, inputs)
    if name in ("conv", "tied"):
        assert any("No symmetries are known" in note for note in space.notes)


def test_blocks_of_samples_change_nothing(monkeypatch):
    model, inputs = mlp([3, 6, 2], "relu"), inputs_of(150, 3)
    network = FlatNetwork(model, inputs)
    residuals = torch.randn((2, 150), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for samples in (slice(None), slice(0, 5)):
        part, rest = network.at(network.inputs[samples]), residuals[:, samples]
        whole = jacobian_svd.jacobian_svd(part, network.parameters, rest, halves=True)
        with monkeypatch.context() as patched:
            patched.setattr(jacobian_svd, "_BLOCK", 1)
            blocks = jacobian_svd.jacobian_svd(part, network.parameters, rest, halves=True)
        rank = whole.rank(1e-9)
        assert blocks.rank(1e-9) == rank
        torch.testing.assert_close(blocks.singular_values, whole.singular_values, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(blocks.half_values, whole.half_values, rtol=1e-12, atol=1e-12)
        jacobian = part.jacobian(network.parameters[None])[1][0].permute(2, 1, 0).reshape(-1, network.n_parameters)
        expected = torch.linalg.pinv(jacobian, rtol=1e-9) @ rest.T.reshape(-1)  # the shortest least-squares solution
        for found in (whole, blocks):
            step = found.vectors[:rank].T @ (found.coefficients[:rank] / found.singular_values[:rank])
            torch.testing.assert_close(step, expected, rtol=1e-9, atol=1e-11)


def test_a_single_sample_and_a_constant_function():
    model = mlp([2, 3, 1], "tanh")
    space = eq.null_space(model, None, [[0.5, -1.0]])
    assert (space.dimension, space.half_dimension, space.stable) == (12, 13, False)
    assert space.notes[0] == "Equivalence on this sample, to first order." and math.isinf(space.gap)
    dead = mlp([2, 3, 1], "relu", theta=-np.ones(13))
    dead.append(nn.ReLU())
    space = eq.null_space(dead, None, np.abs(inputs_of(9, 2)))
    assert (space.dimension, space.rank, space.threshold) == (13, 0, 0) and math.isinf(space.gap)
    np.testing.assert_allclose(space.directions(13), np.eye(13))
    assert space.residual(space.basis).max() == 0
    with pytest.raises(NetgeomError, match=r"not so many directions that move.*at most 0"):
        eq.gauss_newton_basis(dead, None, np.abs(inputs_of(9, 2)), 1, directions="top")


def test_a_unit_on_its_kink_is_told():
    model = mlp([2, 2, 1], "relu", theta=[1, -1, 0.5, 2, 0, 1, 1, 1, 0])
    space = eq.null_space(model, None, [[1, 1], [2, 2], [0.3, -1], [2, 1], [1, -2]])
    assert "2 pre-activations lie on a kink: there the Jacobian is one-sided." in space.notes


# -------------------------------------------------------------------------------------------------------- matrix-free


@pytest.fixture
def large(monkeypatch):
    """A network for which a factorisation counts as too large, and its exact null space."""
    model, inputs = mlp([4, 12, 8, 2], "relu", seed=3), inputs_of(120, 4)
    exact = eq.null_space(model, None, inputs)
    monkeypatch.setattr(jacobian_svd, "LARGEST_DENSE", 50)
    module = importlib.import_module("netgeom_widgets.kernels.equivalence.null_space")  # the name is the function's
    monkeypatch.setattr(module, "_PROBED_ROWS", 50)
    return model, inputs, exact


def test_matrix_free_against_exact(large):
    model, inputs, exact = large
    reports: list[float] = []
    space = eq.null_space(model, None, inputs, progress=Progress(lambda p: reports.append(p.fraction)))
    assert space.estimated and space.dimension is None and space.rank is None and space.stable is None
    assert reports and reports[-1] == 1 and math.isnan(space.gap)
    low, high = space.bounds
    assert 20 <= low <= exact.dimension <= high == 182 - 24  # hidden units can be rescaled
    assert space.explained["scaling"] == 20 and "unexplained" not in space.explained
    assert "bounds are given" in space.notes[1]
    np.testing.assert_allclose(space.singular_values, exact.singular_values[:16], rtol=1e-9)
    np.testing.assert_allclose(np.abs((space.row_space * exact.row_space[:16]).sum(1)), 1, atol=1e-6)
    found = space.sample(3, seed=5)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    assert space.residual(found).max() < 1e-8 and exact.residual(found).max() < 1e-8
    np.testing.assert_allclose(space.project(exact.basis[:1]), exact.basis[:1], atol=1e-7)
    for ask in (lambda: space.basis, lambda: space.directions(1)):
        with pytest.raises(TooLargeError, match=r"known only by.*sample\(k\)"):
            ask()
    assert repr(space) == f"<NullSpace of dimension {low} to {high} of 182, 120 samples>"
    with pytest.raises(NetgeomError, match="out of range"):
        space.sample(space.bounds[1] + 1)


def test_gauss_newton_planes_beyond_a_factorisation(large):
    model, inputs, exact = large
    top = eq.gauss_newton_basis(model, None, inputs, 3, directions="top")
    np.testing.assert_allclose(np.abs((top * exact.row_space[:3]).sum(1)), 1, atol=1e-8)
    null = eq.gauss_newton_basis(model, None, inputs, 2, seed=1)
    np.testing.assert_array_equal(null, eq.gauss_newton_basis(model, None, inputs, 2, seed=1))
    assert exact.residual(null).max() < 1e-8
    with pytest.raises(TooLargeError, match=r"too large to be factored.*the first 25 samples"):
        eq.trace_class(model, None, inputs, null[0], steps=1, step_size=0.1)


def test_lanczos_ends_where_a_jacobian_has_no_more_values():
    model = nn.Sequential(nn.Linear(3, 2, bias=False)).double()  # three values, each of them twice
    network = FlatNetwork(model, inputs_of(9, 3))
    jacobian = matrix_free.Jacobian(network, network.parameters, Cancel())
    values, vectors = matrix_free.top_singular_vectors(jacobian, 6, progress=Progress(), rng=np.random.default_rng(0))
    expected = np.linalg.svd(inputs_of(9, 3), compute_uv=False)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(3), atol=1e-12)
    silent = FlatNetwork(nn.Sequential(nn.Linear(3, 2, bias=False)), np.zeros((9, 3)))
    jacobian = matrix_free.Jacobian(silent, silent.parameters, Cancel())
    assert len(matrix_free.top_singular_vectors(jacobian, 2, progress=Progress(), rng=np.random.default_rng(0))[0]) == 0


# ------------------------------------------------------------------------------------------------ planes and refusals


def test_gauss_newton_planes():
    model, inputs = mlp([2, 5, 2], "relu"), inputs_of(30, 2)
    theta = parameters_of(model)
    jacobian = twin.jacobian(model, theta, inputs)
    matrix = jacobian.T @ jacobian / len(jacobian)  # of half the mean squared error
    top = eq.gauss_newton_basis(model, theta, inputs, 3, directions="top")
    eigenvalues = np.linalg.eigvalsh(matrix)[::-1][:3]
    np.testing.assert_allclose(matrix @ top.T, top.T * eigenvalues, atol=1e-12 * eigenvalues[0])
    np.testing.assert_allclose(top @ top.T, np.eye(3), atol=1e-13)
    null = eq.gauss_newton_basis(model, theta, inputs, 4)
    np.testing.assert_array_equal(null, eq.null_space(model, theta, inputs).directions(4))
    assert np.abs(jacobian @ null.T).max() < 1e-12
    free = 1 - (np.linalg.svd(jacobian, full_matrices=False)[2][: np.linalg.matrix_rank(jacobian)] ** 2).sum(0)
    assert np.abs(null[0]).argmax() == free.argmax()
    np.testing.assert_allclose(np.abs(null[0]).max(), free.max() ** 0.5, rtol=1e-9)


def test_same_question_same_bits():
    model, inputs = mlp([2, 5, 2], "relu"), inputs_of(30, 2)
    first, again = (eq.null_space(model.float(), None, inputs) for _ in range(2))
    np.testing.assert_array_equal(first.basis, again.basis)
    np.testing.assert_array_equal(first.sample(2), again.sample(2))
    assert first.settings["model"] == again.settings["model"] and first.basis.dtype == np.float64
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rtol": 0.0}, r"rtol is out of range.*between 0 and 1"),
        ({"rtol": float("nan")}, "rtol is out of range"),
        ({"parameters": np.zeros(4)}, r"do not fit the model.*\(22,\)"),
        ({"parameters": np.full(22, np.nan)}, "not finite"),
        ({"parameters": np.zeros((2, 22))}, r"Too many parameters: one is wanted.*2 rows"),
        ({"parameters": np.full(22, 1e200)}, r"derivatives are not finite.*not so large"),
        ({"inputs": np.zeros((0, 2))}, "inputs"),
        ({"inputs": np.zeros((3, 5))}, "fails on the inputs"),
    ],
)
def test_what_is_refused(changes, message):
    arguments = {"model": mlp([2, 4, 2], "relu"), "parameters": None, "inputs": inputs_of(9, 2), **changes}
    with pytest.raises(NetgeomError, match=f"(?s){message}"):
        eq.null_space(**arguments)


def test_more_directions_than_there_are():
    model, inputs = mlp([2, 4, 1], "tanh"), inputs_of(60, 2)
    space = eq.null_space(model, None, inputs)
    assert space.dimension == 0 and space.basis.shape == (0, 17)
    for ask in (space.sample, space.directions, lambda k: eq.gauss_newton_basis(model, None, inputs, k)):
        with pytest.raises(NetgeomError, match=r"no null directions.*top directions"):
            ask(1)
    with pytest.raises(NetgeomError, match="from 1 to 17"):
        eq.gauss_newton_basis(model, None, inputs, 18, directions="top")
    with pytest.raises(NetgeomError, match=r"directions is not known.*null.*top.*'both'"):
        eq.gauss_newton_basis(model, None, inputs, 1, directions="both")


def test_memory_and_cancel(monkeypatch):
    model, inputs = nn.Sequential(nn.Linear(300, 100), nn.Tanh(), nn.Linear(100, 1)), inputs_of(600, 300)
    monkeypatch.setattr(_memory, "available_bytes", lambda: 1 << 28)
    with pytest.raises(TooLargeError, match=r"The Jacobian would take 0\.4 GiB.*fewer samples"):
        eq.null_space(model, None, inputs)
    space = eq.null_space(model, None, inputs[:20])
    assert space.dimension == 30_201 - 20 and len(space.directions(2)) == 2
    assert jacobian_svd.is_dense(FlatNetwork(model, inputs)) and jacobian_svd.most_rows(109_386) == 1828
    with pytest.raises(TooLargeError, match=r"The basis of the null space.*sample\(k\) or directions\(k\)"):
        _ = space.basis
    stop = Cancel()
    stop.set()
    with pytest.raises(Cancelled):
        eq.null_space(model, None, inputs[:20], cancel=stop)
