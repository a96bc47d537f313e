"""Which numbers of the network are compared: all outputs, one of them, a margin, probabilities, a loss, a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netgeom_widgets.errors import NetgeomError

Function = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, eq=False)
class Output:
    """A differentiable function of the network's outputs, with what it needs to know about each sample.

    Attributes
    ----------
    name : str
        For people.
    function : callable
        ``function(outputs (n, C), targets (n, ...) or None)`` gives (n,) or (n, d), row by row.
    targets, others : array or None
        Of the inputs and of the other inputs.
    """

    name: str
    function: Function
    targets: Any = None
    others: Any = None

    def __call__(self, outputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """The chosen numbers (n, d) of some outputs (n, C)."""
        found = self.function(outputs, targets)
        if not isinstance(found, Tensor) or found.ndim not in (1, 2) or len(found) != len(outputs) or not found.numel():
            raise NetgeomError(
                f"The output function {self.name} gives no numbers per sample",
                expected=f"a tensor of shape ({len(outputs)},) or ({len(outputs)}, d) from outputs {(*outputs.shape,)}",
                got=f"shape {(*found.shape,)}" if isinstance(found, Tensor) else type(found).__name__,
            )
        return found if found.ndim == 2 else found[:, None]


def probabilities() -> Output:
    """Softmax of the outputs. Its d numbers sum to 1, so that K(x, x) has at most rank d - 1."""
    return Output("probabilities", lambda outputs, _: outputs.softmax(1))


def margin(labels: Any = None, others: Any = None) -> Output:
    """Output of one class minus the mean of all others.

    The last function of netsimilarity's training experiment is this margin for the sample's label: of the logarithms of
    probabilities it is the same, since their common term cancels.

    Parameters
    ----------
    labels : (n,) int, optional
        The class of each input; None: the class with the largest output, as predicted.
    others : (m,) int, optional
        The same for the other inputs of a rectangular matrix.
    """

    def function(outputs: Tensor, classes: Tensor | None) -> Tensor:
        n_classes = outputs.shape[1]
        if n_classes < 2:
            raise NetgeomError("A margin needs several outputs", expected="at least 2", got="1")
        chosen = outputs.detach().argmax(1) if classes is None else _classes(classes, n_classes)
        own = outputs.gather(1, chosen[:, None])[:, 0]
        return (own - (outputs.sum(1) - own) / (n_classes - 1)).reshape(-1)

    return Output(
        "margin of the predicted class" if labels is None else "margin of the label", function, labels, others
    )


def loss_gradient(targets: Any, loss: str | Callable[[Tensor, Tensor], Tensor] = "mse", others: Any = None) -> Output:
    """Each sample's loss: similarities of its gradients are those of TracIn (Pruthi et al. 2020, arXiv 2002.08484).

    Parameters
    ----------
    targets : (n,) int or (n, ...) float
        Classes for "cross_entropy", values of the outputs' shape for "mse".
    loss : {"mse", "cross_entropy"} or callable
        A callable gets outputs (n, C) and targets (n, ...) and gives (n,). With one output z "cross_entropy" is that of
        the logits 0 and z.
    others : array, optional
        Targets of the other inputs of a rectangular matrix.
    """
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": _squares, "cross_entropy": _cross_entropy}
    chosen = losses.get(loss) if isinstance(loss, str) else loss
    if not callable(chosen):
        raise NetgeomError("The loss is not known", expected="'mse', 'cross_entropy' or a function", got=f"{loss!r}")

    def function(outputs: Tensor, given: Tensor | None) -> Tensor:
        if given is None:
            raise NetgeomError(
                "A loss needs targets of the other inputs too", try_this="loss_gradient(..., others=...)"
            )
        return chosen(outputs, given)

    return Output(f"{loss if isinstance(loss, str) else 'loss'} of each sample", function, targets, others)


def as_output(output: Any) -> Output:
    """The keyword ``output`` of a kernel function as an Output.

    Raises
    ------
    NetgeomError
        Neither None, a whole number, a function nor an Output.
    """
    if isinstance(output, Output):
        return output
    if output is None:
        return Output("all outputs", lambda outputs, _: outputs)
    if isinstance(output, int) and not isinstance(output, bool):
        return Output(f"output {output}", lambda outputs, _: _column(outputs, output))
    if callable(output):
        return Output(getattr(output, "__name__", "function"), lambda outputs, _: output(outputs))
    raise NetgeomError(
        "The output is not understood",
        expected="None for all, the number of one, a function of the outputs (n, C), probabilities(), margin() ...",
        got=f"{output!r}",
    )


def _column(outputs: Tensor, output: int) -> Tensor:
    if not 0 <= output < outputs.shape[1]:
        raise NetgeomError("There is no such output", expected=f"0 to {outputs.shape[1] - 1}", got=f"{output}")
    return outputs[:, output]


def _classes(targets: Tensor, n_classes: int) -> Tensor:
    if targets.is_floating_point() or targets.ndim != 1:
        raise NetgeomError(
            "The labels are no classes",
            expected="one whole number per sample",
            got=f"shape {(*targets.shape,)}, {targets.dtype}",
        )
    return targets.long()


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    if targets.numel() != outputs.numel():
        raise NetgeomError(
            "The targets do not fit the outputs", expected=f"{(*outputs.shape,)}", got=f"{(*targets.shape,)}"
        )
    return (outputs - targets.reshape(outputs.shape).to(outputs.dtype)).square().mean(1)


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    if outputs.shape[1] == 1:  # one logit z stands for two classes with logits 0 and z
        outputs = torch.cat([torch.zeros_like(outputs), outputs], 1)
    return F.cross_entropy(outputs, _classes(targets, outputs.shape[1]), reduction="none")


def rows_of(output: Output, n: int, *, others: bool = False) -> Tensor | None:
    """The targets of the n inputs (or other inputs) as a tensor, checked.

    Raises
    ------
    NetgeomError
        Another number of targets, or targets that are not finite.
    """
    given = output.others if others else output.targets
    if given is None:
        return None
    targets = torch.as_tensor(given).detach().cpu()
    if targets.ndim < 1 or len(targets) != n:
        raise NetgeomError(
            "The targets do not fit the inputs", expected=f"{n} of them", got=f"shape {(*targets.shape,)}"
        )
    if targets.is_floating_point() and not bool(torch.isfinite(targets).all()):
        raise NetgeomError("The targets have values that are not finite", expected="finite numbers")
    return targets
