"""What the optimisers hand back after each of their iterations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Ended:
    """One start whose search is over.

    Attributes
    ----------
    index : int
    parameters : (P,) tensor
        The best ones, or the last finite ones.
    iterations : int
    reason : str
        "target": the loss is low enough; "flat": the gradient is as small as rounding lets it be; "stuck": no step,
        however short, lowers the loss; "not finite": loss or parameters grew without bound; "iterations": out of
        them; "slow": J hardly falls any more.
    loss : float
        J as the optimiser saw it, where it says.
    """

    index: int
    parameters: torch.Tensor
    iterations: int
    reason: str
    loss: float = math.nan


@dataclass(frozen=True, eq=False)
class Report:
    """Where the starts of one batch stand: row i is start ``index[i]`` after ``iterations[i]`` iterations.

    Attributes
    ----------
    index, iterations : (B,) int64 tensors
    loss : (B,) tensor
        J.
    ended : tuple of Ended
        Those that have left the batch with this report; they are among its rows.
    """

    index: torch.Tensor
    iterations: torch.Tensor
    loss: torch.Tensor
    ended: tuple[Ended, ...]
