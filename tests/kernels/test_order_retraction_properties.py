"""The order retraction kernel and its slow twins on random digraphs and small random maps (hypothesis)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import order_retraction as orr
from tests.kernels.order_retraction_maps import as_csr, digraphs, ring
from tests.reference import order_retraction as twin

some = settings(max_examples=60, derandomize=True, deadline=None)


def assert_same(found, successors, sticking_out=None, morse=None):
    """The decomposition and its join rule against the twin."""
    morse = morse or twin.Morse(successors)
    n = len(successors)
    assert found.label.tolist() == morse.label
    assert found.sizes.tolist() == [len(node) for node in morse.nodes]
    assert found.leq.tolist() == morse.leq
    assert set(found.hasse) == morse.hasse and len(found.hasse) == len(morse.hasse)
    assert found.heights.tolist() == morse.heights
    assert found.n_components == len(morse.components)
    assert [frozenset(np.flatnonzero(found.reach_sets[u]).tolist()) for u in found.reach] == morse.down
    assert len(np.unique(found.reach_sets, axis=0)) == len(found.reach_sets)
    leaves = twin.may_leave(successors, sticking_out or [False] * n)
    assert found.may_leave.tolist() == leaves
    indptr, indices = found.successors(np.arange(n))
    assert [set(row.tolist()) for row in np.split(indices, indptr[1:-1])] == successors

    result = orr.order_retraction(found)
    node, status = morse.join
    assert (result.node.tolist(), result.status.tolist()) == (node, status)
    assert result.may_leave.tolist() == leaves and result.rule == "join"
    failed = [v for v in range(n) if status[v] in (1, 2)]
    assert result.exists is (False if 2 in status else None if failed else True)
    assert sorted(v for o in result.obstructions for v in o.cells.tolist()) == failed
    for obstruction in result.obstructions:
        below = frozenset(obstruction.below.tolist())
        assert {morse.down[v] for v in obstruction.cells} == {below}
        assert obstruction.upper_bounds.tolist() == morse.minimal_upper_bounds(below)
    # where the rule gives both ends a node the order holds
    ends = ((node[v], node[w]) for v, after in enumerate(successors) for w in after)
    assert all(p < 0 or q < 0 or morse.leq[q][p] for p, q in ends)


@some
@given(digraphs(most=14))
def test_random_digraphs(successors):
    assert_same(orr.morse_decomposition_of_graph(*as_csr(successors)), successors)


@st.composite
def lattice_maps(draw):
    """Bisections of the unit box, values (and deviations) at corners or middles; all dyadic: nothing is rounded."""
    dims = draw(st.integers(1, 3))
    subdivisions = draw(st.integers(0, {1: 4, 2: 5, 3: 4}[dims]))
    sides = twin.shape(dims, subdivisions)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    method = draw(st.sampled_from(["corners", "centre", "confidence"]))
    kind = draw(st.sampled_from(["anywhere", "near", "outside"]))
    places = np.stack(np.meshgrid(*(np.arange(2 * n + 1) for n in sides), indexing="ij"), -1)
    values = rng.integers(-4, 20, places.shape) / 16  # of every half step, whichever the method asks for
    if kind == "near":
        values = places / (2 * np.array(sides)) + rng.integers(-2, 3, places.shape) / 32
    if kind == "outside":
        values = np.where(rng.random(places.shape[:-1])[..., None] < 0.5, 3.0, values)
    deviations = rng.integers(0, 3, places.shape) / 32

    def look_up(table):
        return lambda x: table[tuple(np.rint(np.asarray(x) * 2 * np.array(sides)).astype(int).T)]

    options = {"method": method, "padding": draw(st.booleans())}
    if method == "confidence":
        options |= {"z": draw(st.sampled_from([0.0, 0.5, 2.0])), "std": look_up(deviations)}
    return dims, subdivisions, look_up(values), options


def at_one(function):
    """A function of many points as one of a single point."""
    return lambda point: function(np.array([point]))[0].tolist()


@some
@given(lattice_maps())
def test_random_maps(case):
    dims, subdivisions, f, options = case
    grid = orr.CubicalGrid([0] * dims, [1] * dims, subdivisions)
    images = orr.box_images(f, grid, **options)
    single = {**options, "std": at_one(options["std"])} if "std" in options else options
    lower, upper = grid.lower.tolist(), grid.upper.tolist()
    assert list(grid.shape) == twin.shape(grid.dims, grid.subdivisions)
    assert [tuple(row) for row in grid.indices(np.arange(grid.n_cells))] == twin.cells(lower, upper, grid.subdivisions)
    successors, sticking_out = twin.digraph(at_one(f), lower, upper, grid.subdivisions, **single)
    assert images.n_edges == sum(map(len, successors))
    assert images.empty.tolist() == [not after for after in successors]
    assert images.may_leave.tolist() == sticking_out
    assert_same(orr.morse_decomposition(images), successors, sticking_out)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_identity_and_constant(dims):
    """Closed boxes that touch meet: the identity links each cell with all its neighbours."""
    grid = orr.CubicalGrid([-1] * dims, [1] * dims, 2 * dims)
    images = orr.box_images(lambda x: x, grid)
    assert images.n_edges == 10**dims and not images.may_leave.any()  # 2 + 3 + 3 + 2 along each axis
    found = orr.morse_decomposition(images)
    assert found.n_nodes == 1 and found.sizes.tolist() == [grid.n_cells]
    constant = orr.box_images(lambda x: np.full(x.shape, 0.25), grid)
    assert_same(
        orr.morse_decomposition(constant), twin.digraph(lambda x: [0.25] * dims, [-1] * dims, [1] * dims, 2 * dims)[0]
    )
    border = orr.box_images(lambda x: np.zeros(x.shape), grid)  # on the common corner of 2**dims cells
    assert border.n_edges == 2**dims * grid.n_cells and orr.morse_decomposition(border).sizes.tolist() == [2**dims]


def test_nothing_recurrent():
    grid = orr.CubicalGrid(0, 1, 3)
    found = orr.morse_decomposition(orr.box_images(lambda x: x + 2, grid))
    assert found.n_nodes == 0 and found.hasse == [] and found.reach_sets.shape == (1, 0) and found.may_leave.all()
    for rule in ("join", "exact"):
        result = orr.order_retraction(found, rule=rule)
        assert result.exists is True and (result.node == -1).all() and (result.status == 3).all()
        assert not result.obstructions and result.tile_sizes.size == 0
    empty = orr.morse_decomposition_of_graph([0], [])
    assert empty.n_cells == 0 and orr.order_retraction(empty, rule="exact").node.size == 0


def test_one_cell():
    grid = orr.CubicalGrid([0, 0], [1, 1], 0)
    found = orr.morse_decomposition(orr.box_images(lambda x: 0.5 * x, grid))
    assert found.sizes.tolist() == [1] and orr.order_retraction(found).node.tolist() == [0]


@pytest.mark.parametrize("n", [63, 64, 65, 200])
def test_more_nodes_than_bits_in_a_word(n):
    """A chain of n fixed vertices with a transient one between each two, and one that leads to all."""
    successors = [{v, v - 1} if v % 2 == 0 and v else {0} if v == 0 else {v - 1} for v in range(2 * n - 1)]
    successors.append(set(range(0, 2 * n - 1, 2)))
    found = orr.morse_decomposition_of_graph(*as_csr(successors))
    assert found.n_nodes == n and found.heights.tolist() == list(range(n)) and len(found.hasse) == n - 1
    result = orr.order_retraction(found)
    assert result.node.tolist() == [v // 2 for v in range(2 * n - 1)] + [n - 1]
    assert result.exists is True
    # without order between them there is nothing above
    successors = [{v} for v in range(n)] + [set(range(n))]
    result = orr.order_retraction(orr.morse_decomposition_of_graph(*as_csr(successors)))
    assert result.status.tolist() == [0] * n + [2] and result.obstructions[0].below.tolist() == list(range(n))


def test_values_that_are_no_numbers_are_refused():
    grid = orr.CubicalGrid([-1.6, -1.55], [1.7, 1.65], 6)
    for bad in (np.nan, np.inf):
        with pytest.raises(NetgeomError, match="not finite"):
            orr.box_images(lambda x, bad=bad: np.where(x[:, :1] > 1, bad, ring(x)), grid)
    with pytest.raises(NetgeomError, match="shape"):
        orr.box_images(lambda x: x[:, :1], grid)


def test_cells_that_only_leave_have_no_node():
    """x + 3/8 on [0, 1]: every way ends outside; with a fixed point at 0 added, cells above it still leave."""
    grid = orr.CubicalGrid(0, 1, 3)
    images = orr.box_images(lambda x: np.where(x == 0, 0, x + 0.5), grid)
    found = orr.morse_decomposition(images)
    result = orr.order_retraction(found)
    assert found.label.tolist() == [0] + [-1] * 7
    assert result.node.tolist() == [0] + [-1] * 7 and result.status.tolist() == [0] + [3] * 7
    assert result.may_leave.all() and result.exists is True
