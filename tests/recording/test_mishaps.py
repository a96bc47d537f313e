"""Full disks, interruptions, and many writers at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets import _files as files
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording import Recorder, open_recording, projected, record_arrays, store
from tests.recording.runs import data, network

INPUTS, LABELS = data()


def test_a_run_goes_on_in_the_same_process_after_the_disk_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    def fill_up() -> None:
        with Recorder(network(), INPUTS, path=tmp_path, run_id="a") as recorder:
            recorder.step(1, loss=1.0)
            with monkeypatch.context() as patch:
                for module, name in ((store, "write_file"), (store, "write_json"), (files, "write_file")):
                    patch.setattr(module, name, no_space)
                with pytest.raises(OSError, match="No space left"):
                    recorder.step(2, new=1.0)
                recorder.__exit__(None, None, None)

    with pytest.raises(OSError, match="No space left"):
        fill_up()
    assert open_recording(tmp_path).steps.tolist() == [0, 1]
    with Recorder(network(), INPUTS, path=tmp_path, run_id="a") as recorder:
        recorder.step(2, new=2.0)
    recording = open_recording(tmp_path)
    assert recording.finished and recording.steps.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(recording.metrics["new"], [np.nan, np.nan, 2])


def test_a_metric_that_could_not_be_added_is_added_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder(network(), INPUTS, path=tmp_path) as recorder:
        with monkeypatch.context() as patch:
            patch.setattr(store, "write_json", lambda *arguments: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                recorder.step(1, loss=1.0)
        recorder.step(2, loss=2.0)
    recording = open_recording(tmp_path)
    assert recording.steps.tolist() == [0, 2] and recording.metrics["loss"].tolist()[1] == 2.0


def test_an_interruption_within_the_forward_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.armed = nn.BatchNorm1d(6), False

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.armed and len(inputs) < 25:  # in the last batch
                raise KeyboardInterrupt
            return self.norm(inputs)

    def interrupt() -> None:
        with Recorder(model, INPUTS, path=tmp_path, layers=["norm"], batch_size=40) as recorder:
            model.armed = True
            recorder.step(1)

    model = Interrupted().train()
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert model.training and model.norm.training and not model.norm._forward_hooks
    assert torch.equal(torch.get_rng_state(), before)
    recording = open_recording(tmp_path)
    assert recording.finished and recording.steps.tolist() == [0]


def test_what_a_killed_process_left_of_a_new_recording_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".0123").write_text("{")  # killed while the file was written
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    assert open_recording(tmp_path).runs == ("run-0",)


@pytest.mark.parametrize("locks", [True, False])
def test_the_jobs_of_an_array_begin_one_recording_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    def job(value: int) -> None:
        try:
            start.wait()
            ids.append(record_arrays(tmp_path / "r", [0], None, [np.full((2, 2), value)]).run_id)
        except (OSError, ValueError) as error:
            ids.append(repr(error))

    if not locks:  # as on some network drives
        monkeypatch.setattr(files.FolderLock, "acquire", lambda self, *, wait=False: True)
    start, ids = threading.Barrier(8), []
    threads = [threading.Thread(target=job, args=(value,)) for value in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == [f"run-{value}" for value in range(8)]
    values = [float(open_recording(tmp_path / "r", run_id).outputs[0, 0, 0]) for run_id in ids]
    assert sorted(values) == list(range(8))
    assert json.loads((tmp_path / "r" / "zarr.json").read_text())["node_type"] == "group"


def test_several_threads_ask_for_predictions(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 5, 3))
    recording, found = record_arrays(tmp_path, range(60), None, values), []
    threads = [threading.Thread(target=lambda: found.append(recording.predictions)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for predictions in [*found, recording.predictions]:
        np.testing.assert_array_equal(predictions, values.argmax(axis=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": (np.zeros((4, 3)) for _ in range(5))}, "outputs does not have one entry per step.*generator"),
        ({"metrics": {"loss": iter(range(5))}}, "loss does not have one entry per step.*no length"),
        ({"metrics": {"loss": [1, 2, None, 4, 5]}}, "Metric 'loss' is not a number.*NoneType"),
        ({"metrics": {"loss": torch.ones(5, 2)}}, "Metric 'loss' is not a number.*tensor"),
        ({"metrics": {"loss": np.ones(5) * 1j}}, "Metric 'loss' is not a number.*complex"),
    ],
)
def test_arrays_without_length_and_metrics_that_are_no_numbers(tmp_path: Path, changes: dict, message: str) -> None:
    options = {"outputs": np.zeros((5, 4, 3)), **changes}
    with pytest.raises(NetgeomError, match=message):
        record_arrays(tmp_path / "r", range(5), None, options.pop("outputs"), **options)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("loss", ["0.5", torch.tensor(1 + 2j), torch.ones(2), 1j, None])
def test_metrics_of_a_step_that_are_no_numbers(tmp_path: Path, loss: object) -> None:
    with Recorder(network(), INPUTS, path=tmp_path) as recorder:
        with pytest.raises(NetgeomError, match="Metric 'loss' is not a number"):
            recorder.step(1, loss=loss)
        recorder.step(1)  # nothing has happened yet
    assert open_recording(tmp_path).steps.tolist() == [0, 1]


@pytest.mark.parametrize("layers", [None, 3, [1]])
def test_layers_that_are_no_names(tmp_path: Path, layers: object) -> None:
    with pytest.raises(NetgeomError, match="layers is not understood"):
        Recorder(network(), INPUTS, path=tmp_path, layers=layers)


@pytest.mark.parametrize(
    ("spoil", "path_of", "message"),
    [
        (lambda path: (path / "zarr.json").write_text("{"), lambda path: path, "zarr.json is damaged"),
        (lambda path: None, lambda path: path / "0", "is one run of a recording.*run_id='run-0'"),
    ],
)
def test_a_recording_that_cannot_be_opened_says_why(
    tmp_path: Path, spoil: object, path_of: object, message: str
) -> None:
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    spoil(tmp_path)
    with pytest.raises(NetgeomError, match=message):
        open_recording(path_of(tmp_path))


def test_foreign_folders_within_a_recording_are_left_alone(tmp_path: Path) -> None:
    record_arrays(tmp_path, [0], None, [np.zeros((2, 2))])
    for name in ("7", "²", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    assert record_arrays(tmp_path, [0], None, [np.zeros((2, 2))]).runs == ("run-0", "run-8")
    assert all((tmp_path / name / "mine").exists() for name in ("7", "²", "notes"))


def test_a_zarr_2_group_is_no_place_for_a_recording(tmp_path: Path) -> None:
    (tmp_path / ".zgroup").write_text('{"zarr_format": 2}')
    with pytest.raises(NetgeomError, match=r"no place for a recording.*\.zgroup"):
        Recorder(network(), INPUTS, path=tmp_path).__enter__()


def test_a_run_with_labels_that_are_missing_goes_on(tmp_path: Path) -> None:
    labels = np.where(np.arange(60) < 5, np.nan, 1.0)
    for step in (1, 2):
        with Recorder(network(), (INPUTS, labels), path=tmp_path, run_id="a") as recorder:
            recorder.step(step)
    assert open_recording(tmp_path).steps.tolist() == [0, 1, 2]


@pytest.mark.parametrize("options", [{"dimensions": 2.5}, {"dimensions": "many"}, {"dimensions": 3, "seed": 0.5}])
def test_a_projection_is_counted_in_whole_numbers(options: dict) -> None:
    with pytest.raises(NetgeomError, match="Expected: whole numbers"):
        projected(**options)


def test_numbers_that_are_too_large(tmp_path: Path) -> None:
    with pytest.raises(NetgeomError, match="more than 63 bits"):
        Recorder(network(), INPUTS, path=tmp_path, ids=np.arange(60, dtype=np.uint64) + 2**63)
    with Recorder(network(), INPUTS, path=tmp_path) as recorder, pytest.raises(NetgeomError, match="whole numbers"):
        recorder.step(2**70)
