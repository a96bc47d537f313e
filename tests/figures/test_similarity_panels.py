"""figures/similarity_*.py beside the matrix: strips, histograms, counts; what is written is what was counted."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.events import SelectionGeometry

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.similarity_against import counts_against, counts_over_sweep
from netgeom_widgets.figures.similarity_counts import CountsHistogram, counts_histograms
from netgeom_widgets.figures.similarity_histogram import (
    SimilarityHistogram,
    pair_histogram,
    row_histogram,
    similarity_edges,
)
from netgeom_widgets.figures.similarity_neighbours import NeighbourStrips, neighbour_strips
from netgeom_widgets.figures.similarity_ranking import WRONG, Facts, Strip, k_text, ranked
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.static import render
from netgeom_widgets.figures.theme import PICKED
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole
from tests.figures.similarities import cosines


def images(n: int) -> np.ndarray:
    return np.random.default_rng(1).random((n, 8, 8))


# ---- strips


def test_neighbours_are_ranked_without_the_input_itself():
    row = np.array([0.5, 1.0, 0.5, -1.0, np.nan, 0.9])
    found = ranked(row, 1, 3, 2)
    assert (found.sample, found.nearest, found.farthest) == (1, [(5, 0.9), (0, 0.5), (2, 0.5)], [(3, -1.0)])
    assert ranked(row, None, 2, ids=np.arange(10, 16)).nearest == [(11, 1.0), (15, 0.9)]
    assert ranked(row, 1, 99).nearest[-1] == (3, -1.0) and ranked(row, 1, 99, 2).farthest == []
    assert k_text(-0.5) == "−0.500" and k_text(1234.5) == "1.23e+03" and k_text(0.987, 2) == "0.99"


def test_strips_show_k_and_what_is_predicted_wrongly():
    values, labels = cosines(30), np.arange(30) % 3
    predictions = labels.copy()
    first = ranked(values[4], 4, 1).nearest[0][0]
    predictions[first] = 7
    root = neighbour_strips(values, [4, 9], images(30), labels=labels, predictions=predictions, k=5, farthest=2)
    data = root.renderers[0].data_source.data
    assert len(data["id"]) == 16 and data["id"][:2] == [4, first] and data["edge"][0] == PICKED
    assert data["words"][:2] == ["", k_text(values[4, first])] and data["edge"][1] == data["ink"][1] == WRONG
    assert data["short"][1] == f"{labels[first]} → 7" and data["x"][6] > data["x"][5] + 1
    assert "First an input, then the 5 most like it, then the 2 least like it." in caption(root)
    assert "Orange: predicted otherwise than labelled" in caption(root)
    assert sorted(data["y"]) == data["y"] and {data["words"][1], data["short"][1]} <= texts(root)


def test_taps_on_strips_tell_the_input():
    sheet = SpriteMarks(SpriteSheet.of(images(30)))
    strips = [ranked(cosines(30)[4], 4, 5)]
    for part, place in ((NeighbourStrips(sheet), None), (NeighbourStrips(), (0.9, 2.4))):
        seen: list[int] = []
        part.on_sample(seen.append)
        part.draw(strips)
        data = part.root.renderers[0].data_source.data
        x, y = place or (data["x"][1], data["y"][1])
        for at in ((x, y), (x, -9.0)):
            tap(part.root, *at)
        assert seen == [strips[0].nearest[0][0]]
        part.draw([], note="Tap a row.")
        assert caption(part.root) == "Tap a row." and render(part.root)


def test_inputs_without_images_are_rows_of_words():
    words = [f"words {i} {HOSTILE} " * 4 for i in range(30)]
    root = neighbour_strips(cosines(30), [4], texts=words, labels=list("abc") * 10, k=3, farthest=1, title=HOSTILE)
    shown = texts(root)
    assert {"rank", "1.", "last", "4", "input", "label"} <= shown and any(text.endswith("…") for text in shown)
    whole(root)


def test_users_words_in_strips_are_words():
    labels = [HOSTILE] * 30
    root = neighbour_strips(cosines(30), [4], images(30), labels=labels, predictions=["b"] * 30, texts=labels)
    whole(root)
    facts = Facts({1: 0.123456}, {1: 0.123456})
    assert facts.short(1) == "0.1235" and facts.short(2) == "" and not facts.is_wrong(2)
    part = NeighbourStrips(SpriteMarks(SpriteSheet.of(images(30))))
    part.draw([Strip(1, [(99, 0.5)])], facts)
    assert part.root.renderers[0].data_source.data["tile"].tolist() == [1, -1] and render(part.root)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ids": [30]}, "no such input"),
        ({"ids": []}, "no such input"),
        ({"labels": [1]}, "labels do not belong"),
        ({"images": images(3)}, "images do not belong"),
        ({"k": 0}, "needs neighbours"),
        ({"values": np.zeros((3, 4))}, "square"),
    ],
)
def test_strips_refuse_what_does_not_belong(options, words):
    with pytest.raises(NetgeomError, match=words):
        neighbour_strips(**{"values": cosines(30), "ids": [1], "images": images(30), **options})


# ---- histograms of k


def test_the_histogram_of_a_row_counts_beyond_the_threshold_strictly():
    values = np.full((4, 4), 0.2)
    values[0] = [1.0, 0.5, 0.51, np.nan]
    root = row_histogram(values, 0, threshold=0.5)
    bars = root.renderers[0].data_source.data
    assert len(bars["top"]) == 100 and bars["left"][0] == 0 and bars["right"][-1] == 1 and sum(bars["top"]) == 3
    assert "k > 0.5: 2 of 3 inputs (itself included)." in caption(root) and "1 without a value." in caption(root)
    whole(root)
    with pytest.raises(NetgeomError, match="no such row"):
        row_histogram(values, 4)


def test_every_pair_is_counted_once():
    values = cosines(20)
    root = pair_histogram(values, threshold=0.3)
    upper = values[np.triu_indices(20, 1)]
    bars = root.renderers[0].data_source.data
    assert (bars["left"][0], sum(bars["top"])) == (-1, 190)
    assert f"k > 0.3: {(upper > 0.3).sum()} of 190 pairs." in caption(root)
    for wrong in (np.zeros((2, 3)), np.zeros(3)):
        with pytest.raises(NetgeomError, match="square"):
            pair_histogram(wrong)
    assert pair_histogram(np.ones((1, 1))) is not None


def test_moving_the_line_recounts_and_tells():
    part, seen = SimilarityHistogram(), []
    part.on_threshold(seen.append)
    part.draw(np.array([0.1, 0.5, 0.9]), title="t", threshold=0.4)
    part._line.location = 0.7
    assert seen == [0.7] == [part.threshold] and "k > 0.7: 1 of 3 inputs." in caption(part.root)
    part.set_threshold(0.2)
    assert seen == [0.7] and part._line.location == 0.2 and "2 of 3" in caption(part.root)
    assert part._beyond.data["left"].min() == pytest.approx(0.2)
    part.set_threshold(None)
    assert not part._line.visible and caption(part.root) == "3 inputs." and not len(part._beyond.data["left"])
    with pytest.raises(NetgeomError, match="finite"):
        part.set_threshold(np.nan)


def test_counts_of_bins_are_said_to_be_so():
    part = SimilarityHistogram()
    edges = np.linspace(-1, 1, 11)
    part.draw_counts(edges, np.arange(10), title="t", noun="pairs", threshold=0.45)
    assert caption(part.root) == "k > 0.4: 24 of 45 pairs, by whole bins."
    assert part._beyond.data["top"].tolist() == [7, 8, 9]
    part.set_threshold(1.5)
    assert "k > 1: 0 of 45" in caption(part.root)


def test_bins_of_similarities():
    assert similarity_edges(np.array([0.2, 1.00005]))[[0, -1]].tolist() == [0, 1]
    assert similarity_edges(np.array([-0.2, 1.0]))[[0, -1]].tolist() == [-1, 1]
    assert similarity_edges(np.array([-3.0, 7.0]), "inner", 5).tolist() == [-3, -1, 1, 3, 5, 7]
    assert similarity_edges(np.array([2.0, 2.0]), "inner")[[0, -1]].tolist() == [1.5, 2.5]
    assert len(similarity_edges(np.empty(0), "inner")) == 101


# ---- counts


def test_the_thumbnails_are_of_the_inputs_nearest_to_the_ends_of_the_bins():
    counts = np.array([1.0, 11.0, 5.9, 6.2, 3.0])
    sheet = SpriteMarks(SpriteSheet.of(images(5), range(20, 25)))
    part = CountsHistogram(sheet)
    part.draw(counts, name="soft", ids=np.arange(20, 25))
    marks = part._marks.data
    for place, shown in zip(marks["x"], marks["id"], strict=True):
        assert abs(counts[shown - 20] - place) == np.abs(counts - place).min()
    assert len(marks["x"]) == 11 and marks["id"][0] == 20 and marks["id"][-1] == 21
    bars = part.root.renderers[0].data_source.data
    assert sum(bars["top"]) == 5 and max(bars["top"]) < marks["y"][0]
    assert "5 inputs: mean 5.42, least 1, most 11." in caption(part.root) and "counts itself" in caption(part.root)
    seen: list = []
    part.on_sample(seen.append)
    part.on_interval(lambda *ends: seen.append(ends))
    tap(part.root, marks["x"][-1], marks["y"][-1])
    box = {"type": "rect", "x0": 6, "x1": 2, "y0": 0, "y1": 1}
    part.root._trigger_event(SelectionGeometry(part.root, geometry=box, final=True))
    assert seen == [21, (2, 6)]
    part.mark(6.2)
    assert part.root.title.text == "Neighbours, soft: picked 6.2"
    part.draw(np.array([np.nan, 1.0]), name="soft")
    assert "1 without a count." in caption(part.root)
    part.draw(np.empty(0), name="soft")
    assert part._marks.data["x"] == [] and render(part.root)


def test_several_counts_stand_beside_each_other():
    values = cosines(40)
    counts = {"soft": values.sum(axis=1), f"hard {HOSTILE}": (values > 0.5).sum(axis=1)}
    root = counts_histograms(counts, images=images(40))
    whole(root)
    assert len(root.children) == 2
    assert counts_histograms(counts, bins=3).children[0].renderers[0].data_source.data["top"].sum() == 40
    for wrong in ({"images": images(3)}, {"ids": range(3)}):
        with pytest.raises(NetgeomError, match="belong together"):
            counts_histograms(counts, **wrong)
    with pytest.raises(NetgeomError, match="counts and ids"):
        CountsHistogram().draw(np.zeros((2, 2)), name="soft")


def test_counts_against_a_number_are_medians_over_the_runs():
    x, runs = np.array([3.0, 1.0, 2.0, -1.0]), np.array([[1.0, 2, 3, 4], [3, 2, 1, 4], [9, 9, 9, 9]])
    root = counts_against(
        x, {"soft": runs, "hard": runs[0]}, label="curvature", groups=["b", "a", "b", "a"], x_log=True
    )
    soft, hard = root.children
    drawn = [r.data_source.data for r in soft.renderers[:2]]
    assert [(one["x"].tolist(), one["y"].tolist()) for one in drawn] == [([1], [2]), ([2, 3], [3, 3])]
    assert (
        "Median over 3 runs." in caption(soft) and "Left out: 1 of 4" in caption(soft) and "Median" not in caption(hard)
    )
    assert {"a", "b", "curvature (log scale)"} <= texts(root)
    whole(root)
    lines = counts_against(x, {"soft": runs}, label=HOSTILE, lines=True, title=HOSTILE)
    assert lines.children[0].renderers[0].data_source.data["x"].tolist() == [-1, 1, 2, 3]
    whole(lines)
    for wrong in ({"counts": {"soft": np.zeros(3)}}, {"groups": [1]}, {"x": np.zeros((2, 2))}):
        with pytest.raises(NetgeomError, match="belong"):
            counts_against(**{"x": x, "counts": {"soft": runs}, "label": "x", **wrong})


def test_networks_that_did_not_converge_are_hollow_named_and_not_in_the_mean():
    error = np.array([[0.01, 0.01], [0.02, 0.5], [0.6, 0.7]])
    counts = {"soft": np.array([[300.0, 310.0], [200.0, 900.0], [400.0, 420.0]])}
    root = counts_over_sweep([1, 2, 8], counts, error, label="frequency", converged=error < 0.1)
    upper, lower = root.children
    line, fine, hollow = upper.renderers[:3]
    assert np.array_equal(line.data_source.data["y"], [305, 200, np.nan], equal_nan=True)
    assert fine.data_source.data["y"].tolist() == [300, 310, 200] and hollow.glyph.fill_color is None
    assert hollow.data_source.data["y"].tolist() == [900, 400, 420]
    assert "Hollow: did not converge: frequency 2 (run 1; error 0.5); 8 (run 0, 1; error 0.6 to 0.7)." in caption(lower)
    assert upper.yaxis[0].ticker.ticks == [200, 500, 1000] and lower.yaxis[0].ticker.ticks[0] == 0.01
    assert lower.renderers[2].data_source.data["y"].tolist() == [0.5, 0.6, 0.7]
    whole(root)
    assert "All converged." in caption(counts_over_sweep([1, 2, 8], counts, error, label="f").children[1])
    for wrong in ({"settings": [1, 2]}, {"settings": [2, 1, 3]}, {"converged": np.ones((2, 2))}):
        with pytest.raises(NetgeomError, match="sweep"):
            counts_over_sweep(**{"settings": [1, 2, 8], "counts": counts, "fit_error": error, "label": "f", **wrong})
