"""The model's parameters and buffers as flat rows, bit for bit, and back into a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording.layers import matching_names
from netgeom_widgets.recording.layout import BUFFERS, PARAMETERS, Entry
from netgeom_widgets.recording.reducers import GaussianProjection, Projected

Named = tuple[str, torch.Tensor]

_BUILT_ALIKE = "the model the run was recorded from, or one built alike"
_KEEP_THEM = "a model that has them all before it is recorded (call it once on a batch), or another run"


def entries(named: Iterable[Named]) -> tuple[Entry, ...]:
    """What the flat row of these tensors is made of."""
    return tuple(Entry(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in named)


def storage_dtype(named: Sequence[Named]) -> torch.dtype:
    """float64 as soon as one parameter is, else float32, which holds the half precisions exactly."""
    for name, tensor in named:
        if not tensor.is_floating_point():
            raise NetgeomError(
                f"Parameter {name} cannot be recorded",
                expected="real floating-point parameters",
                got=str(tensor.dtype),
                try_this="parameters=[names] without it",
            )
    return torch.float64 if any(tensor.dtype == torch.float64 for _, tensor in named) else torch.float32


def flat_row(tensors: Iterable[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
    """All elements in one row (row-major, one after the other) on the device of the first, or on the CPU."""
    pieces = [tensor.detach().reshape(-1).to(dtype) for tensor in tensors]
    if len({piece.device for piece in pieces}) > 1:
        pieces = [piece.cpu() for piece in pieces]
    return torch.cat(pieces)


def byte_row(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """The bytes of tensors of any dtypes in one row."""
    return flat_row((tensor.detach().reshape(-1).contiguous().view(torch.uint8) for tensor in tensors), torch.uint8)


class ParameterRows:
    """What a snapshot keeps of the model's parameters and buffers.

    Parameters
    ----------
    model : torch.nn.Module
    option : bool, sequence of str or Projected
        The keyword `parameters` of a Recorder.
    """

    def __init__(self, model: nn.Module, option: bool | str | Sequence[str] | Projected) -> None:
        self.whole_model = option is True
        self.projection = str(option) if isinstance(option, Projected) else ""
        self._project = GaussianProjection(option.dimensions, option.seed) if isinstance(option, Projected) else None
        named = dict(model.named_parameters())
        if isinstance(option, bool | Projected):
            chosen = named if option else {}
        elif not isinstance(option, str | Sequence):
            raise NetgeomError(
                "parameters is not understood",
                expected="True, False, names or patterns, or recording.projected(...)",
                got=repr(option),
            )
        else:
            option = [option] if isinstance(option, str) else option
            chosen = {name: named[name] for name in matching_names(list(option), list(named), "parameter")}
        self._takes_all = isinstance(option, Projected) or self.whole_model
        self._dtype = storage_dtype(list(chosen.items()))
        self._recorded = entries(chosen.items())
        self.entries = () if self.projection else self._recorded
        buffers = list(model.named_buffers()) if self.whole_model and chosen else []
        self.buffer_entries = entries(buffers)
        for name, buffer in buffers:
            if buffer.layout != torch.strided:
                raise NetgeomError(
                    f"Buffer {name} cannot be recorded",
                    expected="dense buffers",
                    got=str(buffer.layout),
                    try_this="parameters=[names], which leaves the buffers out",
                )

    def read(self, model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
        """The rows as the model is now; refused when it is not the one it was."""
        if not self._recorded:
            return {}
        known = {entry.name for entry in self._recorded}
        named = {name: p for name, p in model.named_parameters() if self._takes_all or name in known}
        buffers = dict(model.named_buffers()) if self.whole_model else {}
        tensors = _matching(named, self._recorded, "parameter", _KEEP_THEM)
        _matching(buffers, self.buffer_entries, "buffer", _KEEP_THEM)
        precise = storage_dtype(list(named.items())).itemsize > self._dtype.itemsize
        if precise or [entry.dtype for entry in entries(buffers.items())] != [e.dtype for e in self.buffer_entries]:
            raise NetgeomError(
                "The model has changed its precision, so its snapshots would not be exact",
                expected="the precision it had when it was given to the recorder",
                try_this="model.to(dtype) before the recorder is made, or another run",
            )
        row = flat_row(tensors, self._dtype)
        rows = {PARAMETERS: (self._project(row[None])[0] if self._project else row).cpu().numpy()}
        if buffers:
            rows[BUFFERS] = byte_row(buffers.values()).cpu().numpy()
        return rows


def load_named(
    model: nn.Module,
    parameters: tuple[Entry, ...],
    row: np.ndarray[Any, Any],
    buffers: tuple[Entry, ...],
    buffer_row: np.ndarray[Any, Any],
) -> None:
    """Write flat rows into the parameters and buffers of the same names and shapes, all of them or none."""
    targets = _matching(dict(model.named_parameters()), parameters, "parameter", _BUILT_ALIKE)
    buffer_targets = _matching(dict(model.named_buffers()), buffers, "buffer", _BUILT_ALIKE)
    _write(zip(targets, _pieces(row, [entry.size for entry in parameters]), strict=True))
    dtypes = [getattr(torch, entry.dtype) for entry in buffers]
    sizes = [entry.size * dtype.itemsize for entry, dtype in zip(buffers, dtypes, strict=True)]
    with torch.no_grad():
        for target, dtype, piece in zip(buffer_targets, dtypes, _pieces(buffer_row, sizes), strict=True):
            if len(piece):  # no bytes cannot be seen as another dtype
                target.copy_(torch.from_numpy(piece.copy()).view(dtype).reshape(target.shape))


def load_vector(model: nn.Module, row: np.ndarray[Any, Any]) -> None:
    """Write a flat row without names into all parameters, in the order of ``model.parameters()``."""
    targets = list(model.parameters())
    size = sum(target.numel() for target in targets)
    if size != len(row):
        raise NetgeomError(
            "The recorded parameters are not those of this model", expected=f"{size:,}", got=f"{len(row):,}"
        )
    if any(True for _ in model.buffers()):
        raise NetgeomError(
            "The model has buffers, which this recording does not hold",
            expected="a model whose function its parameters alone decide",
            got=", ".join(name for name, _ in model.named_buffers()),
            try_this="recording it with Recorder(..., parameters=True)",
        )
    _write(zip(targets, _pieces(row, [target.numel() for target in targets]), strict=True))


def _pieces(row: np.ndarray[Any, Any], sizes: Sequence[int]) -> list[np.ndarray[Any, Any]]:
    return np.split(row, np.cumsum(sizes)[:-1]) if sizes else []


def _write(pairs: Iterable[tuple[torch.Tensor, np.ndarray[Any, Any]]]) -> None:
    with torch.no_grad():
        for target, piece in pairs:
            target.copy_(torch.from_numpy(np.ascontiguousarray(piece)).reshape(target.shape))


def _matching(
    named: Mapping[str, torch.Tensor], recorded: tuple[Entry, ...], kind: str, try_this: str
) -> list[torch.Tensor]:
    """The model's tensors in the recorded order; every one of either side has its counterpart, or all is refused."""
    expected = {entry.name: entry.shape for entry in recorded}
    found = {name: tuple(tensor.shape) for name, tensor in named.items()}
    if expected != found:
        name = next(name for name in [*expected, *found] if expected.get(name) != found.get(name))
        raise NetgeomError(
            f"The recorded {kind}s are not those of this model: {name}",
            expected=str(expected.get(name, f"no {kind} of that name")),
            got=str(found.get(name, f"no {kind} of that name")),
            try_this=try_this,
        )
    return [named[name] for name in expected]
