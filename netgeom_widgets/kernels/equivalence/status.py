"""What a finished start is worth, measured afresh: nothing that an optimiser says is taken for granted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.optimisation import Ended
from netgeom_widgets.kernels.equivalence.problem import Problem

_SMALL = 1e-6  # relative gradient: |grad J| |theta| / J, the change of log J by a relative change of the parameters
_N_COTANGENTS = 3


@dataclass(frozen=True)
class Verdict:
    """Loss, size of its gradient, dead units and status of one parameter vector; see `Elements`."""

    loss: float
    gradient_norm: float
    dead_units: int
    status: str


def verdict(problem: Problem, ended: Ended, tolerance: float) -> Verdict:
    """Judge one parameter vector: one forward pass of the module itself and one gradient."""
    network, theta = problem.network, ended.parameters
    with torch.no_grad():
        loss = float(problem.mean_square(network.one(theta)[None]))
    _, gradient = network.pullback(theta[None], lambda outputs: 2 * (outputs - problem.targets) / outputs[0].numel())
    size = float(gradient.norm())
    return Verdict(loss, size, count_dead_units(network, theta), _status(problem, ended, loss, size, tolerance))


def _status(problem: Problem, ended: Ended, loss: float, gradient_norm: float, tolerance: float) -> str:
    if not math.isfinite(loss):
        return "diverged"
    if loss / problem.variance <= tolerance:
        return "converged"
    if ended.reason == "not finite":
        return "diverged"
    small = gradient_norm == 0 or 0 < gradient_norm * float(ended.parameters.norm()) <= _SMALL * loss
    if small and has_dead_layer(problem.network, ended.parameters):
        return "dead"
    return "local_minimum" if small or ended.reason in ("flat", "stuck") else "unfinished"


def has_dead_layer(network: FlatNetwork, theta: Tensor) -> bool:
    """Whether no entry of some weight matrix changes any output on the samples: the layer, or one after it, is dead.

    Derivatives of three random combinations of the outputs, which are 0 together with probability 0 otherwise.
    """
    shape = (_N_COTANGENTS, network.n_outputs, network.n_samples)
    cotangents = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=theta.dtype)
    derivatives = network.vjp(theta, cotangents)
    return any(len(entry.shape) > 1 and not bool(derivatives[:, entry.part].any()) for entry in network.layout)


def count_dead_units(network: FlatNetwork, theta: Tensor) -> int:
    """Hidden units whose output and derivative are 0 on all samples; -1 where the network has no closed form."""
    if network.mlp is None:
        return -1
    values = network.mlp.pre_activations(theta[None], network.features)
    pairs = zip(network.mlp.hidden, values, strict=False)  # the output layer comes last and is not hidden
    return sum(
        int(((out[0] == 0) & (layer.activation.derivative(z)[0] == 0)).all(dim=1).sum()) for layer, (z, out) in pairs
    )
