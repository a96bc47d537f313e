"""Tests of widgets/equivalence.py and its parts, fed with what a browser would send."""

from __future__ import annotations

import copy
import csv
import dataclasses
import gc
import itertools
import json
import threading
from functools import partial

import numpy as np
import pytest
import torch
from bokeh.events import DoubleTap, MouseLeave, MouseMove, Tap
from ipywidgets.widgets.widget import _instances
from torch import nn
from torch.nn.utils import parameters_to_vector

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import equivalence as kernels
from netgeom_widgets.kernels.equivalence.slice_evaluation import SliceEvaluator
from netgeom_widgets.widgets.equivalence_source import Source
from tests.widgets import waiting
from tests.widgets.conftest import maker

wait_for = partial(waiting.wait_for, seconds=20)
make = maker(ng.EquivalenceSliceViewer)

_X = torch.randn(40, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SMALL = {"resolution": 15}


def net(*sizes, seed: int = 0, bias: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    layers = [[nn.Linear(*pair, bias=bias), nn.ReLU()] for pair in itertools.pairwise(sizes)]
    return nn.Sequential(*[part for layer in layers for part in layer][:-1]).double()


def flat(model) -> np.ndarray:
    return parameters_to_vector(model.parameters()).detach().numpy()


TEACHER = net(1, 2, 1)
nn.utils.vector_to_parameters(torch.tensor([0.8, -0.5, 1.2, 0.7], dtype=torch.float64), TEACHER.parameters())
#: Two members, the teacher's units scaled, and one that is none.
SCALED = flat(TEACHER)[None] * np.array([[2, 0.5, 0.5, 2], [0.5, 4, 2, 0.25], [1, 1, 1, 1.5]])


@pytest.fixture
def viewer(make):
    viewer = make(TEACHER, _X, elements=SCALED, **SMALL)
    viewer.wait(60)
    return viewer


@pytest.fixture
def count(monkeypatch):
    """How many grids were evaluated."""
    made = []
    parts = SliceEvaluator.parts
    monkeypatch.setattr(SliceEvaluator, "parts", lambda self, cancel: made.append(self.shape) or parts(self, cancel))
    return made


def move(viewer, kind, x, y):
    root = viewer._figure.plane.root
    root._trigger_event(kind(root, sx=1, sy=1, x=x, y=y))
    viewer.wait(60)


# ---- runs


def test_the_result_is_the_kernels(viewer):
    center, basis = viewer._picture.center, viewer._picture.basis
    assert np.array_equal(center, flat(TEACHER)) and np.allclose(basis, kernels.difference_basis(center, SCALED[:2]))
    wanted = kernels.loss_slice(TEACHER, _X, None, center, basis, viewer.result.axes)
    assert np.array_equal(viewer.result.loss, wanted) and wanted.shape == (15, 15)
    assert viewer.elements.is_member.tolist() == [True, True, False]
    assert repr(viewer) == "<EquivalenceSliceViewer done 15 x 15 points, 2 of 3 elements are members>"
    at, far = viewer._picture.coordinates, viewer._picture.distance
    assert np.abs(at[:2]).max() <= viewer.result.axes[0].max() and np.allclose(far[:2], 0, atol=1e-12) and far[2] > 0.01
    assert np.allclose(viewer.parameters_at(at[1]), SCALED[1])


def test_epsilon_evaluates_nothing(viewer, count):
    before = viewer.result
    viewer.epsilon = 0.3
    viewer.wait(60)
    assert viewer.result is before and viewer._figure.plane.epsilon == 0.3 and not count
    assert "accepts" not in viewer._panel._badges.value
    viewer.epsilon = 3.0
    viewer.wait(60)
    assert "accepts the zero function" in viewer._panel._badges.value and not count


def test_a_plane_that_was_shown_is_not_computed_again(viewer, count, monkeypatch):
    before = viewer.result
    monkeypatch.setattr(kernels, "assess_elements", None)  # nor are the elements judged again
    viewer.spanning = (0, 2)
    viewer.wait(60)
    assert count == [(15, 15)] and "2 (" in viewer._panel._badges.value and viewer._picture.names[1].endswith("2")
    viewer.spanning = ()
    viewer.wait(60)
    assert viewer.result is before and len(count) == 1
    viewer.run()
    viewer.wait(60)
    assert viewer.result is before, "the model has not changed"


def test_the_model_is_copied_when_a_run_starts(make):
    model = copy.deepcopy(TEACHER)
    viewer = make(model, _X, elements=SCALED, resolution=5)
    with torch.no_grad():
        model[2].weight.mul_(3)
    viewer.wait(60)
    assert np.array_equal(viewer.result.center, flat(TEACHER)) and viewer.elements.is_member[0]
    viewer.run()
    viewer.wait(60)
    assert np.array_equal(viewer.result.center, flat(model)) and not viewer.elements.is_member.any()
    assert np.allclose(viewer._figure.function._targets, model(_X).detach().numpy())
    assert viewer.pointed.relative_loss == 0 and model[0].weight.requires_grad


def test_planes(make):
    viewer = make(TEACHER, _X, elements=SCALED, basis=np.eye(4), resolution=5, autorun=False)
    for settings, name in (
        ({"plane": "pca"}, "principal component 1"),
        ({"plane": "random", "seed": 3}, "random direction 0"),
        ({"plane": "symmetry"}, "scaling"),
        ({"plane": "null"}, "null direction 0"),
        ({"plane": "top", "spanning": (1, 0)}, "Gauss-Newton direction 1"),
        ({"plane": "own", "spanning": (), "center": 1, "half_width": 0.5}, "0.weight[0, 0]"),
        ({"plane": "differences", "center": "model", "half_width": None, "dimension": 1}, "towards element 0"),
        ({"dimension": 3, "third": 0.2}, "towards element 0"),
    ):
        viewer.settings = settings
        viewer.run()
        viewer.wait(60)
        assert viewer._picture.names[0].startswith(name)
        assert viewer.result.loss.shape == (5,) * min(2, viewer.dimension)
        if settings.get("half_width"):
            assert viewer.result.axes[0][-1] == 0.5 and np.array_equal(viewer.result.center, SCALED[1])
    plane, before = viewer._picture.plane, viewer.result
    assert np.allclose(before.center, plane.center + 0.2 * plane.basis[2]) and viewer._third.value == 0.2
    viewer._third.value = 0.1
    viewer.wait(60)
    assert viewer.result is not before and viewer.third == pytest.approx(0.1)


def test_a_search_shows_elements_and_goes_on(make):
    viewer = make(net(1, 2, 1), _X, n_elements=3, max_iterations=60, autorun=False, **SMALL)
    seen = []
    viewer.observe(lambda change: seen.append(len(change["new"])), "elements")
    viewer.run()
    viewer.wait(60)
    assert seen[0] == 1 and seen[-1] == len(viewer.elements) == 3 and "of 3 elements" in viewer._panel._counts.value
    first = viewer.elements
    viewer.find_more(4)
    viewer.wait(60)
    assert len(viewer.elements) == 7 and viewer.n_elements == 7
    assert np.array_equal(viewer.elements.parameters[:3], first.parameters), "those found stay"
    direct = kernels.find_elements(net(1, 2, 1), _X, None, 7, max_iterations=60)
    assert viewer.elements.status.tolist() == direct.status.tolist()


def test_with_targets_the_plane_begins_at_the_best_element(make):
    targets = TEACHER(_X).detach() + 0.01 * torch.sin(5 * _X)
    viewer = make(net(1, 2, 1, seed=3), _X, targets, elements=SCALED[::-1].copy(), **SMALL)
    viewer.wait(60)
    losses = viewer.elements.relative_loss
    assert viewer.center == "best" and np.array_equal(viewer.result.center, viewer.elements.parameters[losses.argmin()])
    assert losses.argmin() > 0 and losses[0] > losses.min()
    alone = make(net(1, 2, 1, seed=3), _X, targets, n_elements=0, plane="random", **SMALL)
    alone.wait(60)
    assert np.array_equal(alone.result.center, flat(net(1, 2, 1, seed=3))), "there are no elements: the model itself"


def test_cancel_keeps_the_elements_found(make):
    viewer = make(net(1, 2, 1), _X, n_elements=30, max_iterations=80, plane="random", **SMALL)

    def stop(change):
        if len(change["new"]) < 20:
            viewer.cancel()

    viewer.observe(stop, "elements")
    viewer.wait(60)
    viewer.unobserve(stop, "elements")
    assert viewer.status == "cancelled" and viewer.result is None and "of 30 elements are kept" in viewer.message
    found = len(viewer.elements)
    assert 1 <= found < 30
    viewer.resolution = 9
    viewer.wait(60)
    assert viewer.status == "done" and len(viewer.elements) == found and viewer.result.loss.shape == (9, 9), (
        "a changed plane starts no search"
    )
    viewer.run()
    viewer.wait(60)
    assert len(viewer.elements) == 30


def test_elements_that_will_span_the_plane_show_where_they_lie(viewer):
    begun = dataclasses.replace(viewer._picture, final=False)
    shown = viewer._maker._provisional(begun, viewer.elements)
    assert np.isnan(shown.found.loss).all() and np.array_equal(shown.plane.basis, viewer._picture.plane.basis)
    first = kernels.assess_elements(TEACHER, _X, None, SCALED[:1])
    assert viewer._maker._provisional(begun, first) is None, "one element spans no plane"
    with viewer._lock, viewer.pane.batch():
        viewer._draw(shown, viewer._picture.settings, final=False)
    assert "once they span the plane" in viewer._figure.plane._caption.text.replace("\n", " ")
    assert len(viewer._figure.plane._marks.source.data["x"]) == 3


def test_a_grid_is_drawn_without_a_model(make):
    loss = np.outer(np.linspace(-1, 1, 7), np.linspace(0, 1, 5)) ** 2
    loss[0, 0] = np.nan
    viewer = make(loss=loss, axes=[np.linspace(-1, 1, 7), np.linspace(0, 1, 5)])
    viewer.wait(60)
    assert viewer.status == "done" and np.array_equal(viewer.result.loss, loss, equal_nan=True)
    move(viewer, MouseMove, 0.9, 0.9)
    assert "nearest point of the grid" in viewer._panel._pointer.value and "J = " in viewer._panel._pointer.value
    line = make(loss=loss[1], axes=np.linspace(0, 1, 5))
    line.wait(60)
    assert line._figure.line.root.visible and not line._figure.plane.root.visible
    cube = make(
        loss=np.stack([loss, loss + 1, loss + 2], axis=2), axes=[*viewer.result.axes, np.array([3.0, 4.0, 5.0])]
    )
    cube.wait(60)
    assert cube._third.layout.display is None and cube._third.max == 5 and cube.result.loss.shape == (7, 5, 3)
    cube._third.value = 4.1
    cube.wait(60)
    assert np.array_equal(cube._picture.found.loss, loss + 1, equal_nan=True)
    with pytest.raises(NetgeomError, match="where this grid lies"):
        viewer.parameters_at((0, 0))


def test_elements_of_every_kind(tmp_path):
    np.save(tmp_path / "e.npy", SCALED)
    kernels.assess_elements(TEACHER, _X, None, SCALED).save(tmp_path / "e.npz")
    others = [net(1, 2, 1, seed=seed) for seed in (1, 2)]
    for given, first in (
        (tmp_path / "e.npy", SCALED[0]),
        (str(tmp_path / "e.npz"), SCALED[0]),
        (torch.tensor(SCALED), SCALED[0]),
        (SCALED.tolist(), SCALED[0]),
        (others, flat(others[0])),
        ([one.state_dict() for one in others], flat(others[0])),
    ):
        source = Source(TEACHER, _X, elements=given)
        parameters = getattr(source.given, "parameters", source.given)
        assert np.allclose(parameters[0], first)


def test_bad_input_is_refused_before_anything_starts(make):
    before = threading.active_count(), len(_instances)
    broken = net(1, 2, 1)
    with torch.no_grad():
        broken[0].weight[0] = np.nan
    grid = {"loss": np.zeros((3, 3)), "axes": [np.arange(3.0)] * 2}
    refusals = [
        ((), {}, "no model"),
        ((TEACHER,), {}, "no inputs"),
        ((broken, _X), {}, "not finite"),
        ((TEACHER, _X, np.ones(40)), {}, "constant"),
        ((TEACHER, _X, np.ones(3)), {}, "do not fit"),
        ((TEACHER, torch.ones(4, 3)), {}, "fails on the inputs"),
        ((5, _X), {}, "not a torch module"),
        ((TEACHER, _X), {"elements": SCALED[:, :3]}, "do not fit"),
        ((TEACHER, _X), {"elements": [net(1, 3, 1)]}, "do not fit|does not fit"),
        ((TEACHER, _X), {"elements": SCALED * np.nan}, "not finite"),
        ((TEACHER, _X), {"plane": "own"}, "no own directions"),
        ((TEACHER, _X), {"basis": np.zeros((2, 4)), "plane": "own"}, "dependent"),
        ((TEACHER, _X), {"n_elements": 0}, "no elements to span"),
        ((TEACHER, _X), {"center": (1.0, 2.0)}, "centre does not fit"),
        ((TEACHER, _X), {"elements": SCALED, "center": 3}, "no such element"),
        ((TEACHER, _X), {"half_width": -1}, "no half width"),
        ((TEACHER, _X), {"spanning": (1,)}, "Too few numbers"),
        ((TEACHER, _X), {"spanning": (1, 1)}, "different whole numbers"),
        ((TEACHER, _X), {"method": "magic"}, "bad value"),
        ((TEACHER, _X), {"curves": 3}, "not understood"),
        ((), {"loss": np.zeros((3, 3))}, "no axes"),
        ((), {"loss": np.zeros((3, 2)), "axes": grid["axes"]}, "does not fit its axes"),
        ((), {"loss": np.full((3, 3), np.nan), "axes": grid["axes"]}, "no finite loss"),
        ((TEACHER, _X), grid, "shown as it is"),
    ]
    for args, kwargs, words in refusals:
        with pytest.raises(NetgeomError, match=f"(?i){words}"):
            make(*args, **kwargs)
    with pytest.raises(NetgeomError, match="no such example"):
        ng.EquivalenceSliceViewer.demo("dragon")
    gc.collect()
    assert (threading.active_count(), len(_instances)) == before


def test_an_error_is_shown_and_raised_and_the_picture_stays(viewer):
    before = viewer.result
    viewer.spanning = (0, 7)
    with pytest.raises(NetgeomError, match="no such elements"):
        viewer.wait(60)
    assert viewer.status == "error" and viewer.result is before and "no such elements" in viewer._frame.error.value
    viewer.spanning = ()
    viewer.wait(60)
    assert viewer.status == "done" and viewer.result is before


# ---- states in words


def test_states_are_said(make):
    model = net(1, 2, 1, seed=3, bias=True)
    dead = np.array([0, 0, -1, -1, 1, 1, 0.5])  # no weights, and negative biases, in the hidden layer
    viewer = make(model, _X[:30], elements=np.stack([dead, dead - [0, 0, 1, 0, 0, 0, 0], 2 * dead]), center=0, **SMALL)
    viewer.wait(60)
    said = viewer._panel._badges.value
    assert "dead network" in said and "no member of the class: R =" in said and "span the plane without" in said
    assert "on these 30 samples alone" in said and "0 of 3 elements are members" in viewer._panel._counts.value
    tiny = make(TEACHER, _X, elements=SCALED, half_width=1e-9, center=2, **SMALL)
    tiny.wait(60)
    assert "is one constant" in tiny._figure.plane._caption.text


def test_a_first_picture_comes_whatever_the_network(make):
    alone = make(net(1, 1), _X, n_elements=2, **SMALL)  # its class is one point
    alone.wait(60)
    assert alone.result.loss.ndim == 1 and "class is one point" in alone._panel._badges.value
    same = make(TEACHER, _X, elements=SCALED[[1, 1, 1]], **SMALL)
    same.wait(60)
    assert "span 1 of 2 directions" in same._panel._badges.value and same._picture.names[1] == "random direction 0"
    large = make(nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Linear(300, 5)), torch.randn(60, 200), resolution=3)
    large.wait(60)
    assert large.elements is None and large.plane == "random" and "Find more begins" in large._panel._badges.value
    assert large.method == "adam"


# ---- picking


def test_the_function_follows_pointer_and_picks(viewer):
    assert viewer.pointed.name == "the centre" and viewer.pointed.relative_loss < 1e-28
    at = viewer._picture.coordinates[1]
    move(viewer, MouseMove, *at)
    assert viewer.pointed.name == "the pointer" and viewer.pointed.relative_loss < 1e-20
    assert "c1 = " in viewer._panel._pointer.value
    away = tuple(0.5 * viewer.result.axes[0][[-1, 0]])
    move(viewer, Tap, *away)
    move(viewer, MouseLeave, 9, 9)
    assert (
        viewer.point == away and viewer.pointed.name == "the point" and viewer._panel._pointer.layout.display == "none"
    )
    model = net(1, 2, 1)
    nn.utils.vector_to_parameters(torch.tensor(viewer.parameters_at(away)), model.parameters())
    assert np.allclose(viewer.pointed.outputs, model(_X).detach().numpy(), rtol=1e-12)
    move(viewer, Tap, *at)
    assert viewer.element == 1 and viewer.point is None and viewer.pointed.name == "element 1"
    assert "Element 1: member" in viewer._panel._facts.value
    viewer._step_element(1)
    viewer.wait(60)
    assert viewer.element == 2 and viewer.pointed.relative_loss > 1e-6
    viewer._center_here()
    viewer.wait(60)
    assert viewer.center == 2 and np.array_equal(viewer.result.center, SCALED[2])
    viewer.point = (0.1, 0.2)
    viewer.wait(60)
    theta = viewer.parameters_at((0.1, 0.2))
    viewer._center_here()
    viewer.wait(60)
    assert np.array_equal(viewer.result.center, theta) and viewer.point is None, "another plane: no such point"
    theta = viewer.parameters_at(away)
    move(viewer, DoubleTap, *away)
    viewer.wait(60)
    assert np.array_equal(viewer.result.center, theta)
    move(viewer, DoubleTap, *viewer._picture.coordinates[1])
    viewer.wait(60)
    assert viewer.center == 1
    with pytest.raises(NetgeomError, match="no such element"):
        viewer.element = 3
    with pytest.raises(NetgeomError, match="2 coordinates"):
        viewer.parameters_at((0.0,))
    viewer._panel._element._field.value = "77"
    viewer.wait(60)
    assert "no such element" in viewer.message and viewer.element == -1


def test_samples_are_selected_in_the_function(viewer):
    viewer.selection = (3, 5)
    viewer.wait(60)
    assert len(viewer._figure.function._rings.data["x"]) == 2 and viewer._panel._selection.words == "2 samples selected"
    viewer._toggle_sample(5)
    assert viewer.selection == (3,)
    with pytest.raises(NetgeomError, match="no such sample"):
        viewer.selection = (40,)


# ---- exports, state, closing


def test_exports(viewer, tmp_path):
    viewer.export_data(tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as found:
        assert np.array_equal(found["loss"], viewer.result.loss) and np.array_equal(
            found["elements_parameters"], SCALED
        )
        assert found["basis"].shape == (2, 4) and found["axis_1"].shape == (15,)
        assert json.loads(str(found["about"]))["settings"]["plane"] == "differences"
    viewer.export_data(tmp_path / "e.csv")
    with open(tmp_path / "e.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == viewer.elements.status.tolist()
    viewer.export_png(tmp_path / "e.png")
    viewer.export_html(tmp_path / "e.html")
    assert (tmp_path / "e.png").stat().st_size > 5000 and "relative loss" in (tmp_path / "e.html").read_text()


def test_state_makes_the_same_picture(make, viewer):
    viewer.settings = {"center": tuple(SCALED[1].tolist()), "spanning": (2, 0), "epsilon": 0.5}
    viewer.wait(60)
    viewer.point = (0.25, -0.5)
    viewer.selection = (7,)
    viewer.wait(60)
    state = json.loads(json.dumps(viewer.state()))
    again = ng.EquivalenceSliceViewer.from_state(state, TEACHER, _X, elements=SCALED)
    try:
        again.wait(60)
        assert again.state() == viewer.state() and again.point == (0.25, -0.5) and again.selection == (7,)
        assert np.array_equal(again.result.loss, viewer.result.loss)
    finally:
        again.close()


def test_closing_leaves_nothing():
    gc.collect()
    before = threading.active_count(), len(_instances)
    for _ in range(4):
        viewer = ng.EquivalenceSliceViewer(TEACHER, _X, elements=SCALED, resolution=5, element=1)
        viewer.wait(60)
        viewer.close()
        viewer.close()
    del viewer
    gc.collect()
    wait_for(lambda: threading.active_count() <= before[0])
    assert len(_instances) == before[1]


def test_examples_run(make):
    for name in ("hyperbola", "genni fcn"):
        viewer = ng.EquivalenceSliceViewer.demo(name, n_elements=6, resolution=9)
        try:
            viewer.wait(60)
            assert viewer.status == "done" and len(viewer.elements) == 6
        finally:
            viewer.close()
