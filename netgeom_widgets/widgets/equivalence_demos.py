"""Examples to begin with: a network whose class is known in closed form, and the two experiments of GENNI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError

_SAMPLES = 500


def demo(name: str) -> dict[str, Any]:
    """Keywords of the viewer for an example.

    Raises
    ------
    NetgeomError
        For another name.
    """
    if name not in DEMOS:
        raise NetgeomError("There is no such example.", expected=" or ".join(map(repr, DEMOS)), got=f"{name!r}")
    return DEMOS[name]()


def _hyperbola() -> dict[str, Any]:
    """f(x) = a relu(w x) and the teacher relu(x): the class is {a w = 1, w > 0}."""
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    w = np.geomspace(0.25, 4.0, 200)
    return {
        "model": model,
        "inputs": np.random.default_rng(0).normal(size=(_SAMPLES, 1)),
        "curves": {"a w = 1, w > 0": np.stack([w, 1 / w], axis=1)},
        "basis": np.eye(2),
        "plane": "own",
        "half_width": 2.5,
        "n_elements": 12,
    }


def _genni_fcn() -> dict[str, Any]:
    """GENNI's FCN_Sample: two ReLU units without bias, teacher and inputs from one random stream of seed 10."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10)
        model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
        inputs = torch.randn(_SAMPLES, 1)
    return {"model": model, "inputs": inputs}


def _genni_lenet() -> dict[str, Any]:
    """GENNI's LeNet_Sample, made smaller: 8 x 8 Gaussian images and 200 steps of SGD; a ReLU after the output."""
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 2), nn.ReLU(), nn.Flatten(),
            nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 1), nn.ReLU(),
        )  # fmt: skip
        inputs = torch.randn(_SAMPLES, 1, 8, 8)
    return {
        "model": model, "inputs": inputs, "method": "sgd", "lr": 0.001, "n_elements": 5, "max_iterations": 200,
        "resolution": 25, "center": 0,
    }  # fmt: skip


DEMOS: dict[str, Callable[[], dict[str, Any]]] = {
    "hyperbola": _hyperbola,
    "genni fcn": _genni_fcn,
    "genni lenet 8x8": _genni_lenet,
}
