"""Tests of the panels of the region explorer: statistics, boundary samples, curves over training."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from bokeh.events import Tap

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_training import training_row
from netgeom_widgets.kernels.regions import local_complexity, partition
from tests.networks import mlp
from tests.widgets.waiting import wait_for

BOX = ng.Slice.box(-2.0, 2.0, -1.5, 1.5)
DATA = np.random.default_rng(0).uniform((-2, -1.5), (2, 1.5), (60, 2))
STEPS = (0, 10, 20, 40, 80)
NETS = [mlp(2, 6, 6, 1, seed=seed) for seed in range(5)]
SOURCE = dict(zip(STEPS, NETS, strict=True))


@pytest.fixture
def make():
    made = []

    def make(model=NETS[0], domain=BOX, data=DATA, **kwargs):
        made.append(ng.RegionExplorer(model, domain, data, **kwargs))
        made[-1].wait(30)
        return made[-1]

    yield make
    for explorer in made:
        explorer.close()


def table_rows(explorer):
    return explorer._table.root.source


# ---- statistics


def test_nothing_is_computed_for_a_closed_panel(make, monkeypatch):
    explorer = make()
    assert not explorer.statistics and not explorer._statistics_fold.is_filled
    explorer._statistics_fold._button.value = True  # what a click does
    explorer.wait(30)
    assert explorer.statistics and explorer._statistics_fold._body.layout.display is None
    drawn = explorer._statistics_of
    assert drawn[0][0] is explorer.result
    explorer._statistics_fold._button.value = False
    monkeypatch.setattr("netgeom_widgets.widgets.region_statistics.summary_html", None)  # would fail
    explorer.run()
    explorer.wait(30)
    assert not explorer.statistics and explorer._statistics_of is drawn
    assert explorer._statistics_fold._body.layout.display == "none"


def test_histograms_table_and_summary_are_those_of_the_result(make):
    explorer = make(statistics=True)
    found = explorer.result
    area = explorer._histograms.histograms[0].root.renderers[0].data_source.data
    assert sum(area["top"]) == found.n_regions
    assert list(explorer._histograms.layers.root.renderers[0].data_source.data["top"]) == list(found.region_counts)
    rows = table_rows(explorer).data
    assert np.array_equal(rows["area"], found.areas)
    assert np.array_equal(rows["samples"], np.bincount(found.locate(DATA), minlength=found.n_regions))
    assert f"<td>{found.n_regions}</td>" in explorer._summary_text.value


def test_picked_regions_go_both_ways(make):
    explorer = make(statistics=True)
    explorer.region = 5
    explorer.wait(30)
    assert table_rows(explorer).selected.indices == [5]
    assert f"Area, picked {explorer.result.areas[5]:.4g}" in explorer._histograms.histograms[0].root.title.text
    events = [
        {"kind": "ModelChanged", "model": {"id": table_rows(explorer).selected.id}, "attr": "indices", "new": [9]}
    ]
    explorer._table_pane._receive(None, {"t": "events", "view": "v", "events": events}, [])
    explorer.wait(30)
    assert explorer.region == 9 and explorer._figure.canvas._outlines[0].data["xs"]
    explorer.region = None
    explorer.wait(30)
    assert table_rows(explorer).selected.indices == []
    assert "picked" not in explorer._histograms.histograms[0].root.title.text


def test_a_new_result_is_shown_with_its_own_statistics(make):
    explorer = make(checkpoints=SOURCE, statistics=True)
    explorer.region = 3
    for step in (0, 20):
        explorer.step = step
        explorer.wait(30)
        assert len(table_rows(explorer).data["region"]) == explorer.result.n_regions
        assert table_rows(explorer).selected.indices == [explorer.region]


def test_two_networks_are_outlined_over_each_other(make):
    explorer = make(against=NETS[3], names=("mine", "<b>"), statistics=True)
    plot = explorer._histograms.histograms[2].root
    lines = [r.data_source.data for r in plot.renderers if type(r.glyph).__name__ == "Line" and r.visible]
    sides = np.diff(explorer.against_result.ring_offsets)
    at = np.flatnonzero(np.asarray(lines[1]["x"]) == 3.5)[-1]
    assert len(lines) == 2 and np.isclose(lines[1]["y"][at], 100 * np.mean(sides == 4))
    assert "<b>mine</b>" in explorer._summary_text.value and "<b>&lt;b&gt;</b>" in explorer._summary_text.value
    assert len(table_rows(explorer).data["region"]) == explorer.result.n_regions
    explorer.region = 2
    explorer.wait(30)
    assert table_rows(explorer).selected.indices == [2]


# ---- boundary samples


def test_boundary_samples_are_inputs_on_the_boundary(make):
    explorer = make(NETS[4], n_boundary_samples=25)
    samples = explorer.boundary_samples
    assert samples.shape == (25, 2)
    with torch.no_grad():
        outputs = NETS[4](torch.tensor(samples, dtype=torch.float32))
    assert outputs.abs().max() < 1e-5
    marks = explorer._boundary_marks._source.data
    assert np.array_equal(np.column_stack([marks["x"], marks["y"]]), samples), "the slice is the plane itself"
    assert np.array_equal(explorer._boundary_inputs.root.source.data["x1"], samples[:, 1])
    explorer.n_boundary_samples = 3
    explorer.wait(30)
    assert len(explorer._boundary_marks._source.data["x"]) == 3
    assert np.array_equal(explorer.boundary_samples, samples[:3]) or explorer.boundary_samples.shape == (3, 2)
    explorer.n_boundary_samples = 0
    explorer.wait(30)
    assert explorer._boundary_box.layout.display == "none" and not len(explorer._boundary_marks._source.data["x"])
    assert explorer.boundary_samples.shape == (0, 2)


def test_image_inputs_without_a_boundary_and_exports(make, tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), *mlp(64, 6, 3, seed=2))
    images = np.random.default_rng(0).random((3, 1, 8, 8))
    explorer = make(net, ng.Slice.through(*images), images, n_boundary_samples=4, statistics=True)
    explorer.export_data(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as saved:
        assert saved["boundary_samples"].shape == (len(explorer.boundary_samples), 1, 8, 8)
        assert np.array_equal(explorer.domain.to_input(saved["boundary_sample_points"]), saved["boundary_samples"])
    for suffix in ("html", "png"):
        getattr(explorer, f"export_{suffix}")(tmp_path / f"all.{suffix}")
    assert "Vertex eccentricity" in (tmp_path / "all.html").read_text()
    net[-1].weight.data.zero_()
    net[-1].bias.data = torch.tensor([2.0, 1.0, 0.0])
    explorer.run()
    explorer.wait(30)
    assert explorer.boundary_samples.shape == (0, 1, 8, 8)
    assert "no decision boundary" in explorer._boundary_words.value


def test_flat_inputs_read_as_images_are_shown_as_these(make):
    images = np.random.default_rng(0).random((3, 64))
    explorer = make(mlp(64, 6, 3, seed=2), ng.Slice.through(*images), None, image_shape=(8, 8), n_boundary_samples=3)
    assert explorer._boundary_inputs.is_image and explorer.boundary_samples.shape[1:] == (64,)
    assert len(explorer._boundary_inputs.root.renderers[0].data_source.data["image"]) == len(explorer.boundary_samples)


@pytest.mark.parametrize("wrong", [-1, 10_001, "many", 2.5])
def test_a_number_of_samples_that_is_none_is_refused(make, wrong):
    explorer = make(n_boundary_samples=2)
    with pytest.raises(NetgeomError):
        explorer.n_boundary_samples = wrong
    assert explorer.n_boundary_samples == 2


# ---- curves


def shown_rows(explorer):
    source = explorer._curve_figure._plots["regions"].root.renderers[0].data_source
    return [None if np.isnan(y) else int(y) for y in source.data["y"]]


def test_curves_hold_every_step_and_a_click_goes_there(make):
    explorer = make(checkpoints=SOURCE, curves=True)
    expected = [training_row(partition(net, BOX)) for net in NETS]
    for step, row in zip(STEPS, expected, strict=True):
        assert {key: explorer._rows[step][key] for key in row} == row
    assert shown_rows(explorer) == [row["regions"] for row in expected]
    assert explorer._curve_words.value == "5 of 5 steps computed"
    plot = explorer._curve_figure._plots["boundary_length"].root
    plot._trigger_event(Tap(plot, sx=1, sy=1, x=1.2, y=0.0))
    explorer.wait(30)
    assert explorer.step == 10 and plot.xaxis[0].axis_label == "step (dashed line: 10)"


def test_steps_that_were_shown_count_without_computing(make):
    explorer = make(checkpoints=SOURCE)
    explorer.step = 20
    explorer.wait(30)
    assert sorted(explorer._rows) == [20, 80] and not explorer._curves_fold.is_filled
    asked, row_at = [], explorer._row_at
    explorer._row_at = lambda step, *args, **kwargs: asked.append(step) or row_at(step, *args, **kwargs)
    explorer.curves = True
    explorer.wait(30)
    assert asked == [0, 10, 40], "the end first, then the middle of the widest gap"
    assert sorted(explorer._rows) == list(STEPS)


def test_the_local_complexity_is_that_of_points_on_the_slice(make):
    explorer = make(checkpoints=SOURCE, curves=True)
    points = BOX.to_input(BOX.sample(100))
    for step, net in zip(STEPS, NETS, strict=True):
        assert explorer._rows[step]["local_complexity"] == local_complexity(net, points, 0.2, 4).mean()
    plot = explorer._curve_figure._plots["local_complexity"].root
    assert plot.visible and plot.title.text == "Local complexity, sampled (100 points, 4 samples 0.2 from each)"


def test_a_step_that_fails_is_said_and_the_others_are_there(make):
    broken = mlp(2, 6, 6, 1, seed=7)
    broken[0].bias.data[0] = float("nan")
    explorer = make(checkpoints={**SOURCE, 20: broken}, curves=True)
    assert sorted(explorer._rows) == [0, 10, 40, 80]
    assert shown_rows(explorer)[2] is None
    assert "4 of 5 steps computed; step 20 failed" in explorer._curve_words.value


def test_other_limits_and_new_weights_start_again(make):
    explorer = make(checkpoints=SOURCE, curves=True)
    before = dict(explorer._rows)
    explorer.tolerance = 1e-9
    explorer.run()
    explorer.wait(30)
    assert sorted(explorer._rows) == list(STEPS) and explorer._curves_of[1] == 1e-9
    assert {step: row["regions"] for step, row in before.items()} == {
        step: row["regions"] for step, row in explorer._rows.items()
    }


def test_curves_stop_and_go_on(make, monkeypatch):
    explorer = make(checkpoints=SOURCE)
    monkeypatch.setattr("netgeom_widgets.widgets.region_curves._PAUSE", 0.01)
    busy = [True]
    monkeypatch.setattr(explorer._worker, "is_busy", lambda key=None: busy[0])
    explorer.curves = True
    wait_for(lambda: explorer._curves_fold.is_filled and explorer._curve_button.icon == "stop")
    explorer._stop_or_go_on()
    wait_for(lambda: "stopped" in explorer._curve_words.value)
    assert list(explorer._rows) == [80]
    busy[0] = False
    explorer._stop_or_go_on()
    explorer.wait(30)
    assert explorer._curve_button.disabled


def test_without_checkpoints_there_are_no_curves(make):
    explorer = make()
    assert explorer._curves_fold.layout.display == "none"
    with pytest.raises(NetgeomError, match="no training steps"):
        explorer.curves = True
    with pytest.raises(NetgeomError, match="no training steps"):
        make(curves=True)


# ---- all


def test_state_makes_the_same_panels_again(make):
    explorer = make(checkpoints=SOURCE, statistics=True, curves=True, n_boundary_samples=4)
    state = json.loads(json.dumps(explorer.state()))
    again = ng.RegionExplorer.from_state(state, NETS[0], BOX, DATA, checkpoints=SOURCE)
    again.wait(30)
    assert (again.statistics, again.curves, again.n_boundary_samples) == (True, True, 4)
    assert np.array_equal(again.boundary_samples, explorer.boundary_samples)
    assert again._rows == explorer._rows and again._statistics_of[0][0] is again.result
    again.close()
    assert not again._statistics_of


def test_all_follow_the_slice(make):
    explorer = make(checkpoints=SOURCE, statistics=True, curves=True, n_boundary_samples=4)
    half = ng.Slice.box(-2.0, 0.5, -1.5, 1.5)
    explorer.domain = half
    explorer.wait(30)
    counts = [partition(net, half).n_regions for net in NETS]
    assert [explorer._rows[step]["regions"] for step in STEPS] == counts == shown_rows(explorer)
    assert len(table_rows(explorer).data["region"]) == counts[-1]
    assert (explorer.boundary_samples[:, 0] <= 0.5).all()
