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
