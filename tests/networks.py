"""Small networks for the tests of figures and widgets."""

from __future__ import annotations

import itertools

import torch


def mlp(*widths: int, seed: int = 0) -> torch.nn.Sequential:
    """ReLU net of these widths with seeded normal weights; the global generator is not touched."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[torch.nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layers += [torch.nn.ReLU()] if i else []
        linear = torch.nn.Linear(a, b)
        for parameter in linear.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / a**0.5
        layers.append(linear)
    return torch.nn.Sequential(*layers)
