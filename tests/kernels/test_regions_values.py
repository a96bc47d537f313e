"""Values and Jacobians of the partition against the original model, for many kinds of modules."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice, partition
from tests.kernels import networks
from tests.kernels.checks import assert_complex, assert_jacobians, assert_values, double, patterns_of
from tests.reference import regions as twin

PENTAGON = 1.5 * np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(5) / 5 + 0.3])
ALL = networks.SEQUENTIAL | networks.MODULES


def plane(shape, seed: int = 5) -> Slice:
    """An orthonormal random plane with a pentagon as its domain."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    frame, _ = np.linalg.qr(rng.normal(size=(size, 2)))
    origin = 0.2 * rng.normal(size=shape)
    return Slice(origin, frame[:, 0].reshape(shape), frame[:, 1].reshape(shape), PENTAGON)


@functools.cache
def built(name: str):
    constructor, shape = ALL[name]
    torch.manual_seed(3)
    model = networks.warmed(constructor())
    domain = plane(shape)
    return model, domain, partition(model, domain)


def program_of(name: str):
    model, domain, _ = built(name)
    if name in networks.SEQUENTIAL:
        return twin.from_torch(model, np.asarray(domain.origin).shape)
    return model.program() if hasattr(model, "program") else None


@pytest.mark.parametrize("name", ALL)
def test_values_and_jacobians(name):
    model, domain, found = built(name)
    program = program_of(name)
    forced = None
    if program is not None:

        def forced(r):
            return twin.forced_map(program, patterns_of(found, r), domain.origin, domain.u, domain.v)[:, :2]

    assert found.n_regions > 5, "the case must exercise something"
    assert_complex(found)
    assert_values(found, model)
    assert_jacobians(found, model, forced)
    assert found.certify().holds


@pytest.mark.parametrize("name", [n for n in ALL if n in networks.SEQUENTIAL or hasattr(ALL[n][0], "program")])
def test_equals_the_twin(name):
    _, domain, found = built(name)
    slow = twin.partition(program_of(name), domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-8, atol=1e-13)
    if name != "ends with an activation":  # its outputs tie at 0 in whole regions, where a boundary is not defined
        assert found.decision_boundary().length == pytest.approx(twin.boundary_length(slow), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", ["linear relu", "conv2d", "residual conv", "functional"])
def test_input_slopes_are_the_full_jacobian(name):
    model, domain, found = built(name)
    reference = double(model)
    for region in np.argsort(found.areas)[-5:]:
        centre = torch.as_tensor(np.asarray(domain.to_input(found.centroids[region : region + 1])))
        expected = torch.autograd.functional.jacobian(lambda x: reference(x).reshape(-1), centre)
        expected = expected.reshape(expected.shape[0], -1).numpy()
        slopes = np.asarray(found.input_slopes(int(region)))
        assert slopes.shape[0] == expected.shape[0]
        np.testing.assert_allclose(slopes.reshape(expected.shape), expected, atol=1e-12 * np.abs(expected).max())
        frame = np.stack([np.ravel(domain.u), np.ravel(domain.v)], axis=1)
        scale = np.abs(found.slopes).max()
        np.testing.assert_allclose(expected @ frame, found.slopes[region], atol=1e-9 * scale)


def test_outputs_and_classes():
    model, domain, found = built("linear relu")
    with torch.no_grad():
        at_vertices = double(model)(torch.as_tensor(np.asarray(domain.to_input(found.vertices)))).numpy()
        at_centroids = double(model)(torch.as_tensor(np.asarray(domain.to_input(found.centroids)))).numpy()
    np.testing.assert_allclose(found.outputs, at_vertices, atol=1e-12 * np.abs(at_vertices).max())
    assert found.outputs.dtype == np.float64 and found.classes.dtype == np.int32
    assert np.array_equal(found.classes, at_centroids.argmax(1))


def test_class_of_a_single_output_is_its_sign():
    model, domain, found = built("leaky relu")
    with torch.no_grad():
        at_centroids = double(model)(torch.as_tensor(np.asarray(domain.to_input(found.centroids)))).numpy()
    assert np.array_equal(found.classes, (at_centroids[:, 0] > 0).astype(np.int32))


@pytest.mark.parametrize("name", ["leaky relu", "linear relu", "conv2d"])
def test_boundary_points_are_ties(name):
    """Sampled boundary points: zeros of the one output, or equal top two of several; deterministic by seed."""
    model, domain, found = built(name)
    # Shift the last bias so that a boundary runs through the domain's middle.
    shifted = double(model)
    last = shifted[-1]
    with torch.no_grad():
        last.bias -= shifted(torch.as_tensor(np.asarray(domain.to_input(np.zeros((1, 2))))))[0]
        last.bias += torch.linspace(0, 1e-3, len(last.bias), dtype=torch.float64)
    found = partition(shifted, domain)
    points = np.asarray(found.sample_boundary(200))
    assert points.shape == (200, 2)
    with torch.no_grad():
        outputs = shifted(torch.as_tensor(np.asarray(domain.to_input(points)))).numpy()
    scale = np.abs(found.outputs).max()
    if outputs.shape[1] == 1:
        assert np.abs(outputs).max() <= 1e-10 * scale
    else:
        top = np.sort(outputs, axis=1)
        assert (top[:, -1] - top[:, -2]).max() <= 1e-10 * scale
    assert np.array_equal(points, np.asarray(found.sample_boundary(200)))


def test_statistics():
    _, _, found = built("leaky relu")
    statistics = found.statistics()
    np.testing.assert_array_equal(statistics.area, found.areas)
    assert np.array_equal(statistics.sides, np.diff(found.ring_offsets))
    np.testing.assert_allclose(statistics.slope_norm, np.linalg.norm(found.slopes[:, 0], axis=1), rtol=1e-12)
    assert statistics.eccentricity.shape == found.areas.shape and (statistics.eccentricity >= 1).all()


def test_slope_norm_of_several_outputs_is_spectral():
    _, _, found = built("linear relu")
    expected = np.linalg.norm(found.slopes, ord=2, axis=(1, 2))
    np.testing.assert_allclose(found.statistics().slope_norm, expected, rtol=1e-9)


def test_oblique_slice():
    """u and v neither orthogonal nor of unit length: everything is in (s, t)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 1)).double()
    domain = Slice(np.zeros(3), np.array([2.0, 0, 0]), np.array([1.0, 0.5, 0]), [[-1, -1], [1, -1], [1, 1], [-1, 1]])
    assert not domain.metric
    found = partition(model, domain)
    slow = twin.partition(twin.from_torch(model, (3,)), domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts
    assert found.areas.sum() == pytest.approx(4.0, rel=1e-9)
    assert_values(found, model)
    assert_jacobians(found, model)


@pytest.mark.parametrize("seed", range(3))
def test_trained_like_deep_net(seed):
    """Larger weights, six layers: slivers and tiny regions, held to the same bounds."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Linear(2, 16), nn.ReLU()]
    for _ in range(5):
        layers += [nn.Linear(16, 16), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(16, 1)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2
    domain = Slice.box(-2, 2, -2, 2)
    found = partition(model, domain)
    program = twin.from_torch(model, (2,))
    slow = twin.partition(program, domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts
    assert_complex(found)
    assert_values(found, model)
    origin, u, v = domain.origin, domain.u, domain.v
    assert_jacobians(found, model, lambda r: twin.forced_map(program, patterns_of(found, r), origin, u, v)[:, :2])


def test_high_dimensional_slice():
    """784 inputs, ten classes: the plane of three random images."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 10))
    a, b, c = torch.rand(3, 784).double().numpy()
    domain = Slice.through(a, b, c)
    found = partition(model, domain)
    slow = twin.partition(twin.from_torch(model.double(), (784,)), domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts
    assert_values(found, model)
    assert_jacobians(found, model)
    assert found.certify().holds
