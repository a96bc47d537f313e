"""What is shown under a figure on demand: parts that are computed on a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import ipywidgets
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress, Worker
from netgeom_widgets.widgets.part import NothingToShowError, Part
from netgeom_widgets.widgets.work_fold import WorkFold

_DEBOUNCE = 0.15  # seconds; spares the work on results that pass by while a slider is dragged
_TOLD = 0.1  # seconds between two reports of progress


class _Shown:
    """A part with its fold, and what the fold shows."""

    def __init__(self, part: Part, fold: WorkFold) -> None:
        self.part, self.fold = part, fold
        self.of: tuple[Any, dict[str, Any]] | None = None  # complete, and of this
        self.drawn: Any = None  # maybe a part
        self.found: Any = None
        self.error: BaseException | None = None

    def forget(self) -> None:
        """Nothing is shown any more."""
        self.of = self.drawn = self.found = self.error = None


class Parts(traitlets.HasTraits):
    """Mixin of an AnalysisWidget, before it among the bases: parts that are computed while their folds are open.

    The widget says in :meth:`_subject` what they are about. The trait that opens a part is tagged with what it
    ``needs``, in words, where it may not be offered. Parts are computed anew after each run, on a thread of their own,
    one after the other; ``wait()`` waits for those that are open, and raises what went wrong in one.
    """

    def _setup_runs(self, **options: Any) -> None:
        super()._setup_runs(**options)  # type: ignore[misc]  # of AnalysisWidget
        self._shown_parts: dict[str, _Shown] = {}
        self._part_worker = Worker(name="netgeom-parts")
        self._workers = (*self._workers, self._part_worker)  # wait() waits for it too, close() ends it

    # ---- what the widget and the mixins say

    def _subject(self) -> Any:
        """What the parts are about, the same object while nothing changes; None before the first result."""
        raise NotImplementedError

    def _make_parts(self) -> list[Part]:
        """The parts, in the order of their folds."""
        return []

    # ---- folds

    def _panels(self) -> list[ipywidgets.Widget]:
        parts = self._make_parts()
        self._refuse_parts({part.key for part in parts})
        for part in parts:
            key = part.key
            toggle, stop_or_go = partial(setattr, self, key), partial(self._stop_or_go, key)
            fold = WorkFold(part.title, part.tooltip, toggle, stop_or_go=stop_or_go, controls=part.controls)
            fold.show(getattr(self, key))
            self._shown_parts[key] = _Shown(part, fold)
            self.observe(self._part_toggled, key)
            if part.options:
                self.observe(partial(self._part_changed, key), list(part.options))
            if part.marks:
                self.observe(partial(self._part_marked, key), list(part.marks))
        self.observe(self._run_over, "status")
        folds = [shown.fold for shown in self._shown_parts.values()]
        return [*super()._panels(), *folds]  # type: ignore[misc]

    def _refuse_parts(self, offered: set[str]) -> None:
        """Parts that have nothing to show cannot be opened, now or later."""
        for key, trait in self.traits(needs=lambda needs: needs is not None).items():
            if key not in offered:
                check = partial(_check_closed, key, trait.metadata["needs"])
                check(self, {"value": getattr(self, key)})
                self._trait_validators[key] = check

    def _part_toggled(self, change: Any) -> None:
        shown = self._shown_parts[change["name"]]
        shown.fold.show(change["new"])
        if change["new"]:
            self._update_part(shown)
        else:
            self._part_worker.cancel(shown.part.key)

    def _part_changed(self, key: str, _: Any) -> None:
        self._update_part(self._shown_parts[key])

    def _part_marked(self, key: str, _: Any) -> None:
        shown = self._shown_parts[key]

        def mark() -> None:
            pane = shown.fold.pane
            if shown.drawn is not None and pane is not None:
                with pane.batch():
                    self._mark_part(shown)

        if getattr(self, key):
            self._paint(mark, f"marks of {key}")  # type: ignore[attr-defined]

    def _mark_part(self, shown: _Shown) -> None:
        shown.part.mark({name: getattr(self, name) for name in shown.part.marks})

    def _stop_or_go(self, key: str) -> None:
        shown = self._shown_parts[key]
        if self._part_worker.is_busy(key):
            self._part_worker.cancel(key)
            self._say_stopped(shown)
        else:
            self._update_part(shown)

    def _run_over(self, change: Any) -> None:
        """After a run that came to nothing the result is still there, and the work on it may have been cancelled."""
        if change["new"] in ("done", "error", "cancelled"):
            for shown in self._shown_parts.values():
                self._update_part(shown)

    def _start(self, settings: dict[str, Any], debounce: float) -> None:
        self._part_worker.cancel()  # of a result that is about to be replaced
        super()._start(settings, debounce)  # type: ignore[misc]

    # ---- work

    def _update_part(self, shown: _Shown) -> None:
        """Compute what an open fold shows, soon and in the background; nothing is computed for a closed one."""
        key = shown.part.key
        if self._closed or not getattr(self, key) or self.result is None:  # type: ignore[attr-defined]
            return
        future = self._part_worker.submit(partial(self._compute_part, shown), key=key, debounce=_DEBOUNCE)
        future.add_done_callback(partial(self._part_ended, shown))

    def _compute_part(self, shown: _Shown, _: Progress, cancel: Cancel) -> None:
        subject, part, progress = self._subject(), shown.part, Progress(_listener(shown.fold, cancel))
        if subject is None or not getattr(self, part.key):
            return
        options = part.needed({name: getattr(self, name) for name in part.options})
        if shown.of is not None and shown.of[0] is subject and shown.of[1] == options:
            shown.fold.done(part.words(shown.found, subject))
            return
        why = part.lacks(subject, options)
        if why:
            shown.forget()
            shown.fold.explain(why)
            return
        progress.update(text="computing …")
        publish = partial(self._show_part, shown, subject, cancel)
        try:
            found = part.compute(subject, options, progress=progress, cancel=cancel, publish=publish)
        except NothingToShowError as error:
            cancel.checkpoint()
            shown.forget()
            shown.fold.explain(str(error))
            return
        with self._lock:  # type: ignore[attr-defined]
            publish(found)
            shown.of, shown.found, shown.error = (subject, options), found, None
            shown.fold.done(part.words(found, subject))
        self._keep_picture()  # type: ignore[attr-defined]

    def _show_part(self, shown: _Shown, subject: Any, cancel: Cancel, found: Any) -> None:
        with self._lock:  # type: ignore[attr-defined]
            cancel.checkpoint()  # under the lock: nothing late is ever shown
            pane = shown.fold.pane
            if pane is None:
                options = {"lock": self._lock, "on_error": self._fail, "label": shown.part.title}  # type: ignore[attr-defined]
                pane = shown.fold.add_figure(shown.part.make(), shown.part.below(), **options)
            with pane.batch():
                shown.part.draw(found, subject)
                self._mark_part(shown)
            shown.of, shown.drawn = None, subject

    def _part_ended(self, shown: _Shown, future: Future[Any]) -> None:
        error = future.exception()
        if error is None or isinstance(error, Cancelled) or self._closed:  # type: ignore[attr-defined]
            return
        shown.forget()
        shown.error = error
        shown.fold.failed(error)

    def _say_stopped(self, shown: _Shown) -> None:
        part = shown.drawn is not None and shown.drawn is self._subject()
        shown.forget()
        shown.fold.stopped(part=part)

    # ---- what the widget does

    def wait(self, timeout: float | None = None) -> None:
        """Block until the run, its picture and the open parts are finished; see :meth:`AnalysisWidget.wait`."""
        super().wait(timeout)  # type: ignore[misc]
        for key, shown in self._shown_parts.items():
            if shown.error is not None and getattr(self, key):
                raise shown.error

    def cancel(self) -> None:
        """Stop the run and the work on open parts; what is finished stays. Returns at once."""
        for key, shown in self._shown_parts.items():
            if self._part_worker.is_busy(key):
                self._part_worker.cancel(key)
                self._say_stopped(shown)
        super().cancel()  # type: ignore[misc]

    def _open_parts(self) -> list[_Shown]:
        return [shown for key, shown in self._shown_parts.items() if getattr(self, key) and shown.of is not None]

    def _exported_parts(self) -> list[LayoutDOM]:
        parts = super()._exported_parts()  # type: ignore[misc]
        panes = [(shown.part, shown.fold.pane) for shown in self._open_parts() if shown.fold.pane is not None]
        pictured = [part.pictured(pane.root) for part, pane in panes]
        return [*parts, *(root for root in pictured if root is not None)]

    def _part_arrays(self) -> dict[str, Any]:
        """Numbers of the open parts, by name."""
        return {
            f"{key}_{name}": array
            for key, shown in self._shown_parts.items()
            if shown in self._open_parts()
            for name, array in shown.part.arrays(shown.found).items()
        }

    def close(self) -> None:
        """Close the widget; see :meth:`AnalysisWidget.close`."""
        super().close()  # type: ignore[misc]
        for shown in self.__dict__.get("_shown_parts", {}).values():
            shown.forget()


def _check_closed(key: str, needs: str, _: Any, proposal: Any) -> bool:
    """Validate the trait of a part that has nothing to show."""
    if proposal["value"]:
        raise NetgeomError(f"There is nothing to show for {key}.", expected=f"False, or {needs}", got="True")
    return False


def _listener(fold: WorkFold, cancel: Cancel) -> Callable[[Progress], None]:
    """Passes on at most ten reports a second, and none of work that was stopped."""
    last = 0.0

    def listen(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TOLD and not cancel.is_set():
            last = now
            fold.work(progress.fraction, progress.text)

    return listen
