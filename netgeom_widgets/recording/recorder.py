"""Recording a training run while it happens."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import unwrapped
from netgeom_widgets.recording.layers import Layers, LayerSet
from netgeom_widgets.recording.layout import Layout, described, run_folders
from netgeom_widgets.recording.options import DTYPES, as_metric, check_options, is_compiled, is_first_process
from netgeom_widgets.recording.parameters import ParameterRows
from netgeom_widgets.recording.probe import Probe
from netgeom_widgets.recording.reducers import Projected, Reduction
from netgeom_widgets.recording.rows import ProbeRows, RowBuffers, TrainingRows
from netgeom_widgets.recording.schedules import Schedule, as_schedule, as_step
from netgeom_widgets.recording.store import RunWriter, make_root


class Recorder:
    """Record snapshots of a model while it trains, without changing the run.

    ::

        with Recorder(net, (X, y), path="run.zarr", layers=["fc*"]) as recorder:
            for epoch in range(20):
                loss = train_one_epoch(net)
                recorder.step(epoch + 1, loss=loss)

    A snapshot is what layers, outputs and parameters are at one moment, on a fixed set of samples. In mode ``"probe"``
    the recorder runs the model on the probe in eval mode, so a snapshot belongs to one parameter state. Snapshot 0, the
    initial model, is taken on entering the with block, and one of the last step on leaving it, if it has none. In
    mode ``"as_trained"`` the rows come from the training forward passes themselves, each from the parameters of its
    batch; you hand them over by `store`, and only `step` takes snapshots: there is no step 0 by itself, and what was
    stored after the last step is dropped.

    The run is the same with and without, bit for bit: train flags, buffers, gradients, random numbers and the modules'
    own attributes are as they were after each snapshot, and hooks are there only while they are needed. A snapshot is
    committed when `step` returns. Killing the process loses at most the one being written. After an exception in the
    block no last snapshot is taken; what was committed stays.

    Parameters
    ----------
    model : torch.nn.Module
        The model that is trained; on any device, in any floating precision. Inside `torch.compile` or a parallel
        wrapper it is the module within that is run. In distributed training only rank 0 records; the calls do nothing
        on the others.
    probe : tensor, array, (inputs, labels) or torch Dataset
        The samples; copied. A map-style Dataset of inputs or (input, label) items is read once. Floating inputs go to
        the model in its own precision, integers as they are. None in mode ``"as_trained"`` if `ids` are given.
    path : path
        Folder of the recording; made if there is none. It holds any number of runs.
    layers : names, patterns, or {name or pattern: reducer}
        Modules by their dotted names in ``named_modules()``; in patterns ``*`` stands for anything, dots too. The first
        pattern that matches decides the reducer, which makes one row (N, D) of a module's output:

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
        Anything of the above that does not fit, before training starts; and in `step`, a model whose recorded
        parameters, buffers or widths are not those it began with, since a run has one layout.

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
        check_options(model, dtype, mode, run_id, batch_size)
        self.path, self.run_id = Path(path), run_id
        self._schedule = as_schedule(every)
        self._model, self._mode = unwrapped(model), mode
        self._layers = LayerSet(self._model, layers)
        self._parameters = ParameterRows(self._model, parameters)
        if not (outputs or parameters or self._layers.names):
            raise NetgeomError(
                "There is nothing to record", expected="layers, outputs or parameters", got="none of them"
            )
        self._probe = Probe(probe, ids, store_inputs=store_inputs)
        hint = "forward=lambda model, x: model(x)[0]" if mode == "probe" else "store(ids, outputs=...)"
        output = Reduction("The model's output", "flatten", hint) if outputs else None
        what = self._model, self._probe, self._layers, output
        buffers = RowBuffers(len(self._probe), DTYPES[dtype], self._layers.names)
        self._source: ProbeRows | TrainingRows = (
            TrainingRows(*what, buffers, blind=is_compiled(model))
            if mode == "as_trained"
            else ProbeRows(*what, buffers, forward or _call, batch_size)
        )
        self._state = "new"
        self._writes_here = is_first_process()
        self._writer: RunWriter | None = None
        self._agreed = False  # that the run's layout is this one
        self._last_seen = self._resumed_at = -1
        self._said_skipped = False
        self._pending: tuple[int, dict[str, Any]] | None = None  # the last step, while it has no snapshot

    def __enter__(self) -> Self:
        if self._state != "new":
            raise NetgeomError(
                "A recorder is used once", expected="a new Recorder for each with block", got=self._state
            )
        self._state = "open"
        if self._writes_here:
            try:
                self._begin()
            except BaseException:
                self._close(finished=False)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._pending is not None:
                self._snapshot(*self._pending)
        finally:
            self._close()

    def due(self, step: int) -> bool:
        """Whether `step` with this number takes a snapshot; spares metrics that only the recording needs."""
        return self._writes_here and as_step(step) > self._resumed_at and bool(self._schedule(step))

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
        values = {name: as_metric(name, value) for name, value in metrics.items()}
        if not self._writes_here:
            return False
        self._require_open()
        if number <= self._resumed_at:
            self._say_skipped(number)
            self._source.drop()
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
            self._pending = (number, values) if self._mode == "probe" else None
            self._source.drop()
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
            What the model gave for them. Left out: what it gave in its last forward pass in train mode; a compiled
            model does not tell, so there all arrays have to be given.
        **layers : tensor
            The same for recorded layers; ``**{"block.0": h}`` for dotted names.
        """
        if not isinstance(self._source, TrainingRows):
            raise NetgeomError(
                "store() is for recordings made as trained",
                expected='mode="as_trained"',
                got='mode="probe"',
                try_this="step(), which runs the model on the probe by itself",
            )
        if self._writes_here:
            self._require_open()
            self._source.store(ids, outputs, layers)

    def __repr__(self) -> str:
        n_snapshots = self._writer.n_committed if self._writer else 0
        return f"<Recorder of {self.run_id or 'a new run'!r} at {self.path}: {n_snapshots} snapshots, {self._state}>"

    def _begin(self) -> None:
        make_root(self.path)
        if self.run_id in run_folders(self.path):
            self._writer = RunWriter.resume(self.path, str(self.run_id))
            self._resumed_at = self._last_seen = self._writer.last_step
        if isinstance(self._source, TrainingRows):
            self._source.open()
        elif self._writer is None:
            self._snapshot(0, {})
            self._last_seen = 0
        else:
            self._agree(self._writer, self._read())

    def _close(self, *, finished: bool = True) -> None:
        self._state = "closed"
        self._source.close()
        if self._writer is not None:
            self._writer.close(finished=finished)

    def _snapshot(self, step: int, metrics: dict[str, Any]) -> None:
        rows = self._read()
        if self._writer is None:
            self._writer = RunWriter.create(self.path, self._layout(rows), self._probe.arrays(), self.run_id)
            self._agreed = True
        self._agree(self._writer, rows)
        self._writer.append(step, rows, {name: float(value) for name, value in metrics.items()})
        self.run_id, self._pending = self._writer.run_id, None

    def _read(self) -> dict[str, np.ndarray[Any, Any]]:
        """The rows of one snapshot."""
        return self._source.read() | self._parameters.read(self._model)

    def _agree(self, writer: RunWriter, rows: dict[str, np.ndarray[Any, Any]]) -> None:
        if not self._agreed:
            writer.require_same(self._layout(rows), self._probe.arrays())
            self._agreed = True

    def _layout(self, rows: dict[str, np.ndarray[Any, Any]]) -> Layout:
        return Layout(
            mode=self._mode,
            rows=described(rows),
            layers=self._layers.names,
            reducers=tuple(reduction.description for reduction in self._layers.reductions.values()),
            parameters=self._parameters.entries,
            buffers=self._parameters.buffer_entries,
            whole_model=self._parameters.whole_model,
            projection=self._parameters.projection,
            arrays=described(self._probe.arrays()),
        )

    def _require_open(self) -> None:
        if self._state != "open":
            raise NetgeomError(
                "The recorder is not open", expected="a call inside its with block", got=f"a {self._state} recorder"
            )

    def _say_skipped(self, step: int) -> None:
        if not self._said_skipped:
            self._said_skipped = True
            warnings.warn(
                f"Run {self.run_id!r} is recorded up to step {self._resumed_at}: "
                f"step {step}, and any other up to there, is left as it is.",
                stacklevel=3,
            )


def _call(model: nn.Module, inputs: torch.Tensor) -> Any:
    return model(inputs)
