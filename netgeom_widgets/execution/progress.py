"""Progress and Cancel: plain objects that a long computation reports to and asks, with or without a widget."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from netgeom_widgets.errors import NetgeomError


class Cancelled(Exception):  # noqa: N818  # the public name; it is a signal, not an error
    """Raised by :meth:`Cancel.checkpoint` inside a computation that was asked to stop."""


class Cancel:
    """A request to stop, set from any thread and looked at by the computation between two steps."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask the computation to stop at its next checkpoint."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def checkpoint(self) -> None:
        """Return at once, or raise when a stop was asked for.

        Raises
        ------
        Cancelled
            When :meth:`set` was called before, from any thread.
        """
        if self._event.is_set():
            raise Cancelled("the computation was cancelled")


class Progress:
    """How far a computation has come.

    Parameters
    ----------
    listener : callable, optional
        Called as ``listener(progress)`` after every :meth:`update`, on the thread of the computation.

    Attributes
    ----------
    done, total : float
        Work finished and work in all, in one unit of the computation's choice; ``total`` is 0 while unknown.
    text : str
        What is going on, for people.
    """

    def __init__(self, listener: Callable[[Progress], Any] | None = None) -> None:
        self.done: float = 0.0
        self.total: float = 0.0
        self.text: str = ""
        self._listener = listener

    @property
    def fraction(self) -> float:
        """Finished share of the work, 0 to 1; 0 while the total is unknown."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0

    def update(self, done: float | None = None, total: float | None = None, text: str | None = None) -> None:
        """Report; what is left out keeps its value."""
        if total is not None:
            self.total = total
        if done is not None:
            self.done = done
        if text is not None:
            self.text = text
        if self._listener is not None:
            self._listener(self)

    def __repr__(self) -> str:
        return f"<Progress {self.done:g}/{self.total:g} {self.text!r}>"


class _Bar:
    """Listener that draws a tqdm bar on the standard error stream; tqdm is imported on the first report."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=progress.total or None, desc=progress.text or None, leave=False)
        bar = self._bar
        if progress.total:
            bar.total = progress.total
        bar.set_description_str(progress.text, refresh=False)
        bar.update(progress.done - bar.n)
        if progress.total and progress.done >= progress.total:
            bar.close()
            self._bar = None


def as_progress(progress: bool | Progress | None) -> Progress:
    """Turn the keyword ``progress`` of a kernel function into a Progress.

    Parameters
    ----------
    progress : None, bool or Progress
        None or False: reports go nowhere. True: a tqdm bar. A Progress is returned as it is.

    Returns
    -------
    Progress

    Raises
    ------
    NetgeomError
        For anything else.
    """
    if isinstance(progress, Progress):
        return progress
    if progress is None or progress is False:
        return Progress()
    if progress is True:
        return Progress(_Bar())
    raise NetgeomError("progress is not understood.", expected="None, True or a Progress", got=type(progress).__name__)


def as_cancel(cancel: Cancel | None) -> Cancel:
    """Turn the keyword ``cancel`` of a kernel function into a Cancel; None gives one that nobody sets.

    Raises
    ------
    NetgeomError
        For anything but None or a Cancel.
    """
    if cancel is None:
        return Cancel()
    if isinstance(cancel, Cancel):
        return cancel
    raise NetgeomError("cancel is not understood.", expected="None or a Cancel", got=type(cancel).__name__)
