"""What the panels beside the heat map show of two snapshots, fetched for these two only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels import transitions
from netgeom_widgets.kernels.transitions import RecurrenceBands
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.transition_kinds import CLASS_TRANSITIONS, KINDS
from netgeom_widgets.widgets.transition_picture import Picture, PictureMaker

SCALARS = ("entropy", "margin", "loss", "overlap")
Pair = tuple[int, int]  # two snapshots, the earlier one first
Neighbour = tuple[int, float, str]  # id, distance, "kept" | "lost" | "gained"


@dataclass(frozen=True, eq=False)
class Scatter:
    """A number for each sample at two snapshots."""

    ids: np.ndarray
    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray | None
    unit: str
    at: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of the aligned projection."""

    points: np.ndarray
    ids: np.ndarray
    labels: np.ndarray | None
    limits: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Events:
    """How often each sample was forgotten and learned, most often forgotten first."""

    ids: np.ndarray
    labels: np.ndarray
    forgotten: np.ndarray
    learned: np.ndarray
    first_correct: np.ndarray


class Details:
    """Answers what the panels ask; used on the same thread as its maker.

    Every answer is either the thing asked for or a text that says why there is none.
    """

    def __init__(self, maker: PictureMaker) -> None:
        self._maker, self._source = maker, maker.source
        self._projections = Recent(2)

    # ---- samples

    def scatter(self, picture: Picture, scalar: str, pair: Pair) -> Scatter | str:
        """A scalar of each sample at the two snapshots."""
        search = picture.in_effect if scalar == "overlap" else picture.search
        ids = self._source.ids[search.positions]
        labels = None if self._source.labels is None else self._source.labels[search.positions]
        if scalar == "overlap":
            if len(picture.steps) < 2:
                return "One snapshot so far: an overlap needs two"
            overlap = self._maker.overlap(search)
            last = min(max(pair[0], pair[1] - 1), len(overlap) - 1)
            first = pair[0] if pair[0] < last else max(last - 1, 0)  # one transition is compared with that before it
            steps = picture.steps.tolist()
            at = (f"from {steps[first]} to {steps[first + 1]}", f"from {steps[last]} to {steps[last + 1]}")
            return Scatter(ids, overlap[first], overlap[last], labels, f"share of k = {search.k} kept", at)
        missing = self._no_scalar(scalar)
        if missing:
            return missing
        try:
            values = [self._scalar(scalar, t, search.positions) for t in pair]
        except NetgeomError as error:  # labels that are no classes of this model
            return f"No {scalar}: {error}"
        unit = {"entropy": "nats", "margin": "", "loss": "nats"}[scalar]
        return Scatter(ids, values[0], values[1], labels, unit)

    def _no_scalar(self, scalar: str) -> str:
        """Why a scalar cannot be computed; empty when it can."""
        why = self._source.lacks_for(scalar)
        return f"No {scalar}: {why}" if why else ""

    def _scalar(self, scalar: str, snapshot: int, positions: np.ndarray) -> np.ndarray:
        outputs = self._source.outputs(snapshot, positions)
        if scalar == "loss":
            return transitions.cross_entropy(outputs, self._source.labels[positions])  # type: ignore[index]
        return {"entropy": transitions.entropy, "margin": transitions.margin}[scalar](outputs)

    # ---- classes

    def classes(self, picture: Picture, pair: Pair) -> np.ndarray | str:
        """How many samples went from each class (rows) to each class between the two snapshots."""
        if self._source.no_classes:
            return f"No classes: {self._source.no_classes}"
        predictions = self._source.predictions(len(picture.steps))[:, picture.taken]
        return transitions.class_transitions(predictions[list(pair)], self._source.n_classes)[0]

    # ---- projection

    def frame(self, picture: Picture, snapshot: int, progress: Progress, cancel: Cancel) -> Frame:
        """The samples in the plane at one snapshot; all snapshots are projected together, once."""
        search, layer, count = picture.search, picture.settings["layer"], len(picture.steps)
        rows = self._source.rows[search.positions]

        def project() -> np.ndarray:
            snapshots = self._source.snapshots(layer, rows, count)
            return transitions.aligned_projection(snapshots, progress=progress, cancel=cancel)

        points = self._projections.get((layer, count, rows.tobytes()), project)
        low, high = points.reshape(-1, 2).min(axis=0), points.reshape(-1, 2).max(axis=0)
        labels = None if self._source.labels is None else self._source.labels[search.positions]
        ids = self._source.ids[search.positions]
        return Frame(points[snapshot], ids, labels, (*map(float, (low[0], high[0], low[1], high[1])),))  # type: ignore[arg-type]

    # ---- recurrence

    def recurrence(self, picture: Picture, progress: Progress, cancel: Cancel) -> tuple[str, RecurrenceBands] | str:
        """Recurrence by band of distance: of the matrix shown if that is of transitions, else of the class one."""
        kind, matrix = picture.kind, picture.matrix
        if not kind.of_transitions:
            if self._source.no_classes:
                return f"No {CLASS_TRANSITIONS}: {self._source.no_classes}. Choose a distance of transitions."
            kind = KINDS[CLASS_TRANSITIONS]
            matrix = self._maker.matrix(kind, picture.settings, picture.in_effect, picture.samples, progress, cancel)
        if len(matrix) < 2:
            return "Recurrence needs three snapshots or more."
        scale = 1.0 if kind.name == CLASS_TRANSITIONS else None
        return kind.name, transitions.recurrence_bands(matrix, scale=scale)

    # ---- neighbours of one sample

    def most_changed(self, picture: Picture, pair: Pair) -> int | None:
        """Of the samples shown, the one that kept fewest neighbours between two snapshots; None where they are one."""
        if pair[0] == pair[1]:
            return None
        search, both = picture.in_effect, list(pair)
        found = replace(search.found, ids=search.found.ids[both], distances=search.found.distances[both])
        kept = transitions.overlap(found, k=search.k, samples=picture.samples)[0]
        return int(self._source.ids[picture.taken[kept.argmin()]])

    def neighbours(self, picture: Picture, sample: int, pair: Pair) -> tuple[list[Neighbour], list[Neighbour]] | str:
        """The neighbours of a sample at the two snapshots."""
        holding = [s for s in (picture.in_effect, picture.search) if (self._source.ids[s.positions] == sample).any()]
        if not holding:
            return f"Sample {sample} was not recorded at every step."
        search = holding[0]
        ids = self._source.ids[search.positions]
        row = int(np.flatnonzero(ids == sample)[0])
        found = transitions.neighbour_changes(search.found, row, *pair, k=search.k)
        before = np.where(found.kept, "kept", "lost").tolist()
        after = np.where(found.gained, "gained", "kept").tolist()
        return (
            list(zip(ids[found.before_ids].tolist(), found.before_distances.tolist(), before, strict=True)),
            list(zip(ids[found.after_ids].tolist(), found.after_distances.tolist(), after, strict=True)),
        )

    def labels_of(self, ids: Iterable[int]) -> dict[int, Any]:
        """Labels of some samples; empty without labels."""
        if self._source.labels is None:
            return {}
        rows = {int(sample): row for row, sample in enumerate(self._source.ids.tolist())}
        return {i: self._source.labels[rows[i]] for i in ids}

    def facts(self, picture: Picture, sample: int, pair: Pair) -> str:
        """What is recorded of a sample at the two snapshots, in words."""
        position = int(np.flatnonzero(self._source.ids == sample)[0])
        words = [] if self._source.labels is None else [f"label {self._source.labels[position]}"]
        if not self._source.no_classes:
            predicted = self._source.predictions(len(picture.steps))[list(pair), position]
            steps = picture.steps[list(pair)]
            words += [f"predicted {c} at step {s}" for c, s in zip(predicted.tolist(), steps.tolist(), strict=True)]
        return "; ".join(words)

    # ---- forgetting

    def events(self, picture: Picture) -> Events | str:
        """Forgetting and learning events of every sample that takes part."""
        why = self._source.no_classes or ("" if self._source.labels is not None else "this recording has no labels")
        if why:
            return f"No forgetting events: {why}"
        positions = picture.search.positions
        predictions = self._source.predictions(len(picture.steps))[:, positions]
        labels = self._source.labels[positions]  # type: ignore[index]
        forgotten = transitions.forgetting_events(predictions, labels)
        order = np.lexsort((positions, -forgotten))
        columns = (
            forgotten,
            transitions.learning_events(predictions, labels),
            transitions.first_correct(predictions, labels),
        )
        return Events(self._source.ids[positions][order], labels[order], *(column[order] for column in columns))
