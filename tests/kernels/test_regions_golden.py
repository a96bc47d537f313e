"""The region partition against cases with known answers."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from netgeom_widgets.kernels.regions import partition
from tests.kernels import golden_models
from tests.kernels.checks import assert_complex, assert_jacobians, assert_values
from tests.reference import regions as twin


@functools.cache
def case_of(name: str) -> golden_models.Case:
    return golden_models.load(name)


@functools.cache
def partition_of(name: str):
    case = case_of(name)
    return partition(case.model, case.domain)


@pytest.fixture(params=golden_models.NAMES)
def name(request) -> str:
    return request.param


def test_all_cases_are_there():
    assert len(golden_models.NAMES) == 10


def test_counts(name):
    expected, found = case_of(name).expected, partition_of(name)
    assert list(found.region_counts) == expected["per_layer_regions"]
    assert found.n_regions == expected["regions"]
    assert len(found.vertices) == expected["vertices"]
    assert len(found.edges) == expected["edges"]


def test_adjacency(name):
    expected, found = case_of(name).expected, partition_of(name)
    graph = found.adjacency()
    assert graph.vcount() == expected["regions"]
    assert graph.ecount() == expected["adjacent_pairs"]
    assert graph.is_simple()
    assert {"op", "unit", "length"} <= set(graph.es.attributes())


def test_areas(name):
    expected, areas = case_of(name).expected, partition_of(name).areas
    assert areas.sum() == pytest.approx(expected["total_area"], rel=1e-9)
    assert areas.mean() == pytest.approx(expected["mean_area"], rel=1e-9)
    assert areas.min() == pytest.approx(expected["min_area"], rel=1e-6)
    assert areas.max() == pytest.approx(expected["max_area"], rel=1e-9)
    largest = np.sort(areas)[::-1][: len(expected["largest_areas"])]
    np.testing.assert_allclose(largest, expected["largest_areas"], rtol=1e-9)


def test_boundary(name):
    expected, boundary = case_of(name).expected, partition_of(name).decision_boundary()
    assert boundary.length == pytest.approx(expected["boundary_length"], abs=1e-8, rel=1e-8)
    lengths = np.linalg.norm(boundary.segments[:, 1] - boundary.segments[:, 0], axis=1)
    assert lengths.sum() == pytest.approx(boundary.length, rel=1e-12, abs=1e-12)
    assert boundary.segments.shape == (len(lengths), 2, 2)
    assert boundary.classes.shape == (len(lengths), 2) and boundary.regions.shape == (len(lengths),)


def test_slope_norms(name):
    expected, found = case_of(name).expected["slope_norm_output0"], partition_of(name)
    norms = np.linalg.norm(found.slopes[:, 0], axis=1)
    mean = (norms * found.areas).sum() / found.areas.sum()
    assert mean == pytest.approx(expected["area_weighted_mean"], rel=1e-9)
    scale = expected["max"]
    assert norms.max() == pytest.approx(expected["max"], rel=1e-9)
    assert norms.min() == pytest.approx(expected["min"], abs=1e-9 * scale)


def test_certificate(name):
    certificate = partition_of(name).certify()
    assert certificate.holds, certificate


def test_complex_values_and_jacobians(name):
    case, found = case_of(name), partition_of(name)
    assert_complex(found)
    assert_values(found, case.model)
    assert_jacobians(found, case.model)


def test_equals_the_twin(name):
    case, found = case_of(name), partition_of(name)
    program = twin.from_golden(case.expected["layers"], case.arrays, case.expected["input_shape"])
    basis = case.arrays["basis"]
    slow = twin.partition(program, case.arrays["domain"], case.arrays["origin"], basis[:, 0], basis[:, 1])
    assert slow.counts == case.expected["per_layer_regions"] == list(found.region_counts)
    # Corners of slivers move by ~1e-15; relative to a width of 1e-5 and less that is all float64 can agree on.
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-9, atol=1e-14)
    assert found.decision_boundary().length == pytest.approx(twin.boundary_length(slow), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", [n for n in golden_models.NAMES if "cnn" not in n and "leaky" not in n])
def test_twin_on_rationals_equals_the_golden_numbers(name):
    """The twin is itself checked: exact arithmetic gives the stored counts, vertices and edges."""
    case = case_of(name)
    program = twin.from_golden(case.expected["layers"], case.arrays, case.expected["input_shape"])
    basis, expected = case.arrays["basis"], case.expected
    slow = twin.partition(program, case.arrays["domain"], case.arrays["origin"], basis[:, 0], basis[:, 1], exact=True)
    counted = twin.complex_of(slow)
    assert slow.counts == expected["per_layer_regions"]
    assert counted == twin.Complex(expected["vertices"], expected["edges"], expected["adjacent_pairs"])
    assert twin.boundary_length(slow) == pytest.approx(expected["boundary_length"], abs=1e-12, rel=1e-12)
