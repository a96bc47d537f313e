"""Search for elements of an equivalence class from many starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.descent import Descent, Rule
from netgeom_widgets.kernels.equivalence.elements import Element, Elements
from netgeom_widgets.kernels.equivalence.optimisation import Ended, Report
from netgeom_widgets.kernels.equivalence.options import Options, as_options
from netgeom_widgets.kernels.equivalence.problem import as_parameters, as_problem
from netgeom_widgets.kernels.equivalence.starts import initial_parameters
from netgeom_widgets.kernels.equivalence.status import verdicts
from netgeom_widgets.kernels.equivalence.warm_up import levenberg_marquardt

_MOST_STARTS = 1_000_000
_MOST_SEED = (1 << 63) - 1
_CHECKPOINTS = 257
_MOST_PASSES = 41  # checkpoints where each is a pass over all samples
_LEAST_TOLERANCE = 1e-28  # below, R is rounding of float64 outputs
_AIM = 0.99  # of the tolerance: rounding differs between the batch and the single pass that decides


def find_elements(
    model: nn.Module,
    inputs: Any,
    targets: Any,
    n: int,
    *,
    method: str = "levenberg-marquardt",
    tolerance: float = 1e-20,
    max_iterations: int | None = None,
    start: Any = None,
    warm_up: int | None = None,
    lr: float | None = None,
    lr_decay: bool | None = None,
    batch_size: int | None = None,
    momentum: float | None = None,
    betas: tuple[float, float] | None = None,
    on_element: Callable[[Element], Any] | None = None,
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Elements:
    """Search from n starts for parameters that give the targets on these samples: R <= tolerance.

    Every start stands for itself and ends in an honest status; those that are not in the class stay among the results
    and are never called members.

    Parameters
    ----------
    model : torch.nn.Module
        The architecture; takes one tensor, batch first, returns one. Its own values matter only for ``targets=None``.
    inputs : array (N, ...)
    targets : array (N, C) or None
        None: the model's own outputs (it is the teacher). Targets computed in float32 put R below about 1e-14 out of
        reach.
    n : int
        Starts.
    method : str
        "levenberg-marquardt": damped Gauss-Newton steps with the closed-form Jacobian; converges to rounding, for
        networks whose Jacobian fits into memory. "adam": torch's, on all samples unless `batch_size` says otherwise.
        "sgd": GENNI's way: plain steps, batches in fixed order, the same for all starts; the same weights as
        torch.optim.SGD on the mean squared error.
    tolerance : float
        1e-28 to below 1 (R of the best constant function; that of the zero function is never less).
    max_iterations : int, optional
        Of each start; by default 2000, 5000 (Adam) or 1000 (SGD).
    start : array (n, P), optional
        By default the modules' own initialisation (``reset_parameters``), in float64, each start from its own seed:
        start i is the same whatever n. Parameters that no module initialises are uniform within 1/sqrt(fan-in).
    warm_up : int, optional
        Of Levenberg-Marquardt: so many of its iterations are steps of Adam with rate 0.03. By default none; with 50 of
        them 68 instead of 53, 104 instead of 72, 90 instead of 83 of 128 starts ended in the class (2-4-1 tanh twice,
        2-8-1 ReLU), in less time for each.
    lr, lr_decay, batch_size, momentum, betas : optional
        Of Adam (0.1, False, all samples, no momentum, (0.9, 0.999)) and SGD (0.015, False, 256, 0, no betas). With
        lr_decay the rate falls to 0 along half a cosine over all iterations.
    on_element : callable, optional
        Called with every `Element` as soon as it is settled, on this thread; what came before a Cancel stays found.
    progress, cancel
        See `netgeom_widgets.execution`; looked at after every iteration.
    executor
        Accepted as by every long function and not used: the starts are one batched computation.
    seed : int or numpy Generator

    Returns
    -------
    Elements
        In the order of the starts.

    Raises
    ------
    NetgeomError
        Constant targets, starts that do not fit or are not finite, unknown or unfitting options.
    TooLargeError
        The Jacobian of one start does not fit into memory.
    Cancelled

    Notes
    -----
    Memory for Levenberg-Marquardt: 16 N C P bytes for each start in the batch, whose width is chosen by it; a step
    takes O(N C P min(P, N C)). A step of Adam or SGD is a forward and a backward pass; as many starts go together as
    stay in a core's cache.
    """
    options = {
        "warm_up": warm_up,
        "lr": lr,
        "lr_decay": lr_decay,
        "batch_size": batch_size,
        "momentum": momentum,
        "betas": betas,
    }
    search = Search(model, inputs, targets, n, method, tolerance, max_iterations, start, seed, options)
    return search.run(on_element, as_progress(progress), as_cancel(cancel))


class Search:
    """One search, its arguments checked."""

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        targets: Any,
        n: int,
        method: str,
        tolerance: float,
        max_iterations: int | None,
        start: Any,
        seed: int | np.random.Generator,
        options: Options | None = None,
    ) -> None:
        self.problem = as_problem(model, inputs, targets)
        self.n = as_count(n, 1, _MOST_STARTS, "n")
        n_parameters, n_samples = self.problem.network.n_parameters, self.problem.network.n_samples
        self.method = method
        self.options = as_options(method, {"max_iterations": max_iterations} | (options or {}), n_samples)
        self.tolerance = _as_tolerance(tolerance)
        steps, n_batches = self.options["max_iterations"], -(-n_samples // self.options.get("batch_size", n_samples))
        self.checkpoints = _checkpoints(steps) if n_batches == 1 else _even_checkpoints(steps, n_batches)
        require_memory(8 * self.n * (2 * n_parameters + len(self.checkpoints)), f"{self.n} elements", "a smaller n")
        drawn = seed.integers(1 << 62) if isinstance(seed, np.random.Generator) else seed
        self.seed = as_count(drawn, 0, _MOST_SEED, "seed")
        self.start = self._starts(model, start)

    def _starts(self, model: nn.Module, start: Any) -> Tensor:
        if start is None:
            return torch.stack(list(initial_parameters(model, _seeds(self.seed, self.n))))
        given = as_parameters(start, self.problem.network.n_parameters, "starts")
        if len(given) != self.n:
            raise NetgeomError("n does not fit the starts", expected=f"n={len(given)}", got=f"n={self.n}")
        return given

    def run(
        self,
        on_element: Callable[[Element], Any] | None,
        progress: Progress,
        cancel: Cancel,
        settled: Mapping[int, Element] | None = None,
    ) -> Elements:
        """All starts, to their ends, but for those that an earlier run of the same search has `settled`, by index."""
        history = np.full((self.n, len(self.checkpoints)), np.nan)
        found: dict[int, Element] = dict(settled or {})
        progress.update(len(found), self.n, f"searching from {self.n} starts")
        torch.get_num_threads()  # a fresh thread settles how many it uses only when asked
        for report in self._reports(found) if len(found) < self.n else ():
            self._record(history, report)
            for element in self.judged(report.ended, history):
                found[element.index] = element
                if on_element is not None:
                    on_element(element)
            members = sum(element.status == "converged" for element in found.values())
            text = f"{len(found)} of {self.n} starts settled, {members} in the class"
            progress.update(len(found) + self._under_way(report), self.n, text)
            cancel.checkpoint()
        return self.gathered(found)

    def _under_way(self, report: Report) -> float:
        """Iterations that the unsettled starts of a batch have behind them, in units of those that one may take."""
        behind = report.iterations.sum() - sum(ended.iterations for ended in report.ended)
        return float(behind) / float(self.options["max_iterations"])

    def _reports(self, settled: Mapping[int, Element]) -> Iterator[Report]:
        problem, options = self.problem, self.options
        stop = {"target": _AIM * self.tolerance * problem.variance, "max_iterations": options["max_iterations"]}
        starts: Iterable[tuple[int, Tensor]] = [(i, row) for i, row in enumerate(self.start) if i not in settled]
        if self.method == "levenberg-marquardt":
            return levenberg_marquardt(problem, starts, warm_up=options["warm_up"], **stop)
        chosen = {name: options[name] for name in ("lr", "lr_decay", "momentum", "betas") if name in options}
        rule, size = Rule(self.method, **chosen), options["batch_size"]
        return Descent(problem, rule, batch_size=size, checkpoints=self.checkpoints.tolist(), **stop).run(starts)

    def _record(self, history: ndarray, report: Report) -> None:
        iterations = report.iterations.numpy()
        place = np.minimum(np.searchsorted(self.checkpoints, iterations), len(self.checkpoints) - 1)
        on = self.checkpoints[place] == iterations
        history[report.index.numpy()[on], place[on]] = report.loss.numpy()[on] / self.problem.variance

    def judged(self, ended: Sequence[Ended], history: ndarray) -> Iterator[Element]:
        """What starts have come to, judged afresh; `history` has a row for every start."""
        for one, found in zip(ended, verdicts(self.problem, ended, self.tolerance), strict=True):
            yield Element(
                one.index,
                one.parameters.numpy(),
                self.start[one.index].numpy(),
                found.loss,
                found.loss / self.problem.variance,
                found.status,
                one.iterations,
                found.gradient_norm,
                found.dead_units,
                history[one.index],
            )

    def gathered(self, found: Mapping[int, Element]) -> Elements:
        """Those that are settled, in the order of the starts."""
        each = [found[i] for i in sorted(found)]

        def column(name: str, dtype: Any = np.float64) -> ndarray:
            return np.array([getattr(element, name) for element in each], dtype=dtype)

        problem = self.problem
        settings = {"method": self.method, "tolerance": self.tolerance} | self.options
        return Elements(
            column("parameters"),
            column("loss"),
            column("relative_loss"),
            column("status", str),
            column("history"),
            self.checkpoints,
            column("iterations", np.int64),
            column("gradient_norm"),
            column("dead_units", np.int32),
            column("start"),
            problem.zero_loss,
            problem.constant_loss,
            problem.variance,
            problem.network.n_samples,
            settings | {"seed": self.seed} | problem.about(),
        )


def _as_tolerance(tolerance: Any) -> float:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.number):
        raise NetgeomError("tolerance is no number", expected="a relative loss", got=f"{tolerance!r}")
    if not _LEAST_TOLERANCE <= tolerance < 1:
        raise NetgeomError(
            "tolerance is out of range",
            expected=f"{_LEAST_TOLERANCE:g} (rounding of float64) to below 1 (R of the best constant function)",
            got=f"{tolerance!r}",
        )
    return float(tolerance)


def _checkpoints(max_iterations: int) -> Int64[ndarray, " checkpoints"]:
    """0, the first ones all, then ever wider apart: a path is seen on a logarithmic axis as well as on a linear one."""
    spaced = np.geomspace(1, max_iterations, min(_CHECKPOINTS, max_iterations)).round().astype(np.int64)
    return np.unique(np.concatenate([[0], spaced]))


def _even_checkpoints(max_iterations: int, n_batches: int) -> Int64[ndarray, " checkpoints"]:
    """As often as the search itself passes over all samples, so that it does not wait for its history."""
    n = min(_MOST_PASSES, 2 + max_iterations // n_batches)
    return np.unique(np.linspace(0, max_iterations, n).round().astype(np.int64))


def _seeds(seed: int, n: int) -> Iterator[int]:
    """Of the starts: that of start i does not depend on n."""
    for i in range(n):
        yield int(np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] >> np.uint64(1))
