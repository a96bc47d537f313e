"""figures/region_training.py: one plot per number, a gap where a step is not computed."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.models import Plot

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_training import MEASURES, TrainingFigure, curves, training_row
from netgeom_widgets.figures.static import render
from netgeom_widgets.kernels.regions import Slice, partition
from tests.figures.drawn import tap
from tests.networks import mlp

BOX = Slice.box(-2.0, 2.0, -1.5, 1.5)
PARTS = [partition(mlp(2, 8, 8, 1, seed=seed), BOX) for seed in range(3)]
STEPS = [0, 10, 50, 200]
ROWS = [training_row(PARTS[0]), None, training_row(PARTS[1]), training_row(PARTS[2])]


def shown(root) -> dict[str, Plot]:
    return {plot.title.text: plot for plot in root.children if plot.visible}


def column(plot: Plot) -> np.ndarray:
    return np.asarray(plot.renderers[0].data_source.data["y"], dtype=float)


def test_a_row_holds_the_numbers_of_a_partition():
    row = training_row(PARTS[0], local_complexity=3.5)
    assert row["regions"] == PARTS[0].n_regions and row["local_complexity"] == 3.5
    assert np.isclose(row["mean_area"], 12.0 / PARTS[0].n_regions)
    assert row["boundary_length"] == PARTS[0].decision_boundary().length
    assert "local_complexity" not in training_row(PARTS[0])


def test_each_number_has_its_plot_and_steps_not_computed_are_gaps():
    plots = shown(curves(STEPS, ROWS, current=50))
    assert list(plots) == [measure.name for measure in MEASURES[:3]]
    for measure, plot in zip(MEASURES, plots.values(), strict=False):
        expected = [np.nan if row is None else row[measure.key] for row in ROWS]
        assert np.array_equal(column(plot), expected, equal_nan=True)
        assert plot.renderers[0].data_source.data["step"] == ["0", "10", "50", "200"]
        assert plot.yaxis[0].axis_label == measure.units[0]
        mark = plot.center[-1]
        assert mark.visible and mark.location == 2.0
    assert [plot.xaxis.visible for plot in plots.values()] == [False, False, True]
    assert plots["Regions, exact"].xaxis[0].axis_label == "step (dashed line: 50)"


def test_sampled_numbers_are_named_so_and_units_follow_the_slice():
    rows = [None, None, {**ROWS[2], "local_complexity": 2.0}, None]
    plots = shown(curves(STEPS, rows, metric=False))
    assert list(plots)[-1] == "Local complexity, sampled"
    assert np.array_equal(column(plots["Local complexity, sampled"]), [np.nan, np.nan, 2.0, np.nan], equal_nan=True)
    assert plots["Mean area of a region, exact"].yaxis[0].axis_label == "(s, t) units²"
    assert not plots["Regions, exact"].center[-1].visible
    nothing = curves(STEPS, [None] * 4)
    assert list(shown(nothing)) == ["Regions, exact"]
    assert render(nothing, "png")[:4] == b"\x89PNG"


def test_a_tap_names_the_nearest_step():
    figure, seen = TrainingFigure(), []
    figure.on_step(seen.append)
    figure.draw(STEPS, ROWS)
    plot = figure.root.children[1]
    for x in (-3.0, 0.4, 2.6, 9.0):
        tap(plot, x, 0.0)
    assert seen == [0, 0, 200, 200]


def test_what_does_not_fit_is_refused():
    with pytest.raises(NetgeomError, match="belong together"):
        curves(STEPS, ROWS[:2])
    with pytest.raises(NetgeomError, match="no such measure"):
        curves(STEPS, [{"mood": 1.0}, None, None, None])
