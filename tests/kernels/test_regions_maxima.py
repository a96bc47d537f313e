"""Maxima over windows: the upper envelope by exact arithmetic, in special position, and on random nets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels.regions import Slice, partition
from tests.kernels.checks import assert_complex, assert_values, inner_points, patterns_of
from tests.reference import regions as twin

SQUARE = np.array([[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]])
few = settings(max_examples=12, derandomize=True, deadline=None)


def linear(weight, bias=None) -> nn.Linear:
    weight = torch.as_tensor(np.array(weight, dtype=np.float64))
    module = nn.Linear(weight.shape[1], weight.shape[0]).double()
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.as_tensor(np.array(bias, np.float64)))
    return module


def pooled(weight, bias=None, *, size: int, stride: int | None = None, first: tuple = ()) -> nn.Sequential:
    """Planes, a maximum over windows of them, and outputs that tell the winners apart."""
    planes = linear(weight, bias)
    windows = 1 + (planes.out_features - size) // (stride or size)
    head = linear([[1.0 + k / 4 for k in range(windows)]], [0.125])
    axis = nn.Unflatten(1, (1, planes.out_features))
    return nn.Sequential(planes, *first, axis, nn.MaxPool1d(size, stride), nn.Flatten(), head)


def outer(weight, bias, *, size: int) -> nn.Sequential:
    """A ReLU layer on the square, then maxima of combinations of its units."""
    inner = nn.Sequential(linear([[1, 0], [0, 1], [1, 1]], [0.25, -0.5, 0]), nn.ReLU())
    return nn.Sequential(*inner, *pooled(weight, bias, size=size))


CROSS = [[1, 0], [-1, 0], [0, 1], [0, -1]]
# On the square [-2, 2]^2; where (regions, vertices, edges) are given they were found by hand.
EXACT = {
    "triple point inside a face": (pooled([[1, 0], [0, 1], [-1, -1]], size=3), (3, 7, 9)),
    "all lines through one vertex": (pooled(CROSS, size=4), (4, 5, 8)),
    "wins only inside a face": (pooled([*CROSS, [0, 0]], [0, 0, 0, 0, 0.5], size=5), (5, 8, 12)),
    "never wins": (pooled([[1, 0], [0, 1], [0, 0]], [0, 0, -9], size=3), (2, 4, 5)),
    "equal entries": (pooled([[1, 0], [1, 0], [0, 1], [0, 1]], size=4), (2, 4, 5)),
    "all equal": (pooled([[1, 0], [1, 0]], size=2), (1, 4, 4)),
    "constant entries": (pooled([[0, 0], [0, 0], [0, 0]], [1, 2, 2], size=3), (1, 4, 4)),
    "parallel ties": (pooled([[1, 0], [0, 0], [-1, 0], [2, 0]], [0, 1, 0, -1], size=4), None),
    "tie on a side of the domain": (pooled([[1, 0], [0, 0]], [0, 2], size=2), (1, 4, 4)),
    "windows that share a line": (pooled([*CROSS, [1, 1]], [0, 0.5, 0.25, 0, -0.75], size=3, stride=1), None),
    "a line that goes on for another window": (
        pooled([[1, 0], [0, 1], [0.5, 0.5], [1, 0], [0, 1], [0, 0]], [0, 0, 0.75, 0, 0, -9], size=3), None,
    ),
    "weights 1e8 and 1e-8": (
        pooled([[1e8, 3e7], [2e7, -1e8], [2e-8, -1e-8], [-1e-8, 3e-8]], [2e7, 0, 5e-9, 0], size=2), None,
    ),
    "ties that are zero on whole cells": (
        pooled([[1, 0], [0, 1], [-1, 1], [1, 1]], [-0.5, -0.25, 0, 0.5], size=2, first=(nn.ReLU(),)), None,
    ),
    "overlapping windows after relu": (
        pooled([*CROSS, [1, -1]], [-0.5, -0.5, -0.5, 0.25, 0], size=3, stride=1, first=(nn.ReLU(),)), None,
    ),
    "lines through vertices of the layer before": (
        outer([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, -1]], None, size=2), None,
    ),
    "second layer, duplicates and ties": (
        outer([[1, -1, 0], [1, -1, 0], [0, 1, -1], [0.5, 0, 0.5], [1, 0, 1], [0, 0, 0]], [0, 0, 0.25, 0, 0, 1], size=3),
        None,
    ),
    "maximum of pieces with breakpoints": (
        pooled([[1, 0], [0, 1], [1, 1], [1, -1]], size=2, first=(nn.Hardtanh(-0.5, 0.75),)), None,
    ),
}  # fmt: skip


def assert_equals_exact(model: nn.Module, program: twin.Program, domain: Slice) -> None:
    """Counts, vertices, edges, areas and patterns, against rational arithmetic."""
    found = partition(model, domain)
    slow = twin.partition(program, domain.polygon, domain.origin, domain.u, domain.v, exact=True)
    assert list(found.region_counts) == slow.counts
    whole = twin.complex_of(slow)
    assert (len(found.vertices), len(found.edges)) == (whole.vertices, whole.edges)
    assert_complex(found)
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-9, atol=1e-13)
    centres = np.array([[float(sum(axis) / len(axis)) for axis in zip(*p, strict=True)] for p in slow.polygons])
    for row, region in enumerate(found.locate(centres)):
        for mine, exact in zip(patterns_of(found, region), slow.patterns, strict=True):
            assert np.array_equal(mine, exact[row])
    assert found.certify(grid=60, samples=100).holds


@pytest.mark.parametrize("name", EXACT)
def test_equals_exact_arithmetic(name):
    model, expected = EXACT[name]
    domain = Slice(np.zeros(2), [1.0, 0.0], [0.0, 1.0], SQUARE)
    assert_equals_exact(model, twin.from_torch(model, (2,)), domain)
    if expected is not None:
        found = partition(model, domain)
        assert (found.n_regions, len(found.vertices), len(found.edges)) == expected


@st.composite
def lattice_nets(draw):
    """Small integer weights: ties, concurrent lines and zeros on whole cells are the rule."""
    seed = draw(st.integers(0, 10**6))
    size, stride = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    before = draw(st.sampled_from([(), (nn.ReLU(),), (nn.Hardtanh(-1.0, 1.0),)]))
    rng = np.random.default_rng(seed)
    planes = size + stride * draw(st.integers(0, 2))
    first = pooled(
        rng.integers(-2, 3, (planes, 2)), rng.integers(-2, 3, planes), size=size, stride=stride, first=before
    )
    width = first[-1].in_features
    second = linear(rng.integers(-1, 2, (3, width)), rng.integers(-1, 2, 3))
    return nn.Sequential(*first[:-1], second, nn.ReLU(), linear([[1.0, 1.5, 2.25]]))


@few
@given(lattice_nets())
def test_lattice_nets_equal_exact_arithmetic(model):
    domain = Slice(np.zeros(2), [1.0, 0.0], [0.0, 1.0], SQUARE)
    assert_equals_exact(model, twin.from_torch(model, (2,)), domain)


@st.composite
def conv_nets(draw):
    """Convolutions with pools of every kind between them."""
    torch.manual_seed(draw(st.integers(0, 10**6)))
    pools = (
        nn.MaxPool2d(2), nn.MaxPool2d(2, stride=1), nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d((1, 2), ceil_mode=True),
        nn.AdaptiveMaxPool2d(2),
    )  # fmt: skip
    between = draw(st.sampled_from([(), (nn.ReLU(),), (nn.ReLU6(),), (nn.LeakyReLU(0.2),)]))
    body = nn.Sequential(nn.Conv2d(1, 2, 2), *between, draw(st.sampled_from(pools)), nn.ReLU(), nn.Flatten())
    width = body(torch.zeros(1, 1, 5, 5)).shape[1]
    model = nn.Sequential(*body, nn.Linear(width, 4), nn.Unflatten(1, (2, 2)), nn.MaxPool1d(2), nn.Flatten())
    return model.append(nn.Linear(2, 2)).double(), draw(st.integers(0, 10**6))


@few
@given(conv_nets())
def test_random_nets(net):
    model, seed = net
    frame, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(25, 2)))
    domain = Slice.around(np.zeros((1, 5, 5)), *frame.T.reshape(2, 1, 5, 5), 1.5)
    found = partition(model, domain)
    slow = twin.partition(twin.from_torch(model, (1, 5, 5)), domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-8, atol=1e-13)
    assert_complex(found)
    assert_values(found, model, 100)
    assert found.certify(grid=40, samples=50).holds
    # Across an edge the earlier ops keep their branch, and the edge's unit is the first of its op that changes.
    patterns = [patterns_of(found, region) for region in range(found.n_regions)]
    for (a, b), op, unit in zip(found.edge_regions, found.edge_op, found.edge_unit, strict=True):
        if b >= 0 and a >= 0:
            assert all(np.array_equal(patterns[a][k], patterns[b][k]) for k in range(op))
            assert np.flatnonzero(patterns[a][op] != patterns[b][op])[0] == unit
    # Winners are those of torch, away from ties.
    pool = next(k for k, module in enumerate(model) if "MaxPool2d" in type(module).__name__)
    with torch.no_grad():
        z = model[:pool](torch.as_tensor(domain.to_input(found.centroids)))
        y = model[pool](z).flatten(1).numpy()
    windows, _ = twin.pool_windows(model[pool], tuple(z.shape[1:]))
    op = found.ops.index(str(pool))
    for region in np.flatnonzero(found.areas > 1e-9):
        chosen = [window[b] for window, b in zip(windows, patterns[region][op], strict=True)]
        np.testing.assert_allclose(z[region].flatten().numpy()[chosen], y[region], atol=1e-12)


def test_splitting_the_domain_adds_up():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(2, 18), nn.Unflatten(1, (6, 3)), nn.MaxPool1d(3), nn.Flatten(), nn.Linear(6, 1))
    whole = Slice.box(-2, 2, -2, 2)
    normal, shift = np.array([0.6, -0.8]), 0.15
    halves = twin.split([tuple(p) for p in whole.polygon], list(whole.polygon @ normal + shift), 0)
    found = partition(model, whole)
    parts = [partition(model, whole.with_polygon(half)) for half in halves]
    side = found.vertices @ normal + shift
    rings = np.split(found.ring_vertices, found.ring_offsets[1:-1])
    cut = sum(side[ring].max() > 1e-12 and side[ring].min() < -1e-12 for ring in rings)
    assert parts[0].n_regions + parts[1].n_regions - found.n_regions == cut > 0


def test_windows_that_tie_everywhere_are_not_cut_and_the_first_entry_wins():
    """A constant image, and one pixel that is brighter or darker."""
    model = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), linear([[1.0, 2.0, 3.0, 4.0]]))
    ones, pixel = np.ones((1, 4, 4)), np.zeros((1, 4, 4))
    pixel[0, 0, 0] = 1
    found = partition(model, Slice(ones, ones, pixel, SQUARE))
    assert found.region_counts == (2,) and set(found.edge_unit[found.edge_op == 0]) == {0}
    darker, brighter = found.locate([[0.1, -1.0], [0.1, 1.0]])
    assert found.pattern(darker)["0"].tolist() == [[[1, 0], [0, 0]]]
    assert found.pattern(brighter)["0"].tolist() == [[[0, 0], [0, 0]]]
    assert_complex(found)


def test_the_limit_counts_what_is_left_in_the_end():
    model, _ = EXACT["wins only inside a face"]
    box = Slice.box(-2, 2, -2, 2)
    assert partition(model, box, max_regions=5).n_regions == 5
    with pytest.raises(TooLargeError, match="5 regions"):
        partition(model, box, max_regions=4)


def test_cancel_is_heard_between_rounds():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 400), nn.Unflatten(1, (200, 2)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(200, 1)
    )
    cancel = Cancel()
    calls = itertools.count()
    checkpoint = cancel.checkpoint
    cancel.checkpoint = lambda: (next(calls) > 6 and cancel.set(), checkpoint())
    with pytest.raises(Cancelled):
        partition(model, Slice.box(-2, 2, -2, 2), cancel=cancel)


class Calls(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.first, self.second, self.function = nn.Linear(2, 6), nn.Linear(6, 1), function

    def forward(self, x):
        return self.second(self.function(self.first(x)))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x - x.max(), "over the whole batch"),
        (lambda x: x - torch.amax(x), "over the whole batch"),
        (lambda x: x - x.min(0)[0], "mixes the samples"),
        (lambda x: x.max(1, keepdim=True).indices + x, "indices"),
        (lambda x: F.max_pool1d(x, 2, return_indices=True)[0].repeat(1, 2), "indices"),
        (F.hardshrink, "discontinuous"),
        (lambda x: F.threshold(x, 0.5, 0.0), "discontinuous at 0.5"),
        (lambda x: x.clamp(1.0, 0.0), "one value"),
    ],
)  # fmt: skip
def test_refusals_say_why(function, message):
    with pytest.raises(NetgeomError, match=message):
        partition(Calls(function), Slice.box(-1, 1, -1, 1))


def test_a_window_of_more_entries_than_branches_is_refused_before_any_work():
    model = nn.Sequential(nn.Linear(2, 40_000), nn.Unflatten(1, (1, 40_000)), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    layers: list = []
    with pytest.raises(NetgeomError, match="32,767"):
        partition(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), *model), Slice.box(-1, 1, -1, 1), on_layer=layers.append)
    assert not layers


def test_refused_modules_say_why():
    for module, message in [
        (nn.MaxPool1d(2, return_indices=True), "indices"),
        (nn.Hardshrink(), "discontinuous"),
        (nn.Threshold(0.0, 1.0), "discontinuous"),
    ]:
        with pytest.raises(NetgeomError, match=rf"1 \({type(module).__name__}\).*{message}"):
            partition(nn.Sequential(nn.Linear(2, 6), module, nn.Linear(6, 1)), Slice.box(-1, 1, -1, 1))


def test_hard_sigmoid():
    """Not compared with autograd: torch differentiates it with 1/6 in single precision, also in float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 9), nn.Hardsigmoid(), nn.Linear(9, 2)).double()
    with torch.no_grad():
        model[0].weight.mul_(6)
    domain = Slice.box(-2, 2, -2, 2)
    found = partition(model, domain)
    program = twin.from_torch(model, (2,))
    slow = twin.partition(program, domain.polygon, domain.origin, domain.u, domain.v)
    assert list(found.region_counts) == slow.counts and found.n_regions > 20
    assert_values(found, model)
    for region in range(found.n_regions):
        exact = twin.forced_map(program, patterns_of(found, region), domain.origin, domain.u, domain.v)
        np.testing.assert_allclose(found.slopes[region], exact[:, :2], atol=1e-9)
    assert found.certify(grid=50).holds
    points = inner_points(domain.polygon, 50)
    z = model[0](torch.as_tensor(points)).detach().numpy()
    for region, row in zip(found.locate(points), z, strict=True):
        assert np.array_equal(found.pattern(region)["1"], (row > -3).astype(int) + (row > 3))
