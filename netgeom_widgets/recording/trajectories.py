"""The runs of a recording as curves in one space."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.order_retraction.trajectories import Trajectories
from netgeom_widgets.recording.layout import PARAMETERS
from netgeom_widgets.recording.recording import Recording, open_recording
from netgeom_widgets.recording.reducers import GaussianProjection, Projected

__all__ = ["Trajectories", "trajectories"]

Array = np.ndarray[Any, Any]


def trajectories(
    path: str | os.PathLike[str],
    what: str | Sequence[str] | Projected | Array,
    *,
    runs: Sequence[str] | None = None,
) -> Trajectories:
    """Read the runs of a recording as trajectories (runs, times, dims).

    Parameters
    ----------
    path : path
        The recording.
    what : names, recording.projected(...), or ndarray (P, dims)
        Names of metrics, one dimension each, and of parameters (patterns too), one dimension per entry; or a map of the
        whole parameter vector to `dims` numbers.
    runs : sequence of str, optional
        Ids of the runs; None: all, in order of creation.

    Returns
    -------
    Trajectories

    Raises
    ------
    NetgeomError
        A name that a run lacks, or runs with different steps.
    """
    run_ids = tuple(open_recording(path).runs if runs is None else runs)
    recordings = [open_recording(path, run_id) for run_id in run_ids]
    if not recordings:
        raise NetgeomError("No runs were asked for", expected="at least one id, or None for all", got="none")
    steps = recordings[0].steps
    for recording in recordings[1:]:
        if not np.array_equal(recording.steps, steps):
            raise NetgeomError(
                f"Runs {run_ids[0]!r} and {recording.run_id!r} were not recorded at the same steps",
                expected=f"{len(steps)} steps up to {steps[-1]}",
                got=f"{len(recording)} steps up to {recording.steps[-1]}",
                try_this="runs=[...] with those that were",
            )
    curves = [_curve(recording, what) for recording in recordings]
    if any(names != curves[0][1] for _, names in curves):
        raise NetgeomError("The runs have different parameters", expected="runs of models built alike", got="others")
    return Trajectories(np.stack([values for values, _ in curves]), run_ids, steps, curves[0][1])


def _curve(recording: Recording, what: Any) -> tuple[Array, tuple[str, ...]]:
    if isinstance(what, Projected | np.ndarray):
        return _mapped(recording, what)
    columns, names = [], list[str]()
    for name in [what] if isinstance(what, str) else what:
        if name in recording.metrics:
            columns.append(recording.metrics[name][:, None])
            names.append(name)
            continue
        places, found = _places(recording, name)
        require_memory(8 * len(recording) * len(places), f"{len(recording)} snapshots of {name}", "fewer parameters")
        columns.append(np.stack([row[places] for row in recording.parameters]).astype(np.float64))
        names.extend(found)
    if not columns:
        raise NetgeomError(
            "A space needs at least one dimension", expected="names of metrics or parameters", got="none"
        )
    return np.concatenate(columns, axis=1), tuple(names)


def _mapped(recording: Recording, what: Projected | Array) -> tuple[Array, tuple[str, ...]]:
    parameters = recording.parameters
    if isinstance(what, np.ndarray):
        if what.ndim != 2 or len(what) != parameters.shape[1]:
            raise NetgeomError(
                "The projection does not fit the parameters",
                expected=f"({parameters.shape[1]}, dims)",
                got=f"{what.shape}",
            )
        values = np.stack([row.astype(np.float64) @ what for row in parameters])
    else:
        project = GaussianProjection(what.dimensions, what.seed)
        values = np.stack([project(torch.from_numpy(row.astype(np.float64))[None])[0].numpy() for row in parameters])
    return values, tuple(f"projection {i}" for i in range(values.shape[1]))


def _places(recording: Recording, pattern: str) -> tuple[Array, list[str]]:
    """Where the parameters of a name lie in the flat vector, and what their entries are called."""
    places, names, start = [], list[str](), 0
    for entry in recording.layout.parameters if PARAMETERS in recording.layout.rows else ():
        if entry.name == pattern or fnmatchcase(entry.name, pattern):
            places.append(np.arange(start, start + entry.size))
            names += [f"{entry.name}[{','.join(map(str, index))}]" for index in np.ndindex(entry.shape)]
        start += entry.size
    if not places:
        known = [*recording.metrics, *(entry.name for entry in recording.layout.parameters)]
        raise NetgeomError(
            f"Run {recording.run_id!r} has no metric or parameter {pattern!r}",
            expected=f"one of {', '.join(known) or '(nothing was recorded by name)'}",
            got=repr(pattern),
        )
    return np.concatenate(places), names
