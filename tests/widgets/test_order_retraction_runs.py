"""Tests of widgets/order_retraction.py on the runs of training, fed with what a browser would send."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import order_retraction as kernels
from tests.widgets.bistable import SQUARE, bistable
from tests.widgets.conftest import maker
from tests.widgets.test_order_retraction import table

RUNS, TIMES, WEIGHTS = 24, 4, 5


def trajectories(runs: int = RUNS, weights: int = WEIGHTS) -> kernels.Trajectories:
    rng = np.random.default_rng(0)
    values = [rng.uniform(-1.6, 1.6, (runs, weights))]
    for _ in range(TIMES - 1):
        at = values[-1]
        values.append(np.concatenate([bistable(at[:, :2]), 0.9 * at[:, 2:]], axis=1)[:, :weights])
    names = tuple(f"layer.weight[{i}]" for i in range(weights))
    return kernels.Trajectories(np.stack(values, 1), [f"run {i}" for i in range(runs)], np.arange(TIMES) * 10, names)


make = maker(ng.OrderRetractionPlot)


@pytest.fixture
def fitted(make):
    plot = make(
        trajectories(),
        robustness=False,
        subdivisions=12,
        per_run={"accuracy": np.linspace(0, 1, RUNS)},
        labels=["a", "b"] * (RUNS // 2),
    )
    plot.wait(60)
    return plot


def test_bad_runs_are_refused_before_anything_starts(make):
    runs = trajectories()
    refusals = [
        ((runs,), {"std": np.abs}, "has its own"),
        ((runs,), {"per_run": [1]}, "per_run is not understood"),
        ((runs,), {"per_run": {"a": [1]}}, "does not fit the runs"),
        ((runs,), {"labels": ["a"]}, "labels does not fit"),
        ((runs,), {"dims": 3, "grid": SQUARE}, "other dimensions"),
        ((runs,), {"coordinates": "by name", "axis_x": "none"}, "no such coordinate"),
        ((runs,), {"coordinates": "by name", "axis_x": "layer.weight[1]"}, "coordinate of its own"),
        ((runs,), {"start": 3}, "not recorded"),
        ((runs,), {"start": 20, "end": 10}, "ends after its start"),
        ((runs,), {"lag": 7}, "so far apart"),
        ((runs,), {"selection": [RUNS]}, "no such sample"),
        ((runs,), {"margin": np.inf}, "no margin"),
        ((runs,), {"subdivisions": 40}, "subdivisions has a bad value"),
        ((runs,), {"mood": 1}, "no such keyword"),
    ]
    for args, kwargs, words in refusals:
        with pytest.raises(NetgeomError, match=words):
            make(*args, **kwargs)


def test_a_map_is_fitted_to_the_runs(fitted):
    runs = fitted._source.trajectories
    chosen = kernels.choose_coordinates(runs, "largest_spread")
    pairs = runs.project(chosen).pairs()
    wanted = kernels.fit_map(pairs.starts, pairs.ends, run_ids=pairs.ids)
    points = np.random.default_rng(1).uniform(-1, 1, (9, 2))
    assert np.allclose(fitted.map(points), wanted(points)) and fitted.trajectories.names == chosen.names
    assert fitted._picture.starts.shape == (RUNS, 2) and "2 of 5 coordinates" in fitted._panel._badges.value
    before = fitted.map
    fitted.run()
    fitted.wait(60)
    assert fitted.map is not before, "Run fits anew"


def test_coordinates_models_and_steps(fitted):
    for changes in (
        {"coordinates": "pca_final"},
        {"coordinates": "by name", "axis_x": "layer.weight[0]", "axis_y": "layer.weight[1]"},
        {"dims": 1},
        {"dims": 3, "subdivisions": 12},
        {"dims": 2, "lag": 10},
        {"model": "knn"},
        {"model": "linear"},
        {"model": "doodl3", "lag": None, "start": 10, "end": 20},
        {"method": "confidence", "z": 0.3, "model": "gp"},
    ):
        fitted.settings = changes
        fitted.wait(60)
        assert fitted.status == "done" and fitted.decomposition.grid.dims == fitted.dims, changes
    assert np.array_equal(fitted._picture.starts[:, 0], fitted._source.trajectories.values[:, 1, 0])
    assert "±0.3 standard deviations" in fitted._panel._badges.value


def test_a_map_fitted_before_has_a_domain_and_says_its_doubts(make, fitted):
    plot = make(fitted.map, subdivisions=12)
    plot.wait(60)
    assert np.array_equal(plot.result.node, fitted.result.node) and plot.map is fitted.map
    assert "Closure defect" in plot._panel._badges.value


def test_a_coordinate_chosen_twice_changes_places(make):
    plot = make(trajectories(), coordinates="by name", subdivisions=6, robustness=False)
    plot.wait(60)
    x, y, third = plot.axis_x, plot.axis_y, plot.axis_z
    plot._controls["axis_x"].widget.value = y
    plot.wait(60)
    assert (plot.axis_x, plot.axis_y, plot.axis_z) == (y, x, third) and plot.trajectories.names == (y, x)
    plot._controls["axis_y"].widget.value = third
    plot.dims = 3
    plot.wait(60)
    assert plot.trajectories.names == (y, third, x)
    with pytest.raises(NetgeomError, match="coordinate of its own"):
        plot.axis_x = third


def test_runs_are_selected_by_lasso_and_by_tile(fitted):
    source = fitted._figure.plane.runs.starts
    wanted = tuple(sorted(int(source.data["id"][i]) for i in (2, 0)))
    source.selected.indices = [2, 0]
    fitted.wait(60)
    assert fitted.selection == wanted
    assert fitted._panel._selection.words == "2 runs selected"
    fitted.grid_cell = int(fitted._picture.start_cells[5])
    fitted._take_runs()
    fitted.wait(60)
    assert 5 in fitted.selection and "run 5, b" in fitted._panel._told.value
    lower, upper = fitted.decomposition.grid.boxes([fitted.grid_cell])
    fitted.margin = 1.0
    fitted.wait(60)
    at = fitted.decomposition.grid.locate((lower + upper) / 2)
    assert fitted.grid_cell == at[0], "the same place of another domain"
    fitted.points = False
    fitted.wait(60)
    assert not len(fitted._figure.plane.runs.starts.data["x"])


def test_a_recording_with_several_runs(make, tmp_path):
    runs = trajectories(6)
    for run, values in zip(runs.run_ids, runs.values, strict=True):
        with ng.Recorder(
            net := torch.nn.Linear(4, 1), torch.zeros(2, 4), path=tmp_path / "runs", parameters=True, run_id=run
        ) as recorder:
            for step, row in enumerate(values[1:], 1):
                torch.nn.utils.vector_to_parameters(torch.tensor(row, dtype=torch.float32), net.parameters())
                recorder.step(step, loss=float(row[0]))
    plot = make(tmp_path / "runs", subdivisions=8, robustness=False)
    plot.wait(60)
    assert plot._source.run_ids == tuple(runs.run_ids) and plot._source.most_dims == 5
    assert np.allclose(plot._source.per_run["loss"], runs.values[:, -1, 0])
    assert not any("bias" in name for name in plot.trajectories.names)
    ng.record_arrays(tmp_path / "other", [0, 1], [0, 1], np.zeros((2, 2, 1)))
    with pytest.raises(NetgeomError, match="no parameters"):
        make(tmp_path / "other")


def test_linked_plots_share_the_runs(make, fitted):
    other = make(trajectories(), coordinates="pca_final", subdivisions=8, robustness=False)
    link = ng.link(fitted, other)
    fitted.selection = (1, 4)
    assert other.selection == (1, 4)
    link.unlink()
    with pytest.raises(NetgeomError, match="different samples"):
        ng.link(fitted, make(trajectories(6), subdivisions=8, robustness=False))


def test_the_runs_are_exported(fitted, tmp_path):
    fitted.export_data(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as found:
        assert np.array_equal(found["node"], fitted.result.node) and found["run_id"][3] == "run 3"
        assert found["quantity_accuracy"][-1] == 1 and found["runs"].shape == (RUNS, TIMES, 2)
    fitted.export_data(tmp_path / "a.csv")
    rows = table(tmp_path / "a.csv")
    assert len(rows) == RUNS and rows[1]["label"] == "b"
    assert rows[4]["start_node"] == str(fitted._picture.start_nodes[4])
