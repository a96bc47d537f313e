"""How an ensemble is trained, checked before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.training.samples import LOSSES, Loss


@dataclass(frozen=True)
class Settings:
    """The options of `netgeom_widgets.training.train_runs`, by their names there."""

    epochs: int
    batch_size: int | None
    optimizer: str
    lr: float | Callable[[int], float]
    loss: str | Loss
    momentum: float
    weight_decay: float

    def __post_init__(self) -> None:
        require_count("epochs", self.epochs)
        if self.batch_size is not None:
            require_count("batch_size", self.batch_size)
        if self.optimizer not in ("adam", "sgd"):
            raise NetgeomError("optimizer is not understood", expected='"adam" or "sgd"', got=repr(self.optimizer))
        if not callable(self.loss) and self.loss not in LOSSES:
            raise NetgeomError(
                "loss is not understood",
                expected=f"one of {', '.join(LOSSES)}, or a function of outputs and targets",
                got=repr(self.loss),
            )
        if not callable(self.lr):
            _require_number("lr", self.lr)
        for name in ("momentum", "weight_decay"):
            _require_number(name, getattr(self, name))
        if self.momentum and self.optimizer == "adam":
            raise NetgeomError(
                "adam has a momentum of its own", expected='momentum only with "sgd"', got=f"{self.momentum}"
            )

    @property
    def criterion(self) -> Loss:
        """The loss as a function."""
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch."""
        if not callable(self.lr):
            return float(self.lr)
        rate = float(self.lr(epoch))
        _require_number(f"lr({epoch})", rate)
        return rate

    def optimizer_of(self, theta: torch.Tensor) -> torch.optim.Optimizer:
        """The optimiser of torch; both work entry by entry, so the rows do not see each other."""
        if self.optimizer == "sgd":
            return torch.optim.SGD([theta], self.rate(0), momentum=self.momentum, weight_decay=self.weight_decay)
        return torch.optim.Adam([theta], self.rate(0), weight_decay=self.weight_decay)


def require_count(name: str, value: Any) -> None:
    """A whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise NetgeomError(f"{name} must be a whole number from 1 on", got=repr(value))


def _require_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < float("inf"):
        raise NetgeomError(f"{name} must be a finite number, not negative", got=repr(value))
