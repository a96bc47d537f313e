"""One background thread on which the latest request wins."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution.progress import Cancel, Cancelled, Progress

Job = Callable[[Progress, Cancel], Any]

# Seconds without work after which the thread ends; the next job starts another. A notebook holds the widgets of every
# run of a cell alive, and each would keep its threads for ever.
_IDLE = 10.0


class _Ticket:
    """A submitted job and what belongs to it."""

    def __init__(self, job: Job, key: str, start_at: float, progress: Progress) -> None:
        self.job, self.key, self.start_at, self.progress = job, key, start_at, progress
        self.cancel = Cancel()
        self.future: Future[Any] = Future()

    def run(self) -> None:
        """Do the job; whatever it raises ends up in the future."""
        if not self.future.set_running_or_notify_cancel():
            return  # somebody cancelled the future itself
        try:
            self.cancel.checkpoint()
            value = self.job(self.progress, self.cancel)
        except BaseException as error:  # noqa: BLE001  # the thread survives every job, also one that raises SystemExit
            self.future.set_exception(error)
        else:
            self.future.set_result(value)

    def drop(self) -> None:
        """End a job that never started."""
        self.cancel.set()
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(Cancelled("replaced or cancelled before it started"))


class _Lane:
    """What the thread works on; it knows no Worker, so that a forgotten Worker can be collected and ends the thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.pending: dict[str, _Ticket] = {}
        self.running: _Ticket | None = None
        self.closed = False
        self.thread: threading.Thread | None = None

    def next_ticket(self) -> _Ticket | None:
        """Wait for the first job that is due; None when the lane is closed or was idle for long."""
        with self.changed:
            idle_until = time.monotonic() + _IDLE
            while not self.closed:
                ticket = min(self.pending.values(), key=lambda t: t.start_at, default=None)
                delay = None if ticket is None else ticket.start_at - time.monotonic()
                if ticket is not None and delay is not None and delay <= 0:
                    del self.pending[ticket.key]
                    self.running = ticket
                    return ticket
                if ticket is None and (delay := idle_until - time.monotonic()) <= 0:
                    self.thread = None  # under the lock: a job submitted from now on starts its own thread
                    break
                self.changed.wait(delay)
        return None

    def finished(self) -> None:
        """Say that the running job is over."""
        with self.changed:
            self.running = None
            self.changed.notify_all()

    def stop(self, key: str | None = None, *, close: bool = False) -> None:
        """Cancel the jobs of one key, or all of them; with ``close`` the thread ends too."""
        with self.changed:
            dropped = [t for t in self.pending.values() if key is None or t.key == key]
            for ticket in dropped:
                del self.pending[ticket.key]
            if self.running is not None and (key is None or self.running.key == key):
                self.running.cancel.set()
            self.closed = self.closed or close
            self.changed.notify_all()
        for ticket in dropped:  # outside the lock: a future calls its callbacks here
            ticket.drop()


def _serve(lane: _Lane) -> None:
    """Body of the thread."""
    while (ticket := lane.next_ticket()) is not None:
        try:
            ticket.run()
        finally:
            lane.finished()
        del ticket  # an idle thread must not keep the last job, and with it a widget, alive


_lanes: weakref.WeakSet[_Lane] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Let running jobs leave native code before the interpreter is torn down, but never wait for long."""
    lanes = list(_lanes)
    for lane in lanes:
        lane.stop(close=True)
    deadline = time.monotonic() + 1.0
    for lane in lanes:
        if lane.thread is not None:
            lane.thread.join(max(0.0, deadline - time.monotonic()))


class Worker:
    """One daemon thread that does jobs one after another; of several with the same key only the latest counts.

    Parameters
    ----------
    debounce : float
        Seconds that a job waits before it starts, unless a submission says otherwise; a newer job with the same key
        starts the wait again. About 0.1 spares most of the wasted starts while a slider is dragged.
    name : str
        Name of the thread, for debuggers. The thread starts with the first job.
    """

    def __init__(self, *, debounce: float = 0.0, name: str = "netgeom-worker") -> None:
        self._lane = _Lane()
        self._debounce = debounce
        self._name = name
        _lanes.add(self._lane)
        weakref.finalize(self, self._lane.stop, close=True).atexit = False  # at exit _stop_all does it

    def submit(
        self, job: Job, *, key: str = "job", debounce: float | None = None, progress: Progress | None = None
    ) -> Future[Any]:
        """Ask for a job; returns at once, and may be called on any thread.

        Parameters
        ----------
        job : callable
            Called as ``job(progress, cancel)`` on the worker's thread.
        key : str
            A job replaces the waiting one with the same key and cancels the running one with the same key; jobs with
            other keys are left alone and done in order.
        debounce : float, optional
            Seconds to wait before the start, instead of the worker's own.
        progress : Progress, optional
            Handed to the job.

        Returns
        -------
        concurrent.futures.Future
            Of what the job returns; it holds :class:`Cancelled` when the job was replaced or cancelled.

        Raises
        ------
        NetgeomError
            When the worker was closed.
        """
        start_at = time.monotonic() + (self._debounce if debounce is None else debounce)
        ticket = _Ticket(job, key, start_at, progress or Progress())
        lane = self._lane
        with lane.changed:
            if lane.closed:
                raise NetgeomError("The worker is closed.", try_this="make a new one")
            replaced = lane.pending.pop(key, None)
            if lane.running is not None and lane.running.key == key:
                lane.running.cancel.set()
            lane.pending[key] = ticket
            if lane.thread is None:
                lane.thread = threading.Thread(target=_serve, args=(lane,), name=self._name, daemon=True)
                lane.thread.start()
            lane.changed.notify_all()
        if replaced is not None:
            replaced.drop()
        return ticket.future

    def cancel(self, key: str | None = None) -> None:
        """Drop waiting jobs and ask the running one to stop: those of one key, or all."""
        self._lane.stop(key)

    def is_busy(self, key: str | None = None) -> bool:
        """Whether a job (with this key) is waiting or running."""
        lane = self._lane
        with lane.changed:
            tickets = [*lane.pending.values(), *([lane.running] if lane.running is not None else [])]
            return any(key is None or ticket.key == key for ticket in tickets)

    def is_current_thread(self) -> bool:
        """Whether the caller is one of this worker's jobs."""
        return self._lane.thread is threading.current_thread()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is waiting or running; debounced jobs start at once.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without end. An interrupt (KeyboardInterrupt) gets through within 0.2 s.

        Returns
        -------
        bool
            False when the time was up first.

        Raises
        ------
        RuntimeError
            When called by a job of this worker, which would wait for itself.
        """
        if self.is_current_thread():
            raise RuntimeError("a job cannot wait for its own worker")
        deadline = None if timeout is None else time.monotonic() + timeout
        lane = self._lane
        with lane.changed:
            while lane.pending or lane.running is not None:
                if lane.closed and lane.running is None:
                    return True
                for ticket in lane.pending.values():
                    ticket.start_at = min(ticket.start_at, time.monotonic())
                lane.changed.notify_all()
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                # Windows delivers an interrupt only between waits, so none is longer than 0.2 s
                lane.changed.wait(0.2 if left is None else min(0.2, left))
        return True

    def close(self, timeout: float = 1.0) -> None:
        """Cancel everything and end the thread; waits at most ``timeout`` seconds for it. May be called twice."""
        self._lane.stop(close=True)
        thread = self._lane.thread
        if thread is not None and not self.is_current_thread():
            thread.join(timeout)
