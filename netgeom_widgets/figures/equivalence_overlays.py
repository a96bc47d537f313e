"""What is laid over a slice: curves in the class, exact orbits, paths of optimisers, and directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_marks import between, nearness
from netgeom_widgets.figures.plots import literal, number

CurveKind = Literal["class", "closed form", "orbit", "path", "image"]
#: Colour and dash of each kind of curve: none is told by its colour alone.
CURVES: dict[str, tuple[str, str]] = {
    "class": ("#F0E442", "solid"),
    "closed form": ("#CC79A7", "dotdash"),
    "orbit": ("#56B4E9", "dashed"),
    "path": ("#E69F00", "dashdot"),
}
#: Of this kind points are marked and not joined; their colour and marker.
IMAGE = "image"
_MARK = ("#FFFFFF", "star")
_NAMES = {
    "class": "class, traced",
    "closed form": "class, closed form",
    "orbit": "exact orbit",
    "path": "optimiser path",
    IMAGE: "image under symmetries",
}
#: Opacity of a curve in the plane and far from it, and steps between.
_ALPHAS, _STEPS = (1.0, 0.2), 5
DIRECTION = "#C8C8C8"
"""Colour of the lines of directions."""

#: Length from the point to the end of a direction that lies in the plane, as a part of the picture's half width.
_HALF = 0.45


@dataclass(frozen=True, eq=False)
class SliceCurve:
    """A curve of parameters seen from a slice.

    Attributes
    ----------
    coordinates : (m, k) float
    distance : (m,) float
        To the slice; 0 where the curve lies in it.
    kind : {"class", "closed form", "orbit", "path", "image"}
        Images, under permutations of units for example, are points that are not joined.
    name : str
        For the hover box.
    """

    coordinates: Float[np.ndarray, "m k"]
    distance: Float[np.ndarray, " m"]
    kind: CurveKind = "class"
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _NAMES:
            raise NetgeomError("There is no such kind of curve.", expected=", ".join(_NAMES), got=repr(self.kind))
        if len(self.coordinates) != len(self.distance):
            raise NetgeomError(
                "The distances do not belong to the curve.", expected=f"{len(self.coordinates)}",
                got=f"{len(self.distance)}",
            )  # fmt: skip


class CurveMarks:
    """Curves in one plot, fainter where they are farther from its plane."""

    def __init__(self, plot: figure) -> None:
        self._sources: dict[str, ColumnDataSource] = {}
        lines = []
        for kind, (colour, dash) in CURVES.items():
            source = ColumnDataSource({name: [] for name in ("xs", "ys", "alpha", "name", "kind", "far")})
            self._sources[kind] = source
            look: dict[str, Any] = {"source": source, "line_alpha": "alpha", "line_join": "round", "line_dash": dash}
            plot.multi_line("xs", "ys", line_color="#101010", line_width=4.0, **look)
            lines.append(plot.multi_line("xs", "ys", line_color=colour, line_width=2.2, **look))
        tips = [("@kind", "@name"), ("distance to the plane", "@far")]
        plot.add_tools(HoverTool(renderers=lines, tooltips=tips, line_policy="interp"))
        self._images = ColumnDataSource({name: [] for name in ("x", "y", "alpha", "name", "kind", "far")})
        colour, marker = _MARK
        marks = plot.scatter(
            "x", "y", source=self._images, marker=marker, size=13, fill_color=colour, fill_alpha="alpha",
            line_color="#101010", line_alpha="alpha",
        )  # fmt: skip
        plot.add_tools(HoverTool(renderers=[marks], tooltips=tips))

    def draw(
        self, curves: Sequence[tuple[SliceCurve, Float[np.ndarray, "m 2"], Float[np.ndarray, " m"]]], reach: float
    ) -> None:
        """Show curves: each with its points in the plot and their distances to its plane."""
        columns: dict[str, dict[str, list[Any]]] = {
            kind: {name: [] for name in source.data} for kind, source in self._sources.items()
        }
        images: dict[str, list[Any]] = {name: [] for name in self._images.data}
        for curve, points, distance in curves:
            if curve.kind == IMAGE:
                _add_images(images, curve, points, nearness(distance, reach), distance)
                continue
            into = columns[curve.kind]
            for start, end, level in _pieces(nearness(distance, reach)):
                into["xs"].append(points[start:end, 0])
                into["ys"].append(points[start:end, 1])
                into["alpha"].append(float(between(_ALPHAS, np.array(level))))
                into["name"].append(literal(curve.name))
                into["kind"].append(_NAMES[curve.kind])
                into["far"].append(f"{number(float(distance[start:end].max()))} at most here")
        for kind, source in self._sources.items():
            if columns[kind]["xs"] or len(source.data["xs"]):
                source.data = columns[kind]
        if images["x"] or len(self._images.data["x"]):
            self._images.data = images

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Entries for the kinds that are drawn."""
        shown = [kind for kind, source in self._sources.items() if len(source.data["xs"])]
        images = [(_NAMES[IMAGE], *_MARK)] if len(self._images.data["x"]) else []
        return [*((_NAMES[kind], CURVES[kind][0], "dash") for kind in shown), *images]


def _add_images(
    into: dict[str, list[Any]], curve: SliceCurve, points: np.ndarray, share: np.ndarray, distance: np.ndarray
) -> None:
    """Put marks into columns."""
    into["x"] += points[:, 0].tolist()
    into["y"] += points[:, 1].tolist()
    into["alpha"] += between(_ALPHAS, share).tolist()
    into["name"] += [literal(curve.name)] * len(points)
    into["kind"] += [_NAMES[IMAGE]] * len(points)
    into["far"] += [number(far) for far in distance.tolist()]


def _pieces(share: np.ndarray) -> list[tuple[int, int, float]]:
    """Runs of points with about one nearness, each up to the first point of the next: start, end, nearness."""
    if len(share) < 2:
        return []
    level = np.rint(share * _STEPS) / _STEPS
    cuts = [0, *(np.flatnonzero(np.diff(level[:-1])) + 1).tolist(), len(share) - 1]
    return [(one, other + 1, float(level[one])) for one, other in pairwise(cuts)]


class DirectionMarks:
    """Directions of parameters as lines through a point of a slice, as long as the part of each in the plane."""

    def __init__(self, plot: figure) -> None:
        self._lines = ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1", "name", "part")})
        self._ends = ColumnDataSource({"x": [], "y": []})
        for colour, width in (("#101010", 5.0), (DIRECTION, 2.0)):
            line = plot.segment("x0", "y0", "x1", "y1", source=self._lines, line_color=colour, line_width=width)
        plot.scatter("x", "y", source=self._ends, size=7, fill_color=DIRECTION, line_color="#101010")
        tips = [("direction", "@name"), ("part in the plane", "@part{0.0%}")]
        plot.add_tools(HoverTool(renderers=[line], tooltips=tips))

    def draw(
        self, origin: Float[np.ndarray, " 2"], vectors: Float[np.ndarray, "d 2"], names: Sequence[str], reach: float
    ) -> None:
        """Show unit directions by their parts in the plane, (d, 2); shorter than 1 where they leave it."""
        ends = np.stack([origin - _HALF * reach * vectors, origin + _HALF * reach * vectors], axis=1)
        self._lines.data = {
            "x0": ends[:, 0, 0], "y0": ends[:, 0, 1], "x1": ends[:, 1, 0], "y1": ends[:, 1, 1],
            "name": [literal(name) for name in names], "part": np.linalg.norm(vectors, axis=1),
        }  # fmt: skip
        self._ends.data = {"x": ends[..., 0].ravel(), "y": ends[..., 1].ravel()}

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """An entry where there is a direction."""
        shown = bool(len(self._lines.data["x0"]))
        return [("null direction", DIRECTION, "dash")] if shown else []
