"""The order retraction kernel against cases with known answers: CMGDB's Morse sets, the log of CMGDB_RETRACT, Iris.

Numbers of nodes are no part of a case: nodes are matched by their cells.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

from netgeom_widgets.kernels import order_retraction as orr
from tests.kernels import order_retraction_maps as maps

FOLDER = Path(__file__).parents[1] / "golden" / "order_retraction"
FORMULAS = {
    "leslie_n10": maps.leslie,
    "leslie_n18": maps.leslie,
    "bistable1d_n8_pad": maps.bistable,
    "bistable2d_n10_pad": maps.bistable,
    "logistic383_n14": maps.logistic,
    "ring_rot5_n12": maps.ring,
}
IRIS = ("iris_aligned", "iris_displacement_empty")
MAPS = [*FORMULAS, *IRIS]


def stored(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    facts, path = json.loads((FOLDER / f"{name}.json").read_text()), FOLDER / f"{name}.npz"
    if not path.exists():
        return facts, {}
    with np.load(path, allow_pickle=False) as arrays:
        return facts, {key: arrays[key] for key in arrays.files}


def gaussian_process(facts: dict, arrays: dict[str, np.ndarray]):
    """`mean_formula` of the Iris cases: the mean of a fitted Gaussian process, of the map or of the displacement."""
    length = facts["length_scale"] if "length_scale" in facts else facts["gp"]["length_scale"]

    def mean(x):
        squares = ((x[:, None, :] - arrays["X"]) ** 2).sum(-1)
        return np.exp(-squares / (2 * length**2)) @ arrays["alpha"]

    return (lambda x: x + mean(x)) if facts["mean_formula"].startswith("f(x)=x+") else mean


@cache
def computed(name: str) -> SimpleNamespace:
    facts, arrays = stored(name)
    f = FORMULAS.get(name) or gaussian_process(facts, arrays)
    padding = facts.get("padding", name.endswith("_pad"))
    grid = orr.CubicalGrid(facts["lower_bounds"], facts["upper_bounds"], facts["subdivisions"])
    images = orr.box_images(f, grid, padding=padding)
    found = orr.morse_decomposition(images)
    joined = orr.order_retraction(found)
    indptr, indices = images.successors(np.arange(grid.n_cells))
    sources = np.repeat(np.arange(grid.n_cells), np.diff(indptr))
    return SimpleNamespace(
        facts=facts, arrays=arrays, grid=grid, images=images, found=found, joined=joined, edges=(sources, indices)
    )


def numbers_of(case: SimpleNamespace) -> dict[int, int]:
    """The case's number of each node: by cells where the case has them, else by the numbers of cells."""
    label = case.found.label
    if "morse_label" in case.arrays:
        expected = case.arrays["morse_label"]
        assert np.array_equal(label >= 0, expected >= 0)
        pairs = set(zip(label[label >= 0].tolist(), expected[label >= 0].tolist(), strict=True))
        assert len(pairs) == case.found.n_nodes
        return dict(pairs)
    sizes = case.facts.get("morse_cells", [])
    assert len(set(sizes)) == len(sizes)
    return {p: sizes.index(int(size)) for p, size in enumerate(case.found.sizes)}


@pytest.mark.parametrize("name", MAPS)
def test_grid_and_graph(name):
    case = computed(name)
    facts = case.facts
    if "axis_bits" in facts:
        assert list(case.grid.axis_bits) == facts["axis_bits"]
    assert case.grid.n_cells == facts.get("n_cells", 2 ** facts["subdivisions"]) == case.found.n_cells
    assert case.images.n_edges == case.edges[1].size == facts.get("n_edges", case.images.n_edges)
    assert case.found.n_components == facts.get("n_scc", case.found.n_components)
    assert case.found.n_nodes == facts["n_morse"]
    if "cells_empty_image" in facts:
        assert case.images.empty.sum() == facts["cells_empty_image"]


@pytest.mark.parametrize("name", [name for name in MAPS if name != "iris_displacement_empty"])
def test_morse_nodes_and_tiles(name):
    case = computed(name)
    facts, found, joined = case.facts, case.found, case.joined
    number = numbers_of(case)
    assert sorted(number.values()) == list(range(facts["n_morse"]))
    ours = {number[p]: int(size) for p, size in enumerate(found.sizes)}
    assert [ours[p] for p in range(facts["n_morse"])] == facts["morse_cells"]
    assert {(number[a], number[b]) for a, b in found.hasse} == {(a, b) for a, b in facts["hasse_upper_to_lower"]}
    per_tile = Counter(number[p] for p in joined.node[joined.node >= 0].tolist())
    expected = facts["cells_per_tile"] if "cells_per_tile" in facts else facts["retraction"]["cells_per_node"]
    assert [per_tile[p] for p in range(facts["n_morse"])] == expected
    if "sigma" in case.arrays:
        renumbered = np.array([number[p] for p in range(found.n_nodes)] + [-1])[joined.node]
        np.testing.assert_array_equal(renumbered, case.arrays["sigma"])
        for key in ("sigma", "morse_label"):
            stored_hash = facts.get(f"sha256_{key}_int16_C")  # the Iris cases have none
            assert stored_hash in (None, hashlib.sha256(case.arrays[key].tobytes()).hexdigest())
    info = facts["info"] if "info" in facts else facts["retraction"]["info"]
    reaching = found.reach_sets[np.unique(found.reach)]
    assert len(np.unique(reaching, axis=0)) == len(reaching) == info["reach_sets"]
    statuses = ("cells_join", "cells_ambiguous", "cells_no_upper", "cells_exit")
    assert [int((joined.status == s).sum()) for s in range(4)] == [info[key] for key in statuses]
    assert joined.exists is True and not joined.obstructions


@pytest.mark.parametrize("name", MAPS)
def test_the_retraction_is_one(name):
    """Order on every edge, Morse nodes fixed, every cell that reaches a recurrent one in one tile."""
    case = computed(name)
    found, node = case.found, case.joined.node
    sources, targets = case.edges
    tied = node[targets] >= 0
    assert (node[sources[tied]] >= 0).all()
    assert found.leq[node[targets[tied]], node[sources[tied]]].all()
    recurrent = found.label >= 0
    assert np.array_equal(node[recurrent], found.label[recurrent])
    assert np.array_equal(node >= 0, found.reach_sets[found.reach].any(axis=1))
    assert case.joined.tile_sizes.sum() == (node >= 0).sum()
    assert np.array_equal(orr.order_retraction(found, rule="exact").node, node)


@pytest.mark.parametrize("name", [name for name in FORMULAS if "conley_index" in stored(name)[0]])
def test_conley_indices(name):
    case = computed(name)
    number = numbers_of(case)
    found = {number[p]: list(index) for p, index in enumerate(orr.conley_indices(case.found))}
    assert [found[p] for p in range(case.found.n_nodes)] == case.facts["conley_index"]


def test_the_log_of_cmgdb_retract():
    """leslie_n18, "RC 7 succ 243396 pred 2 parallel 3020 empty 0": cells outside Morse sets by what bounds them.

    succ: the nodes below have a greatest one; pred: they have not, but those above have a least; parallel: neither.
    The strong components are counted, Morse sets apart.
    """
    case = computed("leslie_n18")
    found = case.found
    sets = found.reach_sets
    n_below = sets.sum(axis=1)
    top = np.array([any(row[p] and (found.leq[:, p] >= row).all() for p in range(found.n_nodes)) for row in sets])
    free = found.label < 0
    succ = free & top[found.reach]
    reached = np.zeros((found.n_nodes, found.n_cells), bool)
    for p in range(found.n_nodes):
        front = np.flatnonzero(found.label == p)
        reached[p, front] = True
        while front.size:
            front = np.unique(found.successors(front)[1])
            front = front[~reached[p, front]]
            reached[p, front] = True
    rest = np.flatnonzero(free & ~succ & (n_below[found.reach] > 0))
    above = reached[:, rest]
    pred = sum(any(up[p] and (found.leq[p] >= up).all() for p in range(found.n_nodes)) for up in above.T)
    assert (int(succ.sum()), int(pred), len(rest) - int(pred)) == (243396, 2, 3020)
    assert "succ 243396 pred 2 parallel 3020" in case.facts["formula"]


def test_the_crown_has_no_retraction():
    facts, _ = stored("obstruction_crown")
    expected, names = facts["expected"], facts["names"]
    edges = np.array(facts["edges"])
    graph = csr_array((np.ones(len(edges), np.int8), tuple(edges.T)), (facts["n"], facts["n"]))
    found = orr.morse_decomposition_of_graph(graph.indptr, graph.indices)
    name_of = {int(p): names[v] for v, p in enumerate(found.label) if p >= 0}
    assert sorted(name_of.values()) == expected["morse_nodes"]
    assert sorted([name_of[a], name_of[b]] for a, b in found.hasse) == expected["hasse"]
    v = names.index("v")
    assert sorted(name_of[p] for p in np.flatnonzero(found.reach_sets[found.reach[v]])) == expected["reach_set_of_v"]
    for rule, exists in (("join", None), ("exact", expected["order_retraction_exists"])):
        result = orr.order_retraction(found, rule=rule)
        assert result.exists is exists and result.node[v] == -1 and result.status[v] == 1
        (obstruction,) = result.obstructions
        assert obstruction.cells.tolist() == [v]
        assert sorted(name_of[p] for p in obstruction.below) == expected["reach_set_of_v"]
        assert sorted(name_of[p] for p in obstruction.upper_bounds) == expected["minimal_upper_bounds_of_reach"]


def test_the_iris_process_is_the_fitted_one():
    """alpha solves (K + noise I) alpha = Y, and the log marginal likelihood is the stored one."""
    for name in IRIS:
        facts, arrays = stored(name)
        fitted = facts.get("gp", facts)
        x, y = arrays["X"], arrays["Y"] - (arrays["X"] if "gp" not in facts else 0)
        n = len(x)
        gram = np.exp(-((x[:, None] - x) ** 2).sum(-1) / (2 * fitted["length_scale"] ** 2))
        gram += (fitted["noise"] + 1e-10) * np.eye(n)
        np.testing.assert_allclose(gram @ arrays["alpha"], y, atol=1e-8)
        fit, volume = -0.5 * (y * arrays["alpha"]).sum(), np.linalg.slogdet(gram)[1]
        likelihood = fit - y.shape[1] / 2 * (volume + n * np.log(2 * np.pi))
        np.testing.assert_allclose(likelihood, fitted.get("log_marginal_likelihood", fitted.get("lml")), atol=1e-6)


def test_iris_trajectories_belong_to_the_pairs():
    """50 of the runs trained again, 6 kernel weights and 3 biases: each starts nearest to its own row of X."""
    facts, arrays = stored("iris_aligned")
    with np.load(FOLDER / "iris_trajectories.npz", allow_pickle=False) as runs:
        weights, epochs = runs["W"], runs["epochs"]
    assert weights.shape == (50, len(epochs), 9) and (np.diff(epochs) > 0).all()
    starts = weights[:, 0, facts["columns"]]
    distances = np.abs(starts[:, None] - arrays["X"]).max(axis=2)
    assert np.array_equal(distances.argmin(axis=1), np.arange(50))
