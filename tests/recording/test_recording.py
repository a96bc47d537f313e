"""Reading recordings: views, predictions, restored models, arrays of other frameworks, trajectories."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.kernels import _memory
from netgeom_widgets.recording import (
    Recorder,
    Recording,
    SnapshotArray,
    open_recording,
    projected,
    record_arrays,
    trajectories,
)
from tests.recording.runs import data, network, same_state, state, train

INPUTS, LABELS = data()
VALUES = np.random.default_rng(0).normal(size=(5, 4, 3))


@pytest.fixture
def view(tmp_path: Path) -> SnapshotArray:
    return record_arrays(tmp_path, range(5), None, VALUES).outputs


@pytest.mark.parametrize(
    "index",
    [0, -1, np.int64(2), slice(None), slice(1, 4), slice(None, None, -2), slice(3, 3), ..., (1, 2), (slice(1, 3), 0)]
    + [(0, [1, 3]), (slice(None), [1, 3], 2), (..., 0), (2, ..., 1), (-1, slice(1, 2)), (slice(2, 2), 1), ()],
)
def test_a_view_gives_what_numpy_gives(view: SnapshotArray, index: object) -> None:
    np.testing.assert_array_equal(view[index], VALUES[index])
    assert view[index].shape == VALUES[index].shape


def test_a_view_looks_like_an_array(view: SnapshotArray) -> None:
    assert (view.shape, view.ndim, view.size, len(view), view.dtype) == ((5, 4, 3), 3, 60, 5, np.float64)
    assert view.nbytes == 480 and repr(view) == "<recorded array (5, 4, 3) float64, 0.0 MB on disk>"
    np.testing.assert_array_equal(np.asarray(view), VALUES)
    assert np.asarray(view, np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.stack(list(view)), VALUES)
    with pytest.raises(ValueError, match="reading it makes a copy"):
        np.array(view, copy=False)


@pytest.mark.parametrize(("index", "error"), [(5, IndexError), (-6, IndexError), ([0, 1], TypeError), (1.0, TypeError)])
def test_a_view_refuses_what_is_no_snapshot(view: SnapshotArray, index: object, error: type) -> None:
    with pytest.raises(error):
        view[index]


def test_sizes_are_checked_before_anything_is_read(view: SnapshotArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "_ASK_FROM", 0)
    monkeypatch.setattr(_memory, "available_bytes", lambda: 200)
    assert view[0].shape == (4, 3)
    with pytest.raises(TooLargeError, match=r"5 snapshots \(4, 3\).*view\[t\]"):
        np.asarray(view)


def test_predictions(tmp_path: Path) -> None:
    several = record_arrays(tmp_path, [0, 1], None, [[[1, 2, 0.5], [3, 3, 1]], [[0, 0, 1], [np.nan, 1, 2]]])
    assert several.predictions.tolist() == [[1, 0], [2, -1]] and several.predictions.dtype == np.int64
    one = record_arrays(tmp_path, [0], None, [np.array([-1.0, 0.0, 2.0])])
    assert one.outputs.shape == (1, 3, 1) and one.predictions.tolist() == [[0, 0, 1]]


def test_arrays_of_any_framework_come_back_bit_for_bit(tmp_path: Path) -> None:
    arrays = {
        "float16": VALUES.astype(np.float16),
        "float32": torch.from_numpy(VALUES).float().requires_grad_(),
        "big-endian": VALUES.astype(">f8"),
        "strided": VALUES[:, :, ::-1],
        "whole": np.arange(60).reshape(5, 4, 3),
        "one number": VALUES[:, :, 0],
        "lists": VALUES.tolist(),
    }
    recording = record_arrays(
        tmp_path,
        [1, 2, 4, 8, 16],
        [9, 3, 5, 7],
        None,
        layers=arrays,
        labels=[0, 1, 1, 0],
        inputs=np.zeros((4, 8, 8), np.uint8),
        parameters=VALUES[:, 0],
        metrics={"loss": VALUES[:, 0, 0]},
    )
    assert recording.finished and recording.mode == "arrays" and recording.layers == tuple(arrays)
    for name, values in arrays.items():
        expected = values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        read = np.asarray(recording.layer(name))
        np.testing.assert_array_equal(read, expected.reshape(5, 4, -1))
        assert read.dtype == (expected.dtype.newbyteorder("=") if expected.dtype.kind == "f" else np.float64)
    assert recording.inputs.dtype == np.uint8 and recording.labels.tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(recording.parameters, VALUES[:, 0])
    np.testing.assert_array_equal(recording.metrics["loss"], VALUES[:, 0, 0])
    with pytest.raises(NetgeomError, match=r"recorded without outputs.*outputs=True"):
        _ = recording.outputs


def test_snapshots_are_read_one_at_a_time(tmp_path: Path) -> None:
    class Lazy:
        alive = 0

        def __len__(self) -> int:
            return 5

        def __getitem__(self, t: int) -> np.ndarray:
            return VALUES[t]

    np.testing.assert_array_equal(record_arrays(tmp_path, range(5), None, Lazy()).outputs, VALUES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [0, 1, 1, 2, 3]}, "steps do not increase"),
        ({"steps": []}, "steps do not increase"),
        ({"steps": [-1, 0, 1, 2, 3]}, "whole numbers"),
        ({"steps": range(4)}, "outputs does not have one entry per step.*4.*5"),
        ({"ids": [1, 2]}, "not as many ids as samples"),
        ({"outputs": None}, "nothing to record"),
        ({"outputs": VALUES[:, 0, 0]}, r"outputs does not fit.*\(\)"),
        ({"outputs": VALUES + 1j}, "outputs does not fit.*complex"),
        ({"outputs": [*VALUES[:4], VALUES[4, :2]]}, r"outputs does not fit.*\(2, 3\)"),
        ({"outputs": VALUES[:, :, :0]}, "outputs does not fit"),
        ({"layers": {"a": VALUES[:, :2]}}, r"layer 'a' does not fit.*\(2, 3\)"),
        ({"layers": {"a": VALUES[:2]}}, "layer 'a' does not have one entry per step"),
        ({"metrics": {"loss": [1]}}, "loss does not have one entry per step"),
        ({"parameters": VALUES}, r"parameters does not fit.*\(P,\)"),
        ({"labels": [1]}, "Labels are not understood"),
        ({"inputs": np.zeros((3, 2))}, "inputs do not fit"),
        ({"run_id": "there"}, "Run 'there' is already recorded"),
    ],
)
def test_arrays_that_do_not_fit_leave_no_run_behind(tmp_path: Path, changes: dict, message: str) -> None:
    record_arrays(tmp_path, [0], None, VALUES[:1], run_id="there")
    options = {"steps": range(5), "ids": None, "outputs": VALUES, **changes}
    with pytest.raises(NetgeomError, match=message):
        record_arrays(tmp_path, options.pop("steps"), options.pop("ids"), options.pop("outputs"), **options)
    assert open_recording(tmp_path).runs == ("there",)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["0", "zarr.json"]


def test_what_was_not_recorded_says_so(tmp_path: Path) -> None:
    recording = record_arrays(tmp_path, [0], None, VALUES[:1], layers={"fc": VALUES[:1]})
    for look, message in (
        (lambda: recording.parameters, "recorded without parameters.*parameters=True"),
        (lambda: recording.layer("conv"), "Layer 'conv' was not recorded.*'fc'"),
        (lambda: open_recording(tmp_path, "x"), "no run 'x'.*run-0"),
        (lambda: recording.restore(network(), 0), "recorded without parameters"),
    ):
        with pytest.raises(NetgeomError, match=message):
            look()
    assert recording.labels is None and recording.inputs is None and recording.metrics == {}
    assert not recording.missing(0).any()


def test_the_repr_is_one_line(tmp_path: Path) -> None:
    recording = record_arrays(tmp_path, [0], None, VALUES[:1], layers={"fc": VALUES[:1]})
    assert repr(recording) == "<Recording 'run-0': 1 snapshots of 4 samples (outputs, 1 layers), finished>"


class TestRestore:
    """Models out of a recording."""

    @pytest.fixture
    def recorded(self, tmp_path: Path) -> tuple[Recording, nn.Sequential]:
        net = network()
        with Recorder(net, INPUTS, path=tmp_path, parameters=True) as recorder:
            train(net, 2, after_epoch=recorder.step)
        return open_recording(tmp_path), net

    def test_into_the_model_given_in_its_own_mode(self, recorded: tuple[Recording, nn.Sequential]) -> None:
        recording, net = recorded
        other = network(4).train()
        other[0].eval()
        assert recording.restore(other, -1) is other and same_state(state(other), state(net))
        assert [module.training for module in other] == [False, True, True, True, True]
        assert other[0].weight.requires_grad

    @pytest.mark.parametrize("t", [3, -4, 1.5])
    def test_of_a_snapshot_that_is_not_there(self, recorded: tuple[Recording, nn.Sequential], t: object) -> None:
        with pytest.raises((IndexError, TypeError)):
            recorded[0].restore(network(), t)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda net: net.append(nn.Linear(4, 4)), "parameters are not those of this model: 5.weight"),
            (lambda net: net.__setitem__(4, nn.Linear(8, 3)), "parameters are not those of this model: 4.weight"),
            (lambda net: net.register_buffer("more", torch.ones(1)), "buffers are not those of this model: more"),
        ],
    )
    def test_into_another_model_changes_nothing(
        self, recorded: tuple[Recording, nn.Sequential], change: object, message: str
    ) -> None:
        other = network(4)
        change(other)
        before = copy.deepcopy(state(other))
        with pytest.raises(NetgeomError, match=message):
            recorded[0].restore(other, 0)
        assert same_state(state(other), before)

    def test_from_plain_vectors(self, tmp_path: Path) -> None:
        net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        vector = nn.utils.parameters_to_vector(net.parameters()).detach().numpy()
        recording = record_arrays(tmp_path, [0], [0], None, parameters=vector[None])
        other = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        assert same_state(state(recording.restore(other, 0)), state(net))
        with pytest.raises(NetgeomError, match=r"Expected: 2\. Got: 13"):
            recording.restore(nn.Linear(1, 1), 0)
        with pytest.raises(NetgeomError, match="The model has buffers, which this recording does not hold"):
            recording.restore(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(2, affine=False), nn.Linear(3, 1)), 0)

    def test_buffers_of_every_kind(self, tmp_path: Path) -> None:
        def model(fill: float) -> nn.Module:
            net = nn.Linear(6, 2)
            for dtype in (torch.bool, torch.int64, torch.uint8, torch.float16, torch.bfloat16, torch.complex64):
                net.register_buffer(f"buffer_{dtype}"[7:].replace(".", "_"), torch.full((2, 3), fill).to(dtype))
            net.register_buffer("scalar", torch.tensor(fill), persistent=False)
            return net

        with Recorder(model(3.5), INPUTS, path=tmp_path, parameters=True):
            pass
        restored = open_recording(tmp_path).restore(model(0.0), 0)
        for (name, expected), found in zip(model(3.5).named_buffers(), restored.buffers(), strict=True):
            assert torch.equal(expected, found), name


class TestTrajectories:
    """Runs as curves in one space."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        for seed in range(3):
            net = network(seed)
            with Recorder(net, INPUTS, path=tmp_path, parameters=True, run_id=f"seed {seed}") as recorder:
                train(net, 2, seed=seed, after_epoch=lambda step, loss, r=recorder: r.step(step, loss=loss))
        return tmp_path

    def test_of_metrics_and_parameters(self, path: Path) -> None:
        found = trajectories(path, ["loss", "4.bias"])
        assert found.values.shape == (3, 3, 5) and found.values.dtype == np.float64
        assert found.run_ids == ("seed 0", "seed 1", "seed 2") and found.steps.tolist() == [0, 1, 2]
        assert found.names == ("loss", "4.bias[0]", "4.bias[1]", "4.bias[2]", "4.bias[3]")
        recording = open_recording(path, "seed 1")
        np.testing.assert_array_equal(found.values[1, :, 0], recording.metrics["loss"])
        np.testing.assert_array_equal(found.values[1, :, 1:], recording.parameters[:, -4:])
        assert trajectories(path, "0.w*", runs=["seed 2"]).values.shape == (1, 3, 48)

    def test_of_a_projection(self, path: Path) -> None:
        n_parameters = open_recording(path).parameters.shape[1]
        matrix = np.random.default_rng(0).normal(size=(n_parameters, 2))
        found = trajectories(path, matrix)
        np.testing.assert_allclose(found.values[0], np.asarray(open_recording(path, "seed 0").parameters) @ matrix)
        assert trajectories(path, projected(dimensions=2)).values.shape == (3, 3, 2)

    def test_that_cannot_be_compared_are_refused(self, path: Path) -> None:
        with pytest.raises(NetgeomError, match=r"no metric or parameter 'acc'.*loss"):
            trajectories(path, ["acc"])
        with pytest.raises(NetgeomError, match=r"projection does not fit the parameters.*\(108, dims\)"):
            trajectories(path, np.ones((3, 2)))
        with pytest.raises(NetgeomError, match="at least one dimension"):
            trajectories(path, [])
        record_arrays(path, [0, 1], None, VALUES[:2], metrics={"loss": [1, 2]})
        with pytest.raises(NetgeomError, match="'seed 0' and 'run-3' were not recorded at the same steps"):
            trajectories(path, ["loss"])
