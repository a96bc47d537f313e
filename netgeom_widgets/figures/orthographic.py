"""Three axes seen from a direction, without perspective: a cube with named axes, and what lies in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import SMALL, literal, make_plot, number
from netgeom_widgets.figures.theme import GRID

#: Half the frame: the cube, whose half side is 1, turned to any side, and the names of its axes.
_ACROSS, _UP = 2.25, 1.95
#: How far from the cube names and numbers stand.
_NAME, _NUMBER = 1.32, 1.12


@dataclass(frozen=True)
class View:
    """Where one looks from.

    Attributes
    ----------
    azimuth : float
        Degrees about the third axis; 0: along the first axis, towards its origin.
    elevation : float
        Degrees above the plane of the first two.
    """

    azimuth: float = -60.0
    elevation: float = 25.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.azimuth) and -90 <= self.elevation <= 90):
            raise NetgeomError(
                "This is no direction to look from.", expected="a finite azimuth, an elevation from -90 to 90 degrees",
                got=f"{self.azimuth}, {self.elevation}",
            )  # fmt: skip

    def project(self, points: Float[np.ndarray, "*n 3"]) -> tuple[Float[np.ndarray, "*n 2"], Float[np.ndarray, "*n"]]:
        """Places on the screen, and depths: larger is nearer. Lengths along the screen are kept."""
        turn, lift = math.radians(self.azimuth), math.radians(self.elevation)
        across = np.array([-math.sin(turn), math.cos(turn), 0.0])
        towards = np.array([math.cos(turn) * math.cos(lift), math.sin(turn) * math.cos(lift), math.sin(lift)])
        up = np.cross(towards, across)
        return points @ np.stack([across, up], axis=1), points @ towards


@dataclass(frozen=True, eq=False)
class Cube:
    """Three intervals as a cube of half side 1.

    Attributes
    ----------
    bounds : (3, 2) float
        Low and high of each axis.
    names : sequence of 3 str
    """

    bounds: Float[np.ndarray, "3 2"]
    names: Sequence[str]

    def scaled(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Points in the cube, from -1 to 1."""
        low, high = self.bounds.T
        return 2 * (points - low) / np.where(high > low, high - low, 1.0) - 1


class CubePlot:
    """A plot with the edges, names and ends of a cube; ``root`` is the plot. Marks go in after the edges."""

    def __init__(self, height: int, **options: Any) -> None:
        x, y = (Range1d(-half, half, reset_start=-half, reset_end=half) for half in (_ACROSS, _UP))
        options = {"tools": ("pan", "wheel_zoom", "reset"), "max_width": 620} | options
        self.root: figure = make_plot(height, x_range=x, y_range=y, **options)
        self.root.axis.visible = self.root.grid.visible = False
        self.root.outline_line_color = None
        self._edges = ColumnDataSource({name: [] for name in ("xs", "ys", "alpha")})
        self._words = ColumnDataSource({name: [] for name in ("x", "y", "text", "style")})
        self.root.multi_line("xs", "ys", source=self._edges, line_color=GRID, line_alpha="alpha", line_width=1.2)
        self.root.text(
            "x", "y", "text", source=self._words, text_color=GRID, text_font_size=SMALL, text_font_style="style",
            text_align="center", text_baseline="middle",
        )  # fmt: skip

    def draw(self, cube: Cube, view: View) -> None:
        """Show edges, names and ends from a direction; edges that meet in the farthest corner are fainter."""
        corners = np.array(list(product((-1.0, 1.0), repeat=3)))
        far = corners[int(np.argmin(view.project(corners)[1]))]
        edges = [(one, other) for one in corners for other in corners if (one < other).any() and _is_edge(one, other)]
        places = view.project(np.array(edges))[0]
        hidden = [bool((one == far).all() or (other == far).all()) for one, other in edges]
        self._edges.data = {
            "xs": list(places[..., 0]), "ys": list(places[..., 1]), "alpha": [0.35 if at else 0.9 for at in hidden],
        }  # fmt: skip
        words = [(place, text, style) for axis in range(3) for place, text, style in _axis_words(cube, view, axis)]
        self._words.data = {
            "x": [float(place[0]) for place, _, _ in words], "y": [float(place[1]) for place, _, _ in words],
            "text": [text for _, text, _ in words], "style": [style for _, _, style in words],
        }  # fmt: skip

    def clear(self) -> None:
        """Show no cube."""
        for source in (self._edges, self._words):
            source.data = {name: [] for name in source.data}


def _is_edge(one: np.ndarray, other: np.ndarray) -> bool:
    return int((one != other).sum()) == 1


def _axis_words(cube: Cube, view: View, axis: int) -> list[tuple[np.ndarray, str, str]]:
    """Name and ends of an axis, beside the edge along it that is seen farthest from the cube's middle."""
    ends = []
    for signs in product((-1.0, 1.0), repeat=2):
        edge = np.zeros(3)
        edge[[other for other in range(3) if other != axis]] = signs
        ends.append(edge)
    middles = view.project(np.array(ends))[0]
    # the lowest edge of the first two axes, the leftmost of the third: these lie on the outline of the cube
    best = int(np.argmin(middles[:, 0] if axis == 2 else middles[:, 1] - 1e-6 * np.abs(middles[:, 0])))
    words = [(middles[best] * _NAME, literal(cube.names[axis]), "bold")]
    for side, value in zip((-1.0, 1.0), cube.bounds[axis].tolist(), strict=True):
        corner = ends[best].copy()
        corner[axis] = 0.86 * side
        words.append((view.project(corner[None])[0][0] + (_NUMBER - 1) * middles[best], number(value), "normal"))
    return words
