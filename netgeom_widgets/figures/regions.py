"""The picture of a region partition: a Bokeh figure that is updated in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import LEGEND_ENTRIES
from netgeom_widgets.figures.region_canvas import RegionCanvas
from netgeom_widgets.figures.region_colours import category_colours, colour_mapper, layer_colours, region_colours
from netgeom_widgets.figures.region_geometry import Window, neighbours, rings
from netgeom_widgets.figures.region_paint import images_of
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_scales import CommonScales
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_style import RegionStyle
from netgeom_widgets.figures.region_text import (
    ZOOM_LIMIT,
    axis_labels,
    common_scale,
    distances,
    mode,
    title,
    view,
    wrapped,
)
from netgeom_widgets.figures.region_values import RegionValues, hover_columns, layer_count, layer_name, region_values

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Partition, Slice

#: Layers in the longest legend of lines; their colours go from dark to light.
_LEGEND_LAYERS = 8


class RegionFigure:
    """A Bokeh figure of a region partition; ``root`` is the model to show, save or put into a document.

    Parameters
    ----------
    domain : Slice
        The slice whose partitions will be drawn.
    samples : SliceSamples, optional
        Data points on it.
    height : int
        In pixels; the width stretches to its container.
    name : str
        What the title calls the network.
    beside : RegionFigure, optional
        The picture of another network on the same slice: the two share ranges and, while ``common_scale``, colours.

    Examples
    --------
    >>> figure = RegionFigure(partition.domain)  # doctest: +SKIP
    >>> figure.draw(RegionScene.of(partition), RegionStyle())  # doctest: +SKIP
    >>> bokeh.io.save(figure.root)  # doctest: +SKIP
    """

    def __init__(
        self,
        domain: Slice,
        samples: SliceSamples | None = None,
        *,
        height: int = 600,
        name: str = "",
        beside: RegionFigure | None = None,
    ) -> None:
        self.name = name
        self.samples = samples or SliceSamples.none()
        other = None if beside is None else beside.canvas
        self.canvas = RegionCanvas(domain, bool(len(self.samples)), height, beside=other)
        self.root = self.canvas.plot
        self.scene: RegionScene | None = None
        self.style = RegionStyle()
        self.values: RegionValues | None = None
        self._own: RegionValues | None = None  # by their own scale
        self._values_of: Partition | None = None
        self._values_key: tuple[Any, ...] = ()
        self._scales = CommonScales() if beside is None else beside._scales
        self._shares = beside is not None
        if beside is not None:
            beside._shares = True
        self._narrowest = 0.0
        self._setting_lines = False
        self._place(domain, self.samples)

    def _place(self, domain: Slice, samples: SliceSamples) -> None:
        self.domain, self.samples = domain, samples
        self.home = Window.around(domain.polygon)
        self.root.xaxis.axis_label, self.root.yaxis.axis_label = axis_labels(domain)
        self._inside = int(samples.within(np.asarray(domain.polygon)).sum())
        self._draw_samples()
        self.canvas.set_border(domain.polygon)

    def move(self, domain: Slice, samples: SliceSamples) -> None:
        """Go to another slice, before :meth:`expect` and :meth:`draw` of its partitions; all of it comes into view.

        The scale that spanned partitions of the old slice starts anew. A figure beside must go there too.
        """
        before = self.home
        self._scales.restart()
        self._place(domain, samples)
        if self.home == before:
            self.look_at(None)
        else:
            self.canvas.set_home(self.home)

    def draw(self, scene: RegionScene | None = None, style: RegionStyle | None = None) -> None:
        """Show a scene in a style; what did not change since the last call is not sent again."""
        new_scene = scene is not None and scene is not self.scene
        self.scene = scene or self.scene
        before, self.style = self.style, style or self.style
        changed = {name for name in before.__dataclass_fields__ if getattr(before, name) != getattr(self.style, name)}
        if changed & {"samples", "max_distance", "selection"}:
            self._draw_samples()
        shown = self.scene
        if shown is None:
            return
        partition = shown.full
        if new_scene:
            self._set_lines(shown)
        values, recoloured = self._valued(partition)
        if new_scene or recoloured:
            self._fill(shown, values, new_scene)
        elif shown.is_raster and "hinges" in changed:
            self._paint(shown, values)
        self._setting_lines = True
        for op, line in enumerate(self.canvas.lines):
            line.visible = op in self._lined_layers
        self._setting_lines = False
        if new_scene or changed & {"boundary", "layer"}:
            self.canvas.set_boundary(shown.boundary if self._boundary_shown else np.empty((0, 4)))
        if new_scene or changed & {"region"}:
            self._outline(partition)
        self._legends(shown, values)
        self.write()

    def expect(self, partition: Partition, step: int | None = None) -> None:
        """Let a common colour scale span a partition that is drawn next, or after the other picture."""
        if partition.complete:
            self._scales.add((self.name, step), partition)

    def on_legend(self, act: Callable[[tuple[int, ...] | None], None]) -> None:
        """Call with the layers left when the user hides or shows the lines of one by its legend entry."""

        def clicked(attr: str, old: bool, new: bool) -> None:
            if self._setting_lines:
                return
            now = tuple(op for op, line in enumerate(self.canvas.lines) if line.visible)
            hidden = tuple(range(self._layer, len(self.canvas.lines)))  # beyond the layer shown: left as they are
            act(None if len(now) == self._layer else (*now, *hidden))

        self.canvas.on_line_visible = clicked

    def mark(self, region: int | None, selection: tuple[int, ...]) -> None:
        """Outline a region and some samples; nothing else changes."""
        self.draw(style=replace(self.style, region=region, selection=selection))

    # -- the view -------------------------------------------------------------------------------------------------

    @property
    def window(self) -> Window:
        """What the ranges show."""
        x, y = self.root.x_range, self.root.y_range
        return Window(x.start, x.end, y.start, y.end)

    @property
    def frame(self) -> tuple[int | None, int | None]:
        """Size of the frame in pixels, as the browser said last."""
        return self.canvas.frame

    def look_at(self, window: Window | None) -> None:
        """Show at least this window, at the frame's proportions; None shows the whole domain."""
        x, y = self.root.x_range, self.root.y_range
        if window is None:
            window = Window(x.reset_start, x.reset_end, y.reset_start, y.reset_end)
        elif self.root.match_aspect:
            window = window.shaped(*(self.frame if all(self.frame) else (self.window.width, self.window.height)))
        x.update(start=window.xmin, end=window.xmax)
        y.update(start=window.ymin, end=window.ymax)

    def limit(self, narrowest: float) -> None:
        """Let no one zoom closer than this width."""
        self._narrowest = narrowest
        for axis in (self.root.x_range, self.root.y_range):
            if axis.min_interval != narrowest:
                axis.min_interval = narrowest

    @property
    def _layer(self) -> int:
        last = layer_count(self.scene.full) if self.scene else 0
        return last if self.style.layer is None else min(self.style.layer, last)

    @property
    def _boundary_shown(self) -> bool:
        return self.style.boundary and self.scene is not None and self._layer >= layer_count(self.scene.full)

    def write(self) -> None:
        """Title and caption for what is shown now; they say too when zooming has come to its end."""
        if self.scene is None:
            return
        plot, scene = self.root, self.scene
        plot.title.text = title(scene.full, self._layer, self.style.step, self.name)
        window = self.window
        at_limit = min(window.width, window.height) <= 1.01 * self._narrowest
        all_layers = self._layer >= layer_count(scene.full)
        words = [mode(scene.n_polygons, scene.is_raster, all_layers=all_layers), view(window, self.home)]
        lines = [wrapped("In view: " + "; ".join(word for word in words if word)), ZOOM_LIMIT if at_limit else ""]
        if self.values is not None and self.values.span is not None:
            lines.append(common_scale(self._scales.count(self._values_key), both=self._shares))
        self.canvas.caption.text = "\n".join(filter(None, lines))
        held = distances(self.samples.distance, self.samples.reach, self._inside) if self.style.samples else ""
        self.canvas.note.text = wrapped(held)
        self.canvas.note.visible = bool(held)

    # -- colours --------------------------------------------------------------------------------------------------

    def _valued(self, partition: Partition) -> tuple[RegionValues, bool]:
        """The values to colour by, and whether they or their scale are new."""
        style, before = self.style, self.values
        shared = style.common_scale and (self._shares or style.step is not None) and partition.complete
        key = (style.color_by, style.output, style.scale, style.layer, shared)

        def valued(partition: Partition) -> RegionValues:
            return region_values(partition, style.color_by, output=style.output, layer=style.layer, scale=style.scale)

        same = self._own is not None and self._values_of is partition and key == self._values_key
        own = self._own if same and self._own is not None else valued(partition)
        self._own, self._values_of, self._values_key = own, partition, key
        values = self._scales.shared(key, (self.name, style.step), partition, own, valued) if shared else own
        if same and before is not None and values.span == before.span:
            return before, False
        self.canvas.set_colour_bar(values, colour_mapper(values) if values.is_number else None)
        self.values = values
        return values, True

    def _fill(self, scene: RegionScene, values: RegionValues, new_scene: bool) -> None:
        self._paint(scene, values)
        ids = scene.ids[scene.shapes]
        colours = [*region_colours(values), palettes.MISSING]
        fills = [colours[i] for i in ids.tolist()]
        numbers = np.append(values.values, np.nan)[ids]
        if new_scene:
            self.canvas.set_polygons(scene.polygons, fills, numbers, hover_columns(scene.full, ids))
        else:
            self.canvas.recolour(fills, numbers)

    def _paint(self, scene: RegionScene, values: RegionValues) -> None:
        self.canvas.set_images(images_of(scene, values, self.home, self._lined_layers))

    # -- lines ----------------------------------------------------------------------------------------------------

    @property
    def _lined_layers(self) -> set[int]:
        """Layers whose hinge lines are shown."""
        chosen = range(self._layer) if self.style.hinges is None else self.style.hinges
        return {op for op in chosen if op < self._layer}

    def _set_lines(self, scene: RegionScene) -> None:
        segments = [np.empty((0, 4))] * len(scene.segments) if scene.is_raster else scene.segments
        self.canvas.set_lines(segments, layer_colours(len(segments)))

    def _outline(self, partition: Partition) -> None:
        region = self.style.region
        if region is None or not 0 <= region < partition.n_regions or not partition.complete:
            self.canvas.set_outlines(([], []), ([], []))
            return
        beside = rings(partition, neighbours(partition, region))
        self.canvas.set_outlines(rings(partition, np.array([region])), beside)

    # -- samples and legends --------------------------------------------------------------------------------------

    def _draw_samples(self) -> None:
        shown = self.samples if self.style.samples else SliceSamples.none()
        self.canvas.set_samples(shown.columns(self.style.max_distance, self.style.selection))

    def _legends(self, scene: RegionScene, values: RegionValues) -> None:
        last = self._layer
        some = np.linspace(0, last - 1, min(last, _LEGEND_LAYERS)).round().astype(int)
        listed = sorted(set(some.tolist()))
        lines = [(layer_name(scene.full, op), self.canvas.lines[op]) for op in listed]
        fills = category_colours(values) if values.kind == "category" else {}
        swatches = [(name, fills[key], "square") for key, name in values.categories]
        marks = self.samples.legend if self.style.samples else []
        swatches, marks = _shortened(swatches, "classes or layers"), _shortened(marks, "labels")
        self.canvas.set_legends(lines, swatches, marks, self._boundary_shown and bool(len(scene.boundary)))


def _shortened(entries: list[tuple[str, str, str]], noun: str) -> list[tuple[str, str, str]]:
    """The first entries of a legend, and how many more there are."""
    if len(entries) <= LEGEND_ENTRIES:
        return entries
    more = len(entries) - LEGEND_ENTRIES + 1
    return [*entries[: LEGEND_ENTRIES - 1], (f"and {more} more {noun}", "#ffffff", "dot")]
