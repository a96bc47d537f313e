"""figures/similarity_matrix.py and its parts: what is drawn are the entries, or means of blocks that say so."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.events import SelectionGeometry
from bokeh.models import BasicTicker, FixedTicker
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.sample_labels import class_colour
from netgeom_widgets.figures.similarity import matrix_picture
from netgeom_widgets.figures.similarity_bands import reduced_kinds
from netgeom_widgets.figures.similarity_levels import Levels
from netgeom_widgets.figures.similarity_matrix import MatrixPart
from netgeom_widgets.figures.similarity_words import WORDS
from netgeom_widgets.figures.static import render
from netgeom_widgets.figures.theme import PICKED
from tests.figures.drawn import HOSTILE, caption, tap, texts, whole
from tests.figures.similarities import cosines


class Store:
    """As a tile store has it: entries by id, overviews in the order of the samples."""

    def __init__(self, values: np.ndarray) -> None:
        self.shape, self._values, self.read = values.shape, values, 0

    def block(self, rows, columns):
        self.read += len(rows) * len(columns)
        return self._values[np.ix_(rows, columns)]

    def cell(self, level):
        return 2 ** (level + 1)

    def overview(self, level, how):
        return Levels(self._values).view(pixels=-(-len(self._values) // self.cell(level)), reduce=how).image


# ---- levels of detail


@given(
    st.tuples(st.integers(1, 45), st.integers(1, 45)),
    st.integers(1, 40),
    st.sampled_from(["mean", "max"]),
    st.integers(0, 2**32 - 1),
)
def test_each_pixel_is_the_mean_or_the_largest_of_its_block(shape, pixels, how, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    values[rng.random(shape) < rng.choice([0.0, 0.3])] = np.nan
    orders = [rng.permutation(size)[: max(1, size - rng.integers(3))] for size in shape]
    ends = [tuple(sorted(rng.uniform(-2, len(order) + 2, 2))) for order in orders]
    found = Levels(values, *orders).view(ends[1], ends[0], pixels=pixels, reduce=how)
    assert max(found.image.shape) <= pixels and found.factor & (found.factor - 1) == 0
    shown, f = values[np.ix_(*orders)], found.factor
    for (row, column), pixel in np.ndenumerate(found.image):
        block = shown[found.row + row * f :, found.column + column * f :][:f, :f]
        there = block[~np.isnan(block)]
        expected = np.nan if not there.size else there.mean() if how == "mean" else there.max()
        assert np.isclose(pixel, expected, atol=1e-5, equal_nan=True)
    for (low, high), order, first, size in zip(ends, orders, (found.row, found.column), found.image.shape, strict=True):
        seen = [cell for cell in range(len(order)) if cell + 1 > low and cell < high]
        assert not size or set(seen) <= set(range(first, first + size * f))
    if f > 1:
        assert f"{how if how == 'mean' else 'largest'} of {f} × {f} pairs" in found.words
    else:
        assert found.words == ""


def test_a_large_matrix_is_read_once_and_zoomed_in_exactly():
    values = cosines(1300).astype(np.float32)
    order = np.random.default_rng(3).permutation(1300)
    levels = Levels(values, order, order)
    whole = levels.view()
    assert whole.factor == 4 and whole.image.shape == (325, 325)
    near = levels.view((100.4, 300), (200, 420.5))
    assert near.factor == 1 and (near.image == values[np.ix_(order[200:421], order[100:300])]).all()
    assert levels.value(7, 9) == values[order[7], order[9]] and levels.least == values.min()


def test_a_store_gives_its_overview_in_its_own_order_and_single_pairs_in_another():
    values = cosines(100)
    store = Store(values)
    found = Levels(store).view(pixels=30)
    assert (found.factor, found.how, store.read) == (4, "mean", 0)
    assert np.allclose(found.image, values.reshape(25, 4, 25, 4).mean(axis=(1, 3)), atol=1e-6)
    order = np.arange(100)[::-1]
    found = Levels(store, order, order).view(pixels=30)
    assert (found.how, store.read) == ("one", 625) and "one pair of 4 × 4 pairs" in found.words
    assert np.allclose(found.image, values[::-1, ::-1][::4, ::4])
    part = MatrixPart()
    part.draw(store, order=order, ordering="seriated")
    assert part._mapper.low == -1, "a store may hold negative values that were not read"
    assert Levels(store).view((3, 9), (50, 60)).image.shape == (10, 6)


def test_views_refuse_what_is_no_matrix():
    for wrong in (np.zeros(3), np.zeros((2, 2), dtype=complex)):
        with pytest.raises(NetgeomError, match="no matrix"):
            Levels(wrong)
    with pytest.raises(NetgeomError, match="indices from 0 to 1"):
        Levels(np.zeros((2, 2)), [0, 2])
    with pytest.raises(NetgeomError, match="no such reduction"):
        Levels(np.zeros((2, 2))).view(reduce="median")
    with pytest.raises(NetgeomError, match="pixels"):
        Levels(np.zeros((2, 2))).view(pixels=0)
    with pytest.raises(NetgeomError, match="finite"):
        Levels(np.zeros((2, 2))).view(x_range=(0, np.inf))
    assert Levels(np.zeros((2, 2))).view(x_range=(5, 9)).image.size == 0


def test_a_band_shows_the_most_frequent_class():
    assert reduced_kinds(np.array([3, 3, 1, 1, 1, 2, 9]), 3).tolist() == [3, 1, 9]
    assert reduced_kinds(np.array([2, 1]), 2).tolist() == [1]


# ---- the picture


def test_rows_and_columns_lie_in_their_order_from_the_top():
    values, order = cosines(6), np.array([5, 0, 3, 1, 2, 4])
    part = MatrixPart()
    part.draw(values, order=order, ordering="seriated", ids=np.arange(10, 16))
    data = part._image.data
    assert np.allclose(data["image"][0], values[np.ix_(order, order)]) and (data["x"], data["dw"]) == ([0], [6])
    assert part.root.y_range.start == 6 and part.root.y_range.end < 0 < part.root.x_range.end == 6
    assert part.root.xaxis[0].axis_label == "input, in seriated order (alike side by side)"
    assert part._axes._names[0].data["id"].tolist() == [15, 10, 13, 11, 12, 14]
    assert part.at(0.2, 1.9) == (0, 5) and part.at(-0.1, 1) is None and part.at(None, 1) is None
    assert {"Similarity of inputs for the network", WORDS["trace"].short} <= texts(part.root)
    assert "k = tr(K_C)/d" in caption(part.root)


@pytest.mark.parametrize("kernel", sorted(WORDS))
def test_each_kernel_has_words_and_colours_about_zero_where_it_is_signed(kernel):
    part, values = MatrixPart(), 3 * cosines(20) if kernel in ("inner", "relative", "difference") else cosines(20)
    part.draw(values if WORDS[kernel].signed else np.abs(values), kernel=kernel)
    mapper = part._mapper
    if WORDS[kernel].signed:
        assert mapper.low == -mapper.high and mapper.palette == list(palettes.diverging())
    else:
        assert (mapper.low, mapper.high) == (0, 1) and mapper.palette == list(palettes.VIRIDIS)
    assert part._bar.title == WORDS[kernel].short
    part.draw(np.abs(values), kernel="cosine")
    assert (mapper.low, mapper.palette[0]) == (0, palettes.VIRIDIS[0])


def test_what_lies_beyond_the_colours_is_counted():
    values = np.ones((10, 10))
    values[3, 4] = 50.0
    part = MatrixPart()
    part.draw(values, kernel="inner")
    assert part._mapper.high == 1 and "Beyond 0 to 1 the colour stays: 1 % of the pairs." in caption(part.root)
    part.draw(values, kernel="trace", limits=(0.0, 0.5))
    assert "Beyond 0 to 0.5 the colour stays: 100 % of the pairs." in caption(part.root)
    with pytest.raises(NetgeomError, match="no interval"):
        part.draw(values, limits=(1.0, 1.0))


def test_classes_are_bands_names_and_borders():
    labels = np.array([1, 0, 1, 0, 1])
    part, order = MatrixPart(), np.array([1, 3, 0, 2, 4])
    part.draw(cosines(5), order=order, ordering="by class", labels=labels)
    for axis in (part.root.xaxis[0], part.root.yaxis[0]):
        assert axis.ticker.ticks == [1.0, 3.5] and list(axis.major_label_overrides.values()) == ["0", "1"]
    above = part._bands._above.data
    expected = palettes.to_rgba([class_colour(0)] * 2 + [class_colour(1)] * 3).view(np.uint32)[:, 0]
    assert (above["image"][0][0] == expected).all() and above["y"] == [part.root.y_range.end]
    assert (part._bands._beside.data["image"][0] == above["image"][0].T).all()
    assert part._marks._borders.data["x1"] == [5.0, 2.0] and {"label 0", "label 1"} <= texts(part.root)
    part.draw(cosines(5), labels=labels)
    assert isinstance(part.root.xaxis[0].ticker, BasicTicker) and not isinstance(part.root.xaxis[0].ticker, FixedTicker)
    assert part._marks._borders.data["x0"] == []
    part.draw(cosines(30), labels=np.arange(30))
    assert "30 labels" in caption(part.root) and "label 0" not in texts(part.root)
    part.draw(cosines(30), labels=np.linspace(0, 1, 30))
    assert "from dark (low) to yellow (high)" in caption(part.root)
    part.draw(cosines(30))
    assert part._bands._above.data["image"] == []


def test_row_pair_and_selection_are_marked_where_they_stand():
    part, order = MatrixPart(), np.array([5, 0, 3, 1, 2, 4])
    part.draw(cosines(6), order=order)
    part.mark_row(3)
    assert part._marks._row.data == {"left": [0.0], "right": [6.0], "top": [2], "bottom": [3]}
    part.mark_pair((0, 4))
    assert part._marks._cell.data == part._marks._ring.data == {"x": [5.5], "y": [1.5]}
    part.mark_selection([5, 3, 99], [5])
    picked = palettes.to_rgba([PICKED]).view(np.uint32)[0, 0]
    assert np.flatnonzero(part._bands._beside.data["image"][0][:, 2] == picked).tolist() == [0, 2]
    assert np.flatnonzero(part._bands._above.data["image"][0][2] == picked).tolist() == [0]
    part.draw(cosines(6), order=order)
    assert part._bands._beside.data["image"], "the selection stays"
    for clear in (part.mark_row, part.mark_pair):
        clear(None)
    assert part._marks._row.data["left"] == part._marks._cell.data["x"] == []


def test_taps_and_boxes_give_numbers_of_the_matrix_as_given():
    part, cells, boxes = MatrixPart(), [], []
    part.on_cell(lambda *cell: cells.append(cell))
    part.on_box(lambda *box: boxes.append(box))
    part.draw(cosines(6), order=np.array([5, 0, 3, 1, 2, 4]))
    for x, y in ((0.5, 2.5), (-0.1, 2.5), (0.5, 6.5)):
        tap(part.root, x, y)
    ends = {"type": "rect", "x0": 0.5, "x1": 1.5, "y0": 2.1, "y1": 0.9}
    for final, box in ((False, ends), (True, ends), (True, {**ends, "x0": 8, "x1": 9}), (True, {"type": "poly"})):
        part.root._trigger_event(SelectionGeometry(part.root, geometry=box, final=final))
    assert cells == [(3, 5)] and boxes == [([5, 0, 3], [5, 0])]


def test_zooming_sends_what_is_in_view_and_the_bands_stay_at_the_edge():
    part, values = MatrixPart(), cosines(1300)
    part.draw(values, labels=np.arange(1300) % 3)
    assert part.view.factor == 4 and "Each pixel: mean of 4 × 4 pairs" in caption(part.root)
    assert [name for name, _ in part._hover.tooltips] == ["row: input of 4", "column: input of 4", "mean of 4 × 4 k"]
    part.root.x_range.update(start=100, end=200)
    part.root.y_range.update(start=300, end=200)
    part.zoom()
    assert part._image.data["image"][0].shape == (100, 100) and part._hover.tooltips[2][0] == "k"
    assert part._bands._above.data["y"] == [200] and part._bands._above.data["x"] == [100]
    assert part._bands._beside.data["x"] == [100] and "mean of" not in caption(part.root)
    part.draw(values, labels=np.arange(1300) % 3, reduce="max")
    assert part.root.x_range.start == 100, "a redrawn matrix of the same size stays where it is"
    part.zoom((0, 1300), (0, 1300))
    assert "largest of 4 × 4 pairs" in caption(part.root)
    part.zoom((2000, 2100), (0, 5))
    assert part._image.data["image"] == []


def test_other_inputs_have_an_axis_of_their_own():
    part = MatrixPart()
    part.draw(
        cosines(4, 7), others=True, order_others=np.arange(7)[::-1], labels=list("abab"), labels_others=list("abcabca"),
        ids_others=range(50, 57),
    )  # fmt: skip
    assert part.root.xaxis[0].axis_label == "other input, as given" and part.root.x_range.end == 7
    assert part._axes._names[1].data["id"].tolist() == list(range(50, 57))[::-1]
    assert part._bands._above.data["image"][0].shape == (3, 7)
    with pytest.raises(NetgeomError, match="not square"):
        part.draw(cosines(4, 7))


def test_rows_not_computed_yet_are_grey_and_said():
    values = cosines(8)
    values[5:] = np.nan
    part = MatrixPart()
    part.draw(values, labels=list("abababab"))
    assert "Grey: no value." in caption(part.root)
    known = part._axes._names[0].data["id"]
    part.draw(cosines(8), labels=list("abababab"))
    assert part._axes._names[0].data["id"] is known and part._axes._labels[0].data["name"] == ["a", "b"]
    part.draw(np.full((3, 3), np.nan))
    assert render(part.root)
    part.clear("Nothing to show yet.")
    assert caption(part.root) == "Nothing to show yet." and part._image.data["image"] == [] and render(part.root)
    part.mark_row(1)
    part.zoom()
    part.draw(values)
    assert part._bar.visible
    part.draw(np.zeros((0, 0)))
    assert render(part.root)


def test_users_words_are_words_and_everything_is_valid():
    class Found:
        values, kernel = cosines(6), "cosine"

    labels = [f"{HOSTILE}{i % 2}" for i in range(6)]
    root = matrix_picture(Found, labels=labels, title=HOSTILE, note=HOSTILE, ordering=HOSTILE)
    whole(root)
    assert "gradients" in root.right[-1].title
    for kind, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert render(root, kind, width=500).startswith(start)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel": "mood"}, "no such similarity"),
        ({"labels": [1, 2]}, "labels do not belong"),
        ({"ids": [1, 2]}, "ids do not belong"),
        ({"order": [0, 9]}, "order does not belong"),
    ],
)
def test_what_does_not_belong_is_refused(options, words):
    with pytest.raises(NetgeomError, match=words):
        MatrixPart().draw(cosines(3), **options)
