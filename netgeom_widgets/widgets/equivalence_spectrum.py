"""The singular spectrum at a point of the class: its dimension, how clearly it is seen, and what explains it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence_spectrum import SpectrumPicture
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.equivalence_local import PLACES, LocalSpaces, lacks_point, needed_of, point_of
from netgeom_widgets.widgets.equivalence_parts import ViewerParts
from netgeom_widgets.widgets.frame import remarks_html
from netgeom_widgets.widgets.part import Part, Publish

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

#: Dead units that get a line each.
_LISTED = 30


@dataclass(frozen=True, eq=False)
class Local:
    """What is known of one point of parameter space.

    Attributes
    ----------
    parameters : (P,) float64
    words : str
        What the point is called.
    space : NullSpace
    dead : tuple of DeadUnit
    note : str
        Why none could be looked for.
    """

    parameters: np.ndarray
    words: str
    space: Any
    dead: tuple[Any, ...]
    note: str


class SpectrumPart(Part):
    """Singular values, and the dimension in parts."""

    key = "spectrum"
    title = "Singular spectrum"
    tooltip = "Show the dimension of the class at a point, how clearly it is seen, and what explains it"
    options = ("spectrum_at", "element")

    def __init__(self, spaces: LocalSpaces, controls: Callable[[], list[ipywidgets.Widget]]) -> None:
        self._spaces, self._make_controls = spaces, controls

    def controls(self) -> list[ipywidgets.Widget]:
        """Where."""
        return self._make_controls()

    def needed(self, options: dict[str, Any]) -> dict[str, Any]:
        """The picked element only where the spectrum is taken there."""
        return needed_of(options, "spectrum_at")

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """A network, and an element where one is asked for."""
        return lacks_point(subject, options["spectrum_at"], options["element"])

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Local:
        """Null space and dead units."""
        parameters, words = point_of(subject, options["spectrum_at"], options["element"])
        space = self._spaces.at(subject, parameters, progress=progress, cancel=cancel)
        return Local(parameters, words, space, *_dead(subject, parameters))

    def make(self) -> LayoutDOM:
        """Values and bars."""
        self._figure = SpectrumPicture()
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """Dead units and remarks."""
        self._told = ipywidgets.HTML(layout={"max_width": "100%"})
        return [self._told]

    def draw(self, found: Local, subject: Picture) -> None:
        """Values, bars, dead units."""
        self._figure.show(found.space)
        self._told.value = remarks_html([*_dead_lines(found), *(f"{note.rstrip('.')}." for note in found.space.notes)])

    def words(self, found: Local, subject: Picture) -> str:
        """Dimension, gap, whether half the samples say the same."""
        return f"At {found.words}: {dimension_words(found.space)}."

    def arrays(self, found: Local) -> dict[str, Any]:
        """Singular values, dimension, what explains it."""
        space = found.space
        return {
            "parameters": found.parameters,
            "singular_values": space.singular_values,
            "bounds": np.array(space.bounds),
            "half_dimension": np.array(-1 if space.half_dimension is None else space.half_dimension),
            "threshold": np.array(space.threshold),
            "gap": np.array(space.gap),
            "kinds": np.array(list(space.explained), dtype=str),
            "explained": np.array(list(space.explained.values()), dtype=np.int64),
        }


class SpectrumPanel(ViewerParts):
    """The fold on the singular spectrum."""

    spectrum = traitlets.Bool(False, help="Whether the singular spectrum is shown.").tag(setting="mark")
    spectrum_at = traitlets.Enum(tuple(PLACES), "centre", help="Where the spectrum is taken.").tag(
        setting="draw", bar=True, label="At", texts=PLACES
    )

    def _make_parts(self) -> list[Part]:
        self._spaces = LocalSpaces()  # of the folds, which share a thread
        controls = lambda: [self._controls["spectrum_at"].box]  # type: ignore[attr-defined]  # noqa: E731
        return [*super()._make_parts(), SpectrumPart(self._spaces, controls)]


def dimension_words(space: Any) -> str:
    """The dimension of a null space, and how far it can be trusted."""
    low, high = space.bounds
    if space.estimated:
        return (
            f"the null space has dimension {low:,} to {high:,} of {space.n_parameters:,}; too large for a "
            f"factorisation, so it is matrix-free: the {len(space.singular_values)} largest singular values, and no gap"
        )
    words = f"the null space has dimension {low:,} of {space.n_parameters:,} on these {space.n_samples:,} samples"
    half = space.half_dimension
    words += ", the same on half of them" if half == low else f", but {half:,} on half of them: it is not settled"
    if low > 0 and np.isfinite(space.gap):
        words += f"; the least value kept is {number(space.gap)} times the largest dropped"
    parts = ", ".join(f"{count:,} {kind}" for kind, count in space.explained.items() if count)
    return f"{words}; {parts}" if parts else words


def _dead(picture: Picture, parameters: np.ndarray) -> tuple[tuple[Any, ...], str]:
    """Dead units, and why none could be looked for."""
    from netgeom_widgets.kernels.equivalence import dead_units

    try:
        return tuple(dead_units(picture.model, parameters, picture.source.inputs)), ""
    except NetgeomError as error:
        return (), f"Dead units are not looked for: {error}"


def _dead_lines(found: Local) -> list[str]:
    if found.note:
        return [found.note]
    if not found.dead:
        return ["No unit is dead on these samples."]
    lines = [f"Unit {unit.unit} of layer {unit.layer} ({unit.name}): {unit.kind}." for unit in found.dead[:_LISTED]]
    more = len(found.dead) - len(lines)
    return [f"{len(found.dead):,} dead:", *lines, *([f"and {more:,} more."] if more else [])]
