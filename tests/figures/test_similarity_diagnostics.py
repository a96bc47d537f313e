"""Tests of the figures on fit and layers: figures/similarity_fit.py and similarity_layers.py."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.figures import static
from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.similarity_fit import FitFigure, fit_words
from netgeom_widgets.figures.similarity_layers import LayersFigure
from netgeom_widgets.kernels.similarity import fit_error
from tests.figures.drawn import tap

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, 20)
LOGITS = RNG.normal(size=(20, 3))


def test_the_fit_in_words_asks_where_the_error_is_not_small():
    values = RNG.normal(size=(20, 2))
    good, bad = (fit_error(values + noise * RNG.normal(size=(20, 2)), values) for noise in (0.01, 1.0))
    assert "% of a constant's" in fit_words(good) and "not converged?" not in fit_words(good)
    assert fit_words(bad).endswith("not converged?")
    words = fit_words(fit_error(LOGITS, CLASSES))
    accuracy = 100 * np.mean(LOGITS.argmax(1) == CLASSES)
    assert words.startswith("fit error") and "cross-entropy" in words and f"accuracy {accuracy:.4g} %" in words
    assert "constant" not in fit_words(fit_error(values, np.ones((20, 2))))


def test_losses_stand_over_counts_with_mean_and_constant_as_lines():
    figure, fit, counts = FitFigure(), fit_error(LOGITS, CLASSES), RNG.uniform(1, 9, 20)
    figure.draw(fit, counts, labels=CLASSES, selection=(3,))
    data = figure._marks.source.data
    order = np.argsort(data["id"])
    assert np.array_equal(np.asarray(data["x"])[order], counts) and np.array_equal(
        np.asarray(data["y"])[order], fit.losses
    )
    assert [line.location for line in figure._lines] == [fit.mean, fit.constant]
    assert figure.root.yaxis[0].axis_label == "cross-entropy (nats)"
    picked = []
    figure.on_sample(picked.append)
    tap(figure.root, counts[7], fit.losses[7])
    assert picked == [7]
    assert static.render(figure.root, "svg") and "netgeom" in to_html(figure.root, "Fit")


def test_layers_are_cells_with_names_in_full_and_undefined_ones_grey():
    figure, names = LayersFigure(), ["features.0", "a.very.long.name.of.a.module.indeed", "$$head$$"]
    cka = np.array([[1, 0.5, np.nan], [0.5, 1, -0.25], [np.nan, -0.25, 1]])
    figure.draw(cka, names, np.array([0.2, 0.5, 0.3]))
    data = figure._cells.data
    at = dict(zip(zip(data["row"], data["column"], strict=True), data["cka"], strict=True))
    assert at[names[0], names[1]] == 0.5 and np.isnan(at[names[2], names[0]]) and len(at) == 9
    caption = figure._caption.text.replace("\n", " ")
    assert "50 %" in caption and "Grey" in caption and caption.index("50 %") < caption.index("30 %")
    assert figure._mapper.low == -0.25 and "$$" not in "".join(figure.root.xaxis[0].major_label_overrides.values())
    tapped = []
    figure.on_cell(lambda row, column: tapped.append((row, column)))
    for x, y in ((1.5, 0.5), (5.0, 0.5), (None, 0.5)):
        tap(figure.root, x, y)
    assert tapped == [(0, 1)]
    assert static.render(figure.root, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("n", [1, 60])
def test_any_number_of_layers_is_drawn(n):
    figure = LayersFigure()
    figure.draw(np.eye(n), [f"layer{i}" for i in range(n)], np.full(n, 1 / n))
    assert figure.root.height <= 600 and static.render(figure.root, "png")
