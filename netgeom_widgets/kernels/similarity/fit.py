"""How well the network fits the targets, per sample and beside a constant: similarities of a misfit say little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array
from netgeom_widgets.kernels.similarity.outputs import loss_gradient
from netgeom_widgets.kernels.transitions.scalars import cross_entropy

LOSSES = ("mse", "cross_entropy")

#: Share of classes that never occur, so that their logarithm is a number.
_NEVER = 1e-12


@dataclass(frozen=True, eq=False)
class Fit:
    """The loss of a network on samples, see `fit_error`.

    Attributes
    ----------
    loss : str
        Its name.
    losses : (n,) float64
        Of each sample.
    constant : float
        Mean loss of the constant that is compared with.
    correct : (n,) bool or None
        Whether the predicted class is the target; None where the targets are neither classes nor one-hot rows.
    """

    loss: str
    losses: Float64[ndarray, " n"]
    constant: float
    correct: Bool[ndarray, " n"] | None

    @property
    def mean(self) -> float:
        """Mean loss over the samples."""
        return float(self.losses.mean())

    @property
    def relative(self) -> float:
        """Mean loss as a share of the constant's: 0 a perfect fit, 1 no better than a constant; NaN without spread."""
        return self.mean / self.constant if self.constant > 0 else float("nan")

    @property
    def accuracy(self) -> float | None:
        """Share of samples whose predicted class is the target."""
        return None if self.correct is None else float(self.correct.mean())


def default_loss(targets: Any) -> str:
    """The loss that fits targets: "cross_entropy" for whole numbers, one per sample, else "mse"."""
    array = as_array(targets, "targets")
    return "cross_entropy" if array.dtype.kind in "iub" and array.ndim == 1 else "mse"


def fit_error(
    outputs: Any, targets: Any, *, loss: str | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
) -> Fit:
    """The loss of each sample, and that of a constant prediction on the same samples.

    The constant is the best one for "mse" (the mean target, so that ``relative`` is the R of
    `kernels.equivalence`) and for "cross_entropy" (the frequencies of the classes, whose loss is their entropy). For
    another loss these same constants are used; a better one may exist.

    Parameters
    ----------
    outputs : (n, C)
        Of the network, as the matrix was computed with.
    targets : (n,) whole numbers or (n, C)
        Classes, or values; (n,) values do for one output.
    loss : {"mse", "cross_entropy"} or callable, optional
        By default "cross_entropy" for whole numbers (n,), else "mse": the mean over the outputs of the squared error. A
        callable gets tensors of outputs and targets and gives the loss of each sample, (n,). With one output z
        "cross_entropy" is that of the logits 0 and z.

    Returns
    -------
    Fit

    Raises
    ------
    NetgeomError
        Shapes that do not fit, values that are not finite, classes the network has not, an unknown loss.

    Notes
    -----
    Exact to rounding in float64, O(n C).
    """
    found, wanted = as_array(outputs, "outputs").astype(np.float64), as_array(targets, "targets")
    if found.ndim != 2 or not found.size or not np.isfinite(found).all():
        raise NetgeomError("The outputs cannot be compared", expected="(n, C), finite", got=f"shape {found.shape}")
    chosen = default_loss(wanted) if loss is None else loss
    of_classes = wanted.dtype.kind in "iub" and wanted.ndim == 1 and chosen != "mse"
    wanted = _classes(wanted, *found.shape) if of_classes else _values(wanted, found.shape)
    losses = _losses(found, wanted, chosen)
    constant = float(_losses(_constant(found, wanted), wanted, chosen).mean())
    correct = _predicted(found) == wanted if of_classes else None
    if not of_classes and _is_one_hot(wanted):
        correct = _predicted(found) == wanted.argmax(1)
    name = chosen if isinstance(chosen, str) else getattr(chosen, "__name__", type(chosen).__name__)
    return Fit(name, losses, constant, correct)


def _classes(targets: ndarray, n: int, n_outputs: int) -> ndarray:
    n_classes = max(n_outputs, 2)
    if len(targets) != n or targets.min() < 0 or targets.max() >= n_classes:
        raise NetgeomError(
            "The targets are no classes of the network",
            expected=f"{n} whole numbers from 0 to {n_classes - 1}",
            got=f"{len(targets)} from {targets.min(initial=0)} to {targets.max(initial=0)}",
        )
    return targets.astype(np.int64)


def _values(targets: ndarray, shape: tuple[int, ...]) -> ndarray:
    values = targets.astype(np.float64)
    if values.size != shape[0] * shape[1] or len(values) != shape[0]:
        raise NetgeomError(
            "The targets do not fit the outputs",
            expected=f"a value for each of {shape[1]} outputs of {shape[0]} samples",
            got=f"shape {values.shape}",
            try_this="one-hot rows where classes are to be fitted by squares" if values.ndim == 1 else "",
        )
    if not np.isfinite(values).all():
        raise NetgeomError("The targets have values that are not finite", expected="finite numbers", got="NaN or inf")
    return values.reshape(shape)


def _losses(outputs: ndarray, targets: ndarray, loss: Any) -> Float64[ndarray, " n"]:
    if loss == "mse":
        return np.square(outputs - targets).mean(1)
    if loss == "cross_entropy":
        return cross_entropy(outputs, targets)
    output = loss_gradient(targets, loss)
    try:
        found = output(torch.from_numpy(outputs), torch.from_numpy(targets))
    except NetgeomError:
        raise
    except Exception as error:  # user code: whatever it raises, the answer is the same
        raise NetgeomError(
            f"The loss failed ({type(error).__name__}: {error})",
            expected="a function of outputs (n, C) and targets (n, ...) that gives (n,)",
        ) from error
    if found.shape[1] != 1:
        raise NetgeomError(
            "The loss gives several numbers per sample", expected=f"({len(outputs)},)", got=f"{(*found.shape,)}"
        )
    return found[:, 0].detach().numpy().astype(np.float64)


def _constant(outputs: ndarray, targets: ndarray) -> Float64[ndarray, "n C"]:
    """The same outputs for all samples."""
    if targets.ndim == 2:
        return np.broadcast_to(targets.mean(0), outputs.shape).copy()
    shares = np.bincount(targets, minlength=max(outputs.shape[1], 2)) / len(targets)
    logs = np.log(np.maximum(shares, _NEVER))
    return np.tile(logs[1:] - logs[0] if outputs.shape[1] == 1 else logs, (len(targets), 1))


def _is_one_hot(targets: ndarray) -> bool:
    """Whether each row of values names a class."""
    return targets.shape[1] > 1 and bool(((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all())


def _predicted(outputs: ndarray) -> ndarray:
    return (outputs[:, 0] > 0).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(1)
