"""Order retractions by search: existence and minimality against all assignments, and cases made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels import order_retraction as orr
from netgeom_widgets.kernels.order_retraction import candidates
from tests.kernels.order_retraction_maps import as_csr, digraphs
from tests.reference import order_retraction as twin


def searched(successors, **options):
    found = orr.morse_decomposition_of_graph(*as_csr(successors))
    return orr.order_retraction(found, rule="exact", **options)


def assert_right(successors, result, morse=None):
    """Existence as by trial of all assignments, and the one found is a minimal one."""
    morse = morse or twin.Morse(successors)
    retractions = morse.retractions()
    node = tuple(result.node.tolist())
    join, status = morse.join
    assert result.status.tolist() == status
    assert result.exists is bool(retractions)
    if retractions:
        assert node in retractions and not result.obstructions
        below = [
            s for s in retractions if s != node and all(p < 0 or morse.leq[p][q] for p, q in zip(s, node, strict=True))
        ]
        assert not below
        if not {1, 2} & set(status):
            assert list(node) == join
        return
    assert result.obstructions
    cells = [v for o in result.obstructions for v in o.cells.tolist()]
    assert len(cells) == len(set(cells)) and all(morse.label[v] < 0 and morse.down[v] for v in cells)
    ends = ((node[v], node[w]) for v, after in enumerate(successors) for w in after)
    assert all(p < 0 or q < 0 or morse.leq[q][p] for p, q in ends)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(digraphs(most=9))
def test_random_digraphs(successors):
    assume(twin.number_of_assignments(twin.Morse(successors)) <= 3000)
    assert_right(successors, searched(successors))


@st.composite
def layers(draw):
    """Fixed vertices in two or three layers with transient ones between: many cells are open to the join rule."""
    rng = np.random.default_rng(draw(st.integers(0, 10**9)))
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=3))
    free = draw(st.integers(1, 5))
    n_fixed, density = sum(sizes), draw(st.sampled_from([0.4, 0.7, 1.0]))
    level = np.concatenate([np.repeat(np.arange(len(sizes)) * 1.0, sizes), rng.uniform(0, len(sizes) - 1, free)])
    edges = (level[:, None] > level) & (rng.random((n_fixed + free,) * 2) < density * 0.8)
    edges[np.arange(n_fixed), np.arange(n_fixed)] = True
    order = rng.permutation(n_fixed + free)
    return [set(np.flatnonzero(edges[v][order]).tolist()) for v in order]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(layers())
def test_layers_of_fixed_vertices(successors):
    assume(twin.number_of_assignments(twin.Morse(successors)) <= 20000)
    assert_right(successors, searched(successors))


E, F, C, D, A, B = range(
    6
)  # {e, f} below {c, d} below {a, b}: cells between two layers have to be one thing or the other
SPHERE = [{E}, {F}, {C, E, F}, {D, E, F}, {A, C, D}, {B, C, D}]


def clauses(n_upper: int, n_lower: int, pairs) -> list[set[int]]:
    """Upper cells are a or b, lower ones c or d; each ((x, x'), (y, y')) adds a cell by which x = x' or y = y'."""
    upper, lower = range(6, 6 + n_upper), range(6 + n_upper, 6 + n_upper + n_lower)
    successors = [set(after) for after in SPHERE] + [{C, D} for _ in upper] + [{E, F} for _ in lower]
    for v in (A, B):
        successors[v] |= set(lower)
    for above, below in pairs:
        for v in above:
            successors[v].add(len(successors))
        successors.append(set(below))
    return successors


def satisfiable(n_upper: int, n_lower: int, pairs) -> bool:
    values = itertools.product(itertools.product((A, B), repeat=n_upper), itertools.product((C, D), repeat=n_lower))
    for upper, lower in values:
        value = dict(enumerate((E, F, C, D, A, B, *upper, *lower)))
        if all(value[x] == value[x2] or value[y] == value[y2] for (x, x2), (y, y2) in pairs):
            return True
    return False


@st.composite
def clause_sets(draw):
    n_upper, n_lower, n_pairs = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(3, 16))
    rng = np.random.default_rng(draw(st.integers(0, 10**9)))
    above, below = [A, B, *range(6, 6 + n_upper)], [C, D, *range(6 + n_upper, 6 + n_upper + n_lower)]
    pairs = [
        (tuple(rng.choice(above, 2, False).tolist()), tuple(rng.choice(below, 2, False).tolist()))
        for _ in range(n_pairs)
    ]
    return n_upper, n_lower, [(x, y) for x, y in pairs if set(x) != {A, B} and set(y) != {C, D}]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(clause_sets())
def test_choices_are_taken_back(case):
    """Consistent candidates are not enough here: some cases need many choices, and some have no retraction."""
    successors = clauses(*case)
    result = searched(successors)
    assert result.exists is satisfiable(*case)
    morse, node = twin.Morse(successors), result.node.tolist()
    if result.exists:
        assert morse.is_retraction(node)
        for v in range(6, len(node)):  # no cell alone can be lowered
            lower = [p for p in range(6) if p != node[v] and morse.leq[p][node[v]]]
            assert not any(morse.is_retraction([*node[:v], p, *node[v + 1 :]]) for p in lower)
    else:
        assert result.obstructions


# (x = a or y = c), (x = b or y = c), (x = a or y = d), (x = b or y = d)
CONTRADICTION = (1, 1, [((6, x), (7, y)) for x in (A, B) for y in (C, D)])


def test_a_contradiction_that_only_choices_find():
    assert not satisfiable(*CONTRADICTION)
    result = searched(clauses(*CONTRADICTION))
    assert result.exists is False and result.settings["steps"] > 0
    assert (result.node[6:8] == -1).all() and result.node[:6].tolist() == [E, F, C, D, A, B]


def test_out_of_steps_is_said():
    for steps in range(searched(clauses(*CONTRADICTION)).settings["steps"]):
        result = searched(clauses(*CONTRADICTION), max_steps=steps)
        assert result.exists is None and result.settings["steps"] == steps
        assert {v for o in result.obstructions for v in o.cells.tolist()} == set(
            np.flatnonzero(result.node < 0).tolist()
        )
    with pytest.raises(NetgeomError, match="max_steps"):
        searched([{0}], max_steps=-1)


def test_parts_are_apart():
    """The same contradiction beside a part that can be settled: no retraction, but the second part has its nodes."""
    both = clauses(*CONTRADICTION)
    both += [{C, D}, {E, F}]  # a or b; lower: any of the four
    result = searched(both)
    assert result.exists is False and result.node[-2:].tolist() == [A, C] and (result.node[6:8] == -1).all()


def test_cells_may_have_to_rise_above_their_join():
    """t over a, b; both over c, d. v leads to a and w, v' to b and w, w to c and d: w cannot be below both a and b."""
    t, a, b, c, d, v, v2, w = range(8)
    successors = [{t, a, b}, {a, c, d}, {b, c, d}, {c}, {d}, {a, w}, {b, w}, {c, d}]
    found = orr.morse_decomposition_of_graph(*as_csr(successors))
    joined = orr.order_retraction(found)
    assert joined.node[[v, v2]].tolist() == found.label[[a, b]].tolist() and joined.node[w] == -1
    result = orr.order_retraction(found, rule="exact")
    assert result.exists is True and found.label[t] in result.node[[v, v2]]
    assert_right(successors, result)


def test_a_clash_is_found_along_a_path():
    """a over v1 over v2 over v3, b over v3, all over c and d: v2 would have to lie between a and b."""
    a, b, c, d, v1, v2, v3 = range(7)
    successors = [{a, v1}, {b, v3}, {c}, {d}, {v2}, {v3}, {c, d}]
    result = searched(successors)
    assert result.exists is False
    assert_right(successors, result)
    (obstruction,) = result.obstructions
    label = result.decomposition.label
    assert set(obstruction.below) == set(label[[c, d]]) and set(obstruction.upper_bounds) == set(label[[a, b]])
    assert set(obstruction.cells) <= {v1, v2, v3} and obstruction.cells.size == 1


def test_many_nodes_and_many_cells():
    """70 crowns beside each other (280 nodes, 5 words) under one top each, with chains of open cells."""
    successors: list[set[int]] = []
    for _ in range(70):
        c, d, a, b, t = range(len(successors), len(successors) + 5)
        successors += [{c}, {d}, {a, c, d}, {b, c, d}, {t, a, b}]
        first = len(successors)
        successors += [{c, d}, *({v} for v in range(first, first + 20))]
        successors[a].add(first + 10)  # the lower half of the chain lies below a
    result = searched(successors)
    assert result.exists is True and twin.Morse(successors).is_retraction(result.node.tolist())
    label = result.decomposition.label
    assert all((result.node[v : v + 21] == label[v - 3]).all() for v in range(5, len(successors), 26))


def test_waves_and_cell_by_cell_are_the_same(monkeypatch):
    """A path of 300 cells is followed cell by cell; what is asked of waves there holds as well."""
    c, d, a, b, t = range(5)
    path = range(5, 305)
    successors = [{c}, {d}, {a, c, d, path[0]}, {b, c, d}, {t, a, b}, *({v + 1} for v in path[:-1]), {c, d}]
    result = searched(successors)
    assert result.exists is True and (result.node[5:] == result.decomposition.label[a]).all()
    for number in range(8):
        rng = np.random.default_rng(number)
        pairs = [((6, int(rng.integers(4, 6))), (int(rng.integers(7, 9)), int(rng.integers(2, 4)))) for _ in range(5)]
        by_waves = searched(clauses(1, 2, pairs))
        with monkeypatch.context() as patch:
            patch.setattr(candidates, "_PATIENCE", 0)
            one_by_one = searched(clauses(1, 2, pairs))
        assert by_waves.node.tolist() == one_by_one.node.tolist() and by_waves.exists is one_by_one.exists


def test_maps_where_the_join_rule_fails():
    """Slow, strongly folded maps have many nodes without a common bound; the order holds wherever there is a node."""
    turn = np.array([[2.0, 1.0], [-1.0, 2.0], [1.0, -3.0]]) * np.pi

    def f(x):
        return np.clip(x + 0.12 * np.stack([np.sin(x @ turn[0]) - np.cos(x @ turn[2]), np.sin(x @ turn[1])], 1), -1, 1)

    images = orr.box_images(f, orr.CubicalGrid([-1, -1], [1, 1], 12))
    found = orr.morse_decomposition(images)
    result = orr.order_retraction(found, rule="exact")
    assert found.n_nodes > 64 and {1, 2} & set(result.status.tolist())
    indptr, targets = images.successors(np.arange(found.n_cells))
    sources = np.repeat(np.arange(found.n_cells), np.diff(indptr))
    placed = (result.node[sources] >= 0) & (result.node[targets] >= 0)
    assert found.leq[result.node[targets[placed]], result.node[sources[placed]]].all()
    recurrent = found.label >= 0
    assert np.array_equal(result.node[recurrent], found.label[recurrent])
    assert result.exists is False and all((found.label[o.cells] < 0).all() for o in result.obstructions)


def test_cancelled():
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        searched(clauses(*CONTRADICTION), cancel=cancel)
