"""AnalysisWidget: what all five widgets have in common."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar

import ipywidgets
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress, Worker
from netgeom_widgets.widgets.controls import close_tree
from netgeom_widgets.widgets.frame import WRAP, Frame
from netgeom_widgets.widgets.outputs import Outputs
from netgeom_widgets.widgets.pane import BokehPane
from netgeom_widgets.widgets.settings import SampleIds, Settings
from netgeom_widgets.widgets.static_output import StoredPicture

Publish = Callable[[Any], None]
DEBOUNCE = 0.1  # seconds; spares most of the cancelled starts while a slider is dragged
PICTURE_DEBOUNCE = 1.0  # seconds from the last change of the drawing to the next stored picture


class AnalysisWidget(Outputs, Settings, ipywidgets.VBox):
    """A figure of a computation that runs in the background, with controls made from the traits of the subclass.

    A subclass sets what its computation needs, then calls ``super().__init__(**kwargs)`` last, and supplies the methods
    under "what subclasses say". Traits tagged ``setting="run"`` start a new run when they change, ``"draw"`` only draw
    again, ``"costly"`` wait for Run, ``"mark"`` only call :meth:`_draw_marks`; they are constructor keywords too.

    Parameters
    ----------
    autorun : bool
        Start the first run at once. With False nothing starts by itself before :meth:`run` was called.
    static_picture : bool
        Store a picture of the finished run in the notebook, under the widget.
    **kwargs
        Settings, ``selection`` and traits of ``ipywidgets.VBox`` such as ``layout``.
    """

    status = traitlets.Enum(["idle", "running", "done", "cancelled", "error"], "idle", read_only=True)
    progress = traitlets.Float(0.0, read_only=True, help="Finished share of the run, 0 to 1.")
    message = traitlets.Unicode("", read_only=True, help="The status line.")
    result = traitlets.Any(None, read_only=True, help="What the kernel returned in the last finished run.")
    selection = SampleIds(help="Ids of the selected samples.")

    title: ClassVar[str] = ""

    def __init__(self, *, autorun: bool = True, static_picture: bool = True, **kwargs: Any) -> None:
        self._closed = False
        self._lock = threading.RLock()  # held while the document or a published result changes
        self._book = threading.Lock()  # guards the number of the current run
        self._run_number = 0
        self._shown: tuple[Any, dict[str, Any], bool] | None = None
        self._last_good: tuple[Any, dict[str, Any], bool] | None = None
        self._error: BaseException | None = None
        self._restored: dict[str, Any] = {}
        self._worker = Worker(name="netgeom-run")
        self._painter = Worker(name="netgeom-draw")
        self._stored = StoredPicture() if static_picture else None
        names = self.trait_names()
        tagged = {name for name in names if self.trait_metadata(name, "setting")}
        given = {name: kwargs.pop(name) for name in list(kwargs) if name in tagged | {"selection"}}
        unknown = sorted(set(kwargs) - set(names))
        if unknown:
            known = ", ".join(sorted(tagged))
            raise NetgeomError("There is no such keyword.", expected=f"settings {known}", got=", ".join(unknown))
        super().__init__(**kwargs)
        try:
            self._setup_settings(given)
            self._build()
        except BaseException:
            self.close()
            raise
        self._waits_for_run = not autorun
        self._applied = self._snapshot()
        if autorun:
            self.run()

    # ---- what subclasses say

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish) -> Any:
        """The result, computed on the worker's thread from the settings; ``publish(partial)`` shows a first part."""
        raise NotImplementedError

    def _draw(self, result: Any, settings: dict[str, Any], *, final: bool) -> None:
        """Change the Bokeh models to show a result; called with the lock held."""
        raise NotImplementedError

    def _draw_marks(self, result: Any) -> None:
        """Change the Bokeh models to show selection and marks; called with the lock held, after each final draw too."""

    def _make_root(self) -> LayoutDOM:
        """The Bokeh model to show; called once."""
        raise NotImplementedError

    def _panels(self) -> Iterable[ipywidgets.Widget]:
        """Plain ipywidgets to place beside the figure (under it where the cell is narrow)."""
        return ()

    def _export_arrays(self) -> dict[str, Any]:
        """Arrays of the result by name, for :meth:`export_data`."""
        return {}

    def _sample_count(self) -> int | None:
        """How many samples there are, where known; ids in ``selection`` are checked against it."""
        return None

    def _summary(self) -> str:
        """A few words on the result, for the status line and the repr."""
        return ""

    # ---- building and closing

    def _build(self) -> None:
        """Put the figure, the controls and the frame together."""
        self._frame = Frame(run=self._run_pressed, cancel=self.cancel, reset=self._reset, export=self._export_here)
        root = self._make_root()
        pane_layout = {"flex": "3 1 420px", "min_width": "0", "width": "auto"}
        self.pane = BokehPane(root, lock=self._lock, on_error=self._fail, label=self._title(), layout=pane_layout)
        panels = list(self._panels())
        for panel in panels:
            panel.layout.flex = panel.layout.flex or "1 1 260px"
            panel.layout.min_width = panel.layout.min_width or "0"
        controls = ipywidgets.Box([control.box for control in self._controls.values()], layout=WRAP)
        body = ipywidgets.Box([self.pane, *panels], layout={"flex_flow": "row wrap", "overflow": "visible"})
        body.add_class("netgeom-body")
        frame = self._frame
        for box in (controls, frame.buttons, *panels):
            box.add_class("netgeom-controls")
        self.add_class("netgeom-widget")
        self.children = (controls, frame.buttons, body, frame.status_row, frame.error)
        self.observe(lambda change: setattr(frame.status, "value", change["new"]), "message")
        self.observe(lambda change: setattr(frame.progress, "value", change["new"]), "progress")
        self.observe(lambda change: frame.show_status(change["new"]), "status")
        self.observe(self._redraw_marks, ["selection", *self._marks])

    def _check_open(self) -> None:
        if self._closed:
            raise NetgeomError("The widget is closed.", try_this="run the cell that made it again")

    def close(self) -> None:
        """End the computation and free threads, connections and the figure's document. May be called twice.

        ``result`` stays readable. In the notebook a line of text takes the widget's place, over the stored picture.
        """
        if self.__dict__.get("_closed", True):  # also when __init__ never came to run and __del__ calls this
            super().close()
            return
        text = f"{type(self).__name__} was closed: run the cell again."
        self._closed = True
        self._worker.close()
        self._painter.close()
        if self._stored is not None:
            self._stored.retire(text)
        self._shown = self._last_good = None
        self.unobserve_all()
        for child in self.children:
            close_tree(child)
        self.layout.close()
        super().close()

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
        if self._worker.is_current_thread() or self._painter.is_current_thread():
            raise RuntimeError("wait() was called by a callback of the same widget")
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while self._worker.is_busy() or self._painter.is_busy():
                for worker in (self._worker, self._painter):
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    if not worker.wait(left):
                        raise TimeoutError(f"the run did not finish in {timeout} s; it goes on")
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self.status == "error" and self._error is not None:
            raise self._error

    def _start(self, settings: dict[str, Any], debounce: float) -> None:
        progress = Progress(self._throttled_progress())
        with self._book:
            self._run_number += 1
            number = self._run_number
            self._worker.cancel("view")
            future = self._worker.submit(
                partial(self._run_job, settings), key="run", debounce=debounce, progress=progress
            )
        self._say("computing …", status="running", progress=0.0)
        future.add_done_callback(partial(self._run_ended, number))

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> tuple[int, ...]:
        ids, count = proposal["value"], self._sample_count()
        if ids and (min(ids) < 0 or (count is not None and max(ids) >= count)):
            among = "from 0" if count is None else f"from 0 to {count - 1}" if count else "none: there are no samples"
            raise NetgeomError("There is no such sample.", expected=f"ids {among}", got=str(ids))
        return ids

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

    def _run_job(self, settings: dict[str, Any], progress: Progress, cancel: Cancel) -> None:
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
            self.set_trait("result", result)
            for name, value in self._restored.items():
                setattr(self, name, value)
            self._restored = {}
            seconds = time.monotonic() - started
            self._frame.show_error(None)
            self._say(f"{self._summary() or 'done'} ({seconds:.1f} s)", status="done", progress=1.0)
        self._store_picture()

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
        if self._shown is not None and not self._shown[2] and self._last_good is not None:
            self._painter.submit(lambda progress, cancel: self._back_to(self._last_good), key="draw")

    def _back_to(self, shown: tuple[Any, dict[str, Any], bool] | None) -> None:
        if shown is not None:
            self._show(shown)

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
            costly = {n: self._applied[n] for n, k in self._kinds.items() if k == "costly"}
            self._start({**self._snapshot(), **costly}, debounce=DEBOUNCE)

    def _redraw(self) -> None:
        """Draw the shown result again with the present settings, soon and in the background."""
        self._paint(lambda: self._back_to(self._shown), "draw")

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
        self._painter.submit(lambda progress, cancel: draw(), key=key).add_done_callback(self._job_ended)
        if self._stored is not None and self._stored.displayed:
            self._painter.submit(
                lambda progress, cancel: self._store_picture(), key="picture", debounce=PICTURE_DEBOUNCE
            )

    def _store_picture(self) -> None:
        """Update the picture in the notebook; whatever goes wrong with it must not break a run."""
        if self._stored is None or not self._stored.displayed or self._shown is None:
            return
        try:
            from netgeom_widgets.figures import static

            with self._lock:
                png = static.render(self.pane.root, "png")
            self._stored.update(png, repr(self))
        except Exception as error:  # noqa: BLE001  # said in the status line; the widget itself is fine
            note = "; the notebook's stored picture is old: "
            self._say(f"{self.message.split(note)[0]}{note}{error}")
