"""What every function here takes: a model, checked and copied before any work, and the parameters that count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import private_copy, unwrapped, weights_digest

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
    return Network(duplicate, chosen, dtype or (own.pop() if own else torch.float32), weights_digest(duplicate, chosen))


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
