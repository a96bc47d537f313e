"""Tests of widgets/region_beside.py and region_pointing.py: two networks side by side, inputs shown as images."""

from __future__ import annotations

import csv
import json
import threading
import time

import numpy as np
import pytest
import torch
from bokeh.events import MouseLeave, MouseMove, Tap
from bokeh.models import Plot

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.execution import Progress
from tests.networks import mlp

BOX = ng.Slice.box(-2.0, 2.0, -1.5, 1.5)
DATA = np.random.default_rng(0).uniform((-2, -1.5), (2, 1.5), (60, 2))
NAMES = ("with <b>", "without")


@pytest.fixture
def pair(make):
    explorer = make(mlp(2, 8, 8, 1), BOX, DATA, against=mlp(2, 12, 3, seed=2), names=NAMES)
    explorer.wait(30)
    return explorer


def at(explorer, event, s, t, side=0):
    return event(explorer._sides[side].figure.root, sx=1, sy=1, x=s, y=t)


def tap(explorer, s, t, side=0):
    explorer._on_tap(at(explorer, Tap, s, t, side))
    explorer.wait(30)


def located(partition, s, t):
    return int(partition.locate(np.array([[s, t]]))[0])


def test_both_partitions_are_those_of_the_slice(pair):
    alone = [ng.kernels.regions.partition(net, BOX) for net in (mlp(2, 8, 8, 1), mlp(2, 12, 3, seed=2))]
    assert [pair.result.n_regions, pair.against_result.n_regions] == [found.n_regions for found in alone]
    assert np.array_equal(pair.against_result.vertices, alone[1].vertices)
    counts = f"with <b>: {alone[0].n_regions} regions, without: {alone[1].n_regions} regions"
    assert repr(pair) == f"<RegionExplorer done {counts}>" and pair.message.startswith(counts)
    plots = list(pair.pane.root.select({"type": Plot}))
    assert len(plots) == 2 and all(plot.height <= 600 for plot in plots)
    first, second = (side.figure for side in pair._sides)
    assert first.values.limits == second.values.limits
    assert pair._controls["common_scale"].box.layout.display is None
    pair.common_scale = False
    pair.wait(30)
    assert first.values.limits != second.values.limits
    for name, value in {"color_by": "area", "boundary": False, "layer": 1, "hinges": (0,)}.items():
        setattr(pair, name, value)
        pair.wait(30)
        assert getattr(first.style, name) == getattr(second.style, name) == value


def test_what_does_not_fit_the_first_network_is_refused_by_name_and_before_anything_starts(make):
    good, before = mlp(2, 4, 1), threading.active_count()
    gelu = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.GELU())
    for other, error in ((gelu, UnsupportedModuleError), (mlp(3, 4, 1), NetgeomError), ("net", NetgeomError)):
        with pytest.raises(error, match="The network named second is refused"):
            make(good, BOX, against=other)
    for keywords in (
        {"names": ("a", "b")},
        {"against": good, "names": ("a", "a")},
        {"against": good, "names": "ab"},
        {"against": good, "names": ("a", " ")},
        {"against": 3},
        {"against_region": 2},
        {"against": good, "against_region": -1},
    ):
        with pytest.raises(NetgeomError):
            make(good, BOX, **keywords)
    assert threading.active_count() == before


def test_outputs_that_both_have_and_layers_that_one_has_can_be_chosen(pair):
    with pytest.raises(NetgeomError):
        pair.output = 1
    with pytest.raises(NetgeomError):
        pair.layer = 3
    pair.layer = 2
    pair.wait(30)
    first, second = (side.figure for side in pair._sides)
    assert "exact" in second.root.title.text and len(pair._controls["hinges"].widget.children) == 3
    pair.layer = None
    pair._legend_clicked(pair._sides[1], ())
    pair.wait(30)
    assert pair.hinges == (1,), "the layer that only the first has stays as it was"
    assert [line.visible for line in first.canvas.lines] == [False, True]
    pair._legend_clicked(pair._sides[1], None)
    pair.wait(30)
    assert pair.hinges is None


def test_a_click_in_either_picks_the_region_at_the_point_in_both(pair):
    for side, point in ((0, (0.3, 0.2)), (1, (-1.1, 0.7))):
        tap(pair, *point, side=side)
        assert pair.region == located(pair.result, *point)
        assert pair.against_region == located(pair.against_result, *point)
        for held in pair._sides:
            assert len(held.figure.canvas._outlines[0].data["xs"]) == 1
    detail = pair._panel._detail.value
    assert f"Region {pair.region:,}" in detail and f"Region {pair.against_region:,}" in detail
    assert "with &lt;b&gt;" in detail and "with <b>" not in detail
    pair.region = 0
    pair.wait(30)
    assert pair.against_region == located(pair.against_result, *pair.result.centroids[0])
    pair.against_region = 5
    pair.wait(30)
    assert pair.region == 0 and pair._sides[1].figure.style.region == 5
    with pytest.raises(NetgeomError, match="second network"):
        pair.against_region = 10**6
    pair.run()
    pair.wait(30)
    assert (pair.region, pair.against_region) == (0, 5)
    tap(pair, 50.0, 50.0)
    assert pair.region is None and pair.against_region is None


def test_a_zoom_computes_both_views_anew(pair):
    pair.view = (0.0, 0.3, 0.0, 0.2)
    pair.wait(30)
    for side, whole, view in zip(
        pair._sides, (pair.result, pair.against_result), (pair.viewport, pair.against_viewport), strict=True
    ):
        assert view is side.scene.shown and view is not whole and view.domain.area < whole.domain.area
        assert side.scene.ids[:-1].tolist() == whole.locate(view.centroids).tolist()
        assert "zoom" in side.figure.canvas.caption.text
    pair._reset()
    pair.wait(30)
    assert (pair.viewport, pair.against_viewport) == (pair.result, pair.against_result)


def test_the_pointer_names_both_regions(pair):
    assert {"mousemove", "mouseleave"} <= set(pair._sides[1].figure.root.subscribed_events)
    pair._on_pointer(at(pair, MouseMove, 0.3, 0.2, side=1))
    pair.wait(30)
    assert pair.pointer == (0.3, 0.2)
    regions = located(pair.result, 0.3, 0.2), located(pair.against_result, 0.3, 0.2)
    for name, region in zip(NAMES, regions, strict=True):
        assert f"{name}: region {region}," in pair._panel.pointer.value
    for event, place in ((MouseMove, 3.0), (MouseLeave, 0.0)):  # over the axes, and away
        pair._on_pointer(at(pair, MouseMove, 0.3, 0.2))
        pair.wait(30)
        assert pair.pointer == (0.3, 0.2)
        pair._on_pointer(at(pair, event, place, place, side=1))
        pair.wait(30)
        assert pair.pointer is None


def test_parts_of_either_run_appear_and_cancel_keeps_both_pictures(make):
    explorer = make(mlp(2, 6, 6, 1), BOX, against=mlp(2, 6, 6, 1, seed=1), autorun=False)
    titles = [[], []]
    for side, seen in zip(explorer._sides, titles, strict=True):
        title = side.figure.root.title
        title.on_change("text", lambda attr, old, new, seen=seen: seen.append(new))
    second = explorer._sides[1].next_kernel

    def later(*args, **kwargs):
        time.sleep(0.15)  # parts that follow each other faster are not all shown
        return second(*args, **kwargs)

    explorer._sides[1].next_kernel = later
    explorer.run()
    explorer.wait(30)
    assert all("after layer 1" in seen[0] and "exact" in seen[-1] for seen in titles)
    progress = Progress()
    parts = [explorer._progress_of(side, progress) for side in explorer._sides]
    for part, fraction, name in zip(parts, (0.25, 0.75), ("first", "second"), strict=True):
        part.update(1, 2, "layer 1")
        assert (progress.fraction, progress.text) == (fraction, f"{name}: layer 1")
    good, texts = (explorer.result, explorer.against_result), [seen[-1] for seen in titles]
    started, release, kernel = threading.Event(), threading.Event(), explorer._sides[1].kernel

    def slow(domain, *, on_layer=None, progress=None, cancel=None):
        started.set()
        release.wait(10)
        cancel.checkpoint()
        return kernel(domain, on_layer=on_layer, progress=progress, cancel=cancel)

    explorer._sides[1].next_kernel = slow
    explorer.run()
    assert started.wait(10)
    explorer.cancel()
    release.set()
    explorer.wait(30)
    assert explorer.status == "cancelled" and (explorer.result, explorer.against_result) == good
    assert [side.figure.root.title.text for side in explorer._sides] == texts
    tap(explorer, 0.0, 0.0)
    assert explorer.against_region == located(good[1], 0.0, 0.0)


@pytest.mark.parametrize("against", [None, mlp(2, 12, 3, seed=2)])
def test_a_drawing_that_comes_between_computing_and_showing_takes_nothing_away(make, against):
    explorer = make(mlp(2, 8, 8, 1), BOX, against=against)
    explorer.wait(30)
    compute = explorer._compute

    def compute_then_draw(settings, **kwargs):
        found = compute(settings, **{**kwargs, "publish": lambda part: None})
        explorer.color_by = "area"
        explorer._painter.wait(30)
        return found

    explorer._compute = compute_then_draw
    before = explorer.result
    explorer.run()
    explorer.wait(30)
    assert explorer.result is not before
    for side, found in zip(explorer._sides, (explorer.result, explorer.against_result), strict=False):
        assert side.prepared.result is found and side.scene.full is found


def test_files_hold_both_and_the_state_makes_both_again(pair, tmp_path):
    pair.region, pair.color_by = 4, "area"
    pair.against_region = 7
    pair.wait(30)
    pair.export_data(tmp_path / "both.npz")
    arrays = np.load(tmp_path / "both.npz")
    assert np.array_equal(arrays["against_areas"], pair.against_result.areas)
    assert np.array_equal(arrays["against_sample_region"], pair.against_result.locate(DATA))
    pair.export_data(tmp_path / "both.csv")
    rows = list(csv.DictReader((tmp_path / "both.csv").read_text().splitlines()))
    counts = [pair.result.n_regions, pair.against_result.n_regions]
    assert [sum(row["network"] == name for row in rows) for name in NAMES] == counts
    assert rows[0]["offsets_2"] == "nan" and rows[-1]["offsets_2"] != "nan"
    for name in ("both.html", "both.png", "both.svg"):
        getattr(pair, f"export_{name[5:]}")(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 10_000
    page = (tmp_path / "both.html").read_text()
    assert all(
        json.dumps(f"{n}: {c} regions, exact")[1:-1] in page for n, c in zip(("without",), counts[1:], strict=True)
    )
    state = json.loads(json.dumps(pair.state()))
    again = ng.RegionExplorer.from_state(state, mlp(2, 8, 8, 1), BOX, DATA, against=mlp(2, 12, 3, seed=2), names=NAMES)
    again.wait(30)
    try:
        assert (again.region, again.against_region, again.color_by) == (4, 7, "area")
    finally:
        again.close()


def test_a_step_of_training_stays_beside_the_others(make):
    steps = {step: mlp(2, 6, 1, seed=step) for step in (0, 10, 20)}
    explorer = make(mlp(2, 6, 1), BOX, checkpoints=steps, against=0)
    explorer.wait(30)
    kept = explorer.against_result
    assert kept.digest == ng.kernels.regions.partition(steps[0], BOX).digest
    assert [side.figure.root.title.text.split(":")[0] for side in explorer._sides] == ["chosen, step 20", "step 0"]
    tap(explorer, 0.3, 0.2)
    for step in (10, 0, 20):
        explorer.step = step
        explorer.wait(30)
        assert explorer.against_result is kept, "computed once"
        assert explorer.region == located(explorer.result, 0.3, 0.2)
        assert explorer.against_region == located(kept, 0.3, 0.2)
        first, second = (side.figure.values.limits for side in explorer._sides)
        assert first == second


def test_another_network_takes_the_place_of_the_second(make):
    other = mlp(2, 6, 1, seed=1)
    explorer = make(mlp(2, 6, 1), BOX, against=other, region=2, against_region=1)
    explorer.wait(30)
    assert (explorer.region, explorer.against_region) == (2, 1)
    with torch.no_grad():
        other[0].bias += 0.3
    before = explorer.against_result
    explorer.run()
    explorer.wait(30)
    assert explorer.against_result.digest != before.digest and explorer.region == 2
    assert explorer.against_region == located(explorer.against_result, *explorer._point[0])


def test_an_input_that_is_an_image_is_shown_at_the_pointer_and_at_the_picked_point(make):
    rng = np.random.default_rng(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), *mlp(3 * 8 * 8, 6, 2))
    data = rng.normal(size=(5, 3, 8, 8))
    explorer = make(net, ng.Slice.through(*data[:3]), data)
    explorer.wait(30)
    assert len(list(explorer.pane.root.select({"type": Plot}))) == 3
    assert explorer._inputs.by_browser and explorer._inputs.picked.root.title.text == "no point picked"
    explorer._on_pointer(at(explorer, MouseMove, 0.5, 0.25))
    tap(explorer, 0.5, 0.25)
    assert explorer.pointer == (0.5, 0.25) and explorer._panel.pointer.value == ""
    assert explorer._inputs.picked.root.title.text == "input at (0.5, 0.25)"
    explorer.region = None
    explorer.wait(30)
    assert explorer._inputs.picked.root.title.text == "no point picked"


def test_flat_inputs_are_shown_as_the_images_they_are(make):
    data = np.random.default_rng(0).normal(size=(5, 12))
    with pytest.raises(NetgeomError, match="12 values"):
        make(mlp(12, 6, 2), ng.Slice.through(*data[:3]), data, image_shape=(3, 5))
    explorer = make(mlp(12, 6, 2), ng.Slice.through(*data[:3]), data, image_shape=(3, 4), n_boundary_samples=4)
    explorer.wait(30)
    assert explorer._inputs.under.shape == (1, 3, 4) and explorer._boundary_inputs.is_image
    assert explorer.boundary_samples.shape[1:] == (12,)
    explorer = make(mlp(12, 6, 2), ng.Slice.through(*data[:3]), image_shape=(3, 4), region=1)
    explorer.wait(30)
    assert explorer._inputs.picked.root.title.text.startswith("input at"), "in the middle of the region given"


def test_an_image_too_large_for_the_browser_comes_from_python(make):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 65 * 65, 3), torch.nn.ReLU())
    a, b, c = np.random.default_rng(0).normal(size=(3, 3, 65, 65))
    explorer = make(net, ng.Slice.around(a, b, c, 1.0))
    explorer.wait(30)
    explorer._on_pointer(at(explorer, MouseMove, 0.5, 0.25))
    explorer.wait(30)
    assert explorer._inputs.under.root.title.text == "input at (0.5, 0.25)"
