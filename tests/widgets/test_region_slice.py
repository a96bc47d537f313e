"""Tests of the slice chosen while the explorer lives: widgets/region_slicing.py, region_by_hand.py, region_slice.py."""

from __future__ import annotations

import gc
import json
import threading
import weakref

import numpy as np
import pytest
import torch
from bokeh.events import Tap

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_text import title
from netgeom_widgets.kernels.regions import partition
from netgeom_widgets.kernels.regions.planes import Motion, bounds_of, central_samples, normal_direction
from netgeom_widgets.widgets import live_runs, region_slicing
from tests.networks import mlp

BOX = ng.Slice.box(-2.0, 2.0, -1.5, 1.5)
FLAT = np.random.default_rng(0).uniform((-2, -1.5), (2, 1.5), (40, 2))
DATA = np.random.default_rng(1).normal(size=(30, 5)).astype(np.float32)
DATA[7] = 2 * DATA[6] - DATA[5]  # 5, 6 and 7 lie on a line
LABELS = np.arange(30) % 3
NET, WIDE = mlp(2, 6, 6, 1), mlp(5, 8, 8, 2)


@pytest.fixture
def make():
    made = []

    def make(*args, **kwargs):
        made.append(ng.RegionExplorer(*args, **kwargs))
        made[-1].wait(30)
        return made[-1]

    yield make
    for explorer in made:
        explorer.close()


def shows(explorer, model, domain):
    """Result, figure, samples and controls are all those of a slice."""
    explorer.wait(30)
    assert explorer.domain == domain == explorer.result.domain == explorer._figure.domain
    assert np.array_equal(explorer.result.vertices, partition(model, domain).vertices)
    assert explorer._figure.root.title.text == title(partition(model, domain), 2)
    points, distance = domain.to_slice(explorer._dataset.inputs)
    shown = explorer._figure.canvas._samples.data
    order = np.argsort(shown["sample"])
    assert np.array_equal(np.column_stack([shown["x"], shown["y"]])[order], points)
    assert np.array_equal(np.asarray(shown["distance"])[order], distance)
    assert np.array_equal(explorer._prepared.sample_regions, explorer.result.locate(points))
    low, high = domain.polygon.min(0), domain.polygon.max(0)
    window = explorer._figure.window
    assert window.xmin < low[0] < high[0] < window.xmax and window.ymin < low[1] < high[1] < window.ymax
    assert window.width < 3 * (high[0] - low[0]) or window.height < 3 * (high[1] - low[1])
    return True


# ---- without a slice


def test_the_first_slice_is_laid_through_the_data(make):
    flat, wide = make(NET, data=FLAT), make(WIDE, data=DATA, labels=LABELS)
    left, right, lower, upper = bounds_of(flat.domain)
    assert left < FLAT[:, 0].min() < FLAT[:, 0].max() < right and lower < FLAT[:, 1].min() < FLAT[:, 1].max() < upper
    assert shows(flat, NET, flat.domain)
    assert wide.anchors == central_samples(DATA)
    assert shows(wide, WIDE, ng.Slice.through(*DATA[list(wide.anchors)]))
    words = wide._slice_bar._words.value
    assert words == f"plane through samples {', '.join(map(str, wide.anchors))} (central ones, chosen here)"


def test_bad_slices_are_refused_before_anything_starts(make):
    before = threading.active_count()
    refusals = [
        ((NET,), {}, "neither a slice nor data"),
        ((WIDE,), {"data": DATA[:2]}, "span a plane"),
        ((WIDE,), {"data": np.ones((5, 5))}, "span a plane"),
        ((WIDE,), {"data": np.ones(5)}, "no inputs"),
        ((WIDE,), {"data": DATA, "anchors": (5, 6, 7)}, "on a line"),
        ((WIDE,), {"data": DATA, "anchors": (1, 1, 2)}, "twice"),
        ((WIDE,), {"data": DATA, "anchors": (1, 2, 30)}, "no such sample"),
        ((WIDE,), {"data": DATA, "anchors": "abc"}, "bad value"),
        ((WIDE,), {"anchors": (1, 2, 3)}, "no such sample"),
        ((WIDE, ng.Slice.through(*DATA[:3]), DATA), {"anchors": (1, 2, 3)}, "Both"),
        ((NET, BOX), {"tilt": 10}, "cannot be left"),
        ((NET, BOX), {"turn": 400}, "bad value"),
        ((NET, BOX), {"size": 0}, "positive"),
        ((NET, BOX), {"start": {"origin": [0, 0]}}, "not a slice"),
    ]
    for arguments, keywords, words in refusals:
        with pytest.raises(NetgeomError, match=words):
            make(*arguments, **keywords)
    assert threading.active_count() == before


# ---- another slice


def test_another_domain_is_shown_and_the_view_goes_to_it(make):
    explorer = make(NET, BOX, FLAT, turn=20)
    explorer.view = (0, 0.1, 0, 0.1)
    explorer.wait(30)
    explorer.domain = ng.Slice.box(3.0, 4.0, 3.0, 5.0)
    assert shows(explorer, NET, explorer.domain) and explorer.view is None and explorer.turn == 0
    assert explorer.start is explorer.domain and explorer.viewport is explorer.result
    explorer._reset()
    explorer.wait(30)
    assert explorer._figure.root.x_range.reset_start < 3 < explorer._figure.root.x_range.start + 0.5
    explorer.domain, explorer.view = BOX, (0, 0.1, 0, 0.1)
    explorer.wait(30)
    assert explorer.viewport is not explorer.result and explorer._figure.window.width < 1
    explorer.domain = BOX.scaled(2)
    for bad in (ng.Slice.through(*DATA[:3]), "box", None):
        with pytest.raises(NetgeomError):
            explorer.domain = bad
    with pytest.raises(NetgeomError):
        explorer.start = ng.Slice.through(*DATA[:3])
    assert shows(explorer, NET, explorer.domain)


def test_the_plane_is_moved_by_settings(make):
    explorer = make(WIDE, data=DATA, anchors=(3, 4, 8))
    start = ng.Slice.through(*DATA[[3, 4, 8]])
    explorer.turn, explorer.tilt, explorer.shift_w, explorer.size = 30, -20, 0.5, 1.5
    moved = Motion(turn=30, tilt=-20, shift_w=0.5, size=1.5).moved(start, normal_direction(start, DATA))
    assert shows(explorer, WIDE, moved) and explorer.anchors == (3, 4, 8)
    assert (
        "turned by 30°; tilted by −20°; shifted by 0.5 sides off the plane; 1.5 times"
        in explorer._slice_bar._words.value
    )
    explorer.anchors = (0, 1, 2)
    assert shows(explorer, WIDE, ng.Slice.through(*DATA[:3])) and (explorer.turn, explorer.size) == (0, 1)
    explorer.settings = {"anchors": (1, 2, 3), "shift_s": 0.5}
    explorer.wait(30)
    start = ng.Slice.through(*DATA[1:4])
    assert explorer.domain == Motion(shift_s=0.5).moved(start)
    explorer._slice_bar.back.click()
    assert shows(explorer, WIDE, ng.Slice.through(*DATA[[3, 4, 8]])) and explorer.anchors == (3, 4, 8)
    assert explorer._slice_bar.back.disabled


def test_bad_values_stay_beside_their_control_with_the_last_good_picture(make):
    explorer = make(WIDE, data=DATA, anchors=(3, 4, 8))
    good, control = explorer.result, explorer._controls["anchors"]
    for ids, words in {(5, 6, 7): "on a line", (1, 1, 2): "twice", (1, 2, 30): "from 0 to 29"}.items():
        for field, number in zip(control.widget._fields, ids, strict=True):
            field._field.value = str(number)
        assert words in control.message and explorer.anchors != ids
        with pytest.raises(NetgeomError, match=words):
            explorer.anchors = ids
    control.widget._fields[0]._field.value = "a"
    assert "three samples" in control.message
    explorer.anchors = (3, 4, 8)
    explorer.wait(30)
    assert control.message == "" and control.widget.value == (3, 4, 8)
    assert np.array_equal(explorer.result.vertices, good.vertices)
    for name in ("tilt", "shift_w"):
        flat = make(NET, BOX)
        with pytest.raises(NetgeomError, match="third direction"):
            setattr(flat, name, 1)


def test_the_box_is_typed_and_fitted(make):
    explorer = make(NET, BOX, FLAT)
    box = explorer._box
    assert box.widget.value == (-2, 2, -1.5, 1.5)
    box.widget._fields[1]._field.value = "0.5"
    assert shows(explorer, NET, ng.Slice.box(-2, 0.5, -1.5, 1.5))
    for place, text, words in ((2, "2", "empty"), (0, "left", "no number"), (3, "-9", "empty"), (1, "inf", "finite")):
        box.widget._fields[place]._field.value = text
        assert words in box.message
        explorer.domain = ng.Slice.box(-2, 1 + place, -1.5, 1.5)
        assert box.message == "" and box.widget.value == (-2, 1 + place, -1.5, 1.5)
    explorer.turn = 10
    assert box.widget._fields[0]._field.value == "", "a turned box is no box"
    explorer._slice_bar.fit.click()
    explorer.wait(30)
    assert explorer.turn == 0 and box.widget.value == bounds_of(make(NET, data=FLAT).domain)


# ---- what stays and what goes


def test_the_picked_point_is_followed_in_its_plane_and_let_go_off_it(make):
    explorer = make(WIDE, data=DATA, anchors=(3, 4, 8))
    s, t = explorer.domain.centre + 0.01
    explorer._on_tap(Tap(explorer._figure.root, sx=1, sy=1, x=s, y=t))
    explorer.wait(30)
    place = explorer.domain.to_input(np.array([[s, t]]))
    assert explorer.region is not None
    for turn, shift in ((25, 0.0), (25, 0.05), (-60, 0.0)):
        explorer.turn, explorer.shift_s = turn, shift
        explorer.wait(30)
        here = int(explorer.result.locate(explorer.domain.to_slice(place)[0])[0])
        assert explorer.region == here >= 0
        assert explorer.selection == tuple(np.flatnonzero(explorer._prepared.sample_regions == here).tolist())
    explorer.tilt = 5
    explorer.wait(30)
    assert explorer.region is None and explorer.selection == ()


def test_a_lasso_stays_and_a_view_of_the_same_square_goes(make):
    explorer = make(WIDE, data=DATA, anchors=(3, 4, 8))
    explorer._on_lasso([1, 5])
    explorer.view = (-0.1, 0.1, -0.1, 0.1)
    explorer.wait(30)
    explorer.tilt = 5
    assert shows(explorer, WIDE, explorer.domain) and explorer.selection == (1, 5) and explorer.view is None


def test_state_makes_the_same_slice_again(make):
    explorer = make(WIDE, data=DATA, anchors=(3, 4, 8), tilt=10)
    explorer.shift_t = -0.5
    explorer.wait(30)
    explorer.region = 2
    state = json.loads(json.dumps(explorer.state()))
    assert state["settings"]["start"]["polygon"] == explorer.start.polygon.tolist()
    again = ng.RegionExplorer.from_state(state, WIDE, data=DATA)
    again.wait(30)
    assert again.domain == explorer.domain and again.anchors == (3, 4, 8) and again.region == 2
    again.close()
    other = make(NET, BOX, shift_s=0.5)
    again = ng.RegionExplorer.from_state(json.loads(json.dumps(other.state())), NET)
    again.wait(30)
    assert np.array_equal(again.result.vertices, other.result.vertices)
    again.close()


def test_exported_data_say_where_the_slice_lies(make, tmp_path):
    explorer = make(WIDE, data=DATA, tilt=10)
    explorer.export_data(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        again = ng.Slice(*(arrays[f"slice_{name}"] for name in ("origin", "u", "v", "polygon")))
    assert again == explorer.domain


# ---- runs


def test_the_model_is_compiled_once_and_the_latest_slice_wins(make, monkeypatch):
    explorer = make(WIDE, data=DATA)
    monkeypatch.setattr("netgeom_widgets.widgets.region_side.compile_partition", None)  # would fail
    seen = []
    explorer.observe(lambda change: seen.append(change["new"].domain), "result")
    for degrees in range(1, 31):
        explorer._controls["turn"].widget.value = degrees
    explorer.wait(30)
    assert explorer.turn == 30 and seen[-1] == explorer.domain and len(seen) < 30
    assert shows(explorer, WIDE, explorer.domain)


@pytest.mark.parametrize(("patience", "shown"), [(60.0, [1, 3]), (0.0, [3])])
def test_a_run_under_way_is_let_finish_only_if_it_is_quick(make, monkeypatch, patience, shown):
    monkeypatch.setattr(live_runs, "_FINISH", patience)
    explorer = make(WIDE, data=DATA)
    kernel, started, release, seen = explorer._sides[0].kernel, threading.Event(), threading.Event(), []

    def slow(*args, cancel=None, **kwargs):
        started.set()
        release.wait(10)
        cancel.checkpoint()
        return kernel(*args, cancel=cancel, **kwargs)

    explorer._sides[0].kernel = slow
    explorer.observe(lambda change: seen.append(change["new"].domain), "result")
    for turn in (1, 2, 3):
        explorer.turn = turn
        assert started.wait(10)
    release.set()
    explorer.wait(30)
    start = explorer.start
    assert seen == [Motion(turn=turn).moved(start) for turn in shown] and explorer.status == "done"
    release.clear()
    started.clear()
    explorer.turn = 4
    assert started.wait(10)
    explorer.turn = 5
    explorer.cancel()
    release.set()
    explorer.wait(30)
    assert explorer.status == "cancelled" and len(seen) == len(shown), "nothing starts again by itself"


def test_first_layers_of_another_slice_appear_only_where_the_whole_takes_long(make, monkeypatch):
    explorer = make(WIDE, data=DATA)
    titles = []
    explorer._figure.root.title.on_change("text", lambda attr, old, new: titles.append(new))
    monkeypatch.setattr(region_slicing, "_PATIENCE", 1e9)
    explorer.turn = 30
    explorer.wait(30)
    assert not any("not finished" in text for text in titles)
    monkeypatch.setattr(region_slicing, "_PATIENCE", 0.0)
    explorer.turn = 60
    explorer.wait(30)
    assert any("after layer 1" in text and "not finished" in text for text in titles)


def test_a_slice_that_is_cancelled_leaves_the_last_good_picture_where_it_was(make, monkeypatch):
    monkeypatch.setattr(region_slicing, "_PATIENCE", 0.0)
    explorer = make(NET, BOX, FLAT)
    kernel, started, release = explorer._sides[0].kernel, threading.Event(), threading.Event()

    def slow(domain, *, on_layer=None, progress=None, cancel=None):
        def layer(partial):
            on_layer(partial)
            started.set()
            release.wait(10)
            cancel.checkpoint()

        return kernel(domain, on_layer=layer, progress=progress, cancel=cancel)

    explorer._sides[0].kernel = slow
    explorer.domain = ng.Slice.box(5, 6, 5, 6)
    assert started.wait(10) and explorer._figure.window.xmin > 4
    explorer.cancel()
    release.set()
    explorer.wait(30)
    assert explorer.status == "cancelled" and explorer._figure.domain is BOX and explorer._figure.window.xmin < -2
    assert np.array_equal(explorer._points.points, FLAT)


def test_without_autorun_the_slice_waits_for_run(make):
    explorer = make(NET, BOX, FLAT, autorun=False)
    explorer.domain = BOX.scaled(2)
    explorer.wait(30)
    assert explorer.result is None and "press Run" in explorer.message
    explorer.run()
    assert shows(explorer, NET, BOX.scaled(2))


def test_nothing_is_left_after_close_and_a_closed_explorer_goes_nowhere():
    explorer = ng.RegionExplorer(WIDE, data=DATA, by_hand=True)
    explorer.wait(30)
    gone = [weakref.ref(thing) for thing in (explorer, explorer._scatter, explorer._scatter_pane, explorer._slice_bar)]
    explorer.close()
    with pytest.raises(NetgeomError, match="closed"):
        explorer.reset_slice()
    del explorer
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4


def test_steps_of_training_are_kept_by_slice_and_scales_start_anew(make):
    nets = [mlp(2, 6, 6, 1, seed=seed) for seed in range(3)]
    explorer = make(NET, BOX, FLAT, checkpoints=nets, step=0)
    explorer.step = 2
    explorer.wait(30)
    first = explorer.result
    assert "2 steps seen" in explorer._figure.canvas.caption.text
    explorer.size = 2
    explorer.wait(30)
    assert explorer.result.n_regions == partition(nets[2], BOX.scaled(2)).n_regions
    assert "steps seen" not in explorer._figure.canvas.caption.text
    calls, compile_at = [], explorer._kernel_at
    explorer._kernel_at = lambda *args, **limits: calls.append(args) or compile_at(*args, **limits)
    explorer.size = 3
    explorer.wait(30)
    assert not calls, "another slice of the same network needs no new copy"
    explorer.step = 0
    explorer.wait(30)
    assert len(calls) == 1 and explorer.result.n_regions == partition(nets[0], BOX.scaled(3)).n_regions
    explorer.settings = {"size": 1.0, "step": 2}
    explorer.wait(30)
    assert explorer.result is first


def test_two_networks_and_the_input_shown_go_to_another_slice_together(make):
    nets = [torch.nn.Sequential(torch.nn.Flatten(), mlp(16, 6, 2, seed=seed)) for seed in (0, 1)]
    data = np.random.default_rng(2).normal(size=(12, 1, 4, 4))
    explorer = make(nets[0], data=data, against=nets[1])
    explorer.region = int(explorer.result.locate(explorer.domain.centre[None] + 0.01)[0])
    explorer.wait(30)
    pixels = explorer._inputs.under._images.data["image"][0].copy()
    for change in ({"turn": 20}, {"size": 0.5}, {"anchors": (0, 1, 2)}):
        explorer.settings = change
        explorer.wait(30)
        for found, net, side in zip((explorer.result, explorer.against_result), nets, explorer._sides, strict=True):
            assert np.array_equal(found.vertices, partition(net, explorer.domain).vertices)
            assert side.figure.domain == explorer.domain and side.scene.full is found
        picked = (explorer.region, explorer.against_region)
        assert (picked == (None, None)) if "anchors" in change else (None not in picked)
    assert explorer._inputs.under.domain == explorer.domain
    assert np.array_equal(explorer._inputs.under._plane.data["u"], explorer.domain.u.ravel())
    assert (explorer._inputs.under._images.data["image"][0] != pixels).any()


# ---- by hand


def test_three_clicks_into_the_data_lay_the_plane(make):
    explorer = make(WIDE, data=DATA, labels=LABELS, anchors=(3, 4, 8))
    explorer._slice_bar._button.value = True
    explorer.wait(30)
    scatter = explorer._scatter
    assert (
        explorer._slice_bar._body.layout.display is None
        and explorer._scatter_pane in explorer._slice_bar._beside.children
    )
    assert scatter._anchors.data["name"] == ["1", "2", "3"] and explorer.by_hand
    marks = scatter._marks.source.data
    at = {sample: (marks["x"][row], marks["y"][row]) for row, sample in enumerate(marks["id"].tolist())}

    def click(sample):
        x, y = at[sample]
        explorer._scatter.root._trigger_event(Tap(scatter.root, sx=1, sy=1, x=float(x), y=float(y)))
        explorer.wait(30)

    click(10)
    assert "Clicked: 10. Click two more" in explorer._slice_bar._hint.value and explorer.anchors == (3, 4, 8)
    assert scatter._anchors.data["x"].tolist() == [at[10][0]]
    click(11)
    click(11)
    click(12)
    assert "10, 12" in explorer._slice_bar._hint.value
    click(13)
    assert explorer.anchors == (10, 12, 13) and explorer._slice_bar._hint.value == ""
    assert shows(explorer, WIDE, ng.Slice.through(*DATA[[10, 12, 13]]))
    for sample in (5, 6, 7):
        click(sample)
    assert "on a line" in explorer._controls["anchors"].message and explorer.anchors == (10, 12, 13)
    assert scatter._anchors.data["x"].tolist() == [at[i][0] for i in (10, 12, 13)]
    explorer.selection = (2,)
    explorer.wait(30)
    shown = scatter._marks.source.data
    assert (np.asarray(shown["edge_width"])[shown["id"] == 2] > 2).all()


def test_the_bar_is_folded_and_offers_what_fits(make):
    flat, wide, bare = make(NET, BOX), make(WIDE, data=DATA), make(WIDE, ng.Slice.through(*DATA[:3]))
    assert [e._slice_bar._body.layout.display for e in (flat, wide, bare)] == ["none"] * 3
    assert wide._scatter is None, "nothing of it is computed before it is asked for"
    placed = [list(e._slice_bar._beside.children[0].children) for e in (flat, wide, bare)]
    for explorer, boxes, offered in zip((flat, wide, bare), placed, ("box", "anchors", None), strict=True):
        assert (explorer._controls["anchors"].box in boxes) == (offered == "anchors")
        assert (explorer._box is not None and explorer._box.box in boxes) == (offered == "box")
        assert (explorer._controls["tilt"].box in boxes) == (explorer is not flat)
    assert not hasattr(flat._slice_bar, "fit")
    for name in region_slicing.MOTION:
        assert wide._controls[name].widget.tooltip and wide._controls[name].widget.continuous_update
