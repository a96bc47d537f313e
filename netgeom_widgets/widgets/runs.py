"""How a widget runs its computation in the background and draws what comes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress, Worker
from netgeom_widgets.widgets.static_output import StoredPicture

DEBOUNCE = 0.1  # seconds; spares most of the cancelled starts while a slider is dragged
PICTURE_DEBOUNCE = 1.0  # seconds from the last change of the drawing to the next stored picture

Shown = tuple[Any, dict[str, Any], bool]  # a result, the settings of its run, whether it is final


class Runs(traitlets.HasTraits):
    """Mixin of AnalysisWidget: one thread computes, a second one draws again; both only ever hold the latest request.

    All changes of the document and all publishing happens under ``_lock``. Nothing that observes a trait takes that
    lock, it only submits: so two linked widgets cannot wait for each other.
    """

    status = traitlets.Enum(["idle", "running", "done", "cancelled", "error"], "idle", read_only=True)
    progress = traitlets.Float(0.0, read_only=True, help="Finished share of the run, 0 to 1.")
    message = traitlets.Unicode("", read_only=True, help="The status line.")
    result = traitlets.Any(None, read_only=True, help="What the kernel returned in the last finished run.")

    def _setup_runs(self, *, static_picture: bool) -> None:
        self._closed = False
        self._lock = threading.RLock()
        self._book = threading.Lock()  # guards the number of the current run
        self._run_number = 0
        self._run_future: Future[Any]
        self._waiting = 0  # callers of wait(); nothing that was not asked for starts meanwhile
        self._shown: Shown | None = None
        self._last_good: Shown | None = None
        self._error: BaseException | None = None
        self._restored: dict[str, Any] = {}
        self._applied: dict[str, Any] = {}
        self._waits_for_run = False
        self._worker = Worker(name="netgeom-run")
        self._painter = Worker(name="netgeom-draw")
        self._keeper = Worker(
            name="netgeom-keep"
        )  # stored pictures and files take long; drawing must not wait for them
        self._workers = (self._worker, self._painter, self._keeper)
        self._stored = StoredPicture() if static_picture else None

    # ---- runs

    def _run_pressed(self) -> None:
        try:
            self.run()
        except NetgeomError as error:
            self._say(str(error))

    def _reset(self) -> None:
        """Answer the button: show the whole figure again."""
        self.pane.reset_view()

    def run(self) -> None:
        """Start a run with the present settings; one that is running is cancelled. Returns at once.

        Raises
        ------
        NetgeomError
            When the settings do not fit together, or the widget is closed.
        """
        self._check_open()
        settings = self._snapshot()
        self._validate(settings)
        self._applied, self._waits_for_run = settings, False
        self._frame.want_run(False)
        self._start(settings, debounce=0.0)

    def cancel(self) -> None:
        """Stop the run; the last finished picture stays. Returns at once; without a run nothing happens."""
        self._worker.cancel()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the run, its picture and everything that followed from it are finished.

        Needs no event loop. An interrupt of the cell cancels the run.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Raises
        ------
        TimeoutError
            When the time was up first; the run goes on.
        RuntimeError
            When called by a callback of this widget, which the run would wait for.
        BaseException
            The very exception that the run raised.
        """
        if any(worker.is_current_thread() for worker in self._workers):
            raise RuntimeError("wait() was called by a callback of the same widget")
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._book:
            self._waiting += 1
        try:
            while self._is_busy():
                for worker in self._workers:
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    if not worker.wait(left):
                        raise TimeoutError(f"the run did not finish in {timeout} s; it goes on")
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            with self._book:
                self._waiting -= 1
        if self.status == "error" and self._error is not None:
            raise self._error

    def _is_busy(self) -> bool:
        return any(worker.is_busy() for worker in self._workers)

    def _start(self, settings: dict[str, Any], debounce: float) -> None:
        progress = Progress(self._throttled_progress())
        with self._book:
            self._run_number += 1
            number = self._run_number
            self._worker.cancel("view")
            future = self._run_future = self._worker.submit(
                partial(self._run_job, number, settings), key="run", debounce=debounce, progress=progress
            )
        self._say("computing …", status="running", progress=0.0)
        future.add_done_callback(partial(self._run_ended, number))

    def _throttled_progress(self) -> Callable[[Progress], None]:
        """Listener that passes on at most ten reports a second."""
        last = 0.0

        def listen(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= 0.1:
                last = now
                self._say(progress.text or "computing …", progress=progress.fraction)

        return listen

    def _run_job(self, number: int, settings: dict[str, Any], progress: Progress, cancel: Cancel) -> None:
        started = time.monotonic()
        last = 0.0

        def publish(partial_result: Any) -> None:
            nonlocal last
            cancel.checkpoint()
            now = time.monotonic()
            if now - last >= 0.1 and not self.pane.busy:  # a browser that is behind gets fewer partial pictures
                self._show((partial_result, settings, False), cancel)
                last = time.monotonic()

        result = self._compute(settings, progress=progress, cancel=cancel, publish=publish)
        with self._lock:
            self._show((result, settings, True), cancel)
            self._last_good = self._shown
            self.set_trait("result", self._result_of(result))
            for name, value in self._restored.items():
                setattr(self, name, value)
            self._restored = {}
            seconds = time.monotonic() - started
            self._frame.show_error(None)
            self._say(f"{self._summary() or 'done'} ({seconds:.1f} s)", status="done", progress=1.0)
            with self._book:
                follows = number != self._run_number and not self._run_future.done()
            if follows:  # it has said already that it runs, and waits for this thread
                self._say("computing …", status="running", progress=0.0)
        self._keep_picture()

    def _show(self, shown: tuple[Any, dict[str, Any], bool], cancel: Cancel | None = None) -> None:
        """Draw a result and remember it; the settings that only concern the drawing are the present ones."""
        result, run_settings, final = shown
        with self._lock:
            if cancel is not None:
                cancel.checkpoint()  # under the lock: nothing late is ever shown
            drawing = {name: getattr(self, name) for name, kind in self._kinds.items() if kind == "draw"}
            with self.pane.batch():
                self._draw(result, {**run_settings, **drawing}, final=final)
                if final:
                    self._draw_marks(result)
            self._shown = shown

    def _run_ended(self, number: int, future: Future[Any]) -> None:
        """Report a run that did not end well, unless a newer one has taken its place."""
        error = future.exception()
        if error is None or self._closed or number != self._run_number:
            return
        if isinstance(error, Cancelled):
            self._say("cancelled", status="cancelled")
        else:
            self._fail(error)
        self._paint(partial(self._back_to_last_good, number), "last good")

    def _back_to_last_good(self, number: int) -> None:
        """Replace the partial picture of a run that did not end well, unless a newer run draws already."""
        with self._lock:
            is_partial = self._shown is not None and not self._shown[2]
            if is_partial and self._last_good is not None and number == self._run_number:
                self._show(self._last_good)

    def _fail(self, error: BaseException) -> None:
        """Show an exception in the widget and keep it for wait()."""
        self._error = error
        self._frame.show_error(error)
        self._say(f"failed: {type(error).__name__}, see below", status="error")

    def _say(self, message: str, *, status: str | None = None, progress: float | None = None) -> None:
        """Set the status line, from any thread."""
        if self._closed:
            return
        self.set_trait("message", message)
        if progress is not None:
            self.set_trait("progress", progress)
        if status is not None:
            self.set_trait("status", status)

    def _submit(
        self, job: Callable[[Progress, Cancel], Any], *, key: str = "view", debounce: float = 0.0
    ) -> Future[Any]:
        """Do further work in the background: the latest job of a key wins, a new run cancels it, errors are shown."""
        future = self._worker.submit(job, key=key, debounce=debounce)
        future.add_done_callback(self._job_ended)
        return future

    def _job_ended(self, future: Future[Any]) -> None:
        error = future.exception()
        if error is not None and not isinstance(error, Cancelled) and not self._closed:
            self._fail(error)

    # ---- drawing

    def _setting_changed(self, name: str, kind: str) -> None:
        if self._closed:
            return
        if kind == "draw":
            self._redraw()
        elif kind == "costly" or self._waits_for_run:
            self._frame.want_run(True)
            self._say("press Run to apply the changed settings")
        else:
            self._run_again()

    def _run_again(self, debounce: float = DEBOUNCE) -> None:
        """Start a run because something changed that needs no press of Run; costly settings stay as they were."""
        costly = {n: self._applied[n] for n, k in self._kinds.items() if k == "costly"}
        self._start({**self._snapshot(), **costly}, debounce=debounce)

    def _redraw(self) -> None:
        """Draw the shown result again with the present settings, soon and in the background."""

        def draw() -> None:
            with self._lock:  # held from here on, or an older picture could overwrite the one of a run just ending
                if self._shown is not None:
                    self._show(self._shown)

        self._paint(draw, "draw")

    def _redraw_marks(self, _: Any = None) -> None:
        """Draw selection and marks again, soon and in the background."""

        def marks() -> None:
            with self.pane.batch():
                if self._shown is not None and self._shown[2]:
                    self._draw_marks(self._shown[0])

        self._paint(marks, "marks")

    def _paint(self, draw: Callable[[], None], key: str) -> None:
        if self._closed:
            return
        self._painter.submit(lambda progress, cancel: draw(), key=key).add_done_callback(self._painted)

    def _painted(self, future: Future[Any]) -> None:
        self._job_ended(future)
        self._keep_picture()  # not when it was asked for: beside a busy cell painting may outlast the wait

    def _keep_picture(self) -> None:
        """Store a picture in the notebook soon: the first at once, later ones when nothing has changed for a second."""
        if self._stored is not None and self._stored.displayed and not self._closed:
            debounce = PICTURE_DEBOUNCE if self._stored.has_picture else 0.0
            self._keeper.submit(lambda progress, cancel: self._store_picture(), key="picture", debounce=debounce)

    def _store_picture(self) -> None:
        """Update the picture in the notebook; whatever goes wrong with it must not break a run."""
        try:
            from netgeom_widgets.figures import static

            with self._lock:
                if self._stored is None or self._shown is None or not self._shown[2]:
                    return  # never a part of a run
                png = static.render(self.pane.root, "png")
            self._stored.update(png, repr(self))
        except Exception as error:  # noqa: BLE001  # said in the status line; the widget itself is fine
            note = "; the notebook's stored picture is old: "
            self._say(f"{self.message.split(note)[0]}{note}{error}")
