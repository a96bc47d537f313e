"""Derivatives of modules without a closed form, by torch.func where it can and by plain autograd where it cannot."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import jacrev, vmap
from torch.func import jvp as forward_product

if TYPE_CHECKING:
    from netgeom_widgets.kernels.equivalence.network import FlatNetwork

_UNSUPPORTED = (RuntimeError, ValueError, TypeError, NotImplementedError)  # what torch.func raises
_NUMBERS_AT_ONCE = 1 << 25  # of per-sample Jacobians: 256 MiB


def jacobian(network: FlatNetwork, theta: Tensor) -> Tensor:
    """(P, C, N) at theta (P,), exact to rounding; O(C) backward passes over all samples."""
    n, c, p = network.n_samples, network.n_outputs, network.n_parameters
    found = theta.new_empty((p, c, n))
    rows = max(1, min(n, _NUMBERS_AT_ONCE // (c * p)))
    for start in range(0, n, rows):
        samples = slice(start, min(start + rows, n))
        try:
            block = _sample_jacobians(network, theta, network.inputs[samples])
        except _UNSUPPORTED:
            block = _looped_jacobians(network, theta, network.inputs[samples])
        found[:, :, samples] = block.permute(2, 1, 0)
    return found


def _sample_jacobians(network: FlatNetwork, theta: Tensor, inputs: Tensor) -> Tensor:
    """(n, C, P) by vmap over samples of reverse mode: several times faster than forward mode over parameters."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of operations that torch batches slowly
        function = jacrev(lambda row, x: network.one(row, x[None])[:, 0])
        return vmap(function, in_dims=(None, 0))(theta, inputs)


def _looped_jacobians(network: FlatNetwork, theta: Tensor, inputs: Tensor) -> Tensor:
    """The same, one sample and output after the other."""
    rows = []
    with torch.enable_grad():  # also what picks a value out of a graph belongs to it
        for x in inputs:
            leaf, values = _graph(network, theta, x[None])
            rows.append(torch.stack([_gradient(value, leaf) for value in values[:, 0]]))
    return torch.stack(rows)


def pullback(network: FlatNetwork, theta: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs (B, C, N) and the gradients (B, P) of sum(weigh(outputs) * outputs), weights held fixed; theta (B, P)."""
    with torch.enable_grad():
        leaf = theta.detach().requires_grad_()
        outputs = network.outputs(leaf)
        weights = weigh(outputs.detach())
        gradient = _gradient((weights * outputs).sum(), leaf)
    return outputs.detach(), gradient


def vjp(network: FlatNetwork, theta: Tensor, cotangents: Tensor) -> Tensor:
    """Cotangents (k, C, N) times the Jacobian at theta (P,): (k, P)."""
    found = []
    with torch.enable_grad():
        leaf, outputs = _graph(network, theta, network.inputs)
        for i, cotangent in enumerate(cotangents):
            found.append(_gradient((outputs * cotangent).sum(), leaf, keep=i + 1 < len(cotangents)))
    return torch.stack(found) if found else theta.new_zeros((0, len(theta)))


def jvp(network: FlatNetwork, theta: Tensor, directions: Tensor) -> Tensor:
    """The Jacobian at theta (P,) times directions (k, P): (k, C, N)."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.stack([forward_product(network.one, (theta,), (v,))[1] for v in directions])
    except _UNSUPPORTED:
        return _double_backward(network, theta, directions)


def _double_backward(network: FlatNetwork, theta: Tensor, directions: Tensor) -> Tensor:
    """Forward products by differentiating a reverse product, for operations that have no forward mode."""
    with torch.enable_grad():
        leaf, outputs = _graph(network, theta, network.inputs)
        dummy = torch.zeros_like(outputs, requires_grad=True)
        (pulled,) = torch.autograd.grad(outputs, leaf, dummy, create_graph=True)
        return torch.stack([torch.autograd.grad(pulled, dummy, v, retain_graph=True)[0].detach() for v in directions])


def _graph(network: FlatNetwork, theta: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaf = theta.detach().requires_grad_()
        return leaf, network.one(leaf, inputs)


def _gradient(value: Tensor, leaf: Tensor, *, keep: bool = True) -> Tensor:
    """Zero where the value does not depend on the parameters."""
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(value, leaf, retain_graph=keep, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient.detach()
