"""Tests of widgets/similarity.py and its parts, fed with what a browser would send."""

from __future__ import annotations

import csv
import gc
import json
import threading
from functools import partial

import numpy as np
import pytest
import torch
import traitlets
import zarr
from bokeh.events import MouseLeave, MouseMove, SelectionGeometry, Tap
from bokeh.models import DataTable
from ipywidgets.widgets.widget import _instances
from torch import nn

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import similarity
from netgeom_widgets.widgets.similarity_samples import Samples
from tests.widgets import waiting
from tests.widgets.conftest import maker

N, CLASSES = 36, 3
wait_for = partial(waiting.wait_for, seconds=20)


def network(outputs: int = CLASSES) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, outputs))


def images() -> torch.Tensor:
    """Three groups of similar 4 x 4 pictures, in turn."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.rand(CLASSES, 4, 4, generator=generator)
    return (centres[labels()] + 0.2 * torch.rand(N, 4, 4, generator=generator)) / 1.2


def labels() -> np.ndarray:
    return np.arange(N) % CLASSES


make = maker(ng.SimilarityMatrix)


@pytest.fixture
def matrix(make):
    matrix = make(network(), images(), labels())
    matrix.wait(60)
    return matrix


def plot_of(matrix):
    return matrix._figure.matrix.root


def at(matrix, row, column):
    """The middle of a cell, by ids, in the plot."""
    places = matrix._picture.places
    return {"sx": 1, "sy": 1, "x": float(places[column]) + 0.5, "y": float(places[row]) + 0.5}


def event(matrix, kind, **where):
    plot_of(matrix)._trigger_event(kind(plot_of(matrix), **where))
    matrix.wait(60)


# ---- construction and runs


def test_the_result_is_the_kernels(matrix):
    wanted = similarity.similarity_matrix(network(), images())
    assert np.array_equal(matrix.result.values, wanted.values)
    assert (matrix.status, matrix.kernel, matrix.output) == ("done", "trace", "all outputs")
    assert repr(matrix) == "<SimilarityMatrix done 36 inputs, 1,296 pairs, trace>"
    assert np.array_equal(matrix.shown_order, similarity.seriate(wanted.values))
    shown = matrix._figure.matrix.view.image
    assert np.allclose(shown, wanted.values[np.ix_(matrix.shown_order, matrix.shown_order)], atol=1e-6)


def test_the_model_is_neither_touched_nor_seen_changing(make):
    net = network().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    matrix = make(net, images())
    with torch.no_grad():
        net[1].weight.zero_()
    matrix.wait(60)
    assert np.array_equal(matrix.result.values, similarity.similarity_matrix(network(), images()).values)
    assert net.training and all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items() if name != "1.weight")
    matrix.run()
    matrix.wait(60)
    assert matrix.result.zero_gradient.sum() < N, "biases still count"
    assert matrix.result.model_digest != similarity.similarity_matrix(network(), images()).model_digest


def test_bad_input_is_refused_before_anything_starts(make):
    before = threading.active_count(), len(_instances)
    net, x = network(), images()
    refusals = [
        ((net, x[:0]), {}, "There are no inputs"),
        ((net, 5.0), {}, "There are no inputs"),
        ((net, torch.zeros(3, 5)), {}, "does not take these inputs"),
        (("net", x), {}, "not a torch module"),
        ((net, x, labels()[:-1]), {}, "labels do not fit"),
        ((net, x), {"images": np.zeros((3, 8, 8))}, "images do not fit"),
        ((net, x), {"names": ["a"]}, "names does not fit"),
        ((net, x), {"names": "abc"}, "names is not understood"),
        ((net, x), {"names": {"age": [1, 2]}}, "age does not fit"),
        ((net, x), {"targets": np.zeros(3)}, "targets do not fit"),
        ((net, x), {"loss": "mse"}, "loss without targets"),
        ((net, x), {"function": 3}, "not callable"),
        ((net, x), {"output": 3}, "no such output"),
        ((net, x), {"output": "mood"}, "output has a bad value"),
        ((net, x), {"output": "loss gradient"}, "no targets"),
        ((net, x), {"output": "function"}, "no function"),
        ((net, x), {"kernel": "cosine"}, "of one output"),
        ((net, x), {"kernel": "rotation"}, "two outputs"),
        ((net, x), {"order": "by class"}, "no labels"),
        ((net, x), {"parameters": ["nowhere"]}, "no such parameter"),
        ((net, x), {"parameters": []}, "parameters has a bad value"),
        ((net, x), {"row": N}, "no such input"),
        ((net, x), {"pair": (0, N)}, "no such pair"),
        ((net, x), {"threshold": np.nan}, "no threshold"),
        ((net, x / 0), {}, "inputs are not finite"),
        ((net, x), {"selection": [N]}, "no such sample"),
        ((net, x), {"mood": 1}, "no such keyword"),
    ]
    for args, kwargs, words in refusals:
        with pytest.raises(NetgeomError, match=words):
            make(*args, **kwargs)
    gc.collect()
    assert (threading.active_count(), len(_instances)) == before


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"output": 1, "kernel": "cosine"}, {"output": 1, "kernel": "cosine"}),
        ({"output": "probabilities", "kernel": "nuclear"}, {"output": similarity.probabilities(), "kernel": "nuclear"}),
        ({"output": "margin", "kernel": "relative"}, {"output": similarity.margin(), "kernel": "relative"}),
        ({"output": "margin of the label"}, {"output": similarity.margin(labels())}),
        ({"output": "loss gradient"}, {"output": similarity.loss_gradient(labels(), "cross_entropy")}),
        ({"output": "function"}, {"output": lambda outputs: outputs[:, :2] ** 2}),
        ({"parameters": "3"}, {"parameters": ["3.weight", "3.bias"]}),
        ({"parameters": ["1.weight"], "precision": "float64"}, {"parameters": ["1.weight"], "dtype": torch.float64}),
    ],
)
def test_settings_are_those_of_the_kernel(make, settings, options):
    matrix = make(
        network(), images(), labels(), targets=labels(), function=lambda outputs: outputs[:, :2] ** 2, **settings
    )
    matrix.wait(60)
    wanted = similarity.similarity_matrix(network(), images(), **options)
    assert np.allclose(matrix.result.values, wanted.values, atol=1e-12)
    assert matrix.result.values.dtype == wanted.values.dtype


def test_what_the_samples_are_in_words():
    x = np.arange(6.0).reshape(3, 2)
    assert Samples(x, 3, labels=["a", "b", "a"]).words(1) == "input 1, label b, 2, 3"
    assert Samples(x, 3, names=["one", "two", "three"]).words(2) == "input 2, three"
    assert Samples(x, 3, names={"age": [7, 8, 9], "height": [1.5, 1.6, 1.7]}).words(0) == "input 0, age 7, height 1.5"
    assert Samples(np.zeros((3, 50)), 3).texts is None
    assert Samples(images(), N).sprites is not None and Samples(images(), N, images=False).sprites is None
    assert Samples(np.zeros((3, 5, 8)), 3).sprites is None, "words of a text, not images"


# ---- orders, pictures, partial rows


def test_another_order_computes_nothing_again(make, monkeypatch, matrix):
    found = matrix.result
    matrix.order = "by class"
    matrix.wait(60)
    assert matrix.result is found
    assert np.array_equal(matrix.shown_order, np.argsort(labels(), kind="stable"))
    matrix.order = "as given"
    matrix.wait(60)
    assert np.array_equal(matrix.shown_order, np.arange(N)) and matrix.result is found
    assert "as given" in plot_of(matrix).xaxis[0].axis_label
    matrix.output = 0
    matrix.wait(60)
    assert matrix.result is not found
    matrix.output = "all outputs"
    matrix.wait(60)
    assert matrix.result is found, "recent matrices are kept"


def test_rows_appear_while_the_kernel_runs(make, monkeypatch):
    whole, seen, go = similarity.similarity_matrix, threading.Event(), threading.Event()

    def slow(model, inputs, *others, on_rows=None, **options):
        result = whole(model, inputs, *others, **options)
        if on_rows is not None:
            on_rows(0, 10, result.values[:10])
            seen.set()
            assert go.wait(30)
        return result

    monkeypatch.setattr(similarity, "similarity_matrix", slow)
    matrix = make(network(), images(), order="as given")
    assert seen.wait(30)
    wait_for(lambda: matrix._figure.matrix.view is not None)
    image = matrix._figure.matrix.view.image
    assert np.isfinite(image[:10]).all() and np.isnan(image[10:]).all()
    assert "10 of 36 rows" in caption(matrix)
    go.set()
    matrix.wait(60)
    assert np.isfinite(matrix._figure.matrix.view.image).all() and "rows" not in caption(matrix)


def caption(matrix):
    return matrix._figure.matrix._caption.text.replace("\n", " ")


def test_cancel_keeps_the_last_picture(make, monkeypatch, matrix):
    found = matrix.result

    def endless(*args, cancel, **options):
        while True:
            cancel.checkpoint()

    monkeypatch.setattr(similarity, "similarity_matrix", endless)
    matrix.kernel = "flat"
    wait_for(lambda: matrix.status == "running")
    matrix.cancel()
    matrix.wait(60)
    assert (matrix.status, matrix.result) == ("cancelled", found)
    monkeypatch.undo()
    matrix.kernel = "trace"
    matrix.wait(60)
    assert matrix.status == "done"


def test_the_view_follows_the_ranges_and_can_be_set(matrix):
    plot = plot_of(matrix)
    plot.x_range.update(start=4.0, end=12.0)
    plot.y_range.update(start=20.0, end=10.0)
    matrix.wait(60)
    assert matrix.view == (4.0, 12.0, 10.0, 20.0)
    view = matrix._figure.matrix.view
    assert (view.row, view.column, *view.image.shape) == (10, 4, 10, 8)
    matrix.view = (0, 6, 2, 8)
    matrix.wait(60)
    assert (plot.x_range.start, plot.x_range.end, plot.y_range.start, plot.y_range.end) == (0, 6, 8, 2)
    matrix._reset()
    matrix.wait(60)
    assert matrix.view is None and matrix._figure.matrix.view.image.shape == (N, N)


# ---- picking


def test_a_click_picks_row_and_pair_and_shows_its_neighbours(matrix):
    event(matrix, Tap, **at(matrix, 5, 9))
    assert (matrix.row, matrix.pair) == (5, (5, 9))
    values = matrix.result.values
    ids = [i for _, i in matrix._panel._list.options]
    assert ids == [i for i in np.lexsort((np.arange(N), -values[5])).tolist() if i != 5][: len(ids)]
    assert matrix._panel._facts.value.startswith("input 5, label 2, predicted ")
    assert f"k = {values[5, 9]:.4g}".replace("-", "\N{MINUS SIGN}") in matrix._panel._told.value
    shares = matrix._shares_known.find((5, 9))
    parts = similarity.similarity_matrix(network(), images()[[5]], images()[[9]], by_parameter=True).parts
    assert shares == pytest.approx({name: part.item() for name, part in parts.items()})
    assert sum(shares.values()) == pytest.approx(values[5, 9], abs=1e-5)
    bars = matrix._figure.pair._bars._source.data
    assert dict(zip(bars["name"], bars["share"], strict=True)) == pytest.approx(shares)
    event(matrix, Tap, **at(matrix, 5, 9))
    assert (matrix.row, matrix.pair) == (None, None)
    event(matrix, Tap, **at(matrix, 7, 7))
    assert (matrix.row, matrix.pair) == (7, None), "an input with itself is no pair"
    nearest = matrix._panel._list.options[0][1]
    assert f"input {nearest} is most like input 7" in matrix._figure.pair._caption.text.replace("\n", " ")
    assert matrix._shares_known.find((7, nearest)) is not None


def test_row_and_pair_are_chosen_by_keyboard(matrix):
    panel = matrix._panel
    panel._row._field.value = "11"
    matrix.wait(60)
    assert matrix.row == 11
    panel._list.value = panel._list.options[2][1]
    matrix.wait(60)
    assert matrix.pair == (11, panel._list.options[2][1])
    panel._row._field.value = "99"
    matrix.wait(60)
    assert matrix.row == 11 and "no such input" in matrix.message and panel._row._field.value == "11"
    following = [matrix.shown_order.tolist().index(11) + by for by in (0, 1)]
    matrix._step_row(1)
    assert matrix.row == matrix.shown_order[following[1] % N] and matrix.pair is None
    matrix.selection = (3, 30)
    matrix._step_row(1)
    assert matrix.row in (3, 30)
    matrix.pair = (2, 4)
    assert matrix.row == 2
    matrix.row = 6
    assert matrix.pair is None


def test_the_pointer_is_followed_and_shares_come_when_it_rests(matrix):
    event(matrix, MouseMove, **at(matrix, 4, 8))
    assert matrix._panel.pointer.value.startswith("input 4, label 1 and input 8, label 2: k = ")
    assert set(matrix._shares_known.find((4, 8))) == {"1.weight", "1.bias", "3.weight", "3.bias"}
    assert matrix.pair is None, "only a click picks"
    event(matrix, MouseLeave, sx=0, sy=0, x=0.0, y=0.0)
    assert matrix._panel.pointer.value == ""


def test_similarities_that_are_no_sums_say_so(make):
    matrix = make(network(), images(), kernel="frobenius", pair=(0, 1))
    matrix.wait(60)
    assert matrix._shares_known.find((0, 1)) in matrix._panel._told.value and matrix.status == "done"


def test_a_box_selects_and_the_table_shows_the_selection(matrix):
    places = matrix.shown_order
    geometry = {"type": "rect", "x0": 2.2, "x1": 4.9, "y0": 2.2, "y1": 5.5}
    event(matrix, SelectionGeometry, geometry=geometry, final=True)
    assert set(matrix.selection) == set(places[2:6].tolist())
    matrix.table = True
    matrix.row = 3
    matrix.wait(60)
    source = matrix._input_table.root.source
    assert list(source.data["input"]) == list(matrix.selection)
    assert list(source.data["hard"]) == (matrix.result.values[list(matrix.selection)] > 0.9).sum(1).tolist()
    assert list(source.data["k"]) == pytest.approx(matrix.result.values[3, list(matrix.selection)].tolist())
    assert isinstance(matrix._input_table.root, DataTable)
    source.selected.indices = [1]
    matrix.wait(60)
    assert matrix.row == matrix.selection[1]
    matrix._take_neighbours()
    matrix.wait(60)
    beyond = set(np.flatnonzero(matrix.result.values[matrix.row] > 0.9).tolist())
    assert set(matrix.selection) == {matrix.row, *beyond} and f"{len(matrix.selection)} selected" in (
        matrix._panel._selected.value
    )
    matrix.selection = ()
    matrix.wait(60)
    assert list(source.data["input"]) == places.tolist()


# ---- counts


def test_counts_follow_the_threshold(matrix):
    values = matrix.result.values
    for threshold, power in ((0.9, 2), (0.5, 4)):
        matrix.threshold, matrix.power = threshold, power
        matrix.wait(60)
        counts = matrix.neighbour_counts
        assert (counts.threshold, counts.power) == (threshold, power)
        assert np.array_equal(counts.hard, (values > threshold).sum(1))
        assert np.allclose(counts.soft, values.sum(1, dtype=np.float64))
        assert np.allclose(counts.less_soft, (np.maximum(values, 0).astype(np.float64) ** power).sum(1))
    source = matrix._figure.matrix._image
    image = source.data["image"][0]
    matrix.threshold = 0.6
    matrix.wait(60)
    assert source.data["image"][0] is image, "only counts have changed"
    matrix.threshold = 0.5
    matrix.row = 4
    matrix.wait(60)
    assert matrix._counts_line.value.startswith(f"Input 4: {counts.hard[4]} with k > 0.5, soft ")
    matrix.counts = True
    matrix.wait(60)
    assert matrix._counts_fold.is_filled and len(matrix._exported_parts()) == 2


def test_pairs_at_the_threshold_are_said(make):
    x = images()
    x[7] = x[4]  # duplicates: k = 1
    matrix = make(network(), x, threshold=1.0)
    matrix.wait(60)
    assert matrix.neighbour_counts.near >= N
    assert "pairs lie within 1e-06 of the threshold" in matrix._counts_line.value


def test_the_threshold_of_unbounded_similarities_spans_them(make):
    matrix = make(network(1), images(), kernel="inner", threshold=3.0)
    matrix.wait(60)
    values, slider = matrix.result.values, matrix._controls["threshold"].widget
    assert (slider.min, slider.max) == pytest.approx((values.min(), values.max()))
    assert np.array_equal(matrix.neighbour_counts.hard, (values > 3).sum(1))
    matrix.kernel = "cosine"
    matrix.wait(60)
    assert (slider.min, slider.max, matrix.threshold) == (-1, 1, 3)


@pytest.mark.parametrize("n", [1, 2])
def test_few_inputs(make, n, tmp_path):
    matrix = make(network(), images()[:n], row=0, counts=True, table=True)
    matrix.wait(60)
    assert matrix.status == "done" and matrix.shown_order.tolist() == list(range(n))
    assert matrix._counts_fold._button.value and matrix._table_fold._button.value  # open, as asked for
    matrix.export_data(tmp_path / "few.csv")
    assert (tmp_path / "few.csv").read_text().count("\n") == n + 1


def test_labels_on_a_scale_order_by_their_value(make):
    numbers = np.random.default_rng(0).normal(size=N)
    matrix = make(network(1), images(), numbers, order="by class", row=3)
    matrix.wait(60)
    with torch.no_grad():
        output = network(1)(images())[3].item()
    words = f"input 3, label {numbers[3]:.4g}, output {output:.4g}".replace("output -", "output \N{MINUS SIGN}")
    assert matrix._panel._facts.value == words
    assert np.array_equal(matrix.shown_order, np.argsort(numbers))


def test_a_dead_input_is_said(make):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 1, bias=False))
    net[0].weight.data.abs_()
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 2.0]])
    matrix = make(net, x, row=0)
    matrix.wait(60)
    assert "1 of 3 inputs have a zero gradient" in matrix._panel._badges.value
    assert "rank" not in matrix._panel._badges.value, "the zero has been said"
    assert "zero gradient" in matrix._panel._facts.value
    assert "eval mode" in matrix._panel._badges.value and matrix.result.model_digest[:12] in matrix._panel._badges.value


def test_rank_is_said(make):
    matrix = make(network(), images(), output="probabilities")
    matrix.wait(60)
    assert "rank 2, less than d" in matrix._panel._badges.value


# ---- exports, state, closing


def test_exports(matrix, tmp_path):
    matrix.row, matrix.counts = 3, True
    matrix.wait(60)
    matrix.export_data(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as found:
        assert np.array_equal(found["values"], matrix.result.values) and np.array_equal(
            found["order"], matrix.shown_order
        )
        assert np.array_equal(found["hard"], matrix.neighbour_counts.hard)
        assert np.array_equal(found["neighbours"][:, 0], similarity.nearest(matrix.result.values, 1).ids[:, 0])
        assert np.array_equal(found["labels"], labels()) and found["outputs"].shape == (N, CLASSES)
        assert json.loads(str(found["about"]))["settings"]["kernel"] == "trace"
    matrix.export_data(tmp_path / "all.zarr")
    stored = zarr.open_group(tmp_path / "all.zarr", mode="r")
    assert np.array_equal(stored["values"][...], matrix.result.values)
    assert stored.attrs["about"]["widget"] == "SimilarityMatrix"
    with pytest.raises(NetgeomError, match="something at this path"):
        matrix.export_data(tmp_path / "all.zarr")
    matrix.export_data(tmp_path / "inputs.csv")
    with open(tmp_path / "inputs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(range(N))
    nearest = similarity.nearest(matrix.result.values, 10)
    assert [int(rows[3][f"neighbour_{rank}"]) for rank in range(10)] == nearest.ids[3].tolist()
    assert float(rows[3]["similarity_9"]) == pytest.approx(nearest.values[3, 9])
    assert [float(row["soft"]) for row in rows] == pytest.approx(matrix.neighbour_counts.soft.tolist())
    for name in ("page.html", "picture.png", "picture.svg"):
        {"html": matrix.export_html, "png": matrix.export_png, "svg": matrix.export_svg}[name[-4:].strip(".")](
            tmp_path / name
        )
        assert (tmp_path / name).stat().st_size > 10_000


def test_state_makes_the_same_picture(make, matrix):
    matrix.settings = {"order": "by class", "output": 1, "kernel": "cosine", "threshold": 0.7, "parameters": ("3",)}
    matrix.pair, matrix.selection, matrix.view = (4, 7), (1, 2), (0, 10, 5, 15)
    matrix.wait(60)
    state = json.loads(json.dumps(matrix.state()))
    again = ng.SimilarityMatrix.from_state(state, network(), images(), labels())
    again.wait(60)
    try:
        assert (again.pair, again.row, again.selection, again.view) == ((4, 7), 4, (1, 2), (0, 10, 5, 15))
        assert again.settings == matrix.settings
        assert np.array_equal(again.result.values, matrix.result.values)
        assert np.array_equal(again.neighbour_counts.hard, matrix.neighbour_counts.hard)
    finally:
        again.close()


def test_a_store_is_shown_without_computing(make, tmp_path, monkeypatch):
    tiles = similarity.similarity_tiles(network(), images(), tmp_path / "store", tile=16, labels=labels())
    values = tiles.block(range(N), range(N))
    monkeypatch.delattr(similarity, "similarity_matrix")
    matrix = make(None, tmp_path / "store", images=images(), row=3, counts=True, table=True)
    matrix.wait(60)
    assert (matrix.status, matrix.result.path) == ("done", tiles.path)
    assert repr(matrix) == "<SimilarityMatrix done 36 inputs, 1,296 pairs, trace>"
    assert np.array_equal(matrix.shown_order, similarity.seriate(values))
    assert np.array_equal(matrix._figure.matrix.view.image, values[np.ix_(matrix.shown_order, matrix.shown_order)])
    assert np.array_equal(matrix.neighbour_counts.hard, tiles.hard_counts(0.9))
    assert np.allclose(matrix.neighbour_counts.less_soft, tiles.less_soft(2))
    assert "nearest edge of the store" in matrix._counts_line.value
    ids = [i for _, i in matrix._panel._list.options]
    assert ids == tiles.top[0][3, : len(ids)].tolist()
    matrix.order, matrix.pair = "by class", (3, 5)
    matrix.wait(60)
    assert "k = " in matrix._panel._told.value and matrix.status == "done"
    matrix.export_data(tmp_path / "numbers.npz")
    with np.load(tmp_path / "numbers.npz") as found:
        assert "values" not in found and np.array_equal(found["hard"], matrix.neighbour_counts.hard)
    with pytest.raises(NetgeomError, match="shown as it is"):
        make(network(), tmp_path / "store", targets=labels(), loss="mse")


def test_linked_widgets_share_the_selection(make, matrix, tmp_path):
    outputs = np.random.default_rng(0).normal(size=(3, N, CLASSES)).astype(np.float32)
    heat = ng.TransitionHeatMap(ng.record_arrays(tmp_path / "run", range(3), range(N), outputs), live=False)
    try:
        ng.link(heat, matrix)
        matrix.selection = (2, 3)
        assert heat.selection == (2, 3)
        heat.selection = (5,)
        heat.wait(60)
        assert matrix.selection == (5,)
    finally:
        heat.close()
    with pytest.raises(NetgeomError, match="different samples"):
        ng.link(matrix, make(network(1), images()[:5]))


def test_bad_settings_are_said_beside_the_control(matrix):
    matrix._controls["kernel"].widget.value = "cosine"
    assert "of one output" in matrix._controls["kernel"].message and matrix.kernel == "trace"
    matrix._controls["output"].widget.value = 2  # with it the similarity fits, and is taken
    matrix.wait(60)
    assert (matrix.kernel, matrix.output, matrix.status) == ("cosine", 2, "done")
    with pytest.raises(traitlets.TraitError, match="power has a bad value"):
        matrix.power = 7


def test_closing_leaves_nothing(make):
    make(network(), images()).wait(60)
    gc.collect()
    before = threading.active_count(), len(_instances)
    for opened in (True, False, False, False, False):
        matrix = ng.SimilarityMatrix(network(), images(), labels(), row=2, counts=opened, table=opened)
        matrix.wait(60)
        matrix.close()
        matrix.close()
    del matrix
    gc.collect()
    wait_for(lambda: threading.active_count() <= before[0])
    assert len(_instances) == before[1]
