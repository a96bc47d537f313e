"""Mixin of the equivalence slice viewer: elements and curves of parameter space, projected onto the slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import traitlets

from netgeom_widgets.figures.equivalence import seen_elements
from netgeom_widgets.figures.equivalence_overlays import SliceCurve
from netgeom_widgets.widgets.equivalence_picture import Picture
from netgeom_widgets.widgets.equivalence_source import Source


@dataclass(frozen=True, eq=False)
class ParameterCurve:
    """A curve through parameter space.

    Attributes
    ----------
    points : (m, P) float64
    kind : {"class", "closed form", "orbit", "path", "image"}
        How it is drawn and what the legend calls it.
    name : str
        For the hover box.
    """

    points: np.ndarray
    kind: str
    name: str = ""


class Overlays(traitlets.HasTraits):
    """What is laid over the slice: the curves given, and what parts below the figure add by :meth:`_overlay`."""

    _source: Source
    _figure: Any
    _laid: dict[str, tuple[tuple[ParameterCurve, ...], dict[str, np.ndarray]]]
    _laid_drawn: Any = None
    _elements_drawn: Any = None

    def _overlay(
        self, key: str, curves: Sequence[ParameterCurve] = (), directions: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Lay curves and unit directions (P,) by name over the slice, or with neither take away what had this key.

        May be called on any thread; they are projected onto whatever slice is shown.
        """
        laid = dict(self.__dict__.get("_laid", {}))
        laid.pop(key, None)
        if curves or directions:
            laid[key] = tuple(curves), dict(directions or {})
        self._laid = laid
        self._redraw_marks()  # type: ignore[attr-defined]

    def _draw_elements(self, picture: Picture) -> None:
        """Show the elements where the slice has changed; called with the lock held, in a batch."""
        drawn = (picture.plane, picture.elements)
        if self._elements_drawn == drawn:
            return
        self._elements_drawn, self._laid_drawn = drawn, None
        elements = picture.elements
        self._figure.draw_elements(None if elements is None else seen_elements(elements, picture.found))

    def _draw_overlays(self, picture: Picture) -> None:
        """Project curves and directions; called with the lock held, in a batch."""
        laid = self.__dict__.setdefault("_laid", {})
        drawn = self._laid_drawn
        if picture.plane is None or (drawn is not None and drawn[0] is picture.plane and drawn[1] is laid):
            return
        self._laid_drawn = (picture.plane, laid)
        curves = [ParameterCurve(points, "closed form", name) for name, points in self._source.curves.items()]
        directions: dict[str, np.ndarray] = {}
        for more, named in laid.values():
            curves += more
            directions |= named
        self._figure.draw_curves(
            [SliceCurve(*picture.project(curve.points), curve.kind, curve.name) for curve in curves]  # type: ignore[arg-type]
        )
        at = np.empty((0, len(picture.basis)))
        if directions:
            at = picture.project(picture.center + np.stack(list(directions.values())))[0]
        self._figure.draw_directions(at, list(directions))
