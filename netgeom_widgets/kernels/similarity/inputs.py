"""What every function here takes: a model and inputs, checked and copied before any work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import private_copy, unwrapped

DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True, eq=False)
class Network:
    """A private copy of the model with the parameters whose gradients count.

    Attributes
    ----------
    model : torch.nn.Module
        In eval mode; the chosen parameters require gradients, the others do not.
    parameters : dict of str to Parameter
        The chosen ones by dotted name, in the model's order.
    dtype : torch.dtype
    digest : str
        Of all weights and buffers and the chosen names.
    """

    model: nn.Module
    parameters: dict[str, nn.Parameter]
    dtype: torch.dtype
    digest: str


def as_network(model: nn.Module, parameters: Sequence[str] | None = None, dtype: torch.dtype | None = None) -> Network:
    """A private copy of the model and the parameters that count.

    Raises
    ------
    NetgeomError
        A model that cannot be copied, weights that are not finite, names that are no parameters, no parameter at all.
    """
    if dtype is not None and dtype not in DTYPES:
        raise NetgeomError("The dtype is not supported", expected="torch.float32 or torch.float64", got=f"{dtype}")
    duplicate = private_copy(model, dtype=dtype)
    own = {parameter.dtype for parameter in duplicate.parameters() if parameter.is_floating_point()}
    if len(own) > 1 or not own <= set(DTYPES):
        raise NetgeomError(
            "Gradients of half precision or mixed models are too coarse to compare",
            expected="a model all in float32 or float64",
            got=", ".join(sorted(map(str, own))),
            try_this="dtype=torch.float32 or dtype=torch.float64, which convert the copy",
        )
    trainable = [name for name, parameter in unwrapped(model).named_parameters() if parameter.requires_grad]
    chosen = _chosen(duplicate, trainable if parameters is None else parameters)
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return Network(duplicate, chosen, dtype or (own.pop() if own else torch.float32), _digest(duplicate, chosen))


def _chosen(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Parameter]:
    if isinstance(names, str):
        raise NetgeomError("parameters must be a list of names", expected=f"[{names!r}]", got=f"{names!r}")
    known = dict(model.named_parameters(remove_duplicate=False))
    wrong = [name for name in names if name not in known]
    if wrong:
        raise NetgeomError("There is no such parameter", expected=", ".join(known), got=", ".join(map(repr, wrong[:5])))
    wanted = {id(known[name]) for name in names}
    found = {name: p for name, p in model.named_parameters() if id(p) in wanted and p.is_floating_point() and p.numel()}
    if not found:
        raise NetgeomError(
            "No parameter takes part",
            expected="at least one with requires_grad, or names of some",
            got=f"{len(known)} parameters, none with requires_grad" if known else "a model without parameters",
            try_this=f"parameters=[{next(iter(known))!r}, ...]" if known else "",
        )
    return found


def _digest(model: nn.Module, chosen: dict[str, nn.Parameter]) -> str:
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
