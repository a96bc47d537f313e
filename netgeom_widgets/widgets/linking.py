"""Join two widgets so that what is picked in one is picked in the other."""

from __future__ import annotations

import threading
from typing import Any, Literal

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.settings import ids_in_words


class Link:
    """A standing connection of one trait of two widgets; :meth:`unlink` ends it, and so does closing either widget."""

    def __init__(self, a: Any, b: Any, trait: str) -> None:
        self.a, self.b, self.trait = a, b, trait
        self._lock = threading.RLock()  # both sides may change at once, on two threads
        setattr(b, trait, getattr(a, trait))
        a.observe(self._from_a, trait)
        b.observe(self._from_b, trait)

    def _from_a(self, _: Any) -> None:
        self._copy(self.a, self.b)

    def _from_b(self, _: Any) -> None:
        self._copy(self.b, self.a)

    def _copy(self, source: Any, target: Any) -> None:
        with self._lock:
            value = getattr(source, self.trait)  # the present value, not the one of the event: it may be stale by now
            if getattr(target, self.trait) == value or getattr(target, "_closed", False):
                return
            if self.trait == "step" and value not in getattr(target, "steps", (value,)):
                return  # of a recording still being written, which the other widget has not read so far yet
            setattr(target, self.trait, value)

    def unlink(self) -> None:
        """End the connection; may be called twice."""
        for widget, handler in ((self.a, self._from_a), (self.b, self._from_b)):
            try:
                widget.unobserve(handler, self.trait)
            except ValueError:  # already ended, or the widget is closed
                continue

    def __repr__(self) -> str:
        return f"<Link of {self.trait}: {type(self.a).__name__} and {type(self.b).__name__}>"


def link(a: Any, b: Any, trait: Literal["selection", "step"] = "selection") -> Link:
    """Keep a trait of two widgets equal from now on; ``b`` takes the value of ``a`` first.

    Parameters
    ----------
    a, b : AnalysisWidget
        Two widgets over the same samples (``"selection"``) or the same recording (``"step"``).
    trait : {"selection", "step"}
        What to join.

    Returns
    -------
    Link
        Its ``unlink()`` ends the connection.

    Raises
    ------
    NetgeomError
        For another trait, a widget without it, one widget given twice, or different sample ids where both are known.
    """
    if trait not in ("selection", "step"):
        raise NetgeomError("This cannot be linked.", expected="'selection' or 'step'", got=repr(trait))
    if a is b:
        raise NetgeomError("A widget cannot be linked to itself.", expected="two widgets")
    for widget in (a, b):
        if not getattr(widget, "has_trait", lambda name: False)(trait):
            raise NetgeomError(f"{type(widget).__name__} has no {trait}.", expected=f"a widget with {trait}")
    if trait == "selection":
        _check_same_samples(a, b)
    return Link(a, b, trait)


def _check_same_samples(a: Any, b: Any) -> None:
    """Refuse widgets whose sample ids are known and differ: a selection in one would not exist in the other."""
    first, second = (getattr(widget, "_sample_ids", lambda: None)() for widget in (a, b))
    if first is None or second is None:
        return
    if len(first) != len(second):
        expected, got = "equally many samples", f"{len(first)} and {len(second)}"
    elif set(first) != set(second):
        expected, got = "the same sample ids", f"{ids_in_words(first)}, and {ids_in_words(second)}"
    else:
        return
    raise NetgeomError("The widgets show different samples.", expected=expected, got=got)
