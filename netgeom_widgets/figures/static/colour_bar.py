"""Colour bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    CategoricalColorMapper,
    FixedTicker,
    LogColorMapper,
    LogTicker,
    LogTickFormatter,
)

from netgeom_widgets.figures.static.canvas import GUIDES, Box, Canvas
from netgeom_widgets.figures.static.colours import map_colours, mapper_limits
from netgeom_widgets.figures.static.coordinates import Scale
from netgeom_widgets.figures.static.strokes import fill_colour, line_style
from netgeom_widgets.figures.static.text import extent, text_style
from netgeom_widgets.figures.static.ticks import tick_labels, tick_positions

BAR = 25.0


class ColourBar:
    """What a colour bar shows: samples of its colours, its scale, ticks and labels."""

    def __init__(self, bar: Any, data_of: Callable[[Any], np.ndarray]) -> None:
        self.bar = bar
        mapper = bar.color_mapper
        if isinstance(mapper, CategoricalColorMapper):
            n = len(mapper.factors)
            self.colours = map_colours(mapper, list(mapper.factors))
            self.scale = Scale(0.0, float(n))
            self.ticks = [position + 0.5 for position in range(n)]
            self.labels = [(" ".join(f) if not isinstance(f, str) else f, False) for f in mapper.factors]
            return
        low, high = mapper_limits(mapper, data_of(mapper))
        if not (np.isfinite(low) and np.isfinite(high)):
            low, high = (1.0, 10.0) if isinstance(mapper, LogColorMapper) else (0.0, 1.0)
        mapper_ends = (low, high)
        low = low if bar.display_low is None else max(low, bar.display_low)
        high = high if bar.display_high is None else min(high, bar.display_high)
        if low == high:
            low, high = low - 0.5, high + 0.5
        log = isinstance(mapper, LogColorMapper)
        self.scale = Scale(low, high, log=log)
        parts = (np.arange(1024) + 0.5) / 1024
        values = low * (high / low) ** parts if log else low + (high - low) * parts
        # the mapper's own ends decide the colours, not those of the part shown
        whole = map_colours(mapper, np.concatenate([values, mapper_ends]))
        self.colours = whole[:-2]
        ticker = bar.ticker if bar.ticker != "auto" else (LogTicker() if log else BasicTicker())
        ticker = FixedTicker(ticks=ticker) if isinstance(ticker, list | tuple) else ticker
        formatter = bar.formatter if bar.formatter != "auto" else (LogTickFormatter() if log else BasicTickFormatter())
        self.ticks = tick_positions(ticker, *sorted((low, high)))[0]
        self.labels = tick_labels(formatter, ticker, self.ticks, bar.major_label_overrides)

    def vertical(self, side: str) -> bool:
        """Whether the bar stands upright."""
        if self.bar.orientation != "auto":
            return self.bar.orientation == "vertical"
        return side not in ("above", "below")

    def _label_extent(self) -> tuple[float, float]:
        prop = text_style(self.bar, "major_label_")["fontproperties"]
        sizes = [extent(text, prop, math=math) for text, math in self.labels] or [(0.0, 0.0)]
        return max(size[0] for size in sizes), max(size[1] for size in sizes)

    def _title(self) -> tuple[float, float]:
        if not self.bar.title:
            return 0.0, 0.0
        width, height = extent(self.bar.title, text_style(self.bar, "title_")["fontproperties"])
        return width, height + self.bar.title_standoff

    def size(self, side: str, frame: tuple[float, float]) -> tuple[float, float]:
        """Width and height in pixels, with padding."""
        pad, title, label = 2 * self.bar.padding, self._title(), self._label_extent()
        inside = side == "center"
        gap = self.bar.label_standoff
        if self.vertical(side):
            thick = BAR if self.bar.width == "auto" else float(self.bar.width)
            full = (0.8 if inside else 1.0) * frame[1]
            long = full if self.bar.height == "auto" else float(self.bar.height) + pad * inside
            return title[1] + thick + gap + label[0] + pad, long
        thick = BAR if self.bar.height == "auto" else float(self.bar.height)
        full = (0.8 if inside else 1.0) * frame[0]
        long = full if self.bar.width == "auto" else float(self.bar.width) + pad
        return long, thick + gap + label[1] + title[1] + pad

    def draw(self, canvas: Canvas, side: str, box: Box) -> None:
        """The bar, its ticks, labels and title inside a box of `size`."""
        bar, pad = self.bar, self.bar.padding
        border = line_style(bar, "border_line")
        if side == "center" or border["color"][3]:
            canvas.rectangle(
                box, facecolor=fill_colour(bar, "background_fill"), edgecolor=border["color"],
                linewidth=border["linewidth"],
            )  # fmt: skip
        upright = self.vertical(side)
        # a bar in a side panel lines up with the frame; its padding only keeps it off the neighbours
        end_pad = pad if side == "center" else 0.0
        title = self._title()[1]
        if upright:
            thick = BAR if bar.width == "auto" else float(bar.width)
            strip = Box(box.left + pad + title, box.top + end_pad, thick, box.height - 2 * end_pad)
        else:
            thick = BAR if bar.height == "auto" else float(bar.height)
            strip = Box(box.left + end_pad, box.top + pad + title, box.width - 2 * end_pad, thick)
        if bar.title:  # along the bar, as in the browser
            at = (
                (strip.left - bar.title_standoff, strip.bottom)
                if upright
                else (strip.left, strip.top - bar.title_standoff)
            )
            style = {"rotation": 90 if upright else 0, **text_style(bar, "title_")}
            canvas.text(*at, bar.title, ha="left", va="bottom", order=GUIDES + 1, **style)
        self._strip(canvas, strip, upright)
        self._marks(canvas, strip, upright)

    def _strip(self, canvas: Canvas, strip: Box, upright: bool) -> None:
        image = np.rint(self.colours * 255).astype(np.uint8)
        axes = canvas.figure.add_axes(canvas.fraction(strip), frameon=False, xticks=[], yticks=[], zorder=GUIDES + 1)
        axes.imshow(
            image[:, None] if upright else image[None], origin="lower", aspect="auto", interpolation="nearest",
            extent=(0, 1, 0, 1),
        )  # fmt: skip
        outline = line_style(self.bar, "bar_line")
        if outline["color"][3]:
            canvas.rectangle(
                strip, facecolor="none", edgecolor=outline["color"], linewidth=outline["linewidth"], order=GUIDES + 2
            )

    def _marks(self, canvas: Canvas, strip: Box, upright: bool) -> None:
        bar, style = self.bar, text_style(self.bar, "major_label_")
        tick = line_style(bar, "major_tick_line")
        last = -np.inf
        for at, (text, math) in zip(self.scale.fraction(self.ticks), self.labels, strict=True):
            width, height = extent(text, style["fontproperties"], math=math)
            if upright:
                y = strip.bottom - at * strip.height
                mark = [(strip.right - bar.major_tick_in, y), (strip.right + bar.major_tick_out, y)]
                place, align, reach = (strip.right + bar.label_standoff, y), ("left", "center"), height
                along = at * strip.height
            else:
                x = strip.left + at * strip.width
                mark = [(x, strip.bottom - bar.major_tick_in), (x, strip.bottom + bar.major_tick_out)]
                place, align, reach = (x, strip.bottom + bar.label_standoff), ("center", "top"), width + 4
                along = at * strip.width
            canvas.line(mark, **{**tick, "zorder": GUIDES + 2})
            if along - last < 0.8 * reach:
                continue  # Bokeh's NoOverlap policy leaves such labels out too
            last = along
            canvas.text(*place, text, math=math, ha=align[0], va=align[1], order=GUIDES + 2, **style)
