"""The loss over a plane as a surface seen from a direction: a face for each cell of the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper
from jaxtyping import Float

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.equivalence_plane import SlicePlane
from netgeom_widgets.figures.equivalence_scale import (
    colours,
    log_loss,
    quantity,
    scale_limits,
    scale_words,
)
from netgeom_widgets.figures.equivalence_words import axis_names, reference_words
from netgeom_widgets.figures.orthographic import Cube, CubePlot, View
from netgeom_widgets.figures.plots import add_caption, add_colour_bar, limits, literal, say

#: Points along a side at most: of more every so-manieth is drawn, and it is said.
_SIDE = 61


class LossSurface:
    """A surface of the loss, or of its log10; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    view : View
    """

    def __init__(self, height: int = 440, **options: Any) -> None:
        self.view = View()
        self._plot = CubePlot(height, **({"name": "loss surface"} | options))
        self.root = self._plot.root
        self._cube = Cube(np.array([[0.0, 1.0]] * 3), ["", "", ""])
        self._faces: Float[np.ndarray, "f 4 3"] = np.empty((0, 4, 3))
        self._heights: Float[np.ndarray, " f"] = np.empty(0)
        self._fills: np.ndarray = np.empty(0, dtype=object)
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=-1, high=0)
        self._patches = ColumnDataSource({name: [] for name in ("xs", "ys", "fill", "c1", "c2", "value", "depth")})
        faces = self.root.patches(
            "xs", "ys", source=self._patches, fill_color="fill", line_color="#101010", line_alpha=0.25, line_width=0.5
        )
        tips = [("c across", "@c1{%.4g}"), ("c along", "@c2{%.4g}"), ("height", "@value{%.4g}")]
        formats: dict[str, Any] = dict.fromkeys(("@c1", "@c2", "@value"), "printf")
        nearest: dict[str, Any] = {"sort_by": [("depth", -1)], "limit": 1}  # what is on top
        self.root.add_tools(HoverTool(renderers=[faces], tooltips=tips, formatters=formats, **nearest))
        self._bar = add_colour_bar(self.root, self._mapper)
        self._caption = add_caption(self.root)

    def show(
        self,
        loss_slice: Any,
        *,
        log: bool = True,
        names: Sequence[str] | None = None,
        axes: tuple[int, int] = (0, 1),
        at: Mapping[int, int] | None = None,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show a surface; the direction stays.

        Parameters
        ----------
        loss_slice : LossSlice
            Of two axes or more.
        log : bool
            Whether the height is the log10; colours are by the height.
        names, axes, at, title, note
            As for `LossSlicePicture.show`.

        Raises
        ------
        NetgeomError
            For fewer axes than two, and axes that are not evenly spaced.
        """
        seen = SlicePlane.of(loss_slice, axes, at)
        across, along, plane, letter = seen.grid.across, seen.grid.up, seen.grid.values, seen.letter
        steps = tuple(max(1, math.ceil(len(axis) / _SIDE)) for axis in (across, along))
        across, along, plane = across[:: steps[0]], along[:: steps[1]], plane[:: steps[0], :: steps[1]]
        heights = log_loss(plane) if log else np.where(np.isfinite(plane), plane, np.nan)
        low, high = limits(heights)
        low = scale_limits(heights)[0] if log else low  # a few exact zeros would flatten the rest
        label = f"log10 {letter}" if log else letter
        called = [f"c{axis + 1}" for axis in seen.axes]
        self._cube = Cube(np.array([across[[0, -1]], along[[0, -1]], [low, high]]), [*called, label])
        self._cut(across, along, np.clip(heights, low, high))
        self._mapper.update(low=low, high=high)
        self._bar.title = label
        self._fills = np.array(colours(self._heights, (low, high)), dtype=object)
        self.root.title.text = literal(title) if title is not None else f"Surface of the {quantity(letter)}"
        fewer = (
            f"Drawn: one point in {steps[0]} along {called[0]}, in {steps[1]} along {called[1]}."
            if max(steps) > 1
            else ""
        )
        said = [f"{name}." for name in axis_names(seen.k, names)] if names is not None else []
        missing = int(np.isnan(heights).sum())
        cut = (
            scale_words(heights, (low, high), letter, missing="Holes")
            if log
            else ([f"Holes: not finite ({missing:,} points)."] if missing else [])
        )
        say(self._caption, fewer, *cut, *said, seen.words, *reference_words(loss_slice, letter), literal(note))
        self._move()

    def set_view(self, azimuth: float, elevation: float) -> None:
        """Look from another direction."""
        self.view = View(float(azimuth), float(elevation))
        self._move()

    def _cut(self, across: np.ndarray, along: np.ndarray, heights: np.ndarray) -> None:
        """The faces whose four corners have a height."""
        points = np.stack([*np.meshgrid(across, along, indexing="ij"), heights], axis=-1)
        faces = np.stack([points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]], axis=2).reshape(-1, 4, 3)
        self._faces = faces[np.isfinite(faces[..., 2]).all(axis=1)]
        self._heights = self._faces[..., 2].mean(axis=1)

    def _move(self) -> None:
        if not self._fills.size:
            self._patches.data = {name: [] for name in self._patches.data}
            return
        self._plot.draw(self._cube, self.view)
        places, depth = self.view.project(self._cube.scaled(self._faces))
        order = np.argsort(depth.mean(axis=1), kind="stable")  # the farthest first, behind the others
        middles = self._faces.mean(axis=1)[order]
        self._patches.data = {
            "xs": list(places[order, :, 0]), "ys": list(places[order, :, 1]), "fill": self._fills[order].tolist(),
            "c1": middles[:, 0], "c2": middles[:, 1], "value": middles[:, 2], "depth": depth.mean(axis=1)[order],
        }  # fmt: skip


def loss_surface(loss_slice: Any, *, view: View | None = None, height: int = 440, **options: Any) -> Any:
    """The loss over a plane as a surface by itself; see `LossSurface.show`.

    Examples
    --------
    >>> loss_surface(relative_loss_slice(net, x, y, center, basis, axes), log=False)  # doctest: +SKIP
    """
    part = LossSurface(height)
    if view is not None:
        part.view = view
    part.show(loss_slice, **options)
    return part.root
