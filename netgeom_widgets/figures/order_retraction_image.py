"""The image of a phase plane: pixels in the colours of their kinds, and a hover box that names them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSHover, HoverTool, LinearColorMapper
from bokeh.plotting import figure

from netgeom_widgets.figures.order_retraction_colours import NodeColours
from netgeom_widgets.figures.order_retraction_raster import PlaneView, RetractionRaster

_PLACE = ("x", "y", "dw", "dh")
_KIND = """
const kind = Math.floor(value / 3)
return words.data.word[kind] + (value % 3 ? "; may leave the domain" : "")
"""


class KindImage:
    """Codes of a view of a raster as one image in a plot; a new palette sends the colours alone.

    Attributes
    ----------
    source : ColumnDataSource
        The codes and where they lie.
    mapper : LinearColorMapper
        From codes to colours.
    """

    def __init__(self, plot: figure) -> None:
        self.mapper = LinearColorMapper(palette=["#ffffff"], low=-0.5, high=0.5)
        self.source = ColumnDataSource({name: [] for name in ("image", *_PLACE)})
        image = plot.image("image", *_PLACE, source=self.source, color_mapper=self.mapper)
        self._words = ColumnDataSource({"word": []})
        kind = CustomJSHover(args={"words": self._words}, code=_KIND)
        self._hover = HoverTool(
            renderers=[image], tooltips=None, formatters={"@image": kind, "$x": "printf", "$y": "printf"}
        )
        plot.add_tools(self._hover)

    def name(self, words: Sequence[str], across: str, up: str | None) -> None:
        """What each kind is, and the names of the axes, for the hover box; ``up`` is None on a line."""
        if self._words.data["word"] != words:
            self._words.data = {"word": words}
        tips = [("cell", "@image{custom}"), (across, "$x{%.4g}"), *([] if up is None else [(up, "$y{%.4g}")])]
        if self._hover.tooltips != tips:
            self._hover.tooltips = tips

    def draw(self, view: PlaneView | None, place: Sequence[float] = (0, 0, 1, 1)) -> None:
        """Show the codes of a view; ``place`` is x, y, width, height. None, or a view without pixels, shows none."""
        there = view is not None and view.codes.size > 0
        codes = [] if view is None else [view.codes]
        ends = {name: [value][:there] for name, value in zip(_PLACE, place, strict=True)}
        self.source.data = {"image": codes[:there], **ends}

    def paint(self, raster: RetractionRaster | None, colours: NodeColours, shown: np.ndarray | None) -> None:
        """Give each code its colour; kinds that are not among ``shown`` (kinds,) bool are veiled."""
        palette = ["#ffffff"] if raster is None else raster.palette(colours, shown)
        self.mapper.update(palette=palette, low=-0.5, high=len(palette) - 0.5)
