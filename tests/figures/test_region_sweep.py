"""figures/region_sweep.py: medians and quartiles of draws over what is swept."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.models import Legend

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_sweep import distributions, sweep
from netgeom_widgets.figures.static import render
from netgeom_widgets.kernels.regions import Slice, partition
from tests.networks import mlp

BOX = Slice.box(-2.0, 2.0, -1.5, 1.5)
DRAWS = [[partition(mlp(2, width, 1, seed=seed), BOX).statistics() for seed in range(3)] for width in (4, 8)]


def test_medians_and_quartiles_of_the_draws():
    row = sweep([4, 8], {"depth 1": DRAWS}, label="width")
    assert [plot.title.text for plot in row.children] == ["Regions", "Mean area of a region", "Mean eccentricity"]
    for plot, key in zip(row.children, ("count", "area_mean", "eccentricity_mean"), strict=True):
        data = plot.renderers[0].data_source.data
        numbers = np.array([[one.summary[key] for one in at] for at in DRAWS])
        np.testing.assert_allclose(data["y"], np.median(numbers, axis=1))
        np.testing.assert_allclose(data["low"], np.quantile(numbers, 0.25, axis=1))
        assert plot.xaxis[0].axis_label == "width" and plot.xaxis[0].ticker.ticks == [4, 8]
        assert plot.y_range.start < min(data["low"]) and plot.y_range.end > max(data["high"])
        assert not plot.select({"type": Legend})
    assert row.children[1].yaxis[0].axis_label == "input units² (log scale)"
    assert render(row, "png", width=900).startswith(b"\x89PNG")


def test_several_series_have_a_legend():
    row = sweep([4, 8], {"a": DRAWS, "b": DRAWS[::-1]}, label="width")
    (legend,) = row.children[0].select({"type": Legend})
    assert [item.label["value"] for item in legend.items] == ["a", "b"]


@pytest.mark.parametrize(
    ("x", "series", "match"),
    [
        ([8, 4], {"a": DRAWS}, "positive numbers, increasing"),
        ([4], {"a": DRAWS}, "does not fit x"),
        ([4, 8], {}, "series"),
    ],
)
def test_what_does_not_fit_is_refused(x, series, match):
    with pytest.raises(NetgeomError, match=match):
        sweep(x, series, label="width")


def test_distributions_over_slices_share_their_bins():
    row = distributions({"narrow": DRAWS[0], "wide": DRAWS[1]}, bins=4)
    for plot, key in zip(row.children, ("count", "area_mean", "eccentricity_mean"), strict=True):
        lines = [one.data_source.data for one in plot.renderers if type(one.glyph).__name__ == "Line"]
        for line, draws in zip(lines, DRAWS, strict=True):
            edges = np.unique(line["x"])
            numbers = [one.summary[key] for one in draws]
            assert len(edges) == 5 and edges[0] <= min(numbers) and max(numbers) <= edges[-1]
            heights = np.asarray(line["y"])[1:-1:2]
            np.testing.assert_array_equal(heights, np.histogram(numbers, edges)[0])
    assert row.children[0].title.text == "Regions" and row.children[0].yaxis[0].axis_label == "slices"
    assert render(row, "png", width=900).startswith(b"\x89PNG")
    with pytest.raises(NetgeomError, match="empty"):
        distributions({"narrow": []})
