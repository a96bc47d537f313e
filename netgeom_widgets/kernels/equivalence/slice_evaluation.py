"""Evaluating the loss on a grid of parameters: how, in which order, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels._inputs import as_choice
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.linear_slices import LinearSlice
from netgeom_widgets.kernels.equivalence.planes import as_axes, as_basis
from netgeom_widgets.kernels.equivalence.problem import Problem, as_parameters

METHODS = ("auto", "batch", "loop")
_TIMED = 8  # parameter vectors in the batch whose time is compared with single ones


@dataclass(frozen=True, eq=False)
class SlicePart:
    """Some points of a slice.

    Attributes
    ----------
    index : (m,) int64
        Flat places in the grid, C order.
    loss : (m,) float64
        J there.
    step : int
        Spacing of the grid that is complete once all parts of this step have come: 8, 4, 2, 1.
    done, total : int
        Points so far, this part included, and in all.
    """

    index: Int64[ndarray, " m"]
    loss: Float64[ndarray, " m"]
    step: int
    done: int
    total: int


@dataclass(frozen=True, eq=False, repr=False)
class LossSlice:
    """The loss on a grid center + sum_i c_i basis[i]; see `relative_loss_slice`.

    Attributes
    ----------
    loss, relative_loss : (len(axes[0]), ..., len(axes[k-1])) float64
        J and R = J / variance; the first array axis is the first row of the basis.
    axes : tuple of (m,) float64
    center : (P,) float64
    basis : (k, P) float64
    variance : float
    zero_loss, constant_loss : float
        J of the zero function and of the best constant one.
    settings : dict
        Method, samples, model digest, versions.
    """

    loss: ndarray
    relative_loss: ndarray
    axes: tuple[ndarray, ...]
    center: Float64[ndarray, " P"]
    basis: Float64[ndarray, "k P"]
    variance: float
    zero_loss: float
    constant_loss: float
    settings: dict[str, Any]

    def parameters_at(self, point: Any) -> Float64[ndarray, " P"]:
        """The parameter vector at coordinates (k,)."""
        return self.center + np.asarray(point, dtype=np.float64) @ self.basis

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.loss.shape))
        low, high = np.nanmin(self.relative_loss), np.nanmax(self.relative_loss)
        return f"<{type(self).__name__} {sizes}, R from {low:.3g} to {high:.3g}>"


class SliceEvaluator:
    """Evaluates one slice of a problem.

    Parameters
    ----------
    problem : Problem
    center, basis, axes, method
        As `relative_loss_slice` takes them.

    Attributes
    ----------
    center, basis, axes
        Checked.
    shape : tuple of int
    method : str
        "batch" or "loop".
    """

    def __init__(self, problem: Problem, center: Any, basis: Any, axes: Any, method: str = "auto") -> None:
        self.problem = problem
        n_parameters = problem.network.n_parameters
        self.center = as_parameters(center, n_parameters, "coordinates of the centre")
        if len(self.center) != 1:
            raise NetgeomError("There is one centre", expected=f"({n_parameters},)", got=f"{len(self.center)} rows")
        self.basis = as_basis(basis, n_parameters)
        self.axes = as_axes(axes)
        if len(self.axes) != len(self.basis):
            raise NetgeomError(
                "The axes do not fit the basis",
                expected=f"{len(self.basis)} arrays, one for each row of the basis",
                got=f"{len(self.axes)}",
            )
        self.shape = tuple(axis.size for axis in self.axes)
        self.n_points = int(np.prod(self.shape, dtype=object))
        require_memory(
            (24 + 16 * len(self.axes)) * self.n_points,
            f"A grid of {self.n_points} points",
            "fewer points or directions",
        )
        chosen = as_choice(method, METHODS, "method")
        self._linear = None if problem.network.mlp is None else LinearSlice(problem, self.center[0], self._rows())
        self.method = chosen if chosen != "auto" else "batch" if self._linear is not None else self._faster()
        if chosen == "batch" and problem.network.method != "batch" and not problem.network.can_batch():
            raise NetgeomError(
                "This model cannot be called with several parameter vectors at once",
                expected="a forward that torch.func.vmap takes, without control flow on values",
                got=problem.network.notes[-1],
                try_this='method="loop", or "auto"',
            )

    def _rows(self) -> Tensor:
        return torch.from_numpy(self.basis)

    def run(self, progress: Progress, cancel: Cancel, on_part: Callable[[SlicePart], Any] | None = None) -> LossSlice:
        """All points."""
        loss = np.full(self.n_points, np.nan)
        for part in self.parts(cancel):
            loss[part.index] = part.loss
            if on_part is not None:
                on_part(part)
            progress.update(part.done, part.total, f"loss on a grid of {' x '.join(map(str, self.shape))}")
        return self.result(loss)

    def result(self, loss: Float64[ndarray, " n"]) -> LossSlice:
        """A slice of flat losses, NaN where none has been computed."""
        problem, grid = self.problem, loss.reshape(self.shape)
        return LossSlice(
            grid,
            grid / problem.variance,
            tuple(self.axes),
            self.center[0].numpy(),
            self.basis,
            problem.variance,
            problem.zero_loss,
            problem.constant_loss,
            {"method": self.method} | problem.about(),
        )

    def parts(self, cancel: Cancel) -> Iterator[SlicePart]:
        """Coarse to fine; a part is what is evaluated between two looks at `cancel`."""
        rows, done = self._rows_at_once(), 0
        for step, index in coarse_to_fine(self.shape):
            for start in range(0, index.size, rows):
                cancel.checkpoint()
                chunk = index[start : start + rows]
                loss = self._loss(self._coordinates(chunk)).numpy()
                done += chunk.size
                yield SlicePart(chunk, loss, step, done, self.n_points)

    def _coordinates(self, index: Int64[ndarray, " m"]) -> Tensor:
        places = np.unravel_index(index, self.shape)
        return torch.from_numpy(np.stack([axis[i] for axis, i in zip(self.axes, places, strict=True)], axis=1))

    def _loss(self, coordinates: Tensor) -> Tensor:
        """J (m,) at coordinates (m, k)."""
        torch.get_num_threads()  # a fresh thread settles how many it uses only when asked
        if self.method == "loop":
            thetas = (self.center + c[None] @ self._rows() for c in coordinates)
            return torch.cat([self.problem.loss(theta, method="loop") for theta in thetas])
        if self._linear is not None:
            return self._linear.loss(coordinates)
        return self.problem.loss(self.center + coordinates @ self._rows(), method="batch")

    def _rows_at_once(self) -> int:
        """Enough to keep overheads small, few enough for a smooth picture and a prompt stop."""
        if self._linear is not None and self.method == "batch":
            return self._linear.rows_at_once * 8
        network = self.problem.network
        return max(1, min(64, (1 << 22) // (network.n_parameters + network.n_samples * network.n_outputs)))

    def _faster(self) -> str:
        """Vmap or loop, by the time that each takes for one more point."""
        if self.problem.network.method != "batch":
            return "loop"
        theta = self.center.repeat(_TIMED, 1)
        per_point: dict[str, float] = {}
        for method in ("loop", "batch"):
            few = theta if method == "batch" else theta[:1]
            self.problem.loss(few, method=method)  # first calls pay for what later ones find ready
            start = time.perf_counter()
            self.problem.loss(few, method=method)
            per_point[method] = (time.perf_counter() - start) / len(few)
        return min(per_point, key=lambda key: per_point[key])


def coarse_to_fine(shape: tuple[int, ...], coarsest: int = 16) -> Iterator[tuple[int, Int64[ndarray, " m"]]]:
    """Steps and flat places (C order): every grid point once, those on the coarser grid first.

    The first grid has the largest power of two as its step that leaves `coarsest` points along the longest axis.
    """
    step = 1
    while max(shape) // (2 * step) >= coarsest:
        step *= 2
    places = np.indices(shape).reshape(len(shape), -1)
    coarser = np.zeros(places.shape[1], dtype=bool)
    while step >= 1:
        on = (places % step == 0).all(0)
        yield step, np.flatnonzero(on & ~coarser)
        coarser, step = on, step // 2
