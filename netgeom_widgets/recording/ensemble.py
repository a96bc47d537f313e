"""Recording many runs of one architecture that are trained at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from netgeom_widgets.recording.layout import BUFFERS, INPUTS, LABELS, OUTPUTS, PARAMETERS, SAMPLE_IDS, Layout, described
from netgeom_widgets.recording.parameters import byte_row, entries
from netgeom_widgets.recording.probe import as_numpy
from netgeom_widgets.recording.store import RunWriter

Array = np.ndarray[Any, Any]


class EnsembleWriter:
    """One writer for each of many runs; what it leaves is what a `Recorder` with ``parameters=True`` leaves for each.

    Every run has a file of its own open as long as the writer is (its lock).

    Parameters
    ----------
    path : path
        The recording; made if there is none.
    model : torch.nn.Module
        A network of the ensemble, for the names of its parameters and buffers.
    inputs : sequence of tensors
        The samples (n, ...) of each run.
    targets : sequence of tensors
        Their targets; kept as labels where they are one number a sample.
    """

    def __init__(
        self, path: str | os.PathLike[str], model: nn.Module, inputs: list[torch.Tensor], targets: list[torch.Tensor]
    ) -> None:
        self._path = Path(path)
        self._parameters, self._buffers = entries(model.named_parameters()), entries(model.named_buffers())
        self._samples = [_samples(x, y) for x, y in zip(inputs, targets, strict=True)]
        self._writers: list[RunWriter] = []

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The id of each run, once there is a snapshot."""
        return tuple(str(writer.run_id) for writer in self._writers)

    def append(
        self,
        step: int,
        parameters: torch.Tensor,
        buffers: Mapping[str, torch.Tensor],
        outputs: torch.Tensor,
        metrics: Mapping[str, torch.Tensor],
    ) -> None:
        """Commit one snapshot of every run; the first axis of all tensors counts runs."""
        flat = outputs.detach().flatten(2) if outputs.ndim > 2 else outputs.detach().unsqueeze(-1)
        rows = [{OUTPUTS: as_numpy(o), PARAMETERS: as_numpy(p)} for o, p in zip(flat, parameters, strict=True)]
        for r, row in enumerate(rows if buffers else ()):
            row[BUFFERS] = byte_row(buffer[r] for buffer in buffers.values()).cpu().numpy()
        for r, row in enumerate(rows):
            if r == len(self._writers):  # made one at a time: each run appears before the next one is begun
                samples = self._samples[r]
                self._writers.append(RunWriter.create(self._path, self._layout(row, samples), samples, None))
            self._writers[r].append(step, row, {name: float(values[r]) for name, values in metrics.items()})

    def close(self, *, finished: bool = True) -> None:
        """Let go of all runs; idempotent."""
        for writer in self._writers:
            writer.close(finished=finished)

    def _layout(self, row: dict[str, Array], samples: dict[str, Array]) -> Layout:
        return Layout(
            mode="probe",
            rows=described(row),
            parameters=self._parameters,
            buffers=self._buffers,
            whole_model=True,
            arrays=described(samples),
        )


def _samples(inputs: torch.Tensor, targets: torch.Tensor) -> dict[str, Array]:
    """What is written once for a run."""
    arrays = {SAMPLE_IDS: np.arange(len(inputs), dtype=np.int64), INPUTS: as_numpy(inputs)}
    if targets.shape in {(len(inputs),), (len(inputs), 1)}:
        arrays[LABELS] = as_numpy(targets).reshape(-1)
    return arrays
