"""Reading what a run left behind, while it is written or afterwards."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from netgeom_widgets._files import FolderLock
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._model import unwrapped
from netgeom_widgets.recording.layout import (
    BUFFERS,
    INPUTS,
    LABELS,
    OUTPUTS,
    PARAMETERS,
    SAMPLE_IDS,
    STEPS,
    Layout,
    attributes,
    layer_key,
    metric_key,
    run_folders,
)
from netgeom_widgets.recording.parameters import load_named, load_vector
from netgeom_widgets.recording.store import read_committed
from netgeom_widgets.recording.views import SnapshotArray

Array = np.ndarray[Any, Any]
Model = TypeVar("Model", bound=nn.Module)


def open_recording(path: str | os.PathLike[str], run_id: str | None = None) -> Recording:
    """Open one run of a recording, finished or still being written.

    Parameters
    ----------
    path : path
        What was given to `Recorder` or `record_arrays`.
    run_id : str, optional
        Which run; None: the one begun last.

    Returns
    -------
    Recording
        The snapshots committed until now; `Recording.refresh` looks for more.

    Raises
    ------
    NetgeomError
        Nothing recorded there, no such run, or a newer format.
    """
    folders = run_folders(Path(path))
    if not folders:
        raise NetgeomError(
            f"The recording at {path} has no snapshot yet",
            expected="a run whose first snapshot is complete",
            try_this="open it once training has begun",
        )
    if run_id is None:
        run_id = list(folders)[-1]
    if run_id not in folders:
        raise NetgeomError(
            f"There is no run {run_id!r} at {path}", expected=f"one of {', '.join(folders)}", got=repr(run_id)
        )
    return Recording(Path(path), run_id, folders[run_id])


class Recording:
    """One recorded run; made by `open_recording`.

    T snapshots of N samples. What a Recording shows does not change under a reader: new snapshots of a run that is
    still being written appear after `refresh`. Opening reads no snapshot; an array over time is read when it is looked
    at (`SnapshotArray`).

    Attributes
    ----------
    path : Path
        Where it is.
    run_id : str
        Which run.
    mode : str
        ``"probe"``, ``"as_trained"`` or ``"arrays"`` (`record_arrays`).
    steps : ndarray (T,) int64
        The step numbers of the snapshots, strictly increasing.
    metrics : dict of str to ndarray (T,) float64
        NaN where a metric was not given.
    finished : bool
        The writer has closed. False while a run is written, and for one that was killed.
    layout : Layout
        What was recorded: names, shapes and dtypes.
    """

    def __init__(self, path: Path, run_id: str, folder: Path) -> None:
        self.path, self.run_id = path, run_id
        self._folder = folder
        self.layout = Layout.from_json(attributes(folder)["layout"])
        self.mode = self.layout.mode
        self._predictions: list[Array] = []
        self._read_progress(*read_committed(folder))

    def refresh(self) -> bool:
        """Look for new snapshots; True when there are more than before.

        Cheap when there are none: reads one file of 16 bytes. Arrays taken before keep their length.
        """
        committed, finished = read_committed(self._folder)
        more = committed > len(self)
        if more:
            self._read_progress(committed, finished)
        self.finished = finished
        return more

    @property
    def has_writer(self) -> bool | None:
        """Whether a process on this machine has the run open for writing now; None where that cannot be told.

        None too when it was closed since the last `refresh`. False says nothing of other machines: many network drives
        tell locks to none but the machine that took them.
        """
        taken = FolderLock.is_taken(self._folder)
        closed_since = taken is False and not self.finished and read_committed(self._folder)[1]
        return None if closed_since else taken

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of all runs at the path, in order of creation, as of now."""
        return tuple(run_folders(self.path))

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the recorded layers, in the order of the model."""
        return self.layout.layers

    @cached_property
    def sample_ids(self) -> Array:
        """Ids of the samples, (N,) int64, distinct."""
        return self._whole(SAMPLE_IDS)

    @cached_property
    def labels(self) -> Array | None:
        """What was given as labels, (N,); None when nothing was."""
        return self._whole(LABELS) if LABELS in self.layout.arrays else None

    @property
    def inputs(self) -> Array | None:
        """The samples themselves, (N, ...) in the dtype they were given in; None when they were not stored."""
        return self._whole(INPUTS) if INPUTS in self.layout.arrays else None

    @property
    def outputs(self) -> SnapshotArray:
        """The model's outputs, (T, N, C), flattened to C numbers a sample."""
        return self._over_time(OUTPUTS, "outputs", "outputs=True")

    def layer(self, name: str) -> SnapshotArray:
        """The recorded activations of a layer, (T, N, D)."""
        if name not in self.layers:
            raise NetgeomError(
                f"Layer {name!r} was not recorded",
                expected=f"one of {', '.join(map(repr, self.layers))}"
                if self.layers
                else "a recorded layer: there is none",
                got=repr(name),
                try_this="Recorder(..., layers=[...])",
            )
        return self._over_time(layer_key(self.layers.index(name)), f"layer {name!r}", "layers=[...]")

    @property
    def parameters(self) -> SnapshotArray:
        """The flat parameter vectors, (T, P), in the order of ``model.parameters()``, or their projection."""
        return self._over_time(PARAMETERS, "parameters", "parameters=True")

    @property
    def predictions(self) -> Array:
        """Predicted classes, (T, N) int64: the largest output, or if the only one is positive; -1 for a NaN row."""
        outputs, known = self.outputs, self._predictions
        known = known + [_predicted(outputs[t]) for t in range(len(known), len(outputs))]
        self._predictions = known  # replaced and not extended: another thread may be at it too
        return np.stack(known[: len(outputs)])

    def missing(self, t: int) -> Array:
        """Samples that were never stored in snapshot t, (N,) bool: recordings made as trained may lack some."""
        key = OUTPUTS if OUTPUTS in self.layout.rows else layer_key(0)
        if self.mode != "as_trained" or key not in self.layout.rows:
            return np.zeros(len(self.sample_ids), bool)
        missing: Array = np.isnan(self._over_time(key, key, "")[t]).all(axis=1)
        return missing

    def restore(self, model: Model, t: int) -> Model:
        """Load the parameters and buffers of snapshot t into a model, bit for bit.

        Parameters
        ----------
        model : torch.nn.Module
            Built like the recorded one; **it is changed**: give a copy to keep it. Device, dtype and mode stay.
        t : int
            Index of a snapshot, not a step number; negative ones count from the end.

        Returns
        -------
        torch.nn.Module
            The same model.

        Raises
        ------
        NetgeomError
            Not all parameters were recorded, or names or shapes differ; then nothing was changed.
        """
        row = self.parameters[t]
        layout, target = self.layout, unwrapped(model)
        if layout.projection or (layout.parameters and not layout.whole_model):
            raise NetgeomError(
                "This run holds only a part of the parameters, so no model can be restored from it",
                expected="a run recorded with parameters=True",
                got=layout.projection or ", ".join(entry.name for entry in layout.parameters),
            )
        if not layout.parameters:
            load_vector(target, row)
            return model
        buffer_row = (
            self._over_time(BUFFERS, "buffers", "parameters=True")[t] if layout.buffers else np.empty(0, np.uint8)
        )
        load_named(target, layout.parameters, row, layout.buffers, buffer_row)
        return model

    def __len__(self) -> int:
        return self._committed

    def __repr__(self) -> str:
        n_samples = self.layout.arrays[SAMPLE_IDS].shape[0]
        kinds = [key for key in (OUTPUTS, PARAMETERS) if key in self.layout.rows]
        kinds += [f"{len(self.layers)} layers"] if self.layers else []
        state = "finished" if self.finished else "still open"
        return (
            f"<Recording {self.run_id!r}: {len(self)} snapshots of {n_samples} samples ({', '.join(kinds)}), {state}>"
        )

    def _read_progress(self, committed: int, finished: bool) -> None:
        """The counter was read first, so what is read after it has at least that many snapshots."""
        names = attributes(self._folder)["metrics"]
        steps = self._scalars(STEPS, committed)
        metrics = {name: self._scalars(metric_key(i), committed) for i, name in enumerate(names)}
        self._committed, self.finished = committed, finished
        self.steps: Array = steps
        self.metrics: dict[str, Array] = metrics

    def _stored(self, key: str) -> Any:
        import zarr

        return zarr.open_array(self._folder / key, mode="r")

    def _scalars(self, key: str, committed: int) -> Array:
        return _fixed(np.asarray(self._stored(key)[:committed]))

    def _whole(self, key: str) -> Array:
        return _fixed(np.asarray(self._stored(key)[...]))

    def _over_time(self, key: str, what: str, option: str) -> SnapshotArray:
        if key not in self.layout.rows:
            raise NetgeomError(
                f"This run was recorded without {what}",
                expected=f"a recording made with {option}",
                got=f"one of {', '.join([*self.layout.rows]) or 'nothing'}",
                try_this=f"Recorder(..., {option})",
            )
        return SnapshotArray(self._stored(key), self._committed)


def _predicted(outputs: Array) -> Array:
    classes: Array = (outputs[:, 0] > 0).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    classes[np.isnan(outputs).any(axis=1)] = -1
    return classes


def _fixed(values: Array) -> Array:
    values.flags.writeable = False
    return values
