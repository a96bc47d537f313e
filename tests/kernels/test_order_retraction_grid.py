"""Cubical grids, rectangles of cells, posets and sets of reached nodes: the parts that decompositions are made of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels.order_retraction import (
    CubicalGrid,
    box_images,
    components,
    morse_decomposition,
    morse_decomposition_of_graph,
    reach,
    trimming,
)
from netgeom_widgets.kernels.order_retraction.poset import covers, heights, joins, maximal, minimal, upper_bounds
from netgeom_widgets.kernels.order_retraction.rectangles import add_boxes, cells_of, summed_area, sums_in_boxes


def leslie(x):
    return np.stack([(19.6 * x[:, 0] + 23.68 * x[:, 1]) * np.exp(-0.1 * (x[:, 0] + x[:, 1])), 0.7 * x[:, 0]], axis=1)


def test_cells_of_a_grid():
    grid = CubicalGrid([0, -1], [1, 3], 3)
    assert (grid.axis_bits, grid.shape, grid.n_cells, grid.dims) == ((2, 1), (4, 2), 8, 2)
    assert grid.widths.tolist() == [0.25, 2.0] and grid.edges(1).tolist() == [-1, 1, 3]
    low, high = grid.boxes(np.arange(8))
    assert ((low + high) / 2 == grid.centres()).all() and (high - low == grid.widths).all()
    assert grid.locate(grid.centres()).tolist() == list(range(8))
    assert grid.corners().shape == (15, 2) and grid.corners()[0].tolist() == [0, -1]
    # a common border belongs to the upper neighbour, the domain's own to the last cell; NaN is nowhere
    assert grid.locate([[0.25, 1], [1, 3], [0, -1], [1.01, 0], [np.nan, 0]]).tolist() == [3, 7, 0, -1, -1]
    assert CubicalGrid(0, 1, 2).locate([0.1, 0.9]).tolist() == [0, 3]
    assert grid.refined(5).shape == (8, 4)


@pytest.mark.parametrize(
    ("lower", "upper", "n", "said"),
    [
        ([0, 0], [1], 2, "differ in dimension"),
        ([0, 1], [1, 1], 2, "no extent along axis 1"),
        ([0, np.nan], [1, 1], 2, "lower is no corner"),
        ([], [], 2, "lower is no corner"),
        ([0], [1], -1, "subdivisions"),
        ([0], [1], 31, "subdivisions"),
        ([0], [1], True, "subdivisions"),
    ],
)
def test_refused_grids(lower, upper, n, said):
    with pytest.raises(NetgeomError, match=said):
        CubicalGrid(lower, upper, n)


def test_refused_cells_and_points():
    grid = CubicalGrid([0, 0], [1, 1], 2)
    for cells in ([4], [-1], [0.5], [[0]]):
        with pytest.raises(NetgeomError, match="no cells of the grid"):
            grid.boxes(cells)
    with pytest.raises(NetgeomError, match="do not fit the grid"):
        grid.locate([[0.5]])


@st.composite
def rectangles(draw):
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    first, last = [], []
    for _ in range(draw(st.integers(0, 8))):
        ends = [sorted((draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1)))) for n in shape]
        first.append([a for a, _ in ends])
        last.append([b for _, b in ends])
    array = [np.array(rows, np.int32).reshape(-1, len(shape)) for rows in (first, last)]
    return shape, *array


@given(rectangles(), st.integers(0, 1000))
def test_rectangles_against_plain_loops(case, seed):
    shape, first, last = case
    lists = [
        [np.ravel_multi_index(index, shape) for index in itertools.product(*map(range, low, high + 1))]
        for low, high in zip(first, last, strict=True)
    ]
    counts, ids = cells_of(first, last, shape)
    assert counts.tolist() == [len(row) for row in lists] and ids.tolist() == list(itertools.chain(*lists))
    total, expected = np.full(shape, 5, np.int32), np.full(shape, 5)
    add_boxes(total, first, last, -2)
    for row in lists:
        expected.reshape(-1)[row] -= 2
    assert (total == expected).all()
    marks = np.random.default_rng(seed).integers(0, 2, shape)
    found = sums_in_boxes(summed_area(marks), first, last)
    assert found.tolist() == [marks.reshape(-1)[row].sum() for row in lists]


def test_cells_of_rectangles_some_of_which_are_empty():
    first, last = np.array([[0, 0], [1, 1], [1, 0]], np.int32), np.array([[-1, -1], [1, 2], [2, 0]], np.int32)
    counts, ids = cells_of(first, last, (3, 3))
    assert counts.tolist() == [0, 2, 2] and ids.tolist() == [4, 5, 3, 6]


@given(st.integers(0, 9), st.integers(0, 10**6))
def test_posets_against_the_definitions(k, seed):
    rng = np.random.default_rng(seed)
    leq = np.triu(rng.random((k, k)) < 0.3, 1) | np.eye(k, dtype=bool)
    for m in range(k):  # transitive closure; i <= j implies that i has the smaller number
        leq |= leq[:, m : m + 1] & leq[m : m + 1]
    strictly = [(i, j) for i in range(k) for j in range(k) if i != j and leq[i, j]]
    assert covers(leq) == sorted(
        (j, i) for i, j in strictly if not any((i, m) in strictly and (m, j) in strictly for m in range(k))
    )
    height = heights(leq)
    assert all(height[j] == max((height[i] + 1 for i in range(k) if (i, j) in strictly), default=0) for j in range(k))
    sets = rng.random((5, k)) < 0.3
    bounds = upper_bounds(leq, sets)
    join = joins(leq, bounds)
    for row, above, least in zip(sets, bounds, join, strict=True):
        expected = [p for p in range(k) if all(leq[m, p] for m in np.flatnonzero(row))]
        assert np.flatnonzero(above).tolist() == expected
        assert [p for p in expected if all(leq[p, q] for q in expected)] == ([least] if least >= 0 else [])
        assert minimal(leq, above).tolist() == [p for p in expected if not any((q, p) in strictly for q in expected)]
    down_sets = (leq[None] & sets[:, None]).any(axis=2)
    for row, top in zip(down_sets, maximal(covers(leq), down_sets), strict=True):
        members = np.flatnonzero(row)
        assert np.flatnonzero(top).tolist() == [p for p in members if not any((p, q) in strictly for q in members)]
    assert (upper_bounds(leq, maximal(covers(leq), down_sets)) == upper_bounds(leq, down_sets)).all()


def test_thin_layers_one_by_one(monkeypatch):
    """A drift through thousands of cells, with branches, has the same sets either way."""
    rng = np.random.default_rng(0)
    n = 3000
    successors = [sorted({max(v - 1, 0), max(v - int(rng.integers(1, 9)), 0)}) for v in range(n)]
    for fixed in (0, 1, 900, 901, 2000):
        successors[fixed] = sorted({*successors[fixed], fixed} - {v for v in (0, 900) if fixed - v == 1})
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in successors])])
    thin = morse_decomposition_of_graph(indptr, np.concatenate(successors))
    monkeypatch.setattr(reach, "_THIN", 0)
    layers = morse_decomposition_of_graph(indptr, np.concatenate(successors))
    assert thin.n_nodes == layers.n_nodes >= 4
    assert (thin.reach == layers.reach).all() and (thin.reach_sets == layers.reach_sets).all()


def test_peeling_changes_nothing(monkeypatch):
    """The same decomposition when nothing is peeled, and when all is that can be."""
    images = box_images(leslie, CubicalGrid([-0.001, -0.001], [90, 70], 11))
    plain = morse_decomposition(images)
    monkeypatch.setattr(trimming, "_PATIENCE", 0)
    monkeypatch.setattr(trimming, "_SHARE", 0)
    unpeeled = morse_decomposition(images)
    for name in ("label", "leq", "reach", "reach_sets", "may_leave"):
        assert np.array_equal(getattr(plain, name), getattr(unpeeled, name)), name
    assert plain.n_components == unpeeled.n_components


def test_results_do_not_depend_on_the_size_of_chunks(monkeypatch):
    grid = CubicalGrid([-0.001, -0.001], [90, 70], 9)
    whole = box_images(leslie, grid, padding=True)
    monkeypatch.setattr("netgeom_widgets.kernels.order_retraction.boxes._POINTS", 100)
    monkeypatch.setattr(components, "CHUNK", 64)
    pieces = box_images(leslie, grid, padding=True)
    assert (whole.first == pieces.first).all() and (whole.last == pieces.last).all()
    assert np.array_equal(morse_decomposition(whole).reach, morse_decomposition(pieces).reach)


def test_too_many_nodes_and_edges_are_refused(monkeypatch):
    grid = CubicalGrid([0, 0], [1, 1], 8)
    monkeypatch.setattr(components, "MOST_NODES", 10)
    # every other cell is sent into itself alone
    with pytest.raises(TooLargeError, match="256 recurrent components"):
        morse_decomposition(box_images(lambda x: x, grid, method="centre"))


def test_cancel():
    stopped = Cancel()
    stopped.set()
    grid = CubicalGrid([0, 0], [1, 1], 4)
    with pytest.raises(Cancelled):
        box_images(lambda x: x, grid, cancel=stopped)
    with pytest.raises(Cancelled):
        morse_decomposition(box_images(lambda x: x / 2, grid), cancel=stopped)


@pytest.mark.parametrize(
    ("f", "options", "said"),
    [
        (lambda x: x[:, 0], {}, "values of another shape"),
        (lambda x: np.where(x > 0.6, np.nan, x), {}, "is not finite at"),
        (lambda x: x / 0.0 if x.size else x, {}, "is not finite at"),
        (3, {}, "is no map"),
        (lambda x: x, {"method": "corner"}, "method is not known"),
        (lambda x: x, {"z": 1.0}, "act on confidence boxes alone"),
        (lambda x: x, {"method": "confidence", "z": -1.0}, "z is out of range"),
        (lambda x: x, {"method": "confidence", "z": 1.0}, "how uncertain the map is"),
    ],
)
def test_refused_maps(f, options, said):
    with np.errstate(all="ignore"), pytest.raises(NetgeomError, match=said):
        box_images(f, CubicalGrid([0.1, 0.1], [1, 1], 4), **options)


def test_a_torch_module_is_a_map_and_is_left_alone():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
    model.train()
    grid = CubicalGrid([-1, -1], [1, 1], 8)
    images = box_images(model, grid)
    assert model.training and model[0].weight.dtype == torch.float32
    copy = torch.nn.Sequential(*model).double().eval()
    plain = box_images(lambda x: copy(torch.from_numpy(x)), grid)
    assert (images.first == plain.first).all() and (images.last == plain.last).all()
    model.float().train()


def test_refused_digraphs():
    for indptr, indices, said in (
        ([0, 1], [1], "no vertex"),
        ([0, 2], [0], "does not divide"),
        ([1, 1], [0], "does not divide"),
        ([0, 1], [0.5], "does not divide"),
        ([], [], "no digraph"),
    ):
        with pytest.raises(NetgeomError, match=said):
            morse_decomposition_of_graph(indptr, indices)
