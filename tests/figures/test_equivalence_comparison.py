"""Tests of figures/equivalence_comparison.py."""

from __future__ import annotations

import numpy as np

from netgeom_widgets.figures.equivalence_comparison import ComparisonPicture, equivalence_comparison
from netgeom_widgets.kernels.equivalence import LossSlice
from tests.figures.drawn import HOSTILE, texts, validated, whole


def bowl(n: int, least: float) -> LossSlice:
    axes = (np.linspace(-1, 1, n), np.linspace(-2, 2, n))
    loss = least + axes[0][:, None] ** 2 + axes[1] ** 2
    return LossSlice(loss, loss / 2, axes, np.zeros(3), np.eye(3)[:2], 2.0, 3.0, 2.0, {})


def test_two_slices_have_one_colour_scale_and_one_epsilon():
    picture = ComparisonPicture()
    picture.show(bowl(9, 1e-9), bowl(5, 1e-3), titles=("members", HOSTILE), names=(("a", "b"), None), epsilon=0.5)
    one, other = picture.pictures
    assert one.limits == other.limits and one.epsilon == other.epsilon == 0.5
    assert (
        one.root.title.text == "members"
        and one.plane.loss_slice.loss.shape == (9, 9)
        and other.plane.loss_slice.loss.shape == (5, 5)
    )
    low = one.limits[0]
    picture.set_epsilon(0.25)
    assert one.epsilon == other.epsilon == 0.25 and one.limits[0] == low
    assert "c1: a (basis units)" in texts(picture.root)
    assert whole(picture.root)


def test_the_scale_is_that_of_both_together():
    root = equivalence_comparison(bowl(5, 1e-9), bowl(5, 1.0), epsilon=0.1)
    alone = ComparisonPicture()
    alone.show(bowl(5, 1.0), bowl(5, 1.0))
    both = ComparisonPicture()
    both.show(bowl(5, 1e-9), bowl(5, 1.0))
    assert both.pictures[1].limits[0] < alone.pictures[1].limits[0]
    assert validated(root)
