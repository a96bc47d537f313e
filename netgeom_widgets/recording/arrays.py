"""Recordings from arrays that are already there, from any framework."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording.layout import (
    INPUTS,
    LABELS,
    OUTPUTS,
    PARAMETERS,
    SAMPLE_IDS,
    Layout,
    called,
    described,
    layer_key,
    run_folders,
)
from netgeom_widgets.recording.options import as_metric
from netgeom_widgets.recording.probe import as_ids, as_labels, as_numpy
from netgeom_widgets.recording.recording import Recording, open_recording
from netgeom_widgets.recording.schedules import as_step
from netgeom_widgets.recording.store import RunWriter

Snapshots = Sequence[Any] | np.ndarray[Any, Any]
Array = np.ndarray[Any, Any]


def record_arrays(
    path: str | os.PathLike[str],
    steps: Sequence[int] | Array,
    ids: Sequence[int] | Array | None,
    outputs: Snapshots | None,
    *,
    layers: Mapping[str, Snapshots] | None = None,
    labels: Any = None,
    inputs: Any = None,
    parameters: Snapshots | None = None,
    metrics: Mapping[str, Sequence[float] | Array] | None = None,
    run_id: str | None = None,
) -> Recording:
    """Write snapshots from any framework into a recording, as a run of its own.

    Parameters
    ----------
    path : path
        Folder of the recording; made if there is none.
    steps : (T,) int
        Step numbers, strictly increasing.
    ids : (N,) int or None
        Ids of the samples: distinct, from 0 on; None: 0, 1, ...
    outputs : (T, N, C) or None
        One array, or a sequence of T arrays (N, C), read one at a time. (N,) counts as (N, 1).
    layers : {name: (T, N, D)}, optional
        The same for layers, in the order they shall have. Any names.
    labels, inputs : (N,), (N, ...), optional
        Stored once.
    parameters : (T, P), optional
        Flat parameter vectors.
    metrics : {name: (T,)}, optional
        Numbers over time.
    run_id : str, optional
        Id of the new run; None: ``run-0``, ``run-1``, ... One that exists is refused.

    Returns
    -------
    Recording
        The finished run.

    Raises
    ------
    NetgeomError
        Shapes, ids or steps that do not fit; then no run is left behind.

    Notes
    -----
    Floating arrays are stored bit for bit in their own dtype, integers as float64.
    """
    path, numbers = Path(path), [as_step(step) for step in np.asarray(steps).tolist()]
    if not numbers or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise NetgeomError("steps do not increase", expected="at least one, strictly increasing", got=f"{numbers[:10]}")
    if run_id is not None and (path / "zarr.json").exists() and run_id in run_folders(path):
        raise NetgeomError(
            f"Run {run_id!r} is already recorded", expected="a new id", got=run_id, try_this="run_id=None"
        )
    names = tuple(layers or {})
    sources = {key: value for key, value in ((OUTPUTS, outputs), (PARAMETERS, parameters)) if value is not None}
    sources |= {layer_key(index): (layers or {})[name] for index, name in enumerate(names)}
    if not sources:
        raise NetgeomError("There is nothing to record", expected="outputs, layers or parameters", got="none of them")
    for key, values in [*sources.items(), *(metrics or {}).items()]:
        length = len(values) if hasattr(values, "__len__") else f"a {type(values).__name__}, which has no length"
        if length != len(numbers):
            raise NetgeomError(
                f"{called(key, names)} does not have one entry per step",
                expected=f"{len(numbers)}",
                got=f"{length}",
            )
    curves = {name: [float(as_metric(name, value)) for value in values] for name, values in (metrics or {}).items()}
    first = {key: _row(values[0], key, names) for key, values in sources.items()}
    arrays = _constants(ids, labels, inputs, first)
    layout = Layout(
        mode="arrays",
        rows=described(first),
        layers=names,
        arrays=described(arrays),
    )
    _check_rows(first, layout, names)
    writer = RunWriter.create(path, layout, arrays, run_id)
    try:
        for t, step in enumerate(numbers):
            rows = first if t == 0 else {key: _row(values[t], key, names) for key, values in sources.items()}
            _check_rows(rows, layout, names)
            writer.append(step, rows, {name: values[t] for name, values in curves.items()})
    except BaseException:
        writer.discard()
        raise
    writer.close()
    return open_recording(path, writer.run_id)


def _row(values: Any, key: str, names: tuple[str, ...]) -> Array:
    """One snapshot of one array: (N, D) numbers, or (P,) parameters."""
    row = as_numpy(values)
    if row.dtype.kind in "iub":
        row = row.astype(np.float64)
    axes = 1 if key == PARAMETERS else 2
    row = row[:, None] if row.ndim == 1 == axes - 1 else row
    if row.ndim != axes or row.dtype.kind != "f" or 0 in row.shape:
        raise NetgeomError(
            f"A snapshot of {called(key, names)} does not fit",
            expected=f"real numbers, {'(P,)' if key == PARAMETERS else '(N, D)'}",
            got=f"{row.shape} {row.dtype}",
        )
    return row


def _constants(ids: Any, labels: Any, inputs: Any, first: Mapping[str, Array]) -> dict[str, Array]:
    per_sample = next((len(row) for key, row in first.items() if key != PARAMETERS), None)
    if inputs is not None:
        inputs = as_numpy(inputs)
        per_sample = len(inputs) if per_sample is None else per_sample
    arrays = {SAMPLE_IDS: as_ids(ids, per_sample)}
    if labels is not None:
        arrays[LABELS] = as_labels(labels, len(arrays[SAMPLE_IDS]))
    if inputs is not None:
        if inputs.dtype.kind not in "iubf" or len(inputs) != len(arrays[SAMPLE_IDS]):
            raise NetgeomError(
                "inputs do not fit",
                expected=f"{len(arrays[SAMPLE_IDS])} samples of numbers",
                got=f"{inputs.shape} {inputs.dtype}",
            )
        arrays[INPUTS] = inputs
    return arrays


def _check_rows(rows: Mapping[str, Array], layout: Layout, names: tuple[str, ...]) -> None:
    n_samples = layout.arrays[SAMPLE_IDS].shape[0]
    for key, row in described(rows).items():
        if row != layout.rows[key] or (key != PARAMETERS and row.shape[0] != n_samples):
            raise NetgeomError(
                f"A snapshot of {called(key, names)} does not fit",
                expected=f"{n_samples} samples, and the same shape and dtype in all snapshots",
                got=f"{row.shape} {row.dtype}; the first snapshot: {layout.rows[key].shape} {layout.rows[key].dtype}",
            )
