"""How often each Morse graph appears when the pairs, or the map through them, are drawn again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_executor, as_progress, single_blas_threads
from netgeom_widgets.kernels._inputs import as_choice, as_count
from netgeom_widgets.kernels.order_retraction.fitted import FittedMap
from netgeom_widgets.kernels.order_retraction.fitting import fit_map
from netgeom_widgets.kernels.order_retraction.graph_counts import MorseGraphCount, Outcome, Tally
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.resampling import resampled_map

KINDS = ("bootstrap", "posterior", "both")

_AHEAD = 8  # maps given to an executor before the first is needed


@dataclass(frozen=True, eq=False, repr=False)
class MorseFrequencies:
    """Morse graphs of maps drawn anew; see `morse_frequencies`.

    Attributes
    ----------
    fitted : FittedMap
        The map of all pairs.
    grid : CubicalGrid
    graphs : tuple of MorseGraphCount
        The distinct Morse graphs, most frequent first.
    graph : (samples,) int32
        Row of `graphs` of each sample.
    graph_of_fit : int
        Row of `graphs` of the map of all pairs.
    of_fit : MorseDecomposition
        Of the map of all pairs.
    support : (k,) float64
        Share of samples with a recurrent cell in the Morse set of each node of the fit.
    kinds : tuple of str
        What each sample is: ``"bootstrap"`` or ``"posterior"``.
    seeds : (samples,) int64
        With `resampled_map` these give the map of a sample again.
    recurrent : (cells,) float64
        Share of samples in which the cell is recurrent.
    fate : (cells, 4) float64
        Share of samples in which the cell lies in the tile of an attractor (a minimal node), in the tile of another
        node, is undecided by the join rule, or reaches no recurrent cell. Rows sum to 1.
    may_leave : (cells,) float64
        Share of samples in which some way from the cell leads out of the domain.
    settings : dict
    """

    fitted: FittedMap
    grid: CubicalGrid
    graphs: tuple[MorseGraphCount, ...]
    graph: Int32[ndarray, " samples"]
    graph_of_fit: int
    of_fit: MorseDecomposition
    support: Float64[ndarray, " k"]
    kinds: tuple[str, ...]
    seeds: Int64[ndarray, " samples"]
    recurrent: Float64[ndarray, " cells"]
    fate: Float64[ndarray, "cells 4"]
    may_leave: Float64[ndarray, " cells"]
    settings: dict[str, Any]

    @property
    def n_nodes(self) -> Int32[ndarray, " samples"]:
        """Morse nodes of each sample."""
        return np.array([entry.form.n_nodes for entry in self.graphs], dtype=np.int32)[self.graph]

    @property
    def share_empty(self) -> float:
        """Share of samples without any recurrent cell."""
        return float((self.n_nodes == 0).mean())

    @property
    def share_as_fitted(self) -> float:
        """Share of samples with the Morse graph of the map of all pairs."""
        return self.graphs[self.graph_of_fit].share

    def __repr__(self) -> str:
        return (
            f"<MorseFrequencies {len(self.graphs)} Morse graphs in {len(self.graph)} samples; that of the fit in "
            f"{self.share_as_fitted:.0%}>"
        )


def morse_frequencies(
    starts: Any,
    ends: Any,
    grid: CubicalGrid,
    *,
    samples: int = 50,
    kind: Literal["bootstrap", "posterior", "both"] = "bootstrap",
    run_ids: tuple[Sequence[Any], Sequence[Any]] | None = None,
    method: str = "corners",
    padding: bool = False,
    z: float = 0.0,
    fit: Mapping[str, Any] | None = None,
    refit: bool = False,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> MorseFrequencies:
    """How often each Morse graph appears: what a single one does not tell.

    The Morse graph of a fitted map is no robust statistic. Here the map is drawn again and again: from other runs
    (``"bootstrap"``: as many runs, with replacement, all pairs of a run together; Efron 1979) or from what the model
    leaves open given these pairs (``"posterior"``); each time with the same grid and boxes. Graphs count as the same
    when they are isomorphic as posets.

    Parameters
    ----------
    starts, ends : (n, d)
    grid : CubicalGrid
    samples : int
        Of each kind.
    kind : {"bootstrap", "posterior", "both"}
    run_ids : optional
        As in `fit_map`; without it every row is a run.
    method, padding, z
        As in `box_images`. Confidence boxes for the bootstrap only: a drawn map is certain of itself.
    fit : dict, optional
        Keywords of `fit_map`, as `FittedMap.options` has them.
    refit : bool
        Choose the hyperparameters of a Gaussian process anew for each bootstrap sample, on its distinct runs (runs that
        were drawn twice would look free of noise). False: those of all pairs. Slower, much so for many pairs.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor : optional
        None: one map after the other on this thread.
    seed : int or numpy Generator

    Returns
    -------
    MorseFrequencies
        Same bits on every executor.

    Raises
    ------
    NetgeomError
        As `fit_map` and `box_images`; posterior samples of nearest neighbours; confidence boxes of posterior samples.

    Notes
    -----
    Cost that of one Morse decomposition for each sample: 50 samples of 4096 cells in about a second.
    """
    as_count(samples, 1, 1_000_000, "samples")
    as_choice(kind, KINDS, "kind")
    if kind != "bootstrap" and method == "confidence":
        raise NetgeomError(
            "A map drawn from the posterior has no standard deviation",
            expected="kind='bootstrap' with method='confidence'",
            got=f"kind={kind!r}",
        )
    report, stop = as_progress(progress), as_cancel(cancel)
    fitted = fit_map(starts, ends, run_ids=run_ids, cancel=stop, **dict(fit or {}))
    chosen = ("bootstrap", "posterior") if kind == "both" else (kind,)
    kinds = tuple(each for each in chosen for _ in range(samples))
    seeds = np.random.default_rng(seed).integers(1 << 62, size=len(kinds))
    boxes = {"method": method, "padding": padding, "z": z}
    of_fit = Outcome(fitted, grid, boxes)
    tally = Tally(grid, of_fit)
    tasks = [(fitted, grid, boxes, each, int(one), refit) for each, one in zip(kinds, seeds, strict=True)]
    with single_blas_threads():  # once: to look for the libraries takes as long as a sample of 4096 cells
        for i, outcome in enumerate(_outcomes(tasks, stop, executor)):
            tally.add(outcome, i, kinds[i])
            report.update(i + 1, len(kinds), f"{len(tally.forms)} Morse graphs so far")
    graphs, graph, graph_of_fit = tally.graphs(kinds)
    n = len(kinds)
    return MorseFrequencies(
        fitted=fitted,
        grid=grid,
        graphs=graphs,
        graph=graph,
        graph_of_fit=graph_of_fit,
        of_fit=of_fit.decomposition,
        support=tally.support / n,
        kinds=kinds,
        seeds=seeds,
        recurrent=tally.recurrent / n,
        fate=tally.fate / n,
        may_leave=tally.may_leave / n,
        settings={**boxes, "samples": samples, "kind": kind, "refit": refit, "fit": fitted.options},
    )


_Task = tuple[FittedMap, CubicalGrid, dict[str, Any], str, int, bool]


def _outcome(task: _Task) -> Outcome:
    fitted, grid, boxes, kind, seed, refit = task
    with single_blas_threads():
        return Outcome(resampled_map(fitted, kind, seed, grid=grid, refit=refit), grid, boxes)


def _outcomes(tasks: list[_Task], cancel: Cancel, executor: Any) -> Iterator[Outcome]:
    """The outcomes in order."""
    if executor is None:
        for task in tasks:
            cancel.checkpoint()
            yield _outcome(task)
        return
    pool, left, waiting = as_executor(executor), iter(tasks), deque[Future[Outcome]]()
    try:
        for _ in tasks:
            cancel.checkpoint()
            waiting.extend(pool.submit(_outcome, task) for task in islice(left, _AHEAD - len(waiting)))
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
