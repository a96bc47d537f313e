"""Mixin of the similarity matrix: the view follows the ranges of the figure, and the numbers sent follow the view."""

from __future__ import annotations

from typing import Any

import traitlets

from netgeom_widgets.widgets.similarity_source import Source

_PAUSE = 0.08  # seconds without a change of the ranges before the numbers of the view are sent


class Viewing(traitlets.HasTraits):
    """What a zoomed or moved matrix sets off: the levels of detail that the view needs go to the browser."""

    _source: Source
    _figure: Any
    _seen: tuple[float, ...] | None = None  # the view as it was read off the figure last

    def _watch_ranges(self) -> None:
        """Listen to the figure; called once it exists."""
        plot = self._figure.matrix.root
        for axis in (plot.x_range, plot.y_range):
            for attr in ("start", "end"):
                axis.on_change(attr, self._range_changed)
        self.observe(self._go_to_view, "view")

    def _reset(self) -> None:
        self.view = None
        super()._reset()  # type: ignore[misc]  # of AnalysisWidget

    def _range_changed(self, attr: str, old: Any, new: Any) -> None:
        if not self._closed:
            self._painter.submit(
                lambda progress, cancel: self._follow_view(), key="view", debounce=_PAUSE
            ).add_done_callback(self._job_ended)

    def _follow_view(self) -> None:
        """Take note of what is in view, and send its numbers."""
        if self._shown is None:
            return
        self._move_to_view()  # one that was set meanwhile counts, not where the figure still is
        plot, n = self._figure.matrix.root, len(self._source.samples)
        with self.pane.batch():
            (left, right), (top, bottom) = (sorted((axis.start, axis.end)) for axis in (plot.x_range, plot.y_range))
            self._figure.matrix.zoom()
        self._forget_pointer()
        whole = left <= 0 and top <= 0 and right >= n and bottom >= n
        self._seen = None if whole else (left, right, top, bottom)
        self.view = self._seen

    def _go_to_view(self, change: Any) -> None:
        """Move the figure to a view that somebody set; one that was read off the figure is there already."""
        if change["new"] != self._seen and not self._closed:
            self._paint(self._move_to_view, "move")

    def _move_to_view(self) -> None:
        """Show the view that is wanted; called again after the first drawing, which sets the ranges."""
        if self.view == self._seen or self._shown is None:
            return
        self._seen = self.view
        plot = self._figure.matrix.root
        across, down = plot.x_range, plot.y_range
        with self.pane.batch():
            if self.view is None:
                across.update(start=across.reset_start, end=across.reset_end)
                down.update(start=down.reset_start, end=down.reset_end)
            else:
                left, right, top, bottom = self.view
                across.update(start=left, end=right)
                down.update(start=bottom, end=top)  # rows go down
