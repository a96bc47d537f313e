"""Mixin of the equivalence slice viewer: which element and which point are picked, and what can be done with them."""

from __future__ import annotations

from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.equivalence_panel import EquivalencePanel
from netgeom_widgets.widgets.equivalence_picture import Picture
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.equivalence_traits import ElementTrait, PointTrait


class Picking(traitlets.HasTraits):
    """An element or a point is picked, never both: each has the function beside the slice to itself."""

    element = ElementTrait(help="Number of the picked element, or -1.").tag(setting="mark")
    point = PointTrait(help="The picked point of the plane (c1, c2), or None.").tag(setting="mark")

    _source: Source
    _panel: EquivalencePanel
    _picture: Picture | None = None

    def _panel_of_picks(self) -> EquivalencePanel:
        """The controls that pick; made once."""
        self._panel = EquivalencePanel(
            go=self._go_element,
            step=self._step_element,
            center=self._center_here,
            forget=self._forget_picks,
            more=self._find_more_pressed,  # type: ignore[attr-defined]
            clear=lambda: setattr(self, "selection", ()),
        )
        grid = self._source.is_grid
        self._panel.offer(search=not grid and self._source.given is None, elements=not grid, centres=not grid)
        return self._panel

    # ---- what may be picked

    @traitlets.validate("element")
    def _check_element(self, proposal: Any) -> int:
        element, n = int(proposal["value"]), self._n_elements
        if n is not None and element >= n:
            expected = f"-1, or a number from 0 to {n - 1}" if n else "-1: there are no elements"
            raise NetgeomError("There is no such element.", expected=expected, got=str(element))
        return element

    @property
    def _n_elements(self) -> int | None:
        """How many there are to pick; None before that is known."""
        picture = self._picture
        if picture is None:
            return None
        return 0 if picture.elements is None else len(picture.elements.status)

    @traitlets.validate("point")
    def _check_point(self, proposal: Any) -> tuple[float, ...] | None:
        point, picture = proposal["value"], self._picture
        if point is not None and picture is not None and len(point) != len(picture.found.axes):
            k = len(picture.found.axes)
            raise NetgeomError("The point does not fit the slice.", expected=f"{k} coordinates", got=f"{len(point)}")
        return point  # type: ignore[no-any-return]

    @traitlets.observe("element")
    def _element_alone(self, change: Any) -> None:
        if change["new"] >= 0:
            self.point = None

    @traitlets.observe("point")
    def _point_alone(self, change: Any) -> None:
        if change["new"] is not None:
            self.element = -1

    def _carry_picks(self, before: Picture, now: Picture) -> None:
        """A point stays where it was while the plane does; an element while the elements do."""
        if self.point is not None and not _same_plane(before, now):
            self.point = None
        n = 0 if now.elements is None else len(now.elements.status)
        if self.element >= n:
            self.element = -1

    # ---- what is asked

    def _tapped_element(self, element: int) -> None:
        """Pick the element that was tapped, or nothing if it was picked."""
        self.element = -1 if element == self.element else element

    def _tapped_point(self, point: tuple[float, ...]) -> None:
        self.point = point

    def _go_element(self, element: Any) -> None:
        """Pick what was typed or chosen from the list."""
        try:
            self.element = element
        except (NetgeomError, traitlets.TraitError) as error:
            no_number = NetgeomError("Elements are whole numbers from 0.", got=str(element))
            self._say(str(no_number if isinstance(error, traitlets.TraitError) else error))  # type: ignore[attr-defined]
            self._redraw_marks()  # type: ignore[attr-defined]  # the box shows what is picked again

    def _step_element(self, by: int) -> None:
        """Go to the next element."""
        n = self._n_elements
        if n:
            self.element = (0 if by > 0 else n - 1) if self.element < 0 else (self.element + by) % n

    def _forget_picks(self) -> None:
        self.element, self.point = -1, None

    def _center_here(self) -> None:
        """Have the plane begin at the picked element or point."""
        if self.element >= 0:
            self._center_at(self.element)
        elif self.point is not None:
            self._center_at(self.point)

    def _center_at(self, place: int | tuple[float, ...]) -> None:
        """Have the plane begin at an element or a point of it, where it is known what that is."""
        picture = self._picture
        if isinstance(place, int):
            self.center = place
        elif picture is not None and picture.plane is not None:
            self.center = tuple(picture.parameters_at(place).tolist())

    # ---- what is known

    def parameters_at(self, point: Any) -> Any:
        """Parameters (P,) float64 at a point (c1, c2) of the slice that is shown.

        Raises
        ------
        NetgeomError
            Before the first run has ended, for a grid that was given, and for another number of coordinates.
        """
        picture: Picture = self._finished()  # type: ignore[attr-defined]
        if picture.plane is None:
            raise NetgeomError("Nothing is known of where this grid lies.", expected="a model and inputs, not a grid")
        checked = PointTrait().validate(self, point)
        if checked is None or len(checked) != len(picture.found.axes):
            k, got = len(picture.found.axes), "None" if checked is None else f"{len(checked)}"
            raise NetgeomError("The point does not fit the slice.", expected=f"{k} coordinates", got=got)
        return picture.parameters_at(checked)


def _same_plane(before: Picture, now: Picture) -> bool:
    if before.plane is None or now.plane is None:
        return before.plane is now.plane
    pairs = ((before.center, now.center), (before.basis, now.basis))
    return all(one.shape == other.shape and bool((one == other).all()) for one, other in pairs)
