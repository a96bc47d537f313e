"""figures/boundary_samples.py and figures/region_table.py: marks, inputs and rows are those of the partition."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.models import DataTable

from netgeom_widgets.figures.boundary_samples import BoundaryInputs, BoundaryMarks
from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.plots import make_plot
from netgeom_widgets.figures.region_table import RegionTable, summary_html
from netgeom_widgets.figures.static import render
from netgeom_widgets.kernels.regions import Slice, partition
from tests.networks import mlp

FOUND = partition(mlp(2, 8, 8, 1), Slice.box(-2.0, 2.0, -1.5, 1.5))


@pytest.mark.parametrize(
    ("shape", "image"),
    [((28, 28), True), ((1, 8, 8), True), ((3, 32, 16), True), ((2, 8, 8), False), ((784,), False), ((3, 1), False)],
)
def test_which_inputs_are_images(shape, image):
    assert BoundaryInputs(shape).is_image is image
    assert isinstance(BoundaryInputs(shape).root, DataTable) is not image


def test_marks_are_numbered_while_they_are_few():
    plot = make_plot(200)
    marks = BoundaryMarks(plot)
    points = np.random.default_rng(0).random((100, 2))
    marks.set(points)
    data = plot.renderers[0].data_source.data
    assert np.array_equal(np.column_stack([data["x"], data["y"]]), points)
    assert data["name"] == [str(at) for at in range(1, 101)] and plot.below[-1].visible
    marks.set(np.zeros((101, 2)))
    assert set(plot.renderers[0].data_source.data["name"]) == {""}
    marks.set(np.empty((0, 2)))
    assert not plot.below[-1].visible


@pytest.mark.parametrize("shape", [(8, 6), (1, 8, 6), (3, 8, 6)])
def test_image_inputs_are_shown_as_they_are(shape):
    images = np.random.default_rng(0).random((70, *shape))
    images[0], images[1] = 0.0, 1.0
    part = BoundaryInputs(shape)
    part.draw(np.zeros((70, 2)), images)
    assert part.note == "70 samples, the first 64 as pictures."
    data = part.root.renderers[0].data_source.data
    assert len(data["image"]) == 64 and data["name"][:2] == ["1", "2"]
    rgba = [tile.view(np.uint8).reshape(8, 6, 4) for tile in data["image"]]
    assert (rgba[0][..., :3] == 0).all() and (rgba[1] == 255).all()
    expected = np.rint(255 * np.moveaxis(images[5].reshape(-1, 8, 6), 0, 2))
    assert np.array_equal(rgba[5][..., :3], np.broadcast_to(expected, (8, 6, 3)))
    assert "Black is 0, white 1." in part.root.below[-1].text.replace("\n", " ")
    assert render(part.root, "png")[:4] == b"\x89PNG"
    part.draw(np.empty((0, 2)), np.empty((0, *shape)))
    assert part.note == "There is no decision boundary in this slice."


def test_other_inputs_are_rows_of_values():
    inputs = np.random.default_rng(0).random((5, 2, 3, 5))
    part = BoundaryInputs((2, 3, 5))
    points = np.arange(10.0).reshape(5, 2)
    part.draw(points, inputs)
    assert part.note == "5 samples. The first 24 of 30 values."
    data = part.root.source.data
    assert np.array_equal(data["sample"], [1, 2, 3, 4, 5]) and np.array_equal(data["t"], points[:, 1])
    assert np.array_equal(data["x23"], inputs.reshape(5, 30)[:, 23]) and "x24" not in data


def test_a_row_is_a_region():
    table, statistics = RegionTable(), FOUND.statistics()
    held = np.arange(FOUND.n_regions)
    table.draw(FOUND, statistics, held)
    data = table.root.source.data
    for key in ("area", "slope_norm", "sides", "eccentricity", "vertex_eccentricity"):
        assert np.array_equal(data[key], getattr(statistics, key))
    assert np.array_equal(data["class"], FOUND.classes) and np.array_equal(data["layer"], FOUND.births + 1)
    assert np.array_equal(data["samples"], held) and table.root.columns[-1].visible
    assert {column.field for column in table.root.columns} == set(data)
    table.draw(FOUND, statistics)
    assert not table.root.columns[-1].visible
    assert "bokeh-tables" in to_html(table.root) or "DataTable" in to_html(table.root)


def test_rows_are_picked_by_the_user_and_by_python():
    table, seen = RegionTable(), []
    table.on_region(seen.append)
    table.draw(FOUND, FOUND.statistics())
    table.mark(4)
    assert table.root.source.selected.indices == [4] and not seen
    table.root.source.selected.indices = [7]
    table.root.source.selected.indices = [7, 2]  # with Ctrl held the one added counts
    assert seen == [7, 2]
    table.draw(FOUND, FOUND.statistics())
    table.mark(None)
    table.mark(10**9)
    assert table.root.source.selected.indices == [] and seen == [7, 2]


def test_the_summary_has_the_numbers_of_the_kernel():
    statistics = FOUND.statistics()
    html = summary_html(FOUND, statistics)
    for value in (statistics.summary["area_mean"], statistics.summary["slope_norm_std"]):
        assert f"<td>{value:.4g}</td>".replace("-", "\N{MINUS SIGN}") in html
    assert f"<td>{FOUND.n_regions}</td>" in html and f"{FOUND.decision_boundary().length:.4g} input units" in html
