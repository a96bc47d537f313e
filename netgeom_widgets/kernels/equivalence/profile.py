"""Profile slices: the least loss that parameters outside a plane can reach, at every point of the plane."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.levenberg_marquardt import LevenbergMarquardt, batch_width
from netgeom_widgets.kernels.equivalence.optimisation import Ended
from netgeom_widgets.kernels.equivalence.problem import Problem, as_problem
from netgeom_widgets.kernels.equivalence.slice_evaluation import LossSlice, SliceEvaluator, SlicePart, coarse_to_fine

_MOST_PARAMETERS = 2_000  # a minimum at every point of a grid: more are out of reach, and so is their dense complement
_AIM = 1e-20  # of the variance: J that counts as 0
_FIRST_DAMPING = 1e-3  # starts are minima of points nearby
_LEAST_PROMISE = 1e-10  # of J by a step: what a picture can show and more
_GAIN = 1e-3  # a neighbour's parameters are tried again where they lower J by this part
_SWEEPS = 3
_PART = 64  # points


@dataclass(frozen=True, eq=False, repr=False)
class ProfileSlice(LossSlice):
    """The least loss over all parameters outside a plane; see `relative_profile_slice`.

    Attributes
    ----------
    loss, relative_loss : (len(axes[0]), ..., len(axes[k-1])) float64
        Least J found over the complement, and R.
    plain_loss : like loss
        J in the plane itself.
    converged : like loss, bool
        Whether the minimisation came to its end at a local minimum, or at J = 0, within its iterations.
    parameters : (..., P) float64
        Where J is least.

    Others are those of `LossSlice`.
    """

    plain_loss: ndarray
    converged: ndarray
    parameters: ndarray


def relative_profile_slice(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    center: Any,
    basis: Any,
    axes: Any,
    *,
    max_iterations: int = 100,
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> ProfileSlice:
    """At every point of a grid in a plane the least loss that the other parameters can reach (a profile of J).

    The minimum of J(center + sum_i c_i basis[i] + v) over all v orthogonal to the basis: the plane shows the projection
    of a class onto it, not only where the plane happens to meet it. Levenberg-Marquardt looks for it, from the plane
    itself and from minima of points nearby, coarse to fine. What it finds is a local minimum, so every value is an
    upper bound of the true profile; it is never above the plain slice.

    Parameters
    ----------
    model, inputs, targets, center, basis, axes
        As `relative_loss_slice` takes them.
    max_iterations : int
        Steps tried at a point, each time.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used: the points are batched, and nothing is random.

    Returns
    -------
    ProfileSlice

    Raises
    ------
    NetgeomError
        As `relative_loss_slice`.
    TooLargeError
        More than 2,000 parameters, a Jacobian or a grid of parameter vectors that does not fit into memory.
    Cancelled

    Notes
    -----
    Some ten steps of O(N C P^2) a point. Where J = 0 can be reached, R is below 1e-18; elsewhere the local minimum is
    exact to about 1e-9 of J where `converged` says so.
    """
    evaluator = ProfileEvaluator(as_problem(model, inputs, targets), center, basis, axes, max_iterations=max_iterations)
    found = evaluator.run(as_progress(progress), as_cancel(cancel))
    assert isinstance(found, ProfileSlice)  # noqa: S101  # `run` is of plain slices too
    return found


def profile_slice(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    center: Any,
    basis: Any,
    axes: Any,
    *,
    max_iterations: int = 100,
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> ndarray:
    """Least J: `relative_profile_slice(...).loss`, whose documentation holds here.

    Returns
    -------
    (len(axes[0]), ..., len(axes[k-1])) float64

    Raises
    ------
    NetgeomError
        As `relative_profile_slice`.
    """
    found = relative_profile_slice(
        model, inputs, targets, center, basis, axes, max_iterations=max_iterations, progress=progress, cancel=cancel
    )
    return found.loss


def profile_parts(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    center: Any,
    basis: Any,
    axes: Any,
    *,
    max_iterations: int = 100,
    cancel: Cancel | None = None,
) -> Iterator[SlicePart]:
    """The same values part by part, a coarse grid first; a point comes again when a neighbour's minimum lowers it.

    Parameters
    ----------
    model, inputs, targets, center, basis, axes, max_iterations, cancel
        As `relative_profile_slice` takes them.

    Returns
    -------
    iterator of SlicePart

    Raises
    ------
    NetgeomError
        As `relative_profile_slice`.
    """
    problem = as_problem(model, inputs, targets)
    return ProfileEvaluator(problem, center, basis, axes, max_iterations=max_iterations).parts(as_cancel(cancel))


class ProfileEvaluator(SliceEvaluator):
    """Evaluates one profile slice of a problem; arguments as `relative_profile_slice` takes them."""

    def __init__(self, problem: Problem, center: Any, basis: Any, axes: Any, *, max_iterations: int = 100) -> None:
        super().__init__(problem, center, basis, axes)
        n_parameters = problem.network.n_parameters
        if n_parameters > _MOST_PARAMETERS:
            raise TooLargeError(
                "A profile minimises over all parameters at every point of the grid",
                expected=f"at most {_MOST_PARAMETERS:,} parameters",
                got=f"{n_parameters:,}",
                try_this="a plain slice, or a smaller network",
            )
        require_memory(8 * self.n_points * n_parameters, "Parameters at every point of the grid", "a coarser grid")
        self._max_iterations = as_count(max_iterations, 1, 10**6, "max_iterations")
        self._width = batch_width(problem)
        directions, _ = torch.linalg.qr(self._rows().T, mode="complete")
        self._complement = directions[:, len(self.basis) :].T.contiguous()
        self._plain = np.full(self.n_points, np.nan)
        self._least = np.full(self.n_points, np.nan)
        self._settled = np.zeros(self.n_points, dtype=bool)
        self._theta = torch.full((self.n_points, n_parameters), torch.nan, dtype=torch.float64)

    def parts(self, cancel: Cancel) -> Iterator[SlicePart]:
        """Coarse to fine, then once more where a neighbour has found a better minimum."""
        done = 0
        for step, index in coarse_to_fine(self.shape):
            self._start(index, step)
            for found in self._lowered(index, cancel):
                done += found.size
                yield SlicePart(found, self._least[found], step, done, self.n_points)
            for _ in range(_SWEEPS):
                improved = self._tried_again(step)
                for found in self._lowered(improved, cancel):
                    yield SlicePart(found, self._least[found], step, done, self.n_points)
                if not improved.size:
                    break

    def result(self, loss: Float64[ndarray, " n"]) -> ProfileSlice:
        """A profile of flat losses, NaN where none has been computed."""
        plain = super().result(loss)
        found = {field.name: getattr(plain, field.name) for field in fields(plain)}
        found["settings"] = plain.settings | {"method": "profile", "max_iterations": self._max_iterations}
        return ProfileSlice(
            **found,
            plain_loss=self._plain.reshape(self.shape).copy(),
            converged=self._settled.reshape(self.shape).copy(),
            parameters=self._theta.numpy().reshape(*self.shape, -1).copy(),
        )

    def _start(self, index: Int64[ndarray, " m"], step: int) -> None:
        """Begin in the plane, or where the minimum of a point of the coarser grid lies, whichever is lower."""
        coordinates = self._coordinates(index)
        self._theta[index] = self.center + coordinates @ self._rows()
        self._plain[index] = self._least[index] = self._loss(coordinates).numpy()
        places = np.stack(np.unravel_index(index, self.shape))
        corner = places - places % (2 * step)
        for offset in itertools.product((0, 2 * step), repeat=len(self.shape)):
            self._adopt(index, corner + np.array(offset)[:, None], 1.0)

    def _tried_again(self, step: int) -> Int64[ndarray, " m"]:
        """Points, of those on the grid of this step, that a neighbour's parameters lower; they begin there."""
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        index = np.flatnonzero((places % step == 0).all(0) & (self._least > _AIM * self.problem.variance))
        better = np.zeros(index.size, dtype=bool)
        for axis, sign in itertools.product(range(len(self.shape)), (-step, step)):
            other = places[:, index].copy()
            other[axis] += sign
            better |= self._adopt(index, other, 1 - _GAIN)
        return index[better]

    def _adopt(self, index: Int64[ndarray, " m"], others: Int64[ndarray, "k m"], share: float) -> Bool[ndarray, " m"]:
        """Take over what other places have found outside the plane, where that leaves less than this share of J."""
        inside = ((others >= 0) & (others < np.array(self.shape)[:, None])).all(0)
        better = np.zeros(index.size, dtype=bool)
        places = np.ravel_multi_index(tuple(others[:, inside]), self.shape)
        known = np.isfinite(self._least[places]) & (places != index[inside])
        here, there = index[inside][known], places[known]
        if not here.size:
            return better
        moved = (self._coordinates(here) - self._coordinates(there)) @ self._rows()
        theta = self._theta[there] + moved
        loss = self.problem.loss(theta).numpy()
        lower = loss < share * self._least[here]
        self._theta[here[lower]], self._least[here[lower]] = theta[lower], loss[lower]
        better[np.flatnonzero(inside)[known][lower]] = True
        return better

    def _lowered(self, index: Int64[ndarray, " m"], cancel: Cancel) -> Iterator[Int64[ndarray, " p"]]:
        """Minimise from where each of these points stands; hands over those that have ended."""
        waiting: list[int] = []
        for ended in self._minima(index, cancel):
            waiting.append(ended.index)
            if ended.loss <= self._least[ended.index]:
                self._least[ended.index], self._theta[ended.index] = ended.loss, ended.parameters
            self._settled[ended.index] = ended.reason in ("target", "flat", "stuck")
            if len(waiting) == _PART:
                yield np.array(waiting)
                waiting = []
        if waiting:
            yield np.array(waiting)

    def _minima(self, index: Int64[ndarray, " m"], cancel: Cancel) -> Iterator[Ended]:
        starts = [(int(i), self._theta[i]) for i in index]
        if not len(self._complement):  # the basis spans everything: there is nothing to minimise over
            yield from (Ended(i, theta, 0, "flat", float(self._least[i])) for i, theta in starts)
            return
        search = LevenbergMarquardt(
            self.problem,
            target=_AIM * self.problem.variance,
            max_iterations=self._max_iterations,
            width=self._width,
            directions=self._complement,
            first_damping=_FIRST_DAMPING,
            least_promise=_LEAST_PROMISE,
        )
        for report in search.run(starts):
            cancel.checkpoint()
            yield from report.ended
