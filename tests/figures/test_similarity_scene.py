"""Tests of figures/similarity_scene.py and figures/similarity_table.py."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.events import SelectionGeometry

from netgeom_widgets.figures import static
from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.similarity_scene import CountsScene, SimilarityScene
from netgeom_widgets.figures.similarity_table import InputTable, table_columns
from netgeom_widgets.figures.sprites import SpriteSheet
from tests.figures.similarities import cosines

N = 12


@pytest.mark.parametrize("pictures", [True, False])
def test_all_parts_are_drawn_and_leave_as_files(pictures, tmp_path):
    sheet = SpriteSheet.of(np.random.default_rng(1).random((N, 8, 8))) if pictures else None
    scene = SimilarityScene(N, SampleLabels(np.arange(N) % 3, N), sprites=sheet, texts=[f"<b>{i}" for i in range(N)])
    static.render(scene.root, "png")  # before there is anything to show
    k, order = cosines(N), np.arange(N)[::-1].copy()
    scene.draw_matrix(k, kernel="trace", order=order, ordering="seriated")
    assert np.allclose(scene.matrix.view.image, k[np.ix_(order, order)])
    counts, edges = np.histogram(k, 20)
    scene.draw_all_pairs(counts, edges, threshold=0.5)
    assert f"of {N * N:,} entries" in scene.histogram._plot._caption.text.replace("\n", " ")
    near = np.argsort(-k[4], kind="stable")[1:6]
    scene.draw_row(4, k[4], near, k[4][near], predictions=np.zeros(N, dtype=int), threshold=0.5)
    assert scene.neighbours.root.title.text == "Inputs most like input 4"
    assert f"{(k[4] > 0.5).sum()} of {N} inputs" in scene.histogram._plot._caption.text.replace("\n", " ")
    scene.draw_pair((4, int(near[0])), float(k[4, near[0]]), shares={"0.weight": 0.7, "0.bias": -0.1}, most_alike=True)
    assert f"input {near[0]} is most like input 4" in scene.pair._caption.text.replace("\n", " ")
    scene.draw_pair((4, 5), 0.5, shares="No shares: the norm is no sum.")
    assert "No shares" in scene.pair._caption.text
    scene.mark(4, (4, 5), [1, 2])
    scene.move_threshold(0.9)
    static.save(scene.root, tmp_path / "scene.svg")
    page = to_html(scene.root)
    assert len((tmp_path / "scene.svg").read_bytes()) > 10_000 and "Inputs most like input 4" in page
    scene.draw_row(None, None, edges, edges)
    scene.draw_pair(None, None)
    assert "Tap a cell" in scene.neighbours.root.below[-1].text.replace("\n", " ")


def test_the_same_numbers_in_the_same_order_keep_their_levels():
    scene, k, order = SimilarityScene(N, SampleLabels(None, N)), cosines(N), np.arange(N)
    scene.draw_matrix(k, kernel="trace", order=order, ordering="as given")
    levels = scene.matrix.levels
    scene.draw_matrix(k, kernel="trace", order=order, ordering="as given", reduce="max")
    assert scene.matrix.levels is levels
    k[0] = np.nan  # rows of a run going on come into the same array
    scene.draw_matrix(k, kernel="trace", order=order, ordering="as given", final=False)
    assert scene.matrix.levels is not levels and np.isnan(scene.matrix.view.image[0]).all()


def test_a_box_over_counts_gives_the_inputs_in_it():
    scene, seen = CountsScene(), []
    scene.on_inputs(seen.append)
    counts = {"hard": np.arange(N), "soft": np.arange(N) / 2, "less soft": np.arange(N) / 4}
    scene.draw(counts, "")
    plot = scene._parts[1].root
    geometry = {"type": "rect", "x0": 1.0, "x1": 2.0, "y0": 0.0, "y1": 9.0}
    plot._trigger_event(SelectionGeometry(plot, geometry=geometry, final=True))
    assert seen == [[2, 3, 4]]
    scene.mark(3)
    static.render(scene.root, "png")


def test_the_table_has_the_columns_that_are_known():
    table, seen = InputTable(), []
    table.on_pick(seen.append)
    ids = np.array([5, 2])
    columns = table_columns(
        ids, {"label": [f"c{i}" for i in range(N)], "k": cosines(N)[0], "hard": np.arange(N), "soft": None}
    )
    table.fill(columns)
    data = table.root.source.data
    assert data["input"] == [5, 2] and data["label"] == ["c5", "c2"] and data["hard"] == [5, 2]
    assert {c.field for c in table.root.columns if c.visible} == {"input", "label", "k", "hard"}
    table.pick(2)
    assert table.root.source.selected.indices == [1] and seen == []
    table.root.source.selected.indices = [0]
    assert seen == [5]
    table.pick(7)
    assert table.root.source.selected.indices == []
