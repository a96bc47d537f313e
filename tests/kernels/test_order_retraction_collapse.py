"""Morse decompositions with some nodes only, on random digraphs and on a map with many nodes that mean nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import order_retraction as orr
from tests.kernels import order_retraction_maps as maps
from tests.kernels.test_order_retraction_exact import assert_right, layers
from tests.kernels.test_order_retraction_properties import assert_same
from tests.reference import order_retraction as twin


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.one_of(maps.digraphs(most=9), layers()), st.data())
def test_random_digraphs(successors, data):
    found = orr.morse_decomposition_of_graph(*maps.as_csr(successors))
    whole = twin.Morse(successors)
    keep = data.draw(st.lists(st.sampled_from(range(found.n_nodes)), unique=True) if found.n_nodes else st.just([]))
    morse = twin.Morse(successors, {whole.nodes[p] for p in keep})
    small = orr.collapse(found, keep)
    assert_same(small, successors, morse=morse)
    assert [whole.nodes[p] for p in small.settings["kept"]] == morse.nodes
    if len(keep) == found.n_nodes:
        assert small.leq.tolist() == found.leq.tolist() and small.label.tolist() == found.label.tolist()
    assume(twin.number_of_assignments(morse) <= 3000)
    assert_right(successors, orr.order_retraction(small, rule="exact"), morse)


def test_twice():
    found = orr.morse_decomposition_of_graph(*maps.as_csr([{0}, {0, 1}, {1, 2}, {2, 3}, {3}]))
    once = orr.collapse(found, [3, 1, 0])
    assert once.settings["kept"] == (0, 1, 3) and once.hasse == [(1, 0), (2, 1)]
    twice = orr.collapse(once, [2])
    assert twice.settings["kept"] == (3,) and twice.label.tolist() == [-1, -1, -1, 0, -1]
    assert twice.reach_sets[twice.reach].ravel().tolist() == [False, False, False, True, True]


def test_bistable_without_spurious_nodes():
    """28 nodes at n = 10, padded; three of them, two sinks and a saddle, have a Conley index that is not trivial."""
    grid = orr.CubicalGrid([-1.6, -1.3], [1.7, 1.4], 10)
    found = orr.morse_decomposition(orr.box_images(maps.bistable, grid, padding=True))
    large = np.setdiff1d(np.arange(found.n_nodes), orr.small_nodes(found, 20))
    small = orr.collapse(found, large)
    assert small.sizes.tolist() == [24, 24, 30] and small.heights.tolist() == [0, 0, 1]
    for rule in ("join", "exact"):
        result = orr.order_retraction(small, rule=rule)
        assert result.exists is True and (result.node >= 0).all()
        indptr, targets = small.successors(np.arange(grid.n_cells))
        sources = np.repeat(np.arange(grid.n_cells), np.diff(indptr))
        assert small.leq[result.node[targets], result.node[sources]].all()
        assert all(np.unique(result.node[found.label == p]).size == 1 for p in range(found.n_nodes))


def test_short_lived():
    """On a finer grid the nodes beside the fixed points are others; those of the fixed points stay."""
    grid = orr.CubicalGrid([-1.6], [1.7], 6)
    followed = orr.persistence(maps.bistable, grid, [6, 8, 10, 12], padding=True)
    last = followed.decompositions[-1]
    gone = orr.short_lived(followed, 4)
    kept = np.setdiff1d(np.arange(last.n_nodes), gone)
    assert gone.tolist() == np.flatnonzero(followed.lifetimes[followed.tracks()] < 4).tolist()
    small = orr.collapse(last, kept)
    middles = sorted(last.grid.centres()[last.label == p].mean() for p in kept)
    np.testing.assert_allclose(middles, [-1, 0, 1], atol=0.05)
    assert small.heights.tolist() == [0, 0, 1] and orr.order_retraction(small).exists is True
    for options in ({"min_levels": 0}, {"min_levels": 5}, {"min_levels": 1, "level": 4}):
        with pytest.raises(NetgeomError):
            orr.short_lived(followed, **options)


@pytest.mark.parametrize("keep", [[0, 0], [2], [-1], [0.5], [True, False], [[0]], ["a"], 0])
def test_refused(keep):
    found = orr.morse_decomposition_of_graph(*maps.as_csr([{0}, {0, 1}]))
    with pytest.raises(NetgeomError, match="keep"):
        orr.collapse(found, keep)
    with pytest.raises(NetgeomError, match="min_cells"):
        orr.small_nodes(found, 0)
