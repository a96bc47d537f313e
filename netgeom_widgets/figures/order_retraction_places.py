"""Where cells, boxes and points of a grid lie in the picture of its phase plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.order_retraction_raster import PlaneView, RetractionRaster

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import BoxImages, CubicalGrid

#: Left, right, bottom, top.
Box = tuple[float, float, float, float]

#: Numbers of Morse sets keep so far apart, in parts of the plane; so many cells of a set are tried.
_CLEAR, _TRIED = 0.045, 60
#: Boxes of the graph of a map on a line at most.
_BOXES = 2048


class PlanePlaces:
    """Places in the plane of a raster; of a line, a point is drawn above itself at the height of its successor.

    Parameters
    ----------
    raster : RetractionRaster
    """

    def __init__(self, raster: RetractionRaster) -> None:
        grid = raster.retraction.decomposition.grid
        if grid is None:
            raise NetgeomError("This decomposition has no grid, and no plane.", expected="that of box images")
        self.raster, self.grid = raster, grid
        self.across, self.up = raster.axes
        self.is_line = grid.dims == 1

    @property
    def home(self) -> Box:
        """The domain."""
        ends = [(float(self.grid.lower[axis]), float(self.grid.upper[axis])) for axis in (self.across, self.up)]
        return (*ends[0], *ends[1])

    def interval(self, axis: int, ends: tuple[float, float]) -> tuple[float, float]:
        """An interval of an axis, in cells."""
        lower, width = float(self.grid.lower[axis]), float(self.grid.widths[axis])
        low, high = ((end - lower) / width for end in sorted(ends))
        near = 1e-9 * self.grid.shape[axis]  # a view that ends on an edge of cells shows none of those beyond
        return low + near, high - near

    def of_view(self, view: PlaneView) -> tuple[float, float, float, float]:
        """x, y, width and height of a view's pixels."""
        found = []
        sides = ((self.across, view.column, view.codes.shape[1]), (self.up, view.row, view.codes.shape[0]))
        for axis, first, pixels in sides:
            edges = self.grid.edges(axis)
            last = min(first + pixels * view.factor, len(edges) - 1)
            found.append((float(edges[first]), float(edges[last] - edges[first])))
        if self.is_line:
            found[1] = (float(self.grid.lower[0]), float(self.grid.upper[0] - self.grid.lower[0]))
        (x, width), (y, height) = found
        return x, y, width, height

    def points(self, values: Float[np.ndarray, "R T d"]) -> Float[np.ndarray, "R S 2"]:
        """Points of runs; on a line each stands at the height of the one after it."""
        if not self.is_line:
            return values[:, :, [self.across, self.up]]
        if values.shape[1] == 1:
            return np.repeat(values, 2, axis=2)
        return np.concatenate([values[:, :-1], values[:, 1:]], axis=2)

    def orbit(self, points: Float[np.ndarray, "S d"]) -> Float[np.ndarray, "M 2"]:
        """Points of an orbit; on a line the steps up to the graph and across to the diagonal."""
        if not self.is_line:
            return self.points(points[None])[0]
        twice = np.repeat(points[:, 0], 2)
        return np.column_stack([twice[:-1], twice[1:]])

    def cell(self, cell: int) -> Box:
        """A cell; on a line as high as what it is sent to."""
        lower, upper = (ends[0] for ends in self.grid.boxes(np.array([cell])))
        image = self.image(cell) if self.is_line else None
        if image is not None:
            return (float(lower[0]), float(upper[0]), image[2], image[3])
        across, up = self.across, self.up
        return (float(lower[across]), float(upper[across]), float(lower[up]), float(upper[up]))

    def image(self, cell: int) -> Box | None:
        """The box of the cells that a cell is sent to; None where there are none, or they are not known."""
        images = self.raster.retraction.decomposition.images
        if images is None or images.empty[cell]:
            return None
        ends = []
        for axis in (self.across, self.up):
            edges = self.grid.edges(axis)
            ends.append((float(edges[images.first[cell, axis]]), float(edges[images.last[cell, axis] + 1])))
        if self.is_line:
            lower, upper = self.grid.boxes(np.array([cell]))
            ends[0] = (float(lower[0, 0]), float(upper[0, 0]))
        return (*ends[0], *ends[1])

    def cell_at(self, x: float | None, y: float | None) -> int | None:
        """The cell at a point of the plot, in the slice that is shown; None outside."""
        if x is None or y is None:
            return None
        first = np.ravel_multi_index([self.raster.at.get(axis, 0) for axis in range(self.grid.dims)], self.grid.shape)
        low, high = self.grid.boxes(np.array([first]))
        point = (low + high) / 2
        if not self.is_line:
            point[0, self.up] = y
        point[0, self.across] = x
        found = int(self.grid.locate(point)[0])
        return found if found >= 0 else None

    def numbers(self) -> dict[str, list]:
        """Where to write the number of each Morse set of the plane."""
        cells, nodes = number_cells(self.raster)
        low, high = self.grid.boxes(cells)
        middle = (low + high) / 2
        names = [str(node) for node in nodes]
        return {"x": middle[:, self.across].tolist(), "y": middle[:, self.up].tolist(), "name": names}


def number_cells(raster: RetractionRaster) -> tuple[Int[np.ndarray, " m"], list[int]]:
    """A cell for the number of each Morse set in the plane, and the nodes: near its middle, clear of other numbers.

    Sets without such a cell are left out.
    """
    decomposition = raster.retraction.decomposition
    grid = decomposition.grid
    assert grid is not None  # noqa: S101 - the raster checked it
    recurrent = np.flatnonzero(np.asarray(decomposition.label) >= 0)
    places = np.asarray(grid.indices(recurrent))
    for axis, at in raster.at.items():
        inside = places[:, axis] == at
        recurrent, places = recurrent[inside], places[inside]
    labels = np.asarray(decomposition.label)[recurrent]
    relative = places[:, list(dict.fromkeys(raster.axes))] / np.array(
        [grid.shape[axis] for axis in dict.fromkeys(raster.axes)]
    )
    cells, nodes, taken = [], [], np.empty((0, relative.shape[1]))
    for node in sorted(np.unique(labels).tolist(), key=lambda node: (labels == node).sum()):
        of_node = np.flatnonzero(labels == node)
        middle = relative[of_node].mean(axis=0)
        tried = of_node[np.argsort(np.linalg.norm(relative[of_node] - middle, axis=1), kind="stable")]
        tried = tried[:: max(1, len(tried) // _TRIED)]
        clear = np.abs(relative[tried][:, None] - taken[None]).max(axis=2).min(axis=1, initial=1.0) >= _CLEAR
        if clear.any():
            at = int(tried[int(clear.argmax())])
            cells.append(int(recurrent[at]))
            nodes.append(node)
            taken = np.vstack([taken, relative[at]])
    return np.array(cells, dtype=np.int64), nodes


def graph_boxes(images: BoxImages) -> dict[str, np.ndarray]:
    """Boxes over a line that hold the graph of a map; of many cells one for several, from their least to greatest."""
    grid: CubicalGrid = images.grid
    edges, there = grid.edges(0), ~images.empty
    low, high = np.full(there.shape, np.nan), np.full(there.shape, np.nan)
    low[there], high[there] = edges[images.first[there, 0]], edges[images.last[there, 0] + 1]
    step = max(1, len(low) // _BOXES)
    at = np.arange(0, len(low), step)
    columns = {
        "left": edges[at],
        "right": edges[np.minimum(at + step, len(low))],
        "bottom": np.fmin.reduceat(low, at),
        "top": np.fmax.reduceat(high, at),
    }
    shown = np.isfinite(columns["bottom"])
    return {name: values[shown] for name, values in columns.items()}
