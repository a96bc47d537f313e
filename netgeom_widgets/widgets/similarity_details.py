"""Mixin of the similarity matrix: what is shown of the picked row, and of the pair picked or under the pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import traitlets
from bokeh.events import MouseLeave, MouseMove

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.similarity_panel import SimilarityPanel
from netgeom_widgets.widgets.similarity_picture import Picture, PictureMaker
from netgeom_widgets.widgets.similarity_source import Source

#: Neighbours listed and drawn of a row.
NEIGHBOURS = 20
_SHARES = 200  # pairs whose shares are kept
_PAUSE = 0.3  # seconds that the pointer rests on a pair before its shares by layer are computed

Pair = tuple[int, int]
Draw = Callable[[], None]


class Details(traitlets.HasTraits):
    """Rows are read and shares computed on the worker, for what is picked now; the latest request wins."""

    _source: Source
    _maker: PictureMaker
    _figure: Any
    _panel: SimilarityPanel
    _picture: Picture | None = None
    _row_shown: tuple[Picture, int | None] | None = None
    _hovered: Pair | None = None
    _nearest: Pair | None = None  # the row shown and the input most like it
    _shares_known: Recent

    def _setup_details(self) -> None:
        """Listen to picks and pointer; called once the figure exists."""
        plot = self._figure.matrix.root
        plot.on_event(MouseMove, self._on_pointer)
        plot.on_event(MouseLeave, self._on_pointer)
        self.observe(self._row_soon, "row")
        self.observe(self._follow_picked_pair, "pair")
        self.observe(self._details_again, "status")

    def _start(self, settings: dict[str, Any], debounce: float) -> None:
        self._worker.cancel("shares")  # of a matrix that is about to be replaced
        super()._start(settings, debounce)  # type: ignore[misc]

    def _details_again(self, change: Any) -> None:
        """A run cancels what is being fetched; one that brings no new matrix owes it."""
        if change["new"] in ("cancelled", "error"):
            self._row_soon()
            self._shares_soon(0.0)

    def _take_picture(self, picture: Picture) -> None:
        """Take over what a finished run found; called with the lock held."""
        if self._picture is None or self._picture.found is not picture.found:
            self._shares_known = Recent(_SHARES)
        self._picture = picture
        self._paint(self._draw_pair, "pair")
        self._row_soon()
        self._shares_soon(0.0)

    # ---- the row

    def _row_soon(self, _: Any = None) -> None:
        if not self._closed:
            self._submit(self._fetch_row, key="view")

    def _fetch_row(self, progress: Progress, cancel: Cancel) -> None:
        """Read the row and draw it; runs on the worker's thread."""
        picture, row = self._picture, self.row
        if picture is None or self._row_shown == (picture, row):
            return
        draw = self._all_rows(picture) if row is None else self._one_row(picture, row)
        with self._lock:
            cancel.checkpoint()  # under the lock: nothing late is drawn
            if self._picture is not picture or self._closed:
                return
            with self.pane.batch():
                draw()
            self._row_shown = (picture, row)
            self._draw_pair()
        self._shares_soon(0.0)
        self._keep_picture()

    def _one_row(self, picture: Picture, row: int) -> Draw:
        """Read a row; what is returned draws it."""
        values = picture.entries.row(row)
        ids, near = picture.entries.nearest(row, NEIGHBOURS)
        words = self._source.samples.words
        listed = [(f"{words(i)}: k = {number(k)}", i) for i, k in zip(ids.tolist(), near.tolist(), strict=True)]

        def draw() -> None:
            self._nearest = (row, int(ids[0])) if len(ids) else None
            self._panel.show_row(self._facts_of(picture, row), listed)
            self._figure.draw_row(row, values, ids, near, predictions=predictions(picture), threshold=self.threshold)

        return draw

    def _all_rows(self, picture: Picture) -> Draw:
        """The distribution of all similarities, for when no row is picked."""
        counts, edges = picture.entries.histogram()

        def draw() -> None:
            self._nearest = None
            self._panel.show_row("", ())
            self._figure.draw_row(None, None, edges, edges)
            self._figure.draw_all_pairs(counts, edges, threshold=self.threshold)

        return draw

    def _facts_of(self, picture: Picture, row: int) -> str:
        """What is known of one input, in words."""
        known = [self._source.samples.words(row)]
        predicted = predictions(picture)
        if predicted is not None:
            known.append(f"predicted {predicted[row]}")
        outputs = getattr(picture.found, "outputs", None)
        if outputs is not None and np.shape(outputs)[1:] == (1,):
            known.append(f"output {number(float(outputs[row, 0]))}")
        zero = getattr(picture.found, "zero_gradient", None)
        if zero is not None and bool(np.asarray(zero)[row]):
            known.append("zero gradient: similar to nothing")
        return ", ".join(known)

    # ---- the pair

    def _on_pointer(self, event: MouseMove | MouseLeave) -> None:
        """Take note of a point; many reports may come while one is worked on, and the latest counts."""
        if self._closed:
            return
        left = isinstance(event, MouseLeave) or event.x is None or event.y is None
        point = None if left else (float(event.x), float(event.y))  # type: ignore[arg-type]
        self._painter.submit(lambda progress, cancel: self._point_at(point), key="pointer").add_done_callback(
            self._job_ended
        )

    def _point_at(self, point: tuple[float, float] | None) -> None:
        picture = self._picture
        pair = None if point is None else self._figure.matrix.at(*point)
        if picture is None or pair == self._hovered:
            return
        self._hovered = pair
        self._draw_pair()
        if pair is not None:
            self._shares_soon(_PAUSE)

    def _follow_picked_pair(self, _: Any = None) -> None:
        if not self._closed:
            self._paint(self._draw_pair, "pair")
            self._shares_soon(0.0)

    @property
    def _pair_shown(self) -> Pair | None:
        """The pair under the pointer, else the one picked, else the row with the input most like it."""
        if self._hovered is not None or self.pair is not None:
            return self._hovered or self.pair
        return self._nearest if self._nearest is not None and self._nearest[0] == self.row else None

    def _draw_pair(self) -> None:
        """Show a pair, with its shares if these are known."""
        with self._lock:
            picture = self._picture
            if picture is None or self._closed:
                return
            pair = self._pair_shown
            k = None if pair is None else picture.entries.entry(*pair)
            shares = None if pair is None else self._shares_known.find(pair)
            with self.pane.batch():
                self._figure.draw_pair(
                    pair, k, shares=shares, predictions=predictions(picture), most_alike=pair == self._nearest
                )
            same = self._hovered == self.pair  # said once
            self._panel.point("" if same else self._pair_words(picture, self._hovered))
            self._panel.show_picked(self.row, self.pair, self._pair_words(picture, self.pair))

    def _forget_pointer(self) -> None:
        """What was under the pointer has moved away."""
        if self._hovered is not None:
            self._hovered = None
            self._draw_pair()

    def _pair_words(self, picture: Picture, pair: Pair | None) -> str:
        if pair is None:
            return ""
        words = self._source.samples.words
        text = f"{words(pair[0])} and {words(pair[1])}: k = {number(picture.entries.entry(*pair))}"
        shares = self._shares_known.find(pair)
        return f"{text} ({shares})" if isinstance(shares, str) else text

    # ---- shares by layer

    def _shares_soon(self, pause: float) -> None:
        if not self._closed and not self._source.is_stored:
            self._submit(self._fetch_shares, key="shares", debounce=pause)

    def _fetch_shares(self, progress: Progress, cancel: Cancel) -> None:
        """Compute what each parameter contributes to the pair shown; runs on the worker's thread."""
        picture, pair = self._picture, self._pair_shown
        if picture is None or pair is None or self._shares_known.find(pair) is not None:
            return
        try:
            found = self._maker.similarity(
                picture.model, picture.computed_with, [pair[0]], [pair[1]], by_parameter=True, cancel=cancel
            )
        except NetgeomError as error:  # similarities that are no sums have no shares
            shares: dict[str, float] | str = str(error)
        else:
            shares = {name: float(np.asarray(part).item()) for name, part in found.parts.items()}
        with self._lock:
            if self._picture is not None and self._picture.found is picture.found:
                self._shares_known.put(pair, shares)
                self._draw_pair()
        self._keep_picture()  # the one of the run's end lacks the shares


def predictions(picture: Picture) -> np.ndarray | None:
    """Predicted classes (n,), the largest output; None for a store and for networks with one output."""
    outputs = getattr(picture.found, "outputs", None)
    if outputs is None or np.ndim(outputs) != 2 or np.shape(outputs)[1] < 2:
        return None
    return np.asarray(outputs).argmax(axis=1)
