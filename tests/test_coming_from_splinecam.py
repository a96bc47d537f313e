"""The README's way from SplineCam to here is run as it stands; what its table names exists and does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

import netgeom_widgets as ng
from netgeom_widgets.kernels import regions
from tests.networks import mlp

README = Path(__file__).parents[1] / "README.md"
SECTION = README.read_text().split("## Coming from SplineCam")[1].split("\n## ")[0]


def test_the_whole_way(monkeypatch):
    center, u, v = ng.datasets.gaussian(3, 10, seed=1)
    v = v - (u @ v) / (u @ u) * u
    sides = np.stack([u / np.linalg.norm(u), v / np.linalg.norm(v)])
    domain = center + 2 * np.concatenate([sides, -sides, sides[:1]])  # a diamond, closed, as theirs are
    net = mlp(10, 8, 8, 3)
    made = []
    explorer = ng.RegionExplorer
    monkeypatch.setattr(ng, "RegionExplorer", lambda *a: made.append(explorer(*a)) or made[0])
    names = {"ng": ng, "domain": domain, "model": net}
    exec(SECTION.split("```python\n")[1].split("```")[0], names)  # noqa: S102 - the README's own code
    partition, polygons = names["partition"], names["polygons"]
    assert np.isclose(partition.areas.sum(), 8) and len(polygons) == partition.n_regions > 5
    np.testing.assert_allclose(names["plane"].to_input(names["plane"].polygon[[0]])[0], domain[0], atol=1e-12)
    points = torch.tensor(names["plane"].to_input(partition.sample_boundary(20)), dtype=torch.float32)
    first, second = net(points).topk(2).values.T
    assert len(names["db_edges"]) and (first - second).abs().max() < 1e-5
    made[0].wait(30)
    assert made[0].result.n_regions == partition.n_regions
    made[0].close()


def test_what_the_table_names_is_there():
    partition = regions.partition(mlp(2, 6, 6, 1), ng.Slice.box(-1, 1, -1, 1))
    owners = {
        "partition": partition,
        "regions": regions,
        "plane": partition.domain,
        "boundary": partition.decision_boundary(),
    }
    named = re.findall(r"\b(partition|regions|plane|boundary)\.([a-z]\w*)", SECTION)
    assert len(named) > 15
    for owner, name in named:
        assert hasattr(owners[owner], name), f"{owner}.{name}"
    for name in re.findall(r"ng\.Slice\.(\w+)", SECTION):
        assert hasattr(ng.Slice, name)
    (colours,) = (line for line in SECTION.splitlines() if "plot.plot_partition(" in line)
    for choice in re.findall('"(.*?)"', colours):
        assert choice in ng.RegionExplorer.class_traits()["color_by"].values
    statistics = partition.statistics()
    (line,) = (line for line in SECTION.splitlines() if "utils.get_region_statistics" in line)
    found = re.findall(r"`(\w+)`", line.split("|")[2])
    assert len(found) == 5 and set(found) <= set(statistics.summary)
    assert {"area", "vertex_eccentricity", "eccentricity", "sides", "slope_norm"} <= set(vars(statistics))
    for link in re.findall(r"\]\((notebooks/.*?)\)", SECTION):
        assert (README.parent / link).exists()


def test_slices_of_anchors():
    """Their slices: the plane through the mean along two anchors, a square on its corner."""
    a, b, c = ng.datasets.gaussian(3, 5, seed=2)
    second = b - (a @ b) / (a @ a) * a
    directions = np.stack([a / np.linalg.norm(a), second / np.linalg.norm(second)])
    mean = (a + b + c) / 3
    ours = ng.Slice.around((a + b + c) / 3, a, b, 1.0)
    assert ours.to_slice(np.concatenate([mean + directions, mean - directions]))[1].max() < 1e-12
    assert ours.to_slice(np.stack([a, b, c]))[1].max() > 0.1  # the anchors are not in it; here they are:
    assert ng.Slice.through(a, b, c).to_slice(np.stack([a, b, c]))[1].max() < 1e-12
    assert np.isclose(ng.Slice.around(a, b, c, 2 / 2**0.5).area, 8)  # theirs with pad_dist=2: diagonals of 4


def test_a_random_hull_is_a_polygon():
    points = np.random.default_rng(10).random((30, 2))
    plane = ng.Slice.box(0, 1, 0, 1).with_polygon(points[ConvexHull(points).vertices])
    assert plane.area == pytest.approx(ConvexHull(points).volume)
