"""A slice of the loss through the space of parameters: log10 R with contours, elements, and what is laid over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import BasicTicker, ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_marks import (
    STATUSES,
    ElementMarks,
    SliceElements,
    element_words,
    status_look,
    status_name,
)
from netgeom_widgets.figures.equivalence_overlays import CURVES, CurveMarks, DirectionMarks, SliceCurve
from netgeom_widgets.figures.equivalence_scale import (
    EPSILON,
    FLOOR,
    EvenGrid,
    contour_levels,
    log_loss,
    quantity,
    scale_limits,
    scale_words,
    slice_values,
    with_nearest,
)
from netgeom_widgets.figures.order_retraction_raster import slice_of
from netgeom_widgets.figures.plots import (
    KeyLegend,
    add_caption,
    add_colour_bar,
    fit_range,
    literal,
    make_plot,
    number,
    say,
)
from netgeom_widgets.figures.taps import on_tap
from netgeom_widgets.figures.theme import PICKED

#: Entries of the legend at most: statuses, kinds of curves, images, contour, centre, directions.
_ENTRIES = len(STATUSES) + len(CURVES) + 4
_PLACE = ("image", "x", "y", "dw", "dh")
#: Pixels of the legend across, of a line of words below the plot, and of all at most.
_LEGEND, _LINE, _MOST = 430, 15, 600
_CENTRE = ("centre", "#808080", "cross")
_VALUE = "return Number.isFinite(value) ? (10 ** value).toExponential(2) : 'no finite number'"


class LossSlicePicture:
    """A slice with two axes or more, of which two are shown; ``root`` is its plot.

    Parameters
    ----------
    height : int
        Pixels, without the legend and the caption; with these at most 600.

    Attributes
    ----------
    slice : LossSlice or None
        What is shown: an object with ``loss``, ``relative_loss`` (or None), ``axes``, ``basis`` and ``zero_loss``.
    axes : (int, int)
        Its axes across and up.
    at : dict of int to int
        Point along each further one.
    limits : (float, float)
        log10 values at the ends of the colours.
    epsilon : float or None
    """

    def __init__(self, height: int = 400, **options: Any) -> None:
        self.slice: Any = None
        self.axes: tuple[int, int] = (0, 1)
        self.at: dict[int, int] = {}
        self.limits: tuple[float, float] = (-1.0, 0.0)
        self.epsilon: float | None = None
        self._grid: EvenGrid | None = None
        self._plane: Float[np.ndarray, "m n"] = np.empty((0, 0))
        self._names: list[str] = []
        self._letter, self._height = "R", height
        self._elements: SliceElements | None = None
        self._epsilon_said = self._elements_said = self._curves_said = self._point_said = self._note = ""
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset"), "name": "loss slice"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.grid.visible = False
        self._add_image()
        self._add_contours()
        self._curves, self._directions = CurveMarks(self.root), DirectionMarks(self.root)
        self._cross = self._add_cross("#ffffff", "cross", 14)
        self._marks = ElementMarks(self.root)
        self._point = self._add_cross(PICKED, "x", 12)
        self._legend = KeyLegend(self.root, "below", width=_LEGEND, room=_ENTRIES)
        self._caption = add_caption(self.root)

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
        values, letter = slice_values(loss_slice)
        k = len(loss_slice.axes)
        if k < 2 or values.ndim != k:
            raise NetgeomError(
                "The slice has no plane to show.", expected="two axes or more, and as many of the array",
                got=f"{k} axes, shape {values.shape}", try_this="LossLinePicture for a slice along one direction",
            )  # fmt: skip
        pair, places = slice_of(values.shape, axes, at)
        plane = self._cut(loss_slice, pair, places)  # refuses before anything is changed
        self.slice, self._letter, self.axes, self.at = loss_slice, letter, pair, places
        self._names = axis_names(k, names)
        self._draw_image(plane, limits, partial)
        self._label(title)
        self._note = literal(note)
        self._elements, self._elements_said, self._curves_said = None, "", ""
        self._marks.clear()
        self._curves.draw([], 1.0)
        self._directions.draw(np.zeros(2), np.empty((0, 2)), [], 1.0)
        self.mark_centre((0.0,) * k)
        self._point_said = ""
        self._point.data = {"x": [], "y": []}
        self.set_epsilon(self.epsilon if epsilon is None else epsilon)

    def update(self, loss_slice: Any, note: str | None = None, *, partial: bool = False) -> None:
        """Show other values on the same axes, such as those that are known so far; what is laid over it stays."""
        self._draw_image(self._cut(loss_slice, self.axes, self.at), None, partial)
        self.slice = loss_slice
        self._note = self._note if note is None else literal(note)
        self.set_epsilon(self.epsilon)

    def clear(self, why: str) -> None:
        """Show no slice, but why there is none."""
        self.slice = self._grid = self._elements = None
        for source in (self._image, self._thin, self._strong, self._veil, self._cross, self._point):
            source.data = {name: [] for name in source.data}
        self._marks.clear()
        self._curves.draw([], 1.0)
        self._legend.set([])
        say(self._caption, why)

    def set_epsilon(self, epsilon: float | None) -> None:
        """Move the strong contour; only contours are sent, nothing is evaluated. None draws none."""
        if epsilon is not None and not (math.isfinite(epsilon) and epsilon > 0):
            raise NetgeomError("epsilon is a bound of a loss.", expected="a positive number", got=f"{epsilon}")
        self.epsilon = epsilon
        grid, self._epsilon_said = self._grid, ""
        strong: tuple[list[Any], list[Any]] = ([], [])
        veil = strong
        if grid is not None and epsilon is not None:
            level = math.log10(max(epsilon, FLOOR))
            strong, veil = grid.lines([level]), grid.filled_below(level)
            self._epsilon_said = epsilon_words(self._plane, epsilon, self._letter, zero_value(self.slice, self._letter))
        for source, (xs, ys) in ((self._strong, strong), (self._veil, veil)):
            if xs or len(source.data["xs"]):
                source.data = {"xs": xs, "ys": ys}
        self._say()

    def draw_elements(self, elements: SliceElements | None) -> None:
        """Show elements with their status and their distance to the plane; None shows none."""
        self._elements, self._elements_said = elements, ""
        if self._grid is None or elements is None:
            self._marks.clear()
        else:
            points, distance = self._seen(elements.coordinates, elements.distance)
            self._marks.draw(elements, points, distance, self._reach)
            left, right, bottom, top = self._grid.bounds
            x, y = points.T
            outside = int(((x < left) | (x > right) | (y < bottom) | (y > top)).sum())
            profile = hasattr(self.slice, "plain_loss")
            self._elements_said = " ".join(element_words(elements, distance, self._reach, outside, profile=profile))
        self._say()

    def draw_curves(self, curves: Sequence[SliceCurve]) -> None:
        """Show curves of parameters, fainter where they are farther from the plane; none takes them away."""
        seen = [(curve, *self._seen(curve.coordinates, curve.distance)) for curve in curves if self._grid is not None]
        self._curves.draw(seen, self._reach)
        far = max((float(distance.max(initial=0.0)) for _, _, distance in seen), default=0.0)
        off = far > 1e-6 * self._reach
        self._curves_said = (
            f"Curves are projections: fainter farther from the plane (up to {number(far)})." if off else ""
        )
        self._say()

    def draw_directions(self, directions: Float[np.ndarray, "d k"], names: Sequence[str], origin: Any = None) -> None:
        """Show directions by their coordinates in an orthonormal basis; a part outside the plane makes them shorter."""
        vectors = np.asarray(directions, dtype=float)
        if self.slice is None or vectors.shape != (len(names), len(self.slice.axes)):
            raise NetgeomError(
                "The directions are not those of this slice.", expected="(names, axes) coordinates",
                got=f"shape {vectors.shape}, {len(names)} names",
            )  # fmt: skip
        at = np.zeros(2) if origin is None else np.asarray(origin, dtype=float)[list(self.axes)]
        pair = vectors[:, list(self.axes)]
        self._directions.draw(at, pair, names, self._reach)
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

    def on_element(self, act: Callable[[int], None]) -> None:
        """Call with the number of an element that the user taps."""
        on_tap(self.root, self._marks.at, act)

    def on_point(self, act: Callable[[tuple[float, ...]], None]) -> None:
        """Call with the coordinates of a point that the user taps where no element is."""

        def beside(event: Tap) -> tuple[float, ...] | None:
            return self.point_at(event.x, event.y) if self._marks.at(event) is None else None

        on_tap(self.root, beside, act)

    def point_at(self, x: float | None, y: float | None) -> tuple[float, ...] | None:
        """Coordinates, all of them, at a point of the plot; None outside of the picture."""
        if self._grid is None or x is None or y is None:
            return None
        left, right, bottom, top = self._grid.bounds
        if not (left <= x <= right and bottom <= y <= top):
            return None
        found = {axis: float(self.slice.axes[axis][place]) for axis, place in self.at.items()}
        found |= {self.axes[0]: float(x), self.axes[1]: float(y)}
        return tuple(found[axis] for axis in range(len(self.slice.axes)))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _add_image(self) -> None:
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=-1, high=0, nan_color=palettes.MISSING)
        self._image = ColumnDataSource({name: [] for name in _PLACE})
        image = self.root.image(*_PLACE, source=self._image, color_mapper=self._mapper)
        formats: dict[str, Any] = {"@image": CustomJSHover(code=_VALUE), "$x": "printf", "$y": "printf"}
        self._hover = HoverTool(renderers=[image], tooltips=None, formatters=formats)
        self.root.add_tools(self._hover)
        ticker = BasicTicker(desired_num_ticks=6, min_interval=1)
        self._bar = add_colour_bar(self.root, self._mapper, ticker=ticker)

    def _add_contours(self) -> None:
        self._thin, self._strong, self._veil = (ColumnDataSource({"xs": [], "ys": []}) for _ in range(3))
        self.root.multi_polygons(
            "xs", "ys", source=self._veil, fill_color="#ffffff", fill_alpha=0.12, line_color=None,
            hatch_pattern="right_diagonal_line", hatch_color="#ffffff", hatch_alpha=0.45, hatch_scale=10,
        )  # fmt: skip
        self.root.multi_line("xs", "ys", source=self._thin, line_color="#ffffff", line_alpha=0.5, line_width=0.8)
        for colour, width in (("#ffffff", 4.0), (EPSILON, 2.2)):
            self.root.multi_line(
                "xs", "ys", source=self._strong, line_color=colour, line_width=width, line_join="round"
            )

    def _add_cross(self, colour: str, marker: str, size: int) -> ColumnDataSource:
        source = ColumnDataSource({"x": [], "y": []})
        for ink, width in (("#101010", 5.0), (colour, 2.2)):
            self.root.scatter("x", "y", source=source, marker=marker, size=size, line_color=ink, line_width=width)
        return source

    def _cut(self, loss_slice: Any, pair: tuple[int, int], places: Mapping[int, int]) -> EvenGrid:
        """The plane that is shown, with the values themselves."""
        values, _ = slice_values(loss_slice)
        plane = values[tuple(places.get(axis, slice(None)) for axis in range(values.ndim))]
        across, up = (np.asarray(loss_slice.axes[axis], dtype=np.float64) for axis in pair)
        return EvenGrid(across, up, plane if pair[0] < pair[1] else plane.T)

    def _draw_image(self, plane: EvenGrid, limits: tuple[float, float] | None, partial: bool) -> None:
        self._plane = plane.values
        values = with_nearest(plane.values) if partial else plane.values
        self._grid = grid = replace(plane, values=log_loss(values))
        self.limits = scale_limits(grid.values) if limits is None else (float(limits[0]), float(limits[1]))
        self._mapper.update(low=self.limits[0], high=self.limits[1])
        self._image.data = grid.image
        xs, ys = grid.lines(contour_levels(self.limits[0], float(np.nanmax(grid.values, initial=self.limits[1]))))
        self._thin.data = {"xs": xs, "ys": ys}
        left, right, bottom, top = grid.bounds
        fit_range(self._x, left, right)
        fit_range(self._y, bottom, top)

    def _label(self, title: str | None) -> None:
        letter, pair = self._letter, self.axes
        across, up = (self._names[axis] for axis in pair)
        self.root.xaxis[0].axis_label, self.root.yaxis[0].axis_label = across, up
        self.root.title.text = literal(title) if title is not None else f"{_kind(self.slice)} of the {quantity(letter)}"
        self._bar.title = f"log10 {letter}"
        places = [(f"c{axis + 1}", f"${which}{{%.4g}}") for axis, which in zip(pair, "xy", strict=True)]
        self._hover.tooltips = [(letter, "@image{custom}"), *places]

    def _facts(self) -> list[str]:
        """Where the plane lies, and what its numbers are."""
        places = [f"c{axis + 1} = {number(float(self.slice.axes[axis][at]))}" for axis, at in self.at.items()]
        cut = f"At {', '.join(places)}." if places else ""
        return [cut, profile_words(self.slice), *reference_words(self.slice, self._letter)]

    @property
    def _reach(self) -> float:
        """About half the diagonal of the picture, in the space of parameters."""
        if self._grid is None:
            return 1.0
        left, right, bottom, top = self._grid.bounds
        across, up = self._lengths[list(self.axes)]
        return 0.5 * math.hypot((right - left) * across, (top - bottom) * up)

    @property
    def _lengths(self) -> Float[np.ndarray, " k"]:
        """Lengths of the basis rows; 1 where a grid has no basis."""
        basis = getattr(self.slice, "basis", None)
        k = len(self.slice.axes)
        return np.ones(k) if basis is None else np.linalg.norm(np.asarray(basis, dtype=float), axis=1)

    def _seen(self, coordinates: Any, distance: Any) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, " m"]]:
        """Places in the plot, and distances to the plane shown, of points given by all coordinates."""
        points = np.asarray(coordinates, dtype=float)
        if points.ndim != 2 or points.shape[1] != len(self.slice.axes):
            raise NetgeomError(
                "The coordinates are not those of this slice.", expected=f"(n, {len(self.slice.axes)})",
                got=f"shape {points.shape}",
            )  # fmt: skip
        far = np.asarray(distance, dtype=float) ** 2
        for axis, at in self.at.items():
            far = far + (self._lengths[axis] * (points[:, axis] - float(self.slice.axes[axis][at]))) ** 2
        return points[:, list(self.axes)], np.sqrt(far)

    def _one(self, point: Sequence[float] | None) -> dict[str, list[float]]:
        there = point is not None and self._grid is not None
        x, y = (float(point[axis]) for axis in self.axes) if there and point is not None else (0.0, 0.0)
        return {"x": [x][:there], "y": [y][:there]}

    def _entries(self) -> list[tuple[str, str, str]]:
        entries = [] if self._elements is None else [
            (status_name(kind), *status_look(kind)) for kind in self._elements.kinds
        ]  # fmt: skip
        if len(self._strong.data["xs"]):
            entries.append(
                (f"{self._letter} \N{LESS-THAN OR EQUAL TO} \N{GREEK SMALL LETTER EPSILON} (hatched)", EPSILON, "dash")
            )
        if len(self._cross.data["x"]):
            entries.append(_CENTRE)
        return [*entries, *self._curves.legend, *self._directions.legend]

    def _say(self) -> None:
        if self._grid is None:
            return
        self._legend.set(self._entries())
        said = (self._point_said, self._epsilon_said, *scale_words(self._grid.values, self.limits, self._letter))
        say(self._caption, *said, self._elements_said, self._curves_said, *self._facts(), self._note)
        lines = self._caption.text.count("\n") + self._legend.rows
        self.root.height = min(self._height + _LINE * lines, max(_MOST, self._height))


def axis_names(k: int, names: Sequence[str] | None) -> list[str]:
    """What to call k coordinates: by the names of the basis rows where these have any."""
    given = [""] * k if names is None else list(names)
    if len(given) != k:
        raise NetgeomError("Each row of the basis has a name.", expected=f"{k} names", got=f"{len(given)}")
    return [
        literal(f"c{at}: {name} (basis units)") if name else f"c{at} (units of basis row {at})"
        for at, name in enumerate(given, start=1)
    ]


def _kind(loss_slice: Any) -> str:
    return "Profile" if hasattr(loss_slice, "plain_loss") else "Slice"


def profile_words(loss_slice: Any) -> str:
    """What a profile slice shows, and how much of it is only a bound; empty for a plain slice."""
    if not hasattr(loss_slice, "plain_loss"):
        return ""
    open_ = int((~np.asarray(loss_slice.converged, dtype=bool)).sum())
    bound = f"; not settled at {open_:,} points" if open_ else ""
    return f"Least loss found over all parameters beside the plane, an upper bound{bound}."


def epsilon_words(values: Float[np.ndarray, "*shape"], epsilon: float, letter: str, zero: float | None) -> str:
    """How many points of a grid epsilon accepts, and whether it accepts the zero function; a NaN is not accepted."""
    bound = f"{letter} \N{LESS-THAN OR EQUAL TO} {number(epsilon)}"
    known = values[np.isfinite(values)]
    inside = int((known <= epsilon).sum())
    if not inside:
        least = f": the least {letter} is {number(float(known.min()))}" if known.size else ""
        said = f"No grid point has {bound}{least}."
    else:
        said = f"{inside:,} of {values.size:,} points have {bound}."
    return said if zero is None or epsilon < zero else f"{said} This also accepts the function that is zero everywhere!"


def zero_value(loss_slice: Any, letter: str) -> float | None:
    """R, or J, of the function that is zero everywhere, where it is known."""
    zero, variance = getattr(loss_slice, "zero_loss", None), getattr(loss_slice, "variance", None)
    if zero is None or (letter == "R" and variance is None):
        return None
    return float(zero) / float(variance) if letter == "R" and variance is not None else float(zero)


def reference_words(loss_slice: Any, letter: str) -> list[str]:
    """What functions that know nothing of the inputs reach: the yardstick of every epsilon."""
    zero, variance = zero_value(loss_slice, letter), getattr(loss_slice, "variance", None)
    if zero is None or variance is None:
        return []
    constant = "1" if letter == "R" else number(float(variance))
    return [f"Zero function: {letter} = {number(zero)}; best constant: {letter} = {constant}."]
