"""figures of what stands beside an order retraction: persistence, frequencies, statistics, fit, coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.order_retraction_cell_map import CellMap, cell_map
from netgeom_widgets.figures.order_retraction_colours import ENDS, node_colours
from netgeom_widgets.figures.order_retraction_coordinates import CoordinatesFigure, coordinates_plot
from netgeom_widgets.figures.order_retraction_fit import MapFitFigure, fit_plot, fit_sentences, std_plot
from netgeom_widgets.figures.order_retraction_frequencies import FrequenciesFigure, frequencies_plot
from netgeom_widgets.figures.order_retraction_persistence import PersistenceFigure, persistence_bars, track_colours
from netgeom_widgets.figures.order_retraction_statistics import TileStatisticsFigure, tile_statistics_plot
from netgeom_widgets.figures.theme import PICKED
from netgeom_widgets.figures.violins import ViolinPanel, outline, violins
from netgeom_widgets.kernels.order_retraction import (
    CubicalGrid,
    Trajectories,
    choose_coordinates,
    fit_map,
    morse_frequencies,
    persistence,
    tile_statistics,
)
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole
from tests.figures.retractions import leslie, leslie_retraction, pitchfork, pushed

LESLIE = ([-0.001, -0.001], [90.0, 70.0])


# ---- numbers of cells


def test_numbers_of_cells_lie_in_their_cells():
    part, values = CellMap(), np.arange(32.0)
    part.show(CubicalGrid([0, 0], [4, 8], 5), values, title="t", quantity="q", names=["x", "y"], span=(0, 40))
    data = part._image.data
    assert data["image"][0].shape == (4, 8) and (data["image"][0] == values.reshape(8, 4).T).all()
    assert [data[name] for name in ("x", "y", "dw", "dh")] == [[0.0], [0.0], [4.0], [8.0]]
    assert (part._mapper.low, part._mapper.high) == (0, 40)
    part.show(CubicalGrid([0] * 3, [1] * 3, 6), np.arange(64.0), title="t", quantity="q", axes=(2, 1), at={0: 3})
    assert (part._image.data["image"][0] == np.arange(64).reshape(4, 4, 4)[3]).all()
    assert "Slice: coordinate 1 from 0.75 to 1 (cell 3 of 4)." in caption(part.root)
    assert whole(cell_map(CubicalGrid(0, 1, 11), np.full(2048, np.nan), title=HOSTILE, quantity=HOSTILE, note=HOSTILE))
    with pytest.raises(NetgeomError, match="Each cell"):
        part.show(CubicalGrid(0, 1, 2), np.zeros(5), title="", quantity="")


# ---- persistence


def test_tracks_are_bars_from_birth_to_end():
    found = persistence(leslie, CubicalGrid(*LESLIE, 8), range(8, 16))
    part, taps = PersistenceFigure(), []
    part.on_track(taps.append)
    part.mark_track(0)
    part.show(found)
    bars = part._bars.data
    for row, track in enumerate(part.shown.tolist()):
        assert (round(bars["left"][row] + 0.42), round(bars["right"][row] - 0.42)) == (
            found.birth[track], found.death[track]
        )  # fmt: skip
    assert sorted(part.shown.tolist()) == list(range(found.n_tracks))
    last = found.decompositions[-1]
    colours = node_colours(last)
    fills = track_colours(found, colours)
    for node, track in enumerate(found.tracks().tolist()):
        assert fills[track] == colours.names[node]
    splits = (found.origin >= 0).sum()
    assert len(part._ends["triangle"].data["x"]) == splits > 0 and "split off" in texts(part.root)
    tap(part.root, 7.2, 0.2)
    tap(part.root, 7.2, -3.0)
    assert taps == [part.shown[0]]
    part.mark_track(int(part.shown[1]))
    assert part._bars.data["edge"][1] == PICKED and f"Outlined: track {part.shown[1]}." in caption(part.root)
    with pytest.raises(NetgeomError, match="no such track"):
        part.mark_track(99)
    assert "n = 8" in texts(part.root) and "over all 8 levels" in caption(part.root)


def test_levels_of_confidence_have_names_and_nothing_has_a_picture():
    wide = persistence(
        pitchfork, CubicalGrid([-1.5] * 2, [1.5] * 2, 6), [6, 8], z=[0.0, 1.0, 4.0], std=lambda x: np.full(len(x), 0.1)
    )
    root = persistence_bars(wide, note=HOSTILE)
    assert {"n = 6", "n = 8", "z = 1", "z = 4"} <= texts(root) and whole(root)
    empty = persistence(pushed, CubicalGrid([0, 0], [1, 1], 4), [4, 6])
    assert "no Morse node to follow" in caption(persistence_bars(empty)) and whole(persistence_bars(empty))


# ---- frequencies


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    starts = np.column_stack([rng.uniform(0, 90, 40), rng.uniform(0, 70, 40)])
    return starts, leslie(starts) + rng.normal(0, 3, (40, 2))


def test_graphs_have_bars_as_long_as_they_are_frequent(pairs):
    found = morse_frequencies(*pairs, CubicalGrid(*LESLIE, 10), samples=12)
    part, taps = FrequenciesFigure(), []
    part.on_graph(taps.append)
    part.show(found, names=["juveniles", HOSTILE])
    bars = part.bars._bars.data
    for row, at in enumerate(part.bars.shown):
        graph = found.graphs[at]
        assert (bars["right"][row], bars["nodes"][row]) == (100 * graph.share, str(graph.form.n_nodes))
        assert (bars["edge"][row] == PICKED) == (at == found.graph_of_fit)
    drawn = sum(found.graphs[at].form.n_nodes for at in part.bars.shown)
    assert len(part.bars._nodes.data["x"]) == drawn and max(part.bars._nodes.data["x"]) < 0
    tap(part.bars.root, 20, 1.5)
    tap(part.bars.root, 20, -1)
    assert taps == [part.bars.shown[1]]
    assert np.sum(part.counts._bars.data["top"]) == 12 and whole(part.root)
    none = morse_frequencies(pairs[0], pairs[0] + 200, CubicalGrid(*LESLIE, 6), samples=3)
    assert "empty" in texts(root := frequencies_plot(none)) and "100 % of the samples have no" in caption_of(root)


def caption_of(root) -> str:
    return " ".join(texts(root)).replace("\n", " ")


# ---- violins and statistics


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=30))
def test_a_violin_stays_within_its_values(values):
    shape = outline(np.array(values))
    if shape is not None:
        assert np.isclose(np.abs(shape[:, 0]).max(), 1) and np.isfinite(shape).all()
        assert shape[:, 1].min() == min(values) and shape[:, 1].max() == max(values)
        assert np.allclose(shape[:96, 0], -shape[::-1][:96, 0])
    if len(values) < 5 or len(set(values)) == 1:
        assert shape is None


def test_groups_have_boxes_and_points():
    part = ViolinPanel()
    groups = {"a": np.arange(9.0), HOSTILE: np.array([np.nan, 3.0]), "none": np.array([])}
    part.show(groups, quantity="q", of="epochs", names={"a": [f"run {i}" for i in range(9)]})
    boxes = part._boxes.data
    assert boxes["low"].tolist() == [2, 3] and boxes["middle"].tolist() == [4, 3] and boxes["high"].tolist() == [6, 3]
    assert len(part._shapes.data["xs"]) == 1 and len(part._points.data["x"]) == 10
    assert part._points.data["name"][:2] == ["run 0", "run 1"] and "1 without a value." in caption(part.root)
    assert np.abs(np.array(part._points.data["x"]) - np.round(part._points.data["x"])).max() < 0.2
    assert whole(
        violins({"accuracy": groups, "entropy (nats)": {"b": np.ones(7)}}, of="epochs", notes={"accuracy": HOSTILE})
    )
    for wrong in ({}, {"a": np.ones((2, 2))}, {str(i): np.ones(2) for i in range(25)}):
        with pytest.raises(NetgeomError, match="no groups of numbers"):
            part.show(wrong, quantity="q")


def test_runs_are_compared_by_tile_in_the_colours_of_the_tiles():
    retraction = leslie_retraction(14)
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.uniform(0, 100, 60), rng.uniform(0, 70, 60)])
    found = tile_statistics(
        retraction, points, {HOSTILE: rng.random(60), "accuracy": (points[:, 0] > 30) + 0.0}, permutations=99
    )
    colours, part = node_colours(retraction.decomposition), TileStatisticsFigure()
    part.show(found, colours)
    assert len(part.root.children) == 2 and whole(part.root)
    panel = part._panels[1]
    assert panel.root.title.text == f"accuracy by tile, p = {found.tests['accuracy'].p:.2g}"
    fills = dict(zip(panel._points.data["group"], panel._points.data["fill"], strict=True))
    for tile, n in zip(found.tiles.tolist(), found.n_runs, strict=True):
        colour = colours.names[tile].upper() if tile >= 0 else ENDS
        assert fills[f"{tile if tile >= 0 else 'outside'} ({n})"].upper() == colour
    assert "by 99 random arrangements" in caption(panel.root)
    one = tile_statistics(retraction, np.full((3, 2), 20.0), {"x": [1, 2, 3]}, permutations=9)
    assert "Nothing to compare" in caption(tile_statistics_plot(one).children[0])
    part.show(one, colours)
    assert len(part.root.children) == 1


# ---- fit and coordinates


def test_a_fit_shows_ends_against_predictions_and_says_what_to_doubt(pairs):
    fitted = fit_map(*pairs, run_ids=([f"run {i}" for i in range(40)],) * 2)
    part = MapFitFigure(2)
    part.show(fitted, names=["juveniles", HOSTILE], selection=[3])
    for axis, panel in enumerate(part._parts):
        data = panel._points.data
        assert (data["x"] == pairs[1][:, axis]).all() and np.allclose(data["fitted"], fitted.predict(pairs[0])[:, axis])
        assert np.allclose(data["x"] - data["held"], fitted.leave_one_run_out.errors[:, axis])
        assert data["edge"][3] == PICKED and data["run"][3] == "run 3"
    assert whole(part.root)
    words = " ".join(fit_sentences(fitted, ["juveniles", "adults"]))
    assert "of 40 pairs" in words and "Closure defect" in words and "Length scales: juveniles" in words
    assert all(warning in words for warning in fitted.warnings)
    assert "% of the ends within 1.96" in words
    bound = fit_map(*pairs, length_scale_bounds=(0.1, 0.2), ard=False)
    assert f"coordinate 1 {0.2 if bound.length_scale[0] > 0.15 else 0.1} (" in " ".join(fit_sentences(bound))
    grid = CubicalGrid(*LESLIE, 7)
    drawn = std_plot(fitted, grid, names=["juveniles", "adults"])
    image = drawn.renderers[0].data_source.data["image"][0]
    assert np.allclose(image.T.ravel(), fitted.std(grid.centres())[:, 0], rtol=1e-4) and whole(drawn)
    linear = fit_map(*pairs, model="linear")
    assert "Affine map" in fit_sentences(linear)[0] and whole(fit_plot(linear))
    with pytest.raises(NetgeomError, match="another number of coordinates"):
        MapFitFigure(3).show(fitted)


def test_chosen_coordinates_are_marked_among_all():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(20, 3, 50)) * np.linspace(1, 3, 50)
    runs = Trajectories(values, [f"r{i}" for i in range(20)], np.arange(3), [f"w{i}" for i in range(49)] + [HOSTILE])
    part, taps = CoordinatesFigure(), []
    part.on_weight(taps.append)
    for kind in ("largest_spread", "smallest_spread", "pca_final"):
        chosen = choose_coordinates(runs, kind)
        part.show(runs, chosen)
        spread = values[:, -1].std(axis=0)
        assert (part._bars.data["top"] == spread[part.shown]).all() and (np.diff(part._bars.data["top"]) <= 0).all()
        assert "Shown: 40 of 50 weights." in caption(part.root)
        if kind != "pca_final":
            axes = set(chosen.matrix.argmax(axis=0).tolist())
            fills = zip(part.shown.tolist(), part._bars.data["fill"], strict=True)
            assert {weight for weight, fill in fills if fill == "#D55E00"} == axes
    tap(part.root, 1.2, 0.5)
    tap(part.root, None, 0.5)
    assert taps == [part.shown[1]] and whole(coordinates_plot(runs, choose_coordinates(runs)))
    few = Trajectories(values[..., :3], [f"r{i}" for i in range(20)], np.arange(3), ["a", "b", "c"])
    with pytest.raises(NetgeomError, match="not of these trajectories"):
        part.show(few, choose_coordinates(runs))
