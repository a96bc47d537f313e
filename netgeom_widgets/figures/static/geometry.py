"""The x and y numbers of every glyph; they also give the bounds of a DataRange1d."""

from __future__ import annotations

import numpy as np
from bokeh.models import Dodge
from bokeh.models import glyphs as bokeh_glyphs

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.columns import Rows
from netgeom_widgets.figures.static.frame import Coordinates
from netgeom_widgets.figures.static.images import image_bounds
from netgeom_widgets.figures.static.strokes import angles

Points = tuple[np.ndarray, np.ndarray]


def column(rows: Rows, at: Coordinates, name: str) -> np.ndarray:
    """A coordinate property in synthetic numbers of the range its name points to."""
    scale = at.x if name.startswith(("x", "left", "right")) else at.y
    vector, value, transform = rows.raw(name)
    if transform is not None and scale.factors:
        if not isinstance(transform, Dodge):
            raise unknown("transform", transform)
        return scale.numbers(value if vector else [value] * len(rows)) + transform.value
    if not scale.factors:
        return rows.numbers(name)
    return scale.numbers(value if vector else [value] * len(rows))


def xy(rows: Rows, at: Coordinates) -> Points:
    """Positions of the rows."""
    return column(rows, at, "x"), column(rows, at, "y")


def nested(rows: Rows, name: str) -> list[np.ndarray]:
    """A column of coordinate lists."""
    vector, value, transform = rows.raw(name)
    if transform is not None or not vector:
        raise NetgeomError(f"{type(rows.model).__name__}.{name} must be a column of coordinate lists.")
    return [np.asarray(line, dtype=float) for line in value]


def flat(rows: Rows, at: Coordinates) -> Points:
    """All points of lists of coordinates."""
    xs, ys = nested(rows, "xs"), nested(rows, "ys")
    return np.concatenate([*xs, []]), np.concatenate([*ys, []])


def rings(rows: Rows) -> list[list[list[np.ndarray]]]:
    """MultiPolygons: row -> polygon -> rings (exterior first), each (n, 2)."""
    pairs = zip(rows.values("xs"), rows.values("ys"), strict=True)
    return [
        [
            [np.column_stack([np.asarray(x, float), np.asarray(y, float)]) for x, y in zip(px, py, strict=True)]
            for px, py in zip(xs, ys, strict=True)
        ]
        for xs, ys in pairs
    ]


def multi_points(rows: Rows, at: Coordinates) -> Points:
    """All points of multi-polygons."""
    points = [ring for row in rings(rows) for polygon in row for ring in polygon]
    stacked = np.concatenate([*points, np.empty((0, 2))])
    return stacked[:, 0], stacked[:, 1]


def segments(rows: Rows, at: Coordinates) -> np.ndarray:
    """Ends (n, 2, 2) of segments."""
    ends = [column(rows, at, name) for name in ("x0", "y0", "x1", "y1")]
    return np.stack(ends, axis=1).reshape(-1, 2, 2)


def segment_points(rows: Rows, at: Coordinates) -> Points:
    """All ends of segments."""
    ends = segments(rows, at)
    return ends[..., 0].ravel(), ends[..., 1].ravel()


def boxes(rows: Rows, at: Coordinates) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """left, right, bottom, top of quads and bars."""
    kind = type(rows.model)
    if kind is bokeh_glyphs.Quad:
        left, right, bottom, top = (column(rows, at, name) for name in ("left", "right", "bottom", "top"))
    elif kind is bokeh_glyphs.VBar:
        middle, half = column(rows, at, "x"), rows.numbers("width") / 2
        left, right = middle - half, middle + half
        bottom, top = column(rows, at, "bottom"), column(rows, at, "top")
    else:
        middle, half = column(rows, at, "y"), rows.numbers("height") / 2
        bottom, top = middle - half, middle + half
        left, right = column(rows, at, "left"), column(rows, at, "right")
    return left, right, bottom, top


def box_points(rows: Rows, at: Coordinates) -> Points:
    """Corners of quads and bars."""
    left, right, bottom, top = boxes(rows, at)
    return np.concatenate([left, right]), np.concatenate([bottom, top])


def rect_points(rows: Rows, at: Coordinates) -> Points:
    """Reach of turned rectangles."""
    x, y = xy(rows, at)
    half_x, half_y, turn = rows.numbers("width") / 2, rows.numbers("height") / 2, angles(rows)
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    reach_x, reach_y = half_x * cos + half_y * sin, half_x * sin + half_y * cos
    return np.concatenate([x - reach_x, x + reach_x]), np.concatenate([y - reach_y, y + reach_y])


def circle_points(rows: Rows, at: Coordinates) -> Points:
    """Reach of circles."""
    x, y = xy(rows, at)
    radius = rows.numbers("radius")
    return np.concatenate([x - radius, x + radius]), np.concatenate([y - radius, y + radius])


def area_points(rows: Rows, at: Coordinates) -> Points:
    """Points of both edges of an area."""
    if type(rows.model) is bokeh_glyphs.VArea:
        x = column(rows, at, "x")
        return np.tile(x, 2), np.concatenate([column(rows, at, "y1"), column(rows, at, "y2")])
    y = column(rows, at, "y")
    return np.concatenate([column(rows, at, "x1"), column(rows, at, "x2")]), np.tile(y, 2)


def image_points(rows: Rows, at: Coordinates) -> Points:
    """Reach of images."""
    return image_bounds(rows)
