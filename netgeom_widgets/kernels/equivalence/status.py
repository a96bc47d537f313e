"""What a finished start is worth, measured afresh: nothing that an optimiser says is taken for granted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from netgeom_widgets.kernels.equivalence.dead import count_dead_units, has_dead_layer
from netgeom_widgets.kernels.equivalence.optimisation import Ended
from netgeom_widgets.kernels.equivalence.problem import Problem

_SMALL = 1e-6  # relative gradient: |grad J| |theta| / J, the change of log J by a relative change of the parameters


@dataclass(frozen=True)
class Verdict:
    """Loss, size of its gradient, dead units and status of one parameter vector; see `Elements`."""

    loss: float
    gradient_norm: float
    dead_units: int
    status: str


def verdicts(problem: Problem, ended: Sequence[Ended], tolerance: float) -> Iterator[Verdict]:
    """Judge parameter vectors: one forward pass of the module itself and one gradient each."""
    network = problem.network
    rows = network.rows_at_once()
    for some in (ended[first : first + rows] for first in range(0, len(ended), rows)):
        theta = torch.stack([one.parameters for one in some])
        _, gradient = network.pullback(theta, lambda y: (y - problem.targets).mul_(2 / y[0].numel()))
        for one, size, dead in zip(some, gradient.norm(dim=1).tolist(), count_dead_units(network, theta), strict=True):
            with torch.no_grad():
                loss = float(problem.mean_square(network.one(one.parameters)[None]))
            yield Verdict(loss, size, dead, _status(problem, one, loss, size, tolerance))


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
