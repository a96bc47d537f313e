"""Properties of the transitions kernel on random small runs (hypothesis, derandomised), and its slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netgeom_widgets.kernels import transitions as tr
from tests.reference import transitions as twin

few = settings(max_examples=25, derandomize=True, deadline=None)
METRICS = ("euclidean", "cosine", "cityblock")


@st.composite
def runs(draw, *, dyadic: bool = True):
    """(T, N, D) snapshots and a k; dyadic coordinates have few bits: sums are exact, ties happen."""
    n_snapshots, n, d = draw(st.integers(1, 5)), draw(st.integers(2, 14)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    if dyadic:
        x = rng.integers(-draw(st.sampled_from([1, 3, 40])), 41, (n_snapshots, n, d)) / 8
    else:
        x = rng.normal(size=(n_snapshots, n, d))
    if draw(st.booleans()) and n > 2:
        x[:, rng.integers(n)] = x[:, rng.integers(n)]
    return x, draw(st.integers(1, n - 1)), rng


@few
@given(runs(), st.sampled_from(["euclidean", "cityblock"]))
def test_neighbours_equal_the_twin(run, metric):
    x, k, _ = run
    found = tr.nearest_neighbours(x, k, metric=metric)
    for t, snapshot in enumerate(x):
        ids, distances = twin.neighbours(snapshot, k, metric)
        np.testing.assert_array_equal(found.ids[t], ids)
        np.testing.assert_allclose(found.distances[t], distances, rtol=1e-15)


@few
@given(runs())
def test_cosine_distances_equal_the_twin(run):
    """Rounding tells apart different directions at the same angle, so ids are compared through distances."""
    x, k, _ = run
    found = tr.nearest_neighbours(x, k, metric="cosine")
    for t, snapshot in enumerate(x):
        _, distances = twin.neighbours(snapshot, k, "cosine")
        np.testing.assert_allclose(found.distances[t], distances, atol=1e-14)
        everyone, at = twin.neighbours(snapshot, len(snapshot) - 1, "cosine")
        exact = {(i, j): d for i in range(len(snapshot)) for j, d in zip(everyone[i], at[i], strict=True)}
        for i, row in enumerate(found.ids[t].tolist()):
            np.testing.assert_allclose([exact[i, j] for j in row], distances[i], atol=1e-14)


@few
@given(runs(), st.integers(0, 13))
def test_statistics_equal_the_twins(run, fewer):
    x, k, _ = run
    found = tr.nearest_neighbours(x, k)
    width = max(1, k - fewer)
    ids = found.ids[:, :, :width]
    np.testing.assert_allclose(tr.overlap(found, k=width), twin.overlap(ids), atol=1e-15)
    np.testing.assert_allclose(tr.preservation(found, k=width), twin.preservation(ids), atol=1e-14)
    np.testing.assert_allclose(tr.jaccard(found, k=width), twin.jaccard(ids), atol=1e-14)
    for norm in ("euclidean", "cityblock"):
        distance = tr.transition_distance(found, norm=norm, k=width)
        np.testing.assert_allclose(distance, twin.transition_distance(ids, norm), atol=1e-13)
    np.testing.assert_allclose(tr.reprdynamics_distance(x, width), twin.reprdynamics_distance(x, width), atol=1e-13)


@few
@given(runs())
def test_a_prefix_is_a_smaller_search(run):
    x, k, _ = run
    whole = tr.nearest_neighbours(x, x.shape[1] - 1)
    part = tr.nearest_neighbours(x, k)
    assert np.array_equal(whole.ids[:, :, :k], part.ids)
    for statistic in (tr.overlap, tr.preservation, tr.jaccard, tr.transition_distance):
        assert np.array_equal(statistic(whole, k=k), statistic(part))
    from_stored = tr.reprdynamics_distance_of_neighbours(whole, k + 1)
    assert np.array_equal(from_stored, tr.reprdynamics_distance(x, k + 1))


@few
@given(runs(dyadic=False), st.sampled_from(METRICS))
def test_the_order_of_samples_does_not_matter(run, metric):
    x, k, rng = run
    assume(metric != "cosine" or x.shape[2] > 1)  # on a line there are two directions
    x = x + 1e-3 * rng.normal(size=x.shape)  # no ties, which ids would break
    order = rng.permutation(x.shape[1])
    plain, moved = (tr.nearest_neighbours(y, k, metric=metric) for y in (x, x[:, order]))
    assert np.array_equal(order[moved.ids], plain.ids[:, order])
    assert np.array_equal(tr.overlap(moved), tr.overlap(plain)[:, order])
    assert np.array_equal(tr.preservation(moved), tr.preservation(plain))
    assert np.array_equal(tr.transition_distance(moved), tr.transition_distance(plain))
    np.testing.assert_allclose(tr.jaccard(moved), tr.jaccard(plain), atol=1e-15)


@few
@given(runs(dyadic=False))
def test_rotation_translation_and_scale_do_not_matter(run):
    x, k, rng = run
    x = x + 1e-3 * rng.normal(size=x.shape)
    rotation, _ = np.linalg.qr(rng.normal(size=(x.shape[2], x.shape[2])))
    moved = 2.5 * x @ rotation + rng.normal(size=x.shape[2])
    plain, turned = tr.nearest_neighbours(x, k), tr.nearest_neighbours(moved, k)
    assert np.array_equal(plain.ids, turned.ids)
    np.testing.assert_allclose(turned.distances, 2.5 * plain.distances, rtol=1e-9)
    np.testing.assert_allclose(tr.linear_cka(moved), tr.linear_cka(x), atol=1e-9)
    np.testing.assert_allclose(tr.procrustes_distance(moved), tr.procrustes_distance(x), atol=1e-9)
    each = np.stack([(t + 1) * y @ np.linalg.qr(rng.normal(size=2 * (x.shape[2],)))[0] + t for t, y in enumerate(x)])
    np.testing.assert_allclose(tr.linear_cka(each), tr.linear_cka(x), atol=1e-9)
    np.testing.assert_allclose(tr.procrustes_distance(each), tr.procrustes_distance(x), atol=1e-9)


@few
@given(runs())
def test_matrices_are_distances(run):
    x, k, _ = run
    found = tr.nearest_neighbours(x, k)
    overlap = tr.overlap(found)
    assert overlap.shape == (len(x) - 1, x.shape[1]) and ((overlap >= 0) & (overlap <= 1)).all()
    for distance in (
        tr.transition_distance(found),
        tr.transition_distance(found, norm="cityblock"),
        tr.reprdynamics_distance_of_neighbours(found),
        1 - tr.jaccard(found),  # a mean of Jaccard distances, which are metrics
        1 - tr.preservation(found),
    ):
        assert np.array_equal(distance, distance.T) and not np.diag(distance).any() and (distance >= 0).all()
        assert (distance[:, :, None] <= distance[:, None, :] + distance.T[None, :, :] + 1e-12).all()


@few
@given(runs())
def test_overlaps_on_the_diagonal_beside_the_main_one(run):
    x, k, _ = run
    found = tr.nearest_neighbours(x, k)
    np.testing.assert_allclose(np.diagonal(tr.preservation(found), 1), tr.overlap(found).mean(1), atol=1e-15)


@few
@given(runs(), st.integers(0, 10**6))
def test_a_subset_of_rows(run, seed):
    x, k, _ = run
    rng = np.random.default_rng(seed)
    rows = rng.permutation(x.shape[1])[: rng.integers(1, x.shape[1] + 1)]
    found = tr.nearest_neighbours(x, k)
    assert np.array_equal(tr.overlap(found, samples=rows), tr.overlap(found)[:, rows])
    kept = found.ids[:, rows]
    np.testing.assert_allclose(tr.preservation(found, samples=rows), twin.preservation(kept), atol=1e-14)
    np.testing.assert_allclose(tr.jaccard(found, samples=rows), twin.jaccard(kept), atol=1e-14)
    np.testing.assert_allclose(tr.transition_distance(found, samples=rows), twin.transition_distance(kept), atol=1e-13)
    mask = np.isin(np.arange(x.shape[1]), rows)
    assert np.array_equal(tr.overlap(found, samples=mask), tr.overlap(found)[:, np.sort(rows)])


# ---------------------------------------------------------------------------------------------------------- classes


@st.composite
def predictions(draw):
    n_classes = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 12)))
    return rng.integers(0, n_classes, shape), rng.integers(0, n_classes, shape[1]), n_classes


@few
@given(predictions())
def test_classes_equal_the_twins(case):
    predicted, labels, n_classes = case
    counts = tr.class_transitions(predicted, n_classes)
    assert counts.shape == (len(predicted) - 1, n_classes, n_classes)
    assert np.array_equal(counts, twin.class_transitions(predicted, n_classes))
    distance = tr.class_transition_distance(counts)
    assert np.array_equal(distance, twin.class_transition_distance(counts).reshape(distance.shape))
    assert ((distance >= 0) & (distance <= 1)).all()
    assert np.array_equal(tr.classification_distance(predicted), twin.classification_distance(predicted))
    found = (tr.forgetting_events(predicted, labels), tr.learning_events(predicted, labels))
    found = (*found, tr.first_correct(predicted, labels))
    assert [values.tolist() for values in found] == list(twin.events(predicted, labels))


@few
@given(predictions())
def test_renaming_the_classes_changes_no_distance(case):
    predicted, _, n_classes = case
    names = np.random.default_rng(len(predicted)).permutation(n_classes)
    plain, renamed = (
        tr.class_transition_distance(tr.class_transitions(p, n_classes)) for p in (predicted, names[predicted])
    )
    assert np.array_equal(plain, renamed)
    assert np.array_equal(tr.classification_distance(names[predicted]), tr.classification_distance(predicted))
    rows = np.arange(0, predicted.shape[1], 2)
    assert np.array_equal(
        tr.class_transitions(predicted, n_classes, samples=rows), tr.class_transitions(predicted[:, rows], n_classes)
    )
    assert np.array_equal(
        tr.classification_distance(predicted, samples=rows), tr.classification_distance(predicted[:, rows])
    )


# --------------------------------------------------------------------------------------------------------- geometry


@pytest.mark.parametrize("shape", [(4, 25, 4), (3, 12, 12), (3, 8, 30), (2, 2, 1), (3, 40, 1)])
def test_geometry_equals_the_twins(shape, monkeypatch):
    from netgeom_widgets.kernels.transitions import geometry

    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(size=shape), axis=0) * np.linspace(3, 1, shape[2]) + 5
    for block in (1 << 28, 1):  # all snapshots at once, and one beside one
        monkeypatch.setattr(geometry, "_BLOCK_BYTES", block)
        cka, procrustes = tr.linear_cka(x), tr.procrustes_distance(x)
        for t in range(len(x)):
            for u in range(len(x)):
                assert cka[t, u] == pytest.approx(twin.linear_cka(x[t], x[u]), abs=1e-10)
                assert procrustes[t, u] == pytest.approx(twin.procrustes_distance(x[t], x[u]), abs=1e-10)
    assert (np.diag(cka) == 1).all() and (np.diag(procrustes) == 0).all()
    np.testing.assert_allclose(tr.aligned_projection(x), twin.aligned_projection(x), atol=1e-9)


def test_the_projection_does_not_jump():
    rng = np.random.default_rng(1)
    x = np.cumsum(0.01 * rng.normal(size=(30, 60, 6)), axis=0) + rng.normal(size=(60, 6)) * [4, 3, 1, 1, 1, 1]
    mirrored = x * np.where(np.arange(30) % 2, -1, 1)[:, None, None]
    frames = tr.aligned_projection(mirrored)
    assert np.abs(np.diff(frames, axis=0)).max() < 0.5
    np.testing.assert_allclose(frames, tr.aligned_projection(x), atol=1e-9)
    assert np.array_equal(frames, tr.aligned_projection(mirrored)), "the same bits at every call"


def test_offsets_cost_the_geometry_no_digits():
    x = np.random.default_rng(2).integers(-99, 99, (3, 20, 4)) / 64
    for shifted in (x + 1e8, x * 2.0**500, x * 2.0**-500):
        np.testing.assert_allclose(tr.linear_cka(shifted), tr.linear_cka(x), atol=1e-12)
        np.testing.assert_allclose(tr.procrustes_distance(shifted), tr.procrustes_distance(x), atol=1e-12)
    np.testing.assert_allclose(tr.aligned_projection(x + 1e8), tr.aligned_projection(x), atol=1e-12)
    np.testing.assert_allclose(tr.aligned_projection(x * 2.0**500) / 2.0**500, tr.aligned_projection(x), atol=1e-12)


# ---------------------------------------------------------------------------------------------- scalars, recurrence


@few
@given(st.integers(1, 5), st.integers(0, 10**6), st.sampled_from([1.0, 30.0, 500.0]))
def test_scalars_equal_the_twins(n_classes, seed, scale):
    rng = np.random.default_rng(seed)
    z = scale * rng.normal(size=(2, 3, n_classes))
    labels = rng.integers(0, max(n_classes, 2), 3)
    entropy, margin, loss = tr.entropy(z), tr.margin(z), tr.cross_entropy(z, labels)
    assert entropy.shape == margin.shape == loss.shape == (2, 3)
    for t in range(2):
        for i in range(3):
            assert entropy[t, i] == pytest.approx(twin.entropy(z[t, i]), abs=1e-12)
            chances = twin.chances(z[t, i])
            if chances[labels[i]] > 1e-300:
                assert loss[t, i] == pytest.approx(-np.log(chances[labels[i]]), rel=1e-9, abs=1e-12)
            first, second = sorted(chances)[-1:-3:-1]
            if second > 1e-300:
                assert margin[t, i] == pytest.approx(np.log(first / second), rel=1e-9, abs=1e-12)
    if n_classes > 1:
        np.testing.assert_allclose(tr.entropy(z + 7), entropy, atol=1e-12)


@few
@given(st.integers(1, 9), st.integers(0, 10**6), st.integers(1, 3))
def test_recurrence_equals_the_twin(size, seed, l_min):
    rng = np.random.default_rng(seed)
    d = np.triu(rng.integers(0, 5, (size, size)) / 4, 1)
    d = d + d.T
    for low, high in [(0, 0), (0, 0.25), (0.25, 1.0), (2, 3)]:
        found, expected = tr.recurrence(d, low, high, l_min=l_min), twin.recurrence(d, low, high, l_min)
        for name, value in expected.items():
            assert getattr(found, name) == pytest.approx(value, abs=1e-12, nan_ok=True), name
    bands = tr.recurrence_bands(d, 0.25, l_min=l_min, scale=1.0)
    assert bands.low.tolist() == [0, 0.25, 0.5, 0.75] and bands.high.tolist() == [0.25, 0.5, 0.75, 1]
    for i in range(4):
        expected = twin.recurrence(d, bands.low[i], bands.high[i], l_min)
        for name, value in expected.items():
            assert getattr(bands, name)[i] == pytest.approx(value, abs=1e-12, nan_ok=True), name
