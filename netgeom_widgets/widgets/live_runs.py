"""Mixin of an AnalysisWidget: runs that follow a slider while it is dragged."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

import traitlets

from netgeom_widgets.execution import Cancelled

_FINISH = 0.7  # seconds that a run may take on its way before a newer value cancels it


class LiveRuns(traitlets.HasTraits):
    """A run that is nearly as fast as the hand is let finish: cancelled by each new value, none would ever be shown."""

    _behind = False  # values have come since the run going on was started
    _live_since = 0.0
    _live_future: Future[Any] | None = None

    def _run_live(self) -> None:
        """Start a run with the present settings: at once, or when the one going on is finished or has had its time."""
        self._behind = True
        future = self._live_future
        left = self._live_since + _FINISH - time.monotonic()
        if future is None or future.done() or left <= 0:
            self._run_latest()
        else:
            self._keeper.submit(lambda progress, cancel: self._run_if_behind(), key="live", debounce=left)  # type: ignore[attr-defined]

    def _run_latest(self) -> None:
        self._behind, self._live_since = False, time.monotonic()
        self._run_again(debounce=0.0)  # type: ignore[attr-defined]
        self._live_future = self._run_future  # type: ignore[attr-defined]
        self._live_future.add_done_callback(self._live_ended)

    def _run_if_behind(self) -> None:
        if self._behind and not self._closed:  # type: ignore[attr-defined]
            self._run_latest()

    def _live_ended(self, future: Future[Any]) -> None:
        """Catch up, unless a newer run does, or somebody has cancelled."""
        if future is not self._run_future or self._closed:  # type: ignore[attr-defined]
            return
        self._keeper.cancel("live")  # type: ignore[attr-defined]
        if isinstance(future.exception(), Cancelled):
            self._behind = False
        else:
            self._run_if_behind()
