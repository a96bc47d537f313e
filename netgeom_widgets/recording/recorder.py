"""Recording a training run while it happens."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import unwrapped
from netgeom_widgets.recording.layers import Layers, LayerSet, TrainingForwards, refuse_second_call
from netgeom_widgets.recording.layout import (
    INPUTS,
    LABELS,
    OUTPUTS,
    SAMPLE_IDS,
    Layout,
    Row,
    layer_key,
    run_folders,
)
from netgeom_widgets.recording.observation import undisturbed
from netgeom_widgets.recording.parameters import ParameterRows
from netgeom_widgets.recording.probe import Probe, RowBuffers, as_numpy
from netgeom_widgets.recording.recording import Recording
from netgeom_widgets.recording.reducers import Projected, Reduction
from netgeom_widgets.recording.schedules import Schedule, as_schedule, as_step
from netgeom_widgets.recording.store import RunWriter

_DTYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


class Recorder:
    """Record snapshots of a model while it trains, without changing the run.

    ::

        with Recorder(net, (X, y), path="run.zarr", layers=["fc*"]) as recorder:
            for epoch in range(20):
                loss = train_one_epoch(net)
                recorder.step(epoch + 1, loss=loss)

    A snapshot is what the layers, the outputs and the parameters are at one moment, on a fixed set of samples. In mode
    ``"probe"`` the recorder runs the model on the probe, in eval mode: one parameter state per snapshot. Snapshot 0, the
    initial model, is taken on entering the with block, the last one on leaving it, unless it was just taken. In mode
    ``"as_trained"`` the rows come from the training forward passes themselves, so they belong to different parameters;
    you hand them over by `store`, and snapshots are taken by `step` only: no step 0, and what was stored after the last
    step() is dropped on leaving.

    The run is the same with and without, bit for bit: train flags, buffers, gradients, random numbers and the modules'
    own attributes are as they were after each snapshot, and hooks are there only while they are needed. A snapshot is
    committed when `step` returns. Killing the process loses at most the one being written. After an exception in the
    block no last snapshot is taken; what was committed stays.

    Parameters
    ----------
    model : torch.nn.Module
        The model that is trained; on any device, in any floating precision, inside `torch.compile` or a parallel wrapper
        (the module inside is run). In distributed training only rank 0 records; on the others everything is a no-op.
    probe : tensor, array, (inputs, labels) or torch Dataset
        The samples; copied. A map-style Dataset of inputs or (input, label) items is read once. Floating inputs go to
        the model in its own precision, integers as they are. None in mode ``"as_trained"`` if `ids` are given.
    path : path
        Folder of the recording; made if there is none. It holds any number of runs.
    layers : names, patterns, or {name or pattern: reducer}
        Modules by their dotted names in ``named_modules()``; in patterns ``*`` stands for anything, dots too. Of several
        that match, the first decides the reducer, which makes one row (N, D) of the module's output:

        - ``"flatten"``: all of it, row-major;  ``"average"``: mean over all axes after the second (channels first);
        - ``"tokens"``, ``"cls"``: mean over the tokens, or the first one, of (N, tokens, D);
        - `recording.projected`: then a random projection to a few dimensions;
        - a function of the output that returns (N, D).

        Without one, (N, D) stays, images (N, channels, ...) are averaged over positions, and (N, A, B), which could be
        tokens or channels, is refused. So is a module that runs more than once in a forward pass.
    outputs : bool
        Record what the model returns, flattened to (N, C).
    parameters : bool, names or patterns, or recording.projected(...)
        True: all parameters, with the buffers, so that `Recording.restore` gives the very model. float64 is stored as
        such, every other precision as float32, which is exact. A projection keeps (T, dimensions).
    every : int, "logarithmic", recording.num_snapshots(...), or callable
        Which of the steps given to `step` are recorded: each n-th, the powers of two, or those for which it is true.
    dtype : {"float32", "float16", "float64"}
        How outputs and layers are stored.
    run_id : str, optional
        None: a new run, named ``run-0``, ``run-1``, ... The id of a recorded run: it goes on after its last committed
        snapshot, in the same layout, on the same samples.
    mode : {"probe", "as_trained"}
        See above.
    ids : sequence of int, optional
        Ids of the samples: distinct, from 0 on; default 0, 1, ...
    store_inputs : bool
        Keep the inputs in the recording, in the dtype they came in, for thumbnails.
    forward : callable, optional
        ``forward(model, inputs)`` calls the model where ``model(inputs)`` does not do, or picks what it returns:
        ``lambda model, ids: model(input_ids=ids).logits``.
    batch_size : int
        Samples per forward pass over the probe.

    Attributes
    ----------
    run_id : str or None
        The run's id, as soon as it has a snapshot.

    Raises
    ------
    NetgeomError
        Anything of the above that does not fit, before training starts.

    Notes
    -----
    A snapshot costs one forward pass over the probe (none as trained), one transfer per array from the model's device,
    and a file per array. Autocast is off in it: snapshots are taken in the parameters' own precision.
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Any,
        *,
        path: str | os.PathLike[str],
        layers: Layers = (),
        outputs: bool = True,
        parameters: bool | str | Sequence[str] | Projected = False,
        every: int | Literal["logarithmic"] | Schedule = 1,
        dtype: str = "float32",
        run_id: str | None = None,
        mode: Literal["probe", "as_trained"] = "probe",
        ids: Any = None,
        store_inputs: bool = True,
        forward: Callable[[nn.Module, torch.Tensor], Any] | None = None,
        batch_size: int = 512,
    ) -> None:
        _check_options(model, dtype, mode, run_id, batch_size)
        self.path, self.run_id = Path(path), run_id
        self._model, self._mode = unwrapped(model), mode
        self._schedule = as_schedule(every)
        self._layers = LayerSet(self._model, layers)
        self._outputs = Reduction("The model's output", "flatten") if outputs else None
        self._parameters = ParameterRows(self._model, parameters)
        if not (outputs or parameters or self._layers.names):
            raise NetgeomError(
                "There is nothing to record", expected="layers, outputs or parameters", got="none of them"
            )
        self._probe = Probe(probe, ids)
        if mode == "probe" and self._probe.inputs is None:
            raise NetgeomError("The probe has no inputs", expected="samples to run the model on", got="ids only")
        self._store_inputs = store_inputs
        self._forward = forward or _call
        self._batch_size = batch_size
        self._rows = RowBuffers(len(self._probe), _DTYPES[dtype])
        self._training = TrainingForwards(self._model, self._layers, self._outputs) if mode == "as_trained" else None
        self._writer: RunWriter | None = None
        self._hooks = ExitStack()
        self._state = "new"
        self._writes = _is_first_process()
        self._last_seen = -1
        self._resumed_at = -1
        self._agreed = False  # that a resumed run has this layout
        self._pending: tuple[int, dict[str, Any]] | None = None

    def __enter__(self) -> Self:
        if self._state != "new":
            raise NetgeomError(
                "A recorder is used once", expected="a new Recorder for each with block", got=self._state
            )
        self._state = "open"
        if self._writes:
            try:
                self._begin()
            except BaseException:
                self._close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._pending is not None and self._mode == "probe":
                self._snapshot(*self._pending)
        finally:
            self._close()

    def due(self, step: int) -> bool:
        """Whether `step` with this number takes a snapshot; spares metrics that only the recording needs."""
        return self._writes and as_step(step) > self._resumed_at and bool(self._schedule(step))

    def step(self, step: int, /, **metrics: float | torch.Tensor) -> bool:
        """Say that a step (an epoch, or an optimiser step) is over, and take a snapshot if it is due.

        Parameters
        ----------
        step : int
            Its number, larger than any before. Snapshot 0 is the initial model, so count from 1. In a resumed run the
            steps already recorded are skipped, with one warning.
        **metrics : float or tensor with one element
            Numbers to keep with the snapshot; they may differ from step to step.

        Returns
        -------
        bool
            Whether a snapshot was taken.
        """
        number = as_step(step)
        values = {name: _metric(name, value) for name, value in metrics.items()}
        if not self._writes:
            return False
        self._require_open()
        if number <= self._resumed_at:
            self._say_skipped(number)
            return False
        if number <= self._last_seen:
            raise NetgeomError(
                "Steps do not increase",
                expected=f"a step after {self._last_seen}",
                got=str(number),
                try_this="count from 1: snapshot 0 is the initial model" if number == 0 else "",
            )
        self._last_seen = number
        if not self._schedule(number):
            self._pending = (number, values)
            self._rows.take()
            return False
        self._snapshot(number, values)
        return True

    def store(self, ids: Any, outputs: torch.Tensor | None = None, **layers: torch.Tensor) -> None:
        """Hand over the rows of one training batch; mode ``"as_trained"`` only.

        Parameters
        ----------
        ids : sequence of int
            Which samples the batch was made of; any subset.
        outputs : tensor, optional
            What the model gave for them. Left out: what it gave in its last forward pass in train mode.
        **layers : tensor
            The same for recorded layers; ``**{"block.0": h}`` for dotted names.
        """
        if self._training is None:
            raise NetgeomError(
                "store() is for recordings made as trained",
                expected='mode="as_trained"',
                got='mode="probe"',
                try_this="step(), which runs the probe by itself",
            )
        unknown = set(layers) - set(self._layers.names)
        if unknown:
            raise NetgeomError(
                "Not all of these layers are recorded",
                expected=f"{', '.join(self._layers.names) or 'none'}",
                got=", ".join(sorted(unknown)),
            )
        if not self._writes:
            return
        self._require_open()
        rows = self._probe.rows_of(ids)
        with torch.no_grad():
            for index, (name, reduce) in enumerate(self._layers.reductions.items()):
                values = reduce(layers[name]) if name in layers else self._training.layer(name)
                self._rows.put(layer_key(index), rows, values)
            if self._outputs is not None:
                self._rows.put(OUTPUTS, rows, self._training.outputs() if outputs is None else self._outputs(outputs))

    def __repr__(self) -> str:
        n_snapshots = self._writer.n_committed if self._writer else 0
        return f"<Recorder of {self.run_id or 'a new run'!r} at {self.path}: {n_snapshots} snapshots, {self._state}>"

    def _begin(self) -> None:
        if self.run_id is not None and (self.path / "zarr.json").exists() and self.run_id in run_folders(self.path):
            self._writer = RunWriter.resume(self.path, self.run_id)
            self._resumed_at = self._last_seen = -1 if self._writer.last_step is None else self._writer.last_step
        if self._training is not None:
            self._hooks.enter_context(self._training.observed())
        elif self._writer is None:
            self._snapshot(0, {})
            self._last_seen = 0
        else:
            self._require_same_run(self._writer, self._observe())

    def _close(self) -> None:
        self._state = "closed"
        self._hooks.close()
        if self._writer is not None:
            self._writer.close()

    def _snapshot(self, step: int, metrics: dict[str, Any]) -> None:
        rows = self._observe()
        if self._writer is None:
            self._writer = RunWriter.create(self.path, self._layout(rows), self._arrays(), self.run_id)
        else:
            self._require_same_run(self._writer, rows)
        self._writer.append(step, rows, {name: float(value) for name, value in metrics.items()})
        self._agreed, self.run_id, self._pending = True, self._writer.run_id, None

    def _observe(self) -> dict[str, np.ndarray[Any, Any]]:
        """The rows of one snapshot."""
        if self._training is None:
            self._run_probe()
        elif not self._rows and (self._layers.names or self._outputs):
            raise NetgeomError(
                "Nothing was stored since the last snapshot",
                expected="store(ids, ...) for each batch before step()",
                got="no batch",
            )
        with torch.no_grad():
            return self._rows.take() | self._parameters.read(self._model)

    def _run_probe(self) -> None:
        if not self._layers.names and self._outputs is None:
            return
        tensor = next((t for t in [*self._model.parameters(), *self._model.buffers()] if t.is_floating_point()), None)
        device, dtype = (torch.device("cpu"), torch.float32) if tensor is None else (tensor.device, tensor.dtype)
        keys = {name: layer_key(index) for index, name in enumerate(self._layers.names)}
        rows, seen = slice(0), dict[str, bool]()

        def keep(name: str, values: torch.Tensor) -> None:
            refuse_second_call(name, seen)
            seen[name] = True
            self._rows.put(keys[name], rows, values)

        with undisturbed(self._model), self._layers.observed(keep):
            for rows, inputs in self._probe.batches(device, dtype, self._batch_size):
                seen.clear()
                output = self._forward(self._model, inputs)
                if self._outputs is not None:
                    self._rows.put(OUTPUTS, rows, self._outputs(output))
                if len(seen) < len(keys):
                    name = next(name for name in keys if name not in seen)
                    raise NetgeomError(
                        f"Layer {name!r} does not run in a forward pass", expected="a module that is used"
                    )

    def _arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        arrays = {SAMPLE_IDS: self._probe.ids}
        if self._probe.labels is not None:
            arrays[LABELS] = self._probe.labels
        if self._store_inputs and self._probe.inputs is not None:
            arrays[INPUTS] = as_numpy(self._probe.inputs)
        return arrays

    def _layout(self, rows: dict[str, np.ndarray[Any, Any]]) -> Layout:
        def described(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, Row]:
            return {key: Row(array.shape, array.dtype.newbyteorder("<").str) for key, array in sorted(arrays.items())}

        return Layout(
            mode=self._mode,
            rows=described(rows),
            layers=self._layers.names,
            reducers=tuple(reduction.description for reduction in self._layers.reductions.values()),
            parameters=self._parameters.entries,
            buffers=self._parameters.buffer_entries,
            whole_model=self._parameters.whole_model,
            projection=self._parameters.projection,
            arrays=described(self._arrays()),
        )

    def _require_same_run(self, writer: RunWriter, rows: dict[str, np.ndarray[Any, Any]]) -> None:
        """A run that goes on holds the same arrays of the same samples."""
        if self._agreed:
            return
        difference = self._layout(rows).difference(writer.layout)
        if difference is None:
            recorded = Recording(self.path, str(self.run_id), run_folders(self.path)[str(self.run_id)])
            stored = {SAMPLE_IDS: recorded.sample_ids, LABELS: recorded.labels, INPUTS: recorded.inputs}
            for name, values in self._arrays().items():
                if not np.array_equal(values, stored[name]):  # type: ignore[arg-type]
                    difference = (name, "other values", "the recorded ones")
        if difference is not None:
            what, here, there = difference
            raise NetgeomError(
                f"Run {self.run_id!r} cannot go on: the {what} differ",
                expected=there,
                got=here,
                try_this="the recorder's arguments of the first time, or another run_id",
            )
        self._agreed = True

    def _require_open(self) -> None:
        if self._state != "open":
            raise NetgeomError(
                "The recorder is not open", expected="a call inside its with block", got=f"a {self._state} recorder"
            )

    def _say_skipped(self, step: int) -> None:
        if not self._said_skipped:
            self._said_skipped = True
            warnings.warn(
                f"Run {self.run_id!r} already has its snapshots up to step {self._resumed_at}: step {step} and any other up "
                "to there are left as they are.",
                stacklevel=3,
            )

    _said_skipped = False


def _call(model: nn.Module, inputs: torch.Tensor) -> Any:
    return model(inputs)


def _metric(name: str, value: Any) -> Any:
    """A number, or a copy of a tensor, which is read when a snapshot is taken: reading one may wait for the device."""
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_complex():
        return value.detach().clone()
    try:
        return float(value)
    except (TypeError, ValueError):
        raise NetgeomError(
            f"Metric {name!r} is not a number",
            expected="a float or a tensor with one element",
            got=type(value).__name__,
        ) from None


def _check_options(model: Any, dtype: Any, mode: Any, run_id: Any, batch_size: Any) -> None:
    if not isinstance(model, nn.Module):
        raise NetgeomError("The model is not a torch module", expected="a torch.nn.Module", got=type(model).__name__)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if isinstance(tensor, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer) or tensor.is_meta:
            raise NetgeomError(
                f"{name} has no values yet", try_this="call the model once on a batch before recording it"
            )
        if type(tensor).__name__ == "DTensor" or type(tensor.data).__name__ == "DTensor":
            raise NetgeomError(
                f"{name} is spread over several processes",
                expected="a model that each process has whole (DDP)",
                got="DTensor",
            )
    if dtype not in _DTYPES:
        raise NetgeomError("dtype is not understood", expected=f"one of {', '.join(_DTYPES)}", got=repr(dtype))
    if mode not in ("probe", "as_trained"):
        raise NetgeomError("mode is not understood", expected='"probe" or "as_trained"', got=repr(mode))
    if run_id is not None and (not isinstance(run_id, str) or not run_id):
        raise NetgeomError("run_id is not understood", expected="a text, or None for a new one", got=repr(run_id))
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise NetgeomError("batch_size is not understood", expected="a whole number from 1 on", got=repr(batch_size))


def _is_first_process() -> bool:
    """Rank 0, or no distributed training; launchers tell it to their processes before these have met."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    ranks = [os.environ.get(name, "0") for name in (("RANK",) if "RANK" in os.environ else ("NODE_RANK", "LOCAL_RANK"))]
    return all(rank == "0" for rank in ranks)
