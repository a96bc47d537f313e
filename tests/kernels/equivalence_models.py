"""Golden equivalence cases, and the networks that they and the tests of the equivalence kernel are about."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

FOLDER = Path(__file__).parents[1] / "golden" / "equivalence"
# What GENNI's own runs stored is not ours to copy: it is read where it lies, beside the repository.
GENNI = Path(__file__).parents[3] / "shared" / "golden" / "equivalence"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "id": nn.Identity}


def golden(name: str) -> dict[str, np.ndarray]:
    """The arrays of one case; a test of one of GENNI's is skipped where those are not beside the repository."""
    folder = GENNI if name.startswith("genni_") else FOLDER
    if folder == GENNI and not folder.exists():
        pytest.skip("GENNI's stored experiments are not beside the repository")
    with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def mlp(
    sizes: Sequence[int], activation: str = "relu", bias: bool = True, theta=None, *, seed: int = 0
) -> nn.Sequential:
    """Linear layers with an activation between two of them, in float64: seeded, or with the weights `theta`."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for position, (a, b) in enumerate(itertools.pairwise([int(size) for size in sizes])):
        layers += [ACTIVATIONS[activation]()] if position else []
        layers.append(linear := nn.Linear(a, b, bias=bool(bias)).double())
        for parameter in linear.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / a**0.5
    model = nn.Sequential(*layers)
    return model if theta is None else with_parameters(model, theta)


def with_parameters(model: nn.Module, theta) -> nn.Module:
    """The same module, with its parameters set to a flat vector."""
    nn.utils.vector_to_parameters(torch.as_tensor(np.asarray(theta), dtype=torch.float64), model.parameters())
    return model


def parameters_of(model: nn.Module) -> np.ndarray:
    return nn.utils.parameters_to_vector(model.parameters()).detach().double().numpy()


class LeNet(nn.Module):
    """The net of GENNI's second experiment: 28 x 28 images, one output, a ReLU after the output too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(256, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(layer(x)), 2)
        x = x.flatten(1)
        for layer in (self.fc1, self.fc2, self.fc3):
            x = F.relu(layer(x))
        return x


def lenet_inputs(n: int = 500) -> torch.Tensor:
    """The images of that experiment: drawn after its teacher was, from the same random stream."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LeNet()
        return torch.randn(n, 1, 28, 28)
