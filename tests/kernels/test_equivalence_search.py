"""kernels/equivalence/search.py: every start ends in an honest status, and members are members."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.equivalence import Elements, find_elements, levenberg_marquardt
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.starts import initial_parameters
from tests.kernels.equivalence_models import LeNet, lenet_inputs, mlp, parameters_of
from tests.reference import equivalence as reference

_X = torch.randn(60, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
_TANH = mlp((2, 3, 1), "tanh", seed=3)


def _is_honest(found: Elements, model: nn.Module, inputs, targets=None) -> None:
    """Loss and status of every element by the definition, one sample at a time."""
    if targets is None:
        targets = reference.outputs(model, parameters_of(model), inputs)
    for theta, loss, r, status in zip(found.parameters, found.loss, found.relative_loss, found.status, strict=True):
        expected = reference.loss(model, theta, inputs, targets)
        assert loss**0.5 == pytest.approx(expected**0.5, rel=1e-9, abs=1e-14)
        assert r == pytest.approx(loss / reference.variance(targets), rel=1e-12)
        assert (status == "converged") == (r <= found.settings["tolerance"])


@given(
    st.sampled_from([((1, 2, 1), "relu"), ((2, 3, 1), "tanh"), ((2, 2, 2), "relu"), ((3, 4, 2, 1), "tanh")]),
    st.booleans(),
    st.integers(0, 50),
    st.sampled_from([1, 5, 30]),
)
def test_members_are_members_and_others_are_not(architecture, bias, seed, n_samples):
    sizes, activation = architecture
    model = mlp(sizes, activation, bias, seed=seed)
    inputs = torch.randn(n_samples, sizes[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    targets = np.sin(3 * inputs[:, :1].numpy() + np.arange(sizes[-1])) + np.arange(n_samples)[:, None]
    if n_samples == 1:
        with pytest.raises(NetgeomError, match="constant"):
            find_elements(model, inputs, targets, 3, max_iterations=20)
        return
    found = find_elements(model, inputs, targets, 3, max_iterations=40, tolerance=1e-6, seed=seed)
    _is_honest(found, model, inputs, targets)
    assert (np.diff(found.history, axis=1)[np.isfinite(found.history[:, 1:])] <= 0).all()  # it never climbs
    assert (np.isfinite(found.history).sum(1) >= 1).all()
    ends = found.history_iterations[np.isfinite(found.history).cumsum(1).argmax(1)]
    assert (ends <= found.iterations).all() and (found.iterations <= 40).all()


def test_a_tanh_teacher_is_found_again_to_the_last_digit():
    found = find_elements(_TANH, _X, None, 32, seed=2)
    _is_honest(found, _TANH, _X)
    assert found.counts()["converged"] >= 20
    assert found.relative_loss[found.is_member].max() <= 1e-20 < found.relative_loss[~found.is_member].min()
    assert found.zero_loss > found.constant_loss == found.variance
    assert (found.gradient_norm[found.status == "local_minimum"] < 1e-8).all()
    assert (found.dead_units == 0).all() and found.n_samples == 60
    assert found.start.shape == found.parameters.shape == (32, 13)
    assert found.converged.shape == (found.counts()["converged"], 13)
    assert found.table()["status"].tolist() == found.status.tolist()
    assert "converged" in repr(found)


def test_scipy_reaches_minima_no_more_often():
    """The same starts through MINPACK's Levenberg-Marquardt, with Jacobians by the definition."""
    found = find_elements(_TANH, _X[:30], None, 8, seed=4)
    targets = reference.outputs(_TANH, parameters_of(_TANH), _X[:30])
    network = FlatNetwork(_TANH, _X[:30])

    def residuals(theta: np.ndarray) -> np.ndarray:
        return (network.outputs(torch.from_numpy(theta)).T.numpy() - targets)[:, 0]

    def jacobian(theta: np.ndarray) -> np.ndarray:
        return network.jacobian(torch.from_numpy(theta)[None])[1][0, :, 0].T.numpy()

    assert np.allclose(jacobian(found.start[0]), reference.jacobian(_TANH, found.start[0], _X[:30]), atol=1e-13)
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 500}
    theirs = [scipy.optimize.least_squares(residuals, start, jacobian, method="lm", **tight) for start in found.start]
    members = sum(2 * result.cost / 30 / found.variance < 1e-15 for result in theirs)
    assert members >= 2 and found.counts()["converged"] >= 0.8 * members


def test_seeds_widths_and_numbers_of_starts_do_not_matter(monkeypatch):
    found = find_elements(_TANH, _X, None, 8, seed=5, max_iterations=150)
    again = find_elements(_TANH, _X, None, 8, seed=5, max_iterations=150)
    assert np.array_equal(found.parameters, again.parameters) and np.array_equal(found.status, again.status)
    few = find_elements(_TANH, _X, None, 4, seed=5, max_iterations=2)
    assert np.array_equal(few.start, found.start[:4])
    assert len(np.unique(found.start, axis=0)) == 8
    monkeypatch.setattr(levenberg_marquardt, "_WIDEST", 3)
    narrow = find_elements(_TANH, _X, None, 8, seed=5, max_iterations=150)
    assert np.array_equal(narrow.status, found.status)
    settled = np.isin(found.status, ("converged", "local_minimum"))
    assert np.allclose(narrow.parameters[settled], found.parameters[settled], rtol=1e-4, atol=1e-5)
    drawn = find_elements(_TANH, _X, None, 2, seed=np.random.default_rng(0), max_iterations=1)
    assert drawn.settings["seed"] == int(np.random.default_rng(0).integers(1 << 62))


def test_starts_are_the_modules_own_and_leave_the_random_state_alone():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3)
            self.scale, self.table = nn.Parameter(torch.full((9,), 7.0)), nn.Parameter(torch.full((2, 25), 7.0))

    state = torch.get_rng_state()
    rows = torch.stack(list(initial_parameters(model := Odd(), iter(range(200)))))

    state = torch.get_rng_state()
    list(initial_parameters(model, iter([1, 2])))
    assert torch.equal(torch.get_rng_state(), state)
    named = dict(
        zip(
            [name for name, _ in model.named_parameters()],
            rows.split([p.numel() for p in model.parameters()], 1),
            strict=True,
        )
    )
    for name, bound in {"linear.weight": 0.5, "linear.bias": 0.5, "scale": 1 / 3, "table": 0.2}.items():
        assert 0.95 * bound < named[name].abs().max() <= bound, name
    assert bool((named["norm.weight"] == 1).all()) and bool((named["norm.bias"] == 0).all())


def test_a_module_that_does_not_initialise_itself_is_refused_by_name():
    class Stubborn(nn.Linear):
        def reset_parameters(self, gain: float | None = None) -> None:
            if hasattr(self, "built"):
                raise RuntimeError("only once")
            self.built = True
            super().reset_parameters()

    model = nn.Sequential(Stubborn(2, 2), nn.Linear(2, 1))
    with pytest.raises(NetgeomError, match=r"0 does not initialise itself \(RuntimeError: only once\)"):
        find_elements(model, _X, None, 1)
    assert len(find_elements(model, _X, None, 1, start=np.ones((1, 9)), max_iterations=2)) == 1


def test_a_start_in_the_class_is_converged_at_once_and_a_dead_one_dead():
    relu = mlp((2, 4, 1), "relu", seed=3)
    theta = parameters_of(relu)
    dead = theta.copy()
    dead[8:12] = -100.0  # the biases of all hidden units
    one_dead = theta.copy()
    one_dead[8] = -100.0
    found = find_elements(relu, _X, None, 3, start=np.stack([theta, dead, one_dead]))
    assert found.status[:2].tolist() == ["converged", "dead"]
    assert found.iterations[0] == 0 and found.dead_units[:2].tolist() == [0, 4]
    assert found.relative_loss[1] == pytest.approx(1)  # its bias still learns the mean
    assert found.status[2] != "converged" and found.dead_units[2] >= 1
    assert np.isnan(found.history[0, 1:]).all() and found.history[0, 0] < 1e-28 > found.relative_loss[0]


def test_more_parameters_than_numbers_to_fit():
    wide = mlp((2, 30, 2), "tanh", seed=2)
    found = find_elements(wide, _X[:7], np.arange(14.0).reshape(7, 2) ** 1.5, 8)
    assert found.counts() == {"converged": 8}
    _is_honest(found, wide, _X[:7], np.arange(14.0).reshape(7, 2) ** 1.5)


def test_the_published_lenet_never_counts_the_zero_function_as_found():
    model = LeNet().double()
    images = lenet_inputs(24).double()
    targets = np.maximum(images.numpy().mean((1, 2, 3)), 0)
    theta = parameters_of(model)
    theta[-1] = -100.0  # the bias under the last ReLU
    found = find_elements(model, images, targets, 1, start=theta[None], max_iterations=3)
    assert found.status.tolist() == ["dead"] and found.dead_units.tolist() == [-1]
    assert found.relative_loss[0] == pytest.approx(found.zero_loss / found.variance) and found.relative_loss[0] > 1
    assert found.gradient_norm[0] == 0


def test_elements_come_one_by_one_and_survive_a_cancel():
    cancel, seen = Cancel(), []

    def on_element(element):
        seen.append(element)
        if len(seen) == 5:
            cancel.set()

    progress = Progress()
    with pytest.raises(Cancelled):
        find_elements(_TANH, _X, None, 200, on_element=on_element, cancel=cancel, progress=progress)
    assert 5 <= len(seen) < 100 and len(seen) <= progress.done < 200 and "starts settled" in progress.text
    assert len({element.index for element in seen}) == len(seen)
    whole = []
    found = find_elements(_TANH, _X, None, 6, on_element=whole.append, max_iterations=100)
    for element in whole:
        assert np.array_equal(element.parameters, found.parameters[element.index])
        assert element.status == found.status[element.index] and element.status in repr(element)
        assert np.array_equal(element.history, found.history[element.index], equal_nan=True)


def test_saved_and_loaded(tmp_path):
    found = find_elements(_TANH, _X, None, 5, max_iterations=60)
    found.save(path := tmp_path / "found.npz")
    back = Elements.load(path)
    assert list(tmp_path.iterdir()) == [path] and back.settings == found.settings
    for name in ("parameters", "status", "history", "history_iterations", "start", "dead_units", "zero_loss"):
        assert np.array_equal(getattr(back, name), getattr(found, name), equal_nan=name == "history"), name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(NetgeomError, match="holds no elements"):
        Elements.load(path)
    np.savez(path, parameters=np.zeros((2, 3)))
    with pytest.raises(NetgeomError, match="holds no elements"):
        Elements.load(path)
    found.status[:] = "converged"
    found.relative_loss[:] = 0.5
    found.save(path)
    with pytest.raises(NetgeomError, match="called converged"):
        Elements.load(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 0}, "n is out of range"),
        ({"method": "lm"}, "method is not known"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"seed": -1}, "seed"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"start": np.zeros((2, 5))}, "starts do not fit"),
        ({"start": np.zeros((1, 13))}, "n does not fit"),
        ({"start": np.full((2, 13), np.nan)}, "not finite"),
        ({"targets": np.ones(60)}, "constant"),
        ({"targets": np.ones(59)}, "do not fit"),
    ],
)
def test_refusals(change, words):
    arguments = {"model": _TANH, "inputs": _X, "targets": None, "n": 2} | change
    with pytest.raises(NetgeomError, match=words):
        find_elements(**arguments)


def test_a_jacobian_beyond_its_budget_is_refused_before_it_is_made():
    large = nn.Sequential(nn.Linear(2, 30_000), nn.ReLU(), nn.Linear(30_000, 1))
    with pytest.raises(TooLargeError, match="adam"):
        find_elements(large, np.random.default_rng(0).normal(size=(2000, 2)), None, 1)
