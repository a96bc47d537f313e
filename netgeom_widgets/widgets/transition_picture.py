"""The heat map of a recording as numbers: the neighbour search, the matrix shown, the curves under it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels import transitions
from netgeom_widgets.kernels.transitions import Neighbours
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.transition_kinds import (
    CKA,
    JACCARD,
    KINDS,
    PER_SAMPLE,
    PRESERVATION,
    PROCRUSTES,
    RAW_CLASSIFICATION,
    REPRDYNAMICS,
    MatrixKind,
)
from netgeom_widgets.widgets.transition_source import Source, positions_of

#: A search is shown in about so many parts, so that a long one can be watched and cancelled without loss.
_PARTS = 12


@dataclass(frozen=True, eq=False)
class Search:
    """A finished neighbour search and what its rows are.

    Attributes
    ----------
    found : Neighbours
        Neighbours as rows of the samples that took part.
    positions : (n,) int64
        Where these samples stand among the ids of the source.
    k : int
        How many of the stored neighbours count.
    """

    found: Neighbours
    positions: np.ndarray
    k: int


@dataclass(frozen=True, eq=False)
class Picture:
    """Everything that the heat map and the curves show of one run.

    Attributes
    ----------
    search : Search
        Among all samples that take part.
    within : Search or None
        Among the selection only, where that was asked for.
    steps : (T,) int64
        Numbers of the steps.
    kind : MatrixKind
        What the matrix is.
    matrix : (M, M) float64
        Read-only.
    samples : (m,) int64 or None
        Rows of the search in effect that the matrix and the churn are of; None for all of them.
    churn : (T-1,) float64
        1 - mean overlap.
    metrics : dict of str to (T,) float64
        As recorded.
    note : str
        What the matrix was computed from, in words.
    settings : dict
        Of the run.
    final : bool
        Whether all snapshots are in it.
    """

    search: Search
    within: Search | None
    steps: np.ndarray
    kind: MatrixKind
    matrix: np.ndarray
    samples: np.ndarray | None
    churn: np.ndarray
    metrics: dict[str, np.ndarray]
    note: str
    settings: dict[str, Any]
    final: bool

    @property
    def in_effect(self) -> Search:
        """The search that matrix and neighbour panel are of."""
        return self.within or self.search

    @property
    def taken(self) -> np.ndarray:
        """Positions of the samples that the matrix is of."""
        return taken(self.in_effect, self.samples)


def taken(search: Search, samples: np.ndarray | None) -> np.ndarray:
    """Positions of some rows of a search, or of all."""
    return search.positions if samples is None else search.positions[samples]


class PictureMaker:
    """Makes pictures of a recording, and computes nothing twice; used on one thread only."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.forget()

    def forget(self) -> None:
        """Let go of what has been computed."""
        self._searches = Recent(3)  # these are large: (snapshots, samples, neighbours)
        self._overlaps = Recent(3)
        self._matrices = Recent(32)

    def picture(
        self,
        settings: dict[str, Any],
        selection: tuple[int, ...],
        *,
        progress: Progress,
        cancel: Cancel,
        publish: Callable[[Picture], None],
    ) -> Picture:
        """The picture of all committed snapshots.

        Parameters
        ----------
        settings : dict
            Of the widget.
        selection : tuple of int
            Ids of the samples that the matrix is of; all when empty.
        progress, cancel : Progress, Cancel
            Of the run.
        publish : callable
            Called with pictures of the first snapshots while a long search goes on.
        """
        count = len(self.source.recording)
        progress.update(text="reading the recording")
        positions = self.source.complete(settings["layer"], count, cancel)

        def part(search: Search) -> None:
            if search.found.n_snapshots < count:
                publish(self._drawn(settings, selection, search, None, Progress(), cancel, final=False))

        search = self._search(settings, positions, count, progress, cancel, part)
        within = None
        if settings["among"] == "selection" and selection:
            chosen = positions[positions_of(selection, self.source.ids[positions])]
            if len(chosen) > 1:
                within = self._search(settings, chosen, count, progress, cancel, lambda _: None)
        return self._drawn(settings, selection, search, within, progress, cancel, final=True)

    # ---- neighbours

    def _search(
        self,
        settings: dict[str, Any],
        positions: np.ndarray,
        count: int,
        progress: Progress,
        cancel: Cancel,
        part: Callable[[Search], None],
    ) -> Search:
        """Neighbours in all snapshots; those that were searched before, also by a cancelled run, are kept."""
        layer, metric = settings["layer"], settings["metric"]
        stored = min(settings["max_neighbours"], len(positions) - 1)
        k = min(settings["k"] or stored, stored)
        key = (layer, metric, stored, positions.tobytes())
        found: Neighbours | None = self._searches.find(key)
        rows = self.source.rows[positions]
        done = 0 if found is None else found.n_snapshots
        size = max(1, -(-(count - done) // _PARTS))
        while done < count:
            stop = min(count, done + size)
            snapshots = self.source.snapshots(layer, rows, stop, done)
            inner = _share_of(progress, done, stop, count)
            if found is None:
                found = transitions.nearest_neighbours(snapshots, stored, metric=metric, progress=inner, cancel=cancel)
            else:
                found = found.extended(snapshots, progress=inner, cancel=cancel)
            self._searches.put(key, found)
            done = stop
            part(Search(found, positions, k))
        return Search(found, positions, k)

    def overlap(self, search: Search) -> np.ndarray:
        """Overlap (T-1, n) of each sample that took part in the search."""
        key = (id(search.found), search.k)
        held = self._overlaps.get(key, lambda: (search.found, transitions.overlap(search.found, k=search.k)))
        return held[1]  # the neighbours are held too: an id is only good while its object lives

    # ---- matrix and curves

    def _drawn(
        self,
        settings: dict[str, Any],
        selection: tuple[int, ...],
        search: Search,
        within: Search | None,
        progress: Progress,
        cancel: Cancel,
        *,
        final: bool,
    ) -> Picture:
        kind = KINDS[settings["matrix_kind"]]
        used = within or search
        count = search.found.n_snapshots
        rows = positions_of(selection, self.source.ids[used.positions]) if selection else np.empty(0, dtype=np.int64)
        samples = rows if len(rows) and within is None else None
        matrix = self.matrix(kind, settings, used, samples, progress, cancel, keep=final)
        overlap = self.overlap(used)
        churn = 1.0 - (overlap if samples is None else overlap[:, samples]).mean(axis=1)
        recording = self.source.recording
        steps, metrics = recording.steps[:count], {name: column[:count] for name, column in recording.metrics.items()}
        note = self._note(kind, settings, selection, used, len(rows), within is not None)
        return Picture(search, within, steps, kind, matrix, samples, churn, metrics, note, settings, final)

    def matrix(
        self,
        kind: MatrixKind,
        settings: dict[str, Any],
        search: Search,
        samples: np.ndarray | None,
        progress: Progress,
        cancel: Cancel,
        *,
        keep: bool = True,
    ) -> np.ndarray:
        """A matrix of one kind, read-only, of some rows of a search at its snapshots; ``keep`` holds it for later."""
        among = (search.found.n_snapshots, search.k, len(search.positions), taken(search, samples).tobytes())
        key = (kind.name, settings["layer"], settings["metric"], settings["norm"], *among)
        held = self._matrices.find(key)
        if held is None:
            held = np.array(self._values(kind, settings, search, samples, progress, cancel), dtype=np.float64)
            held.flags.writeable = False
            if keep:
                self._matrices.put(key, held)
        return held

    def _values(
        self,
        kind: MatrixKind,
        settings: dict[str, Any],
        search: Search,
        samples: np.ndarray | None,
        progress: Progress,
        cancel: Cancel,
    ) -> np.ndarray:
        positions, count = taken(search, samples), search.found.n_snapshots
        if kind.needs == "predictions":
            predictions = self.source.predictions(count)[:, positions]
            if kind.name == RAW_CLASSIFICATION:
                return transitions.classification_distance(predictions)
            counts = transitions.class_transitions(predictions, self.source.n_classes)
            return transitions.class_transition_distance(counts)
        if kind.needs == "snapshots":
            snapshots = self.source.snapshots(settings["layer"], self.source.rows[positions], count)
            compute = {CKA: transitions.linear_cka, PROCRUSTES: transitions.procrustes_distance}[kind.name]
            return compute(snapshots, progress=progress, cancel=cancel)
        of: dict[str, Any] = {"k": search.k, "samples": samples, "progress": progress, "cancel": cancel}
        if kind.name == PER_SAMPLE:
            return transitions.transition_distance(search.found, norm=settings["norm"], **of)
        if kind.name == REPRDYNAMICS:
            return transitions.reprdynamics_distance_of_neighbours(search.found, **of)
        compute = {PRESERVATION: transitions.preservation, JACCARD: transitions.jaccard}[kind.name]
        return compute(search.found, **of)

    def _note(
        self,
        kind: MatrixKind,
        settings: dict[str, Any],
        selection: tuple[int, ...],
        used: Search,
        chosen: int,
        within: bool,
    ) -> str:
        """What the matrix is of, in words; whatever could not be done as asked is said here."""
        total = len(self.source.ids)
        words = [] if kind.needs == "predictions" else [f"layer {settings['layer']}"]
        taking = total if within else len(used.positions)
        words.append(f"{chosen:,} of {taking:,} samples" if chosen else f"{taking:,} samples")
        if kind.needs == "neighbours":
            words.append(f"{settings['metric']} neighbours, k = {used.k}")
            if kind.name == REPRDYNAMICS:
                words.append("the sample itself counted among the k")
            if within:
                words.append("neighbours within the selection only")
            elif settings["among"] == "selection":
                words.append("neighbours among all: select two or more samples to search within them")
            if used.k < (settings["k"] or settings["max_neighbours"]):
                words.append(f"no more than {used.k} neighbours among {len(used.positions):,} samples")
        if not within and len(used.positions) < total:
            words.append(f"{total - len(used.positions):,} left out: not recorded at every step")
        if selection and not chosen:
            words.append("the selection is among these, so all others are shown")
        return "; ".join(words)


def _share_of(progress: Progress, start: int, stop: int, total: int) -> Progress:
    """A Progress for one part of a search, that reports on the whole."""

    def report(inner: Progress) -> None:
        at = start + inner.fraction * (stop - start)
        progress.update(at, total, f"neighbours: snapshot {min(int(at) + 1, total)} of {total}")

    return Progress(report)
