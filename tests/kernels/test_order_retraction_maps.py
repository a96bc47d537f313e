"""Maps fitted to starts and ends: kernels/order_retraction/fitting.py and what it stands on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.order_retraction import (
    DOODL3_SETTINGS,
    CubicalGrid,
    Trajectories,
    box_images,
    choose_coordinates,
    fit_map,
    morse_decomposition,
    order_retraction,
)
from netgeom_widgets.kernels.order_retraction.hyperparameters import Hyperparameters
from netgeom_widgets.kernels.order_retraction.likelihood import Likelihood
from netgeom_widgets.kernels.order_retraction.prior_samples import PeriodicField

FOLDER = Path(__file__).parents[1] / "golden" / "order_retraction"
RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(40, 2))
Y = np.stack([np.sin(X[:, 0]) + 0.3 * X[:, 1], X[:, 0] * X[:, 1] / 2], axis=1) + 0.1 * RNG.normal(size=(40, 2))
AT = RNG.uniform(-2.5, 2.5, size=(30, 2))
FIXED = {"amplitude": 1.3, "length_scale": (0.8, 1.7), "noise": 0.02}
KERNEL = ConstantKernel(1.3**2) * RBF((0.8, 1.7)) + WhiteKernel(0.02)


def golden(name: str) -> tuple[np.ndarray, np.ndarray, dict]:
    with np.load(FOLDER / f"{name}.npz") as stored:
        return stored["X"], stored["Y"], json.loads((FOLDER / f"{name}.json").read_text())


def plane(n: int = 5) -> list[np.ndarray]:
    return [np.linspace(-2, 2, n), np.linspace(-1, 2, n + 2)]


def points(axes: list[np.ndarray]) -> np.ndarray:
    return np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)


def test_doodl3s_settings_give_the_golden_process_and_its_morse_graph():
    starts, ends, facts = golden("iris_aligned")
    found = fit_map(starts, ends, **DOODL3_SETTINGS)
    assert found.length_scale == pytest.approx([2, 2], rel=1e-9)
    assert found.noise == pytest.approx(facts["gp"]["noise"], rel=1e-6)
    assert found.log_marginal_likelihood == pytest.approx(facts["gp"]["log_marginal_likelihood"], abs=1e-8)
    with np.load(FOLDER / "iris_aligned.npz") as stored:
        assert np.allclose(found.regression.dual_weights, stored["alpha"], rtol=0, atol=1e-4)
    said = " ".join(found.warnings)
    assert "length scale ended at its upper bound 2" in said and "goes to 0" in said and "Closure" not in said
    grid = CubicalGrid(facts["lower_bounds"], facts["upper_bounds"], facts["subdivisions"])
    decomposition = morse_decomposition(box_images(found, grid, padding=True))
    assert sorted(decomposition.sizes) == sorted(facts["morse_cells"])
    assert sorted(order_retraction(decomposition).tile_sizes) == sorted(facts["cells_per_tile"])


def test_the_process_of_the_displacement_is_the_golden_one_and_has_no_recurrent_cell():
    starts, ends, facts = golden("iris_displacement_empty")
    found = fit_map(starts, ends, ard=False, amplitude=1.0, length_scale_bounds=(0.01, 1000.0))
    assert found.length_scale == pytest.approx([facts["length_scale"]] * 2, rel=1e-5)
    assert found.noise == pytest.approx(facts["noise"], rel=1e-6)
    assert found.log_marginal_likelihood == pytest.approx(facts["lml"], abs=1e-8)
    grid = CubicalGrid(facts["lower_bounds"], facts["upper_bounds"], facts["subdivisions"])
    images = box_images(found, grid, padding=True)
    assert images.n_edges == facts["n_edges"] and int(images.empty.sum()) == facts["cells_empty_image"]
    assert morse_decomposition(images).n_nodes == 0
    free = fit_map(starts, ends)
    assert free.log_marginal_likelihood > found.log_marginal_likelihood


def test_fixed_hyperparameters_give_what_scikit_learn_gives():
    oracle = GaussianProcessRegressor(KERNEL, optimizer=None).fit(X, Y)
    found = fit_map(X, Y, mean="zero", **FIXED)
    assert found.log_marginal_likelihood == pytest.approx(oracle.log_marginal_likelihood_value_, abs=1e-6)
    mean, std = oracle.predict(AT, return_std=True)
    assert np.allclose(found(AT), mean, rtol=0, atol=1e-8) and np.allclose(found.std(AT, noise=True), std, atol=1e-8)
    assert np.allclose(found.std(AT) ** 2, std**2 - 0.02, atol=1e-8)
    displaced = fit_map(X, Y, **FIXED)
    mean = AT + GaussianProcessRegressor(KERNEL, optimizer=None).fit(X, Y - X).predict(AT)
    assert np.allclose(displaced.predict(AT), mean, rtol=0, atol=1e-8)


@pytest.mark.parametrize("ard", [False, True])
def test_the_chosen_hyperparameters_are_scikit_learns(ard):
    kernel = ConstantKernel(1.0, (1e-4, 1e4)) * RBF([1.0, 1.0] if ard else 1.0, (1e-2, 1e2)) + WhiteKernel(0.1)
    oracle = GaussianProcessRegressor(kernel, n_restarts_optimizer=3, random_state=0).fit(X, Y)
    found = fit_map(X, Y, mean="zero", ard=ard, length_scale_bounds=(1e-2, 1e2))
    assert found.log_marginal_likelihood == pytest.approx(oracle.log_marginal_likelihood_value_, abs=1e-5)
    assert found.noise == pytest.approx(oracle.kernel_.k2.noise_level, rel=1e-2)
    assert found.length_scale == pytest.approx(oracle.kernel_.k1.k2.length_scale * np.ones(2), rel=2e-2)


def test_the_gradient_of_the_likelihood_by_differences():
    basis = np.concatenate([np.ones((40, 1)), X], axis=1)
    for isotropic, trend in ((True, basis[:, :0]), (False, basis)):
        likelihood = Likelihood(X, Y, trend, isotropic)
        logs = np.log([0.7, 1.4, 0.1] if isotropic else [0.7, 1.3, 2.0, 0.1])
        _, slope = likelihood(logs)
        for k, step in enumerate(1e-5 * np.eye(len(logs))):
            assert slope[k] == pytest.approx((likelihood(logs + step)[0] - likelihood(logs - step)[0]) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("mean", ["zero", "identity", "linear"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_lattice_is_its_points(mean, dims):
    rng = np.random.default_rng(dims)
    x = rng.normal(size=(25, dims))
    y = np.tanh(x) + 0.1 * rng.normal(size=(25, dims))
    axes = [np.linspace(-2, 1 + k, 4 + k) for k in range(dims)]
    for model in ("gp",) if mean == "linear" else ("gp", "knn", "linear"):
        found = fit_map(x, y, mean=mean, model=model, restarts=0)
        assert np.allclose(found.on_lattice(axes), found.predict(points(axes)), rtol=0, atol=1e-10)
        assert np.allclose(found.std_on_lattice(axes), found.std(points(axes)), rtol=0, atol=1e-7)


def test_an_affine_trend_is_universal_kriging_by_its_linear_system():
    """Weights w that reproduce affine functions and leave the least variance: Lagrange's equations, point by point."""
    found = fit_map(X, Y, mean="linear", **FIXED)
    kernel = ConstantKernel(1.3**2) * RBF((0.8, 1.7))
    basis, at_basis = (np.concatenate([np.ones((len(x), 1)), x], axis=1) for x in (X, AT))
    covariance = kernel(X) + (0.02 + 1e-10 * 1.3**2) * np.eye(40)
    system = np.block([[covariance, basis], [basis.T, np.zeros((3, 3))]])
    for point, h, mean, std in zip(AT, at_basis, found(AT), found.std(AT), strict=True):
        right = np.concatenate([kernel(X, point[None])[:, 0], h])
        solution = np.linalg.solve(system, right)
        assert np.allclose(mean, solution[:40] @ Y, atol=1e-9)
        assert std[0] ** 2 == pytest.approx(1.3**2 - solution @ right, abs=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"mean": "zero", **FIXED},
        {"mean": "identity", **FIXED},
        {"mean": "linear", **FIXED},
        {"model": "knn", "neighbours": 4},
        {"model": "linear"},
    ],
)
def test_leaving_a_run_out_is_fitting_without_it(options):
    run, step = np.arange(40) % 8, np.arange(40) // 8
    ids = tuple(zip(run.tolist(), step.tolist(), strict=True))
    found = fit_map(X, Y, run_ids=(ids, ids), **options)
    scores = found.leave_one_run_out
    for left_out in range(8):
        own = run == left_out
        others = tuple(i for i, out in zip(ids, own, strict=True) if not out)
        without = fit_map(X[~own], Y[~own], run_ids=(others, others), **options)
        assert np.allclose(scores.errors[own], Y[own] - without.predict(X[own]), atol=1e-8)
        if found.model == "gp":
            assert np.allclose(scores.std[own], without.std(X[own], noise=True)[:, 0], atol=1e-8)
        elif found.model == "linear":
            ratio = np.sqrt(found.noise / without.noise)
            assert np.allclose(scores.std[own], ratio * without.std(X[own], noise=True)[:, 0], atol=1e-8)
    assert np.allclose(scores.rmse, np.sqrt((scores.errors**2).mean(0)))
    assert 0.85 < scores.covered <= 1
    assert scores.explained == pytest.approx(1 - (scores.errors**2).sum() / ((Y - Y.mean(0)) ** 2).sum())


def test_baselines_are_scikit_learns():
    nearest = fit_map(X, Y, model="knn", mean="zero", neighbours=3)
    assert np.allclose(nearest(AT), KNeighborsRegressor(3).fit(X, Y).predict(AT))
    displaced = fit_map(X, Y, model="knn", neighbours=3)
    assert np.allclose(displaced(AT), AT + KNeighborsRegressor(3).fit(X, Y - X).predict(AT))
    affine = fit_map(X, Y, model="linear")
    oracle = LinearRegression().fit(X, Y)
    assert np.allclose(affine(AT), oracle.predict(AT)) and affine.mean == "linear"
    assert affine.noise == pytest.approx(((Y - oracle.predict(X)) ** 2).sum() / (2 * 37))
    assert nearest.length_scale is None and nearest.log_marginal_likelihood is None


def test_rows_are_matched_by_run_id_whatever_their_order():
    ids = tuple(f"run {i}" for i in range(40))
    order = np.random.default_rng(1).permutation(40)
    shuffled = fit_map(X, Y[order], run_ids=(ids, tuple(ids[i] for i in order)), **FIXED)
    assert np.array_equal(shuffled.ends, Y) and shuffled.ids == ids
    assert np.allclose(shuffled(AT), fit_map(X, Y, **FIXED)(AT))
    fit_map(X, Y, run_ids=(np.arange(40), np.arange(40)), **FIXED)
    for bad, message in (
        ((ids, ids[:-1]), "ends and their ids differ in number"),
        ((ids, (*ids[:-1], "other")), r"1 starts without end \('run 39'\), 1 ends without start \('other'\)"),
        ((ids, (*ids[:-1], ids[0])), "more than once.*1 of 40"),
        (3, "run_ids is not understood"),
    ):
        with pytest.raises(NetgeomError, match=message):
            fit_map(X, Y, run_ids=bad)


def test_the_closure_defect_tells_right_pairing_from_wrong():
    with np.load(FOLDER / "iris_trajectories.npz") as stored:
        names = tuple(f"kernel[{j}]" for j in range(6)) + tuple(f"bias[{j}]" for j in range(3))
        runs = Trajectories(stored["W"], tuple(f"run {i}" for i in range(50)), stored["epochs"], names)
    chosen = choose_coordinates(runs)
    right = runs.pairs().project(chosen)
    found = fit_map(right.starts, right.ends, run_ids=right.ids)
    assert found.closure_defect < 0.3
    assert found.closure_defect == pytest.approx(np.sqrt(found.noise / right.ends.var(0).mean()))
    assert found.displacement_defect == pytest.approx(np.sqrt(found.noise / ((right.ends - right.starts) ** 2).mean()))
    wrong = runs.pairs(pairing="listdir").project(chosen)
    shuffled = fit_map(wrong.starts, wrong.ends, mean="zero")
    assert shuffled.closure_defect > 0.8 and "finds no function of these coordinates" in " ".join(shuffled.warnings)
    lagged = runs.project(chosen).pairs(lag=50)
    several = fit_map(lagged.starts, lagged.ends, run_ids=lagged.ids, likelihood_pairs=100, restarts=0)
    assert len(lagged) == 50 * 40 and several.groups.max() == 49
    assert "chosen on 100 of 2000 pairs" in " ".join(several.warnings)
    assert several.closure_defect < several.displacement_defect


def test_waves_sum_to_the_kernel():
    parameters = Hyperparameters((0.5, 3.0), 1.7, 0.1)
    lower, upper = np.array([-2.0, 0.0]), np.array([3.0, 1.0])
    field = PeriodicField(parameters, lower, upper)
    at = np.random.default_rng(0).uniform(lower, upper, size=(50, 2))
    found = np.ones((50, 50), dtype=complex)
    for axis, (waves, power) in enumerate(zip(field.frequencies, field.powers, strict=True)):
        distance = at[:, None, axis] - at[None, :, axis]
        found *= np.exp(1j * distance[..., None] * waves) @ power
    assert np.allclose(found.real, 1.7**2 * RBF((0.5, 3.0))(at), rtol=0, atol=1e-11)
    with pytest.raises(TooLargeError, match="too rough"):
        PeriodicField(Hyperparameters((1e-4, 1e-4), 1.0, 0.1), lower, upper)


@pytest.mark.parametrize("options", [{"mean": "identity"}, {"mean": "linear"}, {"model": "linear"}])
def test_drawn_maps_have_the_posteriors_mean_and_covariance(options):
    found = fit_map(X, Y, **({} if "model" in options else FIXED), **options)
    drawn = found.sample(200, seed=3, lower=np.array([-3.0, -3.0]), upper=np.array([3.0, 3.0]))
    at = np.array([[0.0, 0.0], [0.3, 0.1], [2.4, 2.4], [-2.4, 2.0]])
    values = np.stack([one(at) for one in drawn])
    std = found.std(at)
    assert (np.abs(values.mean(0) - found(at)) < 4 * std / np.sqrt(200)).all()
    assert np.allclose(values.std(0), std, rtol=0.2)
    if options == {"mean": "identity"}:  # the joint covariance at several points, by conditioning
        kernel = ConstantKernel(1.3**2) * RBF((0.8, 1.7))
        cross = kernel(at, X)
        exact = kernel(at) - cross @ np.linalg.solve(kernel(X) + 0.02 * np.eye(40), cross.T)
        assert (np.abs(np.cov(values[:, :, 0].T) - exact) < 0.25 * np.outer(std[:, 0], std[:, 0])).all()
    assert np.abs(np.corrcoef(values[:, :, 0].T, values[:, :, 1].T)[:4, 4:]).max() < 0.25, "coordinates independent"
    first = drawn[0]
    assert np.allclose(first.on_lattice(plane()), first(points(plane())), rtol=0, atol=1e-9)
    again = found.sample(2, seed=3, lower=np.array([-3.0, -3.0]), upper=np.array([3.0, 3.0]))
    assert np.array_equal(again[1](at), drawn[1](at)) and not np.allclose(drawn[0](at), drawn[1](at))
    with pytest.raises(NetgeomError, match="outside the box"):
        first(np.array([[0.0, 4.0]]))
    assert box_images(first, CubicalGrid(first.lower, first.upper, 6)).first.shape == (64, 2)


def test_constant_ends_and_an_exact_identity_are_maps_too():
    constant = fit_map(X, np.ones((40, 2)))
    assert np.allclose(constant(AT), 1, atol=0.05) and np.isnan(constant.closure_defect)
    assert "All ends are the same" in " ".join(constant.warnings)
    still = fit_map(X, X)
    assert np.allclose(still(AT), AT, atol=1e-4) and still.noise < 1e-10
    flat = fit_map(np.stack([X[:, 0], np.zeros(40)], axis=1), Y)
    assert "All starts are equal on axis 1" in " ".join(flat.warnings) and np.isfinite(flat(AT)).all()
    twice = fit_map(np.concatenate([X, X]), np.concatenate([Y, Y + 0.1]))
    assert np.isfinite(twice(AT)).all() and twice.noise > 1e-3
    few = fit_map(X[:3], Y[:3])
    assert np.isfinite(few(AT)).all() and "Only 3 pairs" in " ".join(few.warnings)


def test_units_do_not_matter():
    small, large = fit_map(X, Y), fit_map(1e6 * X, 1e6 * Y)
    assert large.closure_defect == pytest.approx(small.closure_defect, rel=1e-3)
    assert large.length_scale == pytest.approx(1e6 * small.length_scale, rel=1e-2)
    assert np.allclose(large(1e6 * AT), 1e6 * small(AT), rtol=0, atol=1e3)


def test_what_cannot_be_a_map_is_refused():
    broken = Y.copy()
    broken[3, 1] = np.nan
    line = np.stack([X[:, 0], 2 * X[:, 0]], axis=1)
    found = fit_map(X, Y, **FIXED)
    one_run = tuple(("a", i) for i in range(40))
    for bad, message in (
        (lambda: fit_map(X, broken), "ends are not finite.*1 of 40 rows, first row 3"),
        (lambda: fit_map(X[:1], Y[:1]), "Too few pairs"),
        (lambda: fit_map(X, Y[:-1]), "differ in number"),
        (lambda: fit_map(X, Y[:, :1]), "do not fit each other"),
        (lambda: fit_map(np.zeros((5, 2)), Y[:5]), "All starts are the same"),
        (lambda: fit_map(X, Y, mean="median"), "mean is not known"),
        (lambda: fit_map(X, Y, model="forest"), "model is not known"),
        (lambda: fit_map(X, Y, length_scale_bounds=(2.0, 1.0)), "no bounds"),
        (lambda: fit_map(X, Y, noise=-1.0), "noise is no size"),
        (lambda: fit_map(line, Y, model="linear"), "do not determine an affine map"),
        (lambda: fit_map(line, Y, mean="linear"), "do not determine an affine map"),
        (lambda: fit_map(X, Y, model="knn", mean="linear"), "no linear mean"),
        (lambda: fit_map(X, Y, model="knn", neighbours=40), "neighbours is out of range"),
        (lambda: fit_map(X, Y, model="knn", run_ids=(one_run, one_run)), "at least 2 runs"),
        (lambda: fit_map(X, Y, model="knn").sample(1), "no posterior"),
        (lambda: fit_map(X, Y, model="knn", neighbours=1).std(AT), "no spread"),
        (lambda: fit_map(X, Y, run_ids=(one_run, one_run), **FIXED).leave_one_run_out, "without the run"),
        (lambda: found.predict(AT[:, :1]), "no points of the map"),
        (lambda: found.sample(1, lower=np.array([1.0, 1.0]), upper=np.array([0.0, 2.0])), "no box"),
        (lambda: fit_map(np.zeros((6001, 1)) + np.arange(6001)[:, None], np.zeros((6001, 1))), "Too many pairs"),
    ):
        with pytest.raises(NetgeomError, match=message):
            bad()


def test_progress_is_reported_and_a_stop_is_obeyed():
    seen = []
    fit_map(X, Y, progress=Progress(lambda report: seen.append(report.fraction)), restarts=0)
    assert seen[0] == 0 and seen[-1] == 1
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        fit_map(X, Y, cancel=cancel)
