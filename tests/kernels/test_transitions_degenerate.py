"""Runs that are hardly runs, and input that is refused by name before any work."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels import _memory
from netgeom_widgets.kernels import transitions as tr
from netgeom_widgets.kernels.transitions import overlaps
from netgeom_widgets.kernels.transitions.neighbours import prefix

RNG = np.random.default_rng(0)
RUN = RNG.normal(size=(4, 30, 5))
FOUND = tr.nearest_neighbours(RUN, 6)
PREDICTED = RNG.integers(0, 3, (4, 30))

OF_NEIGHBOURS = [
    tr.overlap,
    tr.preservation,
    tr.jaccard,
    tr.transition_distance,
    tr.reprdynamics_distance_of_neighbours,
]
OF_SNAPSHOTS = [tr.linear_cka, tr.procrustes_distance, tr.aligned_projection]


# ------------------------------------------------------------------------------------------------------- degenerate


@pytest.mark.parametrize("n_snapshots", [1, 2])
@pytest.mark.parametrize("n", [2, 3])
def test_few_snapshots_of_few_samples(n_snapshots, n):
    x = RUN[:n_snapshots, :n]
    found = tr.nearest_neighbours(x, n - 1)
    n_transitions = n_snapshots - 1
    assert tr.overlap(found).shape == (n_transitions, n) and (tr.overlap(found) == 1).all()
    assert tr.preservation(found).tolist() == tr.jaccard(found).tolist() == np.ones((n_snapshots, n_snapshots)).tolist()
    empty = np.zeros((n_transitions, n_transitions))
    for norm in ("euclidean", "cityblock"):
        assert tr.transition_distance(found, norm=norm).tolist() == empty.tolist()
    for k in range(1, n + 1):
        assert tr.reprdynamics_distance(x, k).tolist() == empty.tolist()
        assert tr.reprdynamics_distance_of_neighbours(found, k).tolist() == empty.tolist()
    assert tr.linear_cka(x).shape == tr.procrustes_distance(x).shape == (n_snapshots, n_snapshots)
    assert tr.aligned_projection(x).shape == (n_snapshots, n, 2)
    counts = tr.class_transitions(PREDICTED[:n_snapshots, :n], 3)
    assert counts.shape == (n_transitions, 3, 3)
    assert tr.class_transition_distance(counts).shape == (n_transitions, n_transitions)
    assert tr.forgetting_events(PREDICTED[:n_snapshots, :n], PREDICTED[0, :n]).shape == (n,)


def test_one_class():
    counts = tr.class_transitions(np.zeros((3, 5), dtype=int))
    assert counts.tolist() == [[[5]], [[5]]] and not tr.class_transition_distance(counts).any()


def test_snapshots_in_which_all_samples_coincide():
    """Nothing to compare: NaN there, and only there; the projection keeps its direction across it."""
    x = RUN.copy()
    x[1] = 0.1
    for function in (tr.linear_cka, tr.procrustes_distance):
        values = function(x)
        assert np.isnan(values[1]).all() and np.isnan(values[:, 1]).all()
        assert np.array_equal(values[np.ix_([0, 2, 3], [0, 2, 3])], function(x[[0, 2, 3]]))
    frames = tr.aligned_projection(x)
    assert not frames[1].any()
    assert np.array_equal(frames[[0, 2, 3]], tr.aligned_projection(x[[0, 2, 3]]))
    found = tr.nearest_neighbours(x, 3)
    assert found.ids[1, 5].tolist() == [0, 1, 2]


def test_constant_features_and_a_single_one():
    x = np.concatenate([RUN, np.full((4, 30, 1), 1e8)], axis=2)
    np.testing.assert_allclose(tr.linear_cka(x), tr.linear_cka(RUN), atol=1e-13)
    np.testing.assert_allclose(tr.aligned_projection(x), tr.aligned_projection(RUN), atol=1e-12)
    assert not tr.aligned_projection(RUN[:, :, :1])[:, :, 1].any()
    np.testing.assert_allclose(tr.linear_cka(RUN[:1, :, :1]), [[1]])


def test_rows_that_were_never_recorded():
    x = RUN.copy()
    x[2, [3, 8, 9]] = np.nan
    for function in (lambda y, **rows: tr.nearest_neighbours(y, 3, **rows), *OF_SNAPSHOTS):
        with pytest.raises(NetgeomError, match=r"Snapshot 2 .* 3 of 30 rows.*row 3 first.*samples="):
            function(x)
        function(x, samples=~np.isnan(x).any((0, 2)))
    x[2, 3] = np.inf
    with pytest.raises(NetgeomError, match="Snapshot 2"):
        tr.nearest_neighbours(x, 3)


def test_scalars_at_the_ends():
    assert tr.entropy([[0.0, 0.0], [1000.0, 0.0], [-1000.0, -1000.0]]).tolist() == [np.log(2), 0, np.log(2)]
    assert tr.cross_entropy([[1000.0, 0.0]], [1]).tolist() == [1000] and tr.cross_entropy([[1000.0, 0.0]], [0])[0] == 0
    assert tr.margin([[3.0, 3.0, 1.0]]).tolist() == [0]
    single = np.array([[-2.0], [0.0], [2.0]])
    assert tr.margin(single).tolist() == [2, 0, 2]
    np.testing.assert_allclose(tr.entropy(single), tr.entropy(np.concatenate([0 * single, single], 1)))
    np.testing.assert_allclose(tr.cross_entropy(single, [1, 1, 1]), np.log1p(np.exp([2.0, 0.0, -2.0])), rtol=1e-15)
    lost = np.array([[1.0, np.nan, 2.0], [np.inf, 0.0, 1.0], [0.0, 1.0, 3.0]])
    for values in (tr.entropy(lost), tr.margin(lost), tr.cross_entropy(lost, [0, 0, 0])):
        assert np.isnan(values).tolist() == [True, True, False]
    assert np.isnan(lost).sum() == 1, "the array given stays as it is"


def test_recurrence_without_recurrent_points():
    found = tr.recurrence([[0, 1], [1, 0]], 0.2, 0.5)
    assert found.rate == 0
    assert all(np.isnan(v) for v in (found.determinism, found.laminarity, found.trapping_time, found.diagonal_entropy))
    everywhere = tr.recurrence(np.zeros((5, 5)), 0, 0)
    assert (everywhere.rate, everywhere.laminarity, everywhere.trapping_time) == (1, 1, 5)
    assert everywhere.determinism == pytest.approx(18 / 20), "the two corners are lines of one point"
    assert tr.recurrence([[0.0]], 0, 1).rate == 1
    assert tr.recurrence_bands(np.zeros((3, 3))).scale == 1
    bands = tr.recurrence_bands([[0, 4], [4, 0]])
    assert len(bands.low) == 20 and bands.scale == 4 and bands.high[-1] == 1 and bands.low[3] == 0.15
    assert bands.rate.tolist() == [0.5] + 18 * [0] + [0.5]


def test_the_entropy_of_equal_lines_is_zero_and_not_minus_zero():
    d = np.abs(np.subtract.outer(np.arange(4), np.arange(4))).astype(float)
    assert str(tr.recurrence(d, 1, 1).diagonal_entropy) == "0.0"
    assert str(tr.entropy([[1000.0, 0.0]])[0]) == "0.0"
    assert str(tr.cross_entropy([[1000.0, 0.0]], [0])[0]) == "0.0"


def test_movement_that_only_the_form_per_sample_sees():
    """Two transitions in which equally many but different samples move."""
    x = np.repeat(np.arange(8.0)[None, :, None], 3, 0)
    x[1:, [0, 1], 0] = [100, 102]
    x[2, [6, 7], 0] = [-50, -52]
    found = tr.nearest_neighbours(x, 1)
    counts = tr.overlap(found).sum(1)
    assert counts[0] == counts[1]
    assert tr.reprdynamics_distance_of_neighbours(found).tolist() == [[0, 0], [0, 0]]
    assert tr.transition_distance(found)[0, 1] > 0


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("k", [0, 30, -1, 2.0, "3", True, None, np.float64(2)])
def test_k_out_of_range(k):
    with pytest.raises(NetgeomError, match="k is out of range"):
        tr.nearest_neighbours(RUN, k)


def test_numpy_whole_numbers_are_welcome():
    assert tr.nearest_neighbours(RUN, np.int64(3)).k == 3


@pytest.mark.parametrize("metric", ["manhattan", "", None, 2])
def test_unknown_metrics(metric):
    with pytest.raises(NetgeomError, match=r"metric is not known.*euclidean.*cosine.*cityblock"):
        tr.nearest_neighbours(RUN, 3, metric=metric)
    with pytest.raises(NetgeomError, match="norm is not known"):
        tr.transition_distance(FOUND, norm="cosine")


@pytest.mark.parametrize(
    ("snapshots", "message"),
    [
        (RUN[0], "number of axes"),
        (RUN[None], "number of axes"),
        (5, "one by one"),
        (None, "one by one"),
        ("abc", "one by one"),
        ({0: RUN[0]}, "one by one"),
        (iter(RUN), "one by one"),
        ([], "no snapshot"),
        (RUN[:0], "no snapshot"),
        (RUN[:, :, :0], "wrong shape"),
        ([RUN[0, 0]], "wrong shape"),
        ([RUN[0], RUN[1, :29]], "differ in shape"),
        ([RUN[0], RUN[1, :, :4]], "differ in shape"),
        ([[[1, 2], [3]]], "cannot be read"),
        ([[["a"], ["b"]]], "real numbers"),
        (RUN + 1j, "real numbers"),
        ([np.array([[{}], [{}]], dtype=object)], "real numbers"),
        (RUN[:, :1], "k is out of range"),
        (RUN[:, :0], "k is out of range"),
    ],
)
def test_snapshots_of_the_wrong_form(snapshots, message):
    with pytest.raises(NetgeomError, match=message):
        tr.nearest_neighbours(snapshots, 1)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "does not name rows"),
        ([30], "not there"),
        ([-1, 2], "not there"),
        ([1, 1], "twice"),
        ([0.0, 1.0], "does not name rows"),
        ([[1, 2]], "does not name rows"),
        (np.zeros(30, dtype=bool), "no rows"),
        (np.ones(29, dtype=bool), "does not name rows"),
        (3, "does not name rows"),
        ("abc", "real numbers"),
    ],
)
def test_rows_that_are_none(samples, message):
    calls = [lambda function=function: function(FOUND, samples=samples) for function in OF_NEIGHBOURS]
    calls += [lambda function=function: function(RUN, samples=samples) for function in OF_SNAPSHOTS]
    calls += [lambda: tr.nearest_neighbours(RUN, 1, samples=samples)]
    calls += [lambda: tr.reprdynamics_distance(RUN, 1, samples=samples)]
    calls += [lambda: tr.class_transitions(PREDICTED, samples=samples)]
    calls += [lambda: tr.classification_distance(PREDICTED, samples=samples)]
    for call in calls:
        with pytest.raises(NetgeomError, match=message):
            call()


@pytest.mark.parametrize("function", OF_NEIGHBOURS)
def test_more_neighbours_than_are_stored(function):
    with pytest.raises(NetgeomError, match="k is out of range"):
        function(FOUND, k=8)
    with pytest.raises(NetgeomError, match="k is out of range"):
        function(FOUND, k=0)


def test_what_is_no_neighbours():
    with pytest.raises(NetgeomError, match="no neighbours"):
        prefix(FOUND.ids, 3)


@pytest.mark.parametrize("bad", [PREDICTED[0], PREDICTED.astype(float), PREDICTED - 1, PREDICTED[:0], PREDICTED > 1])
def test_predictions_that_are_no_classes(bad):
    for function in (tr.class_transitions, tr.classification_distance):
        with pytest.raises(NetgeomError):
            function(bad)
    with pytest.raises(NetgeomError):
        tr.forgetting_events(bad, np.zeros(30, dtype=int))


def test_other_input_about_classes():
    with pytest.raises(NetgeomError, match="beyond n_classes"):
        tr.class_transitions(PREDICTED, 2)
    with pytest.raises(NetgeomError, match="n_classes is out of range"):
        tr.class_transitions(PREDICTED, 0)
    for labels in (np.zeros(29, dtype=int), np.zeros(30), np.zeros((30, 1), dtype=int)):
        with pytest.raises(NetgeomError, match="labels do not fit"):
            tr.learning_events(PREDICTED, labels)
    for counts in (
        np.zeros((2, 3, 4), dtype=int),
        np.zeros((2, 3, 3)),
        -np.ones((2, 3, 3), dtype=int),
        np.zeros((3, 3), int),
    ):
        with pytest.raises(NetgeomError, match="counts have the wrong form"):
            tr.class_transition_distance(counts)


def test_scalars_of_the_wrong_form():
    for outputs in (3.0, np.zeros((2, 0)), np.zeros((2, 2), dtype=complex)):
        for function in (tr.entropy, tr.margin):
            with pytest.raises(NetgeomError):
                function(outputs)
    for labels in ([0], [0, 3, 0], [0, -1, 0], [0.0, 1.0, 0.0], [[0, 1], [0, 1]]):
        if labels != [0]:
            with pytest.raises(NetgeomError, match="labels do not fit"):
                tr.cross_entropy(np.zeros((2, 3, 3)), labels)


def test_recurrence_of_what_is_no_distance():
    square = np.zeros((3, 3))
    for bad in (square[0], square[:2], np.zeros((0, 0)), square - 1, square * np.nan, np.triu(np.ones((3, 3)))):
        for function in (lambda d: tr.recurrence(d, 0, 1), tr.recurrence_bands):
            with pytest.raises(NetgeomError, match="no distance matrix"):
                function(bad)
    for low, high in ((1, 0), (np.nan, 1), (0, np.nan)):
        with pytest.raises(NetgeomError, match="band is empty"):
            tr.recurrence(square, low, high)
    for width in (0, -1, 1.5, np.nan):
        with pytest.raises(NetgeomError, match="width"):
            tr.recurrence_bands(square, width)
    for scale in (0, -1, np.inf, np.nan):
        with pytest.raises(NetgeomError, match="scale"):
            tr.recurrence_bands(square, scale=scale)
    with pytest.raises(NetgeomError, match="l_min"):
        tr.recurrence(square, 0, 1, l_min=0)


def test_sizes_are_checked_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(_memory, "_ASK_FROM", 0)
    monkeypatch.setattr(_memory, "available_bytes", lambda: 10)
    with pytest.raises(TooLargeError, match="neighbours of 30 samples at 4 snapshots"):
        tr.nearest_neighbours(RUN, 6)
    for function in (tr.preservation, tr.jaccard, tr.transition_distance):
        with pytest.raises(TooLargeError):
            function(FOUND)
    for function in OF_SNAPSHOTS:
        with pytest.raises(TooLargeError):
            function(RUN)
    for function in (tr.class_transitions, tr.classification_distance):
        with pytest.raises(TooLargeError):
            function(PREDICTED)


# -------------------------------------------------------------------------------------------- what all of them share


LONG = {
    "nearest_neighbours": lambda **more: tr.nearest_neighbours(RUN, 3, **more),
    "extended": lambda **more: FOUND.extended(RUN, **more),
    "reprdynamics_distance": lambda **more: tr.reprdynamics_distance(RUN, 3, **more),
    **{function.__name__: lambda function=function, **more: function(FOUND, **more) for function in OF_NEIGHBOURS},
    **{function.__name__: lambda function=function, **more: function(RUN, **more) for function in OF_SNAPSHOTS},
}


@pytest.mark.parametrize("name", LONG)
def test_long_functions_report_and_can_be_cancelled(name):
    reports: list[float] = []
    LONG[name](progress=Progress(lambda p: reports.append(p.fraction)), executor=None, seed=1)
    assert reports[0] == 0 and reports[-1] == 1 and sorted(reports) == reports
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        LONG[name](cancel=cancel)


def test_blocks_do_not_show(monkeypatch):
    expected = [function(FOUND) for function in OF_NEIGHBOURS]
    for name in ("_COMPARED_AT_ONCE", "_INDICATORS_AT_ONCE", "_PAIRS_AT_ONCE"):
        monkeypatch.setattr(overlaps, name, 40)
    for function, values in zip(OF_NEIGHBOURS, expected, strict=True):
        assert np.array_equal(function(FOUND), values)


@pytest.mark.parametrize("name", tr.__all__)
def test_documented_and_exported(name):
    assert inspect.getdoc(getattr(tr, name))


def test_input_is_never_written_to():
    x = RUN.copy()
    x.flags.writeable = False
    tr.nearest_neighbours(x, 3, metric="cosine")
    tr.aligned_projection(x)
    tr.linear_cka(x)
    tr.procrustes_distance(x)
    tr.entropy(x)
    assert np.array_equal(x, RUN)
