"""Similarities from materialised gradients: the yardsticks of `similarity.py`.

They import torch and numpy only, and nothing of the package. Gradients are normalised rows of an (n, p) float32 array,
their products one BLAS call, which is what a careful user would write: the authors' program takes a pair at a time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, jacrev, vmap


def autograd_loop(model: nn.Module, inputs: torch.Tensor, output: int) -> np.ndarray:
    """Gradients (n, p) of one output, a backward pass for each sample."""
    parameters = list(model.parameters())
    rows = np.empty((len(inputs), sum(p.numel() for p in parameters)), dtype=np.float32)
    for row, x in zip(rows, inputs, strict=True):
        gradients = torch.autograd.grad(model(x[None])[0, output], parameters)
        row[:] = torch.cat([g.reshape(-1) for g in gradients]).numpy()
    return rows


def batched(model: nn.Module, inputs: torch.Tensor, output: int, chunk: int) -> np.ndarray:
    """Gradients (n, p) of one output by vmap(grad), some samples at a time."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def value(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return functional_call(model, parameters, (x[None],))[0, output]

    found = vmap(grad(value), (None, 0), chunk_size=chunk)(parameters, inputs)
    return torch.cat([found[name].flatten(1) for name in parameters], dim=1).numpy()


def cosines(gradients: np.ndarray) -> np.ndarray:
    """All pairs of rows."""
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    return unit @ unit.T


def normalised_traces(model: nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """tr(K_C) / d of all outputs from whole Jacobians (n, d, p) in the model's dtype."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def value(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return functional_call(model, parameters, (x[None],))[0]

    found = vmap(jacrev(value), (None, 0), chunk_size=16)(parameters, inputs)
    jacobians = torch.cat([found[name].flatten(2) for name in parameters], dim=2)
    values, vectors = torch.linalg.eigh(jacobians @ jacobians.transpose(1, 2))
    roots = vectors * values.rsqrt()[:, None, :] @ vectors.transpose(1, 2)
    scaled = (roots @ jacobians).flatten(1)
    return (scaled @ scaled.T / jacobians.shape[1]).numpy()
