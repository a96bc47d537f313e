"""The order retraction kernel against CMGDB: Morse sets, edges, what cells reach, images of single cells.

CMGDB keeps static buffers, so it is called from one thread; its cells are numbered by the bisections that lead to them.
"""

from __future__ import annotations

import sys

import CMGDB
import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import order_retraction as orr
from netgeom_widgets.kernels.order_retraction.conley import bisection_order
from tests.kernels import order_retraction_maps as maps


def of_cmgdb(f, lower, upper, subdivisions, padding):
    """(Morse graph, map graph), both with cached edges."""

    def whole(box):
        return CMGDB.BoxMapBatch(f, np.array([box]), padding=padding)[0].tolist()

    model = CMGDB.Model(subdivisions, list(map(float, lower)), list(map(float, upper)), whole)
    model.set_batch_map(lambda boxes: CMGDB.BoxMapBatch(f, boxes, padding=padding))
    return CMGDB.ComputeMorseGraph(model, cache_map_graph=True)


CASES = {
    "logistic": (maps.logistic, [0.001], [0.999], 12, False),
    "bistable_1d": (maps.bistable, [-1.6], [1.7], 9, True),
    "identity_1d": (lambda x: x, [-1], [1], 6, False),  # touching boxes at dyadic borders
    "leslie": (maps.leslie, [-0.001, -0.001], [90, 70], 13, False),
    "leslie_padded": (maps.leslie, [-0.001, -0.001], [90, 70], 12, True),
    "bistable_2d_padded": (maps.bistable, [-1.6, -1.3], [1.7, 1.4], 11, True),
    "ring": (maps.ring, [-1.6, -1.55], [1.7, 1.65], 12, False),
    "out_of_the_domain": (maps.henon, [-1.0, -1.1], [1.3, 1.2], 12, False),
    "bistable_3d": (maps.bistable, [-1.6, -1.3, -1.2], [1.7, 1.4, 1.1], 11, False),
    "bistable_3d_padded": (maps.bistable, [-1.6, -1.3, -1.2], [1.7, 1.4, 1.1], 11, True),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_cmgdb(name):
    f, lower, upper, subdivisions, padding = CASES[name]
    grid = orr.CubicalGrid(lower, upper, subdivisions)
    images = orr.box_images(f, grid, padding=padding)
    found = orr.morse_decomposition(images)
    morse_graph, map_graph = of_cmgdb(f, lower, upper, subdivisions, padding)
    theirs = bisection_order(grid)
    ours = np.argsort(theirs)  # our cell of each of theirs

    nodes = list(morse_graph.vertices())
    sets = {frozenset(ours[morse_graph.morse_set(p)].tolist()): p for p in nodes}
    number = {p: sets[frozenset(np.flatnonzero(found.label == p).tolist())] for p in range(found.n_nodes)}
    assert len(number) == len(nodes)
    assert {(number[a], number[b]) for a, b in found.hasse} == set(morse_graph.edges())
    above = {(number[j], number[i]) for i, j in np.argwhere(found.leq) if i != j}
    assert above == set(morse_graph.edges_unreduced())

    assert images.n_edges == map_graph.num_cached_edges()
    some = np.random.default_rng(0).choice(grid.n_cells, min(300, grid.n_cells), replace=False)
    indptr, indices = images.successors(some)
    for cell, row in zip(some, np.split(indices, indptr[1:-1]), strict=True):
        assert row.tolist() == sorted(ours[map_graph.adjacencies(int(theirs[cell]))].tolist())

    if found.n_nodes <= 64:  # their masks have 64 bits; "bistable_3d" has 112 nodes
        masks = CMGDB.MorseReachabilityMasks(map_graph, morse_graph, theirs.tolist())
        bits = np.array([np.uint64(1 << number[p]) for p in range(found.n_nodes)], np.uint64)
        np.testing.assert_array_equal((found.reach_sets * bits).sum(axis=1, dtype=np.uint64)[found.reach], masks)
    else:
        assert name == "bistable_3d"


def test_conley_indices_of_any_boxes():
    """The indices are those of the boxes given: of confidence boxes too, and of boxes that leave the domain."""
    grid = orr.CubicalGrid([-1.6, -1.3], [1.7, 1.4], 8)
    wide = orr.box_images(maps.bistable, grid, method="confidence", z=1, std=lambda x: np.full(x.shape, 0.02))
    found = orr.morse_decomposition(wide)
    indices = orr.conley_indices(found)
    kept = [p for p, index in enumerate(indices) if set(index) != {"0"}]
    small = orr.collapse(found, kept)
    assert sorted(indices[p] for p in kept) == [("0", "x-1", "0"), ("x-1", "0", "0"), ("x-1", "0", "0")]
    assert orr.conley_indices(small) == [indices[p] for p in small.settings["kept"]]
    out = orr.morse_decomposition(orr.box_images(lambda x: 3 * x, orr.CubicalGrid(-1, 1, 6)))
    assert orr.conley_indices(out) == [("0", "x-1")]
    nothing = orr.morse_decomposition(orr.box_images(lambda x: x + 5, grid))
    assert orr.conley_indices(nothing) == []


def test_conley_indices_refused(monkeypatch):
    with pytest.raises(NetgeomError, match="a digraph"):
        orr.conley_indices(orr.morse_decomposition_of_graph([0, 1], [0]))
    found = orr.morse_decomposition(orr.box_images(maps.logistic, orr.CubicalGrid(0, 1, 3)))
    monkeypatch.setitem(sys.modules, "CMGDB", None)
    with pytest.raises(NetgeomError, match=r"netgeom_widgets\[conley\]"):
        orr.conley_indices(found)
