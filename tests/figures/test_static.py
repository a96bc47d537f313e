"""netgeom_widgets.figures.static: what arrives in the picture."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from bokeh.core.enums import MarkerType
from bokeh.layouts import column, gridplot, row
from bokeh.models import (
    Band,
    BoxAnnotation,
    Button,
    CategoricalColorMapper,
    CDSView,
    ColorBar,
    ColumnDataSource,
    CustomJSTickFormatter,
    DataRange1d,
    Div,
    EqHistColorMapper,
    FactorRange,
    FixedTicker,
    GraphRenderer,
    GroupFilter,
    IndexFilter,
    Label,
    LabelSet,
    LinearColorMapper,
    LogColorMapper,
    NoOverlap,
    Range1d,
    RendererGroup,
    Slope,
    Spacer,
    Span,
    StaticLayoutProvider,
    TabPanel,
    Tabs,
    Title,
)
from bokeh.plotting import figure
from bokeh.transform import dodge, factor_cmap, jitter, linear_cmap
from PIL import Image

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.figures.static import render, save, to_figure

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


def bare(**options):
    """A plot whose frame is the whole picture but a border: data (0, 0)..(10, 10)."""
    options = {"x_range": (0, 10), "y_range": (0, 10), "frame_width": 200, "frame_height": 200} | options
    plot = figure(**options)
    plot.grid.visible = False
    plot.outline_line_color = None
    return plot


def pixels(root, dpi=96):
    return np.asarray(Image.open(io.BytesIO(render(root, dpi=dpi))).convert("RGB")).astype(int)


class Probe:
    """Colours of a picture at data positions of a plot."""

    def __init__(self, plot):
        self.image = pixels(plot)
        page = to_figure(plot, dpi=96)
        self.axes, self.height = page.axes[0], page.bbox.height  # an empty foot of the page is not in the picture

    def __call__(self, x, y):
        across, up = self.axes.transData.transform((x, y))
        return tuple(self.image[int(self.height - up), int(across)])


def near(colour, wanted, slack=6):
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= slack


def shows(plot, x, y, wanted):
    colour = Probe(plot)(x, y)
    assert near(colour, wanted), colour


def texts(root):
    drawn = to_figure(root)
    return [text.get_text() for text in drawn.findobj(mpl.text.Text) if text.get_text()]


SOLID = {"fill_color": "red", "line_color": None}
GLYPHS = {
    "patches": (lambda p: p.patches([[2, 8, 8, 2]], [[2, 2, 8, 8]], **SOLID), [(5, 5)], [(1, 5)]),
    "patches_with_gap": (
        lambda p: p.patches([[1, 4, 4, 1, np.nan, 6, 9, 9, 6]], [[2, 2, 8, 8, np.nan, 2, 2, 8, 8]], **SOLID),
        [(2.5, 5), (7.5, 5)],
        [(5, 5)],
    ),
    "multi_polygons": (
        lambda p: p.multi_polygons([[[[1, 9, 9, 1], [4, 6, 6, 4]]]], [[[[1, 1, 9, 9], [4, 4, 6, 6]]]], **SOLID),
        [(2, 2), (8, 8)],
        [(5, 5)],
    ),
    "patch": (lambda p: p.patch([2, 8, 8, 2], [2, 2, 8, 8], **SOLID), [(5, 5)], [(1, 1)]),
    "multi_line": (lambda p: p.multi_line([[0, 10]], [[5, 5]], color="red", line_width=6), [(3, 5)], [(3, 7)]),
    "line": (lambda p: p.line([0, 10], [5, 5], color="red", line_width=6), [(3, 5)], [(3, 7)]),
    "segment": (lambda p: p.segment([5], [0], [5], [10], color="red", line_width=6), [(5, 2)], [(7, 2)]),
    "step": (lambda p: p.step([0, 5, 10], [2, 8, 8], mode="after", color="red", line_width=6), [(2, 2)], [(2, 8)]),
    "step_before": (
        lambda p: p.step([0, 5, 10], [2, 8, 8], mode="before", color="red", line_width=6),
        [(2, 8)],
        [(2, 2)],
    ),
    "scatter": (lambda p: p.scatter([5], [5], size=40, **SOLID), [(5, 5), (5.8, 5)], [(6.2, 5), (5.9, 5.9)]),
    "square": (lambda p: p.scatter([5], [5], size=40, marker="square", **SOLID), [(5.9, 5.9)], [(6.2, 5)]),
    "circle": (lambda p: p.circle([5], [5], radius=3, **SOLID), [(7.8, 5), (5, 2.3)], [(8.3, 5), (7.5, 7.5)]),
    "quad": (lambda p: p.quad(left=2, right=8, bottom=2, top=8, **SOLID), [(5, 5)], [(9, 5)]),
    "rect": (lambda p: p.rect([5], [5], width=4, height=8, **SOLID), [(6.8, 8.8)], [(7.2, 5)]),
    "rect_turned": (lambda p: p.rect([5], [5], width=4, height=8, angle=np.pi / 2, **SOLID), [(8.8, 6.8)], [(5, 7.2)]),
    "vbar": (lambda p: p.vbar([5], top=[6], width=4, **SOLID), [(6.8, 5.8)], [(5, 6.3)]),
    "hbar": (lambda p: p.hbar([5], right=[6], height=4, **SOLID), [(5.8, 6.8)], [(6.3, 5)]),
    "varea": (lambda p: p.varea([2, 8], [2, 2], [8, 8], fill_color="red"), [(5, 5)], [(9, 5)]),
    "harea": (lambda p: p.harea(y=[2, 8], x1=[2, 2], x2=[8, 8], fill_color="red"), [(5, 5)], [(9, 5)]),
}


@pytest.mark.parametrize("name", GLYPHS)
def test_glyph_is_where_its_data_say(name):
    add, inside, outside = GLYPHS[name]
    plot = bare()
    add(plot)
    probe = Probe(plot)
    for at in inside:
        assert near(probe(*at), RED), (at, probe(*at))
    for at in outside:
        assert near(probe(*at), WHITE), (at, probe(*at))


@pytest.mark.parametrize("marker", sorted(MarkerType))
def test_every_marker_of_bokeh_is_drawn(marker):
    plot = bare()
    plot.scatter([5], [5], size=60, marker=marker, fill_color="red", line_color="red", line_width=3)
    drawn = pixels(plot)
    assert ((drawn[..., 0] > 200) & (drawn[..., 1] < 90)).sum() > 60


def test_image_lies_with_its_first_row_below():
    plot = bare()
    mapper = LinearColorMapper(palette=["#ff0000", "#0000ff"], low=0, high=1, nan_color="#008000")
    plot.image([np.array([[0.0, 1.0], [np.nan, 0.2]])], x=0, y=0, dw=10, dh=10, color_mapper=mapper)
    probe = Probe(plot)
    assert near(probe(2, 2), RED) and near(probe(8, 2), BLUE) and near(probe(2, 8), GREEN) and near(probe(8, 8), RED)


def test_images_sized_in_pixels_keep_their_size_and_widen_no_range():
    plot = bare(x_range=DataRange1d(range_padding=0), y_range=(0, 1))
    image = np.full((2, 2), 0xFF0000FF, dtype=np.uint32)
    sized = {"value": 40, "units": "screen"}
    plot.image_rgba([image, image], x=[0, 1000], y=0.5, dw=sized, dh=sized, anchor="center")
    assert to_figure(plot).axes[0].get_xlim() == (0, 1000)
    red = (pixels(plot) == RED).all(axis=2)
    assert (red.sum(axis=0) > 0).sum() == pytest.approx(40, abs=2), "half of each one lies outside the frame"
    assert (red.sum(axis=1) > 0).sum() == pytest.approx(40, abs=2)
    plot.renderers[0].glyph.dh = {"value": 1, "units": "data"}
    with pytest.raises(NetgeomError, match="both sizes"):
        render(plot)


def test_labels_that_must_not_overlap_are_left_out():
    plot = figure(x_range=(0, 100), y_range=(0, 1), frame_width=300, frame_height=100)
    plot.xaxis.ticker = list(range(101))
    plot.xaxis.major_label_overrides = {at: f"step {at}" for at in range(101)}
    assert {f"step {at}" for at in range(101)} <= set(texts(plot))
    plot.xaxis.major_label_policy = NoOverlap(min_distance=5)
    kept = [text for text in texts(plot) if text.startswith("step")]
    assert "step 0" in kept and 4 <= len(kept) <= 9


@pytest.mark.parametrize("flipped", [False, True])
def test_the_first_label_is_written_where_labels_are_left_out(flipped):
    plot = figure(x_range=(0, 1), y_range=(21, -1) if flipped else (-1, 21), frame_width=100, frame_height=150)
    plot.yaxis.ticker = list(range(21))
    plot.yaxis.major_label_overrides = {at: f"row {at}" for at in range(21)}
    plot.yaxis.major_label_policy = NoOverlap(min_distance=6)
    kept = [text for text in texts(plot) if text.startswith("row")]
    assert kept[0] == "row 0" and 3 <= len(kept) <= 10


def test_a_grid_keeps_within_its_bounds():
    plot = figure(x_range=(-10, 110), y_range=(0, 1), frame_width=120, frame_height=50)
    plot.xgrid[0].update(ticker=FixedTicker(ticks=[-5, 0, 100, 105]), grid_line_color="red", grid_line_width=3)
    for bounds, lines in (("auto", 4), ((0, 100), 2)):
        plot.xgrid[0].bounds = bounds
        red = (pixels(plot) == RED).all(axis=2).any(axis=0)
        assert (np.diff(red.astype(int)) == 1).sum() == lines


def test_rgba_image_bytes_are_red_green_blue_alpha():
    plot = bare()
    image = np.zeros((2, 2), dtype=np.uint32)
    image.view(np.uint8).reshape(2, 2, 4)[...] = [[RED + (255,), BLUE + (255,)], [GREEN + (255,), RED + (0,)]]
    plot.image_rgba([image], x=0, y=0, dw=10, dh=10)
    probe = Probe(plot)
    assert near(probe(2, 2), RED) and near(probe(8, 2), BLUE) and near(probe(2, 8), GREEN) and near(probe(8, 8), WHITE)


def test_image_on_a_log_axis_covers_its_box():
    plot = bare(x_range=(1, 1000), x_axis_type="log")
    plot.image([np.array([[0.0]])], x=10, y=0, dw=90, dh=10, palette=["#ff0000"])
    probe = Probe(plot)
    assert near(probe(30, 5), RED) and near(probe(5, 5), WHITE) and near(probe(200, 5), WHITE)


def test_colours_of_rows_fields_mappers_and_alpha():
    source = ColumnDataSource({"x": [1, 3, 5, 7], "v": [0.0, 1.0, 2.0, np.nan], "c": ["red", "blue", "#008000", "red"]})
    plot = bare()
    plot.vbar("x", top=4, width=1.5, source=source, fill_color="c", line_color=None)
    mapped = linear_cmap("v", ["#ff0000", "#008000", "#0000ff"], 0, 2, nan_color="#ffff00")
    plot.vbar("x", bottom=5, top=7, width=1.5, source=source, fill_color=mapped, line_color=None)
    plot.vbar("x", bottom=8, top=9, width=1.5, source=source, fill_color="red", fill_alpha=0.5, line_color=None)
    probe = Probe(plot)
    assert [near(probe(x, 2), c) for x, c in ((1, RED), (3, BLUE), (5, GREEN), (7, RED))] == [True] * 4
    assert [near(probe(x, 6), c) for x, c in ((1, RED), (3, GREEN), (5, BLUE), (7, (255, 255, 0)))] == [True] * 4
    assert near(probe(1, 8.5), (255, 128, 128))


def test_packed_and_rgba_colour_columns():
    source = ColumnDataSource({"x": [2, 6], "p": np.array([0xFF0000FF, 0x0000FFFF], dtype=np.uint32)})
    plot = bare()
    plot.vbar("x", top=4, width=2, source=source, fill_color="p", line_color=None)
    rgba = np.array([[0, 128, 0, 255], [255, 0, 0, 255]], dtype=np.uint8)
    plot.vbar([2, 6], bottom=5, top=9, width=2, fill_color=rgba, line_color=None)
    probe = Probe(plot)
    assert near(probe(2, 2), RED) and near(probe(6, 2), BLUE) and near(probe(2, 7), GREEN) and near(probe(6, 7), RED)


def test_factor_ranges_with_offsets_dodge_and_nested_groups():
    plot = figure(x_range=["a", "b"], y_range=(0, 10), frame_width=200, frame_height=200)
    colours = factor_cmap("x", ["#ff0000", "#0000ff"], ["a", "b"])
    source = ColumnDataSource({"x": ["a", "b"]})
    plot.vbar("x", top=4, width=0.8, source=source, fill_color=colours, line_color=None)
    plot.vbar(dodge("x", 0.25, plot.x_range), bottom=6, top=8, width=0.2, source=source, color="red")
    plot.scatter([("b", -0.25)], [9], size=12, color="red")
    probe = Probe(plot)
    assert near(probe(0.5, 2), RED) and near(probe(1.5, 2), BLUE)
    assert near(probe(0.75, 7), RED) and near(probe(1.25, 9), RED)
    assert {"a", "b"} <= set(texts(plot))
    nested = figure(x_range=FactorRange(("A", "x"), ("A", "y"), ("B", "x")), height=200)
    nested.vbar(nested.x_range.factors, top=[1, 2, 3], width=0.9)
    assert sorted(t for t in texts(nested) if t in "ABxy") == ["A", "B", "x", "x", "y"]


def test_views_and_invisible_renderers_are_honoured():
    source = ColumnDataSource({"x": [1, 3, 5], "k": ["p", "q", "p"]})
    plot = bare()
    style = {"width": 1.5, "source": source, "color": "red"}
    plot.vbar("x", top=2, view=CDSView(filter=IndexFilter([0])), **style)
    chosen = GroupFilter(column_name="k", group="p") & ~IndexFilter([0])
    plot.vbar("x", bottom=3, top=5, view=CDSView(filter=chosen), **style)
    plot.vbar("x", bottom=6, top=9, **style).visible = False
    plot.vbar("x", bottom=6, top=9, **style).group = RendererGroup(visible=False)
    probe = Probe(plot)
    assert [near(probe(x, 1), RED) for x in (1, 3, 5)] == [True, False, False]
    assert [near(probe(x, 4), RED) for x in (1, 3, 5)] == [False, False, True]
    assert [near(probe(x, 7), WHITE) for x in (1, 3, 5)] == [True] * 3


def test_selected_rows_take_the_selection_style():
    plot = bare()
    bars = plot.vbar([2, 6], top=5, width=2, color="blue", selection_color="red", nonselection_alpha=0)
    bars.data_source.selected.indices = [1]
    probe = Probe(plot)
    assert near(probe(2, 2), WHITE) and near(probe(6, 2), RED)


def test_drawing_order_is_level_then_renderer():
    plot = bare()
    plot.quad(left=0, right=10, bottom=0, top=10, color="red", level="overlay")
    plot.quad(left=0, right=10, bottom=0, top=10, color="blue")
    shows(plot, 5, 5, RED)


def test_limits_are_those_of_the_ranges():
    plot = figure(x_range=Range1d(3, -1), y_range=(1e-3, 1e5), y_axis_type="log")
    axes = to_figure(plot).axes[0]
    assert axes.get_xlim() == (3, -1) and axes.get_ylim() == (1e-3, 1e5) and axes.get_yscale() == "log"


def test_automatic_ranges_are_bokehs():
    plot = figure()
    plot.scatter([0, 10], [2, 4])
    hidden = plot.line([0, 10], [100, 200])
    hidden.visible = False
    plot.y_range.only_visible = True
    axes = to_figure(plot).axes[0]
    assert axes.get_xlim() == pytest.approx((-0.5, 10.5)) and axes.get_ylim() == pytest.approx((1.9, 4.1))
    plot.y_range.start, plot.x_range.flipped = 0, True
    axes = to_figure(plot).axes[0]
    assert axes.get_ylim()[0] == 0 and axes.get_xlim() == pytest.approx((10.5, -0.5))
    log = figure(x_axis_type="log")
    log.scatter([-1, 1, 100], [0, 0, 0])
    axes = to_figure(log).axes[0]
    assert axes.get_xlim() == pytest.approx((10**-0.1, 10**2.1)) and axes.get_ylim() == (-1, 1)


def test_matched_aspect_makes_units_equally_long():
    plot = figure(match_aspect=True, width=600, height=300)
    plot.scatter([0, 1], [0, 1])
    axes = to_figure(plot).axes[0]
    one = axes.transData.transform([(0, 0), (1, 1)])
    across, up = one[1] - one[0]
    assert across == pytest.approx(up, rel=1e-6)


@pytest.mark.parametrize("size", [(700, 300), (300, 700)])
def test_matched_aspect_keeps_given_ranges_and_shapes_the_frame(size):
    plot = figure(match_aspect=True, x_range=(-1, 1), y_range=(-1, 1), width=size[0], height=size[1])
    axes = to_figure(plot).axes[0]
    across, up = np.diff(axes.transData.transform([(0, 0), (1, 1)]), axis=0)[0]
    assert axes.get_xlim() == axes.get_ylim() == (-1, 1) and across == pytest.approx(up)


def test_extra_ranges():
    plot = bare(extra_y_ranges={"other": Range1d(0, 100)})
    plot.line([0, 10], [50, 50], y_range_name="other", line_width=8, color="red")
    shows(plot, 3, 5, RED)


def test_annotations():
    plot = bare()
    plot.add_layout(Span(location=2, dimension="width", line_color="red", line_width=6))
    plot.add_layout(Span(location=2, dimension="height", line_color="blue", line_width=6))
    plot.add_layout(BoxAnnotation(left=6, right=8, fill_color="red", fill_alpha=1, line_color=None))
    plot.add_layout(Slope(gradient=1, y_intercept=0, line_color="blue", line_width=6))
    plot.add_layout(Label(x=1, y=9, text="a $note$"))
    plot.add_layout(LabelSet(x="x", y="y", text="t", source=ColumnDataSource({"x": [3], "y": [8], "t": ["set"]})))
    plot.add_layout(Title(text="below"), "below")
    probe = Probe(plot)
    assert near(probe(9, 2), RED) and near(probe(2, 9), BLUE) and near(probe(7, 4), RED) and near(probe(4, 4), BLUE)
    assert {r"a \$note\$", "set", "below"} <= set(texts(plot))


def test_title_labels_ticks_legend_and_colour_bar_are_there():
    plot = figure(
        title="T $x_1$ <i>",
        x_axis_label="across $",
        y_axis_label="up",
        x_range=(0, 10),
        y_range=(1, 1000),
        y_axis_type="log",
    )
    source = ColumnDataSource({"x": [1, 2], "y": [3, 4], "k": ["one", "two"]})
    plot.scatter("x", "y", source=source, legend_field="k")
    plot.line([1, 2], [3, 4], legend_label="a $line$")
    plot.add_layout(ColorBar(color_mapper=LogColorMapper(palette="Viridis256", low=1, high=100), title="bar"), "right")
    plot.add_layout(ColorBar(color_mapper=CategoricalColorMapper(factors=["p", "q"], palette=["red", "blue"])), "below")
    found = set(texts(plot))
    assert {r"T \$x_1\$ <i>", r"across \$", "up", "one", "two", r"a \$line\$", "bar", "p", "q"} <= found
    assert {"0", "2", "4", "10"} <= found and any("10^{2}" in text for text in found)


def test_dollars_stay_literal_in_the_picture():
    plot = bare(title="$\\alpha$ and $")
    svg = render(plot, "svg").decode()
    assert "$\\alpha$ and $" in svg  # matplotlib writes a text's source as a comment beside its outline


def test_colour_bar_shows_the_mappers_colours_upwards():
    plot = bare()
    mapper = LinearColorMapper(palette=["#ff0000", "#0000ff"], low=0, high=1)
    plot.add_layout(ColorBar(color_mapper=mapper), "right")
    strip = next(axes for axes in to_figure(plot).axes if axes.images)
    colours = np.asarray(strip.images[0].get_array())[:, 0, :3]
    assert tuple(colours[0]) == RED and tuple(colours[-1]) == BLUE
    assert (colours[: len(colours) // 2] == RED).all()


def test_colour_bar_takes_automatic_ends_from_the_data():
    plot = bare()
    mapper = LinearColorMapper(palette="Viridis256")
    source = ColumnDataSource({"x": [1, 2], "v": [-30.0, 50.0]})
    plot.scatter("x", "x", source=source, fill_color={"field": "v", "transform": mapper})
    plot.add_layout(ColorBar(color_mapper=mapper), "right")
    assert {"−20", "0", "20", "40"} <= set(texts(plot))


def test_layouts():
    parts = [bare(title=f"plot {k}") for k in range(6)]
    hidden = bare(title="hidden")
    hidden.visible = False
    tabs = Tabs(tabs=[TabPanel(child=parts[4], title="a"), TabPanel(child=parts[5], title="b")], active=1)
    head = Div(text="<b>Head</b> &amp; $tail$<br>next &lt;b&gt;<script>no()</script>")
    root = column(head, row(parts[0], parts[1], hidden), gridplot([[parts[2], None], [None, parts[3]]]), tabs)
    drawn = to_figure(root)
    found = set(texts(root))
    assert {f"plot {k}" for k in (0, 1, 2, 3, 5)} <= found and not {"plot 4", "hidden"} & found
    assert "Head & \\$tail\\$\nnext <b>" in found
    boxes = [axes.get_position() for axes in drawn.axes]
    assert len(boxes) == 5
    for at, one in enumerate(boxes):
        assert 0 <= one.x0 < one.x1 <= 1 and 0 <= one.y0 < one.y1 <= 1
        assert not any(one.overlaps(other) for other in boxes[:at])


def test_width_is_shared_by_flexible_plots():
    root = row(
        figure(sizing_mode="stretch_width", height=200), figure(width=150, height=200), sizing_mode="stretch_width"
    )
    drawn = to_figure(root, width=900)
    first, second = (axes.get_position().width * 900 for axes in drawn.axes)
    assert drawn.get_size_inches() * 96 == pytest.approx((900, 200)) and first > 600 and second < 150


def test_a_plot_in_a_row_gets_no_wider_than_it_may():
    options = {"sizing_mode": "stretch_width", "height": 200}
    narrow, wide = figure(max_width=300, **options), figure(**options)
    drawn = to_figure(row(narrow, wide, sizing_mode="stretch_width"), width=1000)
    first, second = (axes.get_position() for axes in drawn.axes)
    assert first.width < 0.3 and second.width > 0.6 and second.x0 * 1000 > 300
    both = row(figure(max_width=300, **options), figure(max_width=200, **options), sizing_mode="stretch_width")
    assert to_figure(both, width=1000).axes[1].get_position().x1 * 1000 < 500


POINT = ColumnDataSource({"x": [1]})
UNKNOWN = {
    "Wedge": lambda p: p.wedge([1], [1], radius=1, start_angle=0, end_angle=1),
    "HexTile": lambda p: p.hex_tile([0], [0]),
    "Band": lambda p: p.add_layout(Band(base="x", lower="x", upper="x", source=POINT)),
    "GraphRenderer": lambda p: p.renderers.append(GraphRenderer(layout_provider=StaticLayoutProvider(graph_layout={}))),
    "EqHistColorMapper": lambda p: p.scatter(
        "x", "x", source=POINT, color={"field": "x", "transform": EqHistColorMapper(palette=["red"])}
    ),
    "Jitter": lambda p: p.scatter(jitter("x", 0.1), "x", source=POINT),
    "CustomJSTickFormatter": lambda p: p.xaxis.__setattr__("formatter", CustomJSTickFormatter(code="return 'x'")),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_it_cannot_draw_is_named(name):
    plot = bare()
    UNKNOWN[name](plot)
    with pytest.raises(NetgeomError, match=name):
        render(plot)


def test_controls_in_a_layout_are_named():
    with pytest.raises(NetgeomError, match="Button"):
        render(column(bare(), Button()))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p: render(p, "jpg"), "format"),
        (lambda p: render(p, dpi=float("nan")), "dpi"),
        (lambda p: render(p, width=-3), "width"),
        (lambda p: to_figure("no figure"), "Bokeh layout"),
    ],
)
def test_bad_requests_are_refused(call, text):
    with pytest.raises(NetgeomError, match=text):
        call(bare())


def test_too_large_a_picture_is_refused():
    with pytest.raises(TooLargeError, match="dpi"):
        render(bare(), dpi=100_000)


def test_save_goes_by_the_suffix(tmp_path):
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for suffix, head in heads.items():
        assert save(bare(), tmp_path / f"a.{suffix}").read_bytes().startswith(head)
    with pytest.raises(NetgeomError, match="suffix"):
        save(bare(), tmp_path / "a.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


def test_same_root_same_bytes_whatever_the_users_settings():
    plot = bare(title="same")
    plot.patches([[1, 2, 2]], [[1, 1, 2]])
    plot.image([np.eye(3)], x=0, y=0, dw=1, dh=1, palette="Viridis256")
    for kind in ("png", "svg", "pdf"):
        first = render(plot, kind)
        changed = {
            "savefig.bbox": "tight",
            "axes.grid": True,
            "font.size": 30,
            "text.color": "red",
            "savefig.transparent": True,
        }
        with mpl.rc_context(changed):
            assert render(plot, kind) == first


def test_nothing_global_changes():
    before = dict(mpl.rcParams)
    code = "import netgeom_widgets.figures.static, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"matplotlib.pyplot", "torch", "ipywidgets"} & set(loaded)
    render(bare(), "svg")
    assert dict(mpl.rcParams) == before


def test_the_root_is_only_read():
    plot = bare()
    plot.scatter([1, 2], [3, 4])
    before = {m.id: dict(m.properties_with_values(include_defaults=False)) for m in plot.references()}
    render(column(plot, Div(text="x")).children[0])
    after = {m.id: dict(m.properties_with_values(include_defaults=False)) for m in plot.references()}
    assert before.keys() == after.keys() and all(before[key].keys() == after[key].keys() for key in before)
    assert plot.document is None


def test_empty_plot_and_empty_columns():
    plot = figure(title="")
    plot.patches([], [])
    plot.scatter([], [], color=[])
    plot.multi_line([], [])
    assert render(plot).startswith(b"\x89PNG")


def test_an_empty_foot_is_cut_off():
    """A page whose lower part stays empty ends below the last thing drawn; a page full of drawing keeps its height."""

    def heights(root):
        return pixels(root).shape[0], to_figure(root, dpi=96).bbox.height

    drawn, page = heights(column(bare(), Spacer(height=300)))
    assert page >= 500 and drawn < page - 250
    drawn, page = heights(column(bare(), bare()))
    assert drawn > page - 20


def test_letters_keep_their_outline():
    """Numbers over dark ground are read by a light edge, in the stored picture as in the browser."""

    def light_pixels(**edge):
        root = figure(width=200, height=150, toolbar_location=None, background_fill_color="#000000")
        root.text([0], [0], ["8"], text_color="#000000", text_font_size="40px", **edge)
        return int((pixels(root).min(axis=2) > 200).sum())

    assert light_pixels(text_outline_color="#ffffff", text_outline_width=3) > light_pixels() + 50
