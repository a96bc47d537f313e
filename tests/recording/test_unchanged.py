"""A run is the same with and without a recorder, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice, partition
from netgeom_widgets.recording import Recorder, open_recording
from tests.recording.runs import Convolutional, data, evaluated, network, same_state, state, train

INPUTS, LABELS = data()


def random_states() -> list[Any]:
    return [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()]  # noqa: NPY002


@pytest.mark.parametrize("options", [{}, {"parameters": True}, {"every": 2}, {"layers": {"*": "flatten"}}])
def test_weights_and_random_numbers_are_those_of_the_bare_run(tmp_path: Path, options: dict) -> None:
    bare, recorded = network(), network()
    train(bare, 4)
    after = random_states()
    with Recorder(recorded, (INPUTS, LABELS), path=tmp_path, **options) as recorder:
        train(recorded, 4, after_epoch=recorder.step)
    assert same_state(state(bare), state(recorded))
    assert random_states() == after


def test_weights_are_those_of_the_bare_run_as_trained(tmp_path: Path) -> None:
    bare, recorded = network(), network()
    train(bare, 3)
    with Recorder(recorded, INPUTS, path=tmp_path, layers=["*"], mode="as_trained") as recorder:

        def after_epoch(epoch: int, loss: torch.Tensor) -> None:
            recorder.store(range(12))
            recorder.step(epoch)

        train(recorded, 3, after_epoch=after_epoch)
    assert same_state(state(bare), state(recorded))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in recorded.modules())


class Odd(nn.Module):
    """Draws random numbers, counts its calls, changes a buffer and keeps a cache, all of it in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 4)
        self.register_buffer("seen", torch.zeros(()))
        self.calls, self.cache = 0, None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen += len(inputs)
        self.late = torch.ones(1)
        if self.cache is None:
            self.cache = torch.rand(6) + np.random.rand() + random.random()  # noqa: NPY002
        return self.linear(inputs * self.cache)

    def train(self, mode: bool = True) -> Odd:
        raise AssertionError("an overridden train() may do more than set flags")


def test_attributes_buffers_and_random_numbers_of_an_odd_model_stay(tmp_path: Path) -> None:
    model = Odd()
    seen = model.seen
    before = random_states()
    with Recorder(model, INPUTS, path=tmp_path) as recorder:
        recorder.step(1)
    assert random_states() == before
    assert (model.calls, model.cache, model.seen is seen, float(seen)) == (0, None, True, 0.0)
    assert not hasattr(model, "late")


def test_flags_and_gradients_stay(tmp_path: Path) -> None:
    model = network().train()
    model[1].eval()  # a frozen batch norm in a model that trains
    model[0].weight.requires_grad_(False)
    nn.functional.cross_entropy(model(INPUTS), LABELS).backward()
    flags = [module.training for module in model.modules()]
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    with Recorder(model, INPUTS, path=tmp_path, layers=["*"], parameters=True) as recorder:
        recorder.step(1)
    assert [module.training for module in model.modules()] == flags
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True, True, True]
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        assert parameter.grad is gradient or torch.equal(parameter.grad, gradient)


def test_a_step_between_forward_and_backward(tmp_path: Path) -> None:
    def gradients(record: bool) -> list[torch.Tensor]:
        torch.manual_seed(2)
        model = network()
        with Recorder(model, INPUTS, path=tmp_path / str(record), layers=["*"]) as recorder:
            loss = nn.functional.cross_entropy(model(INPUTS), LABELS)
            if record:
                recorder.step(1, loss=loss)
            loss.backward()
        return [parameter.grad for parameter in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(gradients(True), gradients(False), strict=True))


def test_a_step_inside_autocast_changes_nothing_and_records_in_full_precision(tmp_path: Path) -> None:
    def trained(record: bool) -> dict[str, np.ndarray]:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with Recorder(model, INPUTS, path=tmp_path / str(record)) as recorder:
            for step in range(1, 4):
                with torch.autocast("cpu", torch.bfloat16):
                    if record:
                        recorder.step(step)
                    loss = nn.functional.cross_entropy(model(INPUTS), LABELS)
                optimizer.zero_grad()
                loss.backward()
                assert all(parameter.grad is not None for parameter in model.parameters())
                optimizer.step()
        return state(model)

    assert same_state(trained(False), trained(True))
    with torch.autocast("cpu", torch.bfloat16), Recorder(network(), INPUTS, path=tmp_path / "full"):
        pass
    np.testing.assert_allclose(open_recording(tmp_path / "full").outputs[0], evaluated(network(), INPUTS), atol=1e-6)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 8)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.linear(inputs))


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.drop, self.head = Block(), nn.Dropout(0.2), nn.Linear(8, 4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.body(inputs)))


@pytest.mark.parametrize("how", ["around", "in place", "a part"])
def test_a_compiled_model_is_looked_into_and_not_compiled_again(tmp_path: Path, how: str) -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list) -> Any:
        graphs.append(graph)
        return graph.forward

    model = trained = Nested()
    if how == "around":
        trained = torch.compile(model, backend=backend)
    elif how == "in place":
        model.compile(backend=backend)
    else:
        model.body.compile(backend=backend)
    train(trained, 1)
    before = len(graphs)
    with Recorder(trained, INPUTS, path=tmp_path, layers=["body.linear"]) as recorder:
        train(trained, 2, after_epoch=recorder.step)
    assert len(graphs) == before > 0
    recording = open_recording(tmp_path)
    assert len(recording) == 3 and not np.array_equal(*recording.layer("body.linear")[1:])


@pytest.fixture
def recorded_convolution(tmp_path: Path) -> Iterator[tuple[Convolutional, Recorder]]:
    model = Convolutional()
    with Recorder(model, torch.rand(8, 1, 6, 6), path=tmp_path, layers=["conv*"], mode="as_trained") as recorder:
        yield model, recorder


def test_hooks_that_stay_say_that_they_only_look(recorded_convolution: tuple[Convolutional, Recorder]) -> None:
    model, _ = recorded_convolution
    hooks = [hook for module in model.modules() for hook in module._forward_hooks.values()]
    assert len(hooks) == 3 and all(hook.netgeom_observer for hook in hooks)
    zero, one = torch.zeros(1, 6, 6), torch.ones(1, 6, 6)
    corner = torch.cat([one[:, :3], zero[:, 3:]], dim=1)
    assert partition(model, Slice.through(zero, one, corner)).n_regions >= 1  # kernels accept it while it is recorded


def test_weight_norm_works_while_it_is_recorded(tmp_path: Path) -> None:
    model = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), nn.ReLU(), nn.Linear(4, 4))
    bare = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), nn.ReLU(), nn.Linear(4, 4))
    bare.load_state_dict(model.state_dict())
    train(bare, 2)
    with Recorder(model, INPUTS, path=tmp_path, layers=["0"], parameters=True) as recorder:
        train(model, 2, after_epoch=recorder.step)
    assert same_state(state(bare), state(model))
    assert same_state(state(open_recording(tmp_path).restore(bare, -1)), state(model))
