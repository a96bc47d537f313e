"""Axes, grids and titles around a frame."""

from __future__ import annotations

import math
from typing import Any

from bokeh.models import AllLabels, CategoricalAxis, LinearAxis, LogAxis, NoOverlap
from jaxtyping import Float
from matplotlib.collections import LineCollection, PolyCollection
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.canvas import Box, Canvas
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.coordinates import Scale
from netgeom_widgets.figures.static.frame import Coordinates
from netgeom_widgets.figures.static.strokes import fill_colour, line_style
from netgeom_widgets.figures.static.text import extent, text_style
from netgeom_widgets.figures.static.ticks import tick_labels, tick_positions

HORIZONTAL = ("above", "below")


def _interval(axis: Any, scale: Scale) -> tuple[float, float]:
    """What an axis, or a grid, covers of the range in view."""
    low, high = sorted((scale.start, scale.end))
    if axis.bounds != "auto" and axis.bounds is not None and not scale.factors:
        low, high = max(low, float(axis.bounds[0])), min(high, float(axis.bounds[1]))
    return low, high


def ticks_of(axis: Any, scale: Scale) -> tuple[list[float], list[float], list[tuple[str, bool]]]:
    """Major ticks, minor ticks and major labels of an axis in view."""
    low, high = _interval(axis, scale)
    if isinstance(axis, CategoricalAxis):
        depth = max((len(key) for key in scale.factors if isinstance(key, tuple)), default=1)
        leaves = {
            key: at
            for key, at in scale.factors.items()
            if key is not None and (len(key) if isinstance(key, tuple) else 1) == depth and low <= at <= high
        }
        names = [key[-1] if isinstance(key, tuple) else key for key in leaves]
        return list(leaves.values()), [], tick_labels(axis.formatter, axis.ticker, names, axis.major_label_overrides)
    if type(axis) not in (LinearAxis, LogAxis):
        raise unknown("axis", axis)
    major, minor = tick_positions(axis.ticker, low, high)
    return major, minor, tick_labels(axis.formatter, axis.ticker, major, axis.major_label_overrides)


def _groups(scale: Scale) -> list[list[tuple[str, float]]]:
    """Names and positions of factor groups per level, innermost first."""
    keys = [key for key in scale.factors if isinstance(key, tuple)]
    depth = max(map(len, keys), default=1)
    levels = []
    for length in range(depth - 1, 0, -1):
        named = [(key, at) for key, at in scale.factors.items() if key is not None]
        levels.append(
            [
                (key if isinstance(key, str) else key[-1], at)
                for key, at in named
                if (1 if isinstance(key, str) else len(key)) == length
            ]
        )
    return levels


def _angle(orientation: Any, side: str, *, usual: float = 0.0) -> float:
    """Anticlockwise degrees of a label orientation on a side."""
    if isinstance(orientation, (int, float)):
        return math.degrees(orientation)
    along = 0.0 if side in HORIZONTAL else (90.0 if side == "left" else -90.0)
    across = 90.0 if side in HORIZONTAL else 0.0
    return {"horizontal": 0.0, "vertical": 90.0, "parallel": along, "normal": across}.get(orientation, usual)


def _reach(text: str, style: dict[str, Any], angle: float, side: str, *, math_text: bool = False) -> float:
    """Pixels a text takes away from the axis."""
    width, height = extent(text, style["fontproperties"], math=math_text)
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    return width * sin + height * cos if side in HORIZONTAL else width * cos + height * sin


def _tick_room(axis: Any) -> float:
    return max(0.0, axis.major_tick_out, axis.minor_tick_out if not isinstance(axis, CategoricalAxis) else 0)


def _label_room(axis: Any, scale: Scale, side: str) -> float:
    labels = ticks_of(axis, scale)[2]
    style, angle = text_style(axis, "major_label_"), _angle(axis.major_label_orientation, side)
    return max((_reach(text, style, angle, side, math_text=math_text) for text, math_text in labels), default=0.0)


def _apart(policy: Any, at: Any, labels: Any, style: dict[str, Any], angle: float, side: str) -> list[bool]:
    """Which labels, `at` pixels along their axis, are written: all, or those that keep the distance of NoOverlap."""
    if type(policy) is AllLabels:
        return [True] * len(labels)
    if type(policy) is not NoOverlap:
        raise unknown("label policy", policy)
    across = "left" if side in HORIZONTAL else "below"  # a label's reach along its axis is that across the other one
    sizes = [_reach(text, style, angle, across, math_text=math_text) for text, math_text in labels]
    kept, last = [False] * len(labels), None
    for row, size in enumerate(sizes):  # in the order of the ticks, so that the first label is always written
        if last is None or abs(at[row] - at[last]) >= (size + sizes[last]) / 2 + policy.min_distance:
            kept[row], last = True, row
    return kept


def axis_size(axis: Any, scale: Scale, side: str) -> float:
    """Pixels an axis takes on its side."""
    if axis.fixed_location is not None:
        raise NetgeomError("The static renderer draws no axis at a fixed location.", got=f"{type(axis).__name__}")
    size = _tick_room(axis) + axis.major_label_standoff + _label_room(axis, scale, side)
    for _ in _groups(scale):
        size += 6 + extent("x", text_style(axis, "group_")["fontproperties"])[1]
    if axis.axis_label:
        style = text_style(axis, "axis_label_")
        size += axis.axis_label_standoff + extent(_label_text(axis), style["fontproperties"])[1]
    return size


def _label_text(axis: Any) -> str:
    return str(getattr(axis.axis_label, "text", axis.axis_label))


def draw_axis(canvas: Canvas, axis: Any, scale: Scale, side: str, frame: Box, offset: float) -> None:
    """Line, ticks, labels and axis label, `offset` pixels outside the frame."""
    place = _Side(side, frame, offset)
    major, minor, labels = ticks_of(axis, scale)
    ends = scale.fraction(sorted(_interval(axis, scale)))
    canvas.line([place.point(ends[0], 0), place.point(ends[1], 0)], **line_style(axis, "axis_line"))
    for ticks, kind in ((major, "major_tick"), (minor, "minor_tick")):
        spread = (-getattr(axis, f"{kind}_in"), getattr(axis, f"{kind}_out"))
        marks = [[place.point(at, out) for out in spread] for at in scale.fraction(ticks)]
        canvas.lines(marks, line_style(axis, f"{kind}_line"))
    out = _tick_room(axis) + axis.major_label_standoff
    angle = _angle(axis.major_label_orientation, side)
    style = text_style(axis, "major_label_")
    length = frame.width if side in HORIZONTAL else frame.height
    kept = _apart(axis.major_label_policy, scale.fraction(major) * length, labels, style, angle, side)
    for at, (text, math_text), keep in zip(scale.fraction(major), labels, kept, strict=True):
        if keep:
            _place_text(canvas, place, at, out, text, angle, style, math_text=math_text)
    out += _label_room(axis, scale, side)
    for level in _groups(scale):
        style = text_style(axis, "group_")
        out += 3
        for name, at in level:
            if 0 <= (where := float(scale.fraction([at])[0])) <= 1:
                _place_text(canvas, place, where, out, name, _angle(axis.group_label_orientation, side), style)
        out += 3 + extent("x", style["fontproperties"])[1]
    if axis.axis_label:
        out += axis.axis_label_standoff
        angle = _angle("parallel", side)
        _place_text(canvas, place, 0.5, out, _label_text(axis), angle, text_style(axis, "axis_label_"))


class _Side:
    """Positions along and away from one side of a frame."""

    def __init__(self, side: str, frame: Box, offset: float) -> None:
        self.side, self.frame, self.offset = side, frame, offset

    def point(self, fraction: float, out: float) -> tuple[float, float]:
        """Pixels of the point at `fraction` along the side and `out` away from it."""
        away = out + self.offset
        if self.side in HORIZONTAL:
            x = self.frame.left + fraction * self.frame.width
            return x, self.frame.bottom + away if self.side == "below" else self.frame.top - away
        y = self.frame.bottom - fraction * self.frame.height
        return self.frame.left - away if self.side == "left" else self.frame.right + away, y


def _place_text(
    canvas: Canvas,
    place: _Side,
    fraction: float,
    out: float,
    text: str,
    angle: float,
    style: dict[str, Any],
    *,
    math_text: bool = False,
) -> None:
    """A text beside an axis, turned by `angle`, nearest edge `out` pixels away."""
    x, y = place.point(fraction, out)
    turned = round(angle) % 180 == 90
    slanted = round(angle) % 90 != 0
    side = place.side
    if side in HORIZONTAL:
        across, down = "center", "top" if side == "below" else "bottom"
        if turned or slanted:  # text that runs away from the axis hangs on its end
            upwards = math.sin(math.radians(angle)) > 0
            across, down = ("right" if upwards == (side == "below") else "left"), "center"
    else:
        across, down = ("right" if side == "left" else "left"), "center"
        if turned:
            across, down = "center", "bottom"
    canvas.text(x, y, text, math=math_text, ha=across, va=down, rotation=angle, **style)


def draw_grid(grid: Any, at: Coordinates, scale: Scale, axis_ticker: Any) -> None:
    """Grid lines and bands inside the frame."""
    ticker = grid.ticker or (grid.axis.ticker if grid.axis is not None else axis_ticker)
    if scale.factors:
        major = [position for key, position in scale.factors.items() if key is not None]
        minor: list[float] = []
    elif ticker is None:
        return
    else:
        major, minor = tick_positions(ticker, *_interval(grid, scale))
    fractions = scale.fraction(major)
    if grid.band_fill_color is not None:
        _draw_bands(grid, at, fractions)
    for where, kind in ((fractions, "grid_line"), (scale.fraction(minor), "minor_grid_line")):
        if getattr(grid, f"{kind}_color") is None or not len(where):
            continue
        style = {("colors" if k == "color" else f"{k}s"): v for k, v in line_style(grid, kind).items()}
        lines = [[(f, 0), (f, 1)] if grid.dimension == 0 else [(0, f), (1, f)] for f in where]
        at.add(LineCollection(lines, **style), transform=at.axes.transAxes)


def _draw_bands(grid: Any, at: Coordinates, fractions: Float[ndarray, " n"]) -> None:
    cuts = [0.0, *sorted(fractions), 1.0]
    bands = [(a, b) for a, b in zip(cuts[1:-1:2], cuts[2::2], strict=False)]
    corners = [
        [(a, 0), (b, 0), (b, 1), (a, 1)] if grid.dimension == 0 else [(0, a), (0, b), (1, b), (1, a)] for a, b in bands
    ]
    at.add(PolyCollection(corners, facecolors=[fill_colour(grid, "band_fill")]), transform=at.axes.transAxes)


def title_size(title: Any, side: str) -> float:
    """Pixels a title takes on its side; none when it is empty."""
    if not title.text:
        return 0.0
    return extent(title.text, text_style(title)["fontproperties"])[1] + title.standoff


def draw_title(canvas: Canvas, title: Any, side: str, frame: Box, offset: float) -> None:
    """A title along its side of the frame."""
    if not title.text:
        return
    place = _Side(side, frame, offset + (title.standoff if side in ("above", "left") else 0))
    fraction = {"left": 0.0, "center": 0.5, "right": 1.0}[title.align]
    angle = _angle("parallel", side)
    along = fraction if side != "right" else 1 - fraction
    x, y = place.point(along, 0)
    down = "top" if side == "below" else "bottom"
    shift = title.offset * {"left": 1, "center": 0, "right": -1}[title.align]
    x, y = (x + shift, y) if side in HORIZONTAL else (x, y - shift)
    canvas.text(x, y, title.text, ha=title.align, va=down, rotation=angle, **text_style(title))
