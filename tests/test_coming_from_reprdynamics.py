"""The README's way from ReprDynamics to here is run as it stands, and gives what the notebook and the kernels say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import torch

import netgeom_widgets as ng
from netgeom_widgets.kernels import transitions
from tests.networks import mlp

README = Path(__file__).parents[1] / "README.md"
MARK = "<!-- test: coming from ReprDynamics -->"


def code_after(mark: str) -> str:
    return README.read_text().split(mark)[1].split("```python\n")[1].split("```")[0]


def test_the_whole_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, X = mlp(6, 8, 5), torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    batches = [(range(start, start + 10), X[start : start + 10], None) for start in range(0, 40, 10)]
    chosen = list(range(5, 30))
    made = []
    heat_map = ng.TransitionHeatMap
    monkeypatch.setattr(ng, "TransitionHeatMap", lambda *a, **k: made.append(heat_map(*a, **k)))
    names = {"ng": ng, "net": net, "X": X, "batches": batches, "num_epochs": 10, "num_snapshots": 3, "chosen": chosen}
    exec(code_after(MARK), names)  # noqa: S102 - the README's own code
    recording, neighbours, distance = (names[name] for name in ("recording", "neighbours", "distance"))
    assert recording.steps.tolist() == [0, 3, 6, 9] and recording.outputs.shape == (4, 40, 5)
    assert neighbours.ids.shape == (4, 25, 15)
    within = [snapshot[chosen] for snapshot in np.asarray(recording.outputs)]
    np.testing.assert_allclose(distance, transitions.reprdynamics_distance(within, 4), atol=1e-9)
    (heat,) = made
    heat.wait(30)
    np.testing.assert_allclose(heat.matrix, distance, atol=1e-9)
    heat.close()


def test_the_lines_of_the_table(tmp_path):
    """What the table names exists and takes what the table gives it."""
    text = README.read_text().split("## Coming from ReprDynamics")[1].split("\n## ")[0]
    for name in set(re.findall(r"transitions\.(\w+)", text)):
        assert hasattr(transitions, name), name
    for name in set(re.findall(r"`(?:transitions\.)?(\w+)\(", text)) - {"store_batch", "compute_neighbours"}:
        known = (transitions, ng, ng.Recorder)
        assert name in {"distance_matrix"} or any(hasattr(owner, name) for owner in known), name
    snapshots = np.random.default_rng(0).normal(size=(4, 20, 3))
    recording = ng.record_arrays(tmp_path, range(4), None, json.loads(json.dumps(snapshots.tolist())))
    np.testing.assert_allclose(recording.outputs, snapshots, rtol=1e-6)
    neighbours = transitions.nearest_neighbours(recording.outputs, 5)
    neighbours.save(tmp_path / "neighbours.npz")
    assert np.array_equal(transitions.Neighbours.load(tmp_path / "neighbours.npz").ids, neighbours.ids)
    changes = transitions.neighbour_changes(neighbours, 3, 0, 2)
    assert changes.kept.sum() + (~changes.kept).sum() == 5
