"""Nets in special position: the truth table by exact arithmetic, and degenerate 16x3 nets against the twin."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice, partition
from tests.kernels.checks import assert_complex, assert_jacobians, assert_values, patterns_of
from tests.reference import regions as twin

SQUARE = np.array([[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]])
ORIGIN, U, V = np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0])


def mlp(*layers) -> nn.Sequential:
    """ReLU net from (weight, bias) pairs; the last pair is the output layer."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        weight = torch.as_tensor(np.array(weight, dtype=np.float64))
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).double()
        linear.weight = nn.Parameter(weight)
        if bias is not None:
            linear.bias = nn.Parameter(torch.as_tensor(np.array(bias, dtype=np.float64)))
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def head(width: int, *, bias: bool = True):
    """Output layer with unequal weights, so that different patterns have different maps."""
    return [[(-1.0) ** k * (1.0 + k / 4) for k in range(width)]], [0.125] if bias else None


# Each row: model, regions after each hinge, vertices, edges (square [-2, 2]^2).
TRUTH = {
    "duplicate neurons": (mlp(([[1, 0], [1, 0], [0, 1], [0, 2]], [0, 0, 0.5, 1]), head(4)), [4], 9, 12),
    "opposite neurons": (mlp(([[1, 0], [-1, 0], [0, 1], [0, -2]], [0.25, -0.25, 0.5, -1]), head(4)), [4], 9, 12),
    "parallel neurons": (mlp(([[1, 1], [1, 1], [2, 2]], [0.25, 0.5, -1.5]), head(3)), [4], 10, 13),
    "three concurrent lines": (mlp(([[1, 0], [0, 1], [1, -1]], [0, 0, 0]), head(3)), [6], 9, 14),
    "dead and all-zero neuron": (mlp(([[1, 2], [1, 1], [0, 0]], [0.5, -9, 0]), head(3)), [2], 6, 7),
    "hinge on a side of the domain": (mlp(([[1, 0], [1, 0], [0, 1]], [-2, 0.5, 0.25]), head(3)), [4], 9, 12),
    "hinge through two corners": (mlp(([[1, -1], [1, 0], [0, 1]], [0, -1, 0.5]), head(3)), [7], 11, 17),
    "weights 1e8 and 1e-8": (
        mlp(([[1e8, 3e7], [2e-8, -1e-8], [0.5, 1]], [2e7, 5e-9, 0.25]), head(3)),
        [7],
        13,
        19,
    ),
    "second layer through a vertex": (
        mlp(([[1, 0], [0, 1]], [0, 0]), ([[1, -1], [1, 1]], [0, -0.5]), head(2)),
        [4, 9],
        14,
        22,
    ),
    "no bias, all lines through 0": (
        mlp(([[1, 0], [0, 1], [1, -1]], None), ([[3, -1, -2.25], [-1.5, 2, 1]], None), head(2, bias=False)),
        [6, 10],
        13,
        22,
    ),
}


@functools.cache
def lattice(seed: int = 0) -> nn.Sequential:
    rng = np.random.default_rng(seed)
    sizes = [2, 16, 16, 16, 1]
    draws = [(rng.integers(-2, 3, (m, n)), rng.integers(-2, 3, m)) for n, m in itertools.pairwise(sizes)]
    # A third of the entries: wider sums would leave no hinge of the later layers inside the square.
    return mlp(*((w * (rng.random(w.shape) < 0.4), b) for w, b in draws))


def random_layers(seed: int, *, grid: float | None = None):
    """Default initialisation of 2-16-16-16-1; `grid`: weights rounded to its multiples, which keeps rationals short."""
    rng = np.random.default_rng(seed)
    sizes, layers = [2, 16, 16, 16, 1], []
    for n, m in itertools.pairwise(sizes):
        bound = 1 / np.sqrt(n)
        weight, bias = rng.uniform(-bound, bound, (m, n)), rng.uniform(-bound, bound, m)
        if grid is not None:
            weight, bias = np.round(weight / grid) * grid, np.round(bias / grid) * grid
        layers.append((weight, bias))
    return layers


def zero_bias(grid=None):
    return mlp(*((weight, np.zeros(len(weight))) for weight, _ in random_layers(1, grid=grid)))


def _paired(sign: float, grid=None):
    """Every hidden neuron has a twin: the same weights and bias times `sign`."""
    layers = []
    for weight, bias in random_layers(2, grid=grid)[:-1]:
        half = len(weight) // 2
        weight, bias = weight[:half], bias[:half]
        layers.append((np.concatenate([weight, sign * weight]), np.append(bias, sign * bias)))
    return mlp(*layers, random_layers(2, grid=grid)[-1])


def duplicated(grid=None):
    return _paired(1.0, grid)


def opposite(grid=None):
    return _paired(-1.0, grid)


def through_corners(grid=1 / 64):
    """First layer: eight lines each through a corner (exactly, the weights are dyadic), four along sides or axes."""
    layers = random_layers(3, grid=grid or 1 / 64)
    weight, bias = layers[0]
    for k in range(8):
        bias[k] = -(weight[k] @ SQUARE[k % 4])
    weight[8:12] = [[1, 0], [0, -1], [-1, 0], [0, 1]]
    bias[8:12] = [-2, -2, 0, 0]
    return mlp(*layers)


@pytest.mark.parametrize("row", TRUTH)
def test_truth_table(row):
    model, counts, vertices, edges = TRUTH[row]
    slow = twin.partition(twin.from_torch(model, (2,)), SQUARE, ORIGIN, U, V, exact=True)
    counted = twin.complex_of(slow)
    assert (slow.counts, counted.vertices, counted.edges) == (counts, vertices, edges), "the twin itself"

    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == counts
    assert (len(found.vertices), len(found.edges)) == (vertices, edges)
    assert found.adjacency().ecount() == counted.adjacent_pairs
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-12)
    assert found.certify().holds
    assert_complex(found)
    assert_values(found, model)
    assert_jacobians(found, model)


EXACT = {
    "zero bias": functools.partial(zero_bias, 1 / 64),
    "duplicated": functools.partial(duplicated, 1 / 64),
    "opposite": functools.partial(opposite, 1 / 64),
    "through corners and sides": through_corners,
    "integer lattice": lattice,
}


@pytest.mark.parametrize("kind", EXACT)
def test_degenerate_16x3_equals_exact_arithmetic(kind):
    model = EXACT[kind]()
    slow = twin.partition(twin.from_torch(model, (2,)), SQUARE, ORIGIN, U, V, exact=True)
    counted = twin.complex_of(slow)
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == slow.counts
    assert (len(found.vertices), len(found.edges)) == (counted.vertices, counted.edges)
    assert found.adjacency().ecount() == counted.adjacent_pairs
    np.testing.assert_allclose(np.sort(found.areas), np.sort(slow.areas), rtol=1e-9, atol=1e-13)
    assert found.certify().holds
    assert_complex(found)


FLOAT = {"zero bias": zero_bias, "duplicated": duplicated, "opposite": opposite}


@pytest.mark.parametrize("kind", [*EXACT, *(f"{name}, full precision" for name in FLOAT)])
def test_degenerate_16x3_maps(kind):
    """Jacobians and values: counts, areas and Euler do not reveal a wrong subdivision, maps do."""
    model = EXACT[kind]() if kind in EXACT else FLOAT[kind.removesuffix(", full precision")]()
    program = twin.from_torch(model, (2,))
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    slow = twin.partition(program, SQUARE, ORIGIN, U, V)
    assert list(found.region_counts) == slow.counts
    assert_complex(found)
    assert_values(found, model)
    assert_jacobians(found, model, lambda r: twin.forced_map(program, patterns_of(found, r), ORIGIN, U, V)[:, :2])


@pytest.mark.parametrize("tolerance", [1e-12, 1e-10, 1e-9])
@pytest.mark.parametrize("kind", ["zero bias", "through corners and sides", "integer lattice"])
def test_the_count_does_not_depend_on_the_tolerance(kind, tolerance):
    model = EXACT[kind]()
    slow = twin.partition(twin.from_torch(model, (2,)), SQUARE, ORIGIN, U, V)
    assert list(partition(model, Slice(ORIGIN, U, V, SQUARE), tolerance=tolerance).region_counts) == slow.counts


def test_near_duplicates_are_two_hinges():
    """Neurons 1e-6 apart are distinct: the strip between them is a region of positive area."""
    model = mlp(([[1, 0.5], [1, 0.5 + 1e-6], [0.25, 1]], [0.125, 0.125, -0.5]), head(3))
    slow = twin.partition(twin.from_torch(model, (2,)), SQUARE, ORIGIN, U, V, exact=True)
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == slow.counts
    assert_complex(found)
    assert_jacobians(found, model)


def test_many_lines_through_one_point_in_every_layer():
    """Forty hinges through the origin in one layer: one vertex of degree 80."""
    angles = np.arange(40) * np.pi / 40 + 0.01
    model = mlp((np.stack([np.cos(angles), np.sin(angles)], 1), np.zeros(40)), head(40))
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == [80]
    assert len(found.vertices) == 4 + 80 + 1
    assert_complex(found)
    assert_jacobians(found, model)


def test_decision_boundary_on_a_hinge():
    """f = relu(x) - relu(-x) = x: its zero set is a side shared by two regions, counted once."""
    model = mlp(([[1, 0], [-1, 0]], [0, 0]), ([[1, -1]], [0]))
    boundary = partition(model, Slice(ORIGIN, U, V, SQUARE)).decision_boundary()
    assert boundary.length == pytest.approx(4.0, rel=1e-12)
    assert np.abs(boundary.segments[..., 0]).max() <= 1e-12


def test_argmax_boundary_by_hand():
    """Three classes x, y, 0 with a hinge along x = 0: three half-lines meet at the origin."""
    model = mlp(([[1, 0], [-1, 0], [0, 1], [0, -1]], [0] * 4), ([[1, -1, 0, 0], [0, 0, 1, -1], [0] * 4], [0] * 3))
    boundary = partition(model, Slice(ORIGIN, U, V, SQUARE)).decision_boundary()
    # x = y > 0 (length 2 sqrt 2), x = 0 > y and y = 0 > x (length 2 each).
    assert boundary.length == pytest.approx(4 + 2 * np.sqrt(2), rel=1e-12)
    assert {tuple(sorted(pair)) for pair in boundary.classes.tolist()} == {(0, 1), (0, 2), (1, 2)}


def test_linear_model_is_one_region():
    model = nn.Sequential(nn.Linear(2, 5), nn.Linear(5, 1)).double()
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert found.n_regions == 1 and len(found.vertices) == len(found.edges) == 4
    assert list(found.region_counts) == []
    assert_values(found, model)
    assert found.certify().holds


def test_constant_model_has_no_boundary():
    model = mlp(([[0, 0], [0, 0]], [1, -1]), ([[1, 1]], [0.5]))
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == [1]
    boundary = found.decision_boundary()
    assert boundary.length == 0 and boundary.segments.shape == (0, 2, 2)
    assert np.asarray(found.sample_boundary(5)).shape == (0, 2)


def test_a_unit_that_is_zero_on_a_whole_region_is_off_there():
    """The second of two ReLUs sees 0 where the first is off: no new hinge, and the same pattern, not always on."""
    model = nn.Sequential(
        *mlp(([[1, 0.5], [-0.5, 1], [1, 1]], [0.25, 0.5, 9])), nn.ReLU(), nn.ReLU(), nn.Linear(3, 1)
    ).double()
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == [4, 4]
    for region in range(found.n_regions):
        first, second = patterns_of(found, region)
        assert np.array_equal(first, second)
    assert found.certify().holds


def test_a_unit_that_is_zero_but_for_rounding_is_off():
    """c - a - b + d with c = a + b on the whole square: zero wherever d is off, up to rounding."""
    first = [[1, 0], [0, 1], [1, 1], [3, -1], [3, -5]], [3, 3, 6, 0.5, 0.25]
    model = mlp(first, ([[-1, -1, 1, 1, 0], [0, 0, 0, 1, -1]], [0, 0]), head(2))
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    slow = twin.partition(twin.from_torch(model, (2,)), SQUARE, ORIGIN, U, V, exact=True)
    assert list(found.region_counts) == slow.counts == [4, 5]
    means = [np.mean(np.array(polygon, dtype=np.float64), axis=0) for polygon in slow.polygons]
    for row, region in enumerate(found.locate(np.array(means))):
        for mine, exact in zip(patterns_of(found, region), slow.patterns, strict=True):
            assert np.array_equal(mine, exact[row])
    assert found.certify().holds


def test_rounding_noise_of_one_layer_is_no_sign_in_the_next():
    """Where the second layer is zero but for rounding, the third sees noise: the certificate must not read its sign."""
    first = [[0, 0.5], [-0.5, 1], [0, 0], [0.5, -0.5]], [1, 1, 1, 1]
    model = mlp(first, ([[0.5, -0.5, 0.5, -0.5]], [0]), ([[0.5]], [0]), head(1))
    model[5] = nn.LeakyReLU(0.25)
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    slow = twin.partition(twin.from_torch(model, (2,)), SQUARE, ORIGIN, U, V, exact=True)
    assert list(found.region_counts) == slow.counts
    assert found.certify().holds


class Difference(nn.Module):
    """The difference of two equal values, which is zero but for rounding, handed on with both signs."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(2, 4).double(), nn.Linear(4, 3).double(), nn.Linear(3, 1).double()
        weights = [[2, -2], [0, 2], [0, -0.25], [2, 0]], [[1, 0, -0.5, -1], [0.5, -1, 0.5, 0.5], [-0.5, 1, -0.5, -0.5]]
        with torch.no_grad():
            for linear, weight in zip((self.a, self.b), weights, strict=True):
                linear.weight.copy_(torch.tensor(weight))
                linear.bias.zero_()
            self.a.weight.mul_(0.3)
            self.out.weight.copy_(torch.tensor([[2.0, 2.375, -3.25]]))
            self.out.bias.zero_()
        self.sign = sign

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.a(x)
        noise = nn.functional.leaky_relu(z, 1.0) - z
        return self.out(nn.functional.leaky_relu(self.b(nn.functional.leaky_relu(self.sign * noise, 1.0)), 1.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rounding_noise_below_zero_goes_no_further(sign):
    """An activation that lets negative values through must not hand on what is zero but for rounding."""
    found = partition(Difference(sign), Slice(ORIGIN, U, V, np.array([[-2.0, -2.0], [2.0, -2.0], [0.0, 2.0]])))
    assert found.n_regions == found.region_counts[0] == 6
    assert np.array_equal(found.outputs, np.zeros_like(found.outputs))
    assert found.certify().holds


@pytest.mark.parametrize("seed", range(40))
def test_random_special_position(seed):
    """Small integer weights, scaled copies of neurons, slopes of every sign: lines meet in corners all the time."""
    rng = np.random.default_rng(seed)
    size, width, layers = 2, int(rng.integers(2, 8)), []
    slopes = [0.0, 0.25, -1.0, -0.5, 2.0]
    for _ in range(int(rng.integers(1, 4))):
        linear = nn.Linear(size, width).double()
        weight = rng.integers(-2, 3, (width, size)) * (rng.random((width, size)) < 0.7) / rng.choice([1, 2])
        bias = rng.integers(-2, 3, width) * (rng.random() < 0.6)
        weight[0], bias[0] = weight[1] * rng.choice([-1, 1, 2]), 0
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(weight))
            linear.bias.copy_(torch.as_tensor(bias))
        layers += [linear, nn.LeakyReLU(float(rng.choice(slopes)))]
        size = width
    torch.manual_seed(seed)
    model = nn.Sequential(*layers, nn.Linear(size, 2).double())
    program = twin.from_torch(model, (2,))
    slow = twin.partition(program, SQUARE, ORIGIN, U, V, exact=True)
    counted = twin.complex_of(slow)
    found = partition(model, Slice(ORIGIN, U, V, SQUARE))
    assert list(found.region_counts) == slow.counts
    assert (len(found.vertices), len(found.edges)) == (counted.vertices, counted.edges)
    assert found.adjacency().ecount() == counted.adjacent_pairs
    assert_complex(found)
    assert_values(found, model)
    assert_jacobians(found, model, lambda r: twin.forced_map(program, patterns_of(found, r), ORIGIN, U, V)[:, :2])
    assert found.certify().holds
