"""The similarity matrix of a run as numbers: the kernel's result, the order of the inputs, what is found in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._memory import has_memory
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.similarity_entries import Entries
from netgeom_widgets.widgets.similarity_source import Source

if TYPE_CHECKING:
    from torch import nn

#: Settings on which the matrix depends; all others only say how it is shown.
COMPUTED = ("kernel", "output", "parameters", "precision")
#: Matrices of recent settings are kept up to this number of bytes; the newest always is.
_KEPT_BYTES = 1 << 29
#: Between two drawings of rows that come in, so many times as long as one takes.
_SHARE = 10
_KEPT = 64  # and no more than this, or four where these are larger


@dataclass(frozen=True, eq=False)
class Picture:
    """What the widget shows of one run.

    Attributes
    ----------
    found : Similarity or SimilarityTiles or None
        What the kernel returned; None while it runs.
    entries : Entries
        Its numbers; NaN in rows that are not computed yet.
    order : (n,) int64
        Ids of the inputs from top to bottom and from left to right.
    settings : dict
        Of the run.
    done : int
        Rows computed.
    model : torch.nn.Module or None
        The copy that it was computed with.
    """

    found: Any
    entries: Entries
    order: np.ndarray
    settings: dict[str, Any]
    done: int
    model: nn.Module | None = None

    @property
    def final(self) -> bool:
        """Whether all rows are in it."""
        return self.found is not None

    @cached_property
    def places(self) -> np.ndarray:
        """Where each input stands in the order, (n,) int64."""
        places = np.empty(len(self.order), dtype=np.int64)
        places[self.order] = np.arange(len(self.order))
        return places

    @property
    def is_cosine(self) -> bool:
        """Whether an entry lies from -1 to 1."""
        return self.kernel not in ("inner", "relative")

    @property
    def kernel(self) -> str:
        """Name of the similarity."""
        return str(getattr(self.found, "kernel", self.settings["kernel"]))

    @property
    def computed_with(self) -> dict[str, Any]:
        """The settings that the matrix was computed with."""
        return self.settings

    @property
    def drawn(self) -> Any:
        """The numbers that the matrix shows."""
        return self.entries.values

    @property
    def drawn_as(self) -> str:
        """What these are: the name of a similarity, or "difference"."""
        return self.kernel


class PictureMaker:
    """Makes pictures, and computes nothing twice; used on one thread only."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.forget()

    def picture(
        self,
        model: nn.Module | None,
        settings: dict[str, Any],
        key: Any,
        *,
        before: Picture | None,
        order: np.ndarray | None = None,
        progress: Progress,
        cancel: Cancel,
        publish: Callable[[Picture], None],
    ) -> Picture:
        """The picture for some settings.

        Parameters
        ----------
        model : torch.nn.Module or None
            The network; None for a store.
        settings : dict
            Of the widget.
        key : hashable
            Says which network it is: of the same one with the same settings nothing is computed again.
        before : Picture or None
            What is shown now: its order is kept while rows appear.
        order : (n,) int64, optional
            Ids of the inputs in the order wanted, where it is another than the settings say.
        publish : callable
            Called with pictures of the first rows.
        """
        if self.source.tiles is not None:
            found, entries = self.source.tiles, self._matrices.get("store", lambda: Entries.stored(self.source.tiles))
        else:
            found, entries, model = self._matrix(model, settings, key, before, order, progress, cancel, publish)
        if order is None:
            order = self._order(settings["order"], found, entries, progress, cancel)
        return Picture(found, entries, order, settings, entries.n, model)

    def forget(self) -> None:
        """Let go of all matrices."""
        kept = _KEPT_BYTES // (8 * self.source.samples.n**2)
        self._matrices, self._orders = Recent(max(4, min(kept, _KEPT))), Recent(max(12, _KEPT))

    # ---- the matrix

    def _matrix(
        self,
        model: nn.Module | None,
        settings: dict[str, Any],
        key: Any,
        before: Picture | None,
        order: np.ndarray | None,
        progress: Progress,
        cancel: Cancel,
        publish: Callable[[Picture], None],
    ) -> tuple[Any, Entries, nn.Module | None]:
        wanted = (key, *(settings[name] for name in COMPUTED))
        held = self._matrices.find(wanted)
        if held is None:
            if self.source.samples.n**2 * 8 > _KEPT_BYTES:
                self.forget()
            on_rows = self._shows_rows(settings, before, order, publish)
            found = self.similarity(model, settings, None, None, on_rows=on_rows, progress=progress, cancel=cancel)
            held = (found, Entries.held(found.values), model)
        self._matrices.put(wanted, held)
        return held  # type: ignore[no-any-return]

    def similarity(
        self, model: nn.Module | None, settings: dict[str, Any], rows: Any, columns: Any, **options: Any
    ) -> Any:
        """The kernel's result for all inputs, or for some rows and columns of the matrix."""
        from netgeom_widgets.kernels.similarity import similarity_matrix

        inputs = self.source.samples.inputs
        sides = (inputs,) if rows is None else (inputs[np.asarray(rows)], inputs[np.asarray(columns)])
        return similarity_matrix(model, *sides, **self.options(model, settings, rows, columns), **options)

    def options(
        self, model: nn.Module | None, settings: dict[str, Any], rows: Any = None, columns: Any = None
    ) -> dict[str, Any]:
        """Keywords of the kernel for some settings of the widget."""
        import torch

        return {
            "kernel": settings["kernel"],
            "output": self.source.output(settings["output"], rows, columns),
            "parameters": self.source.parameter_names(settings["parameters"], model),
            "dtype": torch.float64 if settings["precision"] == "float64" else None,
        }

    def _shows_rows(
        self,
        settings: dict[str, Any],
        before: Picture | None,
        order: np.ndarray | None,
        publish: Callable[[Picture], None],
    ) -> Callable[[int, int, np.ndarray], None] | None:
        """What takes rows while the kernel runs; they appear in the order shown before. None where memory is short."""
        n = self.source.samples.n
        if not has_memory(2 * n * n * 4):  # the kernel's matrix beside it
            return None
        values = np.full((n, n), np.nan, dtype=np.float32)
        if order is None:
            order = self._known_order(settings["order"])
        if order is None:
            order = before.order if before is not None else np.arange(n)

        due = 0.0

        def on_rows(start: int, stop: int, rows: np.ndarray) -> None:
            nonlocal due
            values[start:stop] = rows
            began = time.monotonic()
            if began >= due:
                publish(Picture(None, Entries.held(values), order, settings, stop))
                now = time.monotonic()
                due = now + _SHARE * (now - began)  # a large matrix takes seconds to draw

        return on_rows

    # ---- the order

    def _known_order(self, order: str) -> np.ndarray | None:
        """An order that needs no similarities."""
        samples = self.source.samples
        if order == "as given":
            return np.arange(samples.n)
        if order == "by class":
            known = samples.known
            on_scale = known.scale is not None and samples.labels is not None  # targets of a regression, no classes
            return np.argsort(samples.labels if on_scale else known.kinds, kind="stable")
        return None

    def _order(self, order: str, found: Any, entries: Entries, progress: Progress, cancel: Cancel) -> np.ndarray:
        known = self._known_order(order)
        if known is not None:
            return known

        def seriated() -> tuple[Any, np.ndarray]:
            from netgeom_widgets.kernels.similarity import seriate

            progress.update(text="putting similar inputs together")
            cancel.checkpoint()
            return found, np.asarray(seriate(entries.rows), dtype=np.int64)

        # the result is held too: an id is only good while its object lives
        return self._orders.get((id(found), order), seriated)[1]  # type: ignore[no-any-return]
