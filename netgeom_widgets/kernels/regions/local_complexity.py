"""Sampled density of regions about points of the full input space."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._model import private_copy
from netgeom_widgets.kernels.regions.program import Program
from netgeom_widgets.kernels.regions.tracing import Activation

_NUMBERS_AT_ONCE = 1 << 22  # in the widest value of one batch


def local_complexity(
    model: nn.Module,
    points: Any,
    radius: float,
    n: int,
    *,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Int64[ndarray, " M"]:
    """How many units change their branch in a neighbourhood of each point, as seen at a few samples.

    Around a point x the model is evaluated at the n corners x + radius * d and x - radius * d of a cross-polytope, for
    n / 2 orthonormal directions d; a unit counts when its branch is not the same at all of them. A unit of an
    elementwise activation changes its branch at a breakpoint, one of a maximum with the winner of its window. (Humayun,
    Balestriero and Baraniuk 2023, arXiv 2310.12977, and 2024, arXiv 2402.15555, for sign changes of neurons.)

    Parameters
    ----------
    model : torch.nn.Module
        As for `partition`. It is copied, never touched.
    points : (M, *input shape)
        Inputs, in the full input space.
    radius : float
        Distance of the samples from the point, in units of the input.
    n : int
        Samples about each point, even, at most twice the number of input values.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor
        Accepted as by every long function and not used: batches of a network already use torch's threads.
    seed : int or numpy Generator
        Of the directions, which are random and the same for all points: numbers of different points differ by the
        points alone, and a point's number does not depend on which others come with it.

    Returns
    -------
    (M,) int64
        Counts over all activations. Sampled, not exact: a hinge that passes between the samples is not seen, so this is
        a lower bound of the number of units with a hinge in the cross-polytope. It is no number of regions.

    Raises
    ------
    UnsupportedModuleError
        As `partition`, before any work.
    NetgeomError
        No points, points or a radius that are not finite or do not fit the model, an odd or too large n.

    Notes
    -----
    Cost: n evaluations of the network a point, in batches of bounded size.
    """
    inputs = _points(points)
    size = inputs[0].numel()
    if not (isinstance(radius, int | float | np.floating) and 0 < radius < np.inf):
        raise NetgeomError("The radius must be a positive number", expected="above 0, finite", got=f"{radius!r}")
    if not (isinstance(n, int | np.integer) and n >= 2 and n % 2 == 0 and n <= 2 * size):
        raise NetgeomError(
            "n counts samples in pairs about the point, along orthonormal directions",
            expected=f"an even number from 2 to {2 * size}, twice the number of input values",
            got=f"{n!r}",
        )
    progress, cancel = as_progress(progress), as_cancel(cancel)
    offsets = float(radius) * _directions(size, int(n) // 2, seed).view(-1, *inputs.shape[1:])
    offsets = torch.cat([offsets, -offsets])
    program = Program(private_copy(model), inputs[:1] + torch.cat([torch.zeros_like(offsets[:1]), offsets[:2]]))
    widest = max(int(np.prod(shape)) for shape in program.row_shapes.values() if all(isinstance(s, int) for s in shape))
    step = max(1, _NUMBERS_AT_ONCE // (len(offsets) * widest))
    found = []
    progress.update(0, len(inputs), "local complexity")
    for at in range(0, len(inputs), step):
        cancel.checkpoint()
        found.append(_changes(program, inputs[at : at + step], offsets))
        progress.update(min(at + step, len(inputs)))
    return torch.cat(found).numpy()


def _points(points: Any) -> Tensor:
    found = torch.as_tensor(points).detach().to("cpu", torch.float64)
    if found.ndim < 2 or not found.numel():
        raise NetgeomError(
            "There are no points", expected="an array (M, *input shape)", got=f"shape {tuple(found.shape)}"
        )
    if not bool(torch.isfinite(found).all()):
        raise NetgeomError("The points are not finite", expected="finite numbers", got="NaN or infinity")
    return found


def _directions(size: int, n: int, seed: int | np.random.Generator) -> Tensor:
    """(n, size) random orthonormal rows."""
    frame, triangle = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, n)))
    return torch.from_numpy((frame * np.sign(np.diag(triangle))).T.copy())


def _changes(program: Program, points: Tensor, offsets: Tensor) -> Int64[Tensor, " M"]:
    """Units whose branch differs among the samples about each point."""
    counts = torch.zeros(len(points), dtype=torch.int64)

    def look(activation: Activation, z: Tensor, _: Tensor | None) -> tuple[Tensor, None]:
        branch = activation.function.branch(z).reshape(len(points), len(offsets), -1)
        counts.add_((branch != branch[:, :1]).any(1).sum(1))
        return activation.apply(z), None

    with torch.no_grad():
        program.run((points[:, None] + offsets).flatten(0, 1), look)
    return counts
