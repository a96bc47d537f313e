"""A slice of the loss through the space of parameters: log10 R with contours, elements, and what is laid over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_marks import (
    STATUSES,
    ElementMarks,
    SliceElements,
    element_words,
)
from netgeom_widgets.figures.equivalence_overlays import CURVES, CurveMarks, DirectionMarks, SliceCurve
from netgeom_widgets.figures.equivalence_plane import SlicePlane
from netgeom_widgets.figures.equivalence_raster import LossRaster
from netgeom_widgets.figures.equivalence_scale import EPSILON, as_epsilon, quantity, scale_words
from netgeom_widgets.figures.equivalence_words import (
    axis_names,
    epsilon_words,
    kind_of,
    profile_words,
    reference_words,
    zero_value,
)
from netgeom_widgets.figures.plots import KeyLegend, add_caption, literal, make_plot, number, say
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import PICKED

#: Entries of the legend at most: statuses, kinds of curves, images, contour, centre, directions.
_ENTRIES = len(STATUSES) + len(CURVES) + 4
#: Pixels of the legend across, of a line of words below the plot, and of all at most.
_LEGEND, _LINE, _MOST = 430, 15, 600
_CENTRE = ("centre", "#808080", "cross")
_BELOW = "\N{LESS-THAN OR EQUAL TO} \N{GREEK SMALL LETTER EPSILON} (hatched)"


class LossSlicePicture:
    """A slice with two axes or more, of which two are shown; ``root`` is its plot.

    Parameters
    ----------
    height : int
        Pixels, without the legend and the caption; with these at most 600.

    Attributes
    ----------
    plane : SlicePlane or None
        Which of its axes are shown, and at which point of the others.
    raster : LossRaster
        Image and contours.
    epsilon : float or None
    """

    def __init__(self, height: int = 400, **options: Any) -> None:
        self.plane: SlicePlane | None = None
        self.epsilon: float | None = None
        self._height = height
        self._elements: SliceElements | None = None
        self._epsilon_said = self._elements_said = self._curves_said = self._point_said = self._note = ""
        ends = {name: Range1d(0, 1, reset_start=0, reset_end=1) for name in ("x_range", "y_range")}
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "loss slice"} | options
        self.root = make_plot(height, **{**ends, **options})
        self.root.grid.visible = False
        self.raster = LossRaster(self.root)
        self._curves, self._directions = CurveMarks(self.root), DirectionMarks(self.root)
        self._cross = self._add_cross("#ffffff", "cross", 14)
        self._marks = ElementMarks(self.root)
        self._point = self._add_cross(PICKED, "x", 12)
        self._legend = KeyLegend(self.root, "below", width=_LEGEND, room=_ENTRIES)
        self._caption = add_caption(self.root)

    @property
    def limits(self) -> tuple[float, float]:
        """log10 values at the ends of the colours."""
        return self.raster.limits

    # -- drawing --------------------------------------------------------------------------------------------------

    def show(
        self,
        loss_slice: Any,
        *,
        names: Sequence[str] | None = None,
        axes: tuple[int, int] = (0, 1),
        at: Mapping[int, int] | None = None,
        epsilon: float | None = None,
        limits: tuple[float, float] | None = None,
        partial: bool = False,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show a slice; what was laid over the one before is taken away.

        Parameters
        ----------
        loss_slice : LossSlice
            Of two axes or more. The first axis of its arrays belongs to the first row of the basis.
        names : sequence of str, optional
            What each row of the basis is: "towards element 1".
        axes : (int, int)
            Axes across and up.
        at : mapping of int to int, optional
            Point along each further axis; the middle by default.
        epsilon : float, optional
            Its contour is drawn strong, and the set below it veiled; by default the one set before.
        limits : (float, float), optional
            log10 values at the ends of the colours; by default see `scale_limits`.
        partial : bool
            Whether NaN is what is not known yet: it is drawn as the nearest known point.
        title, note : str, optional
            Above, and said below.

        Raises
        ------
        NetgeomError
            For axes that are not evenly spaced, arrays that do not fit them, and fewer axes than two.
        """
        plane = SlicePlane.of(loss_slice, axes, at)
        called = axis_names(plane.k, names)
        self.plane = plane
        self.raster.draw(plane, limits, partial=partial)
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = (called[axis] for axis in plane.axes)
        default = f"{kind_of(loss_slice)} of the {quantity(plane.letter)}"
        self.root.title.text = default if title is None else literal(title)
        self._note = literal(note)
        self._elements, self._elements_said, self._curves_said = None, "", ""
        self._marks.clear()
        self._curves.draw([], 1.0)
        self._directions.draw(np.zeros(2), np.empty((0, 2)), [], 1.0)
        self.mark_centre((0.0,) * plane.k)
        self._point_said = ""
        self._point.data = {"x": [], "y": []}
        self.set_epsilon(self.epsilon if epsilon is None else epsilon)

    def update(self, loss_slice: Any, note: str | None = None, *, partial: bool = False) -> None:
        """Show other values on the same axes, such as those that are known so far; what is laid over it stays."""
        if self.plane is None:
            raise NetgeomError("There is no slice to update.", try_this="show")
        self.plane = SlicePlane.of(loss_slice, self.plane.axes, self.plane.at)
        self.raster.draw(self.plane, None, partial=partial)
        self._note = self._note if note is None else literal(note)
        self.set_epsilon(self.epsilon)

    def clear(self, why: str) -> None:
        """Show no slice, but why there is none."""
        self.plane = self._elements = None
        self.raster.clear()
        for source in (self._cross, self._point):
            source.data = {"x": [], "y": []}
        self._marks.clear()
        self._curves.draw([], 1.0)
        self._legend.set([])
        say(self._caption, why)

    def set_epsilon(self, epsilon: float | None) -> None:
        """Move the strong contour; only contours are sent, nothing is evaluated. None draws none."""
        self.epsilon = as_epsilon(epsilon)
        self.raster.draw_epsilon(epsilon)
        plane, self._epsilon_said = self.plane, ""
        if plane is not None and epsilon is not None:
            zero = zero_value(plane.loss_slice, plane.letter)
            self._epsilon_said = epsilon_words(plane.grid.values, epsilon, plane.letter, zero)
        self._say()

    def draw_elements(self, elements: SliceElements | None) -> None:
        """Show elements with their status and their distance to the plane; None shows none."""
        self._elements, self._elements_said = elements, ""
        plane = self.plane
        if plane is None or elements is None:
            self._marks.clear()
        else:
            points, distance = plane.seen(elements.coordinates, elements.distance)
            self._marks.draw(elements, points, distance, plane.reach)
            profile, outside = kind_of(plane.loss_slice) == "Profile", plane.outside(points)
            self._elements_said = " ".join(element_words(elements, distance, plane.reach, outside, profile=profile))
        self._say()

    def draw_curves(self, curves: Sequence[SliceCurve]) -> None:
        """Show curves of parameters, fainter where they are farther from the plane; none takes them away."""
        plane = self.plane
        seen = [] if plane is None else [(curve, *plane.seen(curve.coordinates, curve.distance)) for curve in curves]
        reach = 1.0 if plane is None else plane.reach
        self._curves.draw(seen, reach)
        far = max((float(distance.max(initial=0.0)) for _, _, distance in seen), default=0.0)
        off = far > 1e-6 * reach
        self._curves_said = (
            f"Curves are projections: fainter farther from the plane (up to {number(far)})." if off else ""
        )
        self._say()

    def draw_directions(self, directions: Float[np.ndarray, "d k"], names: Sequence[str], origin: Any = None) -> None:
        """Show directions by their coordinates in an orthonormal basis; a part outside the plane makes them shorter."""
        vectors = np.asarray(directions, dtype=float)
        plane = self.plane
        if plane is None or vectors.shape != (len(names), plane.k):
            raise NetgeomError(
                "The directions are not those of this slice.", expected="(names, axes) coordinates",
                got=f"shape {vectors.shape}, {len(names)} names",
            )  # fmt: skip
        at = np.zeros(2) if origin is None else np.array(plane.place_of(origin))
        self._directions.draw(at, vectors[:, list(plane.axes)], names, plane.reach)
        self._say()

    # -- marks ----------------------------------------------------------------------------------------------------

    def pick_element(self, element: int | None) -> None:
        """Ring an element, or none."""
        self._marks.pick(element)

    def mark_centre(self, point: Sequence[float] | None) -> None:
        """Mark where the centre is, by its coordinates; None marks nothing."""
        self._cross.data = self._one(point)

    def mark_point(self, point: Sequence[float] | None, words: str = "") -> None:
        """Mark a point that the user chose, by its coordinates, and say something about it; None marks nothing."""
        self._point.data = self._one(point)
        self._point_said = literal(words) if point is not None else ""
        self._say()

    def on_element(self, act: Callable[[int], None], *, double: bool = False) -> None:
        """Call with the number of an element that the user taps, or taps twice."""
        on_tap(self.root, self._marks.at, act, double=double)

    def on_point(self, act: Callable[[tuple[float, ...]], None], *, double: bool = False) -> None:
        """Call with the coordinates of a point that the user taps, or taps twice, where no element is."""

        def beside(event: Tap) -> tuple[float, ...] | None:
            return self.point_at(event.x, event.y) if self._marks.at(event) is None else None

        on_tap(self.root, beside, act, double=double)

    def point_at(self, x: float | None, y: float | None) -> tuple[float, ...] | None:
        """Coordinates, all of them, at a point of the plot; None outside of the picture."""
        return None if self.plane is None else self.plane.point_at(x, y)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _add_cross(self, colour: str, marker: str, size: int) -> ColumnDataSource:
        source = ColumnDataSource({"x": [], "y": []})
        for ink, width in (("#101010", 5.0), (colour, 2.2)):
            self.root.scatter("x", "y", source=source, marker=marker, size=size, line_color=ink, line_width=width)
        return source

    def _one(self, point: Sequence[float] | None) -> dict[str, list[float]]:
        if point is None or self.plane is None:
            return {"x": [], "y": []}
        x, y = self.plane.place_of(point)
        return {"x": [x], "y": [y]}

    def _entries(self, plane: SlicePlane) -> list[tuple[str, str, str]]:
        """What is drawn, for the legend."""
        entries = [] if self._elements is None else self._elements.legend
        if len(self.raster.strong.data["xs"]):
            entries.append((f"{plane.letter} {_BELOW}", EPSILON, "dash"))
        if len(self._cross.data["x"]):
            entries.append(_CENTRE)
        return [*entries, *self._curves.legend, *self._directions.legend]

    def _say(self) -> None:
        plane, logs = self.plane, self.raster.logs
        if plane is None or logs is None:
            return
        self._legend.set(self._entries(plane))
        facts = (plane.words, profile_words(plane.loss_slice), *reference_words(plane.loss_slice, plane.letter))
        scale = scale_words(logs.values, self.raster.limits, plane.letter)
        said = (self._point_said, self._epsilon_said, *scale, self._elements_said, self._curves_said)
        say(self._caption, *said, *facts, self._note)
        lines = self._caption.text.count("\n") + self._legend.rows
        self.root.height = min(self._height + _LINE * lines, max(_MOST, self._height))
