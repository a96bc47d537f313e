"""Pictures of one slice side by side: their layout, and the point under the pointer marked in both."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, LayoutDOM

from netgeom_widgets.figures.plots import wrapping_row
from netgeom_widgets.figures.region_geometry import Window, clip_polygon
from netgeom_widgets.figures.region_scene import RegionScene

if TYPE_CHECKING:
    from netgeom_widgets.figures.region_canvas import RegionCanvas
    from netgeom_widgets.figures.regions import RegionFigure

#: Pixels below which pictures stand one under the other: their captions fit no less.
_LEAST_WIDTH = 380
#: Pixels of two pictures: half a cell is narrow, and a taller one would be empty above and below a square.
PAIR_HEIGHT = 500

# Marks the point, and outlines the polygon around it in every picture that has polygons. Nothing of it is sent to
# Python, and a page without a kernel does it too. A raster has no polygons: its outline comes from Python.
_MARK = """
const {x, y} = cb_obj
const within = x >= s.start && x <= s.end && y >= t.start && y <= t.end // and not over the axes
if (!within) {
  unmark.execute(cb_obj)
  return
}
point.setv({data: {x: [x], y: [y]}}, {sync: false})
const around = (px, py) => {
  let inside = false
  for (let i = 0, j = px.length - 1; i < px.length; j = i++) {
    if ((py[i] > y) != (py[j] > y) && x < (px[j] - px[i]) * (y - py[i]) / (py[j] - py[i]) + px[i]) inside = !inside
  }
  return inside
}
// What is on the layer of the marks is not clipped at the frame (Sutherland and Hodgman 1974).
const clip = (ring, along, sign, bound) => ring.flatMap((from, i) => {
  const to = ring[(i + 1) % ring.length], [a, b] = [sign * (from[along] - bound), sign * (to[along] - bound)]
  const cut = () => from.map((value, k) => k == along ? bound : value + a / (a - b) * (to[k] - value))
  return [...(a >= 0 ? [from] : []), ...(a * b < 0 ? [cut()] : [])]
})
const framed = (xs, ys) => {
  let ring = Array.from(xs, (value, i) => [value, ys[i]])
  for (const [along, {start, end}] of [s, t].entries()) ring = clip(clip(ring, along, 1, start), along, -1, end)
  return [[ring.map(([value]) => value)], [ring.map(([, value]) => value)]]
}
for (const [at, {data: {xs, ys}}] of regions.entries()) {
  if (xs.length == 0) continue
  let found = 0
  while (found < xs.length && !around(xs[found], ys[found])) found++
  const [ox, oy] = found < xs.length ? framed(xs[found], ys[found]) : [[], []]
  outlines[at].setv({data: {xs: ox, ys: oy}}, {sync: false})
}
"""
_UNMARK = """
point.setv({data: {x: [], y: []}}, {sync: false})
for (const outline of outlines) outline.setv({data: {xs: [], ys: []}}, {sync: false})
"""


class LinkedPointer:
    """The point under the pointer and the region around it, marked in all pictures of one slice.

    The marks are on a layer of their own, so a move of the pointer draws no polygon again.

    Parameters
    ----------
    canvases : sequence of RegionCanvas
        With common ranges.
    """

    def __init__(self, canvases: Sequence[RegionCanvas]) -> None:
        self.point = ColumnDataSource({"x": [], "y": []})
        self.outlines = [ColumnDataSource({"xs": [], "ys": []}) for _ in canvases]
        sources = {"point": self.point, "outlines": self.outlines}
        self._ranges = (canvases[0].plot.x_range, canvases[0].plot.y_range)
        unmark = CustomJS(args=sources, code=_UNMARK)
        more = {"unmark": unmark, "s": self._ranges[0], "t": self._ranges[1]}
        for axis in self._ranges:
            for end in ("start", "end"):
                axis.js_on_change(end, unmark)  # the point is no longer where the pointer is
        mark = CustomJS(args={**sources, **more, "regions": [canvas.regions for canvas in canvases]}, code=_MARK)
        for canvas, outline in zip(canvases, self.outlines, strict=True):
            plot = canvas.plot
            for colour, width in (("#ffffff", 5.0), ("#202020", 2.0)):
                look = {"fill_alpha": 0.0, "line_color": colour, "line_width": width, "line_join": "round"}
                plot.patches("xs", "ys", source=outline, level="overlay", **look)
            for colour, width in (("#ffffff", 4.0), ("#202020", 1.5)):
                ring = {"size": 10, "fill_alpha": 0.0, "line_color": colour, "line_width": width}
                plot.scatter("x", "y", source=self.point, level="overlay", **ring)
            plot.js_on_event("mousemove", mark)
            plot.js_on_event("mouseleave", unmark)

    def outline_rasters(self, scenes: Sequence[RegionScene | None], point: tuple[float, float] | None) -> None:
        """Outline the region around a point in each picture that is a raster; None takes all marks away."""
        window = Window(*(end for axis in self._ranges for end in (axis.start, axis.end)))
        for source, scene in zip(self.outlines, scenes, strict=True):
            ring = np.empty((0, 2))
            if scene is not None and scene.is_raster and point is not None:
                found = int(scene.full.locate(np.array([point]))[0])
                ring = ring if found < 0 else clip_polygon(scene.full.polygon(found), window)
            if len(ring) or source.data["xs"]:
                source.data = {name: [ring[:, i].tolist()][: len(ring)] for i, name in enumerate(("xs", "ys"))}


def side_by_side(figures: Sequence[RegionFigure], others: Sequence[LayoutDOM] = ()) -> LayoutDOM:
    """One root for some pictures and what stands beside them; where there is no room, one under the other.

    The layout aligns the frames of plots in one row, so pictures with common ranges have frames of one size.
    """
    plots = [figure.root for figure in figures]
    if len(plots) == 1 and not others:
        return plots[0]
    for plot in plots:
        plot.min_width = _LEAST_WIDTH
    return wrapping_row(*plots, *others, spacing=6)


def details_html(named: Sequence[tuple[str, str]]) -> str:
    """Details of several networks beside each other, each under its name; the details are HTML, the names any text."""
    if len(named) == 1:
        return named[0][1]
    boxes = "".join(f"<div><b>{escape(name)}</b>{html}</div>" for name, html in named)
    return f"<div class='netgeom-pair'>{boxes}</div>"


#: Style of details beside each other; it goes with that of one region's.
PAIR_STYLE = """<style>
.netgeom-pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 0 24px;
  color: var(--jp-ui-font-color1, inherit); line-height: 1.45; }
</style>"""
