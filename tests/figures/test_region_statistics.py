"""figures/region_statistics.py and figures/stairs.py: bars are counts, captions say what they leave out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from bokeh.models import Legend, Plot

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.region_quantities import QUANTITIES
from netgeom_widgets.figures.region_statistics import (
    Histogram,
    StatisticsFigure,
    histograms,
    layer_counts,
)
from netgeom_widgets.figures.stairs import bin_edges
from netgeom_widgets.figures.static import render
from netgeom_widgets.kernels.regions import Slice, partition
from tests.figures.drawn import caption, validated
from tests.networks import mlp

BOX = Slice.box(-2.0, 2.0, -1.5, 1.5)
FIRST, SECOND = partition(mlp(2, 16, 16, 1), BOX), partition(mlp(2, 8, 8, 1, seed=3), BOX)
KEYS = tuple(quantity.key for quantity in QUANTITIES)
HOSTILE = "$$x$$ </script><b>"


def plots(root) -> list[Plot]:
    return list(root.select({"type": Plot})) if not isinstance(root, Plot) else [root]


def bars(plot: Plot) -> dict:
    return plot.renderers[0].data_source.data


@pytest.mark.parametrize("key", KEYS)
def test_each_bar_is_the_number_of_regions_in_its_bin(key):
    statistics = FIRST.statistics()
    (plot,) = plots(histograms(statistics, quantities=[key]))
    values, shown = getattr(statistics, key), bars(plot)
    last = len(shown["top"]) - 1
    for at, (left, right, top) in enumerate(zip(shown["left"], shown["right"], shown["top"], strict=True)):
        assert top == sum(left <= value < right or (at == last and value == right) for value in values)
    assert sum(shown["top"]) == FIRST.n_regions
    quantity = next(q for q in QUANTITIES if q.key == key)
    assert plot.title.text.lower() == quantity.name and quantity.name in plot.xaxis[0].axis_label
    assert f"{FIRST.n_regions} regions; mean {values.mean():.4g}, median {np.median(values):.4g}." in caption(plot)
    assert quantity.definition in caption(plot)
    widths = np.diff(np.log(np.r_[shown["left"], shown["right"][-1]]) if quantity.log else shown["left"])
    assert np.allclose(widths, widths[0])


def test_units_are_those_of_the_slice():
    oblique = partition(mlp(2, 8, 1), Slice([0.0, 0.0], [2.0, 0.0], [0.0, 1.0], BOX.polygon)).statistics()
    for statistics, area, slope in (
        (FIRST.statistics(), "input units²", "per input unit"),
        (oblique, "(s, t) units²", "per (s, t) unit"),
    ):
        labels = {plot.xaxis[0].axis_label for plot in plots(histograms(statistics))}
        expected = {f"area, {area} (log scale)", f"slope norm, {slope} (log scale)", "sides"}
        assert labels == expected | {"eccentricity (log scale)", "vertex eccentricity (log scale)"}
    with pytest.raises(NetgeomError, match="different units"):
        histograms([FIRST.statistics(), oblique])


def test_several_partitions_are_outlines_in_percent_over_common_bins():
    several = {"one": [FIRST.statistics(), SECOND.statistics()], HOSTILE: SECOND.statistics()}
    (plot,) = plots(histograms(several, quantities=["sides"]))
    assert not len(bars(plot)["top"])
    lines = [r for r in plot.renderers if type(r.glyph).__name__ == "Line"]
    pooled = np.concatenate([FIRST.statistics().sides, SECOND.statistics().sides])
    for line, sides in zip(lines, (pooled, SECOND.statistics().sides), strict=True):
        x, y = np.asarray(line.data_source.data["x"]), np.asarray(line.data_source.data["y"])
        for side in range(3, int(pooled.max()) + 1):
            height = y[np.flatnonzero(x == side - 0.5)[-1]]
            assert math.isclose(height, 100 * np.mean(sides == side))
    assert len({line.glyph.line_color for line in lines}) == len({str(line.glyph.line_dash) for line in lines}) == 2
    (legend,) = plot.select({"type": Legend})
    assert legend.visible and legend.items[0].label.value == "one"
    assert f"one: {len(pooled):,} regions; mean" in caption(plot) and "$$" not in caption(plot)
    page = to_html(plot)
    assert "</script><b>" not in page


def test_what_has_no_place_is_counted_in_words():
    statistics = FIRST.statistics()
    slope, eccentricity = statistics.slope_norm.copy(), statistics.eccentricity.copy()
    slope[:3], eccentricity[0], eccentricity[1:3] = 0.0, np.nan, np.inf
    odd = dataclasses.replace(statistics, slope_norm=slope, eccentricity=eccentricity)
    for key, words in (
        ("slope_norm", "3 zero or below, which a log scale lacks"),
        ("eccentricity", "2 infinite, 1 undefined"),
    ):
        (plot,) = plots(histograms(odd, quantities=[key]))
        assert words in caption(plot) and sum(bars(plot)["top"]) == FIRST.n_regions - 3
    nothing = dataclasses.replace(statistics, slope_norm=np.zeros_like(slope))
    (plot,) = plots(histograms(nothing, quantities=["slope_norm"]))
    assert not len(bars(plot)["top"]) and f"{FIRST.n_regions} zero or below" in caption(plot)
    assert render(plot, "png")


def test_a_region_is_marked_where_it_stands():
    statistics = FIRST.statistics()
    figure = StatisticsFigure()
    figure.draw(statistics)
    figure.mark(7, statistics)
    for part in figure.histograms:
        value = float(getattr(statistics, part.quantity.key)[7])
        mark = part.root.center[-1]
        assert mark.visible and mark.location == value and f", picked {value:.4g}" in part.root.title.text
    figure.mark(None)
    assert not any(part.root.center[-1].visible for part in figure.histograms)
    figure.histograms[0].mark(math.inf)
    assert not figure.histograms[0].root.center[-1].visible and "infinite" in figure.histograms[0].root.title.text


def test_edges_cover_the_values():
    for values in (np.array([3.0]), np.array([5.0, 5.0]), np.array([1e-17, 1.0]), np.arange(1.0, 900.0)):
        for how in ({"log": True}, {}, {"whole": True}):
            if how.get("whole") and values.min() < 1:
                continue
            edges = bin_edges(values, **how)
            assert (np.diff(edges) > 0).all() and edges[0] <= values.min() and values.max() <= edges[-1]
            assert 2 <= len(edges) <= 42
    assert len(bin_edges(np.empty(0))) == 0
    assert len(bin_edges(np.arange(1.0, 9.0), bins=3)) == 4


def test_counts_per_layer():
    plot = layer_counts(FIRST.region_counts, FIRST.ops)
    assert tuple(bars(plot)["top"]) == FIRST.region_counts
    assert caption(plot) == f"{FIRST.n_regions} regions in the end."
    deeper = layer_counts({"two": FIRST.region_counts, "three": (*SECOND.region_counts, 400)})
    lines = [r for r in deeper.renderers if type(r.glyph).__name__ == "Line"]
    assert np.isnan(lines[0].data_source.data["y"]).any() and not np.isnan(lines[1].data_source.data["y"]).any()
    assert render(deeper, "svg")
    assert render(layer_counts(()), "png"), "a linear network has no layers"


def test_everything_is_valid_exported_and_drawn_again_with_fewer_series():
    figure = StatisticsFigure()
    figure.draw({"a": FIRST.statistics(), "b": SECOND.statistics()})
    figure.layers.draw({"a": FIRST.region_counts})
    validated(figure.root)
    assert render(figure.root, "png", width=900)[:4] == b"\x89PNG"
    figure.draw(SECOND.statistics())
    for part in figure.histograms:
        assert sum(bars(part.root)["top"]) == SECOND.n_regions
        assert not any(r.visible for r in part.root.renderers if type(r.glyph).__name__ == "Line")


@pytest.mark.parametrize(
    "wrong",
    [{}, {"a": []}, "statistics", [1, 2], {str(i): FIRST.statistics() for i in range(13)}],
    ids=["none", "empty", "text", "numbers", "many"],
)
def test_what_are_no_statistics_is_refused(wrong):
    with pytest.raises(NetgeomError):
        histograms(wrong)


def test_other_refusals():
    for quantities in (["mood"], []):
        with pytest.raises(NetgeomError, match="no such quantity"):
            histograms(FIRST.statistics(), quantities=quantities)
    with pytest.raises(NetgeomError, match="does not fit"):
        Histogram(QUANTITIES[0])._plot.draw(np.arange(3), {"a": np.ones(3)}, title="", labels=("", ""), noun="")
