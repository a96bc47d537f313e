"""Tests of figures/equivalence_curves.py."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.figures.equivalence_curves import ClassCurve, ClassCurvesFigure
from netgeom_widgets.figures.plots import LEGEND_ENTRIES
from tests.figures.drawn import HOSTILE, caption, texts, whole


def curve(name: str, n: int = 9, dimension: int = 2) -> ClassCurve:
    length = np.linspace(-2, 3, n)
    return ClassCurve(name, length, np.abs(length) * 1e-28, np.full(n, dimension), length**2)


def columns(figure: ClassCurvesFigure) -> list:
    return [plot.renderers[1].data_source.data for plot in figure.root.children]


def test_each_curve_is_drawn_by_its_length_in_three_plots():
    figure = ClassCurvesFigure()
    figure.show([curve("axis c1"), curve(HOSTILE, 5, 3)])
    loss, dimension, distance = columns(figure)
    assert loss["x"].tolist() == [*np.linspace(-2, 3, 9), *np.linspace(-2, 3, 5)]
    assert loss["y"][0] == pytest.approx(np.log10(2e-28)) and dimension["y"].tolist() == [2] * 9 + [3] * 5
    assert distance["y"][:2] == pytest.approx([4, (-2 + 5 / 8) ** 2])
    assert loss["colour"][0] != loss["colour"][-1] and caption(figure.root.children[0]) == ""
    assert "axis c1" in texts(figure.root)
    assert whole(figure.root)


def test_what_is_below_rounding_and_what_has_no_legend_entry_is_said():
    figure = ClassCurvesFigure()
    exact = ClassCurve("exact", np.array([0.0, 1.0]), np.zeros(2), np.array([1, -1]), np.zeros(2))
    figure.show([exact] * (LEGEND_ENTRIES + 2))
    loss, dimension, _ = columns(figure)
    assert set(loss["y"]) == {-33.0} and np.isnan(dimension["y"][1])
    said = caption(figure.root.children[0])
    assert "R below 1e-33 is drawn there." in said and "2 more curves." in said
    figure.show([])
    assert all(len(data["x"]) == 0 for data in columns(figure))
    assert whole(figure.root)
