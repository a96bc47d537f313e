"""figures/order_retraction*.py: cells, nodes and runs are drawn where they are, in colours that the order gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import order_retraction_raster, palettes
from netgeom_widgets.figures.layered_layout import layered
from netgeom_widgets.figures.oklab import from_oklab, to_oklab
from netgeom_widgets.figures.order_retraction import morse_graph_plot, order_retraction_plot
from netgeom_widgets.figures.order_retraction_colours import ENDS, NodeColours, node_colours
from netgeom_widgets.figures.order_retraction_graph import MorseGraph, order_of_some
from netgeom_widgets.figures.order_retraction_marks import cell_words
from netgeom_widgets.figures.order_retraction_plane import PhasePlane
from netgeom_widgets.figures.order_retraction_raster import RetractionRaster, most_frequent
from netgeom_widgets.figures.order_retraction_scene import RetractionScene
from netgeom_widgets.kernels.order_retraction import (
    collapse,
    match_nodes,
    morse_decomposition_of_graph,
    order_retraction,
)
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole
from tests.figures.retractions import crown, leslie_retraction, pitchfork, pushed, retraction_of


def chain(n: int):
    """The Morse decomposition of n loops, each leading to the one before."""
    rows = [[0], *([i - 1, i] for i in range(1, n))]
    return morse_decomposition_of_graph(np.cumsum([0, *map(len, rows)]), np.concatenate(rows))


def loops(n: int):
    return morse_decomposition_of_graph(np.arange(n + 1), np.arange(n))


# ---- colours


def test_oklab_and_back_is_the_same_colour():
    table = np.random.default_rng(0).integers(0, 256, (500, 4), dtype=np.uint8)
    table[:, 3] = 255
    assert (np.abs(from_oklab(to_oklab(table)).astype(int) - table) <= 1).all()
    assert np.allclose(to_oklab(palettes.to_rgba(["#ffffff", "#000000"])), [[1, 0, 0], [0, 0, 0]], atol=1e-4)
    vivid = from_oklab(np.array([[0.6, 0.4, 0.3]]))
    found = to_oklab(vivid)[0]
    assert abs(found[0] - 0.6) < 0.01 and abs(np.arctan2(found[2], found[1]) - np.arctan2(3, 4)) < 0.03


def test_colours_follow_the_order():
    retraction = leslie_retraction()
    decomposition = retraction.decomposition
    colours = node_colours(decomposition)
    minimal = decomposition.leq.sum(axis=0) == 1
    assert (colours.hues[minimal] == np.arange(minimal.sum())).all() and (colours.hues[~minimal] == -1).all()
    assert (to_oklab(colours.tiles)[:, 0] > to_oklab(colours.sets)[:, 0] + 0.1).all(), "a tile is the lighter one"
    line = node_colours(chain(6)).strong
    assert (np.diff(line[:, 0]) < 0).all(), "darker the higher"
    for many in (loops(21), chain(9), retraction.decomposition):
        found = node_colours(many).strong
        apart = np.linalg.norm(found[:, None] - found[None], axis=2) + np.eye(len(found))
        assert apart.min() > 0.04
    assert len(node_colours(loops(60)).names) == 60 and node_colours(loops(0)).names == []


# ---- the raster


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 2, 4]), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_a_pixel_is_the_most_frequent_kind_and_morse_sets_win(height, width, factor, first, seed):
    rng = np.random.default_rng(seed)
    keys, wins = rng.integers(0, 8, (height, width)), rng.permutation(first)
    found = most_frequent(keys, factor, wins)
    if factor == 1:
        assert (found == keys).all()
        return
    for (row, column), pixel in np.ndenumerate(found):
        block = keys[row * factor :, column * factor :][:factor, :factor].ravel()
        winners = block[block < first]
        expected = winners[wins[winners].argmax()] if len(winners) else np.bincount(block, minlength=9).argmax()
        assert pixel == expected


def test_every_cell_has_its_own_colour_and_words():
    retraction = crown()
    raster, k = RetractionRaster(retraction), 4
    codes = raster.view().codes.T.ravel()  # back to the order of the cells
    palette = raster.palette(colours := node_colours(retraction.decomposition))
    label = retraction.decomposition.label
    for cell, code in enumerate(codes.tolist()):
        kind, variant = divmod(code, 3)
        word = raster.words[kind]
        if label[cell] >= 0:
            assert word == f"Morse set {label[cell]}" and palette[code] == colours.names[label[cell]]
        elif cell == 15:
            assert word == "leaves the domain" and palette[code].upper() == ENDS
        elif cell == 5:
            assert word == "undecided, reaches 0, 1" and kind > 3 * k
            assert palette[code] not in {*colours.names, *palettes.to_hex(colours.tiles)}
        else:
            assert word == "tile 0" and bool(variant) == (cell == 14)
    pale = raster.palette(colours, raster.kinds_of([0], tiles=False))
    assert pale[0] == palette[0] and pale[3] != palette[3] and pale[3 * k] != palette[3 * k]
    ends = raster.kinds_that_end_in(np.array([True, True, False, False]))
    assert [raster.words[kind] for kind in np.flatnonzero(ends)] == [
        "Morse set 0", "Morse set 1", "tile 0", "tile 1", "tile 0, by search", "tile 1, by search",
        "undecided, reaches 0, 1", "undecided, reaches 0, 1",
    ]  # fmt: skip


def test_slices_of_three_axes_are_the_cells_of_these():
    retraction = retraction_of(pitchfork, [-1.5] * 3, [1.5] * 3, 9)
    raster = RetractionRaster(retraction, (2, 0), {1: 6})
    nodes = retraction.node.reshape(8, 8, 8)[:, 6, :]
    kinds = raster.view().codes // 3
    shown = np.array([int(raster.words[kind].split()[-1]) for kind in kinds.ravel()]).reshape(8, 8)
    assert (shown == nodes).all(), "rows are axis 0, columns axis 2"
    for axes, at in (((0, 0), None), ((0, 3), None), ((0, 1), {2: 8}), ((0, 1), {1: 0})):
        with pytest.raises(NetgeomError, match=r"axes of the grid|no such slice"):
            RetractionRaster(retraction, axes, at)
    with pytest.raises(NetgeomError, match="no grid"):
        RetractionRaster(order_retraction(loops(2)))


# ---- the plane


def test_cells_lie_where_the_grid_has_them():
    part, retraction = PhasePlane(), crown()
    part.show(retraction, names=["w$$", "h (m)"])
    data = part._image.source.data
    assert [data[name] for name in ("x", "y", "dw", "dh")] == [[0.0], [0.0], [4.0], [8.0]]
    assert part.root.xaxis[0].axis_label == "w$\u200b$" and part.root.yaxis[0].axis_label == "h (m)"
    assert (part.root.x_range.start, part.root.y_range.end) == (0, 8)
    cells = []
    part.on_cell(cells.append)
    for x, y in ((0.5, 0.5), (3.5, 7.9), (2.1, 6.1), (4.5, 1), (None, 1)):
        tap(part.root, x, y)
    assert cells == [0, 15, 11]
    words = caption(part.root)
    assert "Grey: leaves the domain (6.2 %)." in words and "(1 with several least nodes above)" in words
    assert "Whether an order retraction exists is open." in words and "Falling stripes: may leave the domain." in words
    assert {
        "0: 1 cell, tile 69 %",
        "undecided, striped: 6.2 %",
        "may leave: 6.2 %",
        "leaves the domain: 6.2 %",
    } <= texts(part.root)


def test_cells_of_nodes_that_were_left_out_do_not_count_as_leaving():
    part, kept = PhasePlane(), order_retraction(collapse(crown().decomposition, [1]))
    part.show(kept)
    assert "Grey: reaches no node that was kept" in caption(part.root) and "leaves" not in caption(part.root)
    assert {part.raster.words[kind] for kind in (part.view.codes // 3).ravel()} == {
        "Morse set 0", "tile 0", "reaches no node that was kept",
    }  # fmt: skip
    assert cell_words(kept, np.array([0, -1, 11])) == [
        "reaches no node that was kept", "outside the domain", "Morse set 0",
    ]  # fmt: skip


def test_picked_nodes_and_cells_are_marked():
    part, retraction = PhasePlane(), crown()
    part.mark_node(1)
    part.mark_cell(1)
    part.show(retraction)
    plain = list(part._image.mapper.palette)
    part.mark_node(2, "tile")
    assert (
        part._image.mapper.palette != plain
        and part._image.mapper.palette[6] == plain[6]
        and "its tile" in caption(part.root)
    )
    part.mark_node(None)
    assert part._image.mapper.palette == plain
    reached = np.isin(np.arange(16), [5, 10, 11])
    part.mark_cell(5, reached=reached, orbit=np.array([[1.5, 3.0], [2.5, 5.0], [np.nan, np.nan]]))
    cell, image = (source.data for source in part.cells._boxes)
    assert cell == {"left": [1.0], "right": [2.0], "bottom": [2.0], "top": [4.0]}
    assert image == {"left": [2.0], "right": [3.0], "bottom": [4.0], "top": [8.0]}
    veil = part.cells._veil.data["image"][0].view(np.uint8).reshape(4, 4, 4)[..., 3]
    assert ((veil == 0) == reached.reshape(4, 4).T).all() and "the 3 cells it reaches" in caption(part.root)
    part.mark_cell(15)
    assert part.cells._boxes[1].data["left"] == [] and "outside the domain" in caption(part.root)
    assert part.cells._veil.data["image"] == []
    for act in (lambda: part.mark_node(4), lambda: part.mark_node(0, "all")):
        with pytest.raises(NetgeomError, match="no such"):
            act()


def test_runs_have_the_colour_of_the_tile_that_they_start_in():
    part, retraction = PhasePlane(), crown()
    part.show(retraction)
    values = np.array([[[2.5, 5.0], [3, 3]], [[1.5, 3.0], [3, 4]], [[9, 9], [0, 0]], [[3.5, 7.5], [0, 1]]], dtype=float)
    part.draw_runs(values, names=[HOSTILE, "b", "c", "d"], selection=[1])
    starts = part.runs.starts.data
    assert starts["id"].tolist() == [0, 2, 3, 1] and starts["x"].tolist() == [2.5, 9.0, 3.5, 1.5]
    assert starts["tile"] == ["Morse set 0", "outside the domain", "leaves the domain", "undecided"]
    assert starts["fill"][0] == part.colours.names[0] and starts["fill"][1].upper() == starts["fill"][2].upper() == ENDS
    drawn = []
    part.runs.on_lasso(drawn.append)
    part.runs.starts.selected.indices = [0, 3]
    assert drawn == [[0, 1]]
    assert "diamond: its end; line: its way. 1 of 4 start outside the domain." in caption(part.root)
    part.draw_runs(None)
    assert "start of a run" not in caption(part.root)
    part.draw_runs(values, names=[HOSTILE, "b", "c", "d"])
    with pytest.raises(NetgeomError, match="coordinates of the grid"):
        part.draw_runs(values[..., :1])
    assert whole(part.root)
    part.clear("Nothing yet.")
    assert caption(part.root) == "Nothing yet." and part.runs.starts.data["x"].size == 0


def test_a_line_shows_the_graph_of_its_map():
    part = PhasePlane()
    part.show(retraction_of(lambda x: 3.83 * x * (1 - x), 0.0, 1.0, 5), names=["x"])
    graph = part._line.boxes.data
    corners = np.arange(33) / 32
    value = 3.83 * corners * (1 - corners)
    low, high = np.minimum(value[:-1], value[1:]), np.maximum(value[:-1], value[1:])
    assert (graph["bottom"] <= low + 1e-9).all() and (graph["top"] >= np.minimum(high, 1) - 1e-9).all()
    assert part._image.source.data["dh"] == [1.0] and part.view.codes.shape == (1, 32)
    part.mark_cell(3, orbit=np.array([[0.1], [0.3], [0.8]]))
    assert np.column_stack(list(part.cells._orbit.data.values())).tolist() == [
        [0.1, 0.1], [0.1, 0.3], [0.3, 0.3], [0.3, 0.8], [0.8, 0.8]
    ]  # fmt: skip
    part.draw_runs(np.array([[[0.1], [0.3], [0.8]], [[0.2], [0.4], [0.5]]]))
    assert part.runs.ends.data["y"].tolist() == [0.8, 0.5] and whole(part.root)


def test_a_fine_grid_has_one_pixel_for_several_cells_until_one_zooms_in(monkeypatch):
    monkeypatch.setattr(order_retraction_raster, "PIXELS", 64)
    part, retraction = PhasePlane(), retraction_of(pitchfork, [-1.5, -1.5], [1.5, 1.5], 14)
    part.show(retraction)
    assert part.view.codes.shape == (64, 64) and "most of 2 × 2 cells" in caption(part.root)
    recurrent = (retraction.decomposition.label >= 0).reshape(64, 2, 64, 2).any(axis=(1, 3))
    assert (recurrent == (part.view.codes // 3 < retraction.decomposition.n_nodes).T).all(), "no Morse cell vanishes"
    part.zoom((-0.01, 0.01), (1.0, 1.5))
    assert part.view.factor == 1 and part.view.codes.shape == (22, 2) and "most of" not in caption(part.root)
    edges = retraction.decomposition.grid.edges(0)
    assert part._image.source.data["x"] == [edges[part.view.column]] and part._image.source.data["x"][0] <= -0.01
    part.mark_cell(0, reached=np.arange(1 << 14) == 0)
    part.zoom((-1.5, 1.5), (-1.5, 1.5))
    veil = part.cells._veil.data["image"][0].view(np.uint8).reshape(64, 64, 4)[..., 3]
    assert np.argwhere(veil == 0).tolist() == [[0, 0]], "a pixel is reached where any of its cells is"


# ---- the graph


@given(st.integers(1, 14), st.integers(0, 2**32 - 1))
def test_nodes_of_a_layer_keep_their_distance_and_lines_go_down(n, seed):
    rng = np.random.default_rng(seed)
    below = np.triu(rng.random((n, n)) < 0.3, 1)
    leq = np.linalg.matrix_power((below | np.eye(n, dtype=bool)).astype(int), n) > 0
    heights, edges = order_of_some(leq, np.arange(n))
    for upper, lower in edges:
        assert leq[lower, upper] and not (leq[lower] & leq[:, upper])[np.setdiff1d(np.arange(n), [upper, lower])].any()
        assert heights[upper] > heights[lower]
    found = layered(heights, edges)
    for height in range(heights.max() + 1):
        x = np.sort(found.x[heights == height])
        assert (np.diff(x) >= 1 - 1e-9).all()
    for (upper, lower), line in zip(edges, found.lines, strict=True):
        assert line[0].tolist() == [found.x[upper], heights[upper]] and line[-1].tolist() == [
            found.x[lower],
            heights[lower],
        ]
        assert (np.diff(line[:, 1]) == -1).all()


def test_crossings_that_need_not_be_are_not():
    edges = [(4 + i, i) for i in (3, 1, 2, 0)] + [(8 + i, 7 - i) for i in range(4)]
    assert layered(np.repeat([0, 1, 2], 4), edges).crossings == 0
    # the Leslie map's graph at 2^18 cells: sweeps from the given order alone leave a crossing
    leslie = [(2, 0), (3, 0), (4, 1), (5, 3), (5, 4), (6, 2), (6, 5)]
    assert layered(np.array([0, 0, 1, 1, 1, 2, 3]), leslie).crossings == 0
    assert layered(np.empty(0, dtype=np.int64), []).lines == []


def test_a_picked_node_is_ringed_and_what_it_does_not_reach_is_faded():
    part, retraction, taps = MorseGraph(), crown(), []
    part.on_node(taps.append)
    part.show(retraction)
    assert part._nodes.data["tile"][0] == "11 cells, 69 %" and len(part._edges.data["xs"]) == 4
    part.mark_node(2)
    assert part._nodes.data["alpha"].tolist() == [1.0, 1.0, 1.0, 0.18] and "reaches 2 others" in caption(part.root)
    assert sorted(part._edges.data["alpha"]) == [0.18, 0.18, 1.0, 1.0]
    tap(part.root, float(part._nodes.data["x"][3]), 1.0)
    assert taps == [3] and {"Morse graph, 4 Morse nodes", "3"} <= texts(part.root)
    with pytest.raises(NetgeomError, match="no such node"):
        part.mark_node(4)
    assert "4 of 4 nodes are a single cell" in caption(part.root)


def test_no_node_and_very_many_nodes_have_pictures_too():
    part, gone = MorseGraph(), retraction_of(pushed, [0, 0], [1, 1], 6)
    assert whole(order_retraction_plot(gone, trajectories=np.array([[[0.1, 0.2], [0.3, 0.2]]])))
    part.show(gone)
    assert "No recurrent cell:\nthe Morse graph is empty.\n100 % of the cells leave." in texts(part.root)
    assert "All Morse nodes were left out." in texts(morse_graph_plot(collapse(loops(3), [])))
    part.show(loops(300))
    assert len(part.shown) == 60 and "300 nodes; shown: the 60 with the most cells" in caption(part.root)
    part.show(chain(30))
    assert part._nodes.data["size"][0] < 15 and part._empty.data["x"] == [] and whole(part.root)


# ---- both


def test_both_are_drawn_in_the_same_colours_and_open_as_a_page():
    scene = RetractionScene()
    scene.show(retraction := leslie_retraction(10), names=["juveniles", HOSTILE])
    assert scene.plane.colours is scene.graph._colours is scene.colours
    scene.mark_node(1)
    assert scene.graph.node == 1 and scene.plane._said
    runs = np.random.default_rng(0).uniform(0, 60, (5, 3, 2))
    assert whole(order_retraction_plot(retraction, trajectories=runs, node=0, title=HOSTILE, note=HOSTILE))
    assert whole(morse_graph_plot(loops(3), title=HOSTILE))
    assert whole(order_retraction_plot(retraction_of(pushed, [0, 0], [1, 1], 6)))


def test_a_finer_grid_keeps_the_hues_of_its_attractors():
    scene = RetractionScene()
    scene.show(retraction := leslie_retraction(14))
    coarse = scene.colours
    scene.show(finer := leslie_retraction(18))
    matched = match_nodes(retraction.decomposition, finer.decomposition)
    minimal = np.flatnonzero(scene.colours.hues >= 0)
    assert len(minimal) == 2 and (scene.colours.hues[minimal] == coarse.hues[matched[minimal]]).sum() >= 1
    swapped = NodeColours(coarse.strong, np.where(coarse.hues >= 0, 5 - coarse.hues, -1))
    kept = node_colours(retraction.decomposition, (retraction.decomposition, swapped))
    assert (kept.hues == swapped.hues).all()
    scene.show(retraction_of(pitchfork, [-1.5] * 2, [1.5] * 2, 6))
    assert scene.colours.hues.max() == 1 and scene.plane.raster.k == scene.graph.shown.size, "another domain"
    with pytest.raises(NetgeomError, match="not of that decomposition"):
        node_colours(finer.decomposition, (retraction.decomposition, scene.colours))
