"""The README's way from DOODL3 to here is run as it stands; what its table names exists and agrees."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from torch import nn

import netgeom_widgets as ng
from netgeom_widgets import figures
from netgeom_widgets.kernels import order_retraction

README = Path(__file__).parents[1] / "README.md"
SECTION = README.read_text().split("## Coming from DOODL3")[1].split("\n## ")[0]
USE = README.read_text().split("<!-- test: order retraction -->")[1].split("```python\n")[1].split("```")[0]


def softmax_layer() -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 3))
    nn.init.uniform_(net[0].weight, -2, 2)
    return net


@pytest.fixture
def widgets(monkeypatch):
    """Those that a piece of the README makes; closed afterwards."""
    made, widget = [], ng.OrderRetractionPlot
    monkeypatch.setattr(ng, "OrderRetractionPlot", lambda *a, **k: made.append(widget(*a, **k)) or made[-1])
    yield made
    for one in made:
        one.close()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # theirs ends at a bound
def test_the_whole_way(tmp_path, monkeypatch, widgets):
    monkeypatch.chdir(tmp_path)
    X, y = ng.datasets.blobs(20, centers=3, seed=1)
    code = SECTION.split("```python\n")[1].split("```")[0]
    for theirs, small in (('"runs": 100, "epochs": 450', '"runs": 12, "lr": 0.1, "epochs": 6'), (", 15)", ", 8)")):
        code = code.replace(theirs, small)
    names = {"ng": ng, "make_model": softmax_layer, "X": X / 10, "y": y}
    exec(code, names)  # noqa: S102 - the README's own code
    runs, pairs = names["runs"], names["pairs"]
    assert runs.steps.tolist() == [0, 2, 6] and runs.values.shape == (12, 3, 9)
    weights = runs.values[:, :, :6]
    chosen = np.argsort(weights[:, -1].std(0))[-2:]  # ascending: the larger one is the second axis
    np.testing.assert_array_equal(pairs.starts, weights[:, 1, chosen])
    np.testing.assert_array_equal(pairs.ends, weights[:, 2, chosen])
    process = GaussianProcessRegressor(RBF(0.5, (0.01, 2)) + WhiteKernel()).fit(pairs.starts, pairs.ends)
    np.testing.assert_allclose(names["f"](pairs.starts), process.predict(pairs.starts), atol=1e-2)
    np.testing.assert_array_equal(names["grid"].lower, np.minimum(pairs.starts, pairs.ends).min(0) - 0.5)
    retraction = names["retraction"]
    assert retraction.node.shape == (256,) and names["tile_of_start"].shape == (12,)
    (plot,) = widgets
    plot.wait(60)
    assert plot.trajectories.values.shape[0] == 12


def test_the_usage(tmp_path, monkeypatch, widgets):
    monkeypatch.chdir(tmp_path)
    X, y = ng.datasets.blobs(20, centers=3, seed=1)
    options = {"runs": 8, "epochs": 9, "lr": 0.1, "loss": "cross_entropy", "record": "runs.zarr"}
    ng.training.train_runs(softmax_layer, X / 10, y, **options)
    names = {"ng": ng, "np": np}
    exec(USE, names)  # noqa: S102 - the README's own code
    for widget in widgets:
        widget.wait(60)
    assert len(widgets) == 2 and names["exact"].result.node.size == 2**16
    points = torch.rand(5, 2, generator=torch.Generator().manual_seed(0)).numpy()
    assert names["leslie"](points).shape == (5, 2)


def test_what_the_table_names_is_there():
    table = [line for line in SECTION.splitlines() if line.startswith("| ")]
    ours = "".join(line.split("|")[2] for line in table)
    for module, name in re.findall(r"`figures\.(\w+)\.(\w+)\(", SECTION):
        __import__(f"netgeom_widgets.figures.{module}")
        assert hasattr(getattr(figures, module), name), name
    calls = set(re.findall(r"`([A-Za-z_]+)\(", ours))
    assert len(calls) >= 12
    for name in calls:
        assert hasattr(order_retraction, name), name
    for name in re.findall(r"\bng\.([A-Za-z_]\w*)", SECTION):
        assert hasattr(ng, name), name
    morse = order_retraction.morse_decomposition_of_graph(np.array([0, 1, 2]), np.array([1, 0]))
    for name in re.findall(r"\bmorse\.(\w+)", ours):
        assert hasattr(morse, name), name
    for name in re.findall(r"`\.(\w+)`", ours):
        owners = (morse, order_retraction.order_retraction(morse), order_retraction.FittedMap)
        known = {key for owner in owners for key in (*dir(owner), *getattr(owner, "__annotations__", ()))}
        assert name in known | {"shape"}, name
    for link in re.findall(r"\]\((notebooks/.*?)\)", SECTION):
        assert (README.parent / link).exists(), link
