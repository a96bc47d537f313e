"""Runs by tile: kernels/order_retraction/{tiles,group_test,run_scores}.py."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels.order_retraction import (
    CubicalGrid,
    box_images,
    morse_decomposition,
    morse_decomposition_of_graph,
    order_retraction,
    prediction_entropy,
    run_accuracy,
    run_entropy,
    tile_statistics,
)

RNG = np.random.default_rng(0)
GRID = CubicalGrid([-2.03], [2.0], 6)


def bistable(x: np.ndarray) -> np.ndarray:
    """Goes to -1 or 1; beyond 1.5 out of the domain."""
    return np.where(np.abs(x) > 1.5, 9.0, x + 0.3 * np.sin(np.pi * x))


RETRACTION = order_retraction(morse_decomposition(box_images(bistable, GRID)))


def test_each_run_is_in_the_tile_of_its_cell():
    starts = np.array([[-1.0], [-0.5], [1.0], [0.6], [0.01], [1.8], [3.0], [np.nan], [0.3]])
    found = tile_statistics(RETRACTION, starts, {"loss": np.arange(9.0)})
    for point, cell, node, status, tile in zip(starts, found.cell, found.node, found.status, found.tile, strict=True):
        if not -2.03 <= point[0] <= 2:
            assert (cell, node, status, tile) == (-1, -1, -1, -3)
            continue
        assert cell == GRID.locate(point[None])[0]
        assert node == RETRACTION.node[cell] and status == RETRACTION.status[cell]
        assert tile == (node if node >= 0 else -2 if status == 3 else -1)
    assert found.n_outside == 2 and found.tile[5] == -2 and len(set(found.tile[[0, 2, 4]].tolist())) == 3
    assert found.n_runs.sum() == 9 and found.tiles.tolist()[-2:] == [-2, -3]
    assert found.names[-1] == "outside the domain" and found.names[0] == "node 0"
    assert np.array_equal(found.runs(-3), [6, 7]) and "node 0: " in repr(found)


def test_a_summary_is_that_of_the_runs_of_a_tile():
    starts = RNG.uniform(-2.2, 2.2, size=(60, 1))
    accuracy = RNG.random(60)
    accuracy[[3, 7]] = np.nan, np.inf
    found = tile_statistics(RETRACTION, starts, {"accuracy": accuracy}, permutations=99)
    assert found.missing == {"accuracy": 2}
    table = found.table()
    for row, tile in enumerate(found.tiles):
        own = accuracy[(found.tile == tile) & np.isfinite(accuracy)]
        assert found.n_runs[row] == (found.tile == tile).sum()
        assert table["accuracy mean"][row] == pytest.approx(own.mean())
        sd = np.std(own, ddof=1) if len(own) > 1 else np.nan
        assert table["accuracy sd"][row] == pytest.approx(sd, nan_ok=True)
        assert table["accuracy median"][row] == pytest.approx(np.median(own))
        assert [table[f"accuracy {side}_quartile"][row] for side in ("lower", "upper")] == pytest.approx(
            np.quantile(own, [0.25, 0.75])
        )
    alone = tile_statistics(RETRACTION, starts[:1], accuracy[:1])
    assert np.isnan(alone.summary["value"]["sd"]).all() and np.isnan(alone.tests["value"].p)


def test_few_runs_are_compared_exactly_by_all_arrangements():
    starts = np.array([[-1.0], [-0.9], [1.0], [0.9], [0.8], [1.8], [0.01]])
    values = np.array([0.1, 0.3, 0.9, 0.8, 0.4, 0.2, 0.8])
    found = tile_statistics(RETRACTION, starts, values)
    test = found.tests["value"]

    def f(labels) -> float:
        return stats.f_oneway(*[values[labels == label] for label in np.unique(labels)]).statistic

    reference = f(found.tile)
    arranged = [f(np.array(labels)) for labels in set(permutations(found.tile.tolist()))]
    assert test.exact and test.f == pytest.approx(reference) and test.n_groups == 4 and test.n_runs == 7
    assert test.p == pytest.approx(np.mean([value >= reference - 1e-9 for value in arranged]))
    assert test.arrangements == 5040 // (2 * 6)  # sizes 2, 3, 1, 1


def test_many_runs_are_compared_by_drawn_arrangements():
    starts = RNG.uniform(-1.4, 1.4, size=(80, 1))
    tile = tile_statistics(RETRACTION, starts, {}).tile
    values = {"noise": RNG.normal(size=80), "by tile": (tile == tile[0]) + 0.1 * RNG.normal(size=80)}
    found = tile_statistics(RETRACTION, starts, values, permutations=999, seed=1)
    groups = [values["noise"][tile == each] for each in np.unique(tile)]
    noise, planted = found.tests["noise"], found.tests["by tile"]
    assert noise.f == pytest.approx(stats.f_oneway(*groups).statistic)
    assert noise.p == pytest.approx(stats.f_oneway(*groups).pvalue, abs=0.06) and not noise.exact
    assert planted.p == 1 / 1000 and planted.explained > 0.8
    assert found.adjusted_p == pytest.approx({"by tile": 2 / 1000, "noise": max(noise.p, 2 / 1000)})
    again = tile_statistics(RETRACTION, starts, values, permutations=999, seed=1)
    assert again.tests["noise"].p == noise.p
    constant = tile_statistics(RETRACTION, starts, np.ones(80)).tests["value"]
    assert np.isnan(constant.p) and np.isnan(constant.f)
    apart = tile_statistics(RETRACTION, starts, (tile == tile[0]).astype(float), permutations=99).tests["value"]
    assert apart.f == np.inf and apart.explained == pytest.approx(1) and apart.p == 1 / 100


def test_scores_of_runs_by_loops():
    logits = RNG.normal(size=(4, 10, 3))
    chances = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2])
    assert np.allclose(prediction_entropy(chances), [stats.entropy(chances[:, i].mean(0)) for i in range(10)])
    assert np.allclose(run_entropy(chances), [np.mean([stats.entropy(c) for c in run]) for run in chances])
    for balanced, score in ((False, accuracy_score), (True, balanced_accuracy_score)):
        expected = [score(labels, run.argmax(1)) for run in chances]
        assert np.allclose(run_accuracy(logits, labels, balanced=balanced), expected)
    certain = np.eye(3)[labels][None]
    assert prediction_entropy(certain).tolist() == [0.0] * 10 and run_accuracy(certain, labels).tolist() == [1.0]
    starts = np.array([[-1.0], [1.0], [1.1], [3.0]])
    found = tile_statistics(RETRACTION, starts, {})
    by_tile = found.prediction_entropy(chances.astype(np.float32))
    assert by_tile.shape == (3, 10)
    assert np.allclose(by_tile[1], prediction_entropy(chances[1:3]), atol=1e-6)


def test_what_does_not_fit_is_refused():
    starts, chances = np.zeros((4, 1)), np.full((4, 5, 2), 0.5)
    cancel = Cancel()
    cancel.set()
    without_grid = order_retraction(morse_decomposition_of_graph(np.array([0, 1]), np.array([0])))
    for bad, message in (
        (lambda: tile_statistics(without_grid, starts, {}), "tiles of a grid"),
        (lambda: tile_statistics(RETRACTION.decomposition, starts, {}), "tiles of a grid"),
        (lambda: tile_statistics(RETRACTION, np.zeros((4, 2)), {}), "do not fit the grid"),
        (lambda: tile_statistics(RETRACTION, starts, {"loss": np.zeros(3)}), "'loss' does not have one number"),
        (lambda: tile_statistics(RETRACTION, starts, {}, permutations=0), "permutations is out of range"),
        (lambda: tile_statistics(RETRACTION, starts, {}).prediction_entropy(chances[:3]), "not of these runs"),
        (lambda: prediction_entropy(chances * 2), "no probabilities"),
        (lambda: run_entropy(chances[0]), "wrong form"),
        (lambda: run_accuracy(chances, np.array([0, 1, 2, 0, 1])), "no class"),
    ):
        with pytest.raises(NetgeomError, match=message):
            bad()
    with pytest.raises(Cancelled):
        tile_statistics(RETRACTION, np.array([[-1.0], [1.0], [1.1], [0.9]]), np.arange(4.0), cancel=cancel)
