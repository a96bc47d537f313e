"""A matplotlib figure measured in CSS pixels from its upper left corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from netgeom_widgets.figures.static.text import PX, plain

GUIDES = 10.0  # z-order above the axes, which matplotlib puts at 0


@dataclass(frozen=True)
class Box:
    """A rectangle in CSS pixels; `top` counts downwards."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height


class Canvas:
    """The figure of one picture."""

    def __init__(self, width: float, height: float, dpi: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(
            figsize=(width / 96, height / 96), dpi=dpi, facecolor="white", edgecolor="none", layout="none"
        )
        FigureCanvasAgg(self.figure)
        self.transform = Affine2D().scale(1 / width, -1 / height).translate(0, 1) + self.figure.transFigure

    def text(self, x: float, y: float, text: str, *, math: bool = False, order: float = GUIDES, **style: Any) -> None:
        """One literal text (or mathematics written by this package)."""
        style = {"linespacing": 1.2, "rotation_mode": "anchor", "parse_math": True, **style}
        shown = text if math else plain(text)
        artist = Text(x, y, shown, transform=self.transform, zorder=order, **style)
        self.figure.add_artist(artist)

    def line(self, points: list[tuple[float, float]], **style: Any) -> None:
        """One line."""
        xs, ys = zip(*points, strict=True)
        style = {"zorder": GUIDES, "solid_capstyle": "butt", **style}
        self.figure.add_artist(Line2D(xs, ys, transform=self.transform, **style))

    def lines(self, segments: list[Any], style: dict[str, Any]) -> None:
        """Many segments of one style (as `strokes.line_style` gives it)."""
        if segments:
            style = {"colors" if key == "color" else f"{key}s": value for key, value in style.items()}
            self.add(LineCollection(segments, **style))

    def rectangle(self, box: Box, *, order: float = GUIDES, **style: Any) -> None:
        """One rectangle; `facecolor`, `edgecolor`, `linewidth` (points)."""
        artist = Rectangle((box.left, box.top), box.width, box.height, transform=self.transform, zorder=order, **style)
        self.figure.add_artist(artist)

    def ground(self, box: Box, colour: Any) -> None:
        """A filled rectangle behind everything; where nothing is drawn on it, it takes no room on the page."""
        patch = Rectangle((box.left, box.top), box.width, box.height, transform=self.transform, zorder=-1)
        patch.set(facecolor=colour, edgecolor="none", in_layout=False)
        self.figure.add_artist(patch)

    def add(self, collection: Any, order: float = GUIDES) -> None:
        """A collection in pixel coordinates of the figure."""
        collection.set_transform(self.transform)
        collection.set_zorder(order)
        self.figure.add_artist(collection)

    def fraction(self, box: Box) -> tuple[float, float, float, float]:
        """A box as matplotlib's left, bottom, width, height in parts of the figure."""
        return (
            box.left / self.width,
            1 - box.bottom / self.height,
            box.width / self.width,
            box.height / self.height,
        )


__all__ = ["GUIDES", "PX", "Box", "Canvas"]
