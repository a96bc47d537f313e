"""The slice beside another one, in one colour scale: members against non-members, plain against profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence_comparison import ComparisonPicture
from netgeom_widgets.widgets.equivalence_local import reach_of
from netgeom_widgets.widgets.equivalence_parts import ViewerParts
from netgeom_widgets.widgets.equivalence_plane import Plane, members
from netgeom_widgets.widgets.equivalence_space import evaluated, grid_arrays, plane_like
from netgeom_widgets.widgets.part import Part, Publish

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

#: What the slice may be shown beside: as the menu says it, and as the title does.
COMPARED = {
    "others": ("a plane through elements outside of the class", "Through elements outside of the class"),
    "members": ("a plane through members of the class", "Through members of the class"),
    "null": ("a plane of null directions", "Null directions"),
    "top": ("a plane of top Gauss-Newton directions", "Top Gauss-Newton directions"),
    "random": ("a random plane, filter normalised", "Random, filter normalised"),
    "profile": ("the same plane, least R over all other parameters", "Least R over the other parameters"),
}
_PLAIN = "The same plane, R itself"
#: Planes that elements span.
_OF_ELEMENTS = ("members", "others")
#: Points along an axis of the other slice at most; a profile solves a least-squares problem at each.
_MOST_PLAIN, _MOST_PROFILE = 61, 25
#: Values of R whose share of the points is told.
_TOLD = (1e-4, 1e-2)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two slices.

    Attributes
    ----------
    this, other : LossSlice
    names : two tuples of str
        What each row of either basis is.
    titles : (str, str)
    other_plane : Plane
    """

    this: Any
    other: Any
    names: tuple[tuple[str, ...], tuple[str, ...]]
    titles: tuple[str, str]
    other_plane: Plane


class ComparisonPart(Part):
    """Two slices beside each other."""

    key = "comparison"
    title = "Comparison"
    tooltip = "Show another slice beside this one, in the same colours"
    options = ("compare_with",)
    marks = ("epsilon",)

    def __init__(self, controls: Callable[[], list[ipywidgets.Widget]]) -> None:
        self._make_controls = controls

    def controls(self) -> list[ipywidgets.Widget]:
        """With what."""
        return self._make_controls()

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """A plane, and elements where these span the other one."""
        if subject.model is None:
            return "A grid that was given has no network."
        if len(subject.basis) != 2:
            return "A line is not compared: choose two dimensions."
        wanted = options["compare_with"]
        if wanted not in _OF_ELEMENTS:
            return ""
        n = len(_of_kind(subject, wanted))
        what = "members of the class" if wanted == "members" else "elements outside of the class"
        return "" if n > 1 else f"A plane takes two {what}; there {'is 1' if n else 'are none'}."

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Pair:
        """The other slice."""
        from netgeom_widgets.kernels import equivalence

        wanted, is_profile = options["compare_with"], bool(subject.settings["profile"])
        profile = (wanted == "profile") is not is_profile  # another plane as this one is shown, this one the other way
        plane = self._plane(subject, wanted, profile, progress, cancel)
        evaluate = equivalence.relative_profile_slice if profile else equivalence.relative_loss_slice
        other = evaluated(evaluate, subject, plane, progress=progress, cancel=cancel)
        title = _PLAIN if wanted == "profile" and is_profile else COMPARED[wanted][1]
        return Pair(subject.found, other, (subject.names or ("", ""), plane.names), ("The slice above", title), plane)

    def _plane(self, picture: Picture, wanted: str, profile: bool, progress: Progress, cancel: Cancel) -> Plane:
        points = min(_MOST_PROFILE if profile else _MOST_PLAIN, picture.settings["resolution"])
        if wanted == "profile":
            axes = tuple(np.linspace(axis[0], axis[-1], points) for axis in picture.found.axes)
            return Plane(picture.center, picture.basis, axes, picture.names or ("", ""), ())
        spanning = _of_kind(picture, wanted) if wanted in _OF_ELEMENTS else ()
        kind = "differences" if wanted in _OF_ELEMENTS else wanted
        changed = {"plane": kind, "spanning": spanning, "dimension": 2, "resolution": points}
        changed["half_width"] = reach_of(picture)  # shares of the points mean the same only at one size
        return plane_like(picture, changed, progress=progress, cancel=cancel)

    def make(self) -> LayoutDOM:
        """Two slices."""
        self._figure = ComparisonPicture()
        return self._figure.root

    def draw(self, found: Pair, subject: Picture) -> None:
        """Both, in one scale."""
        self._figure.show(found.this, found.other, titles=found.titles, names=found.names)

    def mark(self, marks: dict[str, Any]) -> None:
        """Epsilon: nothing is evaluated."""
        self._figure.set_epsilon(marks["epsilon"])

    def words(self, found: Pair, subject: Picture) -> str:
        """How much of each is near the class."""
        pairs = [(bound, *(_share(one, bound) for one in (found.this, found.other))) for bound in _TOLD]
        told = [f"R up to {bound:g}: {here} of the points above, {there} of these" for bound, here, there in pairs]
        return f"{found.titles[1]}. {'; '.join(told)}."

    def arrays(self, found: Pair) -> dict[str, Any]:
        """The other slice."""
        return grid_arrays(found.other, found.other_plane)


class ComparisonPanel(ViewerParts):
    """The fold on another slice."""

    comparison = traitlets.Bool(False, help="Whether another slice is shown beside this one.").tag(setting="mark")
    compare_with = traitlets.Enum(tuple(COMPARED), "null", help="Which slice is shown beside this one.").tag(
        setting="draw", bar=True, label="Beside", texts={name: text for name, (text, _) in COMPARED.items()}
    )

    def _make_parts(self) -> list[Part]:
        controls = lambda: [self._controls["compare_with"].box]  # type: ignore[attr-defined]  # noqa: E731
        return [*super()._make_parts(), ComparisonPart(controls)]


def _of_kind(picture: Picture, wanted: str) -> tuple[int, ...]:
    """Numbers of the elements in the class, or of those outside, the best first."""
    elements = picture.elements
    if elements is None:
        return ()
    inside = np.isin(np.arange(len(elements.status)), members(elements))
    chosen = np.flatnonzero(inside if wanted == "members" else ~inside & np.isfinite(elements.parameters).all(axis=1))
    return tuple(chosen[np.argsort(elements.relative_loss[chosen], kind="stable")].tolist())


def _share(found: Any, bound: float) -> str:
    """Which part of the points has so small a loss, in words."""
    return f"{100 * float((found.relative_loss <= bound).mean()):.3g} %"
