"""Annotations drawn on a frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from bokeh.models import BoxAnnotation, Label, LabelSet, Node, PolyAnnotation, Slope, Span
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.transforms import Affine2D, blended_transform_factory

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.columns import Rows, as_numbers
from netgeom_widgets.figures.static.coordinates import Scale
from netgeom_widgets.figures.static.frame import Coordinates
from netgeom_widgets.figures.static.glyphs import paint_texts
from netgeom_widgets.figures.static.strokes import fill_colour, line_style


def _number(scale: Scale, value: Any) -> float:
    return float(scale.numbers([value])[0])


def _fraction(at: Coordinates, which: str, value: Any, units: str) -> float:
    """Part of the frame at which a coordinate lies."""
    scale, size = (at.x, at.size[0]) if which == "x" else (at.y, at.size[1])
    if units == "data":
        return float(scale.fraction([_number(scale, value)])[0])
    if units in ("screen", "view"):
        return float(value) / size
    raise NetgeomError("The static renderer does not know this unit.", expected="data or screen", got=units)


def _collect(at: Coordinates, lines: Any, model: Any) -> None:
    """Lines in parts of the frame."""
    style = {("colors" if key == "color" else f"{key}s"): value for key, value in line_style(model).items()}
    at.add(LineCollection(lines, **style), transform=at.axes.transAxes)


def _draw_span(span: Span, at: Coordinates) -> None:
    if span.location is None:
        return
    across = span.dimension == "width"
    where = _fraction(at, "y" if across else "x", span.location, span.location_units)
    if math.isfinite(where):
        _collect(at, [[(0, where), (1, where)] if across else [(where, 0), (where, 1)]], span)


def _box_edge(box: BoxAnnotation, at: Coordinates, name: str, which: str) -> float:
    value, edge = getattr(box, name), float(name in ("right", "top"))
    if value is None:
        return edge
    if isinstance(value, Node):
        if getattr(value, "target", None) == "frame" and value.symbol == name:
            return edge
        raise unknown(f"{name} edge of a BoxAnnotation, a", value)
    units = getattr(box, f"{name}_units")
    where = _fraction(at, which, value, "screen" if units == "canvas" else units)
    return 1 - where if units != "data" and which == "y" else where


def _draw_box(box: BoxAnnotation, at: Coordinates) -> None:
    if box.inverted:
        raise NetgeomError("The static renderer draws no inverted BoxAnnotation.")
    left, right = (_box_edge(box, at, name, "x") for name in ("left", "right"))
    bottom, top = (_box_edge(box, at, name, "y") for name in ("bottom", "top"))
    _polygon(box, at, [(left, bottom), (right, bottom), (right, top), (left, top)], at.axes.transAxes)


def _draw_poly(poly: PolyAnnotation, at: Coordinates) -> None:
    if poly.xs_units != "data" or poly.ys_units != "data":
        raise NetgeomError("The static renderer draws a PolyAnnotation in data units only.")
    if len(poly.xs):
        _polygon(poly, at, np.column_stack([at.x.numbers(poly.xs), at.y.numbers(poly.ys)]), at.transform)


def _polygon(model: Any, at: Coordinates, corners: Any, transform: Any) -> None:
    line = line_style(model)
    at.add(
        PolyCollection(
            [corners],
            facecolors=[fill_colour(model)],
            edgecolors=[line["color"]],
            linewidths=[line["linewidth"]],
            linestyles=[line["linestyle"]],
        ),
        transform=transform,
    )


def _draw_slope(slope: Slope, at: Coordinates) -> None:
    if slope.gradient is None or slope.y_intercept is None:
        return
    if at.x.log or at.y.log:
        raise NetgeomError("The static renderer draws a Slope on linear axes only.")
    x = np.array([at.x.start, at.x.end])
    if math.isinf(slope.gradient):
        return
    y = slope.gradient * x + slope.y_intercept
    points = np.column_stack([at.x.fraction(x), at.y.fraction(y)])
    for kind, edge in (("above", 1.0), ("below", 0.0)):
        if getattr(slope, f"{kind}_fill_color") is not None:
            far = np.array([[points[1, 0], edge], [points[0, 0], edge]])
            shape = PolyCollection([np.vstack([points, far])], facecolors=[fill_colour(slope, f"{kind}_fill")])
            at.add(shape, transform=at.axes.transAxes)
    _collect(at, [points], slope)


def _text_transform(at: Coordinates, x_units: str, y_units: str) -> Any:
    """Data or screen (pixels from the frame's lower left corner) coordinates per direction."""
    for units in (x_units, y_units):
        if units not in ("data", "screen", "view"):
            raise NetgeomError("The static renderer does not know this unit.", expected="data or screen", got=units)
    screen = Affine2D().scale(1 / at.size[0], 1 / at.size[1]) + at.axes.transAxes
    if x_units == y_units:
        return at.transform if x_units == "data" else screen
    if at.x.log or at.y.log:
        raise NetgeomError("The static renderer mixes data and screen units on linear axes only.")
    return blended_transform_factory(*(at.transform if u == "data" else screen for u in (x_units, y_units)))


def _draw_label(label: Label, at: Coordinates) -> None:
    x = at.x.numbers([label.x]) if label.x_units == "data" else as_numbers([label.x])
    y = at.y.numbers([label.y]) if label.y_units == "data" else as_numbers([label.y])
    rows = Rows(label)
    move = (np.array([float(label.x_offset)]), np.array([float(label.y_offset)]))
    paint_texts(rows, at, x, y, *move, clip=False, transform=_text_transform(at, label.x_units, label.y_units))


def _draw_label_set(labels: LabelSet, at: Coordinates) -> None:
    rows = Rows(labels, labels.source)
    columns = []
    for name, scale, units in (("x", at.x, labels.x_units), ("y", at.y, labels.y_units)):
        columns.append(scale.numbers(rows.values(name)) if units == "data" else rows.numbers(name))
    transform = _text_transform(at, labels.x_units, labels.y_units)
    paint_texts(rows, at, *columns, rows.numbers("x_offset"), rows.numbers("y_offset"), clip=False, transform=transform)


_DRAW = {
    Span: _draw_span,
    BoxAnnotation: _draw_box,
    PolyAnnotation: _draw_poly,
    Slope: _draw_slope,
    Label: _draw_label,
    LabelSet: _draw_label_set,
}


def draw_annotation(model: Any, at: Coordinates) -> None:
    """Draw one annotation.

    Raises
    ------
    NetgeomError
        For an annotation without a painter, naming it.
    """
    painter: Any = _DRAW.get(type(model))
    if painter is None:
        raise unknown("annotation", model)
    painter(model, at)


def annotation_bounds(model: Any) -> tuple[list[float], list[float]]:
    """Numbers in x and y that an annotation adds to automatic ranges: a BoxAnnotation's edges, as in BokehJS."""
    if not isinstance(model, BoxAnnotation):
        return [], []

    def ends(names: tuple[str, str]) -> list[float]:
        found = [(getattr(model, name), getattr(model, f"{name}_units")) for name in names]
        return [float(v) for v, units in found if isinstance(v, (int, float)) and units == "data"]

    return ends(("left", "right")), ends(("bottom", "top"))


__all__ = ["annotation_bounds", "draw_annotation"]
