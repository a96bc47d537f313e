"""Tests of what stands below the order retraction plot: widgets/order_retraction_{folds,runs,...}.py."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bokeh.events import Tap
from bokeh.models import DataTable

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction import CubicalGrid, morse_frequencies, persistence, tile_statistics
from netgeom_widgets.recording import Trajectories
from tests.widgets.bistable import SQUARE, bistable
from tests.widgets.conftest import maker


def bistable_runs(n: int = 40, times: int = 6) -> Trajectories:
    """Orbits of it."""
    rng = np.random.default_rng(0)
    at = [rng.uniform(-1.6, 1.6, (n, 2))]
    for _ in range(times - 1):
        at.append(bistable(at[-1]) + rng.normal(0, 0.01, (n, 2)))
    return Trajectories(np.stack(at, axis=1), tuple(f"r{i}" for i in range(n)), np.arange(times) * 10, ("u", "v"))


@pytest.fixture(scope="module")
def runs():
    return bistable_runs()


make = maker(ng.OrderRetractionPlot)


def fold(plot, key):
    return plot._shown_parts[key].fold


def button(plot, key, text):
    return next(one for one in walk(fold(plot, key)) if getattr(one, "description", "") == text)


def walk(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def table_of(plot, key) -> DataTable:
    return next(iter(fold(plot, key).pane.root.select({"type": DataTable})))


def test_the_table_of_runs_and_the_selection_are_one(make, runs):
    plot = make(
        runs,
        subdivisions=10,
        per_run={"<i>loss": np.arange(40.0)},
        labels=np.arange(40) % 2,
        run_table=True,
        robustness=False,
        selection=[3],
    )
    plot.wait(60)
    table = table_of(plot, "run_table")
    data = table.source.data
    assert data["id"][:2] == ["r0, 0", "r1, 1"] and list(data["q0"][:2]) == [0.0, 1.0]
    assert [column.title for column in table.columns][-1] == "&lt;i&gt;loss"
    nodes = plot._picture.start_nodes
    assert data["start"] == [f"node {node}" if node >= 0 else "reaches no recurrent cell" for node in nodes]
    assert table.source.selected.indices == [3]
    table.source.selected.indices = [5, 2]  # as a browser does
    plot.wait(60)
    assert plot.selection == (2, 5)
    plot.selection = ()
    plot.wait(60)
    assert table.source.selected.indices == []
    counts = [int(count) for count in re.findall(r"(?:node \d+|cell): (\d+)", fold(plot, "run_table").words)]
    assert sum(counts) == 40 and max(counts) == max(data["start"].count(tile) for tile in set(data["start"]))
    assert plot._part_arrays()["run_table_start_tile"].tolist() == data["start"]
    assert len(plot._exported_parts()) == 1, "a table is in no picture"


def test_the_runs_are_shown_up_to_a_step(make, runs):
    plot = make(runs, subdivisions=8, paths=True, robustness=False)
    plot.wait(60)
    ends = plot._figure.plane.runs.ends.data
    assert plot.step == 50 and plot.steps == tuple(range(0, 60, 10))
    last = runs.values[ends["id"], -1]
    assert np.allclose(np.column_stack([ends["x"], ends["y"]]), last)
    plot.step = 20
    plot.wait(60)
    ends = plot._figure.plane.runs.ends.data
    assert np.allclose(np.column_stack([ends["x"], ends["y"]]), runs.values[ends["id"], 2])
    with pytest.raises(NetgeomError, match="not recorded"):
        plot.step = 21


def test_a_map_has_neither_runs_nor_steps(make):
    with pytest.raises(NetgeomError, match="nothing to show for run_table"):
        make(bistable, SQUARE, run_table=True)
    plot = make(bistable, SQUARE, subdivisions=6)
    plot.wait(60)
    assert plot.steps == () and "run_table" not in plot._shown_parts


def test_the_graph_of_a_fit_never_stands_without_how_often_it_comes_up(make, runs):
    plot = make(runs, subdivisions=9, resamplings=8)
    plot.wait(60)
    pairs, grid = plot._picture.space.pairs, plot._picture.grid
    wanted = morse_frequencies(
        pairs.starts, pairs.ends, grid, samples=8, run_ids=pairs.ids, fit=plot.map.options, method="corners"
    )
    found = plot._shown_parts["robustness"].found
    assert found.graph.tolist() == wanted.graph.tolist() and np.array_equal(found.recurrent, wanted.recurrent)
    count = wanted.graphs[wanted.graph_of_fit].count
    caption = plot._figure.graph._caption.text.replace("\n", " ")
    assert f"This Morse graph came up in {100 * count / 8:.3g} % of 8 resamplings." in caption
    assert f"in {count} of 8 resamplings" in fold(plot, "robustness").words
    listed = next(
        one for one in walk(fold(plot, "robustness")) if "the rarest first" in (getattr(one, "tooltip", None) or "")
    )
    support = wanted.support.min()  # the grid is as coarse: nodes are those of the fit
    assert f"node {wanted.support.argmin()}: something recurs there in {100 * support:.3g} %" in listed.options[0][0]
    listed.index = 1
    plot.wait(60)
    assert plot.node == listed.options[1][1]
    plot.rule = "exact"  # changes neither map nor graph
    plot.wait(60)
    assert plot._shown_parts["robustness"].found is found and "resamplings" in plot._figure.graph._caption.text
    button(plot, "robustness", "30 more").click()
    plot.wait(60)
    assert plot.resamplings == 38 and len(plot._shown_parts["robustness"].found.graph) == 38
    plot.model = "knn"
    plot.resampling = "posterior"
    plot.wait(60)
    assert "leave no other maps open" in fold(plot, "robustness").words
    assert plot._part_arrays() == {}


def test_a_map_has_nothing_to_resample(make):
    plot = make(bistable, SQUARE, subdivisions=6)
    plot.wait(60)
    assert "no data to resample" in fold(plot, "robustness").words and fold(plot, "robustness").pane is None


def test_drawings_that_have_no_map_do_not_spoil_the_plot(make):
    plot = make(bistable_runs(7, 3), subdivisions=6, model="knn")
    plot.wait(60)  # raises nothing
    assert "drawn anew cannot be had" in fold(plot, "robustness").words and plot.result is not None


def test_sets_that_do_not_last_are_collapsed(make):
    plot = make(bistable, SQUARE, subdivisions=8, padding=True, persistence=True)
    plot.wait(60)
    wanted = persistence(bistable, CubicalGrid(*SQUARE, 8), range(1, 9), padding=True)
    lives = plot._shown_parts["persistence"].found
    assert np.array_equal(lives.tracks.matrix, wanted.matrix) and lives.found.tolist() == wanted.tracks().tolist()
    bars = fold(plot, "persistence").pane.root
    part = plot._shown_parts["persistence"].part
    row = next(at for at, track in enumerate(part._figure.shown.tolist()) if track == wanted.tracks()[1])
    bars._trigger_event(Tap(bars, sx=1, sy=1, x=7.0, y=float(row)))
    plot.wait(60)
    assert plot.node == 1
    button(plot, "persistence", "Collapse the short-lived").click()
    plot.wait(60)
    short = np.flatnonzero(wanted.lifetimes[wanted.tracks()] < 3)
    assert 0 < len(short) < wanted.n_nodes[-1] and plot.collapsed == tuple(short.tolist())
    assert plot.decomposition.n_nodes == wanted.n_nodes[-1] - len(short)
    plot.fewer_levels = 13
    plot.collapse_short_lived()
    assert "none is collapsed" in fold(plot, "persistence").words and plot.collapsed == tuple(short.tolist())


def test_runs_are_compared_by_tile_and_a_row_selects_them(make, runs):
    loss = runs.values[:, 0, 1]
    plot = make(runs, subdivisions=9, per_run={"side": runs.values[:, -1, 0] > 0, "loss": loss}, statistics=True)
    plot.wait(60)
    wanted = tile_statistics(plot.result, runs.values[:, 0], {"side": runs.values[:, -1, 0] > 0, "loss": loss})
    found = plot._shown_parts["statistics"].found
    assert found.tests == wanted.tests and found.tests["side"].p < 0.001
    table = table_of(plot, "statistics")
    assert list(table.source.data["tile"]) == list(wanted.names)
    assert np.array_equal(table.source.data["median1"], wanted.summary["loss"]["median"], equal_nan=True)
    table.source.selected.indices = [1]
    plot.wait(60)
    assert plot.selection == tuple(wanted.runs(int(wanted.tiles[1])).tolist())
    assert "side: p < 0.001" in fold(plot, "statistics").words
    assert not any(isinstance(model, DataTable) for part in plot._exported_parts() for model in part.references())


def test_fit_and_coordinates_follow_the_dimensions(make, runs):
    plot = make(runs, subdivisions=8, map_check=True, spread=True, robustness=False, selection=[0])
    plot.wait(60)
    root = fold(plot, "map_check").pane.root
    assert len(root.children[0].children) == 2 and "Closure defect" in fold(plot, "map_check").words
    arrays = plot._part_arrays()
    without = plot.map.ends - plot.map.leave_one_run_out.errors
    assert np.array_equal(arrays["map_check_predicted_without_run"], without)
    assert np.array_equal(arrays["spread_deviation"], runs.values[:, -1].std(axis=0))
    assert np.allclose(arrays["map_check_deviation"], plot.map.std(plot._picture.grid.centres())[:, 0])
    assert plot._picture.space.names == ("u", "v")
    spread, at = fold(plot, "spread").pane.root, plot._shown_parts["spread"].part._figure.shown.tolist().index(0)
    spread._trigger_event(Tap(spread, sx=1, sy=1, x=float(at), y=0.1))  # shown already
    plot.wait(60)
    assert plot._picture.space.names == ("u", "v")
    plot.dims = 1
    plot.wait(60)
    spread._trigger_event(Tap(spread, sx=1, sy=1, x=float(1 - at), y=0.1))
    plot.wait(60)
    assert plot._picture.space.names == ("v",) and plot.axis_x == "v"
    assert len(root.children[0].children) == 1 and plot.map.dims == 1


def test_all_folds_survive_state_and_exports(make, runs, tmp_path):
    opened = {"run_table": True, "persistence": True, "statistics": True, "map_check": True, "spread": True}
    plot = make(runs, subdivisions=7, resamplings=4, per_run={"loss": runs.values[:, -1, 1]}, **opened)
    plot.wait(60)
    again = ng.OrderRetractionPlot.from_state(plot.state(), runs, per_run={"loss": runs.values[:, -1, 1]})
    again.wait(60)
    assert {name: getattr(again, name) for name in opened} == opened and again.resamplings == 4
    again.close()
    plot.export_html(tmp_path / "plot.html")
    plot.export_data(tmp_path / "plot.npz")
    page = (tmp_path / "plot.html").read_text()
    assert all(
        title in page for title in ("Morse graphs drawn again", "Morse nodes over levels", "Spread of each weight")
    )
    with np.load(tmp_path / "plot.npz") as arrays:
        assert {name.split("_")[0] for name in arrays.files} >= {"robustness", "persistence", "statistics", "spread"}
