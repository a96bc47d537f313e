"""The samples that an ensemble is trained on, shared by all runs or a set for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from netgeom_widgets.errors import NetgeomError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Axes = tuple[int | None, int | None]  # of inputs and targets: 0 where the first axis counts runs

LOSSES: dict[str, Loss] = {"mse": F.mse_loss, "l1": F.l1_loss, "cross_entropy": F.cross_entropy}


class Samples:
    """Inputs and targets, on the networks' device and in their dtype.

    Parameters
    ----------
    inputs, targets : arrays or tensors (n, ...) or (runs, n, ...)
    per_run : str or sequence of str
        Which of "inputs" and "targets" have a first axis of runs.
    runs : int
    dtype, device
        Of the networks.
    loss : str or callable
        Decides how targets must look.
    """

    def __init__(
        self,
        inputs: Any,
        targets: Any,
        per_run: str | Sequence[str],
        runs: int,
        dtype: torch.dtype,
        device: torch.device,
        loss: str | Loss,
    ) -> None:
        names = [per_run] if isinstance(per_run, str) else list(per_run)
        if not set(names) <= {"inputs", "targets"}:
            raise NetgeomError("per_run is not understood", expected='"inputs", "targets" or both', got=repr(per_run))
        self.runs, self._loss = runs, loss
        self.axes: Axes = (0 if "inputs" in names else None, 0 if "targets" in names else None)
        self.inputs, self.targets = (
            _tensor(name, values, dtype, device, runs, axis)
            for name, values, axis in zip(("inputs", "targets"), (inputs, targets), self.axes, strict=True)
        )
        counts = [values.shape[0 if axis is None else 1] for values, axis in self.pairs()]
        self.n = counts[0]
        if counts[0] != counts[1]:
            raise NetgeomError("There are not as many targets as inputs", expected=f"{counts[0]}", got=f"{counts[1]}")
        if loss == "cross_entropy" and not self.targets.is_floating_point():
            self.targets = self.targets.long()
        elif loss in ("mse", "l1"):
            self.targets = self.targets.to(dtype)

    def pairs(self) -> Iterator[tuple[torch.Tensor, int | None]]:
        """Inputs and targets, each with the axis that counts runs."""
        return zip((self.inputs, self.targets), self.axes, strict=True)

    def by_run(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The inputs (n, ...) of each run, and the targets."""
        inputs, targets = ([values] * self.runs if axis is None else list(values) for values, axis in self.pairs())
        return inputs, targets

    def fit_to(self, outputs: torch.Tensor) -> None:
        """Give targets the axis of a single output; refuse shapes that torch would broadcast against each other."""
        wanted = tuple(outputs.shape[1:])
        if self._loss in ("mse", "l1"):
            found = tuple(self.targets.shape[1 if self.axes[1] is None else 2 :])
            if wanted == (1,) and found == ():
                self.targets, found = self.targets.unsqueeze(-1), wanted
            if found != wanted:
                raise NetgeomError(
                    "Targets do not have the shape of the outputs",
                    expected=f"(n, {', '.join(map(str, wanted))})",
                    got=f"(n, {', '.join(map(str, found))})",
                )
        elif self._loss == "cross_entropy" and not self.targets.is_floating_point():
            low, high = int(self.targets.min()), int(self.targets.max())
            if outputs.ndim != 2 or low < 0 or high >= outputs.shape[1]:
                raise NetgeomError(
                    "Targets are not the classes of the outputs",
                    expected=f"0 to {outputs.shape[-1] - 1}" if outputs.ndim == 2 else "outputs (n, classes)",
                    got=f"{low} to {high}, outputs (n, {', '.join(map(str, wanted))})",
                )

    def batches(
        self, size: int | None, orders: Sequence[torch.Generator]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor, Axes, int]]:
        """One epoch: inputs, targets, their axes, and the number of samples; each run in an order of its own."""
        if size is None or size >= self.n:
            yield self.inputs, self.targets, self.axes, self.n
            return
        order = torch.stack([torch.randperm(self.n, generator=generator) for generator in orders])
        run = torch.arange(self.runs)[:, None]
        for rows in order.to(self.inputs.device).split(size, dim=1):
            x, y = (values[rows] if axis is None else values[run, rows] for values, axis in self.pairs())
            yield x, y, (0, 0), rows.shape[1]

    def constant_losses(self) -> np.ndarray[Any, Any]:
        """The loss (runs,) of the best constant output; NaN for a loss that is not one of ours."""
        return np.array([_constant_loss(y, self._loss) for y in self.by_run()[1]])


def _constant_loss(targets: torch.Tensor, loss: str | Loss) -> float:
    if loss == "mse":
        return float(((targets - targets.mean(0)) ** 2).mean())
    if loss == "l1":
        return float((targets - targets.quantile(0.5, dim=0)).abs().mean())
    if loss == "cross_entropy":
        shares = targets.mean(0) if targets.is_floating_point() else targets.bincount() / len(targets)
        return float(torch.special.entr(shares).sum())
    return float("nan")


def _tensor(
    name: str, values: Any, dtype: torch.dtype, device: torch.device, runs: int, axis: int | None
) -> torch.Tensor:
    try:
        found = values.detach() if isinstance(values, torch.Tensor) else torch.as_tensor(np.asarray(values))
    except TypeError as error:
        raise NetgeomError(
            f"{name} are not numbers", expected="an array or tensor", got=type(values).__name__
        ) from error
    axes = 1 if axis is None else 2
    if found.ndim < axes or 0 in found.shape or (axis is not None and len(found) != runs):
        raise NetgeomError(
            f"{name} do not fit",
            expected="(n, ...)" if axis is None else f"({runs}, n, ...)",
            got=f"{tuple(found.shape)}",
        )
    if found.is_floating_point():
        found = found.to(dtype)
        if not bool(torch.isfinite(found).all()):
            raise NetgeomError(f"{name} are not all finite", expected="finite numbers", got="NaN or infinity")
    return found.to(device)
