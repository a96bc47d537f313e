"""Rows from the training forward passes: what ReprDynamics records, with missing rows said and not invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording import Recorder, num_snapshots, open_recording
from tests.recording.runs import data, network

INPUTS, LABELS = data()


def test_rows_are_those_of_the_forward_that_made_them(tmp_path: Path) -> None:
    net = network().train()
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    expected = np.full((3, 60, 4), np.nan, np.float32)
    with Recorder(
        net, (INPUTS, LABELS), path=tmp_path, layers=["0", "2"], mode="as_trained", parameters=True
    ) as recorder:
        for epoch in range(3):
            for rows in torch.arange(60).flip(0).split(16):
                outputs = net(INPUTS[rows])
                expected[epoch, rows] = outputs.detach()
                recorder.store(rows)
                optimizer.zero_grad()
                nn.functional.cross_entropy(outputs, LABELS[rows]).backward()
                optimizer.step()
                with torch.no_grad():
                    net.eval()(INPUTS[:5])  # validation in between is not what was trained
                    net.train()
            recorder.step(epoch, loss=0.0)
    recording = open_recording(tmp_path)
    assert recording.mode == "as_trained" and recording.steps.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(recording.outputs, expected)
    assert recording.layer("2").shape == (3, 60, 8) and (np.asarray(recording.layer("2")) >= 0).all()
    np.testing.assert_array_equal(recording.restore(network(2), 2)[0].weight.detach(), net[0].weight.detach())


def test_rows_given_by_hand_and_ids_of_any_order(tmp_path: Path) -> None:
    ids = np.array([30, 10, 20, 5])
    with Recorder(network(), None, ids=ids, path=tmp_path, layers=["0"], mode="as_trained") as recorder:
        recorder.store([20, 10], outputs=torch.tensor([[2.0, 0], [1, 0]]), **{"0": torch.ones(2, 3).half()})
        recorder.store(torch.tensor([5]), outputs=torch.tensor([[0.0, 5]]), **{"0": torch.zeros(1, 3)})
        recorder.step(7)
    recording = open_recording(tmp_path)
    nan = np.nan
    np.testing.assert_array_equal(recording.outputs[0], [[nan, nan], [1, 0], [2, 0], [0, 5]])
    np.testing.assert_array_equal(recording.layer("0")[0, :, 0], [nan, 1, 1, 0])
    assert recording.missing(0).tolist() == [True, False, False, False]
    assert recording.predictions.tolist() == [[-1, 0, 0, 1]] and recording.inputs is None
    assert recording.sample_ids.tolist() == ids.tolist()


def test_nothing_is_taken_at_the_ends_and_what_is_not_due_is_dropped(tmp_path: Path) -> None:
    net = network().train()
    with Recorder(net, INPUTS, path=tmp_path, mode="as_trained", every=num_snapshots(10, 3)) as recorder:
        for epoch in range(8):
            net(INPUTS[: epoch + 2])
            recorder.store(range(epoch + 2))
            recorder.step(epoch)
    recording = open_recording(tmp_path)
    assert recording.steps.tolist() == [0, 3, 6]
    assert [int((~recording.missing(t)).sum()) for t in range(3)] == [2, 5, 8]


def test_checkpointed_layers_are_run_again_in_the_backward_pass(tmp_path: Path) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 5), nn.Linear(5, 2)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.head(torch.utils.checkpoint.checkpoint(self.body, inputs, use_reentrant=False))

    net = Checkpointed()
    with Recorder(net, INPUTS, path=tmp_path, layers=["body"], mode="as_trained") as recorder:
        net(INPUTS).sum().backward()
        recorder.store(range(60))
        recorder.step(1)
    assert np.isfinite(open_recording(tmp_path).layer("body")[0]).all()


def test_a_compiled_model_shows_nothing_so_its_arrays_have_to_be_given(tmp_path: Path) -> None:
    compiled = torch.compile(network().train(), backend="eager")
    with Recorder(compiled, INPUTS, path=tmp_path, mode="as_trained") as recorder:
        outputs = compiled(INPUTS)
        with pytest.raises(NetgeomError, match=r"A compiled model cannot be watched while it trains.*Got: only ids"):
            recorder.store(range(60))
        recorder.store(range(60), outputs)
        recorder.step(0)
    np.testing.assert_array_equal(open_recording(tmp_path).outputs[0], outputs.detach())
    assert not compiled._orig_mod._forward_hooks


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, net: r.step(0), "Nothing was stored since the last snapshot"),
        (lambda r, net: r.store([0]), "has not run in the forward pass"),
        (lambda r, net: (net(INPUTS[:3]), r.store([0, 1])), "wrong shape.*2 samples"),
        (lambda r, net: (net(INPUTS[:2]), r.store([0, 60])), "Not all of these samples are recorded.*60"),
        (lambda r, net: (net(INPUTS[:2]), r.store([1, 1])), "the same one twice"),
        (lambda r, net: r.store([0], fc=torch.ones(1, 2)), "Not all of these layers are recorded.*fc"),
        (lambda r, net: r.store([0], torch.ones(1, 2), **{"0": "x"}), "'0' does not give one tensor"),
        (lambda r, net: (net.eval()(INPUTS[:2]), r.store([0, 1])), "has not run in the forward pass"),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path: Path, call: object, message: str) -> None:
    net = network().train()
    with (
        Recorder(net, INPUTS, path=tmp_path, layers=["0"], mode="as_trained") as recorder,
        pytest.raises(NetgeomError, match=message),
    ):
        call(recorder, net)


def test_an_exception_leaves_no_hooks(tmp_path: Path) -> None:
    net = network()

    def fail() -> None:
        with Recorder(net, INPUTS, path=tmp_path, layers=["*"], mode="as_trained"):
            assert net[0]._forward_hooks and net._forward_pre_hooks
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
