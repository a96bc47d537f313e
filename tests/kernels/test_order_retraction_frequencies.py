"""How often each Morse graph appears: kernels/order_retraction/{frequencies,resampling,poset_forms}.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.order_retraction import (
    DOODL3_SETTINGS,
    CubicalGrid,
    box_images,
    domain,
    morse_decomposition,
    morse_frequencies,
    order_retraction,
    poset_form,
    resampled_map,
)

with np.load(Path(__file__).parents[1] / "golden" / "order_retraction" / "iris_aligned.npz") as stored:
    X, Y = stored["X"][:40], stored["Y"][:40]
GRID = CubicalGrid(*domain(X, Y), 10)
OPTIONS = {"samples": 6, "padding": True, "fit": DOODL3_SETTINGS}


def hasse(order: np.ndarray) -> tuple[list[int], list[tuple[int, int]]]:
    """Heights and neighbours of a strict order, order[a, b]: b < a, from the definition."""
    n = len(order)
    heights = [0] * n
    for _ in range(n):
        heights = [max((heights[b] + 1 for b in range(n) if order[a, b]), default=0) for a in range(n)]
    edges = [
        (a, b)
        for a, b in product(range(n), repeat=2)
        if order[a, b] and not any(order[a, c] and order[c, b] for c in range(n))
    ]
    return heights, edges


def test_forms_are_equal_exactly_when_the_posets_are_isomorphic():
    rng = np.random.default_rng(0)
    orders = []
    for _ in range(40):
        n = int(rng.integers(1, 5))
        order = np.tril(rng.random((n, n)) < 0.5, -1)
        for _ in range(n):
            order |= order @ order
        orders.append(order)
    for a, b in product(orders, orders[:12]):
        isomorphic = len(a) == len(b) and any(
            np.array_equal(a[np.ix_(p, p)], b) for p in map(list, permutations(range(len(a))))
        )
        assert (poset_form(*hasse(a)) == poset_form(*hasse(b))) == isomorphic
    form = poset_form([1, 0, 2, 0], [(2, 0), (0, 3)])
    assert form.heights == (0, 0, 1, 2) and form.n_attractors == 2 and form.n_nodes == 4
    assert str(poset_form([0, 1], [(1, 0)])) == "2 nodes: 1→0" and str(poset_form([], [])) == "no recurrent cell"
    for edges in ([(1, 5)], [(1, -1)], [(0, 1)]):
        with pytest.raises(NetgeomError, match="no Hasse diagram"):
            poset_form([0, 1], edges)


def test_counts_are_those_of_the_samples_one_by_one():
    seen = []
    found = morse_frequencies(X, Y, GRID, kind="both", progress=Progress(lambda r: seen.append(r.fraction)), **OPTIONS)
    assert seen[-1] == 1 and found.kinds == ("bootstrap",) * 6 + ("posterior",) * 6
    support = np.zeros(found.of_fit.n_nodes)
    recurrent, fate, leave = np.zeros(1024), np.zeros((1024, 4)), np.zeros(1024)
    for i, (kind, seed) in enumerate(zip(found.kinds, found.seeds, strict=True)):
        one = morse_decomposition(
            box_images(resampled_map(found.fitted, kind, int(seed), grid=GRID), GRID, padding=True)
        )
        assert found.graphs[found.graph[i]].form == poset_form(one.heights.tolist(), one.hasse)
        assert found.n_nodes[i] == one.n_nodes
        retraction = order_retraction(one)
        recurrent += one.label >= 0
        support += [(one.label[found.of_fit.label == node] >= 0).any() for node in range(found.of_fit.n_nodes)]
        leave += one.may_leave
        for cell in range(1024):
            node, status = retraction.node[cell], retraction.status[cell]
            fate[cell, 3 if status == 3 else 2 if status else int(one.heights[node] > 0)] += 1
    assert np.allclose(found.recurrent, recurrent / 12) and np.allclose(found.may_leave, leave / 12)
    assert np.allclose(found.support, support / 12) and support.any()
    assert np.allclose(found.fate, fate / 12) and np.allclose(found.fate.sum(1), 1)
    assert sum(entry.count for entry in found.graphs) == 12 and len({entry.form for entry in found.graphs}) > 1
    counts = [entry.count for entry in found.graphs]
    assert counts == sorted(counts, reverse=True)
    for entry in found.graphs:
        assert sum(entry.by_kind.values()) == entry.count and entry.interval[0] <= entry.share <= entry.interval[1]
        assert entry.sample == (np.flatnonzero(found.graph == found.graphs.index(entry)).min() if entry.count else -1)
        assert poset_form(entry.example.heights.tolist(), entry.example.hasse) == entry.form
    assert found.share_as_fitted == found.graphs[found.graph_of_fit].count / 12
    of_fit = morse_decomposition(box_images(found.fitted, GRID, padding=True))
    assert found.graphs[found.graph_of_fit].form == poset_form(of_fit.heights.tolist(), of_fit.hasse)


def test_the_same_on_every_executor_and_by_run_id():
    alone = morse_frequencies(X, Y, GRID, **OPTIONS)
    ids, order = tuple(map(str, range(40))), np.random.default_rng(0).permutation(40)
    with ThreadPoolExecutor(2) as pool:
        other = morse_frequencies(
            X, Y[order], GRID, run_ids=(ids, tuple(ids[i] for i in order)), executor=pool, **OPTIONS
        )
    assert np.array_equal(alone.graph, other.graph) and np.array_equal(alone.fate, other.fate)
    assert [entry.form for entry in alone.graphs] == [entry.form for entry in other.graphs]


def test_a_bootstrap_sample_holds_whole_runs_and_keeps_or_chooses_hyperparameters():
    run = np.arange(40) // 4
    ids = tuple((int(r), i) for i, r in enumerate(run))
    found = morse_frequencies(X, Y, GRID, run_ids=(ids, ids), **{**OPTIONS, "samples": 1})
    sample = resampled_map(found.fitted, "bootstrap", 5, grid=GRID)
    drawn = [np.flatnonzero((start == X).all(1))[0] for start in sample.starts]
    assert all((np.bincount(run[drawn], minlength=10) % 4) == 0) and len(set(run[drawn])) < 10
    assert np.array_equal(sample.ends, Y[drawn])
    assert sample.noise == pytest.approx(found.fitted.noise) and np.allclose(sample.length_scale, 2)
    chosen = resampled_map(found.fitted, "bootstrap", 5, grid=GRID, refit=True)
    assert chosen.noise != pytest.approx(sample.noise, rel=1e-3) and np.array_equal(chosen.starts, sample.starts)
    nearest = morse_frequencies(X, Y, GRID, samples=2, fit={"model": "knn", "neighbours": 3})
    assert len(nearest.graph) == 2 and nearest.fitted.model == "knn"
    wide = morse_frequencies(X, Y, GRID, samples=2, method="confidence", z=1.0)
    assert wide.settings["z"] == 1.0


def test_no_recurrent_cell_is_a_graph_too():
    found = morse_frequencies(X, X + 20, GRID, samples=3, fit={"restarts": 0})
    assert found.share_empty == 1 and found.graphs[0].form.n_nodes == 0 and (found.fate[:, 3] == 1).all()
    assert "100%" in repr(found)


def test_what_cannot_be_drawn_is_refused():
    same = tuple(("a", i) for i in range(40))
    cancel = Cancel()
    cancel.set()
    for bad, message in (
        (lambda: morse_frequencies(X, Y, GRID, kind="jackknife"), "kind is not known"),
        (lambda: morse_frequencies(X, Y, GRID, samples=0), "samples is out of range"),
        (lambda: morse_frequencies(X, Y, GRID, kind="both", method="confidence"), "no standard deviation"),
        (lambda: morse_frequencies(X, Y, GRID, kind="posterior", fit={"model": "knn"}), "no posterior"),
        (lambda: morse_frequencies(X, Y, GRID, run_ids=(same, same), fit=DOODL3_SETTINGS), "too few runs"),
    ):
        with pytest.raises(NetgeomError, match=message):
            bad()
    with pytest.raises(Cancelled):
        morse_frequencies(X, Y, GRID, cancel=cancel)
