"""The Bokeh models of the region picture and the plain setters that fill them; no geometry, no colours of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    GlyphRenderer,
    HoverTool,
    LassoSelectTool,
    Legend,
    LegendItem,
    Title,
)
from jaxtyping import Float

from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_plot import SMALL, make_colour_bar, make_plot, show_home
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_values import RegionValues
from netgeom_widgets.figures.theme import PICKED

if TYPE_CHECKING:
    from bokeh.models import ColorMapper

    from netgeom_widgets.kernels.regions import Slice


#: Pixels of a legend in the narrowest cell, of a swatch with its margins, and of a letter; at most so many columns.
_LEGEND_WIDTH, _SWATCH_WIDTH, _LETTER_WIDTH, _MOST_COLUMNS = 380, 26, 6, 6
_REGION_TIPS = [
    ("region", "@region{0,0}"),
    ("class", "@class"),
    ("area", "@area{%.3g}"),
    ("slope norm", "@slope{%.4g}"),
]
_SAMPLE_TIPS = [("sample", "@sample"), ("label", "@label"), ("distance to the plane", "@distance{%.3g}")]


class RegionCanvas:
    """Figure, sources and glyphs of the region picture, from the back to the front."""

    def __init__(self, domain: Slice, with_samples: bool, height: int, *, beside: RegionCanvas | None = None) -> None:
        box = Window.around(domain.polygon)
        self.plot = make_plot(box, height, None if beside is None else beside.plot)
        self._images = self._source("image", "x", "y", "dw", "dh")
        self.plot.image_rgba("image", "x", "y", "dw", "dh", source=self._images, level="image")
        self.regions = self._source("xs", "ys", "fill", "region", "value", "class", "area", "slope", "sides")
        # The outline in the fill's own colour closes the hair gaps that anti-aliasing leaves between neighbours.
        self._patches = self.plot.patches(
            "xs", "ys", source=self.regions, fill_color="fill", line_color="fill", line_width=0.8, line_join="bevel"
        )
        self.lines: list[GlyphRenderer] = []
        self.on_line_visible: Callable[[str, bool, bool], None] | None = None
        self._legend_key: list[Any] | None = None
        self._border = self._source("xs", "ys")
        self._boundary = self._source("x0", "y0", "x1", "y1")
        self._outlines = [self._source("xs", "ys") for _ in range(2)]
        self._samples = self._source(*SliceSamples.none().columns(None, ()))
        self._front()
        self._legends()
        formats = {**_printf(_REGION_TIPS), "@value": "printf"}
        self._hover = HoverTool(renderers=[self._patches], tooltips=_REGION_TIPS, formatters=formats)
        self.plot.add_tools(self._hover)
        if with_samples:
            tips = HoverTool(renderers=[self._dots], tooltips=_SAMPLE_TIPS, formatters=_printf(_SAMPLE_TIPS))
            # Only samples are selected: regions that are not would fade. Only at the end of a stroke: on its way the
            # samples drawn anew would arrive among selections of their old rows.
            tools = [LassoSelectTool, BoxSelectTool]
            self.plot.add_tools(tips, *(tool(renderers=[self._dots], continuous=False) for tool in tools))

    # -- construction ---------------------------------------------------------------------------------------------

    @staticmethod
    def _source(*names: str) -> ColumnDataSource:
        return ColumnDataSource({name: [] for name in names})

    def _front(self) -> None:
        plot = self.plot
        plot.patches("xs", "ys", source=self._border, fill_alpha=0.0, line_color="#808080", line_width=1.2)
        strong = {"source": self._boundary, "line_cap": "round"}
        # Black in white: seen on every fill, and in the legend on light and dark ground.
        looks = ({"line_color": "#ffffff", "line_width": 6}, {"line_color": "#000000", "line_width": 3})
        self._boundary_lines = [plot.segment("x0", "y0", "x1", "y1", **look, **strong) for look in looks]
        picked, beside = self._outlines
        plot.patches("xs", "ys", source=beside, fill_alpha=0.0, line_color=PICKED, line_width=1.4, line_dash="dashed")
        plot.patches("xs", "ys", source=picked, fill_alpha=0.0, line_color="#ffffff", line_width=6, line_join="round")
        plot.patches("xs", "ys", source=picked, fill_alpha=0.0, line_color=PICKED, line_width=3, line_join="round")
        self._dots = plot.scatter(
            "x",
            "y",
            source=self._samples,
            size="size",
            marker="marker",
            fill_color="fill",
            fill_alpha="alpha",
            line_color="edge",
            line_width="edge_width",
            line_alpha="alpha",
        )
        # Selection is drawn by the columns above: Bokeh's own way fades everything that is not selected.
        self._dots.nonselection_glyph = self._dots.selection_glyph = self._dots.glyph

    def _legends(self) -> None:
        def legend(click: str) -> Legend:
            made = Legend(
                items=[],
                orientation="horizontal",
                ncols=3,
                click_policy=click,
                location="left",
                label_text_font_size=SMALL,
                border_line_alpha=0,
                background_fill_alpha=0,
                padding=2,
                margin=2,
                spacing=2,
                glyph_height=14,
                glyph_width=18,
                label_height=14,
            )
            self.plot.add_layout(made, "below")
            return made

        self._line_legend, self._fill_legend = legend("hide"), legend("none")
        # A bar keeps the scale it was first drawn with, so there are two, of which at most one is seen.
        self._bars = {log: make_colour_bar(log=log) for log in (False, True)}
        for bar in self._bars.values():
            self.plot.add_layout(bar, "right")
        self.note = Title(text="", text_font_size=SMALL, text_font_style="normal")
        self.caption = Title(text="", text_font_size=SMALL, text_font_style="normal")
        for words in (self.caption, self.note):
            self.plot.add_layout(words, "below")

    # -- what the browser says -----------------------------------------------------------------------------------

    @property
    def frame(self) -> tuple[int | None, int | None]:
        """Width and height of the frame in pixels; None before a browser has drawn it."""
        try:
            width, height = self.plot.inner_width, self.plot.inner_height
        except UnsetValueError:
            return None, None
        return (width, height) if width > 1 and height > 1 else (None, None)

    def on_lasso(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of samples that the user drew a box or lasso around."""

        def changed(attr: str, old: Any, new: list[int]) -> None:
            if new:  # emptied when the samples are drawn again
                ids = np.asarray(self._samples.data["sample"])
                act(ids[[i for i in new if i < len(ids)]].tolist())

        self._samples.selected.on_change("indices", changed)

    def follow_pointer(self, wanted: bool) -> None:
        """Have the browser report the pointer, or not: each report is a message to Python."""
        reports = {"mousemove", "mouseleave"}
        events = set(self.plot.subscribed_events) - reports
        events = events | reports if wanted else events
        if events != set(self.plot.subscribed_events):
            self.plot.subscribed_events = events

    # -- setters --------------------------------------------------------------------------------------------------

    def set_home(self, box: Window) -> None:
        """Box of slice coordinates shown, and gone back to by reset."""
        show_home(self.plot, box, self.frame)

    def set_border(self, polygon: Float[np.ndarray, "K 2"]) -> None:
        """Outline of the domain."""
        self._border.data = {"xs": [polygon[:, 0].tolist()], "ys": [polygon[:, 1].tolist()]}

    def set_images(self, images: Sequence[tuple[np.ndarray, Window]]) -> None:
        """Rasters from the back to the front."""
        windows = [window for _, window in images]
        self._images.data = {
            "image": [image for image, _ in images],
            "x": [w.xmin for w in windows],
            "y": [w.ymin for w in windows],
            "dw": [w.width for w in windows],
            "dh": [w.height for w in windows],
        }

    def set_polygons(
        self, corners: tuple[list[Any], list[Any]], fill: list[str], value: np.ndarray, facts: dict[str, Any]
    ) -> None:
        """Polygons with their colours and what the hover says of them."""
        self.regions.data = {"xs": corners[0], "ys": corners[1], "fill": fill, "value": value, **facts}

    def recolour(self, fill: list[str], value: np.ndarray) -> None:
        """New colours for the polygons already there."""
        if fill:
            every = slice(0, len(fill))
            self.regions.patch({"fill": [(every, fill)], "value": [(every, value.tolist())]})

    def set_lines(self, segments: Sequence[Float[np.ndarray, "S 4"]], colours: Sequence[str]) -> None:
        """Hinge lines, one glyph per layer: the first layers wider."""
        for op in range(len(self.lines), len(segments)):
            line = self.plot.segment(
                "x0", "y0", "x1", "y1", source=self._source("x0", "y0", "x1", "y1"), level="glyph", name=f"hinges {op}"
            )
            # New lines go right above the fills, below the boundary, the outlines and the samples.
            self.plot.renderers.remove(line)
            self.plot.renderers.insert(self.plot.renderers.index(self._patches) + 1, line)
            if self.on_line_visible is not None:
                line.on_change("visible", self.on_line_visible)
            self.lines.append(line)
        many = sum(map(len, segments)) / 250
        finer = max(0.5, min(1.0, many**-0.3)) if many else 1.0  # or a dense picture would be lines only
        for op, line in enumerate(self.lines):
            rows = segments[op] if op < len(segments) else np.empty((0, 4))
            rows = rows if len(rows) else np.full((1, 4), np.nan)  # the legend shows no glyph without a row
            line.data_source.data = _segment_columns(rows)
            line.glyph.line_color = colours[op] if op < len(colours) else "#000000"
            line.glyph.line_width = max(0.7, 1.8 - 0.35 * op) * finer

    def set_boundary(self, segments: Float[np.ndarray, "B 4"]) -> None:
        """Decision boundary."""
        self._boundary.data = _segment_columns(segments)

    def set_outlines(self, picked: tuple[list[Any], list[Any]], beside: tuple[list[Any], list[Any]]) -> None:
        """Outlines of the picked region and of its neighbours."""
        for source, (xs, ys) in zip(self._outlines, (picked, beside), strict=True):
            source.data = {"xs": xs, "ys": ys}

    def set_samples(self, columns: dict[str, Any]) -> None:
        """Data points; those picked with a wide outline."""
        picked = columns["picked"]
        columns = {**columns, "edge": [PICKED if p else "#202020" for p in picked]}
        self._samples.selected.indices = []
        self._samples.data = columns

    def set_colour_bar(self, values: RegionValues, mapper: ColorMapper | None) -> None:
        """Colour bar with label and unit, hidden for categories, which have a legend; the hover says the value too."""
        new = mapper is not None and values.label not in dict(_REGION_TIPS)
        tips = [*_REGION_TIPS, (values.label, "@value{%.4g}")] if new else list(_REGION_TIPS)
        self._hover.tooltips = [*tips, ("sides", "@sides")]
        for log, bar in self._bars.items():
            bar.visible = mapper is not None and log == values.log
        if mapper is None:
            return
        bar = self._bars[values.log]
        bar.color_mapper.update(palette=mapper.palette, low=mapper.low, high=mapper.high)
        bar.title = ", ".join(filter(None, [values.label, values.unit, "log scale" if values.log else ""]))

    def set_legends(
        self,
        lines: Iterable[tuple[str, GlyphRenderer]],
        swatches: Iterable[tuple[str, str, str]],
        marks: Iterable[tuple[str, str, str]],
        boundary: bool,
    ) -> None:
        """Hinge lines per layer (a click hides them), then boundary, fills and sample labels."""
        shown = [(name, line.id) for name, line in lines]
        by_id = {line.id: line for line in self.lines}
        if shown != [(item.label.value, item.renderers[0].id) for item in self._line_legend.items]:
            self._line_legend.items = [LegendItem(label={"value": n}, renderers=[by_id[i]]) for n, i in shown]
        entries = [*swatches, *marks]
        key = [*entries, boundary]
        if key == self._legend_key:
            return
        self._legend_key = key
        for item in self._fill_legend.items:
            for old in item.renderers:
                if old not in self._boundary_lines:
                    self.plot.renderers.remove(old)
        items = [LegendItem(label={"value": "decision boundary"}, renderers=self._boundary_lines)] if boundary else []
        for name, colour, marker in entries:
            # A glyph at no point: it exists for its entry only.
            look = {"marker": marker, "size": 11, "fill_color": colour, "line_color": "#606060"}
            sign = self.plot.scatter([np.nan], [np.nan], **look)
            items.append(LegendItem(label={"value": name}, renderers=[sign]))
        self._fill_legend.items = items
        self._fill_legend.ncols = _columns([item.label.value for item in items])
        self._fill_legend.visible = bool(items)


def _columns(names: Sequence[str]) -> int:
    """How many columns of legend entries fit a narrow cell; rows that are not needed take height from the picture."""
    for n in range(min(len(names), _MOST_COLUMNS), 1, -1):
        widest = (max(map(len, names[column::n])) for column in range(n))
        if sum(_SWATCH_WIDTH + _LETTER_WIDTH * letters for letters in widest) <= _LEGEND_WIDTH:
            return n
    return 1


def _segment_columns(rows: Float[np.ndarray, "S 4"]) -> dict[str, np.ndarray]:
    return {name: np.ascontiguousarray(rows[:, i]) for i, name in enumerate(("x0", "y0", "x1", "y1"))}


def _printf(tips: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {text.split("{")[0]: "printf" for _, text in tips if "{%" in text}
