"""The recorder's life: which snapshots are taken, under which steps, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording import Recorder, num_snapshots, open_recording, projected
from tests.recording.runs import N_SAMPLES, data, evaluated, network, same_state, state, train

SCHEDULES = json.loads((Path(__file__).parents[1] / "golden/transitions/schedule_reference.json").read_text())
INPUTS, LABELS = data()


def test_a_snapshot_holds_what_the_model_gives_at_that_step(tmp_path: Path) -> None:
    net, expected, states = network(), [], []

    def after_epoch(epoch: int, loss: torch.Tensor) -> None:
        assert recorder.step(epoch, loss=loss, twice=2 * loss.item())
        expected.append(evaluated(net, INPUTS))
        states.append(state(net))

    initial = evaluated(net, INPUTS)
    with Recorder(net, (INPUTS, LABELS), path=tmp_path / "r", layers=["0"], parameters=True) as recorder:
        train(net, 3, after_epoch=after_epoch)
    recording = open_recording(tmp_path / "r")
    assert recording.finished and recording.mode == "probe" and recording.run_id == recorder.run_id == "run-0"
    assert recording.steps.tolist() == [0, 1, 2, 3] and recording.steps.dtype == np.int64
    # Batches of another size, or memory at another place, may be rounded differently: closeness is what is promised.
    np.testing.assert_allclose(recording.outputs, [initial, *expected], rtol=1e-6, atol=1e-6)
    assert recording.layer("0").shape == (4, N_SAMPLES, 8)
    np.testing.assert_array_equal(recording.labels, LABELS)
    np.testing.assert_array_equal(recording.inputs, INPUTS)
    np.testing.assert_array_equal(recording.sample_ids, np.arange(N_SAMPLES))
    loss = recording.metrics["loss"]
    assert np.isnan(loss[0]) and np.isfinite(loss[1:]).all()
    np.testing.assert_allclose(recording.metrics["twice"][1:], 2 * loss[1:], rtol=1e-6)
    for t, kept in enumerate(states, start=1):
        assert same_state(state(recording.restore(network(seed=9), t)), kept)


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (4, [0, 4, 8, 9]),
        ("logarithmic", [0, 1, 2, 4, 8, 9]),
        (lambda step: step == 3, [0, 3, 9]),
        (num_snapshots(9, 2), [0, 4, 8, 9]),
        (100, [0, 9]),
    ],
)
def test_schedules_and_the_first_and_last_snapshot(tmp_path: Path, every: object, expected: list[int]) -> None:
    net = network()
    with Recorder(net, INPUTS, path=tmp_path, every=every) as recorder:
        taken = [step for step in range(1, 10) if recorder.step(step)]
        assert taken == [step for step in expected[1:] if recorder.due(step)]
    assert open_recording(tmp_path).steps.tolist() == expected


@pytest.mark.parametrize("case", SCHEDULES, ids=lambda case: f"{case['num_epochs']}-{case['num_snapshots']}")
def test_the_schedule_of_reprdynamics(case: dict) -> None:
    due = num_snapshots(case["num_epochs"], case["num_snapshots"])
    assert [epoch for epoch in range(case["num_epochs"]) if due(epoch)] == case["stored_epochs"]


def test_the_last_snapshot_carries_the_metrics_of_the_last_step(tmp_path: Path) -> None:
    running = torch.tensor(1.0)
    with Recorder(network(), INPUTS, path=tmp_path, every=5) as recorder:
        recorder.step(7, loss=running)
        running += 10  # the recorder has its own copy
    assert open_recording(tmp_path).metrics["loss"].tolist()[1] == 1.0


def test_metrics_may_come_and_go(tmp_path: Path) -> None:
    with Recorder(network(), INPUTS, path=tmp_path) as recorder:
        recorder.step(1, loss=1.0)
        recorder.step(2, **{"val/../acc": np.float32(0.5), "step": 3})
        recorder.step(3, loss=3, step=torch.tensor([4]))
    metrics = open_recording(tmp_path).metrics
    nan = np.nan
    np.testing.assert_array_equal(metrics["loss"], [nan, 1, nan, 3])
    np.testing.assert_array_equal(metrics["val/../acc"], [nan, nan, 0.5, nan])
    np.testing.assert_array_equal(metrics["step"], [nan, nan, 3, 4])


def test_more_snapshots_than_fit_the_first_arrays(tmp_path: Path) -> None:
    with Recorder(nn.Linear(2, 1), torch.ones(3, 2), path=tmp_path, parameters=True) as recorder:
        for step in range(1, 1100):
            recorder.step(step, loss=step / 2)
    recording = open_recording(tmp_path)
    assert recording.steps.tolist() == list(range(1100)) and recording.outputs.shape == (1100, 3, 1)
    np.testing.assert_array_equal(recording.metrics["loss"][1:], np.arange(1, 1100) / 2)
    assert np.isfinite(np.asarray(recording.outputs)).all()


def test_every_with_block_makes_a_run_of_its_own(tmp_path: Path) -> None:
    for seed in range(3):
        with Recorder(network(seed), INPUTS, path=tmp_path) as recorder:
            recorder.step(1)
        assert recorder.run_id == f"run-{seed}"
    with Recorder(network(), INPUTS, path=tmp_path, run_id="../é/x y") as recorder:
        pass
    assert open_recording(tmp_path).runs == ("run-0", "run-1", "run-2", "../é/x y")
    assert open_recording(tmp_path).run_id == "../é/x y" and len(open_recording(tmp_path, "run-1")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3", "zarr.json"]


def test_a_run_goes_on_after_its_last_snapshot(tmp_path: Path) -> None:
    def recorder() -> Recorder:
        return Recorder(net, (INPUTS, LABELS), path=tmp_path, layers=["0"], parameters=True, run_id="a", every=2)

    net = network()
    with recorder() as first:
        train(net, 5, after_epoch=first.step)
    before = np.asarray(open_recording(tmp_path).outputs)
    with recorder() as second:
        with pytest.warns(UserWarning, match=r"Run 'a' is recorded up to step 5: step 4"):
            assert not second.step(4)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # said once
            assert not second.step(5, loss=1.0)
        train(net, 3, after_epoch=second.step, first=6)
    recording = open_recording(tmp_path)
    assert recording.runs == ("a",) and recording.steps.tolist() == [0, 2, 4, 5, 6, 8] and recording.finished
    np.testing.assert_array_equal(recording.outputs[:4], before)
    assert same_state(state(recording.restore(network(3), -1)), state(net))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"layers": ["4"]}, "layers"),
        ({"layers": {"0": "average"}}, "reducers"),
        ({"parameters": True}, "parameters"),
        ({"dtype": "float64"}, "rows.*layer-0"),
        ({"probe": (INPUTS[:30], LABELS[:30])}, "rows"),
        ({"probe": (INPUTS, 1 - LABELS)}, "labels"),
        ({"probe": INPUTS}, "arrays.*labels"),
        ({"probe": (INPUTS + 1, LABELS)}, "inputs"),
        ({"ids": range(5, 65)}, "sample_ids"),
        ({"mode": "as_trained"}, "mode"),
    ],
)
def test_a_run_cannot_go_on_as_another(tmp_path: Path, changes: dict, named: str) -> None:
    def go_on(recorder: Recorder) -> None:
        with recorder:
            if "mode" in changes:
                recorder.store(range(60), net(INPUTS), **{"0": net[0](INPUTS)})
            recorder.step(1)

    net = network()
    options = {"path": tmp_path, "layers": ["0"], "run_id": "a"}
    with Recorder(net, (INPUTS, LABELS), **options):
        pass
    options |= {"probe": (INPUTS, LABELS), **changes}
    with pytest.raises(NetgeomError, match=f"Run 'a' cannot go on: not the same {named}"):
        go_on(Recorder(net, options.pop("probe"), **options))
    recording = open_recording(tmp_path)
    assert recording.steps.tolist() == [0] and recording.finished


def test_an_exception_keeps_what_was_committed_and_leaves_no_hooks(tmp_path: Path) -> None:
    net = network()

    def fail() -> None:
        with Recorder(net, INPUTS, path=tmp_path, layers=["*"], every=2) as recorder:
            recorder.step(2)
            recorder.step(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    recording = open_recording(tmp_path)
    assert recording.steps.tolist() == [0, 2] and recording.finished
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_model_that_fails_on_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    net = network().train()
    recorder = Recorder(net, INPUTS[:, :5], path=tmp_path / "r", layers=["0"])
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        recorder.__enter__()
    assert net.training and not net[0]._forward_hooks
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["zarr.json"]
    with pytest.raises(NetgeomError, match="has no snapshot yet"):
        open_recording(tmp_path / "r")


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "NODE_RANK"])
def test_only_the_first_process_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    with Recorder(network(), INPUTS, path=tmp_path / "r") as recorder:
        assert not recorder.due(1) and not recorder.step(1, loss=1.0)
    assert not (tmp_path / "r").exists() and recorder.run_id is None


def test_the_rank_in_a_process_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    for rank in (0, 1):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        with Recorder(network(), INPUTS, path=tmp_path / str(rank)):
            pass
    assert (tmp_path / "0").exists() and not (tmp_path / "1").exists()


@pytest.mark.parametrize("name", ["FullyShardedDataParallel", "DTensor"])
def test_a_sharded_model_is_refused(tmp_path: Path, name: str) -> None:
    base = nn.Parameter if name == "DTensor" else nn.Linear
    part = type(name, (base,), {})(*([torch.ones(2, 6)] if name == "DTensor" else [6, 2]))
    net = network()
    net[4].extra = part
    with pytest.raises(NetgeomError, match=rf"4\.extra is spread over several processes.*{name}"):
        Recorder(net, INPUTS, path=tmp_path)


def test_parallel_wrappers_and_compiled_models_are_looked_into(tmp_path: Path) -> None:
    for wrapped in (nn.DataParallel(network()), torch.compile(network(), backend="eager")):
        with Recorder(wrapped, INPUTS, path=tmp_path, layers=["0"], parameters=True) as recorder:
            train(wrapped, 1, after_epoch=recorder.step)
        recording = open_recording(tmp_path)
        restored = recording.restore(network(1), -1)
        np.testing.assert_allclose(evaluated(restored, INPUTS), recording.outputs[-1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_precision_is_recorded_and_restored_exactly(tmp_path: Path, dtype: torch.dtype) -> None:
    net = network().to(dtype)
    with Recorder(net, INPUTS.numpy().astype(np.float64), path=tmp_path, layers=["0"], parameters=True):
        pass
    recording = open_recording(tmp_path)
    assert recording.parameters.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert recording.outputs.dtype == np.float32 and recording.inputs.dtype == np.float64
    restored = recording.restore(network(1).to(dtype), 0)
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), restored.state_dict().values(), strict=True)
    )


def test_float16_overflow_is_said(tmp_path: Path) -> None:
    net = nn.Linear(1, 1)
    with (
        pytest.warns(UserWarning, match="float16 ends at 65504: some values of outputs"),
        Recorder(net, torch.full((3, 1), 1e6), path=tmp_path, dtype="float16"),
    ):
        pass
    assert open_recording(tmp_path).outputs.dtype == np.float16


def test_a_model_called_by_keywords(tmp_path: Path) -> None:
    class Keywords(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, *, features: torch.Tensor, scale: float) -> dict[str, torch.Tensor]:
            return {"logits": self.inner(features) * scale}

    with pytest.raises(NetgeomError, match=r"The model's output does not give one tensor.*dict"):
        Recorder(Keywords(), INPUTS, path=tmp_path, forward=lambda model, x: model(features=x, scale=2.0)).__enter__()
    with Recorder(
        Keywords(), INPUTS, path=tmp_path, layers="inner", forward=lambda model, x: model(features=x, scale=2)["logits"]
    ):
        pass
    recording = open_recording(tmp_path)
    np.testing.assert_array_equal(recording.outputs[0], 2 * recording.layer("inner")[0])


def test_a_dataset_is_read_once_and_labels_with_it(tmp_path: Path) -> None:
    class Images(torch.utils.data.Dataset):
        reads = 0

        def __len__(self) -> int:
            return 7

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            self.reads += 1
            torch.rand(1)  # augmentation
            return torch.full((2, 2), i, dtype=torch.uint8), i % 3

    images, model = Images(), nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with Recorder(model, images, path=tmp_path, forward=lambda model, x: model(x / 255)) as recorder:
        recorder.step(1)
    assert images.reads == 8  # the first one tells how much memory the rest takes
    assert torch.equal(before, torch.get_rng_state())
    recording = open_recording(tmp_path)
    assert recording.inputs.dtype == np.uint8 and recording.inputs.shape == (7, 2, 2)
    assert recording.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("targets", [torch.linspace(-1, 1, N_SAMPLES), torch.as_tensor(LABELS)], ids=["real", "whole"])
def test_targets_in_a_column_are_one_per_sample(tmp_path: Path, targets: torch.Tensor) -> None:
    with Recorder(network(), (INPUTS, targets[:, None]), path=tmp_path) as recorder:
        recorder.step(1)
    labels = open_recording(tmp_path).labels
    assert labels.shape == (N_SAMPLES,)
    np.testing.assert_array_equal(labels, targets.numpy())


def test_inputs_can_be_left_out(tmp_path: Path) -> None:
    with Recorder(network(), (INPUTS, LABELS), path=tmp_path, store_inputs=False):
        pass
    assert open_recording(tmp_path).inputs is None


def test_the_probe_is_what_it_was_when_the_recorder_was_made(tmp_path: Path) -> None:
    mine, model = INPUTS.clone(), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 2))
    with Recorder(model, mine, path=tmp_path) as recorder:
        mine += 1
        recorder.step(1)
    recording = open_recording(tmp_path)
    np.testing.assert_array_equal(recording.inputs, INPUTS)
    np.testing.assert_array_equal(recording.outputs[0], recording.outputs[1])


def test_only_a_part_of_the_parameters(tmp_path: Path) -> None:
    net = network()
    with Recorder(net, INPUTS, path=tmp_path, parameters=["4.*"], outputs=False):
        pass
    with Recorder(net, INPUTS, path=tmp_path, parameters=projected(dimensions=5, seed=3), outputs=False):
        pass
    part, projection = open_recording(tmp_path, "run-0"), open_recording(tmp_path, "run-1")
    np.testing.assert_array_equal(part.parameters[0], np.concatenate([p.detach().ravel() for p in net[4].parameters()]))
    assert projection.parameters.shape == (1, 5)
    for recording in (part, projection):
        with pytest.raises(NetgeomError, match="holds only a part of the parameters"):
            recording.restore(net, 0)


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from INPUTS


BAD = {
    "no module": ({"model": "net"}, "The model is not a torch module"),
    "lazy": ({"model": nn.LazyLinear(2)}, "weight has no values yet"),
    "meta": ({"model": nn.Linear(6, 2, device="meta")}, "weight has no values yet"),
    "no layer": ({"layers": ["fc1"]}, "No module of the model is called 'fc1'"),
    "no parameter": ({"parameters": ["fc1"]}, "No parameter of the model is called 'fc1'"),
    "reducer": ({"layers": {"0": "mean"}}, "reducer is not understood.*'flatten'"),
    "nothing": ({"outputs": False}, "There is nothing to record"),
    "every 0": ({"every": 0}, "every is not understood"),
    "every text": ({"every": "epoch"}, "every is not understood.*logarithmic"),
    "dtype": ({"dtype": "int8"}, "dtype is not understood"),
    "mode": ({"mode": "train"}, "mode is not understood"),
    "run id": ({"run_id": ""}, "run_id is not understood"),
    "batch size": ({"batch_size": 0}, "batch_size is not understood"),
    "ids twice": ({"ids": [1] * 60}, "the same one twice"),
    "ids negative": ({"ids": range(-1, 59)}, "a negative one"),
    "ids too few": ({"ids": [1, 2]}, "not as many ids as samples"),
    "ids floats": ({"ids": np.arange(60.0)}, "Sample ids are not understood"),
    "labels": ({"probe": (INPUTS, LABELS[:5])}, "Labels are not understood"),
    "labels one-hot": ({"probe": (INPUTS, np.eye(60))}, "Labels are not understood"),
    "no probe": ({"probe": None}, "needs to know its samples"),
    "loader": ({"probe": torch.utils.data.DataLoader(INPUTS)}, "The probe is not understood.*loader.dataset"),
    "empty": ({"probe": INPUTS[:0]}, "The probe is empty"),
    "NaN": ({"probe": INPUTS / 0 * 0}, "not all finite"),
    "text": ({"probe": np.array(["a"])}, "not numbers"),
    "iterable": ({"probe": Stream()}, "a data set without a length"),
    "parameters": ({"parameters": 3.5}, "parameters is not understood"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_refused_before_training(tmp_path: Path, changes: dict, message: str) -> None:
    options = {"model": network(), "probe": INPUTS, "path": tmp_path / "r", **changes}
    with pytest.raises(NetgeomError, match=f"(?s){message}"):
        Recorder(options.pop("model"), options.pop("probe"), **options)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.step(0), "Steps do not increase.*count from 1"),
        (lambda r: (r.step(5), r.step(5)), "expected: a step after 5|Expected: a step after 5"),
        (lambda r: r.step(-1), "whole numbers"),
        (lambda r: r.step(1.5), "whole numbers"),
        (lambda r: r.step(1, loss="low"), "Metric 'loss' is not a number"),
        (lambda r: r.step(1, loss=torch.ones(2)), "Metric 'loss' is not a number"),
        (lambda r: r.store([0]), "recordings made as trained"),
        (lambda r: r.__enter__(), "A recorder is used once"),
    ],
)
def test_wrong_calls_are_refused(tmp_path: Path, call: object, message: str) -> None:
    with Recorder(network(), INPUTS, path=tmp_path) as recorder, pytest.raises(NetgeomError, match=message):
        call(recorder)
    with pytest.raises(NetgeomError, match="The recorder is not open"):
        recorder.step(9)


def test_a_path_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for path, got in ((tmp_path, "notes.txt"), (tmp_path / "notes.txt", "a file")):
        with pytest.raises(NetgeomError, match=rf"no place for a recording.*{got}"):
            Recorder(network(), INPUTS, path=path).__enter__()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_repr_is_one_line(tmp_path: Path) -> None:
    recorder = Recorder(network(), INPUTS, path=tmp_path / "r")
    assert repr(recorder) == f"<Recorder of 'a new run' at {tmp_path / 'r'}: 0 snapshots, new>"
    with recorder:
        assert repr(recorder) == f"<Recorder of 'run-0' at {tmp_path / 'r'}: 1 snapshots, open>"
