"""A private copy of the user's model: kernels never touch the one they were given."""

from __future__ import annotations

import copy
from collections import OrderedDict

import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError

# Hooks of these modules compute weights and belong to the model; every other hook is an observer and stays behind.
_WEIGHT_HOOKS = ("torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm")
_HOOK_TABLES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def private_copy(model: nn.Module, *, dtype: torch.dtype | None = torch.float64) -> nn.Module:
    """Deep copy in eval mode on the CPU, without observers' hooks and without gradients.

    Parameters
    ----------
    model : torch.nn.Module
        On any device, in any floating dtype, in train or eval mode; it is not changed.
    dtype : torch.dtype or None
        Floating dtype of the copy; None keeps the model's own.

    Raises
    ------
    NetgeomError
        Not a module, cannot be copied, has parameters that are not initialised, complex or not finite.
    """
    if not isinstance(model, nn.Module):
        raise NetgeomError("The model is not a torch module", expected="a torch.nn.Module", got=type(model).__name__)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        _check(name, tensor)
    try:
        duplicate = copy.deepcopy(model, _without_observers(model))
    except Exception as error:  # user code runs in __deepcopy__: whatever it raises, the answer is the same
        raise NetgeomError(
            f"The model cannot be copied ({type(error).__name__}: {error})",
            expected="a module that copy.deepcopy accepts, since kernels never touch the one given",
            try_this="keep only parameters, buffers and plain values as attributes, or detach() tensors stored on modules",
        ) from error
    duplicate = duplicate.to("cpu") if dtype is None else duplicate.to("cpu", dtype)
    return duplicate.eval().requires_grad_(False)


def _without_observers(model: nn.Module) -> dict[int, object]:
    """A deepcopy memo that replaces hook tables by what belongs to the model; the model itself stays as it is."""
    memo: dict[int, object] = {}
    for module in model.modules():
        for table_name in _HOOK_TABLES:
            table = getattr(module, table_name, None)
            if isinstance(table, dict) and table:
                kept = OrderedDict((key, hook) for key, hook in table.items() if type(hook).__module__ in _WEIGHT_HOOKS)
                memo[id(table)] = kept
    return memo


def _check(name: str, tensor: torch.Tensor) -> None:
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        raise NetgeomError(
            f"{name} is not initialised (a lazy module)", try_this="call the model once on a batch before exploring it"
        )
    if tensor.is_complex():
        raise NetgeomError(f"{name} is complex", expected="real parameters", got=str(tensor.dtype))
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise NetgeomError(f"{name} has entries that are not finite", expected="finite weights", got="NaN or infinity")
