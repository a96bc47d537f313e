"""The digraph of blocks reaches what the boxes reach, with fewer edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.kernels.order_retraction.blocks import DyadicBlocks


def boxes(seed, d, bits, widest):
    """Random index boxes on a grid of at most 2^bits cells: (first, last, shape, live)."""
    rng = np.random.default_rng(seed)
    shape = tuple(1 << int(b) for b in np.diff(np.sort([0, *rng.integers(0, bits + 1, d - 1), bits])))
    n = 1 << bits
    low = np.stack([rng.integers(0, side, n) for side in shape], axis=1)
    high = np.minimum(low + rng.integers(0, widest + 1, low.shape), np.array(shape) - 1)
    return low.astype(np.int32), high.astype(np.int32), shape, rng.random(n) < rng.choice([0.3, 0.8, 1.0])


def closure(step):
    """Where any number of steps leads, one at least."""
    while True:
        further = step | (step.astype(np.float32) @ step.astype(np.float32) > 0)
        if (further == step).all():
            return step
        step = further


@given(
    seed=st.integers(0, 2**32 - 1), d=st.integers(1, 3), bits=st.integers(0, 6), widest=st.sampled_from([0, 2, 9, 64])
)
def test_the_cells_reach_what_their_boxes_reach(seed, d, bits, widest):
    first, last, shape, live = boxes(seed, d, bits, widest)
    blocks = DyadicBlocks(first, last, shape, live)
    indptr, indices = blocks.graph()
    assert len(indptr) - 1 == blocks.n_cells + blocks.n_blocks and blocks.n_cells == live.sum()
    assert indptr[-1] == len(indices) <= blocks.n_edges
    step = np.zeros((len(indptr) - 1,) * 2, bool)
    step[np.repeat(np.arange(len(step)), np.diff(indptr)), indices] = True
    places = np.indices(shape).reshape(d, -1).T[live]
    by_boxes = ((places >= first[live][:, None]) & (places <= last[live][:, None])).all(axis=2)
    assert (closure(step)[: blocks.n_cells, : blocks.n_cells] == closure(by_boxes)).all()


@pytest.mark.parametrize(("shape", "edges"), [((256,), 3 * 256), ((64, 64), 5 * 64**2)])
def test_a_box_as_large_as_the_grid_costs_one_edge(shape, edges):
    n = int(np.prod(shape))
    first, last = np.zeros((n, len(shape)), np.int32), np.tile(np.array(shape, np.int32) - 1, (n, 1))
    blocks = DyadicBlocks(first, last, shape, np.ones(n, bool))
    assert blocks.n_blocks == n - 1 and blocks.n_edges == n + 2 * (n - 1) < edges < n * n


def test_nobody_takes_part():
    first = np.zeros((8, 1), np.int32)
    blocks = DyadicBlocks(first, first, (8,), np.zeros(8, bool))
    indptr, indices = blocks.graph()
    assert indptr.tolist() == [0] and not len(indices) and not blocks.n_edges
