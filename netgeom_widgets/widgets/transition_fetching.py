"""Mixin of the transition heat map: what the panels show is computed when they are seen, for what is picked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.transitions import TransitionFigure
from netgeom_widgets.widgets.transition_details import Details, Events, Pair
from netgeom_widgets.widgets.transition_kinds import Cell, snapshots_of
from netgeom_widgets.widgets.transition_panel import TransitionPanel
from netgeom_widgets.widgets.transition_picture import Picture

Draw = Callable[[], None]
Fetch = Callable[[Progress, Cancel], Draw]


class Fetching(traitlets.HasTraits):
    """Mixin with one job, the latest of which wins: fetch what each visible panel lacks, then draw it all at once."""

    _figure: TransitionFigure
    _details: Details
    _panel: TransitionPanel
    _events: Events | str = ""

    def _setup_fetching(self) -> None:
        """Fetch whenever something else is picked; called once the figure exists."""
        self._fetched: dict[str, tuple[Any, ...]] = {}  # what each panel shows now
        self.observe(self._fetch_soon, ["cell", "sample", "step", "panel", "scalar", "selection"])
        self.observe(self._fetch_again, "status")

    def _fetch_soon(self, _: Any = None) -> None:
        if not self._closed:
            self._submit(self._fetch, key="view")

    def _fetch_again(self, change: Any) -> None:
        """A run cancels what is being fetched; one that brings no new picture owes it."""
        if change["new"] in ("cancelled", "error"):
            self._fetch_soon()

    def _fetch(self, progress: Progress, cancel: Cancel) -> None:
        """Fetch and draw; runs on the worker's thread."""
        with self._lock:  # whoever is drawing has finished then
            shown = self._shown
        if shown is None or not shown[2]:
            return
        picture: Picture = shown[0]
        pair = self.pair_of(picture)
        wanted = self._wanted(picture, pair)
        lacking = {slot: (key, fetch) for slot, (key, fetch) in wanted.items() if self._fetched.get(slot) != key}
        if not lacking:
            return
        told = Progress(self._throttled_progress())
        self._frame.cancel.disabled = False
        try:
            drawings = {slot: (key, fetch(told, cancel)) for slot, (key, fetch) in lacking.items()}
        finally:
            self._frame.cancel.disabled = self.status != "running"
        with self._lock:
            cancel.checkpoint()  # under the lock: nothing late is drawn
            if self._shown is None or self._shown[0] is not picture:
                return
            with self.pane.batch():
                for slot, (key, draw) in drawings.items():
                    self._fetched.pop(slot, None)  # half drawn if this fails
                    draw()
                    self._fetched[slot] = key
        self._keep_picture()  # the one of the run's end lacks what was just drawn
        if told.text:
            self._say(self._summary())

    def pair_of(self, picture: Picture) -> Pair:
        """The two snapshots that the panels compare: those of the pinned cell, else of the transition to `step`."""
        cell: Cell | None = self.cell
        if cell is not None and max(cell) < len(picture.matrix):
            return snapshots_of(cell, of_transitions=picture.kind.of_transitions)
        last = min(max(self.step_position, 1), len(picture.steps) - 1)
        return max(last - 1, 0), last

    def _wanted(self, picture: Picture, pair: Pair) -> dict[str, tuple[tuple[Any, ...], Fetch]]:
        """For each visible panel what identifies its content, and how to get it."""
        upper: dict[str, tuple[tuple[Any, ...], Fetch]] = {
            "samples": (
                (picture, pair, self.scalar, self.selection),
                lambda _, __: self._fetch_samples(picture, pair, self.scalar),
            ),
            "classes": ((picture, pair), lambda _, __: self._fetch_classes(picture, pair)),
            "projection": (
                (picture, self.step_position, self.selection, self.sample),
                lambda progress, cancel: self._fetch_projection(picture, progress, cancel),
            ),
            "recurrence": (
                (picture,),
                lambda progress, cancel: self._fetch_recurrence(picture, progress, cancel),
            ),
        }
        return {
            "events": ((picture.search, len(picture.steps)), lambda _, __: self._fetch_events(picture)),
            self.panel: upper[self.panel],
            "neighbours": ((picture, pair, self.sample), lambda _, __: self._fetch_neighbours(picture, pair)),
        }

    # ---- one method for each panel: it computes now, and returns what draws

    def _fetch_samples(self, picture: Picture, pair: Pair, scalar: str) -> Draw:
        part, found = self._figure.samples, self._details.scatter(picture, scalar, pair)
        if isinstance(found, str):
            return lambda: part.explain(found)
        steps, selection = self._steps_of(picture, pair), self.selection
        return lambda: part.draw(
            found.ids,
            found.before,
            found.after,
            scalar=scalar,
            unit=found.unit,
            labels=found.labels,
            steps=steps,
            selection=selection,
            at=found.at,
        )

    def _fetch_classes(self, picture: Picture, pair: Pair) -> Draw:
        part, found = self._figure.classes, self._details.classes(picture, pair)
        if isinstance(found, str):
            return lambda: part.explain(found)
        return lambda: part.draw(found, steps=self._steps_of(picture, pair))

    def _fetch_projection(self, picture: Picture, progress: Progress, cancel: Cancel) -> Draw:
        at, selection, sample = min(max(self.step_position, 0), len(picture.steps) - 1), self.selection, self.sample
        part, found = self._figure.projection, self._details.frame(picture, at, progress, cancel)
        if isinstance(found, str):
            return lambda: part.explain(found)
        return lambda: part.draw(
            found.points,
            step=int(picture.steps[at]),
            limits=found.limits,
            ids=found.ids,
            labels=found.labels,
            selection=selection,
            sample=sample,
        )

    def _fetch_recurrence(self, picture: Picture, progress: Progress, cancel: Cancel) -> Draw:
        part, found = self._figure.recurrence, self._details.recurrence(picture, progress, cancel)
        if isinstance(found, str):
            return lambda: part.explain(found)
        name, bands = found
        return lambda: part.draw(
            bands.low,
            bands.laminarity,
            entropy=bands.diagonal_entropy,
            determinism=bands.determinism,
            rate=bands.rate,
            width=float(bands.high[0] - bands.low[0]),
            name=name,
        )

    def _fetch_neighbours(self, picture: Picture, pair: Pair) -> Draw:
        part, panel, picked = self._figure.neighbours, self._panel, self.sample
        sample = self._details.most_changed(picture, pair) if picked is None else picked
        if sample is None:
            return lambda: (part.clear(), panel.show_sample(None, ""))
        found, facts = self._details.neighbours(picture, sample, pair), self._details.facts(picture, sample, pair)
        if isinstance(found, str):
            return lambda: (part.clear(found), panel.show_sample(sample, facts))

        def draw() -> None:
            steps, metric = self._steps_of(picture, pair), picture.settings["metric"]
            labels = self._details.labels_of([sample, *(i for side in found for i, _, _ in side)])
            example = {"why": "it kept fewest", "note": "Tap a sample to see its own."} if picked is None else {}
            part.draw(sample, *found, steps=steps, distance=f"{metric} distance", labels=labels, **example)
            panel.show_sample(picked, facts if picked is not None else "")

        return draw

    def _fetch_events(self, picture: Picture) -> Draw:
        found = self._details.events(picture)
        return lambda: self._panel.show_events(found)

    @staticmethod
    def _steps_of(picture: Picture, pair: Pair) -> tuple[int, int]:
        return int(picture.steps[pair[0]]), int(picture.steps[pair[1]])
