"""Following a recording that is still being written: new snapshots are taken up while the widget shows the old ones."""

from __future__ import annotations

from typing import Any, Protocol

import traitlets

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.widgets.ticking import Ticker

FASTEST = 1.0  # seconds between two looks at a recording that grows
SLOWEST = 30.0  # at one that does not, for example because its writer was killed


class Growing(Protocol):
    """What is followed: a Recording, or anything that grows when it is asked to."""

    finished: bool

    def refresh(self) -> bool:
        """Take note of what was added since; False when nothing was."""


class Following(traitlets.HasTraits):
    """Mixin of an AnalysisWidget, before it among the bases: it looks for new snapshots of a recording by itself.

    The widget calls :meth:`_follow` once, after ``super().__init__``, and says in :meth:`_recording_grew` what new
    snapshots set off. The recording is looked at on the worker's thread, between two jobs, so that it never grows under
    a computation; at most once a second, less often while nothing happens, and no more once its writer has closed it.
    Nobody who asks ``wait()`` waits for snapshots that are not there yet: meanwhile nothing new is taken up. A run that
    was cancelled or failed rests until the next Run. Run looks again, also at a recording that was closed and resumed.
    """

    live = traitlets.Bool(True, help="Take up new snapshots while the recording is being written.").tag(
        setting="draw", label="Follow the recording"
    )

    _watched: Growing | None = None
    _pace = FASTEST
    _asked = False  # whether Run was pressed since the last look

    def _follow(self, recording: Growing) -> None:
        """Look after this recording from now on; nobody else may refresh it."""
        self._follower = Ticker(self._look, name="netgeom-follow")
        self._watched = recording  # last: the first run has begun already
        self.observe(self._start_following, "live")
        self._start_following()

    def _recording_grew(self) -> None:
        """React to new snapshots; called on the worker's thread."""
        raise NotImplementedError

    def _recording_rested(self) -> None:
        """React to a look that found no new snapshots: the writer may have ended; called on the worker's thread."""

    def run(self) -> None:
        """Start a run with the present settings, on all that is recorded by now; see :meth:`AnalysisWidget.run`."""
        self._asked = True
        super().run()  # type: ignore[misc]

    def _refresh_if_asked(self) -> None:
        """Take up new snapshots, followed or not, if this run was asked for; :meth:`_compute` calls it first."""
        asked, self._asked = self._asked, False
        if asked and self._watched is not None:
            self._watched.refresh()
            self._start_following()

    def _start_following(self, _: Any = None) -> None:
        self._pace = FASTEST
        self._show_whether_finished()
        if self.live and self._watched is not None and not self._watched.finished:
            self._follower.start(FASTEST)
        else:
            self._follower.stop()

    def _show_whether_finished(self) -> None:
        """There is nothing to follow once the recording is finished, so the control goes; until it is resumed."""
        hidden = "none" if self._watched is not None and self._watched.finished else None
        self._controls["live"].box.layout.display = hidden

    def _look(self) -> float | None:
        """Ask for a look at the recording; returns the seconds to the next one."""
        if self._closed or not self.live or self._watched is None or self._watched.finished:
            return None
        if self._may_grow():
            self._submit(self._take_up, key="follow")
        return self._pace

    def _may_grow(self) -> bool:
        return self.status == "done" and not self._waiting

    def _take_up(self, progress: Progress, cancel: Cancel) -> None:
        if self._watched is None or not self._may_grow():
            return
        try:
            grew = self._watched.refresh()
        except Exception:
            self.live = False  # the same would go wrong again and again
            raise
        self._show_whether_finished()
        if grew:
            self._pace = FASTEST
            self._recording_grew()
            return
        self._pace = min(SLOWEST, 1.25 * self._pace)
        self._recording_rested()

    def close(self) -> None:
        """Close the widget; see :meth:`AnalysisWidget.close`."""
        follower = self.__dict__.get("_follower")
        if follower is not None:
            follower.close()
        super().close()  # type: ignore[misc]
