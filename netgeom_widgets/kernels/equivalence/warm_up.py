"""Levenberg-Marquardt after a few steps of Adam, which lead more starts out of the reach of local minima."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import Tensor

from netgeom_widgets.kernels.equivalence.descent import Descent, Rule
from netgeom_widgets.kernels.equivalence.levenberg_marquardt import LevenbergMarquardt, batch_width
from netgeom_widgets.kernels.equivalence.optimisation import Report
from netgeom_widgets.kernels.equivalence.problem import Problem

_RATE = 0.03  # with 0.1 fewer starts than without any warm-up reach J = 0


def levenberg_marquardt(
    problem: Problem, starts: Iterable[tuple[int, Tensor]], *, target: float, max_iterations: int, warm_up: int = 0
) -> Iterator[Report]:
    """Minimise J from every start; the first `warm_up` iterations are steps of Adam, in which J may rise."""
    width, n_samples = batch_width(problem), problem.network.n_samples
    if warm_up:
        rule = Rule("adam", _RATE)
        descent = Descent(
            problem, rule, batch_size=n_samples, target=target, max_iterations=warm_up, checkpoints=[0, warm_up]
        )
        warm: list[tuple[int, Tensor]] = []
        for report in descent.run(starts):
            warm += [(ended.index, ended.parameters) for ended in report.ended if ended.reason == "iterations"]
            yield replace(report, ended=tuple(ended for ended in report.ended if ended.reason != "iterations"))
        starts = warm
    search = LevenbergMarquardt(problem, target=target, max_iterations=max_iterations - warm_up, width=width)
    for report in search.run(starts):
        ended = tuple(replace(one, iterations=one.iterations + warm_up) for one in report.ended)
        yield replace(report, iterations=report.iterations + warm_up, ended=ended)
