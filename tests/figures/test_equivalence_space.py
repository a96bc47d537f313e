"""figures of slices of three axes and more, and of surfaces: what is seen from a direction is what is there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_marks import SliceElements
from netgeom_widgets.figures.equivalence_projection import ProjectionPicture
from netgeom_widgets.figures.equivalence_space import EpsilonSpace, epsilon_space
from netgeom_widgets.figures.equivalence_surface import LossSurface, loss_surface
from netgeom_widgets.figures.orthographic import View
from netgeom_widgets.kernels.equivalence import project_points
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole
from tests.figures.slices import hyperbola, loss_slice, sphere

ELEMENTS = SliceElements(
    np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), np.array([0.0, 2.0]), np.array([1e-20, 0.5]), ["converged", "dead"]
)


@given(st.floats(-720, 720), st.floats(-90, 90))
def test_a_projection_keeps_lengths_on_the_screen(azimuth, elevation):
    points = np.random.default_rng(0).normal(size=(20, 3))
    places, depth = View(azimuth, elevation).project(points)
    assert np.allclose((places**2).sum(axis=1) + depth**2, (points**2).sum(axis=1))
    assert np.allclose(View(0, 0).project(np.eye(3))[0], [[0, 0], [1, 0], [0, 1]])  # along the first axis
    above = View(azimuth, 90).project(np.array([[0.0, 0.0, 1.0]]))
    assert np.allclose(above[0], 0) and np.allclose(above[1], 1)
    for wrong in ((np.nan, 0), (0, 91)):
        with pytest.raises(NetgeomError, match="no direction"):
            View(*wrong)


def test_points_of_a_set_are_those_below_epsilon_the_nearest_on_top():
    part, drawn = EpsilonSpace(), sphere()
    part.show(drawn, epsilon=0.1, names=["towards element 1", HOSTILE, ""], note=HOSTILE)
    data = part._points.data
    found = np.stack([data["c1"], data["c2"], data["c3"]], axis=1)
    assert ((np.square(found).sum(axis=1) - 1) ** 2 <= 0.1 + 1e-12).all()
    assert len(found) == (drawn.relative_loss <= 0.1).sum() and np.allclose(
        data["value"], (np.square(found).sum(axis=1) - 1) ** 2
    )
    assert (np.diff(data["size"]) >= 0).all()
    before = {tuple(row) for row in found.tolist()}
    part.set_view(130, -20)
    data = part._points.data
    assert {tuple(row) for row in np.stack([data["c1"], data["c2"], data["c3"]], axis=1).tolist()} == before
    places = View(130, -20).project(np.stack([data["c1"], data["c2"], data["c3"]], axis=1) / 1.5)[0]
    assert np.allclose(np.stack([data["x"], data["y"]], axis=1), places)
    part.draw_elements(ELEMENTS)
    assert len(part._marks.source.data["x"]) == 2 and {"c1", "c2", "c3", "−1.5", "dead"} <= texts(part.root)
    part.pick_element(1)
    assert whole(part.root) and "c1: towards element 1" in caption(part.root)
    part.set_epsilon(1e-9)
    assert "points have R" in caption(part.root) or "No grid point has R" in caption(part.root)
    part.set_epsilon(None)
    assert not len(part._points.data["x"]) and whole(part.root)
    part.clear("Nothing.")
    assert caption(part.root) == "Nothing." and whole(part.root)


def test_contours_lie_in_their_layers():
    part, drawn = EpsilonSpace(), sphere(31)
    part.show(drawn, epsilon=0.04, mode="contours")
    for points, c3 in part._contours:
        assert (points[:, 2] == c3).all()
        assert np.abs(np.abs(np.square(points).sum(axis=1) - 1) - 0.2).max() < 0.02
    assert len({c3 for _, c3 in part._contours}) > 5 and part._bar.title == "c3"
    assert "Contours of one layer in 2 along c3." in caption(part.root) and whole(part.root)
    assert not len(part._points.data["x"])
    part.set_epsilon(0.04, "points")
    assert len(part._points.data["x"]) and not part._lines.data["xs"] and part._bar.title == "log10 R"
    part.show(sphere(41), epsilon=2.0)
    assert "Drawn: " in caption(part.root) and len(part._points.data["x"]) <= 6000
    with pytest.raises(NetgeomError, match="three axes"):
        part.show(hyperbola())
    with pytest.raises(NetgeomError, match="no such way"):
        part.set_epsilon(0.1, "mesh")
    with pytest.raises(NetgeomError, match="bound of a loss"):
        part.set_epsilon(0.0)
    assert whole(epsilon_space(sphere(), epsilon=0.1, view=View(10, 80)))


def test_a_surface_has_a_face_for_each_cell_with_values():
    part, drawn = LossSurface(), hyperbola(21, 16)
    drawn.relative_loss[4, 5] = np.nan
    part.show(drawn, note=HOSTILE, names=["a", HOSTILE])
    assert len(part._patches.data["xs"]) == 20 * 15 - 4 and "Holes: not finite (1 points)." in caption(part.root)
    assert {"c1", "c2", "log10 R"} <= texts(part.root) and whole(part.root)
    part.set_view(20, 50)
    depth = View(20, 50).project(part._cube.scaled(part._faces))[1].mean(axis=1)
    order = np.argsort(depth, kind="stable")
    assert np.allclose(part._patches.data["value"], part._heights[order])
    part.show(drawn, log=False)
    assert part._bar.title == "R" and np.isclose(part._mapper.high, np.nanmax(drawn.relative_loss)) and whole(part.root)
    part.show(hyperbola(201, 50))
    assert "Drawn: one point in 4 along c1, in 1 along c2." in caption(part.root)
    part.show(sphere(), axes=(2, 0), at={1: 0})
    assert {"c3", "c1"} <= texts(part.root)
    empty = loss_slice(np.full((3, 3), np.inf), (np.arange(3.0),) * 2)
    assert whole(loss_surface(empty, view=View(0, 0)))
    with pytest.raises(NetgeomError, match="no plane"):
        part.show(loss_slice(np.ones(3), (np.arange(3.0),)))


def test_projected_points_have_their_elements_among_them():
    rng = np.random.default_rng(0)
    points, elements = rng.normal(size=(60, 4)), rng.normal(size=(2, 4))
    marks = SliceElements(elements, np.array([0.0, 1.0]), np.array([1e-20, 0.5]), ["converged", "dead"])
    found = project_points(np.concatenate([points, elements]))
    part, taps = ProjectionPicture(), []
    part.on_element(taps.append)
    part.show(found, np.full(60, 1e-3), elements=marks, epsilon=0.01, note=HOSTILE)
    assert np.allclose(part._points.data["x"], found.coordinates[:60, 0])
    assert np.allclose(part._marks.source.data["y"], found.coordinates[[61, 60], 1])
    assert caption(part.root).startswith("60 points with R ≤ 0.01. Orthogonal projection:") and whole(part.root)
    tap(part.root, *found.coordinates[61])
    part.pick_element(1)
    assert taps == [1] and len(part._marks._ring.data["x"]) == 1
    part.show(SimpleNamespace(coordinates=found.coordinates[:60], shares=None), np.r_[np.nan, np.ones(59)], letter="J")
    assert "stands in for UMAP" in caption(part.root) and "t-SNE 1" in texts(part.root) and whole(part.root)
    part.show(SimpleNamespace(coordinates=np.empty((0, 2)), shares=None), np.empty(0))
    assert "No point." in caption(part.root)
    part.clear("None.")
    with pytest.raises(NetgeomError, match="do not belong together"):
        part.show(found, np.ones(3))
