"""figures/sprites.py and sprite_marks.py: tiles, the sheet, and what a document carries of it."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.figures.sprite_marks import SpriteMarks, is_sprites, tiles_of
from netgeom_widgets.figures.sprites import SpriteSheet, is_image_shape, to_png
from netgeom_widgets.figures.static import render


def unpacked(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 4, 6, 1), (5, 4, 6, 3), (5, 4, 6, 4), (5, 1, 4, 6), (5, 3, 4, 6)])
def test_every_layout_of_images_gives_rgba_tiles(shape):
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    tiles = SpriteSheet.of(images).tiles
    last = images[..., None] if images.ndim == 3 else images if shape[3] in (1, 3, 4) else np.moveaxis(images, 1, 3)
    assert tiles.shape == (5, 4, 6, 4) and tiles.dtype == np.uint8
    assert (tiles[..., :3] == last[..., :3]).all()  # one channel spreads over three
    assert (tiles[..., 3] == (last[..., 3] if last.shape[3] == 4 else 255)).all()


def test_channels_come_last_where_both_readings_fit():
    images = np.zeros((1, 3, 5, 3), dtype=np.uint8)
    assert SpriteSheet.of(images).tile_size == (5, 3)


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.25, 0.25, 0.75], [64, 64, 191]),
        ([0, 8, 16], [0, 128, 255]),
        ([-1.0, 0.0, 3.0], [0, 64, 255]),
        ([7.0, 7.0, 7.0], [128, 128, 128]),
        ([True, False, True], [255, 0, 255]),
        ([-5, 0, 5], [0, 128, 255]),
    ],
)
def test_values_within_0_and_1_are_shares_all_others_are_stretched(values, grey):
    tiles = SpriteSheet.of(np.array(values).reshape(3, 1, 1)).tiles
    assert tiles[:, 0, 0, 0].tolist() == grey


def test_large_images_are_averaged_and_small_ones_left():
    images = np.zeros((2, 100, 60), dtype=np.uint8)
    images[0, :50] = 200
    sheet = SpriteSheet.of(images, tile=25)
    assert sheet.tile_size == (15, 25)
    assert sheet.tiles[0, :12, :, 0].tolist() == np.full((12, 15), 200).tolist() and sheet.tiles[0, 12, 0, 0] == 100
    odd = SpriteSheet.of(np.arange(5.0).reshape(1, 1, 5), tile=2)
    assert odd.tile_size == (2, 1)
    assert odd.tiles[0, 0, :, 0].tolist() == [round(255 * 1 / 4), round(255 * 3.5 / 4)]
    assert SpriteSheet.of(np.zeros((1, 8, 8)), tile=32).tile_size == (8, 8)


@pytest.mark.parametrize(
    ("images", "more", "text"),
    [
        (np.zeros((3, 4)), {}, "no images"),
        (np.zeros((3, 5, 5, 2)), {}, "no images"),
        (np.zeros((0, 4, 4)), {}, "no images"),
        (np.full((1, 2, 2), np.nan), {}, "finite"),
        (np.full((1, 2, 2), np.inf), {}, "finite"),
        (np.full((1, 2, 2, 4), 2.0), {}, "alpha"),
        (np.array([[["a"]]]), {}, "numbers"),
        (np.zeros((2, 2, 2)), {"ids": [1]}, "id of its own"),
        (np.zeros((2, 2, 2)), {"ids": [1, 1]}, "id of its own"),
        (np.zeros((2, 2, 2)), {"tile": 0}, "size"),
    ],
)
def test_what_is_no_stack_of_images_is_refused(images, more, text):
    with pytest.raises(NetgeomError, match=text):
        SpriteSheet.of(images, **more)


def test_too_many_thumbnails_are_refused_before_memory_is_taken():
    many = np.broadcast_to(np.zeros((1, 32, 32), dtype=np.uint8), (40_000, 32, 32))
    with pytest.raises(TooLargeError, match="smaller tile"):
        SpriteSheet.of(many)


def test_image_shapes():
    assert is_image_shape((3, 8, 8)) and is_image_shape((3, 1, 8, 8)) and is_image_shape((3, 8, 8, 4))
    assert not is_image_shape((3, 64)) and not is_image_shape((3, 8, 8, 2)) and not is_image_shape((3, 0, 8))
    assert not is_image_shape(()) and not is_image_shape((2, 3, 4, 4, 3))


@given(
    st.integers(1, 30),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(["grey", "colour", "alpha"]),
    st.booleans(),
)
def test_the_sheet_holds_every_tile_at_its_place(n, height, width, kind, smooth):
    rng = np.random.default_rng(n)
    depth = {"grey": 1, "colour": 3, "alpha": 4}[kind]
    images = rng.integers(0, 256, (n, height, width, depth)).astype(np.uint8)
    images = np.sort(images, axis=2) if smooth else images
    sheet = SpriteSheet.of(images, ids=range(10, 10 + n))
    drawn = unpacked(sheet.png)
    for place in range(n):
        row, column = divmod(place, sheet.columns)
        box = drawn[row * height : (row + 1) * height, column * width : (column + 1) * width]
        opaque = sheet.rgba(place)[..., 3] > 0
        assert (box == sheet.rgba(place))[opaque].all()
    assert sheet.places([10, 9, 10 + n - 1]) == [0, -1, n - 1] and len(sheet) == n


def test_a_png_is_no_larger_a_type_than_needed():
    pixels = np.full((4, 4, 4), 255, dtype=np.uint8)
    assert to_png(pixels)[25] == 0
    pixels[0, 0, 0] = 7
    assert to_png(pixels)[25] == 2 and (unpacked(to_png(pixels)) == pixels).all()
    pixels[0, 0, 3] = 7
    assert to_png(pixels)[25] == 6 and (unpacked(to_png(pixels)) == pixels).all()


def test_the_address_is_the_sheet():
    sheet = SpriteSheet.of(np.eye(3)[None])
    head, _, body = sheet.data_url().partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(body) == sheet.png


# ---- marks


def transform_of(renderer):
    return renderer.glyph.lookup("image").get_value(renderer.glyph).transform


@pytest.fixture
def three():
    """A red, a green and a transparent tile."""
    tiles = np.zeros((3, 2, 4, 4), dtype=np.uint8)
    tiles[0, ..., 0] = tiles[1, ..., 1] = tiles[:2, ..., 3] = 255
    return SpriteSheet.of(tiles, ids=[5, 6, 7])


def test_marks_are_drawn_in_pixels_whatever_the_ranges(three):
    places = ColumnDataSource({"x": [2.0, 8.0, 5.0], "y": [5.0, 5.0, 5.0], "tile": [0, 1, -1]})
    for far in (10, 1000):
        plot = figure(x_range=(0, far), y_range=(0, 10), frame_width=200, frame_height=200)
        plot.grid.visible = False
        places.data["x"] = [0.2 * far, 0.8 * far, 0.5 * far]
        marks = SpriteMarks(three)
        assert marks.size_within(40) == (40, 20)
        drawn = marks.add(plot, places, 40)
        assert is_sprites(transform_of(drawn))
        image = np.asarray(Image.open(io.BytesIO(render(plot, dpi=96))).convert("RGB")).astype(int)
        for channel, others in ((0, [1, 2]), (1, [0, 2])):
            hit = (image[..., channel] > 240) & (image[..., others] < 15).all(axis=2)
            down, across = np.nonzero(hit)
            assert np.ptp(across) + 1 == pytest.approx(40, abs=1.5)
            assert np.ptp(down) + 1 == pytest.approx(20, abs=1.5)


def test_the_sheet_comes_once_into_a_document(three):
    marks = SpriteMarks(three)
    document = Document()
    for _ in range(3):
        plot = figure()
        marks.add(plot, ColumnDataSource({"x": [0], "y": [0], "tile": [0]}), 20)
        marks.hover()
        document.add_root(plot)
    text = json.dumps(document.to_json(deferred=False))
    assert text.count(base64.b64encode(three.png).decode()) == 1


def test_tiles_read_back_from_a_document_are_the_tiles(three):
    plot = figure()
    drawn = SpriteMarks(three).add(plot, ColumnDataSource({"x": [0], "y": [0], "tile": [0]}), 20)
    found = tiles_of(transform_of(drawn), [1, -1, 0])
    assert (found[0] == three.rgba(1)).all() and not found[1].any() and (found[2] == three.rgba(0)).all()
