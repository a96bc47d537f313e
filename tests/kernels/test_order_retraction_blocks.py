"""The digraph of blocks reaches what the boxes reach, with fewer edges."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.order_retraction import CubicalGrid, box_images, morse_decomposition, trimming
from netgeom_widgets.kernels.order_retraction.blocks import DyadicBlocks
from tests.kernels.order_retraction_maps import bistable, leslie, ring
from tests.kernels.test_order_retraction_properties import assert_same, at_one, lattice_maps
from tests.reference import order_retraction as twin

ALWAYS, NEVER = (patch.object(trimming, "WIDE", edges) for edges in (-1, np.inf))


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


@given(lattice_maps())
def test_morse_graphs_by_blocks_are_those_of_the_definition(case):
    dims, subdivisions, f, options = case
    grid = CubicalGrid([0] * dims, [1] * dims, subdivisions)
    single = {**options, "std": at_one(options["std"])} if "std" in options else options
    expected = twin.digraph(at_one(f), grid.lower.tolist(), grid.upper.tolist(), subdivisions, **single)
    with ALWAYS:
        assert_same(morse_decomposition(box_images(f, grid, **options)), *expected)


WIDE = [
    (leslie, CubicalGrid([-0.001, -0.001], [90, 70], 12), 4.0),
    (ring, CubicalGrid([-2, -2], [2, 2], 11), 0.3),
    (bistable, CubicalGrid(-2, 2, 10), 0.1),
    (bistable, CubicalGrid([-2, -1, -1], [2, 1, 1], 11), 0.15),
]


@pytest.mark.parametrize(("f", "grid", "sd"), WIDE)
def test_blocks_and_the_list_of_edges_give_the_same(f, grid, sd):
    images = box_images(f, grid, method="confidence", z=1.5, std=lambda x: np.full(len(x), sd))
    assert trimming.trim(images, Cancel()).wide  # blocks are what such boxes get
    found = morse_decomposition(images)
    with NEVER:
        listed = morse_decomposition(images)
    assert found.n_nodes and found.hasse == listed.hasse and found.n_components == listed.n_components
    for name in ("label", "leq", "heights", "may_leave"):
        assert (getattr(found, name) == getattr(listed, name)).all()
    assert (found.reach_sets[found.reach] == listed.reach_sets[listed.reach]).all()


@pytest.mark.parametrize("way", [ALWAYS, NEVER])
def test_too_many_edges(way):
    images = box_images(leslie, CubicalGrid([0, 0], [90, 70], 8), padding=True)
    with (
        way,
        pytest.raises(
            TooLargeError, match=r"edges between \d+ cells would take .* GiB.*at most 500 edges, max_edges.*smaller z"
        ),
    ):
        morse_decomposition(images, max_edges=500)
    with pytest.raises(NetgeomError, match="max_edges is out of range"):
        morse_decomposition(images, max_edges=0)
