"""Tests of what neighbours say a label should be: kernels/similarity/neighbour_labels.py."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity import neighbour_labels


def test_against_a_plain_vote_among_the_nearest():
    rng = np.random.default_rng(0)
    values = np.corrcoef(rng.normal(size=(25, 6)))
    labels = rng.choice([2, 5, 9], size=25)
    for k in (1, 4, 10, 50):
        expected = []
        for i in range(25):
            others = sorted((j for j in range(25) if j != i), key=lambda j: (-values[i, j], j))[:k]
            votes = {label: sum(max(values[i, j], 0) for j in others if labels[j] == label) for label in (2, 5, 9)}
            expected.append(min(votes, key=lambda label: (-votes[label], label)))
        assert np.array_equal(neighbour_labels(values, labels, k=k), expected)


def test_where_nothing_is_similar_nothing_is_said():
    assert neighbour_labels(np.zeros((3, 3)), [0, 1, 2]).tolist() == [-1, -1, -1]
    assert neighbour_labels(np.ones((1, 1)), [4]).tolist() == [-1]
    with pytest.raises(NetgeomError):
        neighbour_labels(np.ones((2, 2)), [0.5, 1.0])
