"""Properties of the partition on random small nets (hypothesis, derandomised)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.kernels.regions import Slice, partition
from tests.kernels.checks import assert_complex, double, inner_points, patterns_of, polygon_area, rings
from tests.reference import regions as twin

few = settings(max_examples=25, derandomize=True, deadline=None)

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "prelu": lambda: nn.PReLU(init=-0.5),
    "rrelu": nn.RReLU,
}


def network(seed: int, widths: list[int], kinds: list[str], inputs: int, outputs: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    size = inputs
    for k, width in enumerate(widths):
        layers += [nn.Linear(size, width), ACTIVATIONS[kinds[k % len(kinds)]]()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, outputs)).double().eval()


@st.composite
def nets(draw):
    """A random net, its number of inputs, and a seed for whatever else a test draws."""
    seed = draw(st.integers(0, 10**6))
    widths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    kinds = draw(st.lists(st.sampled_from(list(ACTIVATIONS)), min_size=1, max_size=2))
    inputs, outputs = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    return network(seed, widths, kinds, inputs, outputs), inputs, seed


def hexagon(inputs: int, seed: int) -> Slice:
    """A random orthonormal plane with an irregular convex hexagon."""
    rng = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(rng.normal(size=(inputs, 2)))
    angles = np.sort(rng.uniform(0, 0.9, 6) + np.arange(6)) * np.pi / 3
    corners = np.stack([2.2 * np.cos(angles), 1.7 * np.sin(angles)], axis=1)
    return Slice(0.1 * rng.normal(size=inputs), frame[:, 0], frame[:, 1], corners)


def linears(model) -> list[nn.Linear]:
    return [module for module in model if isinstance(module, nn.Linear)]


@few
@given(nets())
def test_equals_the_twin(net):
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    found = partition(model, domain)
    slow = twin.partition(twin.from_torch(model, (inputs,)), domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-9, atol=1e-13)
    assert found.decision_boundary().length == pytest.approx(twin.boundary_length(slow), rel=1e-8, abs=1e-8)
    assert_complex(found)
    assert found.certify().holds


def permute(layer: nn.Linear, after: nn.Linear, rng: np.random.Generator) -> None:
    order = torch.as_tensor(rng.permutation(layer.out_features))
    layer.weight.copy_(layer.weight[order])
    layer.bias.copy_(layer.bias[order])
    after.weight.copy_(after.weight[:, order])


def rescale(layer: nn.Linear, after: nn.Linear, rng: np.random.Generator) -> None:
    factors = torch.as_tensor(10.0 ** rng.uniform(-4, 4, layer.out_features))
    layer.weight.mul_(factors[:, None])
    layer.bias.mul_(factors)
    after.weight.div_(factors)


@few
@given(nets())
@pytest.mark.parametrize("change", [permute, rescale])
def test_what_leaves_the_function_leaves_the_partition(change, net):
    model, inputs, seed = net
    domain, moved = hexagon(inputs, seed), double(model)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for layer, after in itertools.pairwise(linears(moved)):
            change(layer, after, rng)
    one, two = partition(model, domain), partition(moved, domain)
    assert list(one.region_counts) == list(two.region_counts)
    assert len(one.vertices) == len(two.vertices)
    np.testing.assert_allclose(np.sort(one.areas), np.sort(two.areas), rtol=1e-9, atol=1e-13)


@few
@given(nets(), st.floats(0.1, 6.0))
def test_rotating_the_basis_keeps_everything(net, angle):
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    u, v = (c * domain.u + s * domain.v), (-s * domain.u + c * domain.v)
    turned = Slice(domain.origin, u, v, np.asarray(domain.polygon) @ turn)
    one, two = partition(model, domain), partition(model, turned)
    assert list(one.region_counts) == list(two.region_counts)
    np.testing.assert_allclose(np.sort(one.areas), np.sort(two.areas), rtol=1e-9, atol=1e-13)


@few
@given(nets())
def test_more_corners_on_the_border_keep_everything(net):
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    corners = np.asarray(domain.polygon)
    following = np.roll(corners, -1, axis=0)
    refined = np.stack([corners, corners * (2 / 3) + following / 3], axis=1).reshape(-1, 2)
    one, two = partition(model, domain), partition(model, domain.with_polygon(refined))
    assert list(one.region_counts) == list(two.region_counts)
    np.testing.assert_allclose(np.sort(one.areas), np.sort(two.areas), rtol=1e-9, atol=1e-13)


@few
@given(nets())
def test_splitting_the_domain_adds_up(net):
    """F1 + F2 - F is the number of regions that the splitting line cuts."""
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    rng = np.random.default_rng(seed)
    normal, shift = rng.normal(size=2), 0.2 * rng.normal()
    halves = twin.split([tuple(p) for p in np.asarray(domain.polygon)], list(domain.polygon @ normal + shift), 0)
    whole = partition(model, domain)
    parts = [partition(model, domain.with_polygon(half)) for half in halves]
    signed = whole.vertices @ normal + shift
    cut = sum(signed[ring].max() > 1e-12 and signed[ring].min() < -1e-12 for ring in rings(whole))
    assert parts[0].n_regions + parts[1].n_regions - whole.n_regions == cut
    assert parts[0].areas.sum() + parts[1].areas.sum() == pytest.approx(whole.areas.sum(), rel=1e-9)


@few
@given(nets())
def test_locate(net):
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    found = partition(model, domain)
    assert np.array_equal(found.locate(found.centroids), np.arange(found.n_regions))
    points = inner_points(domain.polygon, 200, seed)
    located = found.locate(points)
    assert located.dtype == np.int32 and (located >= 0).all()
    corners = [found.vertices[ring] for ring in rings(found)]
    for point, region in zip(points, located, strict=True):
        polygon = corners[region]
        x, y = (np.roll(polygon, -1, axis=0) - polygon).T
        a, b = (point - polygon).T
        assert (x * b - y * a).min() >= -1e-12
    outside = np.array([[9.0, 0.0], [0.0, -9.0], [1e6, 1e6]])
    assert (found.locate(outside) == -1).all()
    assert found.locate(np.empty((0, 2))).shape == (0,)


@few
@given(nets())
def test_rasterise_agrees_with_locate(net):
    model, inputs, seed = net
    found = partition(model, hexagon(inputs, seed))
    xmin, xmax, ymin, ymax, width, height = -2.31, 1.97, -1.41, 2.03, 61, 43
    image = found.rasterise(xmin, xmax, ymin, ymax, width, height)
    assert image.shape == (height, width) and image.dtype == np.int32
    x = xmin + (np.arange(width) + 0.5) * (xmax - xmin) / width
    y = ymin + (np.arange(height) + 0.5) * (ymax - ymin) / height
    centres = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    assert np.array_equal(image.reshape(-1), found.locate(centres))


@few
@given(nets())
def test_patterns_are_the_models_signs(net):
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    found, reference = partition(model, domain), double(model)
    assert list(found.ops) == [name for name, module in model.named_children() if not isinstance(module, nn.Linear)]
    inputs_of: dict[str, torch.Tensor] = {}
    for name in found.ops:
        reference.get_submodule(name).register_forward_pre_hook(
            lambda _, args, name=name: inputs_of.__setitem__(name, args[0])
        )
    with torch.no_grad():
        reference(torch.as_tensor(np.asarray(domain.to_input(found.centroids))))
    for region in range(found.n_regions):
        if found.areas[region] < 1e-12:
            continue
        for name, branches in zip(found.ops, patterns_of(found, region), strict=True):
            assert np.array_equal(branches, inputs_of[name][region].numpy() > 0)
    assert all(branch.dtype == np.int8 for branch in found.pattern(0).values())


@few
@given(nets())
def test_neighbours_differ_in_the_unit_of_their_edge(net):
    model, inputs, seed = net
    found = partition(model, hexagon(inputs, seed))
    inner = (found.edge_regions >= 0).all(axis=1)
    graph = found.adjacency()
    pairs = {tuple(sorted(pair)) for pair in found.edge_regions[inner].tolist()}
    assert {tuple(sorted(edge.tuple)) for edge in graph.es} == pairs and graph.vcount() == found.n_regions
    assert graph.ecount() == len(pairs) and not graph.is_directed()
    lengths = np.linalg.norm(np.diff(found.vertices[found.edges[inner]], axis=1)[:, 0], axis=1)
    assert sum(graph.es["length"]) == pytest.approx(lengths.sum(), rel=1e-12)
    patterns = [patterns_of(found, region) for region in range(found.n_regions)]
    for (a, b), op, unit in zip(found.edge_regions[inner], found.edge_op[inner], found.edge_unit[inner], strict=True):
        for earlier in range(op):
            assert np.array_equal(patterns[a][earlier], patterns[b][earlier])
        assert np.flatnonzero(patterns[a][op] != patterns[b][op]).tolist() == [unit]
    # The hinge of an edge vanishes on it: the two maps agree at both ends.
    for k in np.flatnonzero(inner):
        ends = found.vertices[found.edges[k]]
        a, b = found.edge_regions[k]
        jump = (found.slopes[a] - found.slopes[b]) @ ends.T + (found.offsets[a] - found.offsets[b])[:, None]
        # A sliver's slope is only known to ~1e-15 / its width, its value everywhere inside to 1e-12.
        assert np.abs(jump).max() <= 1e-11 * np.abs(found.outputs).max()


@few
@given(nets())
def test_ancestors_and_births(net):
    model, inputs, seed = net
    found = partition(model, hexagon(inputs, seed))
    chains = [np.asarray(found.ancestors(op)) for op in range(len(found.ops))]
    births = np.full(found.n_regions, -1)
    before = np.zeros(found.n_regions, dtype=int)
    for op, (ids, count) in enumerate(zip(chains, found.region_counts, strict=True)):
        assert ids.shape == (found.n_regions,) and ids.min() == 0 and ids.max() == count - 1
        assert len(np.unique(ids)) == count
        # One parent per region of this level; a parent with several children was cut by this op.
        parent = np.full(count, -1)
        parent[ids] = before
        assert np.array_equal(parent[ids], before)
        births[(np.bincount(parent) > 1)[before]] = op
        before = ids
    assert np.array_equal(chains[-1], np.arange(found.n_regions))
    assert np.array_equal(found.births, births) and found.births.dtype == np.int32


@few
@given(nets())
def test_partial_partitions_are_the_shortened_nets(net):
    model, inputs, seed = net
    domain = hexagon(inputs, seed)
    partials: list = []
    found = partition(model, domain, on_layer=partials.append)
    assert len(partials) == len(found.ops) and found.complete
    for k, partial in enumerate(partials):
        assert not partial.complete
        assert list(partial.region_counts) == list(found.region_counts[: k + 1])
        assert partial.n_regions == found.region_counts[k]
        assert partial.areas.sum() == pytest.approx(polygon_area(domain.polygon), rel=1e-9)
        ids = np.asarray(found.ancestors(k))
        np.testing.assert_allclose(np.bincount(ids, found.areas), partial.areas, rtol=1e-9, atol=1e-13)
        assert_complex(partial)
