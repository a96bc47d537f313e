"""What is read off a matrix of similarities: counts, neighbours, order, alignment; twins, properties, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels import similarity as sim
from netgeom_widgets.kernels.similarity import ordering, rows
from tests.reference import similarity as twin

few = settings(max_examples=25, derandomize=True, deadline=None)


@st.composite
def matrices(draw, smallest: int = 1):
    """Cosines of a few random directions, with ties and duplicates; rank below n."""
    n, p = draw(st.integers(smallest, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    g = rng.integers(-3, 4, (n, p)).astype(float) if draw(st.booleans()) else rng.normal(size=(n, p))
    g[rng.integers(n)] = g[rng.integers(n)]
    return twin.similarity(g[:, None], kernel="cosine"), rng


@pytest.fixture(params=[1 << 21, 1])
def any_block(request, monkeypatch):
    """All rows at once, and one by one."""
    monkeypatch.setattr(rows, "_ENTRIES_AT_ONCE", request.param)


# ---------------------------------------------------------------------------------------------- counts, neighbours


@few
@given(matrices())
def test_counts_equal_the_twin(case):
    values, _ = case
    np.testing.assert_allclose(sim.neighbour_counts(values), twin.neighbour_counts(values), atol=1e-12)
    for power in (1, 2.5, 4):
        found = sim.neighbour_counts(values, kind="less_soft", power=power)
        np.testing.assert_allclose(found, twin.neighbour_counts(values, "less_soft", power=power), atol=1e-12)
    for threshold in (0.0, 0.5, float(values[0, -1])):
        found = sim.neighbour_counts(values, kind="hard", threshold=threshold)
        np.testing.assert_array_equal(found, twin.neighbour_counts(values, "hard", threshold))


def test_counts_of_any_container(any_block, tmp_path):
    import zarr

    values = twin.similarity(np.random.default_rng(0).normal(size=(9, 1, 3)), kernel="cosine").astype(np.float32)
    stored = zarr.create_array(str(tmp_path / "k.zarr"), data=values, chunks=(4, 4))
    mapped = np.memmap(tmp_path / "k.bin", np.float32, "w+", shape=values.shape)
    mapped[:] = values
    for held in (values, torch.as_tensor(values), values.tolist(), stored, mapped):
        assert np.array_equal(sim.neighbour_counts(held, kind="hard", threshold=0.3), (values > 0.3).sum(1))
        assert np.array_equal(sim.nearest(held, 3).ids, twin.nearest(values, 3)[0])
        assert np.array_equal(sim.seriate(held), sim.seriate(values))
        assert sim.cka(held, values) == pytest.approx(1)


def test_a_float32_threshold_is_compared_exactly():
    values = np.full((1, 1), 0.1, dtype=np.float32)  # a little above 0.1
    assert sim.neighbour_counts(values, kind="hard", threshold=0.1) == [1]
    assert sim.neighbour_counts(values, kind="hard", threshold=float(values[0, 0])) == [0], "strict"
    assert sim.near_threshold(values, 0.1) == [1]


@few
@given(matrices(2), st.data())
def test_nearest_equals_the_twin(case, data):
    values, _ = case
    k = data.draw(st.integers(1, len(values) - 1))
    ids, found = sim.nearest(values, k)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, twin.nearest(values, k)[0])
    np.testing.assert_array_equal(found, twin.nearest(values, k)[1])
    np.testing.assert_array_equal(sim.nearest(values[:, 1:], k).ids, twin.nearest(values[:, 1:], k)[0])
    assert (sim.nearest(np.ones((4, 4)), 4, exclude_self=False).ids == np.arange(4)).all()


# ----------------------------------------------------------------------------------------------------------- order


@few
@given(matrices())
def test_an_order_is_a_permutation_that_does_not_depend_on_the_unit(case):
    values, _ = case
    order = sim.seriate(values)
    assert np.array_equal(np.sort(order), np.arange(len(values)))
    assert np.array_equal(order, sim.seriate(4 * values))
    assert sim.path_length(values, order) == pytest.approx(twin.path_length(values, order), abs=1e-12)


def test_samples_on_a_line_are_put_in_order():
    rng = np.random.default_rng(0)
    place = rng.permutation(40)
    values = np.exp(-np.abs(place[:, None] - place) / 5)
    found = place[sim.seriate(values)]
    assert found.tolist() in (list(range(40)), list(range(39, -1, -1)))


def test_many_samples_by_representatives(monkeypatch, any_block):
    """The order above the limit, at a small limit: close in length to the optimal one, whole also with duplicates."""
    rng = np.random.default_rng(1)
    g = np.repeat(rng.normal(size=(30, 4)), 6, axis=0) + 0.3 * rng.normal(size=(180, 4))
    values = twin.similarity(g[:, None], kernel="cosine")
    best, raw = sim.path_length(values, sim.seriate(values)), sim.path_length(values, np.arange(180))
    monkeypatch.setattr(ordering, "_LEAVES", 60)
    monkeypatch.setattr(ordering, "_REPRESENTATIVES", 40)
    monkeypatch.setattr(ordering, "_FEATURES", 20)
    order = sim.seriate(values)
    assert np.array_equal(np.sort(order), np.arange(180))
    length = sim.path_length(values, order)
    assert length < best + 0.1 * (raw - best)
    progress = Progress()
    assert np.array_equal(order, sim.seriate(values, progress=progress)) and progress.fraction == 1
    with pytest.raises(NetgeomError, match="not symmetric"):
        sim.seriate(values / np.arange(1, 181)[:, None])
    same = sim.seriate(np.ones((180, 180)))  # one cluster that is larger than the limit
    assert np.array_equal(np.sort(same), np.arange(180))


# ------------------------------------------------------------------------------------------------------- alignment


@few
@given(matrices(4), st.integers(0, 10**6))
def test_alignment_equals_the_twins(case, seed):
    a, _ = case
    g = np.random.default_rng(seed).normal(size=(len(a), 3))
    b = g @ g.T
    assert sim.kernel_alignment(a, b) == pytest.approx(twin.kernel_alignment(a, b), abs=1e-10)
    for debiased in (False, True):
        expected = twin.cka(a, b, debiased)
        assert sim.cka(a, b, debiased=debiased) == pytest.approx(expected, abs=1e-9, nan_ok=True)
        if np.isfinite(expected):
            assert sim.cka(a, a, debiased=debiased) == pytest.approx(1) == sim.cka(a, 3 * a + 7, debiased=debiased)


def test_alignment_in_blocks(any_block):
    rng = np.random.default_rng(2)
    g, h = rng.normal(size=(2, 15, 4))
    a, b = g @ g.T + 1e6, h @ h.T  # an offset costs no digits that the entries have
    assert sim.cka(a, b) == pytest.approx(twin.cka(a - 1e6, b), abs=1e-8)
    assert sim.cka(a, b, debiased=True) == pytest.approx(twin.cka(a - 1e6, b, True), abs=1e-8)
    found = sim.spearman_rows(a - 1e6, b)
    for i in range(15):
        others = np.arange(15) != i
        assert found[i] == pytest.approx(spearmanr((a - 1e6)[i, others], b[i, others]).statistic, abs=1e-12)
    rectangular = sim.spearman_rows(a[:, :6] - 1e6, b[:, :6])
    expected = [spearmanr(x, y).statistic for x, y in zip(a[:, :6] - 1e6, b[:, :6], strict=True)]
    np.testing.assert_allclose(rectangular, expected, atol=1e-12)


def test_what_is_not_defined_is_nan():
    a = np.eye(5)
    for other in (np.ones((5, 5)), np.full((5, 5), 0.1), np.zeros((5, 5))):
        assert np.isnan(sim.cka(a, other)) and np.isnan(sim.cka(other, a, debiased=True))
        assert np.isnan(sim.spearman_rows(other, a)).all()
    assert np.isnan(sim.kernel_alignment(a, np.zeros((5, 5))))


@few
@given(matrices(3), st.integers(0, 10**6), st.data())
def test_neighbours_gained_and_lost(case, seed, data):
    a, _ = case
    b = twin.similarity(np.random.default_rng(seed).normal(size=(len(a), 1, 3)), kernel="cosine")
    k = data.draw(st.integers(1, len(a) - 1))
    found = sim.neighbour_changes(a, b, k)
    for i in range(len(a)):
        before, after = set(found.before.ids[i]), set(found.after.ids[i])
        assert set(found.before.ids[i][~found.kept[i]]) == before - after
        assert set(found.after.ids[i][found.gained[i]]) == after - before
    assert np.array_equal(found.n_changed, (~found.kept).sum(1))


# ---------------------------------------------------------------------------------------- progress, cancellation

LABELS = np.arange(6) % 2
LONG = [
    sim.neighbour_counts,
    lambda k, **how: sim.near_threshold(k, 0.5, **how),
    lambda k, **how: sim.nearest(k, 2, **how),
    sim.seriate,
    lambda k, **how: sim.cka(k, k, **how),
    lambda k, **how: sim.cka(k, k, debiased=True, **how),
    lambda k, **how: sim.kernel_alignment(k, k, **how),
    lambda k, **how: sim.spearman_rows(k, k, **how),
    lambda k, **how: sim.neighbour_changes(k, k, 2, **how),
    lambda k, **how: sim.label_noise_scores(k, LABELS, k=2, **how),
    lambda k, **how: sim.label_noise_scores(k, LABELS, method="soft", **how),
    lambda k, **how: sim.denoise_from_gram(k, LABELS, LABELS, **how),
]


@pytest.mark.parametrize("call", LONG)
def test_progress_and_cancellation(call, monkeypatch):
    monkeypatch.setattr(rows, "_ENTRIES_AT_ONCE", 1)
    values = np.eye(6) + 0.5
    seen = []
    progress = Progress(lambda p: seen.append(p.fraction))
    call(values, progress=progress)
    assert progress.done == progress.total > 0 and max(seen) == 1
    stopped = Cancel()
    stopped.set()
    with pytest.raises(Cancelled):
        call(values, cancel=stopped)


# ------------------------------------------------------------------------------------------- degenerate, refusals


def test_a_single_sample():
    one = np.ones((1, 1))
    assert sim.neighbour_counts(one) == [1] and sim.neighbour_counts(one, kind="hard", threshold=0.9) == [1]
    assert sim.seriate(one).tolist() == [0] and sim.path_length(one, [0]) == 0
    assert np.isnan(sim.cka(one, one)) and sim.kernel_alignment(one, one) == 1
    assert np.isnan(sim.spearman_rows(one, one)).all()


HOLE = np.array([[1.0, np.nan], [0.0, 1.0]])
REFUSED = [
    (lambda: sim.neighbour_counts(np.eye(2), kind="fuzzy"), "'less_soft'"),
    (lambda: sim.neighbour_counts(np.eye(2), kind="hard"), "threshold is missing"),
    (lambda: sim.neighbour_counts(np.eye(2), kind="less_soft"), "power is missing"),
    (lambda: sim.neighbour_counts(np.eye(2), threshold=0.5), "threshold has no meaning"),
    (lambda: sim.neighbour_counts(np.eye(2), kind="hard", threshold=0.5, power=2), "power has no meaning"),
    (lambda: sim.neighbour_counts(np.eye(2), kind="hard", threshold=float("nan")), "no finite number"),
    (lambda: sim.neighbour_counts(np.eye(2), kind="less_soft", power=0), "above 0"),
    (lambda: sim.near_threshold(np.eye(2), 0.5, margin=-1.0), "negative"),
    (lambda: sim.neighbour_counts(HOLE), "row 0, column 1"),
    (lambda: sim.neighbour_counts(np.ones(3)), "(n, m)"),
    (lambda: sim.neighbour_counts(np.array([["a"]])), "real numbers"),
    (lambda: sim.neighbour_counts(np.empty((0, 0))), "at least one entry"),
    (lambda: sim.nearest(np.eye(3), 3), "from 1 to 2"),
    (lambda: sim.nearest(np.ones((2, 3)), 1, exclude_self=True), "square"),
    (lambda: sim.nearest(HOLE, 1), "finite"),
    (lambda: sim.seriate(np.ones((2, 3))), "(n, n)"),
    (lambda: sim.seriate(HOLE), "finite"),
    (lambda: sim.path_length(np.eye(3), [0, 1, 1]), "permutation"),
    (lambda: sim.cka(np.eye(3), np.eye(4)), "differ in shape"),
    (lambda: sim.cka(np.eye(3), np.eye(3), debiased=True), "at least 4"),
    (lambda: sim.cka(HOLE, np.eye(2)), "values_a"),
    (lambda: sim.kernel_alignment(np.eye(3), np.ones((3, 2))), "differ in shape"),
    (lambda: sim.spearman_rows(np.eye(3), np.eye(4)), "differ in shape"),
    (lambda: sim.neighbour_changes(np.eye(3), np.eye(4), 1), "differ in shape"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refusals(call, message):
    with pytest.raises(NetgeomError) as error:
        call()
    assert message in str(error.value)
