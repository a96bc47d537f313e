"""The README's explorer with data and another network is run as it stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import netgeom_widgets as ng
from tests.networks import mlp

README = Path(__file__).parents[1] / "README.md"


def test_an_explorer_with_data_and_another_network():
    code = README.read_text().split("<!-- test: with data -->")[1].split("```python\n")[1].split("```")[0]
    X, y = ng.datasets.digits()
    nets = [torch.nn.Sequential(torch.nn.Flatten(), mlp(64, 8, 10, seed=seed)) for seed in range(2)]
    names = {"ng": ng, "X": X, "y": y, "net": nets[0], "other_net": nets[1]}
    exec(code, names)  # noqa: S102 - the README's own code
    explorer = names["explorer"]
    explorer.wait(60)
    assert explorer.boundary_samples.shape == (8, 1, 8, 8)
    assert explorer.result.n_regions > 1 and explorer.against_result.n_regions > 1
    _, distance = explorer.domain.to_slice(X[[3, 14, 15]])
    assert distance.max() > 1e-3 and np.isclose(explorer.domain.area, 4 * explorer.start.area)  # tilted, twice as large
    assert explorer.start.to_slice(X[[3, 14, 15]])[1].max() < 1e-12
    explorer.close()
