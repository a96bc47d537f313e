"""The similarity kernel and its slow twin against cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.kernels import similarity as sim
from tests.kernels import similarity_golden as golden
from tests.reference import similarity as twin

SCALARS = {"trace": "k_trace", "frobenius": "k_fro", "nuclear": "k_nuc", "rotation": "k_rot2", "flat": "k_flatcos"}


@pytest.fixture(scope="module", params=golden.NAMES)
def case(request):
    return golden.load(request.param)


@pytest.fixture(scope="module")
def toy():
    if not golden.TOY.exists():
        pytest.skip("the network trained by netsimilarity's own program is not beside the repository")
    return golden.load(golden.TOY.name, golden.TOY)


def _quotient(values, divisors):
    """Rows divided by ranks; 0 where the rank is."""
    return np.divide(values, divisors[:, None], out=np.zeros_like(values), where=divisors[:, None] > 0)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_all_cases_are_there():
    assert len(golden.NAMES) == 16


def test_the_twin(case):
    """Also that both models of a case are the case."""
    parts = twin.jacobians(case.functional, case.inputs)
    j, expected = twin.joined(parts), case.expected
    of_modules = twin.jacobians(case.model, case.inputs)
    close(np.concatenate([of_modules[case.model.names[name]] for name in case.order], 2), j)
    close(twin.blocks(j), expected["K"])
    close(twin.normalised_blocks(j), expected["KC"])
    np.testing.assert_array_equal(twin.ranks(j), expected["rank"])
    for kernel, key in SCALARS.items():
        if key in expected:
            close(twin.similarity(j, kernel=kernel), expected[key])
    for name in case.order:
        close(twin.blocks(parts[name]).trace(axis1=2, axis2=3) / case.n_outputs, expected[f"part__{name}"])
    for output in range(case.n_outputs):
        one = j[:, [output]]
        for kernel, key in (("inner", "kI"), ("relative", "kN"), ("cosine", "kC")):
            close(twin.similarity(one, kernel=kernel), expected[key][output])
    half = len(j) // 2
    close(twin.similarity(j[:half], j[half:]).sum(1), expected["rect_soft"])


@pytest.mark.parametrize(("prefix", "key"), [("tr", "k_trace"), ("c0", "kC")])
def test_counts(case, prefix, key):
    values = case.expected[key] if prefix == "tr" else case.expected[key][0]
    close(sim.neighbour_counts(values), case.expected[f"{prefix}_soft"])
    for power in case.facts["alphas"]:
        counts = sim.neighbour_counts(values, kind="less_soft", power=power)
        close(counts, case.expected[f"{prefix}_lesssoft_{power}"])
    for threshold, margin in zip(case.facts["thresholds"], case.expected[f"{prefix}_thr_margin"], strict=True):
        counts = sim.neighbour_counts(values, kind="hard", threshold=threshold)
        np.testing.assert_array_equal(counts, case.expected[f"{prefix}_hard_{threshold}"])
        pairs = values - 9 * np.eye(len(values))  # the margins are those of pairs of two samples
        assert sim.near_threshold(pairs, threshold, margin=1.01 * margin).any()
        assert not sim.near_threshold(pairs, threshold, margin=0.99 * margin).any()


@pytest.mark.parametrize("form", ["model", "functional"])
def test_the_kernel(case, form):
    """The model of real modules, with one forward pass of known operations, and of raw parameters."""
    model, expected = getattr(case, form), case.expected
    names = {name: case.model.names[name] if form == "model" else name for name in case.order}
    close(sim.cross_gram(model, case.inputs), expected["K"])
    found = sim.similarity_matrix(model, case.inputs)
    close(found.values, expected["k_trace"])
    close(_quotient(found.values * case.n_outputs, found.rank), expected["k_trace_over_rank"])
    np.testing.assert_array_equal(found.zero_gradient, expected["zero_grad"])
    np.testing.assert_array_equal(found.rank, expected["rank"])
    flat = sim.similarity_matrix(model, case.inputs, kernel="flat", by_parameter=True)
    close(flat.values, expected["k_flatcos"])
    norms = np.sqrt(np.diag(expected["trK"]) / case.n_outputs)  # trK is the sum over outputs, its parts are means
    for name, dotted in names.items():
        close(flat.parts[dotted] * norms[:, None] * norms, expected[f"part__{name}"])
    close(sum(flat.parts.values()), expected["k_flatcos"])


def test_the_other_kernels(case):
    model, x, expected = case.model, case.inputs, case.expected
    half, last = len(x) // 2, case.n_outputs - 1
    close(sim.similarity_matrix(model, x[:half], x[half:]).values.sum(1), expected["rect_soft"])
    close(sim.soft_neighbour_counts(model, x), expected["tr_soft"])
    for kernel in ("frobenius", "nuclear", "rotation"):
        if SCALARS[kernel] in expected:
            close(sim.similarity_matrix(model, x, kernel=kernel).values, expected[SCALARS[kernel]])
    for kernel, key in (("inner", "kI"), ("relative", "kN"), ("cosine", "kC")):
        close(sim.similarity_matrix(model, x, kernel=kernel, output=last).values, expected[key][last])


def test_stored_gradients(case):
    j, expected = golden.jacobian(case.name), case.expected
    for kernel, key in SCALARS.items():
        if key in expected:
            found = sim.similarity_from_gradients(j, kernel=kernel)
            close(found.values, expected[key])
            np.testing.assert_array_equal(found.zero_gradient, expected["zero_grad"])
            np.testing.assert_array_equal(found.rank, expected["rank"])
    for kernel, key in (("inner", "kI"), ("relative", "kN"), ("cosine", "kC")):
        close(sim.similarity_from_gradients(j[:, -1], kernel=kernel).values, expected[key][-1])
    half = len(j) // 2
    close(sim.similarity_from_gradients(j[:half], j[half:]).values.sum(1), expected["rect_soft"])


def test_denoising(case):
    expected = case.expected
    found = sim.denoise(case.model, case.inputs, case.targets[:, 0], output=0)
    close(found.estimate, expected["Ek_y_c0"])
    close(found.factor, expected["den_factor_c0"])
    close(found.consistency, expected["consist_c0"])
    np.testing.assert_array_equal(found.defined, ~expected["zero_grad"])
    if case.n_outputs > 1:
        found = sim.denoise(case.model, case.inputs, case.targets)
    else:
        outputs = sim.similarity_matrix(case.model, case.inputs).outputs
        found = sim.denoise_from_gram(expected["K"], case.targets, outputs)
    if "den_mat" not in expected:  # the sums of K are singular
        assert not found.defined.all() and np.isnan(found.factor[~found.defined]).all()
        return
    assert found.defined.all()
    np.testing.assert_allclose(found.estimate.reshape(case.targets.shape), expected["Ek_y_mat"], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.variance, expected["den_mat"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.consistency, expected["consist_mat"], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.factor**2 * case.n_outputs, expected["den_mat"].trace(axis1=1, axis2=2), rtol=1e-9)


def test_facts(case):
    """What the case says about itself in words."""
    values, facts = sim.similarity_matrix(case.functional, case.inputs).values, case.facts["facts"]
    if "k_trace[i,i+4]==1" in facts:
        close(np.diag(values[:4, 4:]), 1)
    for fact in facts:
        if fact.startswith("k_trace[") and "i" not in fact:
            i, j = map(int, fact[len("k_trace[") : fact.index("]")].split(","))
            assert values[i, j] == pytest.approx(1, abs=1e-12)
    if case.name == "linear_closed_form":
        products = case.inputs @ case.inputs.T + 1
        close(sim.cross_gram(case.functional, case.inputs), products[:, :, None, None] * np.eye(case.n_outputs))
    if case.name == "softmax_rank_deficient":
        close(np.diag(values), 0.75)
        assert (sim.similarity_matrix(case.functional, case.inputs).rank == 3).all()


def test_alignment():
    expected = golden.load("two_checkpoints_cka").expected
    close(sim.cka(expected["trK"], expected["K2"]), expected["cka_biased"])
    close(sim.cka(expected["trK"], expected["K2"], debiased=True), expected["cka_unbiased"])
    close(sim.kernel_alignment(expected["trK"], expected["K2"]), expected["kernel_alignment"])


def test_counts_of_the_reference_itself(toy):
    """Its hard and less-soft counts have a zero diagonal: each sample is missing from its own count."""
    j = twin.joined(twin.jacobians(toy.functional, toy.expected["x_all"]))
    directions = j[:, 0] / np.linalg.norm(j[:, 0], axis=1, keepdims=True)
    values = directions @ directions.T
    np.testing.assert_allclose(sim.neighbour_counts(values), toy.expected["ref_soft_512"], rtol=2e-5)
    less = sim.neighbour_counts(values, kind="less_soft", power=2) - 1
    np.testing.assert_allclose(less, toy.expected["ref_less_soft_2_512"], rtol=2e-5)
    hard = sim.neighbour_counts(values, kind="hard", threshold=0.9) - 1
    unsure = sim.near_threshold(values, 0.9, margin=1e-5)
    assert (np.abs(hard - toy.expected["ref_hard_0p9_512"]) <= unsure).all()
