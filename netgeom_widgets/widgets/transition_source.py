"""Reading a recording for the transition heat map: which samples take part, what the layers and predictions are."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel
from netgeom_widgets.recording import Recording, open_recording
from netgeom_widgets.widgets.settings import shortened

OUTPUTS = "outputs"


class Rows(Sequence[np.ndarray]):
    """The chosen rows of the snapshots from ``start`` to ``stop`` of an array, read one snapshot at a time."""

    def __init__(self, array: Any, rows: np.ndarray, start: int, stop: int) -> None:
        self._array, self._rows, self._start, self._stop = array, rows, start, stop
        self._whole = len(rows) == array.shape[1] and bool((rows == np.arange(len(rows))).all())

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        snapshot = np.asarray(self._array[self._start + index])
        return snapshot if self._whole else snapshot[self._rows]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[t] for t in range(len(self)))


class Source:
    """A recording as the heat map reads it. All reading happens on one thread, that of the widget's worker.

    Parameters
    ----------
    recording : Recording or path
        It is opened again: nobody else may refresh what a computation reads.
    ids : iterable of int, optional
        Only these samples take part.

    Attributes
    ----------
    recording : Recording
    ids, labels : (N,)
        Of the samples that may take part; labels are None where there are none.
    rows : (N,) int64
        Where these samples stand in the recording.
    has_outputs : bool
        Whether the model's outputs were recorded.

    Raises
    ------
    NetgeomError
        When it is no recording, or a sample is not in it.
    """

    def __init__(self, recording: Any, ids: Any = None) -> None:
        self.recording = _reopened(recording)
        self.has_outputs = _has_outputs(self.recording)
        if not self.layers:
            raise NetgeomError(
                "This recording has neither layers nor outputs.",
                expected="a run recorded with layers=[...] or outputs=True",
                got=repr(self.recording),
            )
        self._reading = threading.Lock()
        self._finite: dict[str, list[np.ndarray]] = {}
        recorded = np.asarray(self.recording.sample_ids)
        self.rows = np.arange(len(recorded)) if ids is None else _rows_of(ids, recorded)
        self.ids = recorded[self.rows]
        labels = self.recording.labels
        self.labels = None if labels is None else np.asarray(labels)[self.rows]

    # ---- what there is

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of what was recorded of each sample; the outputs come last."""
        return (*self.recording.layers, *([OUTPUTS] if self.has_outputs else []))

    @property
    def default_layer(self) -> str | None:
        """The last recorded layer, else the outputs."""
        recorded = self.recording.layers or self.layers
        return recorded[-1] if recorded else None

    @property
    def n_outputs(self) -> int:
        """How many outputs the model has."""
        return int(self.recording.outputs.shape[2])

    @property
    def no_classes(self) -> str:
        """Why there are no predicted classes, in words; empty when there are."""
        if not self.has_outputs:
            return "this recording has no outputs (Recorder(..., outputs=True) stores them)"
        if self.labels is not None and not np.issubdtype(self.labels.dtype, np.integer):
            return "the labels of this recording are no classes"
        return ""

    def lacks_for(self, scalar: str) -> str:
        """Why a scalar of the samples cannot be computed, in words; empty when it can."""
        if scalar == "overlap":
            return ""
        if scalar == "loss" and not self.no_classes and self.labels is None:
            return "this recording has no labels"
        return self.no_classes

    @property
    def n_classes(self) -> int:
        """How many classes there are; one output stands for two."""
        return max(2, self.n_outputs)

    # ---- what is read

    def snapshots(self, layer: str, rows: np.ndarray, stop: int, start: int = 0) -> Rows:
        """A layer at the snapshots from ``start`` to ``stop``, of the samples in these rows of the recording."""
        array = self.recording.outputs if layer == OUTPUTS else self.recording.layer(layer)
        return Rows(array, rows, start, stop)

    def complete(self, layer: str, count: int, cancel: Cancel) -> np.ndarray:
        """Positions in ``ids`` of the samples whose values are there and finite in each of the first snapshots.

        Raises
        ------
        NetgeomError
            When fewer than two are left.
        """
        needed = {layer, OUTPUTS} if self.has_outputs else {layer}
        known = [self._masks(name, count, cancel) for name in needed]
        masks = np.logical_and.reduce(known)
        left = masks.all(axis=0)
        if left.sum() >= 2:
            return np.flatnonzero(left)
        shares = masks.mean(axis=1)
        worst = int(np.argmin(shares))
        raise NetgeomError(
            f"Too few samples are recorded completely in {layer}.",
            expected=f"at least two samples with finite values at each of the {count} steps",
            got=f"{int(left.sum())}; step {int(self.recording.steps[worst])} has {shares[worst]:.0%} of the samples",
            try_this="a probe recording (mode='probe'), or leave out the steps after which the training diverged",
        )

    def _masks(self, layer: str, count: int, cancel: Cancel) -> np.ndarray:
        """Which samples (T, N) have finite values at the first snapshots; each snapshot is read once."""
        known = self._finite.setdefault(layer, [])
        for snapshot in self.snapshots(layer, self.rows, count, len(known)):
            cancel.checkpoint()
            known.append(np.isfinite(snapshot).all(axis=1))
        return np.stack(known[:count])

    def predictions(self, count: int) -> np.ndarray:
        """Predicted classes (T, N) of the samples in ``ids`` at the first snapshots."""
        with self._reading:  # the recording keeps what it has read; exports come on another thread
            return self.recording.predictions[:count, self.rows]

    def outputs(self, snapshot: int, positions: np.ndarray) -> np.ndarray:
        """Outputs (N, C) at one snapshot, of the samples at these positions in ``ids``."""
        return self.snapshots(OUTPUTS, self.rows[positions], snapshot + 1, snapshot)[0]


def _reopened(recording: Any) -> Recording:
    """A handle of our own: nobody else may refresh what a computation reads."""
    if isinstance(recording, Recording):
        return open_recording(recording.path, recording.run_id)
    if isinstance(recording, str | os.PathLike):
        return open_recording(recording)
    raise NetgeomError(
        "This is no recording.", expected="what open_recording returned, or a path", got=type(recording).__name__
    )


def _has_outputs(recording: Recording) -> bool:
    try:
        return recording.outputs.ndim == 3
    except NetgeomError:
        return False


def _rows_of(ids: Any, recorded: np.ndarray) -> np.ndarray:
    """Rows of the samples in the recording, each id once, in the order given."""
    try:
        wanted = [int(i.__index__()) for i in ids]
    except (TypeError, AttributeError):
        raise NetgeomError("ids is not understood.", expected="sample ids of the recording", got=repr(ids)) from None
    if not wanted:
        raise NetgeomError("ids is empty.", expected="sample ids of the recording, or None for all", got=repr(ids))
    known: dict[int, int] = {int(sample): row for row, sample in enumerate(recorded.tolist())}
    missing = [i for i in wanted if i not in known]
    if missing:
        expected = f"ids among {shortened(recorded.tolist())}"
        raise NetgeomError("These samples were not recorded.", expected=expected, got=shortened(missing))
    if len(set(wanted)) != len(wanted):
        raise NetgeomError("ids takes each sample once.", expected="distinct sample ids", got=shortened(wanted))
    return np.array([known[i] for i in wanted], dtype=np.int64)


def positions_of(ids: Collection[int], among: np.ndarray) -> np.ndarray:
    """Where these samples stand in an array of ids, in increasing order; those that are not in it are left out."""
    return np.flatnonzero(np.isin(among, np.fromiter(ids, dtype=np.int64, count=len(ids))))
