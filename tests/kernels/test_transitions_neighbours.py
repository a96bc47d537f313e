"""The neighbour search: exact on every path, the same bits however it is run, and what can be done with the result."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.transitions import Neighbours, nearest_neighbours, neighbour_changes, search
from tests.reference import transitions as twin

METRICS = ("euclidean", "cosine", "cityblock")


def every_pair(x, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """By the distances of all pairs in float64, summed as the kernel sums them, and a stable sort."""
    space = search.Space.of(np.asarray(x, dtype=np.float64), metric)
    distances = np.concatenate([space.distances(space.points - row[None, None, :]) for row in space.points])
    distances[space.undirected] = distances[:, space.undirected] = 1.0
    np.fill_diagonal(distances, np.inf)
    ids = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(distances, ids, 1) * space.unit


def assert_exact(x, k: int, metric: str = "euclidean") -> Neighbours:
    found = nearest_neighbours([x], k, metric=metric)
    ids, distances = every_pair(x, k, metric)
    np.testing.assert_array_equal(found.ids[0], ids)
    np.testing.assert_array_equal(found.distances[0], distances)
    return found


def blobs(n: int, d: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(10, d))[rng.integers(0, 10, n)] + spread * rng.normal(size=(n, d))


@pytest.fixture
def compared(monkeypatch):
    """Counts the rows that candidates could not settle."""
    rows: list[int] = []
    real = search._compared_with_all

    def counting(space, left, k, checkpoint):
        rows.append(len(left))
        return real(space, left, k, checkpoint)

    monkeypatch.setattr(search, "_compared_with_all", counting)
    return rows


# ----------------------------------------------------------------------------------------------------- exact everywhere


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "d", "k"), [(2, 1, 1), (3, 2, 2), (24, 5, 15), (25, 5, 15), (200, 1, 7), (700, 33, 12)])
def test_bit_for_bit(n, d, k, metric):
    assert_exact(blobs(n, d), k, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_equals_the_rational_twin(metric):
    rng = np.random.default_rng(1)
    x = rng.integers(-40, 40, (35, 6)) / 16 if metric != "cosine" else rng.normal(size=(35, 6))
    found = nearest_neighbours([x], 30, metric=metric)
    ids, distances = twin.neighbours(x, 30, metric)
    np.testing.assert_array_equal(found.ids[0], ids)
    np.testing.assert_allclose(found.distances[0], distances, rtol=1e-12)


def test_ordinary_data_need_no_second_search(compared):
    for metric in METRICS:
        nearest_neighbours([blobs(500, 16)], 15, metric=metric)
    assert not compared


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [1e-5, 1e-7, 1e-9])
def test_clusters_narrower_than_the_rounding_of_a_matrix_product(metric, spread, compared):
    """Neural collapse: within a class rows differ in their last digits only."""
    assert_exact(blobs(300, 8, spread=spread), 9, metric)
    assert_exact(blobs(300, 8, spread=spread).astype(np.float32), 9, metric)
    if spread == 1e-9 and metric != "cityblock":
        assert compared == [300, 300], "what this test is about did not happen"


@pytest.mark.parametrize("offset", [100.0, -1e8, 1e12])
@pytest.mark.parametrize("metric", METRICS)
def test_offsets(offset, metric):
    x = offset + np.random.default_rng(2).integers(-50, 50, (120, 5)) / 32
    found = assert_exact(x, 11, metric)
    if metric != "cosine":  # these differences are exact, so the offset must not show at all
        here = nearest_neighbours([x - offset], 11, metric=metric)
        assert found.ids.tobytes() == here.ids.tobytes() and found.distances.tobytes() == here.distances.tobytes()


@pytest.mark.parametrize("factor", [1e-310, 1e-200, 1e200, 1e307])
@pytest.mark.parametrize("metric", METRICS)
def test_squares_neither_overflow_nor_vanish(factor, metric):
    x = np.random.default_rng(3).integers(-4, 5, (60, 3)).astype(float)
    x[5] = 0
    plain, scaled = (nearest_neighbours([y], 20, metric=metric) for y in (x, x * factor))
    unit, rtol = (1 if metric == "cosine" else factor), (1e-9 if factor < 1e-300 else 1e-13)  # 1e-310 has fewer digits
    np.testing.assert_allclose(scaled.distances, plain.distances * unit, rtol=rtol)
    assert_exact(x * factor, 20, metric)


def test_two_rows_farther_apart_than_a_float_can_say():
    found = nearest_neighbours([[[1.5e308], [-1.5e308], [1.4e308]]], 2)
    assert found.ids[0].tolist() == [[2, 1], [2, 0], [0, 1]]
    assert np.isinf(found.distances[0]).tolist() == [[False, True], [True, True], [False, True]]


# ------------------------------------------------------------------------------------------------ ties and duplicates


@pytest.mark.parametrize("metric", METRICS)
def test_all_rows_equal(metric):
    found = assert_exact(np.full((50, 3), 0.1), 4, metric)
    assert found.ids[0, 0].tolist() == [1, 2, 3, 4] and found.ids[0, 2].tolist() == [0, 1, 3, 4]
    assert found.ids[0, 49].tolist() == [0, 1, 2, 3]
    assert not found.distances.any()


@pytest.mark.parametrize("metric", METRICS)
def test_groups_of_duplicates_larger_than_the_candidates(metric, compared):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(6, 4))[rng.integers(0, 6, 300)]
    assert_exact(x, 5, metric)
    assert compared == [300]


def test_negative_zero_is_zero():
    x = np.where(np.arange(60)[:, None] % 2 == 0, 0.0, -0.0) * np.ones((60, 3))
    assert_exact(x, 5)


@pytest.mark.parametrize("metric", METRICS)
def test_points_on_a_grid(metric):
    """Binary codes: nearly every row has more equally near rows than there are candidates."""
    assert_exact((np.random.default_rng(5).random((400, 7)) < 0.5).astype(float) + 1, 6, metric)
    assert_exact((np.random.default_rng(5).random((400, 7)) < 0.5).astype(float), 6, metric)  # with rows of zeros


@pytest.mark.parametrize("metric", METRICS)
def test_as_many_neighbours_as_there_are(metric):
    x = blobs(40, 3)
    found = assert_exact(x, 39, metric)
    assert all(set(row) == set(range(40)) - {i} for i, row in enumerate(found.ids[0].tolist()))


def test_a_constant_feature_changes_nothing():
    x = blobs(200, 4)
    plain, wider = (nearest_neighbours([y], 9) for y in (x, np.concatenate([x, np.full((200, 1), 1e6)], axis=1)))
    assert plain.ids.tobytes() == wider.ids.tobytes()


def test_cosine_of_parallel_rows_and_rows_of_zeros():
    x = np.array([[1.0, 2, 3], [3, 6, 9], [0, 0, 0], [0.1, 0.2, 0.3], [-1, -2, -3], [3, -1, 1], [0, 0, 0]])
    found = nearest_neighbours([x], 6, metric="cosine")
    assert found.ids[0, 0].tolist()[:1] == [1], "3 x is exactly as near as x itself"
    assert found.distances[0, 0, 0] == 0
    assert found.ids[0, 2].tolist() == [0, 1, 3, 4, 5, 6] and (found.distances[0, 2] == 1).all()
    assert found.ids[0, 4].tolist()[:3] == [2, 6, 5] and found.distances[0, 4, 3:] == pytest.approx(2)
    assert_exact(np.concatenate([blobs(100, 3), np.zeros((50, 3))]), 8, "cosine")


# -------------------------------------------------------------------------------------------------- what goes in


def test_kinds_of_input():
    x = blobs(90, 4).astype(np.float32).reshape(3, 30, 4)
    expected = nearest_neighbours(x, 5)
    lazy = type("Lazy", (), {"shape": x.shape, "__len__": lambda self: 3, "__getitem__": lambda self, t: x[t]})()
    for same in (list(x), torch.from_numpy(x), list(torch.from_numpy(x)), lazy, x.astype(float), np.asfortranarray(x)):
        found = nearest_neighbours(same, 5)
        assert found.ids.tobytes() == expected.ids.tobytes()
        assert found.distances.tobytes() == expected.distances.tobytes()
    half = torch.from_numpy(x).bfloat16().requires_grad_()
    assert nearest_neighbours(half, 5).ids.tobytes() == nearest_neighbours(half.detach().float(), 5).ids.tobytes()
    assert nearest_neighbours(np.arange(12).reshape(1, 6, 2), 2).ids[0, 0].tolist() == [1, 2]


def test_snapshots_are_read_one_at_a_time():
    alive: list[int] = []

    class Snapshot(np.ndarray):
        def __del__(self):
            alive.remove(id(self))

    class Reader:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, t):
            made = blobs(20, 3, seed=t).view(Snapshot)
            alive.append(id(made))
            assert len(alive) <= 2
            return made

    assert nearest_neighbours(Reader(), 3).n_snapshots == 6


def test_neighbours_within_a_selection():
    x, rows = blobs(160, 4).reshape(2, 80, 4), [70, 3, 9, 11, 50, 20]
    found = nearest_neighbours(x, 4, samples=rows)
    alone = nearest_neighbours(x[:, rows], 4)
    assert found.ids.tobytes() == alone.ids.tobytes()
    assert found.samples is not None and found.samples.tolist() == rows
    mask = np.isin(np.arange(80), rows)
    assert nearest_neighbours(x, 4, samples=mask).samples.tolist() == sorted(rows)


# --------------------------------------------------------------------------------------------------- ways of running


def test_blocks_and_chunks_do_not_show(monkeypatch):
    x = [blobs(150, 6), blobs(150, 6, spread=1e-9)]
    expected = {metric: nearest_neighbours(x, 7, metric=metric) for metric in METRICS}
    monkeypatch.setattr(search, "_ROWS_AT_ONCE", 1000)
    monkeypatch.setattr(search, "_DIFFERENCES_AT_ONCE", 50)
    monkeypatch.setattr(search, "_PAD", 1)
    for metric in METRICS:
        found = nearest_neighbours(x, 7, metric=metric)
        assert found.ids.tobytes() == expected[metric].ids.tobytes()
        assert found.distances.tobytes() == expected[metric].distances.tobytes()


def test_executors_give_the_same_bits():
    x = blobs(7 * 120, 5).reshape(7, 120, 5)
    expected = nearest_neighbours(x, 6)
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(1, get_context("spawn")) as processes:
        for executor in (threads, processes):
            found = nearest_neighbours(x, 6, executor=executor, seed=3)
            assert found.ids.tobytes() == expected.ids.tobytes()
            assert found.distances.tobytes() == expected.distances.tobytes()


def test_an_executor_holds_few_snapshots_at_once():
    running, most = [], []

    class Reader(list):
        def __getitem__(self, t):
            running.append(t)
            return blobs(30, 3, seed=t)

    with ThreadPoolExecutor(1) as pool:
        nearest_neighbours(
            Reader(range(12)), 3, executor=pool, progress=Progress(lambda p: most.append(len(running) - p.done))
        )
    assert max(most) <= 6


def test_progress_and_cancel():
    seen: list[tuple[float, float]] = []
    x = blobs(5 * 40, 3).reshape(5, 40, 3)
    nearest_neighbours(x, 3, progress=Progress(lambda p: seen.append((p.done, p.total))))
    assert seen == [(t, 5) for t in range(6)]
    cancel = Cancel()
    with pytest.raises(Cancelled):
        nearest_neighbours(x, 3, progress=Progress(lambda p: p.done == 2 and cancel.set()), cancel=cancel)
    with ThreadPoolExecutor(1) as pool, pytest.raises(Cancelled):
        nearest_neighbours(x, 3, cancel=cancel, executor=pool)


def test_a_search_in_one_snapshot_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(search, "_ROWS_AT_ONCE", 1000)
    cancel, calls = Cancel(), []
    real = search._ranked

    def ranked(*arguments):
        calls.append(1)
        cancel.set()
        return real(*arguments)

    monkeypatch.setattr(search, "_ranked", ranked)
    with pytest.raises(Cancelled):
        nearest_neighbours([blobs(500, 3)], 3, cancel=cancel)
    assert len(calls) == 1


def test_two_threads_at_once():
    x = blobs(300, 8)[None]
    expected = nearest_neighbours(x, 9).ids.tobytes()
    before = [pool["num_threads"] for pool in threadpool_info()]
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(nearest_neighbours(x, 9).ids.tobytes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert [pool["num_threads"] for pool in threadpool_info()] == before


# ------------------------------------------------------------------------------------------------------- the result


def test_extended_equals_one_search():
    x = blobs(6 * 50, 4).reshape(6, 50, 4)
    for samples in (None, [4, 8, 15, 16, 23, 42]):
        whole = nearest_neighbours(x, 5, samples=samples, metric="cosine")
        grown = nearest_neighbours(x[:2], 5, samples=samples, metric="cosine").extended(x[2:5]).extended(x[5:])
        assert grown.ids.tobytes() == whole.ids.tobytes() and grown.distances.tobytes() == whole.distances.tobytes()
        assert grown.metric == "cosine" and grown.n_snapshots == 6
    with pytest.raises(NetgeomError, match="number of samples"):
        nearest_neighbours(x, 5).extended(x[:, :49])


def test_save_and_load(tmp_path):
    path = tmp_path / "neighbours"  # the name stays as it is given
    for samples in (None, [1, 5, 7, 20]):
        saved = nearest_neighbours(blobs(60, 3).reshape(2, 30, 3), 3, metric="cityblock", samples=samples)
        saved.save(path)
        read = Neighbours.load(path)
        assert read.ids.tobytes() == saved.ids.tobytes() and read.ids.dtype == np.int32
        assert read.distances.tobytes() == saved.distances.tobytes()
        assert (read.metric, read.versions) == (saved.metric, saved.versions)
        assert (read.samples is None) == (samples is None)
        assert read.samples is None or read.samples.tolist() == samples
    assert [entry.name for entry in tmp_path.iterdir()] == ["neighbours"]
    assert "scikit-learn" in saved.versions


def damaged(**changes):
    good = nearest_neighbours(blobs(20, 3)[None], 3)
    about = '{"format": "netgeom_widgets neighbours 1", "metric": "euclidean", "versions": {}}'
    return {"about": np.array(about), "ids": good.ids, "distances": good.distances} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": np.full((1, 20, 3), 20, dtype=np.int32)},
        {"ids": np.full((1, 20, 3), -1, dtype=np.int32)},
        {"ids": np.full((1, 20, 3), 5, dtype=np.int32)},
        {"ids": np.zeros((1, 20, 3))},
        {"ids": np.zeros((0, 20, 3), dtype=np.int32), "distances": np.zeros((0, 20, 3))},
        {"distances": np.zeros((1, 20, 2))},
        {"distances": np.zeros((1, 20, 3), dtype=np.float32)},
        {"samples": np.arange(3)},
        {"about": np.array("{}")},
        {"about": np.array("no json")},
        {"about": np.array('{"format": "netgeom_widgets neighbours 2", "metric": "euclidean", "versions": {}}')},
        {"about": np.array('{"format": "netgeom_widgets neighbours 1", "metric": "chess", "versions": {}}')},
        {"ids": np.array([{}], dtype=object)},
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path, changes):
    path = tmp_path / "file.npz"
    np.savez(path, **damaged(**changes))
    with pytest.raises(NetgeomError, match=r"file\.npz holds no neighbours"):
        Neighbours.load(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("text", "other.npz", "array.npy"):
        with pytest.raises(NetgeomError, match="holds no neighbours"):
            Neighbours.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Neighbours.load(tmp_path / "missing")


def test_changes_of_one_sample():
    x = np.array([[0, 1, 3, 7, 20], [0, 10, 3, 2, 20]], dtype=float)[:, :, None]
    found = nearest_neighbours(x, 3)
    changes = neighbour_changes(found, 0, 0, 1, k=2)
    assert changes.before_ids.tolist() == [1, 2] and changes.before_distances.tolist() == [1, 3]
    assert changes.after_ids.tolist() == [3, 2] and changes.after_distances.tolist() == [2, 3]
    assert changes.kept.tolist() == [False, True] and changes.gained.tolist() == [True, False]
    assert neighbour_changes(found, 0, 0, 1).kept.sum() == 3
    for bad in ((5, 0, 1), (0, 2, 1), (0, 0, -1)):
        with pytest.raises(NetgeomError):
            neighbour_changes(found, *bad)


def test_repr_is_one_line():
    assert repr(nearest_neighbours(blobs(20, 2)[None], 3)) == "<Neighbours: 3 of 20 samples at 1 snapshots, euclidean>"
