"""A private copy of the user's model, which kernels never touch, and of the inputs they call it on."""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError

# Forward hooks of these compute weights and come along. Any other may change what a module returns, so it is refused,
# but for those that declare that they only look (the attribute below); a copy must not call them: they report to their
# owner.
_WEIGHT_HOOKS = "torch.nn.utils."
OBSERVER_MARK = "netgeom_observer"
_FORWARD_TABLES = ("_forward_hooks", "_forward_pre_hooks")
_OTHER_TABLES = (
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def private_copy(model: nn.Module, *, dtype: torch.dtype | None = torch.float64, finite: bool = True) -> nn.Module:
    """Deep copy in eval mode on the CPU, without hooks that only observe and without gradients.

    Parameters
    ----------
    model : torch.nn.Module
        On any device, in any floating dtype, in train or eval mode; it is not changed.
    dtype : torch.dtype or None
        Floating dtype of the copy; None keeps the model's own.
    finite : bool
        Refuse parameters that are not finite; False for a copy that takes others before it is used.

    Raises
    ------
    NetgeomError
        Not a module, cannot be copied, has parameters that are not initialised, complex or not finite, or forward hooks
        that may change its results.
    """
    if not isinstance(model, nn.Module):
        raise NetgeomError("The model is not a torch module", expected="a torch.nn.Module", got=type(model).__name__)
    model = unwrapped(model)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        _check(name, tensor, finite=finite)
    memo = _without_observers(model)
    try:
        duplicate = copy.deepcopy(model, memo)
    except Exception as error:  # user code runs in __deepcopy__: whatever it raises, the answer is the same
        raise NetgeomError(
            f"The model cannot be copied ({type(error).__name__}: {error})",
            expected="a module that copy.deepcopy accepts, since kernels never touch the one given",
            try_this="only parameters, buffers and plain values as attributes; detach() tensors stored on modules",
        ) from error
    duplicate = duplicate.to("cpu") if dtype is None else duplicate.to("cpu", dtype)
    return duplicate.eval().requires_grad_(False)


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside torch.compile or a parallel wrapper, which computes the same; scripted ones are refused."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return unwrapped(model.module)
    if isinstance(original := getattr(model, "_orig_mod", None), nn.Module):
        return unwrapped(original)
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModuleError(
                f"{path or 'The model'} is scripted: its operations cannot be read",
                expected="ordinary torch modules",
                got=type(module).__name__,
                try_this="the module it was scripted or traced from",
            )
    return model


def _without_observers(model: nn.Module) -> dict[int, object]:
    """A deepcopy memo that replaces hook tables by what belongs to the model; the model itself stays as it is."""
    memo: dict[int, object] = {}
    for path, module in model.named_modules():
        for name in _FORWARD_TABLES:
            table = getattr(module, name)
            kept = OrderedDict()
            for key, hook in table.items():
                if type(hook).__module__.startswith(_WEIGHT_HOOKS):
                    kept[key] = hook
                elif not getattr(hook, OBSERVER_MARK, False):
                    raise NetgeomError(
                        f"{path or 'The model'} has a forward hook that may change its result",
                        expected="a model without forward hooks of its own",
                        got=getattr(hook, "__qualname__", type(hook).__name__),
                        try_this=f"handle.remove() first, or hook.{OBSERVER_MARK} = True on a function that only looks",
                    )
            if table:
                memo[id(table)] = kept
            if kept:
                memo.update(_computed(module))
        memo.update({id(table): type(table)() for name in _OTHER_TABLES if (table := getattr(module, name, None))})
    return memo


def _computed(module: nn.Module) -> dict[int, object]:
    """What the weight hooks of a module left on it in the last forward: deepcopy refuses tensors with a history."""
    return {
        id(value): value.detach().clone()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }


def _check(name: str, tensor: torch.Tensor, *, finite: bool) -> None:
    if isinstance(tensor, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer):
        raise NetgeomError(
            f"{name} is not initialised (a lazy module)", try_this="call the model once on a batch before exploring it"
        )
    if tensor.is_meta:
        raise NetgeomError(f"{name} has no values (meta device)", try_this="load the weights first")
    if tensor.is_complex():
        raise NetgeomError(f"{name} is complex", expected="real parameters", got=str(tensor.dtype))
    if finite and tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise NetgeomError(f"{name} has entries that are not finite", expected="finite weights", got="NaN or infinity")


def weights_digest(model: nn.Module, chosen: Iterable[str] = ()) -> str:
    """Of all weights and buffers, and of the names of those that count."""
    found = hashlib.blake2b(repr(list(chosen)).encode(), digest_size=16)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return found.hexdigest()


def as_inputs(inputs: Any, dtype: torch.dtype, what: str = "inputs") -> Tensor:
    """Inputs as a tensor on the CPU: whole numbers as int64 (tokens), all others in the given dtype.

    Raises
    ------
    NetgeomError
        No array, no inputs, complex numbers or values that are not finite.
    """
    try:
        given = inputs.detach() if isinstance(inputs, Tensor) else torch.from_numpy(np.array(inputs))
    except (TypeError, ValueError) as error:
        raise NetgeomError(f"The {what} are no array", expected="an array (n, ...)", got=f"{error}") from error
    given = given.cpu()
    if given.ndim < 1 or not given.numel() or given.is_complex():
        raise NetgeomError(
            f"The {what} are not understood",
            expected="real numbers of shape (n, *input shape), n >= 1",
            got=f"shape {(*given.shape,)}, {given.dtype}",
        )
    if not given.is_floating_point():
        return given.long()
    if not bool(torch.isfinite(given).all()):
        bad = int((~torch.isfinite(given)).flatten(1).any(1).sum()) if given.ndim > 1 else 1
        raise NetgeomError(
            f"Some {what} are not finite", expected="finite numbers", got=f"NaN or infinity in {bad} of {len(given)}"
        )
    return given.to(dtype).contiguous()
