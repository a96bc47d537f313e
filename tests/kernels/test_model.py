"""The private copy that every kernel works on."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels._model import private_copy


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 1))


def test_the_copy_is_float64_in_eval_mode_and_without_gradients() -> None:
    model = small().half()
    copied = private_copy(model)
    assert {p.dtype for p in copied.parameters()} == {torch.float64}
    assert not any(m.training for m in copied.modules()) and not any(p.requires_grad for p in copied.parameters())
    assert {p.dtype for p in model.parameters()} == {torch.float16} and model.training
    assert all(p.requires_grad for p in model.parameters())


def test_the_own_dtype_can_be_kept() -> None:
    assert next(private_copy(small(), dtype=None).parameters()).dtype == torch.float32


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, where torch.compile is loaded
@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, lambda m: nn.DataParallel(torch.compile(m))])
def test_wrappers_that_compute_the_same_are_taken_off(wrap) -> None:
    model, x = small().double().eval(), torch.rand(5, 2, dtype=torch.float64)
    assert torch.equal(private_copy(wrap(model))(x), model(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules_are_refused_by_their_path() -> None:
    model = nn.Sequential(nn.Linear(2, 2), torch.jit.script(nn.ReLU()))
    with pytest.raises(UnsupportedModuleError, match=r"^1 is scripted: its operations cannot be read. Expected: "):
        private_copy(model)


def test_a_model_that_cannot_be_copied_is_refused_and_unharmed() -> None:
    model = small()
    model.lock = threading.Lock()
    with pytest.raises(NetgeomError, match=r"^The model cannot be copied"):
        private_copy(model)
    assert model(torch.rand(1, 2)).shape == (1, 1)


def test_weight_norm_comes_along_and_observers_stay_behind() -> None:
    model = small().double().eval()
    nn.utils.parametrizations.weight_norm(model[0])
    seen: list[int] = []

    def observe(*_: object) -> None:
        seen.append(1)

    observe.netgeom_observer = True
    model[1].register_forward_hook(observe)
    x = torch.rand(4, 2, dtype=torch.float64)
    copied = private_copy(model)
    found = copied(x)
    assert not seen and len(model[1]._forward_hooks) == 1 and not copied[1]._forward_hooks
    assert torch.equal(found, model(x))
