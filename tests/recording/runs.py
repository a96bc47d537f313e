"""Small training runs to be recorded."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

N_SAMPLES, N_CLASSES = 60, 4


def data(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (60, 6) and class labels."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(N_SAMPLES, 6, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()


def network(seed: int = 0) -> nn.Sequential:
    """Dropout, batch norm and an activation that works in place."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(8, N_CLASSES)
    )


class Convolutional(nn.Module):
    """Images (1, 6, 6); named layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(20, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.conv2(torch.relu(self.conv1(images))))
        return self.head(hidden.flatten(1))


class Transformer(nn.Module):
    """Token ids (5,) to two classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.embed(ids))[:, 0])


def train(
    model: nn.Module, epochs: int, *, after_epoch: Callable[..., Any] | None = None, first: int = 1, seed: int = 5
) -> None:
    """Adam on shuffled batches, drawing from all three global random number generators."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state a run depends on
    random.seed(seed)
    dataset = torch.utils.data.TensorDataset(*data())
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model.train()
    for epoch in range(first, first + epochs):
        for inputs, labels in loader:
            noise = random.random() + np.random.rand()  # noqa: NPY002
            loss = nn.functional.cross_entropy(model(inputs * (1 + 0.1 * noise)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if after_epoch is not None:
            after_epoch(epoch, loss=loss)


def state(model: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers, copied."""
    return {name: value.detach().clone().numpy() for name, value in model.state_dict().items()}


def same_state(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def evaluated(model: nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """What a copy of the model gives in eval mode: what a snapshot should hold."""
    with torch.no_grad():
        return copy.deepcopy(model).eval()(inputs).numpy()
