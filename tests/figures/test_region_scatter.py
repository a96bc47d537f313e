"""The scatter of samples to lay a plane through, and the figure that goes to another slice."""

from __future__ import annotations

import numpy as np

from netgeom_widgets.figures import static
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_scatter import SampleScatter
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.regions import RegionFigure, RegionStyle
from netgeom_widgets.figures.theme import PICKED
from netgeom_widgets.kernels.regions import Slice, partition
from tests.networks import mlp

RNG = np.random.default_rng(0)


def test_anchors_are_ringed_and_numbered_and_labels_named() -> None:
    points = RNG.normal(size=(20, 2))
    scatter = SampleScatter(points, (0.5, 0.25), [f"<{i % 3}>" for i in range(20)])
    scatter.mark((4, 2, 9), (7,))
    marks = scatter._anchors.data
    assert marks["name"] == ["1", "2", "3"] and np.array_equal(marks["x"], points[[4, 2, 9], 0])
    shown = scatter._marks.source.data
    assert [i for i, edge in zip(shown["id"], shown["edge"], strict=True) if edge == PICKED] == [7]
    assert scatter.root.xaxis.axis_label == "principal component 1 (50% of the variance)"
    assert scatter.root.yaxis.axis_label == "principal component 2 (25% of the variance)"
    picture = static.render(scatter.root, "svg").decode()
    assert len(picture) > 5000
    scatter.mark((), ())
    assert scatter._anchors.data["name"] == []


def test_a_figure_goes_to_a_slice_of_another_size_and_back() -> None:
    model, small = mlp(3, 5, 1), Slice.around([0, 0, 0], [1, 0, 0], [0, 1, 0], 1.0)
    long = small.with_polygon([[0, 0], [20, 0], [20, 1], [0, 1]])
    data = RNG.normal(size=(9, 3))
    samples = SliceSamples(*small.to_slice(data), labels=np.arange(9) % 2)
    figure = RegionFigure(small, samples)
    plot = figure.root
    for domain, square in ((long, False), (small, True)):
        moved = samples.moved(*domain.to_slice(data), 0.5)
        figure.move(domain, moved)
        found = partition(model, domain)
        figure.draw(RegionScene.of(found), RegionStyle())
        (left, low), (right, high) = domain.polygon.min(0), domain.polygon.max(0)
        assert plot.x_range.reset_start == plot.x_range.start < left < right < plot.x_range.end
        assert plot.y_range.start < low < high < plot.y_range.end and plot.tags == [left, right, low, high]
        assert plot.match_aspect is square and len(figure.canvas.regions.data["xs"]) == found.n_regions
        assert sorted(figure.canvas._samples.data["x"]) == sorted(moved.points[:, 0])
        assert moved.looks is samples.looks and figure.home.width == right - left
