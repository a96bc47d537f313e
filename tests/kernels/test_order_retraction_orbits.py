"""Reach sets, blocks, basins and orbits against their definitions on the whole relation."""

from __future__ import annotations

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction import (
    CubicalGrid,
    attracting_block,
    basin,
    box_images,
    morse_decomposition,
    morse_decomposition_of_graph,
    orbit,
    order_retraction,
    reachable_cells,
    reaching_cells,
)


def sloping(x):
    """Two sinks on the line y = 0.2; a part of the domain is mapped out of it."""
    return np.stack([1.5 * np.tanh(2 * x[:, 0]) / 1.6, 0.6 * x[:, 1] + 0.08 + 0.9 * (x[:, 0] > 0.8)], axis=1)


@pytest.fixture(scope="module")
def case():
    images = box_images(sloping, CubicalGrid([-1, -1], [1, 1], 8))
    n = images.grid.n_cells
    indptr, indices = images.successors(np.arange(n))
    step = np.eye(n, dtype=bool)
    step[np.repeat(np.arange(n), np.diff(indptr)), indices] = True
    while True:
        further = step.astype(np.float32) @ step.astype(np.float32) > 0
        if (further == step).all():
            return images, morse_decomposition(images), step
        step = further


@pytest.mark.parametrize("start", [[0], [3, 77, 200], list(range(256))])
def test_reach_sets_forwards_and_backwards(case, start):
    images, found, step = case
    assert images.empty.any() and found.n_nodes >= 3
    retraction = order_retraction(found)
    as_graph = morse_decomposition_of_graph(*images.successors(np.arange(images.grid.n_cells)))
    for source in (images, found, retraction, as_graph):
        assert (reachable_cells(source, start) == step[start].any(axis=0)).all()
        assert (reaching_cells(source, start) == step[:, start].any(axis=1)).all()


def test_blocks_and_basins_are_forward_closed(case):
    _, found, step = case
    retraction = order_retraction(found)
    assert retraction.exists
    ends = retraction.status == 3
    for node in range(found.n_nodes):
        block = attracting_block(retraction, node)
        assert (block == basin(found, node)).all() and block[found.label == node].all()
        assert not (step[block].any(axis=0) & ~block & ~ends).any()
        assert (block == np.isin(retraction.node, np.flatnonzero(found.leq[:, node]))).all()
    lowest = np.flatnonzero(found.heights == 0)
    together = basin(found, lowest)
    assert len(lowest) > 1 and not (attracting_block(retraction, lowest) & ~together).any()
    assert not (step[together].any(axis=0) & ~together & ~ends).any()


def test_a_crown_has_basins_and_no_blocks():
    """a and b lead to v, and v to c and d: nothing between v and the two above it."""
    found = morse_decomposition_of_graph([0, 2, 4, 6, 7, 8], [0, 2, 1, 2, 3, 4, 3, 4])
    retraction = order_retraction(found)
    assert basin(found, [0, 1]).tolist() == [False, False, True, True, True]
    with pytest.raises(NetgeomError, match=r"1 cells have no node.*rule='exact'"):
        attracting_block(retraction, 0)


def test_orbits_follow_the_map_and_stop_outside():
    grid = CubicalGrid([-1, -1], [1, 1], 4)
    starts = np.array([[-0.5, 0.5], [0.95, -0.2], [-5.0, 0.0]])
    found = orbit(sloping, starts, 4, grid)
    assert found.shape == (5, 3, 2) and (found[0] == starts).all()
    at = starts[:1]
    for t in range(1, 5):
        at = sloping(at)
        assert (found[t, 0] == at[0]).all()
    for run in (1, 2):  # the point outside is kept, and none after it
        inside = grid.locate(found[:, run]) >= 0
        last = np.flatnonzero(~inside)[0]
        assert np.isfinite(found[: last + 1, run]).all() and np.isnan(found[last + 1 :, run]).all()


def test_an_orbit_ends_where_the_map_is_not_finite():
    found = orbit(lambda x: np.where(x < 0.5, x + 0.3, np.inf), [[0.1]], 4, CubicalGrid(0, 1, 3))
    assert found[:3, 0, 0] == pytest.approx([0.1, 0.4, 0.7]) and np.isnan(found[3:]).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda images, found: reachable_cells(images, [256]), "no such cells"),
        (lambda images, found: reachable_cells(found, [0.5]), "no such cells"),
        (lambda images, found: reaching_cells("images", [0]), "leads nowhere"),
        (lambda images, found: basin(found, found.n_nodes), "no such nodes"),
        (lambda images, found: orbit(sloping, [[0, np.nan]], 3, images.grid), "no points of the phase space"),
        (lambda images, found: orbit(sloping, [[0, 0]], -1, images.grid), "steps is out of range"),
    ],
)
def test_what_is_refused(case, call, said):
    with pytest.raises(NetgeomError, match=said):
        call(*case[:2])
