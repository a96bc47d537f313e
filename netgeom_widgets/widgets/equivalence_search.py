"""Elements of the class that an equivalence slice viewer shows: those given, judged; or those that a search finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.recent import Recent

if TYPE_CHECKING:
    from torch import nn

#: Searches whose elements are kept, so that going back to their settings finds nothing anew.
_KEPT = 6
#: Between two reports so many times as long as one takes.
_SHARE = 4
_OPTIONS = ("method", "max_iterations", "lr", "seed")


class ElementMaker:
    """Searches, and finds nothing twice; used on one thread only.

    A search that was cancelled leaves what it has found: the elements then are those, until somebody runs it again.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.forget()

    def forget(self) -> None:
        """Let go of all elements."""
        self._settled, self._whole = Recent(_KEPT), Recent(_KEPT)
        self._stopped: Any = None

    def elements(
        self,
        model: nn.Module,
        problem: Any,
        settings: dict[str, Any],
        key: Any,
        *,
        progress: Progress,
        cancel: Cancel,
        tell: Callable[[Any], None],
    ) -> Any:
        """The elements for some settings of the widget, or None for none.

        Parameters
        ----------
        model : torch.nn.Module
            The copy of this run.
        problem : Problem
            Its loss.
        key : hashable
            Says which press of Run this belongs to.
        tell : callable
            Called with all elements so far whenever one is settled.
        """
        given = self.source.given
        if given is not None and hasattr(given, "status"):
            return given
        wanted = (problem.network.digest, *(settings[name] for name in ("tolerance", *_OPTIONS)))
        if given is not None:
            return self._whole.get(wanted[:2], lambda: self._judged(model, settings["tolerance"]))
        n = settings["n_elements"]
        if not n:
            return None
        held = self._whole.find((wanted, n))
        if held is None and self._stopped is not None and self._stopped[0] == (key, wanted, n):
            return self._stopped[1]
        if held is None:
            held = self._search(model, settings, (key, wanted, n), progress, cancel, tell)
        self._whole.put((wanted, n), held)
        return held

    def _judged(self, model: nn.Module, tolerance: float) -> Any:
        """What parameter vectors found elsewhere are worth."""
        from netgeom_widgets.kernels.equivalence import assess_elements

        return assess_elements(model, self.source.inputs, self.source.targets, self.source.given, tolerance=tolerance)

    def _search(
        self, model: nn.Module, settings: dict[str, Any], key: Any, progress: Progress, cancel: Cancel, tell: Any
    ) -> Any:
        from netgeom_widgets.kernels.equivalence.search import Search

        _, wanted, n = key
        progress.update(text=f"searching from {n:,} starts")
        method, iterations, lr, seed = (settings[name] for name in _OPTIONS)
        options = {"lr": lr} if method != "levenberg-marquardt" else {}
        data = (model, self.source.inputs, self.source.targets)
        search = Search(*data, n, method, settings["tolerance"], iterations, None, seed, options)
        settled: dict[int, Any] = self._settled.get(wanted, dict)

        def so_far() -> dict[int, Any]:
            return {index: element for index, element in settled.items() if index < n}

        quiet_until = 0.0

        def take(element: Any) -> None:
            nonlocal quiet_until
            settled[element.index] = element
            started = time.monotonic()
            if started >= quiet_until:  # telling takes time that grows with the elements
                tell(search.gathered(so_far()))
                quiet_until = time.monotonic() + _SHARE * (time.monotonic() - started)

        try:
            return search.run(take, progress, cancel, settled=so_far())
        except Cancelled:
            if so_far():
                self._stopped = key, search.gathered(so_far())
            raise
