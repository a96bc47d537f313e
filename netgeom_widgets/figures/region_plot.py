"""The empty Bokeh figure of a slice: ranges, tools, and one scale for s and t."""

from __future__ import annotations

from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    BoxZoomTool,
    ColorBar,
    CustomJS,
    LinearColorMapper,
    LogColorMapper,
    LogTicker,
    LogTickFormatter,
    Range1d,
)
from bokeh.plotting import figure

from netgeom_widgets.figures.region_geometry import Window

#: Size of all text but the title.
SMALL = "11px"
#: A domain longer than this many times its width is stretched to the frame instead of keeping one scale for s and t.
_MAX_ASPECT = 5.0
#: Zooming out ends at this many widths of the domain, where it still is more than a dot.
_MAX_WIDTHS = 20.0

# Keeps one unit of s as long as one unit of t when the frame changes its shape; runs in the browser, so that a
# standalone HTML page does it too.
_KEEP_ASPECT = """
const [w, h] = [plot.inner_width, plot.inner_height]
if (!(w > 1 && h > 1)) return
const [x, y] = [plot.x_range, plot.y_range]
const unit = 1.04 * Math.max((box[1] - box[0]) / w, (box[3] - box[2]) / h)
const [cx, cy] = [(box[0] + box[1]) / 2, (box[2] + box[3]) / 2]
const home = x.start == x.reset_start && x.end == x.reset_end && y.start == y.reset_start && y.end == y.reset_end
x.reset_start = cx - unit * w / 2
x.reset_end = cx + unit * w / 2
y.reset_start = cy - unit * h / 2
y.reset_end = cy + unit * h / 2
if (home) {
  x.setv({start: x.reset_start, end: x.reset_end})
  y.setv({start: y.reset_start, end: y.reset_end})
} else {
  const half = (y.end - y.start) / h * w / 2
  const middle = (x.start + x.end) / 2
  x.setv({start: middle - half, end: middle + half})
}
"""


def make_plot(box: Window, height: int, beside: figure | None = None) -> figure:
    """An empty figure that shows a box of slice coordinates and stretches to its container.

    One that stands ``beside`` another has its ranges: what moves one, moves both, in the browser.
    """
    square = max(box.width, box.height) <= _MAX_ASPECT * min(box.width, box.height)
    start = box.grown(0.02)
    ends = ((start.xmin, start.xmax), (start.ymin, start.ymax))
    widths = [max(box.width, box.height)] * 2 if square else [box.width, box.height]
    ranges = (
        [beside.x_range, beside.y_range]
        if beside is not None
        else [
            Range1d(a, b, reset_start=a, reset_end=b, max_interval=_MAX_WIDTHS * width)
            for (a, b), width in zip(ends, widths, strict=True)
        ]
    )
    plot = figure(
        sizing_mode="stretch_width",
        height=height,
        x_range=ranges[0],
        y_range=ranges[1],
        match_aspect=square,
        tools=["pan", "wheel_zoom", BoxZoomTool(match_aspect=square), "reset"],
        active_scroll="wheel_zoom",
        toolbar_location="above",
        toolbar_sticky=False,  # a row of its own: beside the title it covers it in a narrow cell
        # Decimated glyphs while dragging would show a partition with holes.
        lod_threshold=None,
        min_border_right=8,
        output_backend="canvas",
    )
    plot.toolbar.logo = None
    plot.grid.visible = False
    plot.title.text_font_size = "14px"
    if square and beside is None:  # a layout aligns the frames of both, so one of them keeps the ranges in shape
        keep = CustomJS(args={"plot": plot, "box": [box.xmin, box.xmax, box.ymin, box.ymax]}, code=_KEEP_ASPECT)
        plot.js_on_change("inner_width", keep)
        plot.js_on_change("inner_height", keep)
    return plot


def make_colour_bar(*, log: bool) -> ColorBar:
    """A colour bar, hidden and without colours yet."""
    mapper = LogColorMapper if log else LinearColorMapper
    ticker = LogTicker(num_minor_ticks=0) if log else BasicTicker(desired_num_ticks=6)
    return ColorBar(
        color_mapper=mapper(palette=["#000000", "#ffffff"], low=0.1, high=1),
        ticker=ticker,
        formatter=LogTickFormatter(ticker=ticker) if log else BasicTickFormatter(),
        width=14,
        visible=False,
        title_text_font_size=SMALL,
        major_label_text_font_size=SMALL,
        background_fill_alpha=0,
        margin=0,
        padding=6,
    )
