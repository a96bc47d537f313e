"""What a recorder is given, checked before training starts."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError

DTYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


def as_metric(name: str, value: Any) -> Any:
    """A number, or a copy of a tensor, which is read when a snapshot is taken: reading one may wait for the device."""
    if isinstance(value, torch.Tensor):
        if value.numel() == 1 and not value.is_complex():
            return value.detach().clone()
    elif not isinstance(value, str) and not np.iscomplexobj(value):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)
    got = f"a tensor {tuple(value.shape)} {value.dtype}" if isinstance(value, torch.Tensor) else type(value).__name__
    raise NetgeomError(f"Metric {name!r} is not a number", expected="a float or a tensor with one element", got=got)


def check_options(model: Any, dtype: Any, mode: Any, run_id: Any, batch_size: Any) -> None:
    """Refuse what a recorder cannot work with, before anything is touched."""
    if not isinstance(model, nn.Module):
        raise NetgeomError("The model is not a torch module", expected="a torch.nn.Module", got=type(model).__name__)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if isinstance(tensor, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer) or tensor.is_meta:
            raise NetgeomError(
                f"{name} has no values yet", try_this="call the model once on a batch before recording it"
            )
    _check_whole(model)
    if dtype not in DTYPES:
        raise NetgeomError("dtype is not understood", expected=f"one of {', '.join(DTYPES)}", got=repr(dtype))
    if mode not in ("probe", "as_trained"):
        raise NetgeomError("mode is not understood", expected='"probe" or "as_trained"', got=repr(mode))
    if run_id is not None and (not isinstance(run_id, str) or not run_id):
        raise NetgeomError("run_id is not understood", expected="a text, or None for a new one", got=repr(run_id))
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise NetgeomError("batch_size is not understood", expected="a whole number from 1 on", got=repr(batch_size))


def _check_whole(model: nn.Module) -> None:
    """Refuse sharded models: one process alone can neither run nor read them. By name, as their modules load slowly."""
    for name, part in [*model.named_modules(), *model.named_parameters()]:
        if type(part).__name__ in ("FullyShardedDataParallel", "DTensor"):
            raise NetgeomError(
                f"{name or 'The model'} is spread over several processes",
                expected="a model that each process has whole (DDP)",
                got=type(part).__name__,
            )


def is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile replaced the forward of the model or of a part of it."""
    return any(hasattr(m, "_orig_mod") or vars(m).get("_compiled_call_impl") is not None for m in model.modules())


def is_first_process() -> bool:
    """Rank 0, or no distributed training; launchers tell it to their processes before these have met."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    ranks = [os.environ.get(name, "0") for name in (("RANK",) if "RANK" in os.environ else ("NODE_RANK", "LOCAL_RANK"))]
    return all(rank == "0" for rank in ranks)
