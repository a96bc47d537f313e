"""The epsilon set of a slice in three dimensions: stacked contours, and points that are turned by two angles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence import seen_elements
from netgeom_widgets.figures.equivalence_space import MODES, EpsilonSpace
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.controls import narrow
from netgeom_widgets.widgets.equivalence_parts import ViewerParts
from netgeom_widgets.widgets.equivalence_plane import Plane, make_plane
from netgeom_widgets.widgets.part import NothingToShowError, Part, Publish
from netgeom_widgets.widgets.recent import Recent

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

#: Slices that are kept: going back to one computes nothing.
_KEPT = 4


class WiderSlices:
    """Slices of more directions than the picture has; the last few are kept; of use on one thread."""

    def __init__(self) -> None:
        self._known = Recent(_KEPT)

    def of(self, picture: Picture, k: int, points: int, *, progress: Progress, cancel: Cancel) -> tuple[Any, Plane]:
        """A slice of k directions, the first of which are those of the picture, with so many points along each.

        Raises
        ------
        NothingToShowError
            Where what spans the plane has not so many directions, and where the grid does not fit into memory.
        """
        from netgeom_widgets.kernels.equivalence import relative_loss_slice

        spanning = picture.settings["spanning"]
        changed = {"dimension": k, "resolution": points, "spanning": spanning if len(spanning) >= k else ()}
        plane = plane_like(picture, changed, progress=progress, cancel=cancel)
        if len(plane.basis) < k:
            raise NothingToShowError(f"What spans the plane has {len(plane.basis)} directions, not {k}.")
        where = (plane.center, plane.basis, *plane.axes)
        key = (picture.problem.network.digest, *(array.tobytes() for array in where))
        found = self._known.find(key)
        if found is None:
            found = evaluated(relative_loss_slice, picture, plane, progress=progress, cancel=cancel)
            self._known.put(key, found)
        return found, plane


def plane_like(picture: Picture, changed: dict[str, Any], *, progress: Progress, cancel: Cancel) -> Plane:
    """The plane of the picture with some settings changed; raises NothingToShowError where there is none."""
    assert picture.model is not None  # noqa: S101  # the parts say that a grid has none
    settings = {**picture.settings, **changed}
    given = (picture.source, picture.model, picture.problem.network, picture.elements, settings)
    try:
        return make_plane(*given, progress=progress, cancel=cancel)
    except NetgeomError as error:
        raise NothingToShowError(str(error)) from error


def evaluated(
    evaluate: Callable[..., Any], picture: Picture, plane: Plane, *, progress: Progress, cancel: Cancel
) -> Any:
    """The slice of a plane by a kernel; raises NothingToShowError where it is too large."""
    source, where = picture.source, (plane.center, plane.basis, plane.axes)
    try:
        return evaluate(picture.model, source.inputs, source.targets, *where, progress=progress, cancel=cancel)
    except TooLargeError as error:
        raise NothingToShowError(str(error)) from error


class SpacePart(Part):
    """Stacked contours and turned points."""

    key = "space"
    title = "Three dimensions"
    tooltip = "Show the epsilon set of a slice in three directions: its contours one above the other, and its points"
    options = ("space_points",)
    marks = ("epsilon", "space_mode", "azimuth", "elevation", "element")

    def __init__(self, slices: WiderSlices, controls: Callable[[], list[ipywidgets.Widget]]) -> None:
        self._slices, self._make_controls = slices, controls

    def controls(self) -> list[ipywidgets.Widget]:
        """Points, and the two angles."""
        return self._make_controls()

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """A network of three parameters."""
        return lacks_directions(subject, 3)

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> tuple[Any, Plane]:
        """The loss on the grid."""
        return self._slices.of(subject, 3, options["space_points"], progress=progress, cancel=cancel)

    def make(self) -> LayoutDOM:
        """Contours and points."""
        self._figure = EpsilonSpace()
        return self._figure.root

    def draw(self, found: tuple[Any, Plane], subject: Picture) -> None:
        """Contours and points."""
        space, plane = found
        self._figure.show(space, names=plane.names)
        self._figure.draw_elements(None if subject.elements is None else seen_elements(subject.elements, space))
        self._drawn: tuple[Any, ...] = ()

    def mark(self, marks: dict[str, Any]) -> None:
        """Epsilon, the way it is drawn, and the angles: nothing is evaluated, and what stays is not sent again."""
        drawn = (marks["epsilon"], marks["space_mode"])
        if drawn != self._drawn:
            self._figure.set_epsilon(*drawn)
            self._drawn = drawn
        if (view := (marks["azimuth"], marks["elevation"])) != (self._figure.view.azimuth, self._figure.view.elevation):
            self._figure.set_view(*view)
        self._figure.pick_element(marks["element"] if marks["element"] >= 0 else None)

    def words(self, found: tuple[Any, Plane], subject: Picture) -> str:
        """The grid and its least loss."""
        return grid_words(found[0])

    def arrays(self, found: tuple[Any, Plane]) -> dict[str, Any]:
        """The grid."""
        return grid_arrays(*found)


class SpacePanel(ViewerParts):
    """The fold on three dimensions."""

    space = traitlets.Bool(False, help="Whether a slice in three directions is shown.").tag(setting="mark")
    space_points = traitlets.Int(17, min=5, max=81, help="Points along each of the three directions.").tag(
        setting="draw", bar=True, label="Points", control=narrow(ipywidgets.BoundedIntText, 120, min=5, max=81)
    )
    space_mode = traitlets.Enum(
        MODES, "points", help="Draw the points of the set, or its contours layer by layer."
    ).tag(setting="draw", bar=True, label="as", texts={"points": "points", "contours": "stacked contours"})
    azimuth = traitlets.Float(35.0, min=-180.0, max=180.0, help="Degrees that the cube is turned about c3.").tag(
        setting="draw", bar=True, label="Azimuth (°)", step=1.0
    )
    elevation = traitlets.Float(25.0, min=-90.0, max=90.0, help="Degrees above the plane of c1 and c2 seen from.").tag(
        setting="draw", bar=True, label="Elevation (°)", step=1.0
    )

    def _make_parts(self) -> list[Part]:
        self._wider_slices = WiderSlices()
        return [*super()._make_parts(), SpacePart(self._wider_slices, self._space_controls)]

    def _space_controls(self) -> list[ipywidgets.Widget]:
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        return [controls[name].box for name in ("space_points", "space_mode", "azimuth", "elevation")]


def lacks_directions(picture: Picture, k: int) -> str:
    """Why there is no slice of so many directions; empty where there may be one."""
    if picture.model is None:
        return "A grid that was given has no network."
    p = picture.problem.network.n_parameters
    return "" if p >= k else f"The network has {p} parameters: no slice has {k} directions."


def grid_words(found: Any) -> str:
    """The size of a slice, and its least relative loss."""
    size = " x ".join(str(len(axis)) for axis in found.axes)
    known = found.relative_loss[np.isfinite(found.relative_loss)]
    if not known.size:
        return f"{size} points, all without a finite loss."
    return f"{size} points; the least R is {number(float(known.min()))}. Epsilon is that of the slice above."


def grid_arrays(found: Any, plane: Plane) -> dict[str, Any]:
    """A slice in more directions, and where it lies."""
    axes = {f"axis_{at}": axis for at, axis in enumerate(found.axes)}
    return {
        "loss": found.loss, "relative_loss": found.relative_loss, "center": found.center, "basis": found.basis,
        "names": np.array(plane.names, dtype=str), **axes,
    }  # fmt: skip
