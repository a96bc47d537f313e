"""Slices that are moved, and planes chosen from data: methods of Slice, kernels/regions/planes.py."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions import Slice, partition, planes
from netgeom_widgets.kernels.regions.planes import (
    Motion,
    bounds_of,
    box_around,
    box_of,
    central_samples,
    normal_direction,
    principal_components,
)
from tests.networks import mlp

RNG = np.random.default_rng(0)
A, B, C, W = RNG.normal(size=(4, 2, 3))
PLANE = Slice.through(A, B, C)
MOVES = {
    "turned": lambda plane: plane.turned(37.0),
    "tilted": lambda plane: plane.tilted(-50.0, W),
    "shifted": lambda plane: plane.shifted(0.3, -2.0),
    "lifted": lambda plane: plane.lifted(1.5, W),
    "scaled": lambda plane: plane.scaled(0.25),
}


def at(plane, point):
    return plane.to_input(np.array([point]))[0]


@pytest.mark.parametrize("name", MOVES)
def test_a_moved_plane_stays_orthonormal_and_its_square_a_square(name):
    moved = MOVES[name](PLANE)
    assert moved.metric and moved.u.shape == (2, 3)
    np.testing.assert_allclose(moved.basis.T @ moved.basis, np.eye(2), atol=1e-14)
    sides = np.linalg.norm(np.roll(moved.polygon, -1, axis=0) - moved.polygon, axis=1)
    expected = np.sqrt(PLANE.area) * (0.25 if name == "scaled" else 1)
    np.testing.assert_allclose(sides, expected, rtol=1e-13)


def test_what_stays_where_a_plane_is_moved():
    centre = at(PLANE, PLANE.centre)
    for name in ("turned", "tilted", "scaled"):
        moved = MOVES[name](PLANE)
        np.testing.assert_allclose(at(moved, moved.centre), centre, atol=1e-14)
    turned = PLANE.turned(37.0)
    assert turned.to_slice(PLANE.to_input(PLANE.polygon))[1].max() < 1e-13, "the same plane"
    cos, sin = np.cos(np.deg2rad(37)), np.sin(np.deg2rad(37))
    np.testing.assert_allclose(turned.u, cos * PLANE.u + sin * PLANE.v, atol=1e-15)
    axis = PLANE.to_input(PLANE.centre + np.array([[-1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(PLANE.tilted(20, W).to_slice(axis)[1], 0, atol=1e-14)
    np.testing.assert_allclose(at(PLANE.shifted(0.3, -2.0), PLANE.centre), centre, atol=1e-15)


def test_right_angles_are_exact_and_motions_undo_each_other():
    assert np.array_equal(Slice.box(-1, 1, -1, 1).turned(90).basis, [[0, -1], [1, 0]])
    assert np.array_equal(PLANE.turned(360).u, PLANE.u) and np.array_equal(PLANE.turned(-180).u, -PLANE.u)
    there = PLANE.turned(33).turned(-33)
    np.testing.assert_allclose(there.to_input(there.polygon), PLANE.to_input(PLANE.polygon), atol=1e-14)
    upright = PLANE.tilted(90, W)
    np.testing.assert_allclose(upright.v, PLANE.normal(W), atol=1e-15)
    assert PLANE.lifted(1.5, W).to_slice(PLANE.to_input(PLANE.polygon))[1] == pytest.approx(1.5)


def test_an_oblique_plane_turns_in_its_own_coordinates():
    oblique = Slice(np.zeros(3), [2.0, 0, 0], [1.0, 1.0, 0], [[0, 0], [1, 0], [1, 1]])
    turned = oblique.turned(90)
    assert np.array_equal(turned.u, oblique.v) and np.array_equal(turned.v, -oblique.u)
    assert np.linalg.norm(oblique.tilted(40, [0, 0, 1]).v) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("act", [
    lambda: PLANE.tilted(10, PLANE.u + 2 * PLANE.v),
    lambda: PLANE.lifted(1, np.zeros((2, 3))),
    lambda: PLANE.lifted(1, np.ones(6)),
    lambda: PLANE.scaled(0),
    lambda: PLANE.scaled(float("nan")),
    lambda: PLANE.turned(float("nan")),
    lambda: Motion(tilt=10).moved(PLANE),
    lambda: Motion(shift_w=1).moved(Slice.box(0, 1, 0, 1), np.array([1.0, 0])),
    lambda: normal_direction(Slice.box(0, 1, 0, 1)),
    lambda: box_around(np.zeros((3, 3))),
    lambda: box_around(np.zeros((0, 2))),
    lambda: principal_components(np.eye(3), 4),
    lambda: principal_components(np.full((3, 3), np.nan), 1),
    lambda: central_samples(np.eye(3)[:2]),
    lambda: central_samples(np.outer(np.arange(5.0), np.ones(3))),
    lambda: central_samples(np.ones((5, 3))),
])  # fmt: skip
def test_bad_moves_are_refused(act):
    with pytest.raises(NetgeomError):
        act()


def test_slices_of_equal_numbers_are_equal():
    again = Slice(PLANE.origin, PLANE.u, PLANE.v, PLANE.polygon)
    assert again == PLANE and hash(again) == hash(PLANE) and PLANE != "plane"
    assert len({PLANE, again, *(move(PLANE) for move in MOVES.values())}) == 6


def test_a_motion_is_its_parts_one_after_another():
    assert Motion().moved(PLANE) is PLANE
    motion = Motion(turn=20, tilt=30, shift_s=0.5, shift_t=-1, shift_w=0.25, size=2)
    side = np.sqrt(PLANE.area)
    by_hand = PLANE.turned(20).tilted(30, W)
    normal = by_hand.normal(W)
    by_hand = by_hand.lifted(0.25 * side, normal).shifted(0.5 * side, -side).scaled(2)
    moved = motion.moved(PLANE, W)
    np.testing.assert_allclose(moved.to_input(moved.polygon), by_hand.to_input(by_hand.polygon), atol=1e-13)
    assert moved.metric
    flat = Motion(turn=20, shift_s=0.5, size=2).moved(Slice.box(0, 1, 0, 1))
    assert flat.area == pytest.approx(4)
    upright = Motion(tilt=90, shift_w=1).moved(PLANE, W)
    assert upright.to_slice(PLANE.to_input(PLANE.centre[None]))[1] == pytest.approx(side)


def test_a_turned_domain_has_the_same_regions():
    model = mlp(6, 7, 7, 1)
    plane = Slice.through(*RNG.normal(size=(3, 6))).scaled(2)
    disc = np.stack([np.cos(np.arange(64) / 32 * np.pi), np.sin(np.arange(64) / 32 * np.pi)], 1)
    plane = plane.with_polygon(disc)
    turned = plane.turned(360 / 64)
    assert partition(model, turned).n_regions == partition(model, plane).n_regions


@pytest.mark.parametrize("shape", [(40, 5), (6, 11), (20, 2, 3), (60, 70)])
def test_principal_components_are_those_of_scikit_learn(shape, monkeypatch):
    monkeypatch.setattr(planes, "_DENSE", 50)  # the last one by Lanczos iterations
    x = RNG.normal(size=shape) * RNG.uniform(0.1, 3, shape[1:]) + 5
    found = principal_components(x, 3)
    flat = x.reshape(len(x), -1)
    reference = PCA(3, svd_solver="full").fit(flat)
    np.testing.assert_allclose(found.shares, reference.explained_variance_ratio_, rtol=1e-9)
    directions = found.directions.reshape(3, -1)
    np.testing.assert_allclose(np.abs((directions * reference.components_).sum(1)), 1, atol=1e-9)
    np.testing.assert_allclose(found.points, (flat - flat.mean(0)) @ directions.T, atol=1e-9)
    assert (np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1) > 0).all()


def test_components_that_do_not_exist_are_zero():
    line = principal_components(np.outer(np.arange(5.0), [3, 0, 4]), 2)
    np.testing.assert_allclose(line.directions, [[0.6, 0, 0.8], [0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(line.shares, [1, 0], atol=1e-12)
    assert not principal_components(np.ones((4, 3)), 2).shares.any()


def test_the_third_direction_is_where_the_data_vary_most_outside_the_plane():
    data = RNG.normal(size=(200, 6)) * [9, 9, 1, 5, 1, 1]
    plane = Slice.around(np.zeros(6), np.eye(6)[0], np.eye(6)[1], 1.0)
    w = normal_direction(plane, data)
    assert abs(w[3]) > 0.98 and not w[:2].any() and np.linalg.norm(w) == pytest.approx(1)
    inside = np.column_stack([RNG.normal(size=(9, 2)), np.zeros((9, 4))])
    for data in (None, inside):
        w = normal_direction(plane, data)
        assert np.linalg.norm(w) == pytest.approx(1) and not w[:2].any()
        assert np.array_equal(w, normal_direction(plane, data))


def test_boxes():
    assert bounds_of(box_around(np.array([[0.0, 1], [4, 2]]), 0.25)) == (-1, 5, 0, 3)
    assert bounds_of(box_around(np.array([[1.0, 2]]))) == (0, 2, 1, 3)
    assert box_of((0, 1, 0, 1), (1, 2)).u.shape == (1, 2)
    assert bounds_of(Slice.box(0, 1, 0, 1).turned(90)) is None and bounds_of(PLANE) is None
    assert bounds_of(Slice(np.zeros(2), [1, 0], [0, 1], [[0, 0], [1, 0], [0, 1]])) is None
    assert bounds_of(Slice.box(0, 1, 0, 1).shifted(1, 2)) == (1, 2, 2, 3)


def test_central_samples_lie_in_the_middle_of_the_data():
    centres = np.array([[0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0.0]])
    data = (centres[:, None] + RNG.normal(size=(3, 30, 4))).reshape(90, 4)
    chosen = central_samples(data)
    assert chosen == central_samples(data)
    assert sorted(i // 30 for i in chosen) == [0, 1, 2]
    for i in chosen:
        far = np.linalg.norm(data - centres[i // 30], axis=1)[i // 30 * 30 :][:30]
        assert far[i % 30] <= np.quantile(far, 0.3)
    assert sorted(central_samples(np.eye(3))) == [0, 1, 2]
    assert len(set(central_samples([[0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 1, 0], [0, 0, 0.0]]))) == 3


def test_many_samples_are_judged_by_some_of_them():
    """Three parts of the data, and a direction off the plane, are found among more samples than are looked at."""
    rng = np.random.default_rng(2)
    centres = np.array([[0.0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0]])
    part = rng.integers(3, size=planes._MOST_SAMPLES * 4)
    inputs = centres[part] + rng.normal(size=(len(part), 4)) * [0.3, 0.3, 2.0, 0.1]
    chosen = planes.central_samples(inputs)
    assert chosen == planes.central_samples(inputs) and max(chosen) > planes._MOST_SAMPLES
    assert sorted(part[list(chosen)]) == [0, 1, 2]
    w = planes.normal_direction(Slice.around(np.zeros(4), *np.eye(4)[:2], 1.0), inputs)
    assert abs(w[2]) > 0.99
