"""Marker shapes as matplotlib paths on a unit square, after BokehJS's marker definitions."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from netgeom_widgets.errors import NetgeomError

_R = 0.5


def _closed(points: list[tuple[float, float]]) -> Path:
    return Path([*points, points[0]], closed=True)


def _strokes(*lines: tuple[tuple[float, float], tuple[float, float]]) -> Path:
    return Path([point for line in lines for point in line], [Path.MOVETO, Path.LINETO] * len(lines))


def _curved(points: list[tuple[float, float]]) -> Path:
    """Start, then pairs of (control, end) of quadratic curves."""
    return Path(points, [Path.MOVETO] + [Path.CURVE3] * (len(points) - 1))


def _star() -> Path:
    at = [math.pi / 2 + k * math.pi / 5 for k in range(10)]
    return _closed([(r * math.cos(a), r * math.sin(a)) for a, r in zip(at, [_R, 0.382 * _R] * 5, strict=True)])


def _triangle(sign: float) -> Path:
    height = _R * math.sqrt(3)
    return _closed([(-_R, -sign * height / 3), (_R, -sign * height / 3), (0, sign * height * 2 / 3)])


def _triangle_pin() -> Path:
    height = _R * math.sqrt(3)
    a, s = height / 3, math.sqrt(3)
    b = 3 * a / 8
    return _curved([(-_R, -a), (0, -b), (_R, -a), (s * b / 2, b / 2), (0, height - a), (-s * b / 2, b / 2), (-_R, -a)])


def _x(r: float = _R) -> Path:
    return _strokes(((-r, -r), (r, r)), ((-r, r), (r, -r)))


def _plus_strokes(r: float = _R) -> Path:
    return _strokes(((-r, 0), (r, 0)), ((0, -r), (0, r)))


def _y() -> Path:
    ends = [math.pi / 2 + k * 2 * math.pi / 3 for k in range(3)]
    return _strokes(*(((0, 0), (_R * math.cos(a), -_R * math.sin(a))) for a in ends))


def _plus() -> Path:
    a, b = 3 * _R / 8, _R
    quarter = [(a, b), (a, a), (b, a)]
    turns = [quarter, [(y, -x) for x, y in quarter], [(-x, -y) for x, y in quarter], [(-y, x) for x, y in quarter]]
    return _closed([point for turn in turns for point in turn])


_HALF = 3 * _R / 8
_HEX = [(_R * math.cos(k * math.pi / 3), _R * math.sin(k * math.pi / 3)) for k in range(6)]
_BASES = {
    "circle": lambda: Path.unit_circle().transformed(_scale(_R)),
    "square": lambda: _closed([(-_R, -_R), (_R, -_R), (_R, _R), (-_R, _R)]),
    "diamond": lambda: _closed([(0, _R), (_R / 1.5, 0), (0, -_R), (-_R / 1.5, 0)]),
    "triangle": lambda: _triangle(1),
    "inverted_triangle": lambda: _triangle(-1),
    "hex": lambda: _closed(_HEX),
    "star": _star,
    "plus": _plus,
    "square_pin": lambda: _curved(
        [(-_R, _R), (0, _HALF), (_R, _R), (_HALF, 0), (_R, -_R), (0, -_HALF), (-_R, -_R), (-_HALF, 0), (-_R, _R)]
    ),
    "triangle_pin": _triangle_pin,
}
_LINES = {
    "cross": _plus_strokes,
    "x": _x,
    "y": _y,
    "dash": lambda: _strokes(((-_R, 0), (_R, 0))),
    "asterisk": lambda: Path.make_compound_path(_plus_strokes(), _x(0.65 * _R)),
}
_INSIDE = {
    ("circle", "x"): lambda: _x(_R / math.sqrt(2)),
    ("diamond", "cross"): lambda: _strokes(((-_R / 1.5, 0), (_R / 1.5, 0)), ((0, -_R), (0, _R))),
}


def _scale(factor: float) -> Affine2D:
    return Affine2D().scale(factor)


@cache
def marker_parts(name: str) -> tuple[tuple[str, Path], ...]:
    """Parts of a Bokeh marker: ("fill" | "stroke" | "dot", path); size 1 is Bokeh's `size`.

    Raises
    ------
    NetgeomError
        For a marker without a definition here, naming it.
    """
    dot = ("dot", Path.unit_circle().transformed(_scale(_R / 4)))
    if name in _BASES:
        return (("fill", _BASES[name]()),)
    if name in _LINES:
        return (("stroke", _LINES[name]()),)
    if name == "dot":
        return (dot,)
    base, _, inside = name.rpartition("_")
    if base in _BASES and inside == "dot":
        return (("fill", _BASES[base]()), dot)
    if base in _BASES and inside in _LINES:
        return (("fill", _BASES[base]()), ("stroke", _INSIDE.get((base, inside), _LINES[inside])()))
    raise NetgeomError("The static renderer cannot draw this marker.", expected="a Bokeh marker name", got=repr(name))


def rotated(path: Path, angle: float) -> Path:
    """`path` turned anticlockwise by `angle` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return Path(path.vertices @ np.array([[cos, sin], [-sin, cos]]), path.codes)
