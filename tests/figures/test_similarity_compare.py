"""figures/similarity_{pair,compare,suspects,denoising}.py: what is compared, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.similarity_compare import (
    ChangesFigure,
    InvarianceFigure,
    StepsFigure,
    agreement_words,
    changes_picture,
    cka_curve,
    difference_picture,
    invariance_picture,
)
from netgeom_widgets.figures.similarity_denoising import DenoisingFigure, denoising_picture
from netgeom_widgets.figures.similarity_pair import PairPart, pair_picture
from netgeom_widgets.figures.similarity_ranking import WRONG, Facts
from netgeom_widgets.figures.similarity_suspects import (
    SuspectsFigure,
    area_under,
    detection_curve,
    detection_curves,
    suspects_picture,
)
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.static import render
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 8, 8))
VALUES = RNG.uniform(-1, 1, (12, 12))


# ---- one pair


def test_a_pair_shows_both_inputs_k_and_the_shares_of_the_parameters():
    parts = {"0.weight": VALUES - 0.5, "0.bias": np.full((12, 12), 0.5)}
    predictions = np.arange(12)
    predictions[7] = 1
    root = pair_picture(VALUES, (3, 7), IMAGES, parts=parts, labels=np.arange(12), predictions=predictions)
    above, bars = root.children
    marks = above.renderers[0].data_source.data
    assert marks["edge"][1] == WRONG != marks["edge"][0] and marks["tile"].tolist() == [0, 1]
    k = f"{VALUES[3, 7]:.3f}".replace("-", "−")
    assert {f"k = {k}", "input 3, label 3", "input 7, label 7 → 1"} <= texts(root)
    data = bars.renderers[0].data_source.data
    assert data["name"] == ["0.weight", "0.bias"] and np.allclose(data["share"], [VALUES[3, 7] - 0.5, 0.5])
    assert bars.visible and f"sum {VALUES[3, 7]:.4g}".replace("-", "−") in bars.title.text
    assert "takes away" in caption(bars)
    whole(root)
    with pytest.raises(NetgeomError, match="no such pair"):
        pair_picture(VALUES, (3, 12))


def test_many_parameters_are_put_together_and_sum_to_the_same():
    part, shares = PairPart(), {f"layer.{i}.of.a.very.long.name.weight": (-1) ** i * float(i) for i in range(30)}
    part.draw((0, 1), 0.5, shares=shares)
    data = part._bars._source.data
    assert len(data["name"]) == 12 and data["name"][-1] == "19 others"
    assert np.isclose(data["share"].sum(), sum(shares.values())) and "layer.29.of….name.weight" in texts(part.root)
    part.draw((0, 1), 0.5, note="computing")
    assert part._bars.root.visible and not len(data := part._bars._source.data["name"]), data
    part.clear("Point at a cell.")
    assert caption(part._above) == "Point at a cell." and part._words.data["text"] == []


def test_inputs_without_images_are_words_in_a_pair():
    words = f"{HOSTILE} " + "words " * 60
    part = PairPart()
    part.draw((0, 1), 0.5, Facts(texts={0: words, 1: "short"}, labels={0: HOSTILE}), note=HOSTILE)
    assert {"short", "k = 0.500", "input 1"} <= texts(part.root) and any("…" in text for text in texts(part.root))
    whole(part.root)
    with_images = PairPart(SpriteMarks(SpriteSheet.of(IMAGES)))
    with_images.draw((0, 99), -0.25)
    assert with_images._marks.data["tile"].tolist() == [0, -1] and render(with_images.root)


# ---- two matrices


def test_the_difference_is_second_minus_first_about_zero():
    agreement = agreement_words(0.9123, float("nan"), np.array([0.5, np.nan, 0.7]))
    assert agreement == "CKA 0.912 (debiased not defined), Spearman of rows 0.600 (median)."
    root = difference_picture(VALUES, 2 * VALUES, names=("a", "b"), agreement=agreement)
    assert root.title.text == f"b minus a\n{agreement}"
    image = root.renderers[0]
    assert np.allclose(image.data_source.data["image"][0], VALUES)
    assert image.glyph.color_mapper.low == -image.glyph.color_mapper.high == -np.abs(VALUES).max()
    whole(root)
    assert difference_picture(VALUES[:3], VALUES[:3]).title.text == "second minus first"
    with pytest.raises(NetgeomError, match="no difference"):
        difference_picture(VALUES, VALUES[:3])


def test_exchanged_neighbours_are_counted():
    part = ChangesFigure()
    part.draw(np.array([0, 0, 3, 1]), 4, cka=0.5, debiased=0.25)
    bars = part.root.renderers[0].data_source.data
    assert bars["top"].tolist() == [2, 1, 0, 1, 0]
    assert "CKA 0.500 (debiased 0.250)." in caption(part.root)
    assert "2 of 4 inputs keep all 4 nearest; 75 % of the nearest stay on average." in caption(part.root)
    whole(changes_picture(np.array([0, 0, 3, 1]), 4, cka=0.5, debiased=0.25))
    part.draw(np.empty(0, dtype=int), 4, cka=np.nan, debiased=np.nan)
    assert render(part.root)


def test_the_curve_of_cka_tells_steps():
    part, seen = StepsFigure(), []
    part.on_step(seen.append)
    part.draw([0, 10, 50], np.array([0.2, np.nan, 1.0]), np.array([-0.3, np.nan, 1.0]), reference=50, current=10)
    assert part.root.title.text == "Agreement of each step with step 50" and part._now.span.location == 1
    assert part.root.y_range.start == pytest.approx(-0.34) and "Not computed yet: 1 of 3 steps." in caption(part.root)
    tap(part.root, 1.8, 0.5)
    assert seen == [50]
    whole(cka_curve([0, 10, 50], np.array([0.2, 0.5, 1.0]), np.zeros(3), reference=50))
    part.draw([0, 10], np.array([0.2, 1.0]), np.array([0.1, 1.0]), reference=10)
    assert not part._now.span.visible and part.root.xaxis[0].axis_label == "step"
    with pytest.raises(NetgeomError, match="debiased does not fit"):
        part.draw([0, 10], np.zeros(2), np.zeros(3), reference=10)


def test_invariance_is_shown_in_percent_beside_chance():
    root = invariance_picture(np.array([1.0, 1.0, 0.9, np.nan]), np.array([-0.5, 0.5]), name=HOSTILE)
    lines = [r.data_source.data["y"] for r in root.renderers if type(r.glyph).__name__ == "Line"]
    assert [max(line) for line in lines] == [pytest.approx(200 / 3), 50]
    assert "median 1." in caption(root) and "x′): median 0." in caption(root)
    whole(root)
    part = InvarianceFigure()
    part.draw(np.empty(0), np.empty(0))
    assert render(part.root)


# ---- labels and targets


@pytest.mark.parametrize("images", [IMAGES, None])
def test_suspects_are_ranked_with_what_the_neighbours_say(images):
    scores = np.array([0.1, np.nan, 0.9, 0.0, 0.5] + [0.0] * 7)
    labels, said = ["a"] * 12, ["a", "", "b", "a", HOSTILE] + ["a"] * 7
    root = suspects_picture(scores, labels, said, images, [f"words {i}" for i in range(12)])
    assert {"0.90", "0.50", "0.10", "a → b", "a"} <= texts(root) and "0.00" not in texts(root)
    assert caption(root).startswith("3 inputs have a neighbour with another label. Score, then given label → label of")
    whole(root)
    with pytest.raises(NetgeomError, match="said and scores"):
        suspects_picture(scores, labels, said[:3], images)


def test_taps_on_suspects_tell_the_input():
    for sprites in (SpriteSheet.of(IMAGES), None):
        part, seen = SuspectsFigure(sprites), []
        part.on_sample(seen.append)
        part.draw(np.arange(12)[::-1], np.full(12, 0.5), ["a"] * 12, ["b"] * 12)
        for at in ((1.5, 0.3), (1.5, 99.0)) if sprites else ((0.9, 2.5), (0.9, 99.0)):
            tap(part.root, *at)
        assert seen == [10]
        part.draw(np.arange(12), np.zeros(12), ["a"] * 12, ["a"] * 12)
        assert "0 inputs have a neighbour" in caption(part.root) and render(part.root)


def test_detection_is_counted_over_equal_scores_at_once():
    flipped = np.array([True, False, True, False, False])
    scores = np.array([0.9, 0.9, 0.5, np.nan, 0.1])
    x, y = detection_curve(scores, flipped)
    assert np.allclose(x, [0, 1 / 3, 1 / 3, 2 / 3, 1]) and np.allclose(y, [0, 0.5, 1, 1, 1])
    pairs = [(a > b) + (a == b) / 2 for a in scores[flipped] for b in np.nan_to_num(scores[~flipped], nan=-1)]
    assert area_under(x, y) == pytest.approx(np.mean(pairs))
    root = detection_curves({"top 10": scores, HOSTILE: -np.nan_to_num(scores)}, flipped)
    assert "top 10: 0.750" in texts(root) and "2 of 5 labels are wrong." in caption(root)
    whole(root)
    for wrong, words in (
        ({"scores": {"a": np.zeros(3)}}, "do not fit"),
        ({"flipped": np.ones(5, bool)}, "nothing to find"),
    ):
        with pytest.raises(NetgeomError, match=words):
            detection_curves(**{"scores": {"a": scores}, "flipped": flipped, **wrong})


def test_denoising_shows_averages_against_targets_and_the_factors():
    class Found:
        estimate, factor = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]]), np.array([0.5, np.nan, 0.7])

    targets = np.array([[1.5, 2.5], [0.0, 0.0], [3.5, 4.5]])
    root = denoising_picture(Found, targets)
    plot, factors = root.children
    data = plot.renderers[0].data_source.data
    assert data["x"].tolist() == [1.5, 2.5, 3.5, 4.5] and data["y"].tolist() == [1, 2, 3, 4]
    assert data["id"].tolist() == [0, 0, 2, 2] and data["output"][:2] == ["output 0", "output 1"]
    assert "Not defined: 2 of 6." in caption(plot) and "Median 0.6; below 1, noise is damped." in caption(factors)
    whole(root)
    part, seen = DenoisingFigure(), []
    part.on_sample(seen.append)
    part.draw(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([0.5, 0.6]), ids=[7, 9])
    tap(part._plot, 2.0, 2.0)
    assert seen == [9] and part._source.data["output"] == ["", ""]
    part.draw(np.full(2, np.nan), np.zeros(2), np.full(2, np.nan))
    assert render(part.root)
    with pytest.raises(NetgeomError, match="belong together"):
        part.draw(np.zeros(2), np.zeros(3), np.zeros(2))
