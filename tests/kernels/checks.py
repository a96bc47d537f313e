"""What every partition must satisfy, checked from its arrays and the model it came from."""

from __future__ import annotations

import copy

import numpy as np
import torch

LARGE = 1e-12  # of the domain's area: above it a region's map must agree with autograd to 1e-9


def polygon_area(points: np.ndarray) -> float:
    points = np.asarray(points, dtype=np.float64)
    x, y = (points - points[0]).T  # a tiny polygon far from the origin would lose its digits
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def rings(partition) -> list[np.ndarray]:
    """The vertex ids of every region."""
    return np.split(partition.ring_vertices, partition.ring_offsets[1:-1])


def assert_complex(partition) -> None:
    """Shapes, Euler, areas, ring orientation, and rings against edges and their regions."""
    n, vertices, edges = partition.n_regions, partition.vertices, partition.edges
    assert partition.ring_offsets.shape == (n + 1,) and partition.areas.shape == (n,)
    assert partition.centroids.shape == (n, 2) and partition.edge_regions.shape == (len(edges), 2)
    assert len(partition.edge_op) == len(partition.edge_unit) == len(edges)
    assert len(vertices) - len(edges) + n == 1
    assert partition.region_counts[-1] == n if len(partition.region_counts) else n == 1
    domain_area = abs(polygon_area(partition.domain.polygon))
    assert partition.areas.min() > 0
    assert abs(partition.areas.sum() / domain_area - 1) < 1e-9
    sides = {}
    for region, ring in enumerate(rings(partition)):
        assert len(ring) >= 3 and len(set(ring.tolist())) == len(ring)
        area = polygon_area(vertices[ring])
        assert abs(area - partition.areas[region]) <= 1e-9 * area + 1e-15 * domain_area
        for a, b in zip(ring.tolist(), np.roll(ring, -1).tolist(), strict=True):
            assert (a, b) not in sides, "two regions on the same side of an edge"
            sides[a, b] = region
    for (a, b), owners in zip(edges.tolist(), partition.edge_regions.tolist(), strict=True):
        expected = sorted((sides.get((a, b), -1), sides.get((b, a), -1)))
        assert sorted(owners) == expected, "edge_regions disagrees with the rings"
    assert len(sides) == int((partition.edge_regions >= 0).sum())
    border = (partition.edge_regions < 0).any(axis=1)
    assert np.array_equal(border, partition.edge_op < 0), "exactly the border's edges have op -1"


def double(model: torch.nn.Module) -> torch.nn.Module:
    """A float64 copy in eval mode: the reference every value is compared with."""
    return copy.deepcopy(model).double().eval()


def values_and_jacobians(model, domain, points) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (M, C) and autograd Jacobians (M, C, 2) in slice coordinates of a float64 model at slice points."""
    inputs = torch.as_tensor(np.asarray(domain.to_input(points)), dtype=torch.float64).requires_grad_()
    outputs = model(inputs).reshape(len(inputs), -1)
    frame = torch.stack([torch.as_tensor(np.asarray(w)).double().reshape(-1) for w in (domain.u, domain.v)], dim=1)
    columns = []
    for c in range(outputs.shape[1]):
        (gradient,) = torch.autograd.grad(outputs[:, c].sum(), inputs, retain_graph=True)
        columns.append(gradient.reshape(len(inputs), -1) @ frame)
    return outputs.detach().numpy(), torch.stack(columns, dim=1).numpy()


def inner_points(polygon, n: int, seed: int = 0) -> np.ndarray:
    """Random points of a convex polygon."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(len(polygon)), size=n) @ np.asarray(polygon)


def assert_values(partition, model, n: int = 500) -> None:
    """At random points the affine map of the region found there equals the original model to 1e-12."""
    points = inner_points(partition.domain.polygon, n)
    regions = partition.locate(points)
    assert (regions >= 0).all()
    expected, _ = values_and_jacobians(double(model), partition.domain, points)
    found = np.einsum("mcd,md->mc", partition.slopes[regions], points) + partition.offsets[regions]
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()


def assert_jacobians(partition, model, forced=None) -> None:
    """The issue's bound: 1e-9 of the largest entry for regions above 1e-12 of the area, 1e-6 for every other.

    `forced(r)` gives the exact map (C, 2) of a region's pattern. Without it tiny regions are compared with autograd
    at the centroid too, which is only right while float64 tells the centroid's pattern.
    """
    _, jacobians = values_and_jacobians(double(model), partition.domain, partition.centroids)
    assert partition.slopes.shape == jacobians.shape
    # A network that is constant on the whole domain has no slope to be relative to: its value takes that place.
    scale = np.abs(jacobians).max() or max(1.0, np.abs(partition.offsets).max())
    errors = np.abs(partition.slopes - jacobians).max(axis=(1, 2)) / scale
    large = partition.areas > LARGE * partition.areas.sum()
    assert errors[large].max() <= 1e-9, f"region {np.argmax(errors * large)}: {errors[large].max():.3g}"
    for region in np.flatnonzero(~large):
        error = errors[region]
        if forced is not None:
            error = np.abs(partition.slopes[region] - forced(region)).max() / scale
        assert error <= 1e-6, f"tiny region {region} (area {partition.areas[region]:.3g}): {error:.3g}"


def patterns_of(partition, region: int) -> list[np.ndarray]:
    """The branches of one region, one flat array of integers per activation op in graph order."""
    pattern = partition.pattern(int(region))
    assert list(pattern) == list(partition.ops)
    return [np.asarray(pattern[op]).reshape(-1) for op in partition.ops]
