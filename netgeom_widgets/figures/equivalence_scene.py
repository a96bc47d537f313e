"""The picture of the equivalence slice viewer: a slice, or a line, and beside it the function at a point of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.models import Column

from netgeom_widgets.figures.equivalence_function import FunctionPicture
from netgeom_widgets.figures.equivalence_lines import LossLinePicture
from netgeom_widgets.figures.equivalence_marks import SliceElements
from netgeom_widgets.figures.equivalence_overlays import SliceCurve
from netgeom_widgets.figures.equivalence_slice import LossSlicePicture
from netgeom_widgets.figures.plots import wrapping_row

#: Pixels of the slice at most, and of either at least: beside each other where both have room, else stacked.
_SLICE, _FUNCTION, _LEAST = 640, 460, 330


class EquivalenceScene:
    """Slice and function in one Bokeh root; a slice along one direction is a line.

    Parameters
    ----------
    inputs, targets : (N, ...) and (N, C) float, optional
        Of the function; without them there is no picture of it.
    height : int
        Pixels of either, without legend and caption.

    Attributes
    ----------
    root : bokeh.models.Row
    plane : LossSlicePicture
    line : LossLinePicture
    function : FunctionPicture or None
    epsilon : float or None
    """

    def __init__(self, inputs: Any = None, targets: Any = None, height: int = 400) -> None:
        self.function = None if targets is None else FunctionPicture(inputs, targets, height - 60)
        self.plane, self.line = LossSlicePicture(height), LossLinePicture(height)
        self.line.root.visible = False
        self.epsilon: float | None = None
        self._one, self._axis = False, ""
        sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": _LEAST}
        parts = [Column(self.plane.root, self.line.root, max_width=_SLICE, **sizes)]
        if self.function is not None:
            parts.append(Column(self.function.root, max_width=_FUNCTION, **sizes))
        self.root = wrapping_row(*parts, spacing=8)

    def show_dimension(self, k: int) -> None:
        """Make room for a slice of one axis or of two; not in one message with new polygons."""
        if (k == 1) != self._one:
            self._one = k == 1
            self.plane.root.visible, self.line.root.visible = not self._one, self._one

    def show(
        self,
        loss_slice: Any,
        *,
        names: Sequence[str] | None,
        epsilon: float,
        partial: bool = False,
        note: str = "",
    ) -> None:
        """Show a slice of one axis or two; what was laid over the one before is taken away.

        ``partial``: NaN is what is not known yet.
        """
        self.epsilon = epsilon
        if self._one:
            self._axis = f"c1: {names[0]}" if names else "c1"
            self.line.show(loss_slice, epsilon=epsilon, label=self._axis, partial=partial, note=note)
        else:
            self.plane.show(loss_slice, names=names, epsilon=epsilon, partial=partial, note=note)

    def update(self, loss_slice: Any, note: str = "", *, partial: bool = False) -> None:
        """Show other values on the same axes; what is laid over them stays."""
        if self._one:
            self.line.show(loss_slice, label=self._axis, partial=partial, note=note)
        else:
            self.plane.update(loss_slice, note, partial=partial)

    def set_epsilon(self, epsilon: float) -> None:
        """Move the contour of epsilon; nothing else is sent."""
        self.epsilon = epsilon
        (self.line if self._one else self.plane).set_epsilon(epsilon)

    def draw_elements(self, elements: SliceElements | None) -> None:
        """Show elements on a plane."""
        if not self._one:
            self.plane.draw_elements(elements)

    def draw_curves(self, curves: Sequence[SliceCurve]) -> None:
        """Show curves on a plane."""
        if not self._one:
            self.plane.draw_curves(curves)

    def draw_directions(self, directions: Any, names: Sequence[str]) -> None:
        """Show directions on a plane."""
        if not self._one:
            self.plane.draw_directions(directions, names)

    def pick_element(self, element: int | None) -> None:
        """Ring an element, or none."""
        if not self._one:
            self.plane.pick_element(element)

    def mark_point(self, point: Sequence[float] | None) -> None:
        """Mark a point by its coordinates, or none."""
        if self._one:
            self.line.mark_point(None if point is None else point[0])
        else:
            self.plane.mark_point(point)

    def point_at(self, x: float, y: float) -> tuple[float, ...] | None:
        """Coordinates in the slice under a point of its plot; None outside."""
        if not self._one:
            return self.plane.point_at(x, y)
        axes = [one.axes[0] for one in self.line.slices.values()]
        return (x,) if axes and axes[0].min() <= x <= axes[0].max() else None

    def on_element(self, act: Callable[[int], None], *, double: bool = False) -> None:
        """Call with the number of an element that the user taps, or taps twice."""
        self.plane.on_element(act, double=double)

    def on_point(self, act: Callable[[tuple[float, ...]], None], *, double: bool = False) -> None:
        """Call with the coordinates that the user taps, or taps twice."""
        self.plane.on_point(act, double=double)
        self.line.on_point(lambda c: act((c,)), double=double)
