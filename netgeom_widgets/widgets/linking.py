"""Join two widgets so that what is picked in one is picked in the other."""

from __future__ import annotations

import threading
from typing import Any, Literal

from netgeom_widgets.errors import NetgeomError


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
            if getattr(target, self.trait) != value and not getattr(target, "_closed", False):
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
        For another trait, a widget without it, one widget given twice, or different numbers of samples where both are
        known.
    """
    if trait not in ("selection", "step"):
        raise NetgeomError("This cannot be linked.", expected="'selection' or 'step'", got=repr(trait))
    if a is b:
        raise NetgeomError("A widget cannot be linked to itself.", expected="two widgets")
    for widget in (a, b):
        if not getattr(widget, "has_trait", lambda name: False)(trait):
            raise NetgeomError(f"{type(widget).__name__} has no {trait}.", expected=f"a widget with {trait}")
    counts = [getattr(widget, "_sample_count", lambda: None)() for widget in (a, b)]
    if trait == "selection" and None not in counts and counts[0] != counts[1]:
        raise NetgeomError(
            "The widgets show different samples.",
            expected="equally many samples",
            got=f"{counts[0]} and {counts[1]}",
        )
    return Link(a, b, trait)
