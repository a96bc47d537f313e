"""Tests of netgeom_widgets/widgets/checkpoints.py."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.checkpoints import Checkpoints
from tests.networks import mlp

X = torch.linspace(-1, 1, 14).reshape(7, 2)


def nets(count=3):
    return [mlp(2, 5, 3, seed=seed) for seed in range(count)]


def outputs(model):
    with torch.no_grad():
        return model(X)


def matches(checkpoints, models):
    return all(torch.equal(outputs(checkpoints.model(i)), outputs(model)) for i, model in enumerate(models))


def test_state_dicts_are_numbered_from_zero():
    models = nets()
    checkpoints = Checkpoints.of(mlp(2, 5, 3, seed=9), [model.state_dict() for model in models])
    assert checkpoints.steps == (0, 1, 2) and checkpoints.finished and not checkpoints.refresh()
    assert matches(checkpoints, models)


def test_models_and_steps_by_number():
    models = [mlp(2, width, 3, seed=width).train() for width in (2, 4, 6)]
    checkpoints = Checkpoints.of(models[0], dict(zip(np.array([0, 10, 30]), models, strict=True)))
    assert checkpoints.steps == (0, 10, 30) and all(type(step) is int for step in checkpoints.steps)
    assert matches(checkpoints, models) and models[0].training
    assert not checkpoints.model(0).training


def test_files(tmp_path):
    models = nets()
    for number, model in enumerate(models):
        torch.save(model.state_dict(), tmp_path / f"{number}.pt")
    files = [tmp_path / "0.pt", str(tmp_path / "1.pt"), tmp_path / "2.pt"]
    assert matches(Checkpoints.of(models[0], files), models)


def test_what_was_given_is_copied_and_each_model_is_a_new_one():
    models = nets()
    before = [copy.deepcopy(model) for model in models]
    states = [model.state_dict() for model in models[:2]]
    of_states, of_models = Checkpoints.of(models[0], states), Checkpoints.of(models[0], models)
    for model in models:
        for parameter in model.parameters():
            parameter.data.fill_(7.0)
    assert matches(of_states, before[:2]) and matches(of_models, before)
    for checkpoints in (of_states, of_models):
        for parameter in checkpoints.model(1).parameters():
            assert not parameter.requires_grad
            parameter.data.fill_(3.0)
        assert torch.equal(outputs(checkpoints.model(1)), outputs(before[1]))


def test_the_weights_of_the_architecture_do_not_matter_not_even_when_they_are_nan():
    diverged = mlp(2, 5, 3)
    diverged[0].weight.data[:] = float("nan")
    assert matches(Checkpoints.of(diverged, [model.state_dict() for model in nets()]), nets())
    assert diverged[0].weight.isnan().all()


def test_the_dtype_of_a_state_stays():
    model = mlp(2, 5, 3).double()
    duplicate = Checkpoints.of(mlp(2, 5, 3), [model.state_dict()]).model(0)
    assert duplicate[0].weight.dtype == torch.float64
    with torch.no_grad():
        assert torch.equal(duplicate(X.double()), model(X.double()))


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_names_that_wrappers_put_before_are_understood(prefix):
    model = nets()[1]
    state = {prefix + name: value for name, value in model.state_dict().items()}
    assert matches(Checkpoints.of(mlp(2, 5, 3), [state]), [model])


def test_a_submodule_that_is_called_module_keeps_its_name():
    class Wrapped(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.module = inner

        def forward(self, x):
            return self.module(x)

    model = Wrapped(nets()[1])
    assert matches(Checkpoints.of(Wrapped(mlp(2, 5, 3)), [model.state_dict()]), [model])


def test_buffers_come_along():
    def make(seed):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU())

    trained = make(1)
    trained(torch.randn(20, 2))
    assert matches(Checkpoints.of(make(0), [trained.state_dict()]), [trained.eval()])


def test_refusals(tmp_path):
    model = mlp(2, 5, 3)
    state = model.state_dict()
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "wrapped.pt")
    one_short = {name: value for name, value in state.items() if name != "2.bias"}
    cases = [
        (model, "no checkpoints"),
        (3, "no checkpoints"),
        ([], "There are no checkpoints"),
        ({}, "There are no checkpoints"),
        ([3], "no state dict"),
        ([{"weights": [1, 2]}], "no state dict"),
        ([one_short], "no 2.bias"),
        ([{**state, "extra": torch.zeros(1)}], "extra, which the model has not"),
        ([mlp(2, 6, 3).state_dict()], r"0\.weight \(5, 2\).*0\.weight \(6, 2\)"),
        ([tmp_path / "broken.pt"], r"broken\.pt cannot be read"),
        ([tmp_path / "nowhere.pt"], r"nowhere\.pt cannot be read"),
        ([tmp_path / "wrapped.pt"], "is no state dict.*state_dict, epoch"),
        ({5: state, 3: mlp(2, 5, 3).state_dict()}, "do not increase"),
        ({"a": state}, "do not increase"),
        ({True: state}, "do not increase"),
        ([state, model.state_dict()], "share their tensors"),
        ([model, model], "share their tensors"),
    ]
    for source, message in cases:
        with pytest.raises(NetgeomError, match=f"(?s){message}"):
            Checkpoints.of(model, source)
    with pytest.raises(NetgeomError, match="not a torch module"):
        Checkpoints.of("model", [state])


def test_a_file_with_code_in_it_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").mkdir, ())

    torch.save({"weight": Harmful()}, tmp_path / "evil.pt")
    with pytest.raises(NetgeomError, match="cannot be read"):
        Checkpoints.of(mlp(2, 5, 3), [tmp_path / "evil.pt"])
    assert not (tmp_path / "harm").exists()
