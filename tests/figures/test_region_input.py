"""Tests of figures/region_input.py and figures/region_pair.py."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.models import Plot

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import static
from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.region_input import ImageShape, InputPictures, rgba, shape_read, value_range
from netgeom_widgets.figures.region_pair import LinkedPointer, details_html, side_by_side
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_style import RegionStyle
from netgeom_widgets.figures.regions import RegionFigure
from netgeom_widgets.kernels.regions import Slice, partition
from tests.networks import mlp

BOX = Slice.box(-1.0, 1.0, -1.0, 1.0)


def plane(*shape: int, radius: float = 1.0) -> Slice:
    rng = np.random.default_rng(0)
    return Slice.around(*(rng.normal(size=shape) for _ in range(3)), radius)


def test_which_inputs_are_images():
    assert ImageShape.of((5, 4)) == ImageShape.of((1, 5, 4)) == (1, 5, 4)
    assert ImageShape.of((3, 8, 6)) == (3, 8, 6)
    assert all(ImageShape.of(shape) is None for shape in [(2,), (10,), (1, 2), (2, 8, 8), (1, 1, 4), (1, 3, 8, 8)])
    assert InputPictures.of(BOX, None, []) is None


def test_flat_inputs_are_read_as_images_of_as_many_values():
    assert (
        shape_read((12,)) == (12,) and shape_read((12,), (3, 4)) == (3, 4) and shape_read((12,), [3, 2, 2]) == (3, 2, 2)
    )
    for bad in ((3, 5), (12,), (1, 12), (2, 2, 3), "ab", 4, (3.0, 4)):
        with pytest.raises(NetgeomError, match="cannot be read as images"):
            shape_read((12,), bad)
    domain = plane(12)
    pictures = InputPictures.of(domain, None, [RegionFigure(domain).root], read_as=(3, 4))
    assert pictures.under._images.data["image"][0].shape == (3, 4)


def test_pixels_are_the_values_between_black_and_white_and_what_is_clipped_is_counted():
    values = np.array([[[0.0, 0.5, 1.0], [2.0, -1.0, 0.25]]])
    pixels, clipped = rgba(values, (0.0, 1.0))
    channels = pixels.view(np.uint8).reshape(2, 3, 4)
    assert clipped == 2
    assert channels[..., 0].tolist() == [[0, 128, 255], [255, 0, 64]]
    assert (channels[..., :3] == channels[..., :1]).all() and (channels[..., 3] == 255).all()
    colours = rgba(np.stack([values[0], 0 * values[0], 1 + 0 * values[0]]), (0.0, 1.0))[0].view(np.uint8)
    assert colours.reshape(2, 3, 4)[0].tolist() == [[0, 0, 255, 255], [128, 0, 255, 255], [255, 0, 255, 255]]


def test_the_range_is_that_of_the_data_or_holds_all_of_the_slice():
    domain = plane(4, 5)
    low, high = value_range(domain)
    inside = domain.to_input(np.random.default_rng(1).uniform(-1, 1, (500, 2)))
    assert low <= inside.min() and inside.max() <= high
    assert rgba(domain.to_input(domain.polygon[:1])[0][None], (low, high))[1] == 0
    assert value_range(domain, np.array([[-3.0, 2.0]])) == (-3.0, 2.0)
    assert value_range(domain, np.array([[0.1, 0.9]])) == (0.0, 1.0)
    assert value_range(domain, np.array([[7, 9]], dtype=np.uint8)) == (0.0, 255.0)


@pytest.mark.parametrize("shape", [(4, 5), (3, 6, 4)])
def test_the_picture_is_the_input_at_the_point(shape):
    domain = plane(*shape)
    figure = RegionFigure(domain)
    pictures = InputPictures.of(domain, domain.to_input(np.zeros((1, 2))), [figure.root])
    assert "middle of the slice" in pictures.under.note.text and pictures.picked.root.title.text == "no point picked"
    pictures.pick(np.array([[0.25, -0.5]]))
    assert pictures.picked.root.title.text == "input at (0.25, −0.5)"
    values = domain.to_input(np.array([[0.25, -0.5]])).reshape(ImageShape.of(shape))
    expected, clipped = rgba(values, pictures.picked.limits)
    assert clipped and f"{clipped} of {values.size} values clipped" in pictures.picked.note.text
    (glyph,) = pictures.picked.root.renderers
    assert (glyph.data_source.data["image"][0] == expected).all()
    root = side_by_side([figure], [pictures.root])
    drawn = static.to_figure(root)
    images = [image.get_array() for axes in drawn.axes for image in axes.images]
    assert any(np.array_equal(image.view(np.uint32)[..., 0], expected) for image in images if image.ndim == 3)
    assert "input at" in to_html(root)
    pictures.pick(None)
    assert pictures.picked._images.data["image"] == [] and pictures.picked.root.visible
    static.render(root, "png")


def test_a_browser_shows_small_inputs_by_itself_and_asks_for_large_ones():
    for side, asked in ((64, False), (65, True)):
        domain = plane(3, side, side)
        figure = RegionFigure(domain)
        pictures = InputPictures.of(domain, None, [figure.root])
        assert bool(figure.root.js_event_callbacks.get("mousemove")) != asked
        before = pictures.under.root.title.text
        pictures.point_at((0.5, 0.5))
        assert (pictures.under.root.title.text != before) == asked


def test_two_pictures_share_view_and_colours():
    first = RegionFigure(BOX, name="a <b>")
    second = RegionFigure(BOX, name="second", beside=first)
    assert (second.root.x_range, second.root.y_range) == (first.root.x_range, first.root.y_range)
    found = [partition(mlp(2, 8, 1), BOX), partition(mlp(2, 9, 3, seed=4), BOX)]
    for figure, held in zip((first, second), found, strict=True):
        figure.expect(held)
    for figure, held in zip((first, second), found, strict=True):
        figure.draw(RegionScene.of(held), RegionStyle())
    alone = [RegionFigure(BOX) for _ in found]
    for figure, held in zip(alone, found, strict=True):
        figure.draw(RegionScene.of(held), RegionStyle())
    low, high = zip(*(figure.values.limits for figure in alone), strict=True)
    assert first.values.limits == second.values.limits == (min(low), max(high))
    assert second.root.title.text == f"second: {found[1].n_regions} regions, exact"
    assert "both networks" in second.canvas.caption.text
    for figure in (first, second):
        figure.draw(style=RegionStyle(common_scale=False))
    assert [f.values.limits for f in (first, second)] == [f.values.limits for f in alone]
    other = partition(mlp(2, 8, 1, seed=9), BOX)
    for style in (RegionStyle(), RegionStyle(color_by="area")):
        first.expect(other)
        first.draw(RegionScene.of(other), style)
        second.draw(style=style)
        assert first.values.limits == second.values.limits, "the network before is forgotten"
        assert other in first._scales._drawn.values() and len(first._scales._drawn) == 2


def test_the_pointer_marks_all_pictures_and_rasters_from_python():
    figures = [RegionFigure(BOX, name="a")]
    figures.append(RegionFigure(BOX, name="b", beside=figures[0]))
    linked = LinkedPointer([figure.canvas for figure in figures])
    for figure in figures:
        assert (
            len(figure.root.js_event_callbacks["mousemove"]) == len(figure.root.js_event_callbacks["mouseleave"]) == 1
        )
    held = partition(mlp(2, 8, 1), BOX)
    scenes = [RegionScene.of(held), RegionScene.of(held, max_polygons=3)]
    linked.outline_rasters(scenes, (0.1, 0.2))
    region = int(held.locate(np.array([[0.1, 0.2]]))[0])
    drawn, painted = (source.data for source in linked.outlines)
    assert drawn["xs"] == [] and np.allclose(np.stack([painted["xs"][0], painted["ys"][0]], 1), held.polygon(region))
    linked.outline_rasters(scenes, None)
    assert linked.outlines[1].data["xs"] == []
    root = side_by_side(figures)
    assert len(list(root.select({"type": Plot}))) == 2
    static.render(root, "svg")


def test_details_stand_beside_each_other_under_escaped_names():
    assert details_html([("", "<p>one</p>")]) == "<p>one</p>"
    both = details_html([("a <b>", "<p>one</p>"), ("c", "<p>two</p>")])
    assert "a &lt;b&gt;" in both and "<p>one</p>" in both and "<p>two</p>" in both
