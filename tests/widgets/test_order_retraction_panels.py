"""Tests of what stands below the order retraction plot: widgets/order_retraction_{folds,runs,...}.py."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bokeh.models import DataTable

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.order_retraction_tables import tile_names
from netgeom_widgets.recording import Trajectories

SQUARE = ([-2.0, -2.0], [2.0, 2.0])


def bistable(x: np.ndarray) -> np.ndarray:
    """Attracting points at x = -1 and 1, a saddle between them."""
    return np.stack([1.6 * x[:, 0] - 0.6 * x[:, 0] ** 3, 0.4 * x[:, 1]], axis=1)


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


@pytest.fixture
def make():
    made = []

    def make(*args, **kwargs):
        made.append(ng.OrderRetractionPlot(*args, **kwargs))
        return made[-1]

    yield make
    for plot in made:
        plot.close()


def fold(plot, key):
    return plot._shown_parts[key].fold


def table_of(plot, key) -> DataTable:
    return next(iter(fold(plot, key).pane.root.select({"type": DataTable})))


def test_the_table_of_runs_and_the_selection_are_one(make, runs):
    plot = make(runs, subdivisions=10, per_run={"<i>loss": np.arange(40.0)}, run_table=True, selection=[3])
    plot.wait(60)
    table = table_of(plot, "run_table")
    data = table.source.data
    assert data["id"][:2] == ["r0", "r1"] and list(data["q0"][:2]) == [0.0, 1.0]
    assert [column.title for column in table.columns][-1] == "&lt;i&gt;loss"
    assert data["start"] == tile_names(plot.result.node, plot.result.status, plot._picture.start_cells)
    assert table.source.selected.indices == [3]
    table.source.selected.indices = [5, 2]  # as a browser does
    plot.wait(60)
    assert plot.selection == (2, 5)
    plot.selection = ()
    plot.wait(60)
    assert table.source.selected.indices == []
    counts = [int(count) for count in re.findall(r"(\d+) in ", fold(plot, "run_table").words)]
    assert sum(counts) == 40 and max(counts) == max(data["start"].count(tile) for tile in set(data["start"]))
    assert plot._part_arrays()["run_table_start_tile"].tolist() == data["start"]
    assert len(plot._exported_parts()) == 1, "a table is in no picture"


def test_tiles_have_names_also_where_there_are_none():
    node, status = np.array([2, -1, -1, -1]), np.array([0, 1, 2, 3])
    assert tile_names(node, status, np.array([0, 1, 2, 3, -1])) == ["2", "undecided", "undecided", "leaves", "outside"]


def test_the_runs_are_shown_up_to_a_step(make, runs):
    plot = make(runs, subdivisions=8, paths=True)
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
