"""Models that do unusual things: they are recorded as they are, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording import Recorder, open_recording, projected
from tests.recording.runs import data, network, same_state, state

INPUTS, LABELS = data()


class Around(nn.Module):
    """A linear layer; what happens before it in each forward pass is given."""

    def __init__(self, before: Callable[[Around, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.linear, self.before = nn.Linear(6, 3), before

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.linear(self.before(self, inputs))


def test_submodules_made_in_the_first_forward_are_left_to_the_training(tmp_path: Path) -> None:
    def lazy(model: Around, inputs: torch.Tensor) -> torch.Tensor:
        if not hasattr(model, "late"):
            model.late = nn.Linear(6, 6)
        return model.late(inputs)

    model = Around(lazy)
    with Recorder(model, INPUTS, path=tmp_path) as recorder:
        assert not hasattr(model, "late")
        model(INPUTS)
        late = model.late
        recorder.step(1)
    assert model.late is late


def test_tensors_and_generators_that_modules_hold_stay(tmp_path: Path) -> None:
    def noisy(model: Around, inputs: torch.Tensor) -> torch.Tensor:
        model.count += 1
        return inputs + torch.randn(inputs.shape, generator=model.generator)

    model = Around(noisy)
    model.count, model.generator = torch.zeros(2), torch.Generator().manual_seed(3)
    count, before = model.count, model.generator.get_state()
    with Recorder(model, INPUTS, path=tmp_path) as recorder:
        recorder.step(1)
    assert model.count is count and not count.any() and torch.equal(model.generator.get_state(), before)
    np.testing.assert_array_equal(*open_recording(tmp_path).outputs)  # the same noise at every snapshot


def test_a_sparse_buffer(tmp_path: Path) -> None:
    model = Around(lambda model, inputs: model.graph @ inputs)
    model.register_buffer("graph", torch.eye(len(INPUTS)).to_sparse())
    with Recorder(model, INPUTS, path=tmp_path, parameters=["linear.*"]):
        pass
    assert open_recording(tmp_path).outputs.shape == (1, 60, 3)
    with pytest.raises(NetgeomError, match=r"Buffer graph cannot be recorded.*sparse_coo.*parameters=\[names\]"):
        Recorder(model, INPUTS, path=tmp_path, parameters=True)


def test_buffers_without_elements_or_without_memory_of_their_own(tmp_path: Path) -> None:
    def model(value: float) -> nn.Module:
        made = nn.Linear(6, 2)
        made.register_buffer("none", torch.empty(0))
        made.register_buffer("spread", torch.full((1,), value).expand(5).clone() if value == 0 else None)
        if value:
            made.spread = torch.full((1,), value).expand(5)
        return made

    with Recorder(model(2.5), INPUTS, path=tmp_path, parameters=True):
        pass
    restored = open_recording(tmp_path).restore(model(0.0), 0)
    assert restored.spread.tolist() == [2.5] * 5 and restored.none.shape == (0,)


def _grow(model: nn.Sequential) -> None:
    model[1].register_buffer("more", torch.ones(1))


CHANGES = {
    "a parameter more": (lambda m: m.append(nn.Linear(4, 4)), True, "parameters are not those.*5.weight"),
    "a buffer more": (_grow, True, "buffers are not those.*1.more"),
    "a buffer of another size": (
        lambda m: setattr(m[1], "num_batches_tracked", torch.zeros(2, dtype=torch.long)),
        True,
        "buffers are not those.*1.num_batches_tracked",
    ),
    "pruned": (
        lambda m: prune.l1_unstructured(m[0], "weight", 0.5),
        ["0.weight"],
        "parameters are not those.*0.weight",
    ),
    "more precise": (lambda m: m.double(), ["0.weight"], "changed its precision"),
    "less precise": (lambda m: m.half(), True, "changed its precision"),
    "more outputs": (
        lambda m: m.__setitem__(4, nn.Linear(8, 9)),
        False,
        r"A snapshot of outputs has another shape.*\(60, 4\).*\(60, 9\)",
    ),
    "another projected one": (lambda m: m.append(nn.Linear(4, 4)), projected(dimensions=3), "parameters are not those"),
}


@pytest.mark.parametrize(("change", "parameters", "message"), CHANGES.values(), ids=CHANGES)
def test_a_model_that_becomes_another_is_refused_and_what_is_recorded_stays(
    tmp_path: Path, change: Callable[[nn.Module], object], parameters: object, message: str
) -> None:
    model = network()
    with Recorder(model, INPUTS, path=tmp_path, parameters=parameters) as recorder:
        change(model)
        with pytest.raises(NetgeomError, match=f"(?s){message}"):
            recorder.step(1)
    recording = open_recording(tmp_path)
    assert recording.steps.tolist() == [0] and np.isfinite(np.asarray(recording.outputs)).all()


def test_a_model_that_becomes_less_precise_keeps_exact_parameters(tmp_path: Path) -> None:
    model = nn.Linear(6, 3)
    with Recorder(model, INPUTS, path=tmp_path, parameters=True) as recorder:
        model.bfloat16()
        recorder.step(1)
    restored = open_recording(tmp_path).restore(nn.Linear(6, 3).bfloat16(), 1)
    assert torch.equal(restored.weight, model.weight) and torch.equal(restored.bias, model.bias)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": lambda inputs: {"logits": inputs}}, r"output does not give one tensor.*dict.*forward=lambda"),
        ({"model": lambda inputs: inputs * 1j}, r"output does not come out as one row.*complex64.*forward=lambda"),
    ],
)
def test_the_advice_on_outputs_is_one_that_can_be_followed(tmp_path: Path, changes: dict, message: str) -> None:
    class Plain(nn.Module):
        def forward(self, inputs: torch.Tensor) -> object:
            return changes["model"](inputs)

    with pytest.raises(NetgeomError, match=message):
        Recorder(Plain(), INPUTS, path=tmp_path).__enter__()


class Several(nn.Module):
    """Layers that give a pair, run twice, and a result that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.twice, self.head = nn.GRU(6, 5), nn.ReLU(), nn.Linear(5, 2)

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.head(self.twice(self.twice(self.memory(inputs)[0])))}


def test_training_goes_on_where_a_layer_cannot_be_watched_and_its_rows_are_given(tmp_path: Path) -> None:
    model = Several().train()
    with Recorder(model, INPUTS, path=tmp_path, layers=["memory", "twice", "head"], mode="as_trained") as recorder:
        logits = model(INPUTS)["logits"]
        for given, message in (
            ({}, "'memory' does not give one tensor"),
            ({"memory": torch.ones(60, 5)}, "'twice' runs more than once"),
            ({"memory": torch.ones(60, 5), "twice": torch.ones(60, 1)}, r"The model's output.*store\(ids, outputs="),
        ):
            with pytest.raises(NetgeomError, match=message):
                recorder.store(range(60), **given)
        recorder.store(range(60), logits, memory=torch.ones(60, 5), twice=torch.ones(60, 1))
        recorder.step(1)
    recording = open_recording(tmp_path)
    np.testing.assert_array_equal(recording.outputs[0], logits.detach())
    np.testing.assert_array_equal(recording.layer("head")[0], logits.detach())


def test_spectral_norm_and_a_probe_of_foreign_byte_order(tmp_path: Path) -> None:
    def trained(record: bool) -> dict[str, np.ndarray]:
        torch.manual_seed(0)
        model = nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(nn.Linear(6, 8)), nn.Linear(8, 4))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with Recorder(model, INPUTS.numpy().astype(">f4"), path=tmp_path / str(record), layers=["0"]) as recorder:
            for step in range(1, 4):
                loss = nn.functional.cross_entropy(model(INPUTS), LABELS)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if record:
                    recorder.step(step)
        return state(model)

    assert same_state(trained(True), trained(False))
