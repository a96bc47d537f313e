"""The benchmarks run, and what they compare is the same thing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice, partition
from tests.benchmarks import neuron_by_neuron
from tests.kernels.checks import assert_jacobians, polygon_area, values_and_jacobians
from tests.kernels.test_regions_degenerate import EXACT, SQUARE


def arrays(model):
    linears = [module for module in model if isinstance(module, nn.Linear)]
    zeros = [torch.zeros(linear.out_features, dtype=torch.float64) for linear in linears]
    return (
        [linear.weight.detach().double().numpy() for linear in linears],
        [
            (b if linear.bias is None else linear.bias.detach().double()).numpy()
            for linear, b in zip(linears, zeros, strict=True)
        ],
    )


@pytest.fixture(scope="module")
def wide():
    """2-64^4-1, default initialisation: 7920 regions, as many units as regions need to be counted wrongly."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(2, 64), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 1)).double()


def test_regions_benchmark_runs(tmp_path):
    script = Path(__file__).with_name("regions.py")
    rows = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--json", str(rows)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(rows.read_text())
    assert row["regions"] == 7920 and row["net"] in done.stdout


def test_transitions_benchmark_runs(tmp_path):
    script = Path(__file__).with_name("transitions.py")
    rows = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--json", str(rows)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr  # it compares what both sides found
    cases = [row["case"] for row in json.loads(rows.read_text())]
    assert cases[0] == "search 2000 x 64" and all(case in done.stdout for case in cases)


def test_the_similarity_benchmark_runs(tmp_path):
    rows = tmp_path / "rows.json"
    command = [sys.executable, "tests/benchmarks/similarity.py", "--quick", "--json", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it compares what both sides found
    found = json.loads(rows.read_text())
    assert [row["case"] for row in found[:3]] == ["MLP n=60 matrix"] * 2 + ["CNN n=20 matrix"]
    assert all(row["case"] in done.stdout for row in found) and found[-1]["kernel_error"] < 2e-6


def test_the_order_retraction_benchmark_runs(tmp_path):
    rows = tmp_path / "rows.json"
    command = [sys.executable, "tests/benchmarks/order_retraction.py", "--quick", "--json", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it compares what both sides found
    found = json.loads(rows.read_text())
    assert found[0]["case"] == "Leslie 2^12" and all(row["case"] in done.stdout for row in found)


def test_the_equivalence_benchmark_runs(tmp_path):
    rows = tmp_path / "rows.json"
    command = [sys.executable, "tests/benchmarks/equivalence.py", "--quick", "--json", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it compares what both sides found
    found = json.loads(rows.read_text())
    assert found[0]["case"] == "slice 1-2-1 21x21" and all(row["case"] in done.stdout for row in found)


def test_the_recording_benchmark_runs(tmp_path):
    rows = tmp_path / "rows.json"
    command = [sys.executable, "tests/benchmarks/recording.py", "--quick", "--json", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it compares the weights of the two runs
    assert [row["batches"] for row in json.loads(rows.read_text())] == ["permuted", "DataLoader"]
    assert all(row["over_raw"] < 1.1 for row in json.loads(rows.read_text()))


def test_the_training_benchmark_runs(tmp_path):
    rows = tmp_path / "rows.json"
    command = [sys.executable, "tests/benchmarks/training.py", "--quick", "--json", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it compares what both ways end with
    assert json.loads(rows.read_text())[0]["runs"] == 10


def test_kernel_and_numpy_twin_find_the_same_wide_complex(wide):
    found = partition(wide, Slice.box(-1, 1, -1, 1))
    plain = neuron_by_neuron.partition(*arrays(wide), [[-1, -1], [1, -1], [1, 1], [-1, 1]])
    grown = neuron_by_neuron.partition(*arrays(wide), [[-1, -1], [1, -1], [1, 1], [-1, 1]], in_place=True)
    assert plain.points.tobytes() == grown.points.tobytes() and plain.rings.tobytes() == grown.rings.tobytes()
    assert list(found.region_counts) == plain.counts == [756, 2943, 6668, 7920]
    assert (len(found.vertices), len(found.edges)) == (len(plain.points), len(plain.edges))
    corners = np.split(plain.points[plain.rings], plain.offsets[1:-1])
    areas = [polygon_area(corner) for corner in corners]
    np.testing.assert_allclose(np.sort(found.areas), np.sort(areas), rtol=1e-6, atol=1e-15)
    assert_jacobians(found, wide)


def test_values_at_all_vertices_of_the_wide_complex(wide):
    found = partition(wide, Slice.box(-1, 1, -1, 1))
    expected, _ = values_and_jacobians(wide, found.domain, found.vertices)
    np.testing.assert_allclose(found.outputs, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("kind", EXACT)
def test_numpy_twin_on_degenerate_nets(kind):
    """The yardstick is right too: it agrees with the kernel where lines are concurrent or coincide."""
    model = EXACT[kind]()
    twin = neuron_by_neuron.partition(*arrays(model), SQUARE)
    found = partition(model, Slice(np.zeros(2), [1, 0], [0, 1], SQUARE))
    assert twin.counts == list(found.region_counts)
    assert (len(twin.points), len(twin.edges)) == (len(found.vertices), len(found.edges))
