"""What is on disk: whatever happens to the writer, the committed snapshots are there."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from torch import nn

from netgeom_widgets._files import FolderLock
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording import Recorder, Recording, open_recording, record_arrays
from netgeom_widgets.recording.store import RunWriter
from tests.recording.runs import data, network
from tests.recording.writer import expected_outputs

INPUTS, LABELS = data()


def start_writer(path: Path, run_id: str, first: int) -> subprocess.Popen[str]:
    """A process that records as fast as it can; returns when it is past its start."""
    command = [sys.executable, "-m", "tests.recording.writer", str(path), run_id, str(first)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None and process.stdout.readline() == "recording\n"
    return process


def check_known(recording: Recording) -> None:
    """Every snapshot is bit for bit what was written."""
    steps = recording.steps
    assert steps.tolist() == list(range(len(recording)))
    np.testing.assert_array_equal(recording.metrics["loss"][1:], steps[1:] / 4)
    late = recording.metrics.get("late", np.full(len(recording), np.nan))
    np.testing.assert_array_equal(late, np.where(steps > 20, 1.0, np.nan))
    for t, step in enumerate(steps):
        np.testing.assert_array_equal(recording.outputs[t], expected_outputs(step))
        np.testing.assert_array_equal(recording.layer("layer")[t], recording.outputs[t])
        np.testing.assert_array_equal(recording.parameters[t], np.full(1000, step, np.float32))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_at_any_moment_all_committed_snapshots_stay_and_the_run_goes_on(tmp_path: Path) -> None:
    generator, committed = random.Random(0), 0
    for _ in range(6):
        first = max(committed - 1, 0)
        process = start_writer(tmp_path, "known", first)
        while committed + 5 > len(open_recording(tmp_path, "known")):
            time.sleep(0.001)
        time.sleep(generator.uniform(0.0, 0.02))
        process.kill()
        process.wait()
        process.stdout.close()
        recording = open_recording(tmp_path, "known")
        check_known(recording)
        assert not recording.finished
        committed = len(recording)
    assert committed > 30


def test_every_moment_within_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same without luck: stop before each single write of a commit, and look at what is there."""

    class Stopped(BaseException):
        pass

    def stopping(function):
        def run(*arguments, **keywords):
            nonlocal writes
            writes += 1
            if writes == stop_at:
                raise Stopped
            return function(*arguments, **keywords)

        return run

    from netgeom_widgets.recording import store

    rows = {"outputs": [np.full((4, 2), t, np.float32) for t in range(40)]}
    stop_at, writes = 0, 0
    for name in ("write_file", "write_into", "write_json", "create_array"):
        monkeypatch.setattr(store, name, stopping(getattr(store, name)))
    for length in (1, 16):  # an ordinary commit, and one for which every array has to grow
        for moment in range(1, 30):
            path, stop_at, writes = tmp_path / f"{length}-{moment}", 0, 0
            record_arrays(path, range(length), None, rows["outputs"][:length])
            recording = open_recording(path)
            writer = RunWriter.resume(path, "run-0")
            writes, stop_at = 0, moment
            try:
                writer.append(length, {"outputs": rows["outputs"][length]}, {"new": 1.0})
            except Stopped:
                assert not recording.refresh() and len(recording) == length
            else:
                assert recording.refresh()
                assert recording.metrics["new"][-1] == 1.0
                break
            finally:
                writer._lock.release()  # as the end of the process would
            stop_at = 0
            again = RunWriter.resume(path, "run-0")
            again.append(length, {"outputs": rows["outputs"][length]}, {"new": 2.0})
            again.close()
            np.testing.assert_array_equal(open_recording(path).outputs, rows["outputs"][: length + 1])
            np.testing.assert_array_equal(open_recording(path).metrics["new"], [np.nan] * length + [2.0])
        else:
            raise AssertionError("a commit should be over after 29 writes")
        assert moment > 5


def test_a_run_killed_before_its_first_snapshot_is_never_seen_and_is_tidied_up(tmp_path: Path) -> None:
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    abandoned = tmp_path / ".new-abandoned"
    abandoned.mkdir()
    (abandoned / "zarr.json").write_text("{")
    assert open_recording(tmp_path).runs == ("run-0",)
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    assert not abandoned.exists() and open_recording(tmp_path).runs == ("run-0", "run-1")


def test_a_run_that_is_being_made_is_not_tidied_up(tmp_path: Path) -> None:
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    layout = open_recording(tmp_path).layout
    first = RunWriter.create(tmp_path, layout, {"sample_ids": np.arange(2)}, None)
    second = RunWriter.create(tmp_path, layout, {"sample_ids": np.arange(2)}, None)
    for writer in (second, first):
        writer.append(0, {"outputs": np.zeros((2, 2))}, {})
        writer.close()
    assert (second.run_id, first.run_id) == ("run-1", "run-2")


def test_one_writer_per_run(tmp_path: Path) -> None:
    options = {"path": tmp_path, "run_id": "a"}
    with Recorder(network(), INPUTS, **options) as recorder:
        with pytest.raises(NetgeomError, match="Run 'a' is being written"):
            Recorder(network(), INPUTS, **options).__enter__()
        recorder.step(1)
    with Recorder(network(), INPUTS, **options) as recorder:
        recorder.step(2)
    assert open_recording(tmp_path).steps.tolist() == [0, 1, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_worker_process_that_outlives_the_recorder_does_not_hold_the_run(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    assert lock.acquire() and lock.held
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # as a DataLoader's worker: it has the descriptors of its parent
        os.read(reader, 1)
        os._exit(0)
    lock.release()
    again = FolderLock(tmp_path)
    assert again.acquire()
    again.release()
    os.write(writer, b"x")
    os.waitpid(child, 0)
    os.close(reader), os.close(writer)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such lock")
def test_a_reader_sees_whether_there_is_a_writer_and_is_not_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start_writer(tmp_path, "a", 0)
    try:
        recording = open_recording(tmp_path)
        assert recording.has_writer is True
    finally:
        process.kill()
        process.communicate()
    assert recording.has_writer is False and not recording.finished

    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            assert recording.has_writer is not None
            time.sleep(0.0001)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            writer = RunWriter.resume(tmp_path, "a")
            assert recording.has_writer is True
            writer.close(finished=False)
    finally:
        stop.set()
        asking.join()
    RunWriter.resume(tmp_path, "a").close()
    assert recording.has_writer is None  # closed since the recording was read
    recording.refresh()
    assert recording.finished and recording.has_writer is False
    monkeypatch.setattr(FolderLock, "_try", lambda self, *, wait: True)  # as on some network drives
    assert recording.has_writer is None


def test_a_recording_grows_under_a_reader_only_when_it_looks(tmp_path: Path) -> None:
    with Recorder(network(), INPUTS, path=tmp_path, layers=["0"]) as recorder:
        recording = open_recording(tmp_path)
        outputs = recording.outputs
        assert not recording.refresh() and not recording.finished
        for step in range(1, 40):
            recorder.step(step, **({"loss": 1.0} if step > 5 else {}))
        assert (len(recording), len(outputs), recording.steps.tolist()) == (1, 1, [0])
        assert recording.refresh() and len(recording) == 40 and not recording.refresh()
        assert len(outputs) == 1 and recording.outputs.shape[0] == recording.predictions.shape[0] == 40
        assert np.isfinite(recording.metrics["loss"][6:]).all()
    assert not recording.refresh() and recording.finished
    assert np.isfinite(np.asarray(recording.outputs)).all()


def test_a_reader_in_another_thread_sees_whole_snapshots_only(tmp_path: Path) -> None:
    arrays = [np.full((50, 3), t, np.float32) for t in range(300)]
    record_arrays(tmp_path, [0], None, arrays[:1])
    writer = RunWriter.resume(tmp_path, "run-0")

    def write() -> None:
        for t in range(1, 300):
            writer.append(t, {"outputs": arrays[t]}, {"loss": float(t)})
        writer.close()

    recording, thread = open_recording(tmp_path), threading.Thread(target=write)
    thread.start()
    seen = set()
    while thread.is_alive() or recording.refresh():
        if recording.refresh():
            t = len(recording) - 1
            np.testing.assert_array_equal(recording.outputs[t], arrays[t])
            assert recording.steps.tolist() == list(range(t + 1)) and recording.metrics["loss"][t] == t
            seen.add(t)
    thread.join()
    assert len(recording) == 300 and len(seen) >= 2


NASTY = ["../x", "a/b", "/etc/passwd", "", ".", "con", "ü ∂ 🙂", "a" * 300, "c.0.0", 'quote"\\', "x\x00y"]


def test_names_are_never_file_names(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "r"
    arrays = {name: rng.normal(size=(2, 3, 1)) for name in NASTY}
    metrics = {name: [1.0, 2.0] for name in NASTY}
    for name in NASTY[4:]:
        record_arrays(path, [1, 5], [7, 8, 9], None, layers=arrays, metrics=metrics, run_id=name)
    recording = open_recording(path, NASTY[6])
    assert recording.layers == tuple(NASTY) and list(recording.metrics) == NASTY and recording.runs == tuple(NASTY[4:])
    for name in NASTY:
        np.testing.assert_array_equal(recording.layer(name), arrays[name])
    assert [entry.name for entry in tmp_path.iterdir()] == ["r"]
    names = {entry.name for entry in path.rglob("*")}
    assert not names & set(NASTY) and all(name.isascii() and len(name) < 20 for name in names)


def test_any_zarr_reader_reads_it_finished_or_not(tmp_path: Path) -> None:
    with Recorder(network(), (INPUTS, LABELS), path=tmp_path, parameters=True) as recorder:
        recorder.step(1, loss=2.0)
        group = zarr.open_group(tmp_path, mode="r")["0"]
        assert group["committed"][:].tolist() == [2, 0]
        assert group["outputs"].shape[0] > 2 and np.isnan(group["outputs"][2:]).all()
    group = zarr.open_group(tmp_path, mode="r")["0"]
    assert group["committed"][:].tolist() == [2, 1] and group["steps"][:].tolist() == [0, 1]
    np.testing.assert_array_equal(group["outputs"][:], open_recording(tmp_path).outputs)
    assert group["outputs"].chunks == (1, 60, 4) and not group["outputs"].compressors
    assert set(group.array_keys()) == {
        *("committed", "steps", "metric-0", "sample_ids", "labels", "inputs", "outputs", "parameters", "buffers")
    }


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    for group in (tmp_path / "0", tmp_path):
        metadata = json.loads((group / "zarr.json").read_text())
        metadata["attributes"] |= {"version": 99, "written_by": "7.0"}
        (group / "zarr.json").write_text(json.dumps(metadata))
        with pytest.raises(NetgeomError, match=r"newer format.*version 1 or older.*version 99, .*netgeom_widgets 7\.0"):
            open_recording(tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no recording at.*nothing there"),
        (lambda path: path.mkdir(), "no recording at.*without zarr.json"),
        (lambda path: path.write_text("x"), "no recording at.*a file"),
        (zarr.create_group, "is not a recording.*another zarr group"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, make: object, message: str) -> None:
    make(tmp_path / "r")
    with pytest.raises(NetgeomError, match=message):
        open_recording(tmp_path / "r")


def test_the_files_are_hardly_larger_than_the_numbers(tmp_path: Path) -> None:
    inputs = torch.rand(1000, 64)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with Recorder(net, inputs, path=tmp_path, layers=["0", "1"]) as recorder:
        for step in range(1, 21):
            recorder.step(step, loss=1.0, accuracy=0.5)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size < 1.1 * (21 * 1000 * (10 + 32 + 32) * 4 + inputs.nbytes)


def test_runs_of_several_processes_stand_side_by_side(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=record_one, args=(tmp_path, value)) for value in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    recordings = [open_recording(tmp_path, run_id) for run_id in ("run-0", "run-1")]
    assert sorted(float(recording.outputs[0, 0, 0]) for recording in recordings) == [0.0, 1.0]


def record_one(path: Path, value: int) -> None:
    record_arrays(path, [0], None, [np.full((3, 2), value, np.float32)])
