"""kernels/equivalence/class_trace.py: curves of parameters with the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels import _memory
from netgeom_widgets.kernels import equivalence as eq
from tests.kernels.equivalence_models import golden, mlp, parameters_of
from tests.kernels.test_equivalence_slices import problem
from tests.reference import equivalence as twin


def inputs_of(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, width))


def assert_curve(trace: eq.Trace, model, inputs, start, step_size: float) -> None:
    """All points have the outputs of the first, by the twin, and the record fits them."""
    n = len(trace.step_lengths)
    assert trace.parameters.shape == (n + 1, np.size(start)) and trace.corrections.shape == (n,)
    assert trace.residual.shape == trace.dimension.shape == (n + 1,)
    np.testing.assert_array_equal(trace.parameters[0], start)
    expected = twin.outputs(model, start, inputs)
    for point, residual in zip(trace.parameters[:: max(1, n // 5)], trace.residual[:: max(1, n // 5)], strict=True):
        found = twin.outputs(model, point, inputs)
        assert np.square(found - expected).mean() / twin.variance(expected) <= 1e-19
        assert residual <= 1e-20
    moves = np.diff(trace.parameters, axis=0)
    lengths = np.linalg.norm(moves, axis=1)
    assert (np.sign(trace.step_lengths) == np.sign(step_size)).all()
    assert (np.abs(trace.step_lengths) <= abs(step_size)).all()
    assert (lengths <= 2 * np.abs(trace.step_lengths)).all() and (lengths >= np.abs(trace.step_lengths) / 4).all()
    assert np.isclose(trace.length, lengths.sum())


def test_the_hyperbola_to_both_sides():
    case = golden("hyperbola_0")
    model, x, start = mlp([1, 1, 1], "relu", False), case["x"][:, None], np.ones(2)
    there = eq.trace_class(model, start, x, [3.0, 0.0], steps=200, step_size=0.05)
    back = eq.trace_class(model, start, x, [3.0, 0.0], steps=200, step_size=-0.05)
    for trace, size in ((there, 0.05), (back, -0.05)):
        assert_curve(trace, model, x, start, size)
        assert np.abs(trace.parameters.prod(1) - 1).max() <= 1e-12
        assert (trace.dimension == 1).all() and len(trace.parameters) == 201 and trace.stopped == ""
        np.testing.assert_allclose(np.abs(trace.step_lengths), 0.05)
        assert trace.corrections.max() <= 4
    assert (np.diff(there.parameters[:, 0]) > 0).all() and (np.diff(back.parameters[:, 0]) < 0).all()
    np.testing.assert_allclose(there.parameters[:, ::-1], back.parameters, atol=1e-11)  # w and a change places
    assert repr(there) == f"<Trace of 201 points, length {there.length:.4g}>"
    assert there.settings["step_size"] == 0.05 and there.settings["n_samples"] == 64


def test_a_singular_start():
    """Seven null directions at the reducible net, four that lead on."""
    case = golden("reducible_tanh_0")
    model, theta, inputs = mlp([2, 6, 1], "tanh"), case["theta"], case["x"]
    direction = np.random.default_rng(1).standard_normal(25)
    for size in (0.05, -0.05):
        trace = eq.trace_class(model, theta, inputs, direction, steps=40, step_size=size)
        assert trace.stopped == "" and trace.dimension[0] == 7 and (trace.dimension[1:] == 4).all()
        assert_curve(trace, model, inputs, theta, size)
        assert np.sqrt(trace.residual).max() < 2.3e-13 and trace.length > 1
        assert np.abs(trace.step_lengths).min() < 0.05 == np.abs(trace.step_lengths[-1])
    # Incoming weights of a unit that leads nowhere: a straight line, on which nothing has to be corrected.
    outgoing = theta[18:24]
    direction = np.zeros(25)
    direction[2 * int(np.flatnonzero(outgoing == 0)[0])] = 1
    trace = eq.trace_class(model, theta, inputs, direction, steps=10, step_size=0.5)
    assert (trace.dimension == 7).all() and (trace.corrections == 0).all()
    np.testing.assert_allclose(trace.parameters[-1] - theta, 5 * direction, atol=1e-12)


@given(
    hidden=st.integers(1, 4),
    activation=st.sampled_from(["relu", "id"]),
    bias=st.booleans(),
    size=st.sampled_from([0.03, -0.1]),
    seed=st.integers(0, 50),
)
def test_random_networks(hidden, activation, bias, size, seed):
    model, inputs = mlp([2, hidden, 2], activation, bias, seed=seed), inputs_of(30, 2, seed)
    theta = parameters_of(model)
    direction = eq.null_space(model, None, inputs).sample(1, seed=seed)[0]
    trace = eq.trace_class(model, None, inputs, direction, steps=8, step_size=size)
    assert_curve(trace, model, inputs, theta, size)
    assert trace.stopped == "" and (trace.dimension >= hidden).all()
    if not trace.corrections.any():
        np.testing.assert_allclose(trace.parameters[-1] - theta, 8 * size * direction, atol=1e-9)


@pytest.mark.parametrize("name", ["conv", "tied"])
def test_other_modules_and_few_samples(name):
    model, inputs, _, theta, rng = problem(name, n=2)  # fewer outputs than parameters
    trace = eq.trace_class(model, theta, inputs, rng.standard_normal(theta.size), steps=5, step_size=0.1)
    assert_curve(trace, model, inputs, theta, 0.1)
    assert trace.stopped == "" and (trace.dimension > 0).all()


def test_long_steps_are_halved_and_grow_back():
    model, inputs = mlp([2, 3, 1], "tanh", seed=4), inputs_of(9, 2)
    direction = np.random.default_rng(0).standard_normal(13)
    trace = eq.trace_class(model, None, inputs, direction, steps=6, step_size=20.0)
    assert_curve(trace, model, inputs, parameters_of(model), 20.0)
    ratios = np.log2(20 / trace.step_lengths)
    np.testing.assert_array_equal(ratios, ratios.round())
    assert ratios.max() > 0 and (np.diff(ratios) >= -1).all()


def test_curves_end_where_there_is_no_way_on():
    inputs = inputs_of(60, 2)
    alone = eq.trace_class(mlp([2, 3, 1], "tanh"), None, inputs, np.ones(13), steps=5, step_size=0.1)
    assert alone.stopped == "the null space is empty: to first order the point is alone in its class"
    assert alone.parameters.shape == (1, 13) and alone.dimension.tolist() == [0] and alone.length == 0
    assert alone.residual.tolist() == [0] and "stopped: the null space is empty" in repr(alone)
    model = mlp([2, 3, 1], "relu", seed=2)
    across = np.linalg.svd(twin.jacobian(model, parameters_of(model), inputs))[2][0]  # moves the outputs most
    trace = eq.trace_class(model, None, inputs, across, steps=5, step_size=0.1)
    assert trace.stopped == "the direction has no part in the null space" and len(trace.parameters) == 1
    # Two equal units, moved against each other: null to first order, outside the class to second.
    twins = mlp([1, 2, 1], "tanh", False, theta=[0.8, 0.8, 1, 1])
    trace = eq.trace_class(twins, None, inputs[:, :1], [1.0, -1, 0, 0], steps=5, step_size=0.1)
    assert trace.stopped and trace.dimension[0] == 2 and trace.length < 1e-4


def test_progress_and_cancel():
    model, inputs = mlp([2, 3, 1], "relu"), inputs_of(30, 2)
    reports: list[float] = []
    cancel = Cancel()

    def listen(progress):
        reports.append(progress.done)
        if progress.done == 3:
            cancel.set()

    arguments = (model, None, inputs, np.ones(13))
    with pytest.raises(Cancelled):
        eq.trace_class(*arguments, steps=10, step_size=0.1, progress=Progress(listen), cancel=cancel)
    assert reports == [0, 1, 2, 3]
    first, again = (eq.trace_class(*arguments, steps=10, step_size=0.1) for _ in range(2))
    np.testing.assert_array_equal(first.parameters, again.parameters)
    assert torch.equal(nn.utils.parameters_to_vector(model.parameters()), torch.as_tensor(parameters_of(model)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, r"steps is out of range.*1 to 100000"),
        ({"step_size": 0.0}, r"step_size is out of range.*other than 0"),
        ({"step_size": float("inf")}, "step_size is out of range"),
        ({"rtol": 2.0}, r"rtol is out of range.*between 0 and 1"),
        ({"direction": np.zeros(13)}, "The direction is zero"),
        ({"direction": np.ones(4)}, r"directions do not fit.*\(13,\)"),
        ({"direction": np.full(13, np.nan)}, "not finite"),
        ({"direction": np.ones((2, 13))}, r"Too many directions: one is wanted.*2 rows"),
        ({"parameters": np.zeros(13)}, "constant"),
    ],
)
def test_what_is_refused(changes, message):
    arguments = {"parameters": None, "inputs": inputs_of(9, 2), "direction": np.ones(13), "steps": 2, "step_size": 0.1}
    with pytest.raises(NetgeomError, match=f"(?s){message}"):
        eq.trace_class(mlp([2, 3, 1], "relu"), **arguments | changes)


def test_a_curve_too_long_for_memory(monkeypatch):
    monkeypatch.setattr(_memory, "available_bytes", lambda: 1 << 20)
    model = nn.Sequential(nn.Linear(1000, 1))
    with pytest.raises(TooLargeError, match=r"The curve would take 0\.7 GiB.*fewer steps"):
        eq.trace_class(model, None, np.ones((2, 1000)), np.ones(1001), steps=100_000, step_size=1.0)
