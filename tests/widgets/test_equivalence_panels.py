"""Tests of what stands below the equivalence slice viewer: widgets/equivalence_{folds,elements,spectrum,...}.py."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from bokeh.models import DataTable
from torch import nn

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import equivalence as kernels
from tests.widgets.conftest import maker
from tests.widgets.waiting import wait_for

make = maker(ng.EquivalenceSliceViewer)

KEYS = ("element_table", "spectrum", "class_curves", "comparison", "space", "projection")
_X = torch.randn(60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SMALL = {"resolution": 9, "space_points": 5, "projection_points": 5}


def net(*sizes: int, act=nn.ReLU, bias: bool = False, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = [[nn.Linear(*pair, bias=bias), act()] for pair in pairwise(sizes)]
    return nn.Sequential(*[part for layer in layers for part in layer][:-1]).double()


TEACHER = net(1, 2, 1)
nn.utils.vector_to_parameters(torch.tensor([0.8, -0.5, 1.2, 0.7], dtype=torch.float64), TEACHER.parameters())
THETA = np.array([0.8, -0.5, 1.2, 0.7])
#: Three members, the last one with its units changed over; two that are none.
ELEMENTS = np.array(
    [THETA * [2, 0.5, 0.5, 2], THETA * [0.5, 4, 2, 0.25], [-0.5, 0.8, 0.7, 1.2], THETA * 1.3, [0.1, 0.2, 0.3, 0.4]]
)


@pytest.fixture
def viewer(make):
    viewer = make(TEACHER, _X, elements=ELEMENTS, **SMALL)
    viewer.wait(60)
    return viewer


@pytest.fixture
def calls(monkeypatch):
    """Names of the kernels that were called, in order."""
    made: list[str] = []

    def watch(name):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *args, **kwargs: made.append(name) or kernel(*args, **kwargs))

    for name in ("null_space", "trace_class", "relative_loss_slice", "element_clusters"):
        watch(name)
    return made


def fold(viewer, key):
    return viewer._shown_parts[key].fold


def found(viewer, key):
    return viewer._shown_parts[key].found


def opened(viewer, key, **settings):
    for name, value in settings.items():
        setattr(viewer, name, value)
    setattr(viewer, key, True)
    viewer.wait(60)
    return fold(viewer, key).words


def test_elements_are_listed_with_what_they_are_and_a_row_picks_one(viewer, calls):
    words = opened(viewer, "element_table")
    assert "3 of 5 elements are members of the class" in words
    assert "1 different, 2 trivial copies of these; 3 are copies of the model itself" in words
    table = next(iter(fold(viewer, "element_table").pane.root.select({"type": DataTable})))
    assert list(table.source.data["kind"]) == ["new", "copy of 0", "copy of 0", "no member", "no member"]
    assert np.allclose(table.source.data["distance"], viewer._picture.distance)
    table.source.selected.indices = [3]  # as a browser does
    viewer.wait(60)
    assert viewer.element == 3
    viewer.element = 1
    viewer.wait(60)
    assert table.source.selected.indices == [1]
    viewer.half_width = 5.0
    viewer.wait(60)
    assert calls.count("element_clusters") == 1, "of the same elements copies are not looked for again"
    assert viewer._part_arrays()["element_table_cluster"].tolist() == [0, 0, 0, -1, -1]
    assert all(not isinstance(model, DataTable) for part in viewer._exported_parts() for model in part.references())


def test_elements_that_are_found_later_come_into_the_table(make):
    viewer = make(TEACHER, _X, n_elements=3, max_iterations=20, element_table=True, **SMALL)
    viewer.wait(60)
    assert "of 3 elements" in fold(viewer, "element_table").words
    viewer.find_more(2)
    viewer.wait(60)
    assert "of 5 elements" in fold(viewer, "element_table").words and len(found(viewer, "element_table").distance) == 5


def test_the_spectrum_is_that_of_the_kernel_and_a_pick_computes_it_only_where_it_is_asked_for(viewer, calls):
    words = opened(viewer, "spectrum")
    wanted = kernels.null_space(TEACHER, THETA, _X)
    arrays = viewer._part_arrays()
    assert np.array_equal(arrays["spectrum_singular_values"], wanted.singular_values)
    assert "At the centre: the null space has dimension 2 of 4 on these 60 samples, the same on half of them" in words
    assert "2 scaling" in words and "No unit is dead" in viewer._shown_parts["spectrum"].part._told.value
    calls.clear()
    viewer.element = 4
    viewer.wait(60)
    assert calls == []
    viewer.spectrum_at = "element"
    viewer.wait(60)
    assert fold(viewer, "spectrum").words.startswith("At element 4:") and calls == ["null_space"]
    assert "Unit" not in viewer._shown_parts["spectrum"].part._told.value
    viewer.element = -1
    viewer.wait(60)
    assert "No element is picked" in fold(viewer, "spectrum").words
    assert "spectrum_gap" not in viewer._part_arrays()


def test_dead_units_are_named(make):
    dead = net(1, 3, 1)
    nn.utils.vector_to_parameters(torch.tensor([0.8, -0.5, 1, 1.2, 0.7, 0]).double(), dead.parameters())
    viewer = make(dead, _X, n_elements=0, plane="null", spectrum=True, **SMALL)
    viewer.wait(60)
    told = viewer._shown_parts["spectrum"].part._told.value
    assert "1 dead:" in told and "Unit 2 of layer 0 (0): no outgoing weight." in told


def test_curves_keep_to_the_class_and_lie_over_the_slice_while_their_fold_is_open(viewer, calls):
    words = opened(viewer, "class_curves", trace_steps=5)
    shown = found(viewer, "class_curves")
    assert [name for name, _ in shown.traces] == ["axis c1", "axis c2"] and "2 class curves" in words
    for (_, points), curve in zip(shown.traces, shown.curves, strict=True):
        losses = kernels.relative_loss(TEACHER, _X, None, points).relative_loss
        assert points.shape == (11, 4) and losses.max() < 1e-20 and np.allclose(points[5], THETA)
        assert (curve.dimension == 2).all() and curve.length[5] == 0 and (np.diff(curve.length) > 0).all()
    curves, directions = viewer._laid["class_curves"]
    assert [curve.kind for curve in curves] == ["class", "class"] and directions == {}
    assert calls.count("trace_class") == 4
    viewer.settings = {"orbits": True, "arrows": True}
    viewer.wait(60)
    curves, directions = viewer._laid["class_curves"]
    assert [curve.kind for curve in curves] == ["class", "class", "orbit", "orbit"] and len(directions) == 2
    assert kernels.relative_loss(TEACHER, _X, None, curves[3].points).relative_loss.max() < 1e-25
    assert calls.count("trace_class") == 4, "what was followed is not followed again"
    arrays = viewer._part_arrays()
    assert arrays["class_curves_trace1_parameters"].shape == (11, 4)
    viewer.class_curves = False
    viewer.wait(60)
    assert "class_curves" not in viewer._laid
    with pytest.raises(NetgeomError, match="no step"):
        viewer.trace_step_size = 0.0


def test_images_under_the_discrete_symmetries_are_all_or_drawn_at_random(make, viewer):
    opened(viewer, "class_curves", images=True, trace_along="nothing")
    assert np.array_equal(found(viewer, "class_curves").images, kernels.discrete_images(TEACHER, THETA))
    pairs = torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert [curve.kind for curve in viewer._laid["class_curves"][0]] == ["image"]
    viewer.arrows = True
    viewer.wait(60)
    viewer.trace_along = "null"
    viewer.wait(60)
    assert list(viewer._laid["class_curves"][1]) == ["null direction 0", "null direction 1"]
    wide = make(net(2, 4, 1, act=nn.Tanh, bias=True), pairs, n_elements=0, plane="random", images=True, **SMALL)
    wide.wait(60)
    words = opened(wide, "class_curves", trace_along="null")
    assert "200 discrete images" in words and "drawn at random" in wide._shown_parts["class_curves"].part._told.value
    assert "there is nothing to follow" in wide._shown_parts["class_curves"].part._told.value


def test_three_directions_are_evaluated_once_and_turned_without_evaluation(viewer, calls):
    words = opened(viewer, "space")
    space, plane = found(viewer, "space")
    assert "5 x 5 x 5 points" in words and np.allclose(plane.basis[:2], viewer.result.basis)
    wanted = kernels.loss_slice(TEACHER, _X, None, plane.center, plane.basis, plane.axes)
    assert np.array_equal(space.loss, wanted) and np.array_equal(viewer._part_arrays()["space_loss"], wanted)
    figure = viewer._shown_parts["space"].part._figure
    calls.clear()
    viewer.settings = {"azimuth": 80.0, "elevation": -10.0, "space_mode": "contours", "epsilon": 1.5}
    viewer.wait(60)
    assert (figure.view.azimuth, figure.view.elevation) == (80.0, -10.0)
    assert figure.mode == "contours" and figure.epsilon == 1.5 and calls == []
    viewer.spanning = (0, 1)  # two numbers do not span three directions: the first elements do
    viewer.wait(60)
    assert len(found(viewer, "space")[1].basis) == 3


def test_four_directions_are_projected_with_their_elements(viewer):
    words = opened(viewer, "projection", epsilon=2.0)
    shown = found(viewer, "projection")
    inside = int((shown.slice.relative_loss <= 2.0).sum())
    assert f"{inside} have R up to 2: all are projected." in words and len(shown.points) == inside
    points = shown.plane.center + shown.points @ shown.plane.basis
    assert np.allclose(kernels.relative_loss(TEACHER, _X, None, points).relative_loss, shown.relative_loss)
    assert len(shown.projection.coordinates) == inside + len(shown.elements)
    viewer.settings = {"projection_method": "tsne", "projection_dims": 3}
    viewer.wait(60)
    assert found(viewer, "projection").projection.shares is None and found(viewer, "projection").points.shape[1] == 3
    viewer.epsilon = 1e-12
    viewer.wait(60)
    assert "too few to project" in fold(viewer, "projection").words
    viewer.projection_dims = 5
    viewer.wait(60)
    assert "4 parameters" in fold(viewer, "projection").words


def test_another_slice_stands_beside_in_the_same_colours(viewer):
    words = opened(viewer, "comparison", compare_with="others")
    pair = found(viewer, "comparison")
    outside = ELEMENTS[[4, 3]] if viewer.elements.relative_loss[4] < viewer.elements.relative_loss[3] else ELEMENTS[3:]
    wanted = kernels.difference_basis(THETA, outside)
    assert np.allclose(np.abs(pair.other_plane.basis @ wanted.T), np.eye(2), atol=1e-9)
    assert words.startswith("Through elements outside of the class. R up to 0.0001: ")
    assert np.allclose(pair.other.axes[0][-1], viewer.result.axes[0][-1]), "shares of planes of one size"
    figure = viewer._shown_parts["comparison"].part._figure
    assert figure.pictures[0].limits == figure.pictures[1].limits
    viewer.epsilon = 0.5
    viewer.wait(60)
    assert [picture.epsilon for picture in figure.pictures] == [0.5, 0.5]
    viewer.compare_with = "profile"
    viewer.wait(60)
    both = found(viewer, "comparison")
    assert both.other.loss.shape == (9, 9) and (both.other.loss <= both.this.loss * (1 + 1e-9) + 1e-30).all()


def test_what_there_is_nothing_of_is_said(make):
    few = make(TEACHER, _X, elements=ELEMENTS[:2], comparison=True, compare_with="others", **SMALL)
    few.wait(60)
    assert fold(few, "comparison").words == "A plane takes two elements outside of the class; there are none."
    grid = make(loss=np.arange(12.0).reshape(3, 4), axes=[np.arange(3.0), np.arange(4.0)], **dict.fromkeys(KEYS, True))
    grid.wait(60)
    assert all(fold(grid, key).words.startswith("A grid that was given has no ") for key in KEYS)
    conv = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 1)).double()
    odd = make(conv, torch.randn(20, 1, 5).double(), n_elements=0, plane="random", spectrum=True, orbits=True, **SMALL)
    odd.class_curves = True
    odd.wait(60)
    assert "Dead units are not looked for" in odd._shown_parts["spectrum"].part._told.value
    assert "No hidden unit can be scaled" in odd._shown_parts["class_curves"].part._told.value


def test_what_the_kernels_refuse_is_said_and_does_not_fail(make):
    dead = net(1, 2, 1)
    targets = np.sin(_X.numpy())
    viewer = make(dead, _X, targets, elements=-np.abs(ELEMENTS[:3]) * [1, 1, 0, 0], center=0, plane="random", **SMALL)
    viewer.class_curves = True
    viewer.wait(60)
    assert "targets are constant" in viewer._shown_parts["class_curves"].part._told.value
    tanh = make(
        net(2, 3, 2, act=nn.Tanh, bias=True), torch.randn(40, 2).double(), n_elements=0, plane="random", **SMALL
    )
    tanh.comparison = True
    tanh.wait(60)
    assert fold(tanh, "comparison").words.startswith("There are no null directions.")
    one = make(TEACHER, _X, elements=ELEMENTS[:1], **SMALL)
    one.wait(60)
    assert one.dimension == 1 and one.status == "done"
    one.comparison = True
    one.wait(60)
    assert fold(one, "comparison").words == "A line is not compared: choose two dimensions."


def test_a_grid_in_three_directions_can_be_stopped_and_begun_again(make, monkeypatch):
    viewer = make(TEACHER, _X, elements=ELEMENTS, **SMALL)
    viewer.wait(60)
    gate, started, kernel = threading.Event(), threading.Event(), kernels.relative_loss_slice

    def slow(*args, cancel, **kwargs):
        started.set()
        while not gate.wait(0.005):
            cancel.checkpoint()
        return kernel(*args, cancel=cancel, **kwargs)

    monkeypatch.setattr(kernels, "relative_loss_slice", slow)
    viewer.space = True
    assert started.wait(30)
    viewer.cancel()
    viewer.wait(30)
    assert fold(viewer, "space").words == "stopped" and viewer.status == "done"
    gate.set()
    fold(viewer, "space")._button_of_work.click()
    wait_for(lambda: found(viewer, "space") is not None, 30)


def test_folds_and_their_settings_survive_a_round_trip(viewer):
    for key in KEYS:
        setattr(viewer, key, True)
    viewer.settings = {"trace_steps": 3, "compare_with": "random", "azimuth": 12.0}
    viewer.wait(60)
    state = viewer.state()
    again = ng.EquivalenceSliceViewer.from_state(state, TEACHER, _X, elements=ELEMENTS)
    try:
        again.wait(60)
        assert all(getattr(again, key) for key in KEYS)
        assert (again.trace_steps, again.compare_with, again.azimuth) == (3, "random", 12.0)
    finally:
        again.close()
