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

#: Room around the domain, as a share of its size.
_ROOM = 0.02

# Keeps one unit of s as long as one unit of t when the frame changes its shape, or the domain does (its box is kept in
# the plot's tags); runs in the browser, so that a standalone HTML page does it too.
_KEEP_ASPECT = """
const [w, h] = [plot.inner_width, plot.inner_height]
if (!(w > 1 && h > 1) || !plot.match_aspect) return
const [x, y] = [plot.x_range, plot.y_range]
const box = plot.tags
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
    ranges = (Range1d(), Range1d()) if beside is None else (beside.x_range, beside.y_range)
    plot = figure(
        sizing_mode="stretch_width",
        height=height,
        x_range=ranges[0],
        y_range=ranges[1],
        tools=["pan", "wheel_zoom", BoxZoomTool(), "reset"],
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
    show_home(plot, box, (None, None))
    if beside is None:  # a layout aligns the frames of both, so one of them keeps the ranges in shape
        keep = CustomJS(args={"plot": plot}, code=_KEEP_ASPECT)
        for attr in ("inner_width", "inner_height", "tags"):
            plot.js_on_change(attr, keep)
    return plot


def show_home(plot: figure, box: Window, frame: tuple[int | None, int | None]) -> None:
    """Make a box of slice coordinates what the figure shows and what reset goes back to.

    ``frame`` is the size of the frame in pixels where a browser has told it: then its proportions are kept at once,
    and the browser has nothing left to move.
    """
    square = max(box.width, box.height) <= _MAX_ASPECT * min(box.width, box.height)
    start = box.grown(_ROOM)
    width, height = frame
    if square and width is not None and height is not None:
        start = start.shaped(width, height)
    for axis, low, high, length in (
        (plot.x_range, start.xmin, start.xmax, box.width),
        (plot.y_range, start.ymin, start.ymax, box.height),
    ):
        widest = _MAX_WIDTHS * (max(box.width, box.height) if square else length)
        axis.update(start=low, end=high, reset_start=low, reset_end=high, max_interval=widest)
    plot.match_aspect = square
    plot.select_one({"type": BoxZoomTool}).match_aspect = square
    plot.tags = [box.xmin, box.xmax, box.ymin, box.ymax]


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
