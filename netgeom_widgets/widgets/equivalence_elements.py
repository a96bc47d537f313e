"""The elements in a table and by their histories: which are in the class, and which are trivial copies of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from bokeh.models import Column, LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence_elements import ElementTable
from netgeom_widgets.figures.equivalence_history import HistoryPicture
from netgeom_widgets.widgets.equivalence_parts import ViewerParts
from netgeom_widgets.widgets.equivalence_plane import members
from netgeom_widgets.widgets.equivalence_words import counts_words
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.recent import Recent

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture


@dataclass(frozen=True, eq=False)
class Listed:
    """Elements, and which are copies.

    Attributes
    ----------
    elements : Elements
    distance : (n,) float64
        To the plane shown; NaN for those that are no numbers.
    clusters : Clusters or None
        Which members are trivial copies; None while, and where, it is not known.
    note : str
        Why it is not.
    """

    elements: Any
    distance: np.ndarray
    clusters: Any = None
    note: str = ""


class ElementsPart(Part):
    """A row and a line per element."""

    key = "element_table"
    title = "Elements"
    tooltip = "List the elements: which are in the class, which are copies of others, and how each was found"
    options = ("elements",)
    marks = ("element",)

    def __init__(self, go: Callable[[int], None]) -> None:
        self._go = go
        self._known = Recent(2)

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """Elements."""
        if subject.model is None:
            return "A grid that was given has no elements."
        found = options["elements"]
        return "" if found is not None and len(found) else "There are no elements: nothing was searched for or given."

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Listed:
        """Distances at once, then copies."""
        elements = options["elements"]
        listed = Listed(elements, subject.project(elements.parameters)[1])
        found = self._known.find(id(elements))
        if found is None:
            publish(listed)
            progress.update(text="looking for copies …")
            found = (*_clusters(subject, elements, progress, cancel), elements)  # an id is theirs while they are held
            cancel.checkpoint()
            self._known.put(id(elements), found)
        return Listed(elements, listed.distance, *found[:2])

    def make(self) -> LayoutDOM:
        """Histories over the table."""
        self._history, self._table = HistoryPicture(), ElementTable()
        self._history.on_element(self._go)
        self._table.on_pick(self._go)
        return Column(self._history.root, self._table.root, sizing_mode="stretch_width")

    def pictured(self, root: LayoutDOM) -> LayoutDOM | None:
        """The histories."""
        return self._history.root

    def draw(self, found: Listed, subject: Picture) -> None:
        """Histories and table."""
        self._history.show(found.elements)
        self._table.show(found.elements, distance=found.distance, clusters=_labels(found))

    def mark(self, marks: dict[str, Any]) -> None:
        """The picked element."""
        picked = marks["element"] if marks["element"] >= 0 else None
        self._history.pick(picked)
        self._table.pick(picked)

    def words(self, found: Listed, subject: Picture) -> str:
        """How many are in the class and how many of these are new; what became of the others."""
        return " ".join(filter(None, [counts_words(found.elements), _copies_words(found), found.note]))

    def arrays(self, found: Listed) -> dict[str, Any]:
        """Histories, clusters, dead units; the table itself is among the numbers of the slice."""
        elements = found.elements
        names = ("history", "history_iterations", "iterations", "dead_units", "start")
        arrays = {name: np.asarray(getattr(elements, name)) for name in names}
        return arrays if found.clusters is None else arrays | {"cluster": found.clusters.labels}


class ElementsPanel(ViewerParts):
    """The fold on the elements."""

    element_table = traitlets.Bool(False, help="Whether the elements are listed.").tag(setting="mark")

    def _make_parts(self) -> list[Part]:
        return [*super()._make_parts(), ElementsPart(self._pick_element)]


def _clusters(picture: Picture, elements: Any, progress: Progress, cancel: Cancel) -> tuple[Any, str]:
    """Which members are trivial copies of each other, and why that is not known."""
    from netgeom_widgets.kernels.equivalence import element_clusters

    if not len(members(elements)):
        return None, ""
    teacher = picture.problem.network.parameters.numpy() if picture.source.is_teacher else None
    try:
        found = element_clusters(picture.model, elements, reference=teacher, progress=progress, cancel=cancel)
    except NetgeomError as error:
        return None, f"Copies cannot be told from new elements: {error}"
    return found, ""


def _labels(found: Listed) -> np.ndarray | None:
    return None if found.clusters is None else found.clusters.labels


def _copies_words(found: Listed) -> str:
    clusters = found.clusters
    if clusters is None:
        return ""
    different, of_teacher = len(clusters), int(clusters.trivial.sum())
    copies = int(clusters.sizes.sum()) - different
    words = f"Members by the symmetries of the units: {different:,} different, {copies:,} trivial copies of these"
    copy = "none is a copy" if not of_teacher else "1 is a copy" if of_teacher == 1 else f"{of_teacher:,} are copies"
    return f"{words}; {copy} of the model itself."
