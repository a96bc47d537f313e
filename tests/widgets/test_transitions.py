"""Tests of widgets/transitions.py and its parts, fed with what a browser would send."""

from __future__ import annotations

import csv
import gc
import json
import threading
import time
import weakref
from functools import partial

import numpy as np
import pytest
import traitlets
from bokeh.events import Tap
from bokeh.models import HoverTool
from ipywidgets.widgets.widget import _instances

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import transitions
from netgeom_widgets.kernels.transitions import Neighbours
from netgeom_widgets.recording.store import RunWriter
from netgeom_widgets.widgets.menus import Menu
from netgeom_widgets.widgets.transition_controls import NeighbourSlider
from netgeom_widgets.widgets.transition_kinds import KINDS, cell_of, snapshots_of
from netgeom_widgets.widgets.transition_picture import PictureMaker
from tests.widgets import waiting
from tests.widgets.conftest import maker
from tests.widgets.recordings import CLASSES, IDS, STEPS, record, snapshots

N_TRANSITIONS = len(STEPS) - 1
SEARCH = transitions.nearest_neighbours
SLOT_TITLES = {"samples": "Samples", "classes": "Class changes", "projection": "Projection", "recurrence": "Recurrence"}


make = maker(ng.TransitionHeatMap)


@pytest.fixture
def recording(tmp_path):
    return record(tmp_path / "run")


@pytest.fixture
def heat(make, recording):
    heat = make(recording, live=False)
    heat.wait(30)
    return heat


wait_for = partial(waiting.wait_for, seconds=20)


def tap(heat, part, x, y):
    part.root._trigger_event(Tap(part.root, sx=1, sy=1, x=x, y=y))
    heat.wait(30)


def caption(part):
    return part._caption.text.replace("\n", " ")


def found():
    """The same neighbours by the kernel alone."""
    return SEARCH(snapshots(), 15)


# ---- construction and runs


def test_the_result_is_the_kernels_and_the_matrix_is_of_it(heat):
    assert isinstance(heat.result, Neighbours) and (heat.result.k, heat.result.n_snapshots) == (15, len(STEPS))
    assert np.array_equal(heat.result.ids, found().ids)
    assert np.array_equal(heat.matrix, transitions.transition_distance(found()))
    assert not heat.matrix.flags.writeable
    assert (heat.status, heat.layer, heat.step) == ("done", "features", 16)
    assert repr(heat) == "<TransitionHeatMap done 6 snapshots, 40 samples, finished>"
    assert np.array_equal(heat.sample_ids, IDS)
    assert "40 samples; euclidean neighbours, k = 15" in caption(heat._figure.matrix)


def test_a_path_does_as_well_and_the_outputs_are_a_layer(make, recording):
    heat = make(recording.path, "outputs", live=False)
    heat.wait(30)
    outputs = snapshots(1, n_features=CLASSES) * 2
    assert np.array_equal(heat.result.ids, transitions.nearest_neighbours(outputs, 15).ids)


def test_bad_input_is_refused_before_anything_starts(make, recording, tmp_path):
    only_parameters = ng.record_arrays(tmp_path / "p", [0, 1], [0, 1], None, parameters=np.zeros((2, 3)))
    before = threading.active_count(), len(_instances)
    refusals = [
        ((recording, "conv1"), {}, "no such layer"),
        ((tmp_path / "nowhere",), {}, "no recording"),
        ((snapshots(),), {}, "no recording"),
        ((recording,), {"ids": [0]}, "not recorded"),
        ((recording,), {"ids": [5, 5]}, "once"),
        ((recording,), {"ids": []}, r"ids is empty\. Expected: sample ids of the recording, or None"),
        ((recording,), {"ids": 5}, "ids is not understood"),
        ((recording,), {"images": np.zeros((3, 8, 8))}, "images do not fit"),
        ((recording,), {"selection": [0]}, "no such sample"),
        ((recording,), {"sample": 0}, "no such sample"),
        ((recording,), {"k": 16}, "Fewer neighbours are stored"),
        ((recording,), {"k": 0}, "k has a bad value"),
        ((recording,), {"matrix_kind": "mood"}, "matrix_kind has a bad value"),
        ((recording,), {"cell": 3}, "cell has a bad value"),
        ((recording,), {"step": 3}, "not recorded"),
        ((recording,), {"distance": "CKA"}, "no such keyword"),
        ((only_parameters,), {}, "neither layers nor outputs"),
    ]
    for arguments, keywords, message in refusals:
        with pytest.raises(NetgeomError, match=message):
            make(*arguments, **keywords)
    with pytest.raises(ZeroDivisionError):
        make(recording, formatter=lambda i: 1 / 0)
    gc.collect()
    assert (threading.active_count(), len(_instances)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_that_of_the_kernel(heat, kind):
    heat.matrix_kind = kind
    heat.wait(30)
    neighbours, predictions = found(), (snapshots(1, n_features=CLASSES) * 2).argmax(axis=2)
    expected = {
        "per-sample transition distance": lambda: transitions.transition_distance(neighbours),
        "ReprDynamics' formula": lambda: transitions.reprdynamics_distance(snapshots(), 15),
        "class-transition distance": lambda: transitions.class_transition_distance(
            transitions.class_transitions(predictions, CLASSES)
        ),
        "raw-classification distance": lambda: transitions.classification_distance(predictions),
        "neighbour preservation": lambda: transitions.preservation(neighbours),
        "Jaccard": lambda: transitions.jaccard(neighbours),
        "CKA": lambda: transitions.linear_cka(snapshots()),
        "Procrustes": lambda: transitions.procrustes_distance(snapshots()),
    }[kind]()
    np.testing.assert_allclose(heat.matrix, expected, rtol=0, atol=1e-12)
    assert kind.lower() in heat._figure.matrix.root.title.text.lower()
    assert len(heat.matrix) == (N_TRANSITIONS if KINDS[kind].of_transitions else len(STEPS))


def test_k_needs_no_new_search_and_norm_and_metric_do_what_they_say(heat, monkeypatch):
    searches = []
    monkeypatch.setattr(transitions, "nearest_neighbours", lambda *a, **k: searches.append(1) or SEARCH(*a, **k))
    result = heat.result
    for k in range(1, 8):
        heat.k = k
    heat.wait(30)
    assert np.array_equal(heat.matrix, transitions.transition_distance(found(), k=7))
    heat.norm = "cityblock"
    heat.wait(30)
    assert np.array_equal(heat.matrix, transitions.transition_distance(found(), k=7, norm="cityblock"))
    assert heat.result is result and not searches
    heat.metric = "cosine"
    heat.wait(30)
    assert (heat.result.metric, len(searches)) == ("cosine", 1)
    heat.metric = "euclidean"
    heat.wait(30)
    assert heat.result is result and len(searches) == 1


def test_max_neighbours_waits_for_run(heat):
    heat.max_neighbours = 20
    heat.wait(30)
    assert heat.result.k == 15 and heat.message == "press Run to apply the changed settings"
    heat.run()
    heat.wait(30)
    assert heat.result.k == 20
    heat.k = 18
    with pytest.raises(NetgeomError, match="Fewer neighbours are stored"):
        heat.max_neighbours = 10
    assert (heat.max_neighbours, heat.k) == (20, 18)


def test_few_samples_have_fewer_neighbours_and_it_is_said(make, recording):
    heat = make(recording, ids=IDS[:5], live=False)
    heat.wait(30)
    assert heat.result.k == 4 and "no more than 4 neighbours among 5 samples" in caption(heat._figure.matrix)
    assert heat._controls["k"].widget._words.value == "all 4"


def test_a_selection_is_a_mean_over_its_rows_without_a_new_search(heat, monkeypatch):
    result = heat.result
    monkeypatch.setattr(transitions, "nearest_neighbours", lambda *a, **k: pytest.fail("searched"))
    heat.selection = IDS[[30, 2, 7]]
    heat.wait(30)
    assert np.array_equal(heat.matrix, transitions.transition_distance(result, samples=[2, 7, 30]))
    assert "3 of 40 samples" in caption(heat._figure.matrix)
    heat.selection = ()
    heat.wait(30)
    assert np.array_equal(heat.matrix, transitions.transition_distance(result))


def test_neighbours_within_the_selection_are_those_of_reprdynamics(heat):
    chosen = [3, 4, 9, 20, 21, 30]
    heat.settings = {"among": "selection", "k": 4, "matrix_kind": "ReprDynamics' formula"}
    heat.selection = IDS[chosen]
    heat.wait(30)
    expected = transitions.reprdynamics_distance(snapshots()[:, chosen], 4)
    np.testing.assert_allclose(heat.matrix, expected, rtol=0, atol=1e-12)
    assert "within the selection only" in caption(heat._figure.matrix)
    assert heat.result.n_samples == 40, "the result stays the search among all"
    heat.sample = int(IDS[9])
    heat.wait(30)
    near = heat._figure.neighbours._marks.data["id"]
    assert set(near) <= set(IDS[chosen].tolist()) and len(near) == 8
    heat.selection = IDS[[3]]
    heat.wait(30)
    assert "select two or more" in caption(heat._figure.matrix)


# ---- cells, panels, details


def test_cells_and_snapshots():
    assert snapshots_of((4, 2), of_transitions=True) == (2, 5)
    assert snapshots_of((3, 3), of_transitions=True) == (3, 4)
    assert snapshots_of((4, 2), of_transitions=False) == (2, 4)
    assert cell_of((2, 5), of_transitions=True) == (2, 4)
    assert cell_of((3, 3), of_transitions=True) is None
    assert cell_of((3, 3), of_transitions=False) == (3, 3)


def test_a_tap_pins_a_cell_and_a_second_one_unpins_it(heat):
    tap(heat, heat._figure.matrix, 3.5, 1.5)
    assert heat.cell == (1, 3)
    assert heat._figure.matrix.cell == (1, 3)
    assert heat._figure.samples.root.title.text == "Samples: entropy at step 1 and at step 8"
    tap(heat, heat._figure.matrix, 3.5, 1.5)
    assert heat.cell is None
    assert heat._figure.samples.root.title.text == "Samples: entropy at step 8 and at step 16"


def test_the_scatter_shows_the_earlier_step_across_and_the_later_up(heat):
    heat.cell = (4, 0)
    outputs = snapshots(1, n_features=CLASSES) * 2
    labels = outputs[-1].argmax(axis=1)
    for scalar, of in {
        "entropy": transitions.entropy,
        "margin": transitions.margin,
        "loss": lambda x: transitions.cross_entropy(x, labels),
    }.items():
        heat.scalar = scalar
        heat.wait(30)
        columns = heat._figure.samples._marks.source.data
        order = np.searchsorted(IDS, columns["id"])
        np.testing.assert_allclose(columns["x"], of(outputs[0])[order])
        np.testing.assert_allclose(columns["y"], of(outputs[5])[order])
    heat.scalar = "overlap"
    heat.wait(30)
    columns = heat._figure.samples._marks.source.data
    order = np.searchsorted(IDS, columns["id"])
    overlap = transitions.overlap(found())
    np.testing.assert_array_equal(columns["x"], overlap[0][order])
    np.testing.assert_array_equal(columns["y"], overlap[4][order])


def test_the_pinned_snapshots_stay_when_the_kind_of_matrix_changes(heat):
    heat.cell = (3, 1)
    heat.matrix_kind = "neighbour preservation"
    heat.wait(30)
    assert heat.cell == (1, 4)
    heat.matrix_kind = "class-transition distance"
    heat.wait(30)
    assert heat.cell == (1, 3)
    heat.matrix_kind = "CKA"
    heat.wait(30)
    heat.cell = (2, 2)
    heat.matrix_kind = "per-sample transition distance"
    heat.wait(30)
    assert heat.cell is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("k", 0, r"^k has a bad value\. Expected: a whole number from 1 up, or nothing\. Got: 0\.$"),
        ("matrix_kind", "mood", r"^matrix_kind has a bad value\. Expected: any of .*'CKA'.*\. Got: 'mood'\.$"),
        ("sample", "x", r"^sample has a bad value\."),
        ("selection", 5, r"^selection has a bad value\. Expected: an iterable of sample ids"),
    ],
)
def test_what_a_setting_does_not_take_is_said_in_words(heat, name, value, message):
    before = getattr(heat, name)
    with pytest.raises(NetgeomError, match=message):
        setattr(heat, name, value)
    assert getattr(heat, name) == before
    heat._go("x")
    assert "A sample's id is a whole number" in heat.message


@pytest.mark.parametrize(("name", "value"), [("cell", (5, 0)), ("cell", (0, 6)), ("sample", 6)])
def test_what_is_not_there_cannot_be_picked(heat, name, value):
    with pytest.raises(NetgeomError, match="There is no such"):
        setattr(heat, name, value)
    with pytest.raises(traitlets.TraitError):
        heat.cell = (-1, 0)
    assert heat.cell is None and heat.sample is None


def test_only_the_visible_panel_is_computed(heat, monkeypatch):
    calls = []
    projection = transitions.aligned_projection
    monkeypatch.setattr(
        transitions, "aligned_projection", lambda *a, **k: calls.append("projection") or projection(*a, **k)
    )
    monkeypatch.setattr(transitions, "recurrence_bands", lambda *a, **k: pytest.fail("recurrence computed"))
    heat.cell = (1, 1)
    heat.panel = "classes"
    heat.wait(30)
    assert not calls
    heat.panel = "projection"
    heat.wait(30)
    for step in STEPS.tolist():
        heat.step = step
        heat.wait(30)
        assert heat._figure.projection.root.title.text.endswith(f"at step {step}")
    assert calls == ["projection"], "once for all frames"


@pytest.mark.parametrize("panel", SLOT_TITLES)
def test_every_panel_is_drawn_and_nothing_else_is_seen(heat, panel):
    heat.panel = panel
    heat.wait(30)
    figure = heat._figure
    assert figure.panel == panel
    assert SLOT_TITLES[panel] in getattr(figure, panel).root.title.text
    assert [name for name in SLOT_TITLES if getattr(figure, name).root.visible] == [panel]


def test_class_transitions_are_those_of_the_pinned_cell_and_the_selection(heat):
    predictions = (snapshots(1, n_features=CLASSES) * 2).argmax(axis=2)
    heat.panel, heat.cell = "classes", (0, 2)
    heat.wait(30)
    counts = np.array(heat._figure.classes._counts.data["count"]).reshape(CLASSES, CLASSES)
    assert np.array_equal(counts, transitions.class_transitions(predictions[[0, 3]], CLASSES)[0])
    heat.selection = IDS[:10]
    heat.wait(30)
    counts = np.array(heat._figure.classes._counts.data["count"]).reshape(CLASSES, CLASSES)
    assert np.array_equal(counts, transitions.class_transitions(predictions[[0, 3], :10], CLASSES)[0])


def test_the_neighbours_of_a_sample_before_and_after(heat):
    heat.k, heat.cell, heat.sample = 5, (0, 4), int(IDS[8])
    heat.wait(30)
    marks = heat._figure.neighbours._marks.data
    ids = found().ids[:, 8, :5]
    assert marks["id"] == [*IDS[ids[0]].tolist(), *IDS[ids[5]].tolist()]
    kept = set(ids[0].tolist()) & set(ids[5].tolist())
    assert marks["status"].count("kept") == 2 * len(kept)
    assert marks["status"].count("lost") == marks["status"].count("gained") == 5 - len(kept)
    assert "label" in heat._panel._facts.value and "predicted" in heat._panel._facts.value


def test_without_a_sample_the_one_that_changed_most_is_shown(heat):
    heat.k, heat.cell = 5, (0, 4)
    heat.wait(30)
    ids = found().ids[:, :, :5]
    kept = [len({*before.tolist()} & {*after.tolist()}) for before, after in zip(ids[0], ids[5], strict=True)]
    title = heat._figure.neighbours.root.title.text
    assert title.startswith(f"Neighbours of sample {IDS[int(np.argmin(kept))]} ") and title.endswith("it kept fewest")
    assert heat.sample is None and heat._panel._facts.value == ""
    few = np.argsort(kept)[-3:]
    heat.selection = IDS[few]
    heat.wait(30)
    shown = int(heat._figure.neighbours.root.title.text.split()[3])
    assert shown in IDS[few]
    heat.sample = int(IDS[8])
    heat.wait(30)
    assert "fewest" not in heat._figure.neighbours.root.title.text


def test_lasso_tap_and_panel_pick(heat):
    marks = heat._figure.samples._marks
    rows = [0, 3, 5]
    wanted = tuple(int(marks.source.data["id"][row]) for row in rows)
    event = {"kind": "ModelChanged", "model": {"id": marks.source.selected.id}, "attr": "indices", "new": rows}
    heat.pane._receive(heat.pane, {"t": "events", "view": "v", "events": [event]}, [])
    heat.wait(30)
    assert heat.selection == wanted and "3 of 40" in caption(heat._figure.matrix)
    columns = marks.source.data
    at = list(columns["id"]).index(IDS[4])
    tap(heat, heat._figure.samples, columns["x"][at], columns["y"][at])
    assert heat.sample == IDS[4]
    panel = heat._panel
    panel._index.value = 8
    heat.wait(30)
    assert heat.sample == 8
    panel._index.value = 6
    heat.wait(30)
    assert (heat.sample, panel._index.value) == (8, 8) and "no such sample" in heat.message.lower()
    panel._unselect.click()
    heat.wait(30)
    assert heat.selection == ()
    heat._step_sample(1)
    assert heat.sample == 11
    panel._clear.click()
    assert heat.sample is None
    panel._menus[0].value = 2
    heat.wait(30)
    assert heat.cell == (2, 2)
    panel._menus[1].value = 4
    heat.wait(30)
    assert heat.cell == (2, 4)
    panel._unpin.click()
    heat.wait(30)
    assert heat.cell is None and panel._menus[0]._menu.label == "none"


def test_the_forgotten_samples_are_listed_and_a_choice_shows_one(heat):
    outputs = snapshots(1, n_features=CLASSES) * 2
    forgotten = transitions.forgetting_events(outputs.argmax(axis=2), outputs[-1].argmax(axis=1))
    options = heat._panel._list.options
    assert len(options) == (forgotten > 0).sum() > 0
    assert forgotten[np.searchsorted(IDS, options[0][1])] == forgotten.max()
    heat._panel._list.value = options[1][1]
    heat.wait(30)
    assert heat.sample == options[1][1]


def test_a_tap_on_the_curves_chooses_a_step(heat):
    tap(heat, heat._figure.curves, 2.2, 0.5)
    assert heat.step == 2
    assert heat._figure.curves._now.span.location == 2


def test_play_ends_at_the_last_step(heat):
    seen = []
    heat.panel = "projection"
    heat.step = 4
    heat.observe(lambda change: seen.append(change["new"]), "step")
    heat.play()
    heat.wait(30)
    assert seen == [8, 16] and not heat.playing
    assert heat._figure.projection.root.title.text.endswith("step 16")


# ---- what a recording lacks


def test_without_outputs_everything_about_classes_is_explained(make, tmp_path):
    heat = make(record(tmp_path / "run", outputs=None, metrics=None), live=False)
    heat.wait(30)
    assert heat._figure.samples.root.title.text == "Samples: overlap from 4 to 8 and from 8 to 16"  # needs none
    heat.scalar = "entropy"
    heat.wait(30)
    assert "No entropy: this recording has no outputs" in caption(heat._figure.samples)
    with pytest.raises(NetgeomError, match="needs predicted classes, but this recording has no outputs"):
        heat.matrix_kind = "class-transition distance"
    heat._controls["matrix_kind"].widget.value = "raw-classification distance"
    assert "needs predicted classes" in heat._controls["matrix_kind"].message
    assert heat.matrix_kind == "per-sample transition distance"
    heat.panel = "classes"
    heat.wait(30)
    assert "No classes: this recording has no outputs" in caption(heat._figure.classes)
    heat.matrix_kind, heat.panel = "CKA", "recurrence"
    heat.wait(30)
    assert "No class-transition distance" in caption(heat._figure.recurrence)
    assert "No forgetting events" in heat._panel._said.value
    heat.scalar, heat.panel = "overlap", "samples"
    heat.wait(30)
    assert "overlap" in heat._figure.samples.root.title.text
    heat.sample = int(IDS[0])
    heat.wait(30)
    assert heat.status == "done"


def offered(heat, name):
    return [text for text, _ in heat._controls[name].widget._menu.options]


def test_scalars_that_cannot_be_computed_are_marked_in_the_menu(make, tmp_path, recording):
    assert offered(make(recording, live=False), "scalar") == ["entropy", "margin", "loss", "overlap"]
    no_labels = make(record(tmp_path / "l", labels=None), live=False)
    assert offered(no_labels, "scalar") == ["entropy", "margin", "loss (no labels recorded)", "overlap"]
    assert "class-transition distance" in offered(no_labels, "matrix_kind")
    no_outputs = make(record(tmp_path / "o", outputs=None, labels=None), live=False)
    marked = [f"{name} (no classes recorded)" for name in ("entropy", "margin", "loss")]
    assert offered(no_outputs, "scalar") == [*marked, "overlap"]
    no_outputs._controls["scalar"].widget._menu.value = "entropy"  # may be chosen: the picture says what is missing
    assert no_outputs.scalar == "entropy"


def test_without_labels_or_inputs(make, tmp_path):
    heat = make(record(tmp_path / "run", labels=None, inputs=None), scalar="loss", live=False)
    heat.wait(30)
    assert "No loss: this recording has no labels" in caption(heat._figure.samples)
    assert "No forgetting events: this recording has no labels" in heat._panel._said.value
    heat.panel, heat.sample = "classes", int(IDS[3])
    heat.wait(30)
    assert "Class changes" in heat._figure.classes.root.title.text and heat._sprites is None


def test_labels_that_are_no_classes(make, tmp_path):
    targets = np.linspace(0, 1, len(IDS))
    regression = record(tmp_path / "r", outputs=snapshots(1, n_features=1), labels=targets)
    heat = make(regression, scalar="entropy", live=False)
    heat.wait(30)
    assert "the labels of this recording are no classes" in caption(heat._figure.samples)
    beyond = make(record(tmp_path / "b", labels=np.arange(len(IDS))), scalar="loss", live=False)
    beyond.wait(30)
    assert "No loss" in caption(beyond._figure.samples)
    one_output = record(tmp_path / "o", outputs=snapshots(1, n_features=1), labels=np.arange(len(IDS)) % 2)
    heat = make(one_output, matrix_kind="class-transition distance", live=False)
    heat.wait(30)
    assert "Samples: entropy" in heat._figure.samples.root.title.text and heat._source.n_classes == 2


def test_one_snapshot_waits_for_more(make, tmp_path):
    first = {"layers": {"features": snapshots()[:1]}, "outputs": snapshots(1, n_features=CLASSES)[:1]}
    heat = make(record(tmp_path / "run", steps=[0], metrics=None, **first), live=False)
    heat.wait(30)
    assert heat.matrix.shape == (0, 0) and "1 snapshot, 40 samples, finished" in heat.message
    for panel in SLOT_TITLES:
        heat.panel = panel
        heat.scalar = "overlap"
        heat.wait(30)
    for kind in KINDS:
        heat.matrix_kind = kind
        heat.wait(30)
    heat.sample = int(IDS[1])
    heat.wait(30)
    assert heat.status == "done"
    heat.matrix_kind = "per-sample transition distance"
    heat.wait(30)
    with pytest.raises(NetgeomError, match="the matrix is empty"):
        heat.cell = (0, 0)


def test_samples_that_were_not_recorded_at_every_step_are_left_out_and_counted(make, tmp_path):
    layer = snapshots()
    layer[2, :4] = np.nan
    outputs = snapshots(1, n_features=CLASSES)
    outputs[5, 10] = np.nan
    heat = make(record(tmp_path / "run", layers={"features": layer}, outputs=outputs), live=False)
    heat.wait(30)
    assert "35 samples; " in caption(heat._figure.matrix)
    assert "5 left out: not recorded at every step" in caption(heat._figure.matrix)
    assert np.array_equal(heat.sample_ids, np.delete(IDS, [0, 1, 2, 3, 10]))
    heat.sample = int(IDS[0])
    heat.wait(30)
    assert "was not recorded at every step" in caption(heat._figure.neighbours)
    heat.selection = IDS[:2]
    heat.wait(30)
    assert "all others are shown" in caption(heat._figure.matrix)
    heat.selection = IDS[:6]
    heat.wait(30)
    assert "2 of 35 samples" in caption(heat._figure.matrix)


def test_a_diverged_run_says_at_which_step(make, tmp_path):
    layer = snapshots()
    layer[3:] = np.nan
    heat = make(record(tmp_path / "run", layers={"features": layer}), live=False)
    with pytest.raises(NetgeomError, match=r"Too few samples .* step 4 has 0% of the samples"):
        heat.wait(30)
    assert heat.status == "error"
    heat.layer = "outputs"
    heat.wait(30)
    assert heat.status == "done"


# ---- thumbnails and texts


def test_thumbnails_come_from_the_inputs_or_from_images(make, recording, tmp_path):
    assert len(make(recording, autorun=False)._sprites) == 40
    assert make(recording, images=False, autorun=False)._sprites is None
    part = IDS[[3, 1]]
    sprites = make(recording, ids=part, images=np.ones((2, 4, 4)), autorun=False)._sprites
    assert sprites.ids.tolist() == part.tolist() and sprites.tile_size == (4, 4)
    whole = np.zeros((40, 4, 4), dtype=np.uint8)
    whole[1] = 255
    sprites = make(recording, ids=part, images=whole, autorun=False)._sprites
    assert sprites.tiles[1].min() == 255 and sprites.tiles[0, ..., :3].max() == 0
    words = record(tmp_path / "words", inputs=np.zeros((40, 7, 16)))
    assert make(words, autorun=False)._sprites is None
    broken = record(tmp_path / "nan", inputs=np.full((40, 8, 8), np.nan))
    assert make(broken, autorun=False)._sprites is None
    with pytest.raises(NetgeomError):
        make(recording, images=np.full((40, 8, 8), np.nan))


def test_the_formatter_is_asked_once_for_each_sample_and_its_text_stays_text(make, recording):
    asked = []
    heat = make(recording, formatter=lambda i: asked.append(i) or f"<b>sample {i}</b>", live=False)
    heat.wait(30)
    assert sorted(asked) == IDS.tolist()
    columns = heat._figure.samples._marks.source.data
    assert columns["text"][0] == f"<b>sample {columns['id'][0]}</b>"
    tips = [tool.tooltips for tool in heat._figure.root.select({"type": HoverTool})]
    assert tips and "<b>sample" not in str(tips)


# ---- following


class Writer:
    """A run that is being written, snapshot by snapshot."""

    def __init__(self, path):
        self.layer, self.outputs = snapshots(), snapshots(1, n_features=CLASSES)
        import torch

        class Replay(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.features = torch.nn.Identity()

            def forward(self, x):
                writer = Replay.writer
                self.features(torch.tensor(writer.layer[writer.at]))
                return torch.tensor(writer.outputs[writer.at])

        Replay.writer, self.at = self, 0
        probe = (torch.zeros(40, 1), torch.tensor(self.outputs[-1].argmax(axis=1)))
        self.recorder = ng.Recorder(Replay(), probe, path=path, layers=["features"], ids=IDS)
        self.recorder.__enter__()

    def write(self, to):
        while self.at < to:
            self.at += 1
            self.recorder.step(self.at, accuracy=0.1 * self.at)

    def close(self):
        self.recorder.__exit__(None, None, None)


@pytest.fixture
def writer(tmp_path):
    writer = Writer(tmp_path / "live")
    yield writer
    writer.close()


def test_new_snapshots_appear_and_cost_one_search_each(make, writer, monkeypatch):
    writer.write(2)
    heat = make(writer.recorder.path)
    heat.wait(30)
    assert heat.result.n_snapshots == 3 and "still being recorded" in heat.message
    sizes = []
    extended = Neighbours.extended
    monkeypatch.setattr(
        Neighbours, "extended", lambda self, new, **k: sizes.append(len(new)) or extended(self, new, **k)
    )
    monkeypatch.setattr(transitions, "nearest_neighbours", lambda *a, **k: pytest.fail("searched anew"))
    heat.cell, heat.sample = (0, 1), int(IDS[2])
    writer.write(5)
    wait_for(lambda: heat.result.n_snapshots == 6)
    heat.wait(30)
    assert sum(sizes) == 3
    assert np.array_equal(heat.result.ids, found().ids)
    assert np.array_equal(heat.matrix, transitions.transition_distance(found()))
    assert (heat.cell, heat.step, heat.steps) == ((0, 1), 5, (0, 1, 2, 3, 4, 5))


def kill(writer):
    """What is left of a killed writer: no sign of an end, and the lock is free."""
    run = writer.recorder._writer
    run._closed = True
    run._lock.release()


def test_a_writer_that_was_killed_is_not_said_to_record(make, writer):
    writer.write(2)
    heat, resting = make(writer.recorder.path), make(writer.recorder.path, live=False)
    heat.wait(30), resting.wait(30)
    assert heat.message.startswith("3 snapshots, 40 samples, still being recorded")
    kill(writer)
    words = "3 snapshots, 40 samples, not finished: broken off, or recorded on another machine"
    wait_for(lambda: heat.message == words)
    assert words in repr(heat) and heat.status == "done"
    resting.k = 3
    resting.wait(30)
    assert resting.message.startswith(words)
    resumed = RunWriter.resume(heat._source.recording.path, "run-0")
    wait_for(lambda: "still being recorded" in heat.message)
    resumed.close()


def test_the_end_of_a_recording_is_said_and_its_control_goes_until_it_is_resumed(make, tmp_path):
    recording = record(tmp_path / "run")
    heat, resting = make(recording), make(recording, live=False)
    box = heat._controls["live"].box
    heat.wait(30), resting.wait(30)
    assert box.layout.display == resting._controls["live"].box.layout.display == "none"
    assert "6 snapshots, 40 samples, finished" in heat.message
    resumed = RunWriter.resume(tmp_path / "run", "run-0")
    resumed._write_committed(finished=False)
    heat.run(), resting.run()
    heat.wait(30), resting.wait(30)
    assert box.layout.display is None and "still being recorded" in heat.message
    resumed.close()
    wait_for(lambda: heat.message == "6 snapshots, 40 samples, finished")
    assert box.layout.display == "none"
    resting.k = 3
    resting.wait(30)
    assert "6 snapshots, 40 samples, not finished when last looked at" in resting.message  # closed, but nobody looked


def test_a_step_chosen_by_hand_stays_while_the_recording_grows(make, writer):
    writer.write(2)
    heat = make(writer.recorder.path)
    heat.wait(30)
    heat.step = 1
    writer.write(4)
    wait_for(lambda: len(heat.steps) == 5)
    assert heat.step == 1


def test_wait_ends_although_the_recording_grows(make, writer):
    heat = make(writer.recorder.path)
    stop = threading.Event()

    def write():
        while not stop.is_set() and writer.at < 5:
            writer.write(writer.at + 1)
            time.sleep(0.05)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            heat.wait(30)
    finally:
        stop.set()
        thread.join()


def test_what_is_not_live_does_not_follow_until_it_is(make, writer):
    heat = make(writer.recorder.path, live=False)
    heat.wait(30)
    writer.write(2)
    time.sleep(1.5)
    assert heat.result.n_snapshots == 1
    heat.live = True
    wait_for(lambda: heat.result.n_snapshots == 3)


def test_run_takes_up_what_was_recorded_since(make, writer):
    heat = make(writer.recorder.path, live=False)
    heat.wait(30)
    writer.write(2)
    heat.run()
    heat.wait(30)
    assert heat.result.n_snapshots == 3


def test_a_recording_that_vanishes_is_said_once(make, writer, monkeypatch):
    writer.write(1)
    heat = make(writer.recorder.path)
    heat.wait(30)

    def gone():
        raise FileNotFoundError("gone")

    monkeypatch.setattr(heat._source.recording, "refresh", gone)
    wait_for(lambda: heat.status == "error")
    assert not heat.live and "FileNotFoundError" in heat._frame.error.value


# ---- cancelling, partial pictures, closing


def test_a_long_search_is_shown_in_parts_and_goes_on_where_it_was_cancelled(make, recording, monkeypatch):
    shown, release = [], threading.Event()
    extended = Neighbours.extended

    def slow(self, new, *, cancel, **more):
        if not release.is_set() and self.n_snapshots == 4:
            wait_for(cancel.is_set)
            cancel.checkpoint()
        return extended(self, new, cancel=cancel, **more)

    monkeypatch.setattr(Neighbours, "extended", slow)
    heat = make(recording, live=False, autorun=False)
    draw = heat._draw_picture
    monkeypatch.setattr(heat, "_draw_picture", lambda p: (shown.append((len(p.steps), p.final)), draw(p)))
    heat.run()
    wait_for(lambda: any(s.n_snapshots == 4 for s in heat._maker._searches._held.values()))
    heat.cancel()
    heat.wait(30)
    assert heat.status == "cancelled" and heat.result is None
    assert shown and not any(final for _, final in shown)
    release.set()
    monkeypatch.setattr(transitions, "nearest_neighbours", lambda *a, **k: pytest.fail("began again"))
    heat.run()
    heat.wait(30)
    assert np.array_equal(heat.result.ids, found().ids)


def test_a_slow_projection_is_cancelled(heat, monkeypatch):
    started = threading.Event()

    def slow(snapshots, *, progress, cancel):
        started.set()
        wait_for(cancel.is_set)
        cancel.checkpoint()

    monkeypatch.setattr(transitions, "aligned_projection", slow)
    heat.panel = "projection"
    assert started.wait(10) and not heat._frame.cancel.disabled
    heat.cancel()
    heat.wait(30)
    assert heat._frame.cancel.disabled and heat.status == "done"


def test_nothing_is_left_after_close(recording):
    first = ng.TransitionHeatMap(recording)
    first.wait(30)
    first.close()
    del first
    gc.collect()
    instances, threads = len(_instances), threading.active_count()
    refs = []
    for _ in range(3):
        heat = ng.TransitionHeatMap(recording)
        heat.wait(30)
        heat.selection = IDS[:4]
        heat.cell = (1, 2)
        heat.wait(30)
        refs += [weakref.ref(heat), weakref.ref(heat.pane.document)]
        heat.close()
        heat.close()
        assert repr(heat).startswith("<TransitionHeatMap closed")
        heat.selection, heat.panel, heat.k = (), "classes", 3
        del heat
    gc.collect()
    assert (len(_instances), threading.active_count()) == (instances, threads)
    assert [ref() for ref in refs if ref() is not None] == []


def test_what_a_cancelled_run_kept_from_being_fetched_comes_after_it(heat, monkeypatch):
    monkeypatch.setattr(heat._maker, "picture", lambda *a, cancel, **k: wait_for(cancel.is_set) or cancel.checkpoint())
    heat.run()
    wait_for(lambda: heat._worker.is_busy("run"))
    heat.cell = (0, 3)
    heat.cancel()
    wait_for(lambda: heat.status == "cancelled")
    heat.wait(30)
    assert heat._figure.samples.root.title.text.endswith("step 0 and at step 8")


# ---- links, exports, state


def test_selection_and_step_are_shared(make, recording, heat):
    other = make(recording, "outputs", live=False)
    ng.link(heat, other)
    ng.link(heat, other, "step")
    heat.selection, heat.step = IDS[:4], 2
    assert (other.selection, other.step) == (tuple(IDS[:4].tolist()), 2)
    part = make(recording, ids=IDS[:4], autorun=False)
    with pytest.raises(NetgeomError, match="equally many samples"):
        ng.link(heat, part)
    shifted = make(recording, ids=IDS[:4], autorun=False), make(recording, ids=IDS[1:5], autorun=False)
    with pytest.raises(NetgeomError, match=r"the same sample ids\. Got: among 5, 8, 11, 14, and among 8, 11, 14, 17"):
        ng.link(*shifted)


def test_export_of_all_numbers(heat, tmp_path):
    heat.k = 5
    heat.wait(30)
    heat.export_data(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert np.array_equal(data["matrix"], heat.matrix) and np.array_equal(data["steps"], STEPS)
        assert np.array_equal(data["neighbours"], IDS[heat.result.ids])
        assert np.array_equal(data["overlap"], transitions.overlap(found(), k=5))
        assert data["class_transitions"].shape == (N_TRANSITIONS, CLASSES, CLASSES)
        assert data["predictions"].shape == (len(STEPS), len(IDS))
        assert np.allclose(data["churn"], 1 - data["overlap"].mean(axis=1))
        assert json.loads(str(data["about"])) == heat.state()
    heat.export_data(tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == IDS.tolist()
    assert set(rows[0]) == {
        "id", "label", "mean_overlap", "forgetting_events", "learning_events", "first_correct_step"
    }  # fmt: skip
    assert all(int(row["first_correct_step"]) in {-1, *STEPS.tolist()} for row in rows)
    for suffix in ("png", "svg", "html"):
        getattr(heat, f"export_{suffix}")(tmp_path / f"a.{suffix}")


def test_the_state_makes_the_same_widget_again(heat, make, recording):
    heat.settings = {"matrix_kind": "Jaccard", "k": 6, "panel": "classes"}
    heat.selection, heat.sample = IDS[:9], int(IDS[2])
    heat.wait(30)
    heat.cell, heat.step = (1, 5), 4
    heat.wait(30)
    twin = ng.TransitionHeatMap.from_state(json.loads(json.dumps(heat.state())), recording)
    twin.wait(30)
    try:
        assert twin.state() == heat.state()
        assert np.array_equal(twin.matrix, heat.matrix) and twin.cell == (1, 5)
    finally:
        twin.close()


# ---- controls


def test_a_menu_keeps_its_value_until_its_choices_are_known():
    menu = Menu(description="Layer", tooltip="Which layer")
    menu.value = "b"
    menu.set_choices([("a", "a"), ("b", "b")])
    assert (menu.value, menu._menu.value, menu._menu.options) == ("b", "b", (("a", "a"), ("b", "b")))
    menu._menu.value = "a"
    assert menu.value == "a"


def test_the_neighbour_slider_says_all_at_its_end():
    slider = NeighbourSlider(description="k", tooltip="How many")
    slider.set_most(15)
    assert (slider.value, slider._words.value, slider._slider.value) == (None, "all 15", 15)
    slider._slider.value = 4
    assert (slider.value, slider._words.value) == (4, "4 of 15")
    slider._slider.value = 15
    assert slider.value is None
    slider.set_most(1)
    assert slider._slider.disabled and slider._words.value == "all 1"


def test_only_controls_that_matter_are_seen(heat):
    def shown(name):
        return heat._controls[name].box.layout.display != "none"

    assert shown("norm") and shown("scalar")
    heat.matrix_kind, heat.panel = "CKA", "classes"
    assert not shown("norm") and not shown("scalar")


def test_computing_nothing_twice(recording):
    from netgeom_widgets.execution import Cancel, Progress
    from netgeom_widgets.widgets.transition_source import Source

    maker = PictureMaker(Source(recording))
    settings = {
        "layer": "features", "metric": "euclidean", "max_neighbours": 15, "k": None, "among": "all samples",
        "matrix_kind": "Jaccard", "norm": "euclidean",
    }  # fmt: skip
    ways = {"progress": Progress(), "cancel": Cancel(), "publish": lambda _: None}
    first, second = (maker.picture(settings, (), **ways) for _ in range(2))
    assert first.matrix is second.matrix and first.search.found is second.search.found


def test_the_stored_picture_is_of_the_panels_too(make, recording, monkeypatch):
    seen = []
    monkeypatch.setattr("netgeom_widgets.widgets.static_output._publisher", lambda: lambda *args, **kwargs: None)
    monkeypatch.setattr(ng.TransitionHeatMap, "_store_picture", lambda self: seen.append(dict(self._fetched)))
    heat = make(recording, live=False, sample=int(IDS[3]))
    heat._ipython_display_()
    heat.wait(30)
    assert len(heat._fetched) > 1 and seen[-1] == heat._fetched
    heat.panel = "recurrence"
    heat.wait(30)
    assert seen[-1] == heat._fetched
