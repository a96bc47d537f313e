"""Points sampled from the decision boundary: numbered marks on the slice, and the inputs that they stand for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    Legend,
    LegendItem,
    Range1d,
    TableColumn,
)
from bokeh.plotting import figure
from jaxtyping import Float

from netgeom_widgets.figures.plots import SMALL, add_caption, fit_range, make_plot, number, say
from netgeom_widgets.figures.region_input import ImageShape
from netgeom_widgets.figures.region_text import count
from netgeom_widgets.figures.sprites import SpriteSheet, black_and_white
from netgeom_widgets.figures.tables import decimal_formatter, make_table, whole_formatter
from netgeom_widgets.figures.theme import GRID

#: Samples marked with their number; shown as pictures; input values shown in a row.
MOST_NUMBERED, MOST_PICTURES, MOST_VALUES = 100, 64, 24
#: Pictures in a row, pixels of each, of its number below it, and of title, caption and borders.
_PER_ROW, _TILE, _BELOW, _AROUND = 8, 40, 18, 56
#: White with a dark edge: seen on every colour of the map and on the black boundary.
_LOOK: dict[str, Any] = {"marker": "square", "fill_color": "#ffffff", "line_color": "#000000", "line_width": 1.2}
#: Pixels of a mark with a number in it, and of one without.
_NUMBERED, _PLAIN = 15, 7


class BoundaryMarks:
    """Numbered marks on the picture of a slice.

    Parameters
    ----------
    plot : bokeh.plotting.figure
        The picture; marks and a legend are added to it, before a browser shows it (BokehJS 3.9 takes no legend later).
    """

    def __init__(self, plot: figure) -> None:
        self._source = ColumnDataSource({"x": [], "y": [], "name": []})
        self._dots = plot.scatter("x", "y", source=self._source, **_LOOK)
        self._dots.nonselection_glyph = self._dots.selection_glyph = self._dots.glyph
        plot.text(
            "x", "y", "name", source=self._source, text_font_size="10px", text_color="#000000", text_align="center",
            text_baseline="middle",
        )  # fmt: skip
        self._legend = Legend(
            items=[LegendItem(label={"value": "sample of the decision boundary"}, renderers=[self._dots])],
            orientation="horizontal", location="left", label_text_font_size=SMALL, border_line_alpha=0,
            background_fill_alpha=0, padding=2, margin=2, glyph_height=14, glyph_width=18, label_height=14,
            visible=False,
        )  # fmt: skip
        plot.add_layout(self._legend, "below")

    def set(self, points: Float[np.ndarray, "n 2"]) -> None:
        """Mark these points of the slice, numbered from 1 unless they are too many."""
        n = len(points)
        names = [str(at + 1) for at in range(n)] if n <= MOST_NUMBERED else [""] * n
        self._dots.glyph.size = _NUMBERED if n <= MOST_NUMBERED else _PLAIN
        self._source.data = {"x": points[:, 0], "y": points[:, 1], "name": names}
        self._legend.visible = bool(n)


class BoundaryInputs:
    """The inputs of samples: as pictures where inputs are images, else as a table of their values.

    Parameters
    ----------
    shape : tuple of int
        Of one input.

    Attributes
    ----------
    root : bokeh.models.LayoutDOM
        The pictures or the table, whichever the inputs are.
    note : str
        What is shown, and what is left out.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.is_image = ImageShape.of(shape) is not None
        self._part = _Pictures() if self.is_image else _Values(shape)
        self.root = self._part.root
        self.note = ""

    def draw(self, points: Float[np.ndarray, "n 2"], inputs: Float[np.ndarray, "n ..."]) -> None:
        """Show samples: where they are in the slice, and their inputs."""
        if len(inputs):
            self.note = self._part.draw(np.asarray(points), np.asarray(inputs))
        else:
            self._part.draw(np.asarray(points), np.asarray(inputs))
            self.note = "There is no decision boundary in this slice."


class _Pictures:
    """A grid of pictures, each with its number below."""

    def __init__(self) -> None:
        self._x = Range1d(0, _PER_ROW, reset_start=0, reset_end=_PER_ROW)
        self._y = Range1d(1, 0, reset_start=1, reset_end=0)
        self.root = make_plot(160, x_range=self._x, y_range=self._y, tools=[], toolbar_location=None)
        self.root.axis.visible = self.root.grid.visible = False
        self.root.max_width = _PER_ROW * 80
        self._source = ColumnDataSource({"x": [], "y": [], "image": [], "name": []})
        screen = {"units": "screen", "value": _TILE}
        self._images = self.root.image_rgba(
            "image", "x", "y", dw=screen, dh=screen, source=self._source, anchor="center", origin="top_left"
        )
        self.root.text(
            "x", "y", "name", source=self._source, y_offset=_TILE / 2 + 2, text_align="center", text_baseline="top",
            text_font_size=SMALL, text_color=GRID,
        )  # fmt: skip
        self._caption = add_caption(self.root)

    def draw(self, points: np.ndarray, inputs: np.ndarray) -> str:
        n = min(len(inputs), MOST_PICTURES)
        tiles = np.empty((0, 1, 1, 4), np.uint8)
        if n:
            sheet = SpriteSheet.of(inputs[:n], tile=_TILE)
            tiles = sheet.tiles
            width, height = sheet.tile_size
            longest = max(width, height)
            for side, size in (("dw", width), ("dh", height)):
                setattr(self._images.glyph, side, {"units": "screen", "value": _TILE * size / longest})
        at = np.arange(n)
        self._source.data = {
            "x": at % _PER_ROW + 0.5,
            "y": at // _PER_ROW + 0.4,
            "image": [np.ascontiguousarray(tile).view(np.uint32)[..., 0] for tile in tiles],
            "name": [str(sample + 1) for sample in at.tolist()],
        }
        rows = max(1, math.ceil(n / _PER_ROW))
        fit_range(self._y, 0.0, float(rows), flipped=True)
        self.root.height = rows * (_TILE + _BELOW) + _AROUND
        self.root.title.text = "Inputs on the decision boundary"
        note = _note(len(inputs), n, "pictures")
        say(self._caption, note, _ends(inputs[:n]), width=62)
        return note


class _Values:
    """A row per sample: its number, where it is, the values of its input."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._total = math.prod(shape)
        self._columns = min(self._total, MOST_VALUES)
        names = ["sample", "s", "t", *(f"x{at}" for at in range(self._columns))]
        kinds = [whole_formatter(), *(decimal_formatter() for _ in names[1:])]
        columns = [
            TableColumn(field=name, title=name, formatter=kind, width=76)
            for name, kind in zip(names, kinds, strict=True)
        ]
        self.root = make_table(columns, 220, selectable=False)

    def draw(self, points: np.ndarray, inputs: np.ndarray) -> str:
        flat = inputs.reshape(len(inputs), self._total)[:, : self._columns]
        values = {f"x{at}": np.ascontiguousarray(flat[:, at]) for at in range(self._columns)}
        where = {"s": np.ascontiguousarray(points[:, 0]), "t": np.ascontiguousarray(points[:, 1])}
        self.root.source.data = {"sample": np.arange(1, len(flat) + 1), **where, **values}
        left_out = f" The first {self._columns} of {self._total:,} values." if self._columns < self._total else ""
        return _note(len(inputs), len(inputs), "rows") + left_out


def _note(n: int, shown: int, what: str) -> str:
    """How many samples there are, and how many of them are shown."""
    return count(n, "sample") + (f", the first {shown} as {what}" if shown < n else "") + "."


def _ends(images: np.ndarray) -> str:
    """Which values are black and white in the sprites of images."""
    if not images.size:
        return ""
    black, white = black_and_white(images.reshape(len(images), -1, 1, 1))
    return f"Black is {number(black)}, white {number(white)}."
