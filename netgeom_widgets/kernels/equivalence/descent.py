"""Gradient descent on the loss of many parameter vectors at once: plain SGD with fixed batches, and Adam."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.optimisation import Ended, Report
from netgeom_widgets.kernels.equivalence.problem import Problem

_UNBOUNDED = 1e9  # J this many times above the larger of its first value and that of the best constant function
_EPSILON = 1e-8  # what Adam adds to the root of its second moment, as torch does
_LOOK = 16  # steps between two reports where the loss is not known after each


@dataclass(frozen=True)
class Rule:
    """How a gradient becomes a step.

    Attributes
    ----------
    method : str
        "sgd" (torch.optim.SGD with momentum and without dampening) or "adam" (torch.optim.Adam).
    lr : float
    momentum : float
        Of SGD.
    betas : (float, float)
        Of Adam.
    lr_decay : bool
        The rate falls to 0 along half a cosine over all iterations.
    """

    method: str
    lr: float
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    lr_decay: bool = False


class Descent:
    """Minimises the mean squared error J by gradient steps from many starts in float64.

    Batches are the samples in their order, the same in every epoch and for every start; the gradient is that of the
    batch's mean squared error.

    Parameters
    ----------
    problem : Problem
    rule : Rule
    batch_size : int
    target : float
        J at which a start ends.
    max_iterations : int
        Steps.
    checkpoints : sequence of int
        Steps after which J on all samples is known; with one batch it is known after each.
    """

    def __init__(
        self,
        problem: Problem,
        rule: Rule,
        *,
        batch_size: int,
        target: float,
        max_iterations: int,
        checkpoints: Iterable[int],
    ) -> None:
        self._problem, self._rule = problem, rule
        self._target, self._max_iterations = target, max_iterations
        self._checkpoints = {*checkpoints, 0, max_iterations}
        self._batches = list(_batches(problem, batch_size))

    def run(self, starts: Iterable[tuple[int, Tensor]]) -> Iterator[Report]:
        """Report after every step, or every few; as many starts at a time as stay in a core's cache."""
        pairs = list(starts)
        width = max(1, self._batches[0][0].rows_at_once())
        for first in range(0, len(pairs), width):
            yield from self._descend(_Rows.of(pairs[first : first + width]))

    def _descend(self, rows: _Rows) -> Iterator[Report]:
        whole = len(self._batches) == 1
        for k in range(self._max_iterations + 1):
            last, known = k == self._max_iterations, whole or k in self._checkpoints
            loss = gradient = None
            if whole and not last:
                loss, gradient = _loss_and_gradient(*self._batches[0], rows.theta)
            elif known:
                loss = self._problem.loss(rows.theta)
            if loss is not None:
                going, report = self._judged(rows, k, loss)
                yield report
                rows, gradient = rows.only(going), None if gradient is None else gradient[going]
                if not len(rows.index):
                    return
            elif k % _LOOK == 0:
                yield Report(rows.index[:0], rows.index[:0], rows.theta.new_empty(0), ())
            if gradient is None:
                gradient = _pulled(*self._batches[k % len(self._batches)], rows.theta)[1]
            self._step(rows, gradient, k)

    def _judged(self, rows: _Rows, k: int, loss: Tensor) -> tuple[Tensor, Report]:
        """Which go on, and the report."""
        if k == 0:
            rows.bound.copy_(_UNBOUNDED * loss.clamp_min(self._problem.constant_loss))
        bounded = loss <= rows.bound  # False for NaN
        rows.finite[bounded] = rows.theta[bounded]
        tests = {"not finite": ~bounded, "target": loss <= self._target}
        if k == self._max_iterations:
            tests["iterations"] = torch.ones_like(bounded)
        going = torch.ones_like(bounded)
        ended: list[Ended] = []
        for reason, test in tests.items():
            over = (test & going).nonzero()[:, 0].tolist()
            ended += (Ended(int(rows.index[i]), rows.finite[i].clone(), k, reason) for i in over)
            going &= ~test
        return going, Report(rows.index, torch.full_like(rows.index, k), loss, tuple(ended))

    def _step(self, rows: _Rows, gradient: Tensor, k: int) -> None:
        rule = self._rule
        lr = rule.lr * (0.5 * (1 + math.cos(math.pi * k / self._max_iterations)) if rule.lr_decay else 1.0)
        if rule.method == "sgd":
            if rule.momentum:
                rows.first.mul_(rule.momentum).add_(gradient)
                gradient = rows.first
            rows.theta.sub_(gradient, alpha=lr)
            return
        b1, b2 = rule.betas
        rows.first.lerp_(gradient, 1 - b1)
        rows.second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        size = rows.second.sqrt().div_(math.sqrt(1 - b2 ** (k + 1))).add_(_EPSILON)
        rows.theta.addcdiv_(rows.first, size, value=-lr / (1 - b1 ** (k + 1)))


@dataclass
class _Rows:
    """The starts under way, one row each, and their moments; `finite`: the parameters where J was last seen bounded."""

    index: Tensor
    theta: Tensor
    first: Tensor
    second: Tensor
    finite: Tensor
    bound: Tensor

    @classmethod
    def of(cls, pairs: list[tuple[int, Tensor]]) -> _Rows:
        theta = torch.stack([start for _, start in pairs])
        index = torch.tensor([i for i, _ in pairs], dtype=torch.int64)
        zeros = torch.zeros_like(theta)
        return cls(index, theta, zeros, zeros.clone(), theta.clone(), theta.new_zeros(len(theta)))

    def only(self, going: Tensor) -> _Rows:
        if bool(going.all()):
            return self
        return _Rows(*(values[going] for values in vars(self).values()))


def _batches(problem: Problem, batch_size: int) -> Iterator[tuple[FlatNetwork, Tensor]]:
    network = problem.network
    for first in range(0, network.n_samples, batch_size):
        samples = slice(first, first + batch_size)
        yield network.on(samples), problem.targets[:, samples].contiguous()


def _loss_and_gradient(network: FlatNetwork, targets: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """J (B,) and its gradient (B, P) on one batch."""
    outputs, gradient = _pulled(network, targets, theta)
    return (outputs - targets).square_().mean((1, 2)), gradient


def _pulled(network: FlatNetwork, targets: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs (B, C, N) and the gradient (B, P) of J on one batch."""
    return network.pullback(theta, lambda outputs: (outputs - targets).mul_(2 / targets.numel()))
