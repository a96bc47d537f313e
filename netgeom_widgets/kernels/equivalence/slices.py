"""The loss on a grid of parameters: a slice through parameter space, coarse to fine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy import ndarray
from torch import nn

from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels.equivalence.problem import as_problem
from netgeom_widgets.kernels.equivalence.slice_evaluation import LossSlice, SliceEvaluator, SlicePart


def loss_slice(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    center: Any,
    basis: Any,
    axes: Any,
    *,
    method: str = "auto",
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
) -> ndarray:
    """J on a grid of parameters: `relative_loss_slice(...).loss`, whose documentation holds here.

    Returns
    -------
    (len(axes[0]), ..., len(axes[k-1])) float64
        J at center + sum_i c_i basis[i]; the first array axis is the first row of the basis.

    Raises
    ------
    NetgeomError
        As `relative_loss_slice`.
    """
    found = relative_loss_slice(
        model, inputs, targets, center, basis, axes, method=method, progress=progress, cancel=cancel
    )
    return found.loss


def relative_loss_slice(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    center: Any,
    basis: Any,
    axes: Any,
    *,
    method: str = "auto",
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
) -> LossSlice:
    """The loss, absolute and relative, on a grid of parameters center + sum_i c_i basis[i] (GENNI, arXiv 2011.07407).

    J is the mean squared error over samples and outputs, R = J / mean over samples and outputs of (y - that output's
    mean)^2: the best constant function has R = 1.

    Parameters
    ----------
    model : torch.nn.Module
        Takes one tensor, batch first, returns one. A float64 copy of it in eval mode is used; buffers stay fixed.
    inputs : array (N, ...)
    targets : array (N, C) or None
        None: the model's own outputs.
    center : (P,)
    basis : (k, P)
        Independent rows, orthonormal or not.
    axes : k arrays
        Coordinates along each row.
    method : "auto", "batch" or "loop"
        How grid points are evaluated. Multilayer perceptrons have a closed form, in which the first layer is linear in
        the coordinates ("batch"). Other modules go through vmap or one by one; "auto" times both on a few points.

    Returns
    -------
    LossSlice

    Raises
    ------
    NetgeomError
        Shapes that do not fit, values that are not finite, constant targets, an unknown method, a grid that does not
        fit into memory.
    Cancelled

    Notes
    -----
    One forward pass over N samples per grid point. Exact to rounding, about 1e-12 relative for losses that are not
    themselves rounding errors; the same bits for the same method.
    """
    problem = as_problem(model, inputs, targets)
    evaluator = SliceEvaluator(problem, center, basis, axes, method)
    return evaluator.run(as_progress(progress), as_cancel(cancel))


def slice_parts(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    center: Any,
    basis: Any,
    axes: Any,
    *,
    method: str = "auto",
    cancel: Cancel | None = None,
) -> Iterator[SlicePart]:
    """The same values part by part, a coarse grid first, always to the last point; checks come before all parts.

    Parameters
    ----------
    model, inputs, targets, center, basis, axes, method, cancel
        As `relative_loss_slice` takes them.

    Returns
    -------
    iterator of SlicePart

    Raises
    ------
    NetgeomError
        As `relative_loss_slice`.
    """
    problem = as_problem(model, inputs, targets)
    return SliceEvaluator(problem, center, basis, axes, method).parts(as_cancel(cancel))
