"""figures.equivalence_slice and its parts: what is drawn is where it is, and is said to be what it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_marks import SliceElements
from netgeom_widgets.figures.equivalence_overlays import SliceCurve, _pieces
from netgeom_widgets.figures.equivalence_scale import FLOOR, EvenGrid, log_loss, scale_limits, with_nearest
from netgeom_widgets.figures.equivalence_slice import LossSlicePicture
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole
from tests.figures.slices import hyperbola, loss_slice, sphere


def test_pixels_have_their_centres_at_the_points_of_the_grid():
    part, drawn = LossSlicePicture(), hyperbola()
    part.show(drawn, names=["towards element 1", HOSTILE], note=HOSTILE, epsilon=0.01)
    data = part.raster.image.data
    assert np.allclose(data["image"][0], np.log10(np.maximum(drawn.relative_loss, FLOOR)).T, atol=1e-6)
    a, w = drawn.axes
    left, step = data["x"][0], data["dw"][0] / len(a)
    assert np.allclose(left + step * (np.arange(len(a)) + 0.5), a)
    assert np.allclose(data["y"][0] + data["dh"][0] / len(w) * (np.arange(len(w)) + 0.5), w)
    assert part.raster.bar.title == "log10 R" and "c1: towards element 1 (basis units)" in texts(part.root)
    assert "Zero function: R = 0.98; best constant: R = 1." in caption(part.root) and whole(part.root)
    part.show(drawn, axes=(1, 0))
    assert np.allclose(part.raster.image.data["image"][0], np.log10(np.maximum(drawn.relative_loss, FLOOR)), atol=1e-6)
    assert part.epsilon == 0.01  # stays


def test_epsilon_moves_contours_and_nothing_else():
    part, drawn = LossSlicePicture(), hyperbola(201, 161)
    part.show(drawn)
    sent = []
    for source in (part.raster.image, part.raster.thin):
        source.on_change("data", lambda attr, old, new: sent.append(attr))
    part.set_epsilon(1e-2)
    for x, y in zip(part.raster.strong.data["xs"], part.raster.strong.data["ys"], strict=True):
        assert np.abs(np.abs(x * y - 1) - 0.1).max() < 2e-3  # (a w - 1)^2 = 0.01
    inside = int((drawn.relative_loss <= 1e-2).sum())
    assert not sent and f"{inside:,} of {201 * 161:,} points have R ≤ 0.01." in caption(part.root)
    assert part.raster.veil.data["xs"] and "R ≤ ε (hatched)" in texts(part.root)
    part.set_epsilon(1e-9)
    inside = int((drawn.relative_loss <= 1e-9).sum())
    assert f"{inside} of {201 * 161:,} points" in caption(part.root)
    part.set_epsilon(0.99)
    assert "zero everywhere" in caption(part.root)
    part.set_epsilon(None)
    assert not sent and not part.raster.strong.data["xs"] and part.raster.veil.data["xs"] == [[]]
    part.show(loss_slice(drawn.relative_loss + 0.25, drawn.axes), epsilon=1e-3)
    assert "No grid point has R ≤ 0.001: the least R is 0.25." in caption(part.root)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(NetgeomError, match="bound of a loss"):
            part.set_epsilon(wrong)


def test_elements_tell_status_and_distance():
    part, taps, points = LossSlicePicture(), [], []
    part.on_element(taps.append)
    part.on_point(points.append)
    part.show(hyperbola())
    elements = SliceElements(
        np.array([[1.0, 1.0], [-1.9, 0.5], [5.0, 0.0]]), np.array([0.0, 3.0, 1.0]), np.array([1e-22, 0.5, np.nan]),
        ["converged", "local_minimum", "odd"], ids=[4, 7, 9], names=["", HOSTILE, ""],
    )  # fmt: skip
    part.draw_elements(elements)
    data = part._marks.source.data
    assert data["id"] == [7, 9, 4] and data["far"] == ["3", "1", "0"]  # the nearest last, on top
    assert (np.diff(data["size"]) > 0).all() and data["alpha"][2] == 1 > data["alpha"][0]
    assert data["loss"] == ["0.5", "unknown", "1e−22"]
    assert {"converged", "local minimum", "element", "centre"} <= texts(part.root)
    assert "1 of 3 elements lie in this plane." in caption(part.root) and "Beyond the picture: 1." in caption(part.root)
    part.pick_element(7)
    assert part._marks._ring.data == {"x": [-1.9], "y": [0.5]} and whole(part.root)
    tap(part.root, 1.0, 1.0)
    tap(part.root, 0.0, -1.0)
    tap(part.root, 9.0, 0.0)
    assert taps == [4] and points == [(0.0, -1.0)]
    part.draw_elements(None)
    assert not len(part._marks.source.data["x"]) and "elements" not in caption(part.root)
    with pytest.raises(NetgeomError, match="does not belong"):
        SliceElements(np.zeros((2, 2)), np.zeros(3))
    with pytest.raises(NetgeomError, match="not those of this slice"):
        part.draw_elements(SliceElements(np.zeros((2, 3)), np.zeros(2)))


def test_curves_and_directions_fade_out_of_the_plane():
    part = LossSlicePicture()
    part.show(hyperbola())
    t = np.linspace(0.5, 2, 50)
    inside = SliceCurve(np.column_stack([t, 1 / t]), 0 * t, "closed form", HOSTILE)
    leaving = SliceCurve(np.column_stack([t, t]), 9 * (t - 0.5), "path")
    images = SliceCurve(np.array([[1.0, 1.0], [-1.0, 0.5]]), np.array([0.0, 4.0]), "image")
    part.draw_curves([inside, leaving, images])
    marks = part._curves._images.data
    assert marks["x"] == [1.0, -1.0] and marks["alpha"][0] == 1.0 > marks["alpha"][1] and marks["far"] == ["0", "4"]
    data = part._curves._sources["path"].data
    assert len(data["xs"]) > 2 and list(data["alpha"]) == sorted(data["alpha"], reverse=True)
    assert np.allclose(np.unique(np.concatenate(data["xs"])), t) and "projections" in caption(part.root)
    assert len(part._curves._sources["closed form"].data["xs"]) == 1
    part.draw_directions(np.array([[1.0, 0.0], [0.0, 0.2]]), ["n 1", "n 2"], origin=(1.0, 1.0))
    assert np.allclose(part._directions._lines.data["part"], [1, 0.2])
    assert {"class, closed form", "optimiser path", "null direction", "image under symmetries"} <= texts(
        part.root
    ) and whole(part.root)
    part.draw_curves([])
    part.draw_directions(np.empty((0, 2)), [])
    assert not {"null direction", "image under symmetries"} & texts(part.root) and "projections" not in caption(
        part.root
    )
    with pytest.raises(NetgeomError, match="no such kind"):
        SliceCurve(np.zeros((2, 2)), np.zeros(2), "line")


@given(st.lists(st.floats(0, 1), max_size=40))
def test_pieces_of_a_curve_join(shares):
    found = _pieces(np.array(shares))
    assert not found if len(shares) < 2 else (found[0][0], found[-1][1]) == (0, len(shares))
    assert all(one[1] - 1 == other[0] for one, other in pairwise(found))


def test_a_third_axis_is_cut_and_counts_as_distance():
    part = LossSlicePicture()
    part.show(sphere(), at={2: 6}, epsilon=0.1)
    assert "At c3 = 0." in caption(part.root) and part.point_at(0.5, 0.25) == (0.5, 0.25, 0.0)
    part.draw_elements(SliceElements(np.array([[0.0, 1.0, 0.75], [1.0, 0.0, 0.0]]), np.array([1.0, 0.0])))
    assert part._marks.source.data["far"] == ["1.25", "0"]
    part.show(sphere(), axes=(2, 0), at={1: 0})
    assert part.point_at(0.1, 0.2) == (0.2, -1.5, 0.1) and whole(part.root)
    with pytest.raises(NetgeomError, match="no such slice"):
        part.show(sphere(), at={2: 40})


def test_what_has_no_value_is_grey_and_said():
    drawn = hyperbola()
    drawn.relative_loss[:3, :3], drawn.relative_loss[5, 5], drawn.relative_loss[6, 6] = np.nan, np.inf, 0.0
    part = LossSlicePicture()
    part.show(drawn, epsilon=1.0)
    assert "Grey: not finite (10 points)." in caption(part.root) and "of 1e-16 or less" in caption(part.root)
    assert np.isnan(part.raster.image.data["image"][0]).sum() == 10 and whole(part.root)
    part.show(loss_slice(np.full((5, 4), np.nan), (np.arange(5.0), np.arange(4.0))))
    assert whole(part.root) and part.limits == (-1, 0)
    part.show(loss_slice(np.full((5, 4), 2.0), (np.arange(5.0), np.arange(4.0))))
    assert "one constant, R = 2: are the bounds too small?" in caption(part.root) and whole(part.root)
    own = loss_slice(np.ones((5, 4)), (np.arange(5.0), np.arange(4.0)))
    own.relative_loss = own.variance = own.zero_loss = None
    part.show(own)
    assert part.raster.bar.title == "log10 J" and "Zero function" not in caption(part.root)
    part.clear("Nothing yet.")
    assert caption(part.root) == "Nothing yet." and part.point_at(0, 0) is None and whole(part.root)
    for axes in ((np.array([0.0, 1, 3, 4, 5]), np.arange(4.0)), (np.zeros(5), np.arange(4.0)), (np.arange(5.0),)):
        with pytest.raises(NetgeomError, match=r"evenly spaced|no plane"):
            part.show(loss_slice(np.ones((5, 4)), axes))
    with pytest.raises(NetgeomError, match="do not fit"):
        part.show(loss_slice(np.ones((4, 5)), (np.arange(5.0), np.arange(4.0))))


def test_a_grid_that_is_half_known_is_drawn_coarsely():
    values, axes = np.arange(81.0).reshape(9, 9), (np.arange(9.0),) * 2
    known = np.full((9, 9), np.nan)
    assert np.isnan(with_nearest(known)).all()
    known[::4, ::4] = values[::4, ::4]
    assert np.isin(with_nearest(known), values[::4, ::4]).all() and with_nearest(known)[1, 1] == 0
    part = LossSlicePicture()
    part.show(loss_slice(known, axes), epsilon=20.0, partial=True)
    assert not np.isnan(part.raster.image.data["image"][0]).any() and "Grey" not in caption(part.root)
    part.draw_elements(SliceElements(np.array([[3.0, 3.0]]), np.zeros(1)))
    part.update(loss_slice(values, axes), note="all")
    assert (part.plane.grid.values == values).all() and caption(part.root).endswith("all")
    assert len(part._marks.source.data["x"]) == 1 and "21 of 81 points" in caption(part.root)
    profile = loss_slice(values, axes)
    profile.plain_loss, profile.converged = values, values > 2
    part.update(profile)
    assert "an upper bound; not settled at 3 points." in caption(part.root)


def test_a_set_with_a_hole_keeps_it():
    axis = np.linspace(-2, 2, 81)
    radius = np.hypot(axis[:, None], axis[None])
    xs, ys = EvenGrid(axis, axis, np.abs(radius - 1)).filled_below(0.3)
    assert len(xs) == 1 and len(xs[0][0]) == 2
    reach = sorted(float(np.hypot(x, y).mean()) for x, y in zip(xs[0][0], ys[0][0], strict=True))
    assert np.allclose(reach, [0.7, 1.3], atol=0.01)
    assert np.isnan(log_loss([np.nan, -np.inf, 1.0])).tolist() == [True, True, False] and log_loss(0.0) == -16
    assert scale_limits(np.r_[-16.0, np.linspace(-2.5, 1.5, 500)]) == (-4, 1.5)
    assert scale_limits(np.linspace(-2.5, 5, 500)) == (-3, 2) and scale_limits(np.linspace(3, 5, 9)) == (3, 4)
