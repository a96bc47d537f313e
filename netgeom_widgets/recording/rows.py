"""Where the rows of a snapshot come from: a run over the probe, or the training forward passes themselves."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels._model import OBSERVER_MARK
from netgeom_widgets.recording.layers import LayerSet, OneForward
from netgeom_widgets.recording.layout import OUTPUTS, called, layer_key
from netgeom_widgets.recording.observation import undisturbed
from netgeom_widgets.recording.probe import FEWER_SAMPLES, Probe
from netgeom_widgets.recording.reducers import Reduction

Array = np.ndarray[Any, Any]
Forward = Callable[[nn.Module, torch.Tensor], Any]


class RowBuffers:
    """(N, D) for each recorded array, on the model's device until they are taken; rows not written stay NaN."""

    def __init__(self, n_samples: int, dtype: torch.dtype, layers: tuple[str, ...]) -> None:
        self._n_samples, self._dtype, self._layers = n_samples, dtype, layers
        self._buffers: dict[str, torch.Tensor] = {}
        self._warned = False

    def __bool__(self) -> bool:
        return bool(self._buffers)

    def put(self, key: str, rows: slice | Array, values: torch.Tensor) -> None:
        """Write the rows of one batch."""
        buffer = self._buffers.get(key)
        if buffer is None:
            size = self._n_samples * values.shape[1] * self._dtype.itemsize
            require_memory(
                size, f"One snapshot of {self._called(key)}", f"{FEWER_SAMPLES}, or a reducer that gives fewer numbers"
            )
            shape = (self._n_samples, values.shape[1])
            buffer = self._buffers[key] = torch.full(shape, torch.nan, dtype=self._dtype, device=values.device)
        expected = (rows.stop - rows.start if isinstance(rows, slice) else len(rows), buffer.shape[1])
        if values.shape != expected:
            raise NetgeomError(
                f"A batch of {self._called(key)} has the wrong shape",
                expected=f"{expected[0]} samples, {expected[1]} numbers each",
                got=f"{tuple(values.shape)}",
            )
        if isinstance(rows, slice):
            buffer[rows] = values
        else:
            buffer[torch.from_numpy(rows).to(buffer.device)] = values.to(buffer.device, self._dtype)

    def clear(self) -> None:
        """Start anew."""
        self._buffers = {}

    def take(self) -> dict[str, Array]:
        """Everything collected, as numpy arrays: one transfer each; then start anew."""
        taken = {key: buffer.cpu().numpy() for key, buffer in self._buffers.items()}
        self.clear()
        if self._dtype == torch.float16 and not self._warned:
            infinite = [key for key, values in taken.items() if np.isinf(values).any()]
            if infinite:
                self._warned = True
                warnings.warn(
                    f"float16 ends at 65504: some values of {self._called(infinite[0])} are recorded as infinite. "
                    'Record with dtype="float32".',
                    stacklevel=2,
                )
        return taken

    def _called(self, key: str) -> str:
        return called(key, self._layers)


class ProbeRows:
    """Runs the model on the probe, without a trace."""

    def __init__(
        self,
        model: nn.Module,
        probe: Probe,
        layers: LayerSet,
        outputs: Reduction | None,
        buffers: RowBuffers,
        forward: Forward,
        batch_size: int,
    ) -> None:
        self._model, self._probe, self._layers, self._outputs = model, probe, layers, outputs
        self._buffers, self._forward, self._batch_size = buffers, forward, batch_size

    def read(self) -> dict[str, Array]:
        """The rows as the model is now."""
        if not self._layers.names and self._outputs is None:
            return {}
        # Looked up each time: trainers move models between devices.
        tensors = (t for t in [*self._model.parameters(), *self._model.buffers()] if t.is_floating_point())
        place = next(tensors, torch.empty(0))
        seen = OneForward(self._layers)
        with undisturbed(self._model), self._layers.observed(seen.add):
            for rows, inputs in self._probe.batches(place.device, place.dtype, self._batch_size):
                seen.clear()
                output = self._forward(self._model, inputs)
                if self._outputs is not None:
                    self._buffers.put(OUTPUTS, rows, self._outputs(output))
                for index, name in enumerate(self._layers.names):
                    self._buffers.put(layer_key(index), rows, seen[name])
        return self._buffers.take()

    def drop(self) -> None:
        """Nothing is kept between snapshots."""

    def close(self) -> None:
        """Nothing is open between snapshots."""


class TrainingRows:
    """Collects rows batch by batch from what the training itself computes."""

    def __init__(
        self,
        model: nn.Module,
        probe: Probe,
        layers: LayerSet,
        outputs: Reduction | None,
        buffers: RowBuffers,
        *,
        blind: bool,
    ) -> None:
        self._model, self._probe, self._layers, self._outputs, self._buffers = model, probe, layers, outputs, buffers
        self._latest = OneForward(layers)
        self._result: torch.Tensor | NetgeomError | None = None
        self._inside = False
        self._blind = blind  # compiled code calls no hooks that came later, and goes on calling those that went
        self._hooks = ExitStack()

    def open(self) -> None:
        """Watch forward passes in train mode from now on, until `close`."""

        def begin(module: nn.Module, inputs: Any) -> None:
            if module.training:
                self._latest.clear()
                self._result, self._inside = None, True

        def end(module: nn.Module, inputs: Any, output: Any) -> None:
            if self._inside and self._outputs is not None:
                self._result = self._outputs.attempt(output)
            self._inside = False

        def look(name: str, output: Any) -> None:
            if self._inside:  # not what checkpointing runs again in the backward pass
                self._latest.add(name, output)

        if self._blind:
            return
        for hook in (begin, end):
            setattr(hook, OBSERVER_MARK, True)
        self._hooks.callback(self._model.register_forward_pre_hook(begin).remove)
        self._hooks.callback(self._model.register_forward_hook(end).remove)
        self._hooks.enter_context(self._layers.observed(look))

    def store(self, ids: Any, outputs: torch.Tensor | None, layers: Mapping[str, torch.Tensor]) -> None:
        """Keep the rows of one batch."""
        unknown = set(layers) - set(self._layers.names)
        if unknown:
            raise NetgeomError(
                "Not all of these layers are recorded",
                expected=", ".join(self._layers.names) or "no layers",
                got=", ".join(sorted(unknown)),
            )
        rows = self._probe.rows_of(ids)
        if self._blind and (len(layers) < len(self._layers.names) or (self._outputs and outputs is None)):
            raise NetgeomError(
                "A compiled model cannot be watched while it trains",
                expected="all recorded arrays: store(ids, outputs=..., **layers)",
                got=", ".join([*layers, *(["outputs"] if outputs is not None else [])]) or "only ids",
            )
        with torch.no_grad():
            for index, (name, reduce) in enumerate(self._layers.reductions.items()):
                values = reduce(layers[name]) if name in layers else self._latest[name]
                self._buffers.put(layer_key(index), rows, values)
            if self._outputs is not None:
                self._buffers.put(OUTPUTS, rows, self._last_result() if outputs is None else self._outputs(outputs))

    def _last_result(self) -> torch.Tensor:
        if self._result is None:
            raise NetgeomError(
                "The model has not been seen in a training forward",
                expected="a forward pass in train mode before store()",
                try_this="store(ids, outputs=...)",
            )
        if isinstance(self._result, NetgeomError):
            raise self._result
        return self._result

    def read(self) -> dict[str, Array]:
        """What was stored since the last snapshot."""
        if not self._buffers and (self._layers.names or self._outputs):
            raise NetgeomError(
                "Nothing was stored since the last snapshot",
                expected="store(ids, ...) for each batch before step()",
                got="no batch",
            )
        return self._buffers.take()

    def drop(self) -> None:
        """Forget what was stored."""
        self._buffers.clear()

    def close(self) -> None:
        """Stop watching; idempotent."""
        self._hooks.close()
        self._latest.clear()
        self._result = None
