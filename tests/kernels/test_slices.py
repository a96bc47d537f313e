"""Two-dimensional slices of input space."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions import Slice
from tests.kernels.checks import polygon_area

SQUARE = [[-1, -1], [1, -1], [1, 1], [-1, 1]]


def contains(polygon, points) -> bool:
    corners = np.asarray(polygon)
    if polygon_area(corners) < 0:
        corners = corners[::-1]
    edge = np.roll(corners, -1, axis=0) - corners
    away = np.asarray(points)[:, None] - corners
    return bool((edge[:, 0] * away[..., 1] - edge[:, 1] * away[..., 0] >= 0).all())


def test_box_is_the_identity_plane():
    domain = Slice.box(-1, 2, -3, 4)
    assert abs(polygon_area(domain.polygon)) == 21 and domain.metric
    assert contains(domain.polygon, [[-1, -3], [2, 4]])
    points = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_array_equal(np.asarray(domain.to_input(points)), points)


@pytest.mark.parametrize("shape", [(2,), (7,), (1, 4, 4), (3, 5)])
def test_through_three_inputs(shape):
    a, b, c = np.random.default_rng(1).normal(size=(3, *shape))
    domain = Slice.through(a, b, c)
    frame = np.stack([np.ravel(domain.u), np.ravel(domain.v)])
    np.testing.assert_allclose(frame @ frame.T, np.eye(2), atol=1e-14)
    np.testing.assert_allclose(np.asarray(domain.origin), (a + b + c) / 3, atol=1e-14)
    assert domain.metric and np.asarray(domain.u).shape == shape
    points, distance = domain.to_slice(np.stack([a, b, c]))
    np.testing.assert_allclose(distance, 0, atol=1e-13)
    assert contains(domain.polygon, points)
    sides = np.linalg.norm(np.roll(domain.polygon, -1, axis=0) - domain.polygon, axis=1)
    assert len(sides) == 4 and np.ptp(sides) < 1e-12
    # Gram-Schmidt of b - a, c - a: u runs along b - a, v is on c's side.
    assert np.ravel(b - a) @ frame[0] > 0 and np.ravel(b - a) @ frame[1] == pytest.approx(0, abs=1e-13)
    assert np.ravel(c - a) @ frame[1] > 0
    wide = Slice.through(a, b, c, margin=1.0)
    assert abs(polygon_area(wide.polygon)) > abs(polygon_area(domain.polygon))


def test_around_a_point():
    centre, u, v = np.random.default_rng(2).normal(size=(3, 2, 3))
    domain = Slice.around(centre, u, v, 0.5)
    frame = np.stack([np.ravel(domain.u), np.ravel(domain.v)])
    np.testing.assert_allclose(frame @ frame.T, np.eye(2), atol=1e-14)
    assert abs(polygon_area(domain.polygon)) == pytest.approx(1.0)
    assert contains(domain.polygon, [[-0.5, -0.5], [0.5, 0.5]])
    np.testing.assert_array_equal(np.asarray(domain.to_input([[0.0, 0.0]]))[0], centre)


def test_projection_and_distance():
    """An oblique plane too: the nearest point of the plane, the distance to it."""
    rng = np.random.default_rng(3)
    origin, u, v = rng.normal(size=(3, 6))
    domain = Slice(origin, u, v, SQUARE)
    points = rng.normal(size=(9, 2))
    on_plane = np.asarray(domain.to_input(points))
    assert on_plane.shape == (9, 6) and not domain.metric
    np.testing.assert_allclose(on_plane, origin + points[:, :1] * u + points[:, 1:] * v, atol=1e-13)
    normal = rng.normal(size=6)
    frame, _ = np.linalg.qr(np.stack([u, v], axis=1))
    normal -= frame @ (frame.T @ normal)
    normal /= np.linalg.norm(normal)
    back, distance = domain.to_slice(on_plane + 0.7 * normal)
    np.testing.assert_allclose(back, points, atol=1e-12)
    np.testing.assert_allclose(distance, 0.7, atol=1e-12)


def test_torch_tensors_and_float32_are_welcome():
    origin, u, v = torch.eye(3)
    domain = Slice(origin, u, v, torch.tensor(SQUARE))
    assert domain.polygon.dtype == np.float64 and isinstance(domain.origin, np.ndarray)
    points, distance = domain.to_slice(torch.zeros(2, 3))
    assert points.shape == (2, 2) and distance.shape == (2,)


def test_either_orientation_is_one_domain():
    one, two = Slice.box(-1, 1, -1, 1), Slice(np.zeros(2), [1, 0], [0, 1], SQUARE[::-1])
    assert abs(polygon_area(one.polygon)) == abs(polygon_area(two.polygon)) == 4


def test_with_polygon_keeps_the_plane():
    domain = Slice.box(-1, 1, -1, 1)
    smaller = domain.with_polygon([[0, 0], [0.5, 0], [0, 0.5]])
    assert abs(polygon_area(smaller.polygon)) == pytest.approx(0.125)
    assert abs(polygon_area(domain.polygon)) == 4
    np.testing.assert_array_equal(smaller.u, domain.u)


def test_the_callers_arrays_are_not_shared():
    polygon, origin = np.array(SQUARE, dtype=float), np.zeros(2)
    domain = Slice(origin, np.array([1.0, 0]), np.array([0, 1.0]), polygon)
    polygon += 1
    origin += 1
    assert contains([[-1, -1], [1, -1], [1, 1], [-1, 1]], domain.polygon)
    assert not np.asarray(domain.origin).any()


BAD_POLYGONS = {
    "non-convex": [[0, 0], [2, 0], [1, 0.5], [0, 2]],
    "self-intersecting": [[0, 0], [1, 1], [1, 0], [0, 1]],
    "pentagram": [[np.cos(a), np.sin(a)] for a in 4 * np.pi * np.arange(5) / 5],
    "wound twice": SQUARE + SQUARE,
    "zero area": [[0, 0], [1, 1], [2, 2]],
    "a point": [[1, 1]] * 4,
    "two points": [[0, 0], [1, 0]],
    "empty": np.empty((0, 2)),
    "three columns": [[0, 0, 0], [1, 0, 0], [0, 1, 0]],
    "NaN": [[0, 0], [1, 0], [np.nan, 1]],
    "infinite": [[0, 0], [1, 0], [0, np.inf]],
    "text": "square",
}


@pytest.mark.parametrize("kind", BAD_POLYGONS)
def test_bad_polygons_are_refused(kind):
    with pytest.raises(NetgeomError):
        Slice(np.zeros(2), [1, 0], [0, 1], BAD_POLYGONS[kind])
    with pytest.raises(NetgeomError):
        Slice.box(-1, 1, -1, 1).with_polygon(BAD_POLYGONS[kind])


BAD_FRAMES = {
    "dependent": ([0, 0, 0], [1, 2, 3], [2, 4, 6]),
    "almost dependent": ([0, 0, 0], [1, 2, 3], [1, 2, 3 + 1e-15]),
    "zero u": ([0, 0, 0], [0, 0, 0], [1, 0, 0]),
    "zero v": ([0, 0, 0], [1, 0, 0], [0, 0, 0]),
    "other shapes": ([0, 0, 0], [1, 0], [0, 1]),
    "NaN": ([0, np.nan, 0], [1, 0, 0], [0, 1, 0]),
    "infinite": ([0, 0, 0], [1, np.inf, 0], [0, 1, 0]),
    "one dimension": ([0], [1], [2]),
    "complex": ([0, 0, 0], [1j, 0, 0], [0, 1, 0]),
    "empty": ([], [], []),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_bad_frames_are_refused(kind):
    origin, u, v = (np.array(w) for w in BAD_FRAMES[kind])
    with pytest.raises(NetgeomError):
        Slice(origin, u, v, SQUARE)


BAD_CONSTRUCTIONS = {
    "box the wrong way round": lambda: Slice.box(1, -1, -1, 1),
    "flat box": lambda: Slice.box(0, 0, -1, 1),
    "NaN box": lambda: Slice.box(0, np.nan, -1, 1),
    "through collinear inputs": lambda: Slice.through([0, 0, 0], [1, 1, 1], [2, 2, 2]),
    "through equal inputs": lambda: Slice.through([0, 0, 0], [0, 0, 0], [2, 2, 1]),
    "through inputs of two shapes": lambda: Slice.through([0, 0, 0], [1, 0], [2, 2, 1]),
    "around with radius 0": lambda: Slice.around([0, 0], [1, 0], [0, 1], 0),
    "around with negative radius": lambda: Slice.around([0, 0], [1, 0], [0, 1], -1),
    "around with infinite radius": lambda: Slice.around([0, 0], [1, 0], [0, 1], np.inf),
    "around with dependent directions": lambda: Slice.around([0, 0], [1, 0], [2, 0], 1),
}


@pytest.mark.parametrize("kind", BAD_CONSTRUCTIONS)
def test_bad_constructions_are_refused(kind):
    with pytest.raises(NetgeomError):
        BAD_CONSTRUCTIONS[kind]()


def test_wrong_points_are_refused():
    domain = Slice.through(*np.random.default_rng(0).normal(size=(3, 4)))
    with pytest.raises(NetgeomError):
        domain.to_input(np.zeros((3, 3)))
    with pytest.raises(NetgeomError):
        domain.to_slice(np.zeros((3, 5)))


def test_sampled_points_are_uniform_in_the_polygon():
    domain = Slice(np.zeros(3), [1.0, 0, 0], [0, 1.0, 0], [[0, 0], [4, 0], [4, 1], [0, 3]])
    points = domain.sample(20_000, seed=1)
    s, t = points.T
    assert ((s >= 0) & (s <= 4) & (t >= 0) & (t <= 3 - s / 2 + 1e-12)).all()
    assert np.isclose(np.mean(s < 2), 5 / 8, atol=0.02), "the left half holds 5 of the 8 units of area"
    assert np.isclose(np.mean(t > 1), 4 / 8, atol=0.02)
    assert np.array_equal(points, domain.sample(20_000, seed=1)) and domain.sample(0).shape == (0, 2)
    with pytest.raises(NetgeomError, match="negative"):
        domain.sample(-1)
