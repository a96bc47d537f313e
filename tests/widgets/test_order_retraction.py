"""Tests of widgets/order_retraction.py and its parts, fed with what a browser would send."""

from __future__ import annotations

import csv
import gc
import json
import threading
from functools import partial

import numpy as np
import pytest
import torch
from bokeh.events import MouseLeave, MouseMove, Tap
from ipywidgets.widgets.widget import _instances

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import order_retraction as kernels
from tests.widgets import waiting
from tests.widgets.bistable import SQUARE, bistable
from tests.widgets.conftest import maker

wait_for = partial(waiting.wait_for, seconds=20)


make = maker(ng.OrderRetractionPlot)


@pytest.fixture
def plot(make):
    plot = make(bistable, SQUARE, subdivisions=12)
    plot.wait(60)
    return plot


def expected(n: int, rule: str = "join", **options):
    images = kernels.box_images(bistable, kernels.CubicalGrid(*SQUARE, n), **options)
    return kernels.order_retraction(kernels.morse_decomposition(images), rule=rule)


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def tap(plot, part, x, y):
    root = getattr(plot._figure, part).root
    root._trigger_event(Tap(root, sx=1, sy=1, x=x, y=y))
    plot.wait(60)


# ---- construction and runs


def test_the_result_is_the_kernels(plot):
    wanted = expected(12)
    assert np.array_equal(plot.result.node, wanted.node) and np.array_equal(plot.result.status, wanted.status)
    assert plot.decomposition is plot.result.decomposition and plot.map is bistable and plot.trajectories is None
    k = wanted.decomposition.n_nodes
    assert repr(plot) == f"<OrderRetractionPlot done 4,096 cells, {k} Morse nodes, order retraction found>"
    assert len(plot._panel._nodes.options) == k


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"padding": True}, {"padding": True}),
        ({"method": "centre"}, {"method": "centre"}),
        (
            {"method": "confidence", "z": 0.5},
            {"method": "confidence", "z": 0.5, "std": lambda x: np.full(x.shape, 0.1)},
        ),
    ],
)
def test_settings_are_those_of_the_kernel(make, settings, options):
    plot = make(bistable, SQUARE, subdivisions=10, std=lambda x: np.full(x.shape, 0.1), **settings)
    plot.wait(60)
    assert np.array_equal(plot.result.node, expected(10, **options).node)


def test_a_module_is_copied_when_a_run_starts(make):
    net = torch.nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(0.5 * torch.eye(2))
        net.bias.zero_()
    plot = make(net, SQUARE, subdivisions=8)
    with torch.no_grad():
        net.weight.mul_(8)  # a source: all but the origin leaves
    plot.wait(60)
    assert plot.decomposition.n_nodes and not plot.result.may_leave.any() and plot.map is net
    plot.run()
    plot.wait(60)
    assert plot.result.may_leave.any(), "the module as it is now"


def test_a_first_picture_comes_before_a_fine_one(make):
    plot = make(bistable, SQUARE, subdivisions=17, autorun=False)
    drawn = []
    draw = plot._draw
    plot._draw = lambda result, settings, final: (
        drawn.append((result.grid.n_cells, final)),
        draw(result, settings, final=final),
    )
    plot.run()
    plot.wait(60)
    assert drawn[0] == (1 << 10, False) and drawn[-1] == (1 << 17, True)


def test_going_back_computes_nothing(plot, monkeypatch):
    before = plot.result
    plot.subdivisions = 8
    plot.wait(60)
    assert plot.result is not before
    monkeypatch.setattr(kernels, "box_images", None)
    plot.rule = "join"
    plot.subdivisions = 12
    plot.wait(60)
    assert plot.result is before


def test_cancel_keeps_the_last_picture(plot):
    before = plot.result
    plot.subdivisions = 22
    wait_for(lambda: plot.status == "running" and plot.progress > 0)
    plot.cancel()
    plot.wait(60)
    assert plot.status == "cancelled" and plot.result is before and plot._shown[0].grid.n_cells == 1 << 12


def test_bad_input_is_refused_before_anything_starts(make):
    before = threading.active_count(), len(_instances)
    refusals = [
        ((bistable,), {}, "needs its domain"),
        ((bistable, SQUARE), {"method": "confidence"}, "how uncertain"),
        ((bistable, ([0, 0], [0, 1])), {}, "no extent"),
        ((bistable, 3), {}, "grid is not understood"),
        ((bistable, ([0.0] * 4, [1.0] * 4)), {}, "no picture"),
        ((lambda x: x[:, :1], SQUARE), {}, "another shape"),
        ((lambda x: x / 0 * np.nan, SQUARE), {}, "not finite|does not take points"),
        ((lambda x: {}["no"], SQUARE), {}, "does not take points"),
        ((5, SQUARE), {}, "not understood"),
    ]
    for args, kwargs, words in refusals:
        with pytest.raises(NetgeomError, match=words), np.errstate(all="ignore"):
            make(*args, **kwargs)
    gc.collect()
    assert (threading.active_count(), len(_instances)) == before


def test_an_error_of_the_kernel_is_raised_and_the_picture_stays(make):
    plot = make(lambda x: np.where(np.hypot(x[:, :1], x[:, 1:]) < 1.99, 0.5 * x, np.nan) if len(x) > 2 else x, SQUARE)
    with pytest.raises(NetgeomError, match="not finite"):
        plot.wait(60)
    assert plot.status == "error" and plot.result is None and "not finite" in plot._frame.error.value


# ---- states in words


def test_states_are_said(make):
    plot = make(lambda x: x + 3, SQUARE, subdivisions=8)
    plot.wait(60)
    assert plot.decomposition.n_nodes == 0 and "empty Morse graph" in repr(plot)
    assert "Morse graph is empty" in plot._panel._badges.value and "100 % of the cells" in plot._panel._badges.value
    identity = make(lambda x: x, SQUARE, subdivisions=8)
    identity.wait(60)
    assert identity.decomposition.n_nodes == 1 and identity.status == "done"
    one = make(lambda x: 0.3 * x + 0.011, SQUARE, subdivisions=6)
    one.wait(60)
    assert "single cell" in one._panel._badges.value


def test_nodes_are_collapsed_and_come_back(plot):
    k, sizes = plot.decomposition.n_nodes, plot.decomposition.sizes
    top = k - 1
    plot.node = top
    plot._collapse_node()
    plot.wait(60)
    assert plot.collapsed == (top,) and plot.decomposition.n_nodes == k - 1 and "collapsed" in plot._panel._badges.value
    plot.subdivisions = 11
    plot.wait(60)
    assert plot.collapsed == (), "another grid has other nodes"
    plot.subdivisions = 12
    plot.min_cells = int(sizes.max())
    plot.wait(60)
    assert set(plot.decomposition.sizes) == {int(sizes.max())}
    plot.min_cells, plot.collapsed = 1, (k,)
    with pytest.raises(NetgeomError, match="no such Morse nodes"):
        plot.wait(60)


# ---- picking


def test_a_click_picks_a_cell_and_shows_what_lies_ahead(plot):
    tap(plot, "plane", 1.1, 0.3)
    cell = int(plot.result.decomposition.grid.locate(np.array([[1.1, 0.3]]))[0])
    assert plot.grid_cell == cell and plot.node is None and plot.ahead.cell == cell
    reached = plot.ahead.reached
    assert np.array_equal(reached, kernels.reachable_cells(plot.decomposition, [cell])) and reached[cell]
    assert np.allclose(plot.ahead.orbit[-1], [1, 0], atol=0.02)
    assert f"Cell {cell:,}" in plot._panel._told.value and "cells, itself included" in plot._panel._told.value
    plot.subdivisions = 10
    plot.wait(60)
    lower, upper = plot.decomposition.grid.boxes([plot.grid_cell])
    assert np.all(lower[0] <= [1.1, 0.3]) and np.all(upper[0] >= [1.1, 0.3]), "the same place on another grid"
    tap(plot, "plane", 1.1, 0.3)
    assert plot.grid_cell is None and plot.ahead is None


def test_nodes_are_picked_in_the_graph_by_keyboard_and_by_assignment(plot):
    shown = plot._figure.graph._nodes.data
    tap(plot, "graph", float(shown["x"][1]), float(shown["y"][1]))
    assert plot.node == int(shown["id"][1]) and f"Node {plot.node}" in plot._panel._facts.value
    plot._step_node(1)
    plot.grid_cell = 7
    plot.wait(60)
    assert plot.node is None and plot.grid_cell == 7
    plot._step_node(-1)
    k = plot.decomposition.n_nodes
    assert plot.node == k - 1 and plot.grid_cell is None
    plot.node = np.int32(1)
    plot.grid_cell = plot.decomposition.grid.locate([[0.5, 0.5]])[0]
    plot.node = k - 1
    assert type(plot.node) is int
    with pytest.raises(NetgeomError, match="no such Morse node"):
        plot.node = k
    with pytest.raises(NetgeomError, match="a whole number from 0"):
        plot.node = 1.5
    with pytest.raises(NetgeomError, match="no such cell"):
        plot.grid_cell = 1 << 12
    plot._panel._node._field.value = "99"
    plot.wait(60)
    assert "no such Morse node" in plot.message and plot.node == k - 1 and plot._panel._node.value == k - 1


def test_a_picked_node_stays_where_it_is(plot):
    plot.node = int(plot.decomposition.label[plot.decomposition.grid.locate([[1.0, 0.0]])[0]])
    plot.subdivisions = 14
    plot.wait(60)
    assert plot.node == plot.decomposition.label[plot.decomposition.grid.locate([[1.0, 0.0]])[0]]


def test_the_pointer_is_followed(plot):
    root = plot._figure.plane.root
    root._trigger_event(MouseMove(root, sx=1, sy=1, x=1.1, y=0.3))
    plot.wait(60)
    assert "Cell" in plot._panel._pointer.value and "tile" in plot._panel._pointer.value
    root._trigger_event(MouseLeave(root, sx=1, sy=1, x=9, y=9))
    plot.wait(60)
    assert plot._panel._pointer.layout.display == "none"


def test_three_dimensions_are_shown_in_layers(make):
    plot = make(lambda x: 0.5 * x, ([-1.0] * 3, [1.0] * 3), subdivisions=9)
    plot.wait(60)
    assert plot._layer_row.layout.display is None and plot._layers.max == 7
    plot.slice_axis = 0
    plot._layers.value = 2
    plot.wait(60)
    assert plot.slice_index == 2 and "Slice: x" in plot._figure.plane._caption.text
    tap(plot, "plane", 0.1, 0.1)
    assert plot.decomposition.grid.indices([plot.grid_cell])[0, 0] == 2
    plot.grid_cell = 0
    plot.wait(60)
    assert plot.slice_index == 0 and plot._layers.value == 0


# ---- exports, state, links, closing


def test_exports(plot, tmp_path):
    plot.export_data(tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as found:
        assert np.array_equal(found["node"], plot.result.node) and found["image_first"].shape == (1 << 12, 2)
        assert json.loads(str(found["about"]))["settings"]["subdivisions"] == 12
    plot.export_data(tmp_path / "b.csv")
    assert len(table(tmp_path / "b.csv")) == plot.decomposition.n_nodes
    plot.export_graph(tmp_path / "b.graphml")
    plot.export_graph(tmp_path / "b.dot")
    assert "graphml" in (tmp_path / "b.graphml").read_text() and "->" in (tmp_path / "b.dot").read_text()
    with pytest.raises(NetgeomError, match="file name does not fit"):
        plot.export_graph(tmp_path / "b.txt")
    plot.export_png(tmp_path / "b.png")
    plot.export_html(tmp_path / "b.html")
    assert (tmp_path / "b.png").stat().st_size > 5000 and "Morse graph" in (tmp_path / "b.html").read_text()


def test_state_makes_the_same_picture(make, plot):
    plot.settings = {"padding": True, "collapsed": (0,), "subdivisions": 10}
    plot.wait(60)
    plot.node = 1
    plot.wait(60)
    state = json.loads(json.dumps(plot.state()))
    again = ng.OrderRetractionPlot.from_state(state, bistable, SQUARE)
    try:
        again.wait(60)
        assert again.state() == plot.state() and again.collapsed == (0,) and again.node == 1
        assert np.array_equal(again.result.node, plot.result.node)
    finally:
        again.close()


def test_closing_leaves_nothing(make):
    gc.collect()
    before = threading.active_count(), len(_instances)
    for _ in range(4):
        plot = ng.OrderRetractionPlot(bistable, SQUARE, subdivisions=6, grid_cell=3)
        plot.wait(60)
        plot.close()
        plot.close()
    del plot
    gc.collect()
    wait_for(lambda: threading.active_count() <= before[0])
    assert len(_instances) == before[1]
