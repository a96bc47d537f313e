"""A number for each cell of a grid as a raster: how often it is recurrent, how uncertain the map is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.order_retraction_raster import slice_of, slice_words
from netgeom_widgets.figures.plots import add_caption, add_colour_bar, fit_range, limits, literal, make_plot, say
from netgeom_widgets.figures.similarity_levels import Levels

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import CubicalGrid

_PLACE = ("x", "y", "dw", "dh")


class CellMap:
    """Numbers of cells in the plane of two axes; ``root`` is its plot.

    Parameters
    ----------
    height : int
        Pixels.
    """

    def __init__(self, height: int = 340, **options: Any) -> None:
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "box_zoom", "reset")} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.grid.visible = False
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=0, high=1, nan_color=palettes.MISSING)
        self._image = ColumnDataSource({name: [] for name in ("image", *_PLACE)})
        image = self.root.image("image", *_PLACE, source=self._image, color_mapper=self._mapper)
        formats: dict[str, Any] = dict.fromkeys(("@image", "$x", "$y"), "printf")
        self._hover = HoverTool(renderers=[image], tooltips=None, formatters=formats)
        self.root.add_tools(self._hover)
        self._bar = add_colour_bar(self.root, self._mapper)
        self._caption = add_caption(self.root)

    def show(
        self,
        grid: CubicalGrid,
        values: Float[np.ndarray, " cells"],
        *,
        title: str,
        quantity: str,
        names: Sequence[str] | None = None,
        axes: tuple[int, int] = (0, 1),
        at: Mapping[int, int] | None = None,
        span: tuple[float, float] | None = None,
        note: str = "",
    ) -> None:
        """Show numbers.

        Parameters
        ----------
        grid : CubicalGrid
        values : (cells,) float
            NaN is grey. A grid finer than 640 cells along a side shows the largest of each block, and says so.
        title, quantity : str
            The latter, with its unit, for the colour bar and the hover box.
        names, axes, at
            As for `PhasePlane.show`.
        span : (float, float), optional
            Numbers at the ends of the colours, by default the least and the greatest.
        note : str
            Said below.
        """
        values = np.asarray(values, dtype=float)
        if values.shape != (grid.n_cells,):
            raise NetgeomError(
                "Each cell has a number.", expected=f"({grid.n_cells},)", got=f"shape {values.shape}"
            )  # fmt: skip
        names = [f"coordinate {axis + 1}" for axis in range(grid.dims)] if names is None else list(map(literal, names))
        (across, up), places = slice_of(tuple(grid.shape), axes, at)
        index = tuple(places.get(axis, slice(None)) for axis in range(grid.dims))
        plane = values.reshape(grid.shape)[index]
        plane = plane[None, :] if grid.dims == 1 else plane.T if across < up else plane
        view = Levels(plane).view(reduce="max")
        x, y = (float(grid.lower[axis]) for axis in (across, up))
        width, height = (float(grid.upper[axis] - grid.lower[axis]) for axis in (across, up))
        self._image.data = {"image": [view.image], "x": [x], "y": [y], "dw": [width], "dh": [height]}
        low, high = limits(values) if span is None else span
        self._mapper.update(low=low, high=high)
        self._bar.title = literal(quantity)
        fit_range(self._x, x, x + width)
        fit_range(self._y, y, y + height)
        is_line = grid.dims == 1
        self.root.yaxis.visible = not is_line
        self.root.xaxis[0].axis_label = names[across]
        self.root.yaxis[0].axis_label = "" if is_line else names[up]
        self.root.title.text = literal(title)
        tips = [(literal(quantity), "@image{%.4g}"), (names[across], "$x{%.4g}")]
        self._hover.tooltips = tips if is_line else [*tips, (names[up], "$y{%.4g}")]
        block = f"Each pixel: the largest of {view.factor} × {view.factor} cells." if view.factor > 1 else ""
        say(self._caption, slice_words(grid, places, names), block, literal(note), width=56)


def cell_map(
    grid: CubicalGrid,
    values: Float[np.ndarray, " cells"],
    *,
    title: str,
    quantity: str,
    height: int = 340,
    **options: Any,
) -> Any:
    """A number for each cell as a picture by itself; see `CellMap.show`.

    Examples
    --------
    >>> cell_map(grid, fitted.std(grid.centres())[:, 0], title="Uncertainty", quantity="std")  # doctest: +SKIP
    """
    part = CellMap(height)
    part.show(grid, values, title=title, quantity=quantity, **options)
    return part.root
