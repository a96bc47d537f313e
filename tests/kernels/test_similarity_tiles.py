"""Similarities on disk in tiles: the same numbers as in memory, whatever interrupts them, and never mixed."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets import _files
from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels import _memory
from netgeom_widgets.kernels.similarity import (
    margin,
    near_threshold,
    nearest,
    neighbour_counts,
    open_tiles,
    seriate,
    similarity_matrix,
    similarity_tiles,
    tile_filling,
    tile_store,
    tiles,
)
from netgeom_widgets.kernels.similarity import pairs as pairs_module
from netgeom_widgets.kernels.similarity.tile_summaries import bin_of, histogram_edges
from tests.kernels.tile_writer import LABELS, N, inputs, network, write


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Made in one go."""
    return write(tmp_path_factory.mktemp("tiles") / "whole.zarr")


@pytest.fixture(scope="module")
def matrix():
    return similarity_matrix(network(), inputs())


def test_tiles_are_the_matrix_and_its_mirror_image(whole, matrix):
    found = whole.rows(range(N))
    np.testing.assert_allclose(found, matrix.values, atol=1e-6)
    assert found.tobytes() == np.ascontiguousarray(found.T).tobytes()
    rows, columns = [149, 3, 64, 3], np.arange(N) % 11 == 2
    assert whole.block(rows, columns).tobytes() == found[np.ix_(rows, np.flatnonzero(columns))].tobytes()
    assert whole[5].tobytes() == found[5].tobytes() and whole[3:60:2].tobytes() == found[3:60:2].tobytes()
    files = [file.name for file in (whole.path / "values").glob("c.*")]
    assert len(files) == 15 and "c.0.4" in files and "c.4.0" not in files
    assert whole.progress == (15, 15) and whole.finished and whole.shape == (N, N) and whole.is_square
    np.testing.assert_array_equal(whole.rank, matrix.rank)
    np.testing.assert_allclose(whole.outputs, matrix.outputs, atol=1e-6)
    assert not whole.zero_gradient.any() and not whole.zero_gradient_others.any()
    assert (whole.kernel, whole.model_digest, whole.method) == ("trace", matrix.model_digest, matrix.method)


def test_summaries_are_those_of_the_rows(whole):
    values = whole.rows(slice(None)).astype(np.float64)
    np.testing.assert_allclose(whole.soft, neighbour_counts(values), rtol=1e-12)
    for power in (2, 3, 4):
        np.testing.assert_allclose(whole.less_soft(power), neighbour_counts(values, kind="less_soft", power=power))
    for edge in whole.edges[1:-1]:
        expected = neighbour_counts(values, kind="hard", threshold=edge)
        np.testing.assert_array_equal(whole.hard_counts(edge), expected)
    assert whole.nearest_edge(0.512) == 0.5
    np.testing.assert_array_equal(whole.hard_counts(0.512), whole.hard_counts(0.5))
    for threshold in (0.512, 0.9):
        expected = neighbour_counts(values, kind="hard", threshold=threshold)
        np.testing.assert_array_equal(whole.hard_counts(threshold, exact=True), expected)
    assert (whole.histogram.sum(axis=1) == N).all() and whole.histogram.dtype == np.int32
    ids, similarities = nearest(values, 7)
    np.testing.assert_array_equal(whole.top[0], ids)
    np.testing.assert_array_equal(whole.top[1], similarities)
    classes, others, means = whole.class_means
    np.testing.assert_array_equal(classes, others)
    expected = [[values[a == LABELS][:, b == LABELS].mean() for b in others] for a in classes]
    np.testing.assert_allclose(means, expected, rtol=1e-12)


def test_kernels_of_the_matrix_take_a_store(whole):
    values = whole.rows(slice(None))
    np.testing.assert_array_equal(whole.order, seriate(values))
    np.testing.assert_array_equal(near_threshold(whole, 0.5, margin=0.1), near_threshold(values, 0.5, margin=0.1))
    np.testing.assert_array_equal(neighbour_counts(whole, kind="less_soft", power=1.5) > 0, np.ones(N, bool))


@pytest.mark.parametrize("statistic", ["mean", "max"])
def test_overviews_reduce_squares_of_the_matrix(tmp_path, monkeypatch, statistic):
    monkeypatch.setattr("netgeom_widgets.kernels.similarity.tile_grid._OVERVIEW", 50)
    found = write(tmp_path / "a.zarr")
    values = found.rows(slice(None)).astype(np.float64)
    assert found.cell() == 4 and found.n_levels == 7 and found.overview(6).shape == (1, 1)
    for level in range(found.n_levels):
        side = found.cell(level)
        starts = range(0, N, side)
        reduced = [[getattr(np, statistic)(values[i : i + side, j : j + side]) for j in starts] for i in starts]
        np.testing.assert_allclose(found.overview(level, statistic), reduced, rtol=1e-6)


@pytest.mark.parametrize(
    ("kernel", "output"), [("frobenius", None), ("flat", None), ("cosine", 1), ("trace", margin(LABELS))]
)
def test_other_kernels_and_outputs(tmp_path, kernel, output):
    found = similarity_tiles(network(), inputs(), tmp_path / "a", kernel=kernel, output=output, tile=64)
    expected = similarity_matrix(network(), inputs(), kernel=kernel, output=output)
    np.testing.assert_allclose(found.rows(slice(None)), expected.values, atol=1e-6)


def test_rectangles_and_zero_gradients(tmp_path):
    model = nn.Sequential(nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    mine, others = inputs(70), inputs(45, seed=2)
    mine[7], others[40] = 0, 0
    labels, other_labels = np.arange(70) % 2, np.arange(45) % 3
    found = similarity_tiles(
        model, mine, tmp_path / "a", others, labels=labels, other_labels=other_labels, tile=16, top=60
    )
    expected = similarity_matrix(model, mine, others)
    values = found.rows(slice(None))
    np.testing.assert_allclose(values, expected.values, atol=1e-6)
    assert found.shape == (70, 45) and not found.is_square and found.progress == (15, 15)
    np.testing.assert_array_equal(found.zero_gradient, expected.zero_gradient)
    np.testing.assert_array_equal(found.zero_gradient_others, expected.zero_gradient_others)
    assert found.zero_gradient[7] and found.zero_gradient_others[40] and not values[7].any()
    ids, similarities = nearest(values, 45)
    assert found.top[0].shape == (70, 45)  # as many as there are
    np.testing.assert_array_equal(found.top[0], ids)
    np.testing.assert_array_equal(found.top[1], similarities)
    np.testing.assert_allclose(found.soft, values.sum(axis=1, dtype=np.float64))
    expected_mean = values[labels == 1][:, other_labels == 2].mean()
    np.testing.assert_allclose(found.class_means[2][1, 2], expected_mean, rtol=1e-5)
    np.testing.assert_allclose(found.overview(), values, rtol=1e-6)


def test_a_single_input(tmp_path):
    found = similarity_tiles(network(), inputs()[:1], tmp_path / "a", labels=[4])
    np.testing.assert_allclose(found.rows([0]), [[1]], atol=1e-6)
    assert found.top[0].shape == (1, 0) and found.order.tolist() == [0] and found.n_levels == 1
    np.testing.assert_allclose([found.overview()[0, 0], found.class_means[2][0, 0], found.soft[0]], 1, atol=1e-6)
    assert found.hard_counts(0.5).tolist() == found.hard_counts(0.5, exact=True).tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 300), st.data())
def test_bins_are_open_below_and_closed_above_to_the_last_bit(bins, data):
    edges = histogram_edges(bins)
    near = [np.float32(edges[data.draw(st.integers(0, bins))]) for _ in range(20)]
    around = [np.nextafter(x, np.float32(side)) for x in near for side in (-2, 2)]
    values = np.array([near + around], dtype=np.float32)
    found = bin_of(values, bins)
    for b in range(1, bins):
        np.testing.assert_array_equal(found >= b, values.astype(np.float64) > edges[b])
    assert found.min() >= 0 and found.max() < bins


def test_panels_and_executors_give_the_same_bits(tmp_path, whole, monkeypatch):
    expected = contents(whole.path)
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1, get_context("spawn")) as processes:
        for name, executor in (("threads", threads), ("processes", processes)):
            assert contents(write(tmp_path / name, executor=executor).path) == expected
    with monkeypatch.context() as patch:
        patch.setattr(tiles, "_BLOCK_BYTES", 1)
        narrow = write(tmp_path / "panels")
    assert narrow._grid.panel == 1
    different = {name for name, bytes_ in contents(narrow.path).items() if bytes_ != expected[name]}
    assert different <= {"zarr.json", "summary-15/class_sums/c.0.0"}  # the one sum that goes over rows too
    np.testing.assert_allclose(narrow.class_means[2], whole.class_means[2], rtol=1e-14)


def test_fresh_threads_compute_with_torchs_number_of_threads(tmp_path):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(300, 256), nn.ReLU(), nn.Linear(256, 10)), torch.randn(512, 300)
    before = torch.get_num_threads()
    torch.set_num_threads(3 - min(before, 2))  # another number than the environment gives new threads
    try:
        with ThreadPoolExecutor(1) as fresh:
            first = contents(similarity_tiles(model, x, tmp_path / "first", executor=fresh).path)
            second = contents(similarity_tiles(model, x, tmp_path / "second", executor=fresh).path)
    finally:
        torch.set_num_threads(before)
    assert first == second


def test_few_blocks_of_gradients_are_alive_at_once(tmp_path, monkeypatch):
    alive: weakref.WeakSet = weakref.WeakSet()
    most, made = 0, 0
    original = pairs_module.Pairs.block

    def block(self, which, rows):
        nonlocal most, made
        most, made = max(most, len(alive) + 1), made + 1
        found = original(self, which, rows)
        alive.add(found)
        return found

    monkeypatch.setattr(pairs_module.Pairs, "block", block)
    monkeypatch.setattr(tile_filling, "IN_FLIGHT", 1)
    similarity_tiles(network(), inputs(320), tmp_path / "all", tile=32)
    assert (most, made) == (10, 10)
    most = made = 0
    alive.clear()
    monkeypatch.setattr(tiles, "_BLOCK_BYTES", 3 * 32 * 300)
    found = similarity_tiles(network(), inputs(320), tmp_path / "few", tile=32)
    assert most <= found._grid.panel + 3 < 8 and made > 10


def test_a_killed_process_loses_only_the_tiles_in_work(tmp_path, whole):
    path = tmp_path / "a.zarr"
    command = [sys.executable, "-m", "tests.kernels.tile_writer", str(path), "6"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "here\n"
        reader = open_tiles(path)
        assert reader.progress == (6, 15) and not reader.finished
        assert np.isnan(reader.block([0], [0, 149])).tolist() == [[False, False]]
        assert np.isnan(reader.block([140], [0, 149])).tolist() == [[False, True]]
        assert np.isnan(reader.overview()).all()
        with pytest.raises(NetgeomError, match=r"needs all tiles.*15 tiles.*0 so far"):
            _ = reader.soft
        with pytest.raises(NetgeomError, match="is being written"):
            write(path)
        child.kill()
    seen = []
    found = write(path, progress=Progress(lambda p: seen.append((p.done, p.total, p.text))))
    assert seen[0][:2] == (6, 15) and seen[-1][:2] == (15, 15)
    assert seen[0][2].startswith("similarity tiles, 0.1 MB on disk, about ")
    assert contents(found.path) == contents(whole.path)
    assert reader.finished and reader.soft.tobytes() == whole.soft.tobytes()  # the same object, opened before


def test_stopped_at_any_write_it_goes_on_to_the_same_bits(tmp_path, whole, monkeypatch):
    class Stopped(BaseException):
        pass

    expected, writes = contents(whole.path), 0
    original = _files.write_file

    def stopping(path, content):
        nonlocal writes
        writes += 1
        if writes == stop_at:
            raise Stopped
        original(path, content)

    monkeypatch.setattr(tile_store, "write_file", stopping)
    for stop_at in (1, 2, 3, 4, 5, 6, 7, 20, 40):
        path, writes = tmp_path / str(stop_at), 0
        with pytest.raises(Stopped):
            write(path)
        stop_at = -1
        assert contents(write(path).path) == expected
    assert not list(tmp_path.glob(".*"))


def test_cancel_keeps_what_is_done(tmp_path, whole):
    cancel = Cancel()
    path = tmp_path / "a.zarr"
    with pytest.raises(Cancelled):
        write(path, cancel=cancel, progress=Progress(lambda p: p.done == 4 and cancel.set()))
    reader = open_tiles(path)
    assert reader.progress == (4, 15) and "4 of 15 tiles" in repr(reader)
    overview, all_of_it = reader.overview(), whole.overview()
    there = ~np.isnan(overview)
    assert there.sum() == 32 * 32 * 7 and (overview[there] == all_of_it[there]).all()
    assert contents(write(path).path) == contents(whole.path)


def test_summaries_that_were_lost_are_made_again_from_the_tiles(tmp_path, whole):
    path = tmp_path / "a.zarr"
    write(path)
    (path / "summary-15").rename(path / "gone")
    (path / ".new-0123").mkdir()  # of a process that was killed while it wrote them
    assert not open_tiles(path)._store.n_covered()
    found = write(path)
    assert not (path / ".new-0123").exists()
    assert found.histogram.tobytes() == whole.histogram.tobytes() and found.soft.tobytes() == whole.soft.tobytes()


def test_a_finished_store_is_only_opened_and_others_are_refused(tmp_path, whole, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pairs_module.Pairs, "block", lambda *arguments: 1 / 0)
        assert write(whole.path).soft.tobytes() == whole.soft.tobytes()
    before = contents(whole.path)
    other, data = inputs().clone(), inputs()
    other[17, 2] += 1e-3
    kept = {"labels": LABELS, "tile": 32, "top": 7, "bins": 40}
    for model, x, options, what in (
        (network(seed=1), data, {}, "model"),
        (network(), other, {}, "inputs"),
        (network(), data, {"labels": None}, "labels"),
        (network(), data, {"output": 1}, "output"),
        (network(), data, {"kernel": "flat"}, "kernel"),
        (network(), data, {"parameters": ["0.weight"]}, "parameters"),
        (network(), data, {"dtype": torch.float64}, "dtype"),
        (network(), data, {"bins": 50}, "bins"),
        (network(), data, {"tile": 64}, "tile"),
        (network(), data, {"output": margin(LABELS)}, "targets"),
    ):
        with pytest.raises(NetgeomError, match=f"holds tiles of something else: .* differ in .*{what}"):
            similarity_tiles(model, x, whole.path, **{**kept, **options})
    assert contents(whole.path) == before


def test_an_output_function_of_the_same_name_is_told_apart_by_its_values(tmp_path):
    cancel = Cancel()
    with pytest.raises(Cancelled):
        write(
            tmp_path / "a",
            output=lambda outputs: outputs[:, 0],
            cancel=cancel,
            progress=Progress(lambda p: p.done == 4 and cancel.set()),
        )
    with pytest.raises(NetgeomError, match="the first one comes out differently"):
        write(tmp_path / "a", output=lambda outputs: outputs[:, 1])
    assert write(tmp_path / "a", output=lambda outputs: 2 * outputs[:, 0]).finished  # the same similarities


def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    model, x, path = network(), inputs(), tmp_path / "a"
    for options, message in (
        ({"kernel": "inner"}, r"from -1 to 1.*similarity_matrix on parts"),
        ({"kernel": "rotation"}, "rotation kernel is for two outputs"),
        ({"tile": 100}, "tile is out of range.*power of two from 16 to 4,096"),
        ({"top": 0}, "top is out of range"),
        ({"bins": True}, "bins is out of range"),
        ({"labels": [0.5] * N}, "labels do not fit"),
        ({"other_labels": LABELS}, "no other inputs"),
        ({"others": x, "labels": LABELS}, "One side has no labels"),
        ({"others": x[:, :4]}, "another shape"),
    ):
        with pytest.raises(NetgeomError, match=message):
            similarity_tiles(model, x, path, **options)
    with monkeypatch.context() as patch:
        patch.setattr(tiles.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10_000))
        with pytest.raises(TooLargeError, match=r"would take .* GiB on disk.*another disk"):
            write(path)
    with monkeypatch.context() as patch:
        patch.setattr(_memory, "available_bytes", lambda: 1000)
        patch.setattr(_memory, "_ASK_FROM", 0)
        patch.setattr(pairs_module, "require_memory", lambda *arguments: None)
        with pytest.raises(TooLargeError, match="summaries and the blocks"):
            write(path)
    assert not path.exists()
    path.mkdir()
    (path / "mine.txt").write_text("precious")
    with pytest.raises(NetgeomError, match="holds no similarity tiles"):
        write(path)
    assert contents(path) == {"mine.txt": b"precious"}
    with pytest.raises(NetgeomError, match=r"holds no similarity tiles.*Got: nothing"):
        open_tiles(tmp_path / "none")


def test_questions_that_have_no_answer(whole, tmp_path):
    for ask, message in (
        (lambda: whole.rows([N]), f"0 to {N - 1}"),
        (lambda: whole.rows([0.5]), "not understood"),
        (lambda: whole.less_soft(5), "2, 3, 4"),
        (lambda: whole.hard_counts(1.5), "from -1 to 1"),
        (lambda: whole.overview(99), "no such overview"),
        (lambda: whole.overview(0, "median"), "'mean' or 'max'"),
        (lambda: similarity_tiles(network(), inputs(), tmp_path / "a").class_means, "no classes"),
    ):
        with pytest.raises(NetgeomError, match=message):
            ask()


def test_a_store_is_plain_zarr_without_any_pickle(whole):
    group = zarr.open_group(whole.path, mode="r")
    tile = group["values"][:32, 96:128]
    assert tile.tobytes() == np.ascontiguousarray(whole.rows(range(32))[:, 96:128]).tobytes()
    assert np.isnan(group["values"][100, 0])  # below the diagonal nothing is stored
    for file in whole.path.rglob("zarr.json"):
        about = json.loads(file.read_text())
        assert [codec["name"] for codec in about.get("codecs", [])] in ([], ["bytes"])
        assert about.get("data_type") in (None, "float32", "float64", "int32", "int64", "bool")
