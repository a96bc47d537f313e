"""Ticker: something that is done again and again while its owner lives, on a thread that does not keep it alive."""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
import weakref
from collections.abc import Callable

Act = Callable[[], float | None]


class _Series:
    """One stretch of ticking, from a start to its end."""

    def __init__(self, act: Act, delay: float, name: str) -> None:
        self._act = weakref.WeakMethod(act)  # type: ignore[arg-type]  # the thread must not hold the owner
        self.stopped = threading.Event()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._tick, args=(delay,), name=name, daemon=True)

    def _tick(self, delay: float | None) -> None:
        try:
            while delay is not None and not self.stopped.wait(delay):
                act = self._act()
                delay = None if act is None else act()
                del act  # nothing is held while waiting
        finally:
            self.ended.set()


class Ticker:
    """Calls a method of its owner until that says to stop, the ticker is closed, or the owner is collected.

    Parameters
    ----------
    act : bound method
        Called without arguments on the ticker's thread; returns the seconds to the next call, or None to end. It must
        handle its own errors.
    name : str
        Name of the thread, for debuggers. There is a thread only while it ticks.
    """

    def __init__(self, act: Act, *, name: str = "netgeom-tick") -> None:
        self._act, self._name = weakref.WeakMethod(act), name  # type: ignore[arg-type]
        self._lock = threading.Lock()
        self._series: _Series | None = None
        self._closed = False
        _tickers.add(self)

    def start(self, delay: float = 0.0) -> None:
        """Tick from now on, first after ``delay`` seconds; a series under way gives way. Once closed, do nothing."""
        act = self._act()
        with self._lock:
            if self._closed or act is None:
                return
            if self._series is not None:
                self._series.stopped.set()
            self._series = _Series(act, delay, self._name)
            self._series.thread.start()

    def stop(self) -> None:
        """Tick no more; a call that is under way ends by itself."""
        with self._lock:
            if self._series is not None:
                self._series.stopped.set()

    def is_busy(self) -> bool:
        """Whether it ticks."""
        series = self._series
        return series is not None and not series.stopped.is_set() and not series.ended.is_set()

    def is_current_thread(self) -> bool:
        """Whether the caller is the method that it calls."""
        return self._series is not None and self._series.thread is threading.current_thread()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it has ended or was stopped; False when the time was up first."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.is_busy():
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if left <= 0:
                return False
            self._series.ended.wait(left)  # type: ignore[union-attr]  # short: stop() sets another event
        return True

    def close(self, timeout: float = 1.0) -> None:
        """Stop for good, and wait at most ``timeout`` seconds for a call that is under way. May be called twice."""
        with self._lock:
            self._closed = True
        self.stop()
        series = self._series
        if series is not None and not self.is_current_thread():
            with contextlib.suppress(RuntimeError):  # the thread never started: the interpreter is shutting down
                series.thread.join(timeout)


_tickers: weakref.WeakSet[Ticker] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Nothing may be started any more once the interpreter is being torn down."""
    for ticker in list(_tickers):
        ticker.close(0.2)
