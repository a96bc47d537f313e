"""Levenberg-Marquardt over many starts at once: each has its own damping, and those that end make room for others."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import torch

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.kernels.equivalence.optimisation import Ended, Report
from netgeom_widgets.kernels.equivalence.problem import Problem

_FIRST_DAMPING = 1.0  # of the largest squared column norm of the Jacobian
_LEAST_DAMPING, _MOST_DAMPING = 1e-15, 1e15  # the same; beyond them it, or the step, is lost in rounding
_WIDEST = 64  # starts in a batch; more do not make the products faster
_NUMBERS_AT_ONCE = 1 << 24  # entries of the Jacobians of a batch: 128 MiB, and as much for what comes and goes
_MOST_NUMBERS = 1 << 27  # of one start: 1 GiB
_LEAST_PROMISE = 1e-16  # less is lost in the rounding of J
_WINDOW, _SLOW = 100, 1.01  # whose J has not fallen by 1 % in so many steps, as good as never gets to the target
_FLAT = 1e-11  # cosine between the residuals and any column of the Jacobian

_Rows = dict[str, torch.Tensor]  # everything known about the starts in the batch, one row a start


class LevenbergMarquardt:
    """Minimises the mean squared error J from many starts in float64.

    With residuals r and their Jacobian A by the parameters, a step h solves (A^T A + mu I) h = -A^T r by Cholesky; with
    fewer residuals than parameters h = -A^T (A A^T + mu I)^-1 r, which is the same. Damping mu follows the gain ratio
    (Nielsen 1999): divided by up to 3 after a good step, multiplied by 2, 4, 8, ... after each that raised J or could
    not be solved. So J never rises.

    Measured on tanh and ReLU networks of 17 to 33 parameters: with mu I more starts reach J = 0 than with Marquardt's
    mu diag(A^T A) (146 against 85 of 256, 162 against 98), and with a first mu as large as the largest diagonal entry
    more than with a thousandth of it (146 against 116, 162 against 163).

    Parameters
    ----------
    problem : Problem
    target : float
        J at which a start ends.
    max_iterations : int
        Steps tried, those that were not taken included.
    width : int
        Starts in the batch.
    directions : (m, P) tensor, optional
        Orthonormal rows: steps stay in their span.
    first_damping : float
        Relative to the largest squared norm of a column of A.
    least_promise : float
        A start has come to its end where the linear model promises that a step lowers J by less than this part of it.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        target: float,
        max_iterations: int,
        width: int,
        directions: torch.Tensor | None = None,
        first_damping: float = _FIRST_DAMPING,
        least_promise: float = _LEAST_PROMISE,
    ) -> None:
        self._network, self._targets = problem.network, problem.targets
        self._target, self._max_iterations, self._width = target, max_iterations, width
        self._directions, self._first_damping = directions, first_damping
        self._least_promise = least_promise
        n_free = self._network.n_parameters if directions is None else len(directions)
        self._dual = self._targets.numel() < n_free

    def run(self, starts: Iterable[tuple[int, torch.Tensor]]) -> Iterator[Report]:
        """Report after each iteration of the batch; starts (index, parameters) are drawn as there is room for them."""
        waiting = iter(starts)
        if not (first := list(itertools.islice(waiting, self._width))):
            return
        rows = self._linearised(*_stacked(first))
        while len(rows["index"]):
            rows, report = self._without_ended(rows)
            yield report
            fresh = list(itertools.islice(waiting, self._width - len(rows["index"])))
            if not len(rows["index"]) and not fresh:
                return
            rows = self._advanced(rows, fresh)

    def _linearised(self, index: torch.Tensor, theta: torch.Tensor) -> _Rows:
        """Rows that have just entered."""
        rows = {"index": index, "theta": theta, **self._linear_model(theta)}
        largest = rows["scale"].amax(1)
        return rows | {
            "iterations": torch.zeros_like(index),
            "damping": self._first_damping * largest,
            "growth": torch.full_like(largest, 2.0),
            "promise": torch.full_like(largest, torch.inf),
            "mark": rows["loss"],
        }

    def _linear_model(self, theta: torch.Tensor) -> _Rows:
        outputs, jacobian = self._network.jacobian(theta)
        residuals = (outputs - self._targets).flatten(1)
        columns = jacobian.flatten(2)  # (B, P, residuals): what the formulas above call A, transposed
        if self._directions is not None and self._dual:
            columns = self._directions @ columns
        gradient = (columns @ residuals[:, :, None])[:, :, 0]
        gram = columns.mT @ columns if self._dual else columns @ columns.mT
        if self._directions is not None and not self._dual:  # afterwards: these are small, columns are long
            gradient, gram = gradient @ self._directions.T, self._directions @ gram @ self._directions.T
        model = {"loss": residuals.square().mean(1), "gradient": gradient, "gram": gram}
        if self._dual:
            return model | {"scale": columns.square().sum(2), "columns": columns, "residuals": residuals}
        return model | {"scale": gram.diagonal(dim1=1, dim2=2)}

    def _without_ended(self, rows: _Rows) -> tuple[_Rows, Report]:
        reasons = self._reasons(rows)
        over = torch.tensor([bool(reason) for reason in reasons])
        ended = tuple(
            Ended(
                int(rows["index"][i]),
                rows["theta"][i].clone(),
                int(rows["iterations"][i]),
                reason,
                float(rows["loss"][i]),
            )
            for i, reason in enumerate(reasons)
            if reason
        )
        report = Report(rows["index"], rows["iterations"], rows["loss"], ended)
        if ended:
            rows = {name: values[~over] for name, values in rows.items()}
        return rows, report

    def _reasons(self, rows: _Rows) -> list[str]:
        loss, scale = rows["loss"], rows["scale"]
        size = scale.sqrt() * (loss * self._targets.numel()).sqrt()[:, None]
        cosine = (rows["gradient"].abs() / size.clamp_min(torch.finfo(size.dtype).tiny)).amax(1)
        tests = {
            "target": loss <= self._target,
            "not finite": ~torch.isfinite(loss) | ~torch.isfinite(cosine),
            "flat": cosine <= _FLAT,
            "stuck": (rows["damping"] > _MOST_DAMPING * scale.amax(1)) | (rows["promise"] <= self._least_promise),
            "iterations": rows["iterations"] >= self._max_iterations,
            "slow": (rows["iterations"] % _WINDOW == 0) & (rows["iterations"] > 0) & (loss * _SLOW > rows["mark"]),
        }
        found = [""] * len(loss)
        for reason, test in reversed(tests.items()):
            for i in test.nonzero()[:, 0].tolist():
                found[i] = reason
        return found

    def _advanced(self, rows: _Rows, fresh: list[tuple[int, torch.Tensor]]) -> _Rows:
        """Every row after one more trial step, and the fresh ones beside them."""
        rows = dict(rows)
        rows["mark"] = torch.where(rows["iterations"] % _WINDOW == 0, rows["loss"], rows["mark"])
        step, promised, solved = self._steps(rows)
        moved = step if self._directions is None else step @ self._directions
        trial = rows["theta"] + moved
        loss = (self._network.outputs(trial) - self._targets).square().mean((1, 2))
        gain = (rows["loss"] - loss) * self._targets.numel() / promised
        rows["promise"] = torch.where(solved, promised / (rows["loss"] * self._targets.numel()), torch.inf)
        taken = solved & (loss < rows["loss"]) & (gain > 0)
        rows["iterations"] = rows["iterations"] + 1
        eased = rows["damping"] * (1 - (2 * gain - 1) ** 3).clamp(1 / 3, 1)
        rows["damping"] = torch.where(taken, eased, rows["damping"] * rows["growth"])
        rows["growth"] = torch.where(taken, 2.0, rows["growth"] * 2)
        if fresh or bool(taken.any()):
            rows = self._relinearised(rows, trial, loss, taken, fresh)
        rows["damping"] = rows["damping"].maximum(_LEAST_DAMPING * rows["scale"].amax(1))
        return rows

    def _relinearised(
        self,
        rows: _Rows,
        trial: torch.Tensor,
        loss: torch.Tensor,
        taken: torch.Tensor,
        fresh: list[tuple[int, torch.Tensor]],
    ) -> _Rows:
        if bool(taken.any()):
            # the loss that was found lower: computed again among other rows it may differ by rounding, and climb
            changed = self._linear_model(trial[taken]) | {"theta": trial[taken], "loss": loss[taken]}
            if bool(taken.all()):  # one large network alone: its Jacobian is not copied again
                rows |= changed
                changed = {}
            for name, values in changed.items():
                rows[name] = rows[name].index_put((taken,), values)
        if not fresh:
            return rows
        entered = self._linearised(*_stacked(fresh))
        return {name: torch.cat([values, entered[name]]) for name, values in rows.items()}

    def _steps(self, rows: _Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step (B, m), the decrease of the sum of squares that the linear model promises, and whether it was solved."""
        gram, damping, gradient = rows["gram"], rows["damping"], rows["gradient"]
        damped = gram.clone()
        damped.diagonal(dim1=1, dim2=2).add_(damping[:, None])
        factor, failed = torch.linalg.cholesky_ex(damped)
        right = rows["residuals"] if self._dual else gradient
        solution = torch.cholesky_solve(-right[:, :, None], factor)
        step = (rows["columns"] @ solution if self._dual else solution)[:, :, 0]
        promised = damping * step.square().sum(1) - (step * gradient).sum(1)
        solved = (failed == 0) & torch.isfinite(promised) & (promised > 0)
        return torch.where(solved[:, None], step, 0.0), torch.where(solved, promised, 1.0), solved


def _stacked(starts: list[tuple[int, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    index = torch.tensor([number for number, _ in starts], dtype=torch.int64)
    return index, torch.stack([theta for _, theta in starts])


def batch_width(problem: Problem) -> int:
    """How many starts at a time: as many as keep products large and memory small.

    Raises
    ------
    TooLargeError
        Not even one.
    """
    numbers = problem.network.n_parameters * problem.targets.numel()
    if numbers > _MOST_NUMBERS:
        raise TooLargeError(
            f"The Jacobian of one start has {numbers:,} entries",
            expected=f"at most {_MOST_NUMBERS:,} (parameters times samples times outputs)",
            got=f"{problem.network.n_parameters:,} x {problem.targets.numel():,}",
            try_this='fewer samples, or method="adam"',
        )
    return max(1, min(_WIDEST, _NUMBERS_AT_ONCE // numbers))
