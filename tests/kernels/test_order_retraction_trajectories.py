"""Trajectories, pairs and coordinates: kernels/order_retraction/{trajectories,coordinates}.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction import Trajectories, choose_coordinates, domain

FOLDER = Path(__file__).parents[1] / "golden" / "order_retraction"
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(4, 5, 3))
RUNS = ("b", "a", "d", "c")


def runs(values: np.ndarray = VALUES, ids=RUNS, steps=(0, 2, 4, 6, 7), names=("w[0]", "w[1]", "bias[0]")):
    return Trajectories(values, ids, np.array(steps), names)


def iris() -> Trajectories:
    with np.load(FOLDER / "iris_trajectories.npz") as stored:
        names = [f"kernel[{j}]" for j in range(6)] + [f"bias[{j}]" for j in range(3)]
        return Trajectories(stored["W"], [f"run {i}" for i in range(50)], stored["epochs"], names)


def test_pairs_of_two_positions_belong_to_one_run_each():
    found = runs().pairs(1, -1)
    assert np.array_equal(found.starts, VALUES[:, 1]) and np.array_equal(found.ends, VALUES[:, 4])
    assert found.run_ids == found.end_run_ids == RUNS and len(found) == 4
    assert found.start_steps.tolist() == [2] * 4 and found.end_steps.tolist() == [7] * 4
    assert found.ids == (tuple((run, 2) for run in RUNS),) * 2
    assert runs().position(6) == 3


def test_pairs_of_a_lag_by_brute_force_on_an_uneven_schedule():
    steps = (0, 2, 4, 6, 7)
    for lag in (1, 2, 3, 4, 5, 7):
        found = runs().pairs(lag=lag)
        expected = [(r, i, j) for r in range(4) for i in range(5) for j in range(5) if steps[j] - steps[i] == lag]
        assert [(run, s, e) for run, s, e in zip(found.run_ids, found.start_steps, found.end_steps, strict=True)] == [
            (RUNS[r], steps[i], steps[j]) for r, i, j in expected
        ]
        assert np.array_equal(found.starts, [VALUES[r, i] for r, i, _ in expected])
        assert np.array_equal(found.ends, [VALUES[r, j] for r, _, j in expected])
    assert set(runs().pairs(1, lag=2).start_steps.tolist()) == {2, 4}
    assert set(runs().pairs(1, 2, lag=2).end_steps.tolist()) == {4}


def test_mispaired_ends_are_those_of_other_runs_and_say_so():
    found = runs().pairs(pairing="listdir", seed=1)
    assert found.pairing == "listdir" and found.ids is None and found.run_ids == RUNS
    assert sorted(found.end_run_ids) == sorted(RUNS) and found.end_run_ids != RUNS
    for row, run in enumerate(found.end_run_ids):
        assert np.array_equal(found.ends[row], VALUES[RUNS.index(run), -1])
    assert runs().pairs(pairing="listdir", seed=1).end_run_ids == found.end_run_ids


def test_trajectories_that_do_not_fit_are_refused():
    for bad, message in (
        (lambda: runs(VALUES[0]), "do not fit their labels"),
        (lambda: runs(ids=("a", "b")), r"expected|2 run ids"),
        (lambda: runs(ids=("a", "b", "a", "b")), "more than once.*2 of 4"),
        (lambda: runs(steps=(0, 2, 2, 6, 7)), "do not increase"),
        (lambda: runs().pairs(3, 2), "not after the start"),
        (lambda: runs().pairs(0, 5), "end is no position"),
        (lambda: runs().pairs(lag=10), r"10 apart.*lag=1, 2"),
        (lambda: runs().pairs(lag=0), "0 apart"),
        (lambda: runs().pairs(lag=2, pairing="listdir"), "mispaired between two runs"),
        (lambda: runs(VALUES[:1], ("a",)).pairs(pairing="listdir"), "at least 2 runs"),
        (lambda: runs().pairs(pairing="rows"), "pairing is not known"),
        (lambda: runs().position(3), "Step 3 was not recorded"),
    ):
        with pytest.raises(NetgeomError, match=message):
            bad()


def test_a_run_that_diverged_is_named_and_stops_only_what_needs_it():
    values = VALUES.copy()
    values[2, 4, 1] = np.nan
    broken = runs(values)
    with pytest.raises(NetgeomError, match=r"nan in 'w\[1\]' of run 'd' at step 7"):
        broken.pairs()
    assert np.array_equal(broken.pairs(0, 3).ends, values[:, 3])
    chosen = broken.project(choose_coordinates(broken, ["w[0]", "bias[0]"]))
    assert np.array_equal(chosen.pairs().ends, values[:, 4][:, [0, 2]]), (
        "a weight that is not looked at does not matter"
    )
    with pytest.raises(NetgeomError, match="final values are not all finite"):
        choose_coordinates(broken)


def test_the_rule_on_spread_finds_the_two_weights_of_the_golden_case():
    trajectories = iris()
    found = choose_coordinates(trajectories)
    assert found.names == ("kernel[3]", "kernel[0]") and found.kind == "largest_spread"
    spread = trajectories.values[:, -1, :6].std(0)
    assert spread[3] < spread[0] and spread[3] > np.delete(spread, [0, 3]).max()
    least = choose_coordinates(trajectories, "smallest_spread", 3)
    order = np.argsort(spread)[:3]
    assert least.names == tuple(f"kernel[{j}]" for j in order)
    variance = trajectories.values[:, -1].var(0)
    assert np.allclose(least.explained, variance[order] / variance.sum())
    with_bias = choose_coordinates(trajectories, "smallest_spread", 9, exclude=())
    assert set(with_bias.names) == set(trajectories.names) and with_bias.explained.sum() == pytest.approx(1)
    pairs = trajectories.pairs().project(found)
    assert np.array_equal(pairs.ends, trajectories.values[:, -1][:, [3, 0]]) and pairs.names == found.names


@pytest.mark.parametrize("kind", ["pca_final", "pca_all", "pca_displacement"])
def test_principal_axes_against_the_covariance_matrix(kind):
    values = iris().values
    cloud = {
        "pca_final": values[:, -1],
        "pca_all": values.reshape(-1, 9),
        "pca_displacement": values[:, -1] - values[:, 0],
    }[kind]
    found = choose_coordinates(iris(), kind, 2)
    eigenvalues, axes = np.linalg.eigh(np.cov(cloud.T, bias=True))
    assert np.allclose(found.explained, eigenvalues[::-1][:2] / eigenvalues.sum())
    assert np.allclose(np.abs(np.sum(found.matrix * axes[:, ::-1][:, :2], axis=0)), 1)
    assert np.allclose(found.matrix.T @ found.matrix, np.eye(2))
    assert (found.matrix[np.abs(found.matrix).argmax(0), [0, 1]] > 0).all()
    assert np.allclose(found.apply(values), (values - found.offset) @ found.matrix)


def test_leading_axes_of_many_values_are_those_of_all():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 90, 520)) * np.linspace(3, 1, 520)
    found = choose_coordinates(
        Trajectories(values, tuple("abcdef"), np.arange(90), tuple(f"w[{j}]" for j in range(520))), "pca_all"
    )
    cloud = values.reshape(-1, 520)
    _, singular, axes = np.linalg.svd(cloud - cloud.mean(0), full_matrices=False)
    assert np.allclose(found.explained, singular[:2] ** 2 / (singular**2).sum())
    assert np.allclose(np.abs((found.matrix.T * axes[:2]).sum(1)), 1)


def test_coordinates_that_are_not_there_are_refused():
    trajectories, same = runs(), runs(names=("w", "w", "b"))
    for bad, message in (
        (lambda: choose_coordinates(trajectories, "umap"), "kind is not known"),
        (lambda: choose_coordinates(trajectories, ["w[5]"]), r"no dimension 'w\[5\]'"),
        (lambda: choose_coordinates(trajectories, [3]), "no dimension 3"),
        (lambda: choose_coordinates(trajectories, [1, 1]), "must differ"),
        (lambda: choose_coordinates(same, ["w"]), "name of several"),
        (lambda: choose_coordinates(trajectories, dims=3), r"Too few dimensions.*2 of 3"),
        (lambda: choose_coordinates(trajectories, dims=4), "dims is out of range"),
        (lambda: choose_coordinates(runs(VALUES[:2], RUNS[:2]), "pca_final", 3), "fewer principal axes"),
        (lambda: choose_coordinates(runs(VALUES[:1], ["a"])), "One run has no spread"),
        (lambda: choose_coordinates(trajectories).apply(np.ones((2, 2))), "do not fit the coordinates"),
    ):
        with pytest.raises(NetgeomError, match=message):
            bad()
    assert choose_coordinates(trajectories, "w[1]").names == choose_coordinates(trajectories, [1]).names == ("w[1]",)
    constant = choose_coordinates(runs(np.ones((4, 5, 3))), "pca_final", 1)
    assert constant.explained.tolist() == [0.0]


def test_the_domain_holds_starts_and_ends_with_a_margin():
    pairs = runs().pairs()
    lower, upper = domain(pairs.starts, pairs.ends)
    both = np.concatenate([pairs.starts, pairs.ends])
    assert np.array_equal(lower, both.min(0) - 0.5) and np.array_equal(upper, both.max(0) + 0.5)
    for bad in (domain, lambda: domain(both, both[:, :2]), lambda: domain(both[:1], margin=0.0)):
        with pytest.raises(NetgeomError):
            bad()
    with pytest.raises(NetgeomError, match="finite"):
        domain(np.array([[np.nan, 1.0]]))


def test_labels_may_be_left_out():
    runs = Trajectories(np.zeros((2, 3, 2)))
    assert (runs.run_ids, runs.steps.tolist(), runs.names) == (("0", "1"), [0, 1, 2], ("x0", "x1"))
    with pytest.raises(NetgeomError, match="do not fit their labels"):
        Trajectories(np.zeros((2, 3)))
