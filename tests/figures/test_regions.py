"""Tests of figures/regions.py and its parts: what is drawn follows from the partition, for every option."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from bokeh.document import Document
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.figures import region_text
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.region_canvas import _columns
from netgeom_widgets.figures.region_colours import layer_colours, packed, pixel_colours, region_colours, tint
from netgeom_widgets.figures.region_geometry import (
    Window,
    clip_polygon,
    layer_segments,
    neighbours,
    paint_segments,
    rings,
    seen_through,
)
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_scene import Raster, RegionScene
from netgeom_widgets.figures.region_style import RegionStyle
from netgeom_widgets.figures.region_values import COLOR_BY, SCALES, births_at, groups_at, layer_count, region_values
from netgeom_widgets.figures.regions import RegionFigure
from netgeom_widgets.kernels.regions import Slice, partition
from tests.networks import mlp


@pytest.fixture(scope="module")
def one_output():
    return partition(mlp(2, 8, 8, 1), Slice.box(-2.0, 2.0, -1.5, 1.5))


@pytest.fixture(scope="module")
def three_outputs():
    x = np.eye(4)
    return partition(mlp(4, 8, 8, 8, 3, seed=1), Slice.through(x[0], x[1], x[2]))


@pytest.fixture(scope="module")
def oblique():
    domain = Slice(np.zeros(3), np.array([2.0, 0, 0]), np.array([1.0, 1, 0]), np.array([[-1.0, -1], [1, -1], [0, 1]]))
    return partition(mlp(3, 6, 2, seed=2), domain)


@pytest.fixture(params=["one_output", "three_outputs", "oblique"])
def found(request):
    return request.getfixturevalue(request.param)


def samples_on(found, n: int = 30) -> SliceSamples:
    rng = np.random.default_rng(0)
    points = rng.uniform(found.domain.polygon.min(0), found.domain.polygon.max(0), (n, 2))
    return SliceSamples(points, rng.exponential(1.0, n), 0.5, rng.integers(0, 3, n))


def validated(figure: RegionFigure) -> str:
    """The figure as JSON: raises where a Bokeh model is not valid."""
    document = Document()
    document.add_root(figure.root)
    document.validate()
    return json.dumps(document.to_json(deferred=False))


# ---- windows and geometry


def test_a_window_knows_its_parts():
    window = Window(0, 2, 0, 1)
    assert (window.width, window.height) == (2, 1)
    assert window.grown(0.5) == Window(-1, 3, -0.5, 1.5)
    assert window.grown(0.5).intersect(window) == window
    assert window.grown(0.1).contains(window) and not window.contains(window.grown(0.1))


def area(polygon) -> float:
    x, y = np.asarray(polygon).T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def test_clipping_a_square_by_a_window_is_their_intersection():
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    assert area(clip_polygon(square, Window(0.25, 0.75, 0.5, 9))) == pytest.approx(0.25)
    assert area(clip_polygon(square, Window(-1, 2, -1, 2))) == pytest.approx(1)
    assert clip_polygon(square, Window(2, 3, 0, 1)).shape == (0, 2)
    assert clip_polygon(square, Window(1, 2, 0, 1)).shape == (0, 2), "a common side has no area"


@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.integers(3, 9))
def test_clipping_a_polygon_by_four_windows_adds_up(bounds, corners):
    angle = 2 * np.pi * np.arange(corners) / corners
    polygon = np.stack([np.cos(angle), np.sin(angle)], 1)
    x, y = bounds[0], bounds[1]
    windows = [Window(*h, *v) for h in ((-3, x), (x, 3)) for v in ((-3, y), (y, 3))]
    parts = [clip_polygon(polygon, window) for window in windows]
    assert sum(area(part) for part in parts if len(part)) == pytest.approx(area(polygon), abs=1e-9)


def test_a_clipped_window_is_a_domain(one_output):
    clipped = clip_polygon(one_output.domain.polygon, Window(0.1, 0.2, 0.3, 5))
    assert one_output.domain.with_polygon(clipped).area == pytest.approx(0.1 * 1.2)


def test_rings_are_the_polygons_of_the_partition(found):
    xs, ys = rings(found, np.arange(found.n_regions))
    assert [area(np.stack([x, y], 1)) for x, y in zip(xs, ys, strict=True)] == pytest.approx(found.areas.tolist())
    assert isinstance(xs[0], list)


def test_regions_seen_through_a_window_hold_every_point_in_it(one_output):
    window = Window(-0.3, 0.4, 0.1, 0.6)
    rng = np.random.default_rng(0)
    points = rng.uniform((window.xmin, window.ymin), (window.xmax, window.ymax), (500, 2))
    assert set(one_output.locate(points).tolist()) <= set(seen_through(one_output, window).tolist())
    assert len(seen_through(one_output, window)) < one_output.n_regions


def test_neighbours_share_an_edge(one_output):
    graph = one_output.adjacency()
    for region in range(one_output.n_regions):
        assert set(neighbours(one_output, region).tolist()) == set(graph.neighbors(region))


def edges_of(found, op):
    return found.vertices[found.edges[found.edge_op == op]].reshape(-1, 4)


def length(segments) -> float:
    return float(np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1]).sum())


def test_joined_hinge_lines_cover_the_edges_once(found):
    for op in range(layer_count(found)):
        joined, edges = layer_segments(found, op), edges_of(found, op)
        assert length(joined) == pytest.approx(length(edges), rel=1e-9)
        middles = (edges[:, :2] + edges[:, 2:]) / 2
        start, step = joined[:, :2], joined[:, 2:] - joined[:, :2]
        along = ((middles[:, None] - start) * step).sum(2) / (step**2).sum(1)
        off = np.linalg.norm(middles[:, None] - (start + along.clip(0, 1)[..., None] * step), axis=2).min(1)
        assert off.max(initial=0) < 1e-9
    assert len(layer_segments(found, 0)) <= len(edges_of(found, 0))


def test_the_first_layer_is_one_line_a_unit(one_output):
    assert len(layer_segments(one_output, 0)) == len(np.unique(one_output.edge_unit[one_output.edge_op == 0]))


def test_units_with_two_hinges_keep_them_apart():
    class Tent(torch.nn.Module):
        def forward(self, x):
            return torch.abs(torch.abs(x[:, :1]) - 1) + 0 * x[:, 1:]

    found = partition(Tent(), Slice.box(-2.0, 2.0, -1.0, 1.0))
    assert sorted(layer_segments(found, 1)[:, 0].round(9).tolist()) == [-1, 1]


def test_only_lines_near_the_marked_regions_are_taken(one_output):
    within = np.zeros(one_output.n_regions, dtype=bool)
    within[0] = True
    taken = sum(length(layer_segments(one_output, op, within)) for op in range(2))
    ring = np.array([one_output.edge_op[(one_output.edge_regions == 0).any(1)] >= 0]).sum()
    assert 0 < taken < sum(length(layer_segments(one_output, op)) for op in range(2)) and ring


def test_painted_lines_hit_the_pixels_they_cross():
    image = np.full((20, 40), packed("#ffffff"), dtype=np.uint32)
    paint_segments(
        image, Window(0, 4, 0, 2), np.array([[0.0, 1.05, 4, 1.05], [-50, -50, -40, 90]]), packed("#000000"), 1.0
    )
    dark = image == packed("#000000")
    assert dark[10].all() and dark.sum() == 40


def test_painting_mixes_by_alpha_and_ignores_lines_outside():
    image = np.full((4, 4), packed("#ffffff"), dtype=np.uint32)
    paint_segments(image, Window(0, 1, 0, 1), np.array([[5.0, 5, 6, 7], [-3, 0.5, -1, 0.5]]), packed("#000000"), 1.0)
    assert (image == packed("#ffffff")).all()
    paint_segments(image, Window(0, 1, 0, 1), np.array([[0.1, -1e6, 0.1, 1e6]]), packed("#000000"), 0.5)
    assert [hex(v) for v in image[:, 0]] == ["0xff808080"] * 4 and (image[:, 1:] == packed("#ffffff")).all()


# ---- values and colours


def test_every_quantity_has_one_value_a_region(found):
    for name in COLOR_BY:
        values = region_values(found, name)
        assert values.values.shape == (found.n_regions,) and np.isfinite(values.values).all()
        assert values.limits[0] < values.limits[1]
        assert len(region_colours(values)) == found.n_regions


def test_slope_norm_and_output_are_those_of_the_affine_maps(three_outputs):
    norm = region_values(three_outputs, "slope norm").values
    assert norm == pytest.approx(np.linalg.norm(three_outputs.slopes, 2, axis=(1, 2)))
    for output in range(3):
        assert region_values(three_outputs, "output", output=output).values == pytest.approx(
            three_outputs.values()[:, output]
        )


def test_values_after_a_layer_are_constant_on_its_regions(found):
    for layer, name in itertools.product(range(layer_count(found) + 1), COLOR_BY):
        values = region_values(found, name, layer=layer)
        groups = groups_at(found, layer)
        assert values.groups.tolist() == groups.tolist()
        for group in np.unique(groups):
            assert len(np.unique(values.values[groups == group])) == 1
        expected = 1 if layer == 0 else found.region_counts[layer - 1]
        assert len(np.unique(groups)) == expected


def test_the_mean_output_of_the_whole_domain_is_its_integral(one_output):
    values = region_values(one_output, "output", layer=0).values
    assert values[0] == pytest.approx(np.sum(one_output.areas * one_output.values()[:, 0]) / one_output.areas.sum())
    total = region_values(one_output, "area", layer=0).values
    assert total[0] == pytest.approx(12.0)


def test_births_at_a_layer_are_the_births_in_the_partition_cut_there(one_output):
    partials: list = []
    partition(mlp(2, 8, 8, 1), one_output.domain, on_layer=partials.append)
    for layer, partial in enumerate(partials, start=1):
        assert births_at(one_output, layer).tolist() == partial.births[groups_at(one_output, layer)].tolist()
    assert set(births_at(one_output, 0).tolist()) == {-1}


def test_a_partition_without_outputs_falls_back_to_areas(one_output):
    partials: list = []
    partition(mlp(2, 8, 8, 1), one_output.domain, on_layer=partials.append)
    assert region_values(partials[0], "slope norm").label == "area"
    figure = RegionFigure(one_output.domain)
    for partial in partials:
        figure.draw(RegionScene.of(partial), RegionStyle())
    assert "not finished" in figure.root.title.text
    figure.draw(RegionScene.of(one_output))
    assert figure.root.title.text == f"{one_output.n_regions} regions, exact"


def test_colours_are_monotone_along_the_palette(one_output):
    values = region_values(one_output, "area")
    table = {colour: i for i, colour in enumerate(region_colours(values))}
    order = [table[c] for c in dict.fromkeys(np.array(region_colours(values))[np.argsort(values.values)].tolist())]
    assert len(order) > 5 and values.log
    low, high = np.argmin(values.values), np.argmax(values.values)
    assert values.limits[1] == values.values.max() and (values.values < values.limits[0]).mean() <= 0.01
    assert region_colours(values)[low] != region_colours(values)[high]


def test_a_constant_quantity_still_has_limits():
    found = partition(torch.nn.Linear(2, 1), Slice.box(0.0, 1.0, 0.0, 1.0))
    for name, scale in itertools.product(COLOR_BY, SCALES):
        low, high = region_values(found, name, scale=scale).limits
        assert low < high
    RegionFigure(found.domain).draw(RegionScene.of(found), RegionStyle(color_by="slope norm", scale="log"))


def test_pixel_colours_are_the_region_colours_with_a_transparent_end(found):
    for name in COLOR_BY:
        values = region_values(found, name)
        pixels = pixel_colours(values)
        assert pixels[:-1].tolist() == [packed(colour) for colour in region_colours(values)]
        assert pixels[-1] == 0


def test_tint_and_layer_colours():
    assert tint("#000000", 0) == "#000000" and tint("#102030", 1) == "#ffffff"
    for count in (1, 7, 8, 50):
        assert len(layer_colours(count)) == count
        assert len(set(layer_colours(count))) == count


# ---- scenes


def test_few_polygons_are_drawn_and_many_painted(one_output):
    drawn = RegionScene.of(one_output)
    assert not drawn.is_raster and drawn.n_polygons == one_output.n_regions == len(drawn.polygons[0])
    painted = RegionScene.of(one_output, max_polygons=5, size=(60, 40))
    assert painted.is_raster and painted.raster.ids.shape == (40, 60) and not len(painted.shapes)
    x = -2 + (np.arange(60) + 0.5) / 60 * 4
    y = -1.5 + (np.arange(40) + 0.5) / 40 * 3
    centres = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    assert (painted.raster.ids.ravel() == one_output.locate(centres)).mean() > 0.99


def test_ids_of_a_viewport_are_those_of_the_full_partition(one_output):
    window = Window(-0.5, 0.4, -0.3, 0.5)
    viewport = partition(
        mlp(2, 8, 8, 1), one_output.domain.with_polygon(clip_polygon(one_output.domain.polygon, window))
    )
    scene = RegionScene.of(one_output, shown=viewport)
    assert scene.ids[:-1].tolist() == one_output.locate(viewport.centroids).tolist()
    assert scene.ids[-1] == -1 and scene.n_polygons == viewport.n_regions
    figure = RegionFigure(one_output.domain)
    figure.draw(scene, RegionStyle(color_by="output"))
    expected = region_values(one_output, "output").values[scene.ids[:-1]]
    assert np.asarray(figure.canvas.regions.data["value"]) == pytest.approx(expected)
    painted = RegionScene.of(one_output, shown=viewport, max_polygons=1, backdrop=Raster.backdrop(one_output))
    assert set(np.unique(painted.raster.ids)) <= {-1, *scene.ids.tolist()}
    figure.draw(painted)
    assert len(figure.canvas._images.data["image"]) == 2, "the coarse whole under the exact window"


# ---- the figure


def test_the_figure_says_what_it_shows(one_output):
    figure = RegionFigure(one_output.domain, samples_on(one_output))
    figure.draw(RegionScene.of(one_output))
    assert figure.root.title.text == f"{one_output.n_regions} regions, exact"
    assert "exact polygons" in figure.canvas.caption.text and "raster" not in figure.canvas.caption.text
    assert "30 samples projected" in figure.canvas.note.text and "within 0.5" in figure.canvas.note.text
    assert figure.root.xaxis.axis_label == "s (input units)"
    figure.draw(RegionScene.of(one_output, max_polygons=3))
    assert f"raster of {one_output.n_regions} exact polygons" in figure.canvas.caption.text
    figure.draw(style=RegionStyle(layer=1))
    assert figure.root.title.text.startswith(f"{one_output.region_counts[0]} regions after layer 1 of 2")
    figure.draw(style=RegionStyle(layer=0))
    assert "whole domain" in figure.root.title.text


def test_an_oblique_plane_is_named(oblique):
    figure = RegionFigure(oblique.domain)
    figure.draw(RegionScene.of(oblique))
    assert "(s, t)" in figure.root.xaxis.axis_label and "not orthonormal" in figure.root.xaxis.axis_label
    assert region_values(oblique, "area").unit == "(s, t) units²"


def test_samples_in_the_plane_and_outside_the_domain_are_counted():
    text = region_text.distances(np.zeros(5), 0.1, 4)
    assert text == "5 samples, all in the plane; 1 outside the domain"
    assert region_text.distances(np.empty(0), 1.0, 0) == ""


def test_farther_samples_are_fainter_and_smaller(one_output):
    columns = samples_on(one_output).columns(None, ())
    order = np.argsort(columns["distance"])
    assert (np.diff(columns["alpha"][order]) <= 0).all() and (np.diff(columns["size"][order]) < 0).all()
    near = samples_on(one_output).columns(0.5, (3,))
    assert (near["distance"] <= 0.5).all() and set(near["sample"]) <= set(range(30))


def test_a_crowd_of_picked_samples_hides_nothing_and_keeps_its_distances():
    distance = np.linspace(0, 9, 40)
    samples = SliceSamples(np.zeros((40, 2)), distance, 1.0)
    few, crowd = samples.columns(None, range(3)), samples.columns(None, range(40))
    assert few["edge_width"].max() == 2.5 and crowd["edge_width"].max() < 1.5
    assert crowd["size"].max() < few["size"].max()
    assert crowd["alpha"][np.argsort(crowd["distance"])][[0, 1, -1]] == pytest.approx([1, 1 / (1 + 9 / 39), 0.5])


def test_labels_may_be_any_values(one_output):
    points = np.zeros((3, 2))
    samples = SliceSamples(points, np.zeros(3), 1.0, ["<b>cat</b>", "dog", "dog"])
    assert samples.looks.kinds.tolist() == [0, 1, 1] and [name for name, *_ in samples.legend] == [
        "label <b>cat</b>",
        "label dog",
    ]
    figure = RegionFigure(one_output.domain, samples)
    figure.draw(RegionScene.of(one_output))
    validated(figure)
    assert SliceSamples(points, np.zeros(3), 1.0, [-1.5, 2.0, 2.0]).looks.kinds.tolist() == [0, 1, 1]


def test_a_legend_has_as_many_columns_as_fit_a_narrow_cell():
    assert _columns(["decision boundary", *(f"label {i}" for i in range(10))]) == 4
    assert _columns(["0", "1"]) == 2
    assert _columns(["a name that is very long indeed", "a name that is very long indeed"]) == 1
    assert _columns([]) == 1


@pytest.mark.parametrize("box", [(-1, 1, -1, 1), (-2, 2, -1, 1), (-100, 100, -1, 1)])
def test_zooming_out_ends_before_the_domain_is_a_dot(box):
    plot = RegionFigure(Slice.box(*box)).root
    widths = (box[1] - box[0], box[3] - box[2])
    for axis, width in zip((plot.x_range, plot.y_range), widths, strict=True):
        assert 20 * width <= axis.max_interval <= 20 * max(widths)


def test_one_is_singular():
    alone = partition(torch.nn.Sequential(torch.nn.Linear(2, 1)), Slice.box(-1, 1, -1, 1))
    figure = RegionFigure(alone.domain)
    figure.draw(RegionScene.of(alone))
    assert (figure.root.title.text, figure.canvas.caption.text) == ("1 region, exact", "In view: 1 exact polygon")


def test_a_long_legend_says_what_it_leaves_out(one_output):
    samples = SliceSamples(np.zeros((40, 2)), np.zeros(40), 1.0, np.arange(40))
    figure = RegionFigure(one_output.domain, samples)
    figure.draw(RegionScene.of(one_output))
    names = [item.label.value for item in figure.canvas._fill_legend.items]
    assert "label 10" in names and "label 11" not in names and names[-1] == "and 29 more labels"


def test_a_picked_region_is_outlined_with_its_neighbours(one_output):
    figure = RegionFigure(one_output.domain)
    figure.draw(RegionScene.of(one_output), RegionStyle(region=3))
    picked, beside = figure.canvas._outlines
    assert picked.data["xs"] == rings(one_output, np.array([3]))[0]
    assert len(beside.data["xs"]) == len(neighbours(one_output, 3))
    figure.draw(style=RegionStyle(region=None))
    assert picked.data["xs"] == [] == beside.data["xs"]


def test_layers_and_hinges_choose_the_lines(three_outputs):
    figure = RegionFigure(three_outputs.domain)
    figure.draw(RegionScene.of(three_outputs))
    assert [line.visible for line in figure.canvas.lines] == [True] * 3
    figure.draw(style=RegionStyle(layer=2))
    assert [line.visible for line in figure.canvas.lines] == [True, True, False]
    figure.draw(style=RegionStyle(hinges=(2,)))
    assert [line.visible for line in figure.canvas.lines] == [False, False, True]


def test_painted_lines_follow_the_choice_of_layers(three_outputs):
    figure = RegionFigure(three_outputs.domain)
    scene = RegionScene.of(three_outputs, max_polygons=1)
    figure.draw(scene, RegionStyle(hinges=()))
    bare = figure.canvas._images.data["image"][0].copy()
    figure.draw(style=RegionStyle(hinges=(0,)))
    lined = figure.canvas._images.data["image"][0]
    assert (bare != lined).any()
    figure.draw(style=RegionStyle(hinges=()))
    assert (bare == figure.canvas._images.data["image"][0]).all()


def test_nothing_is_sent_again_that_did_not_change(one_output):
    figure = RegionFigure(one_output.domain, samples_on(one_output))
    document = Document()
    document.add_root(figure.root)
    scene = RegionScene.of(one_output)
    figure.draw(scene, RegionStyle())
    events: list = []
    document.on_change(events.append)
    figure.draw(scene, RegionStyle())
    assert [event for event in events if getattr(event, "attr", "") == "data"] == []
    figure.draw(style=RegionStyle(color_by="area"))
    names = {type(event).__name__ for event in events}
    assert "ColumnsPatchedEvent" in names, "recolouring patches a column, the geometry stays"


def test_the_decision_boundary_is_drawn_when_all_layers_are(three_outputs):
    figure = RegionFigure(three_outputs.domain)
    scene = RegionScene.of(three_outputs)
    figure.draw(scene)
    segments = three_outputs.decision_boundary().segments
    assert len(segments) and len(figure.canvas._boundary.data["x0"]) == len(segments)
    figure.draw(style=RegionStyle(layer=1))
    assert len(figure.canvas._boundary.data["x0"]) == 0


# Without the phases that trace every line: Bokeh makes a figure in 20,000 of them.
@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(data=st.data())
def test_every_combination_of_settings_draws(data, one_output, three_outputs, oblique):
    found = data.draw(st.sampled_from([one_output, three_outputs, oblique]))
    figure = RegionFigure(found.domain, data.draw(st.sampled_from([SliceSamples.none(), samples_on(found)])))
    for _ in range(data.draw(st.integers(1, 3))):
        scene = RegionScene.of(
            found,
            window=data.draw(st.sampled_from([None, Window(-0.4, 0.3, -0.2, 0.3)])),
            max_polygons=data.draw(st.sampled_from([2, 5000])),
            size=(50, 40),
            backdrop=Raster.backdrop(found),
        )
        style = RegionStyle(
            color_by=data.draw(st.sampled_from(COLOR_BY)),
            output=data.draw(st.integers(0, found.slopes.shape[1] - 1)),
            scale=data.draw(st.sampled_from(SCALES)),
            layer=data.draw(st.sampled_from([None, 0, 1, 2, 3])),
            hinges=data.draw(st.sampled_from([None, (), (0,), (0, 1)])),
            boundary=data.draw(st.booleans()),
            samples=data.draw(st.booleans()),
            max_distance=data.draw(st.sampled_from([None, 0.5])),
            region=data.draw(st.sampled_from([None, 0, found.n_regions - 1])),
            selection=data.draw(st.sampled_from([(), (0, 3)])),
        )
        figure.draw(scene, style)
    validated(figure)


# ---- words


def test_the_detail_panel_holds_the_affine_map_and_escapes_names(three_outputs):
    pattern = {"<script>": np.array([1, 0, 1]), **three_outputs.pattern(2)}
    text = region_text.detail_html(three_outputs, 2, pattern, np.array([4, 5]), 0.25)
    assert "<script>" not in text and "&lt;script&gt;" in text and "2 of 3" in text
    for value in three_outputs.slopes[2].ravel():
        assert number(abs(value)) in text
    assert "2, nearest 0.25 off the plane" in text
    assert f"layer 2 ({three_outputs.ops[0]})" in text, "the ops' names are often bare numbers"
    assert text.count("<table") == text.count("</table>") == 3


def test_the_detail_panel_says_which_branches_units_are_on():
    """Not only on and off: pieces of a clamp, and the entry that wins a maximum."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 12), nn.Hardtanh(), nn.Unflatten(1, (2, 6)), nn.MaxPool1d(3), nn.Flatten())
    found = partition(nn.Sequential(*model, nn.Linear(4, 1)), Slice.box(-4, 4, -4, 4))
    pattern = found.pattern(0)
    text = region_text.detail_html(found, 0, pattern, None, None)
    for branch, units in zip(*np.unique(pattern["1"], return_counts=True), strict=True):
        assert f"piece {branch}: {units}" in text
    for branch, units in zip(*np.unique(pattern["3"], return_counts=True), strict=True):
        assert f"entry {branch}: {units}" in text


def test_the_hover_line_names_region_or_outside(one_output):
    line = region_text.hover_line(one_output, 2, (0.5, -1.0))
    assert line.startswith("s 0.5, t \N{MINUS SIGN}1: region 2, area") and "class" in line
    assert region_text.hover_line(one_output, -1) == "outside the domain"


def test_the_view_says_how_far_it_is_zoomed():
    home = Window(-1, 1, -1, 1)
    assert region_text.view(home, home) == ""
    assert "zoom 1,000×" in region_text.view(Window(0, 0.002, 0, 0.002), home)
    assert "outside the domain" in region_text.view(Window(1.1, 1.2, 0, 0.1), home)


# ---- the static picture and the layers of the package


@pytest.mark.parametrize("color_by", COLOR_BY)
@pytest.mark.parametrize("max_polygons", [3, 5000])
def test_the_static_picture_shows_every_choice(three_outputs, color_by, max_polygons):
    from netgeom_widgets.figures import static

    figure = RegionFigure(three_outputs.domain, samples_on(three_outputs))
    style = RegionStyle(color_by=color_by, region=1, selection=(2,))
    figure.draw(RegionScene.of(three_outputs, max_polygons=max_polygons, size=(80, 60)), style)
    assert static.render(figure.root, format="png").startswith(b"\x89PNG")


def test_the_figure_needs_neither_torch_nor_ipywidgets():
    code = (
        "import sys, netgeom_widgets.figures.regions; "
        "sys.exit(bool({'torch', 'ipywidgets', 'IPython'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
