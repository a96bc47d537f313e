"""Curves inside an equivalence class: steps along null directions, put back onto the class after each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.jacobian_svd import JacobianSVD, as_rtol, jacobian_svd
from netgeom_widgets.kernels.equivalence.problem import Problem, as_parameter_vector, network_at, problem_of

_MOST_CORRECTIONS = 12
_ROUNDING = 1e-26  # R at which corrections end: sqrt(R), the error of an output, is 1e-13 of their spread
_MEMBER = 1e-20  # R up to which a point that corrections no longer improve is accepted
_FASTER = 0.25  # corrections go on while each divides R by four or more: they converge quadratically
_MOST_HALVINGS = 20
_FARTHEST = 1.0  # correction in terms of the step, above which the curve found is another one
_LEAST = 0.25  # part of the step that must be left along it
_NO_COMPONENT = 1e-6  # part of a unit direction in the null space below which there is no way on


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """A curve in the class of its first point; see `trace_class`.

    Attributes
    ----------
    parameters : (n + 1, P) float64
        n is the number of steps asked for, or fewer where `stopped` says why.
    residual : (n + 1,) float64
        Relative loss R of every point against the outputs at the first: rounding.
    dimension : (n + 1,) int64
        Of the null space at every point.
    step_lengths : (n,) float64
        Along the tangent; shorter than asked for where corrections failed, negative for a negative step size.
    corrections : (n,) int64
        Gauss-Newton steps that put each point back onto the class.
    stopped : str
        Why the curve ended early; "" where it did not.
    settings : dict
    """

    parameters: Float64[ndarray, "points P"]
    residual: Float64[ndarray, " points"]
    dimension: Int64[ndarray, " points"]
    step_lengths: Float64[ndarray, " steps"]
    corrections: Int64[ndarray, " steps"]
    stopped: str
    settings: dict[str, Any]

    @property
    def length(self) -> float:
        """Sum of the distances from each point to the next."""
        return float(np.linalg.norm(np.diff(self.parameters, axis=0), axis=1).sum())

    def __repr__(self) -> str:
        why = f", stopped: {self.stopped}" if self.stopped else ""
        return f"<Trace of {len(self.parameters)} points, length {self.length:.4g}{why}>"


@dataclass(frozen=True, eq=False)
class _Point:
    """A member of the class; the rows that span what moves the outputs there are kept apart, for one point only."""

    theta: Tensor
    residual: float
    dimension: int
    corrections: int = 0


def trace_class(
    model: nn.Module,
    parameters: Any,
    inputs: Any,
    direction: Any,
    *,
    steps: int,
    step_size: float,
    rtol: float = 1e-12,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Trace:
    """A curve of parameters with the same outputs on these inputs.

    The class is {theta : f_theta(x) = f_theta0(x) for the inputs x}. Each step goes along that part of the last
    direction which lies in the null space of the Jacobian, the straightest way on. Then minimum-norm Gauss-Newton
    corrections bring f_theta back to f_theta0, until R is below 1e-26. Where they fail, or lead farther away than the
    step was long, the step is halved; afterwards steps grow back.

    Parameters
    ----------
    model : torch.nn.Module
    parameters : array (P,) or None
        The first point; None: the model's own.
    inputs : array (N, ...)
    direction : array (P,)
        Where to go, of any length; what of it lies in the null space counts.
    steps : int
        1 to 100,000.
    step_size : float
        Euclidean length of a step; negative: the other way.
    rtol : float
        As in `null_space`, but smaller. Some directions are null at a singular point and forbidden by second order only
        (copies of a unit moved against each other): as a point of the curve lies within rounding of the class, that is
        within about 1e-7 along those, their singular values are not zero there but 1e-9 of the largest. They are to
        count, so that `dimension` falls to that of the class.
    progress, cancel, executor, seed
        As everywhere; `executor` and `seed` have no use here.

    Returns
    -------
    Trace
        With fewer points where there is no way on: the null space is empty, the direction has no part in it, or no
        step however short could be corrected (where branches meet, the null space is larger than the class, and most of
        its directions lead off it). `stopped` says which.

    Raises
    ------
    NetgeomError
        As `null_space`; outputs that are the same for all inputs; a direction that is zero or not finite.
    TooLargeError
        The null space would be `estimated`, or the curve does not fit in memory.

    Notes
    -----
    Each point takes two to five Jacobians with their factorisation, O(N C P min(N C, P)) each.
    """
    cancel, reports, rtol = as_cancel(cancel), as_progress(progress), as_rtol(rtol)
    steps = as_count(steps, 1, 100_000, "steps")
    if not (np.isfinite(step_size) and step_size):
        raise NetgeomError("step_size is out of range", expected="a finite number other than 0", got=f"{step_size!r}")
    network, theta = network_at(model, parameters, inputs)
    require_memory(8 * (steps + 1) * network.n_parameters, "The curve", "fewer steps")
    way = as_parameter_vector(direction, network.n_parameters, "directions")
    if not bool(way.any()):
        raise NetgeomError("The direction is zero", expected="a direction of any other length", got="zeros")
    with torch.no_grad():
        problem = problem_of(network, network.outputs(theta))
        points, lengths, stopped = _follow(problem, theta, way / way.norm(), steps, step_size, rtol, reports, cancel)
    return Trace(
        parameters=torch.stack([point.theta for point in points]).numpy(),
        residual=np.array([point.residual for point in points]),
        dimension=np.array([point.dimension for point in points], dtype=np.int64),
        step_lengths=np.array(lengths, dtype=np.float64),
        corrections=np.array([point.corrections for point in points[1:]], dtype=np.int64),
        stopped=stopped,
        settings={"steps": steps, "step_size": float(step_size), "rtol": rtol, **problem.about()},
    )


def _follow(
    problem: Problem,
    theta: Tensor,
    way: Tensor,
    steps: int,
    step_size: float,
    rtol: float,
    progress: Progress,
    cancel: Cancel,
) -> tuple[list[_Point], list[float], str]:
    """Points, step lengths, and why the curve ended early."""
    rows = _row_space(jacobian_svd(problem.network, theta, cancel=cancel), rtol)
    points = [_Point(theta, 0.0, len(theta) - len(rows))]
    lengths: list[float] = []
    length = step_size
    while len(lengths) < steps:
        cancel.checkpoint()
        progress.update(len(lengths), steps, "points of the class")
        part = _null_part(rows, way)
        if part is None:
            alone = "the null space is empty: to first order the point is alone in its class"
            return points, lengths, "the direction has no part in the null space" if points[-1].dimension else alone
        way = part
        found = None
        for _ in range(_MOST_HALVINGS):
            found = _stepped(problem, points[-1].theta, length * way, rtol, cancel)
            if found is not None:
                break
            length /= 2
        if found is None:
            return points, lengths, f"no step of {abs(step_size):.3g} or shorter could be put back onto the class"
        point, rows = found
        points.append(point)
        lengths.append(length)
        length = step_size if abs(2 * length) >= abs(step_size) else 2 * length
    progress.update(steps)
    return points, lengths, ""


def _row_space(factors: JacobianSVD, rtol: float) -> Tensor:
    """Orthonormal rows."""
    return factors.vectors[: factors.rank(rtol)]


def _null_part(rows: Tensor, way: Tensor) -> Tensor | None:
    """The part of a unit direction off the row space, at length one; None where there is next to nothing."""
    for _ in range(2):
        way = way - rows.T @ (rows @ way)
    length = float(way.norm())
    return way / length if length > _NO_COMPONENT else None


def _stepped(
    problem: Problem, start: Tensor, step: Tensor, rtol: float, cancel: Cancel
) -> tuple[_Point, Tensor] | None:
    """The member of the class that corrections reach from start + step, and its row space; None where they fail."""
    theta, least, count = start + step, float("inf"), 0
    best, rows = theta, theta[:0]
    while count <= _MOST_CORRECTIONS:
        cancel.checkpoint()
        residuals = problem.residuals(theta[None])[0]
        residual = float(residuals.square().mean()) / problem.variance
        if not residual <= _FASTER * least:  # NaN too
            break
        try:
            factors = jacobian_svd(problem.network, theta, residuals, cancel=cancel)
        except NetgeomError:  # derivatives that are not finite: too far
            break
        best, least, rows = theta, residual, _row_space(factors, rtol)
        if residual <= _ROUNDING:
            break
        assert factors.coefficients is not None  # noqa: S101 - residuals were given
        correction = rows.T @ (factors.coefficients[: len(rows)] / factors.singular_values[: len(rows)])
        theta, count = theta - correction, count + 1
    moved = best - start
    size = float(step.norm())
    if least > _MEMBER or float((moved - step).norm()) > _FARTHEST * size or float(moved @ step) < _LEAST * size**2:
        return None
    return _Point(best, least, len(best) - len(rows), count), rows
