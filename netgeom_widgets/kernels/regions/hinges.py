"""The hinges of an elementwise activation: column ``unit * B + k`` is where a unit passes breakpoint k of B."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.elementwise import PiecewiseLinear


@dataclass(eq=False)
class Hinges:
    """Which columns matter on the vertices there are; nothing here has a row for every vertex.

    Attributes
    ----------
    compared : (n,) int64
        The columns to be handed on: those that take both signs beyond their threshold, or all where that is most.
    cutting : (n,) bool
        Which of them do.
    touching : (m,) int64
        Columns that touch zero without crossing it, or are zero but for rounding, of either sign: no hinge, and the
        unit lies on the left of the breakpoint where they are zero.
    varying : (A,) int64
        Columns that are not on one side everywhere, or all where that is most.
    base : (N,) int64
        Breakpoints that every unit exceeds everywhere, those of ``varying`` not counted.
    threshold, rounding, span : (N * B,) float64
        Of every column: below which a value counts as zero, how much of it is rounding, by how much it varies.
    """

    function: PiecewiseLinear
    compared: Tensor
    cutting: Tensor
    touching: Tensor
    varying: Tensor
    base: Tensor
    threshold: Tensor
    rounding: Tensor
    span: Tensor

    def units(self, columns: Tensor) -> Tensor:
        """The units whose columns these are."""
        return columns if self.function.n_breakpoints == 1 else columns // self.function.n_breakpoints

    def touching_at(self, k: int) -> Tensor:
        """The touching columns of one breakpoint."""
        return self.touching[self.touching % self.function.n_breakpoints == k]

    def breakpoints(self, columns: Tensor) -> Tensor:
        """The breakpoint of each column."""
        points = torch.tensor(self.function.breakpoints, dtype=torch.float64)
        return points[columns % self.function.n_breakpoints]

    def distances(self, values: Callable[[Tensor], Tensor]) -> Tensor:
        """(V, n) of the compared columns' units from their breakpoints; ``values`` gives those of ascending units."""
        units = self.units(self.compared)
        if self.function.n_breakpoints == 1:
            found = values(units)
        else:
            chosen, column = torch.unique_consecutive(units, return_inverse=True)
            found = values(chosen).index_select(1, column)
        return found if self.function.at_zero else found - self.breakpoints(self.compared)


def find_hinges(function: PiecewiseLinear, low: Tensor, high: Tensor, rounding: Tensor, tolerance: float) -> Hinges:
    """The hinges of units (N,) between ``low`` and ``high``, which rounding may change by ``rounding``."""
    b = torch.tensor(function.breakpoints, dtype=torch.float64)
    rounding = torch.repeat_interleave(rounding, len(b))
    low, high = (low[:, None] - b).view(-1), (high[:, None] - b).view(-1)
    threshold = torch.maximum(tolerance * torch.maximum(high, -low), rounding)
    cutting = (high > threshold) & (low < -threshold)
    near = (low <= threshold) & (high >= -threshold) & ((low < 0) | (high > 0))
    varying = (low <= threshold) & (high > threshold)
    compared, changing = _most(cutting), _most(varying)
    always = (high > threshold).index_fill_(0, changing, False).view(-1, len(b)).sum(1)
    touching = torch.nonzero(~cutting & near).view(-1)
    span = high - low
    return Hinges(function, compared, cutting[compared], touching, changing, always, threshold, rounding, span)


def _most(chosen: Tensor) -> Tensor:
    """The columns chosen, or all where that is most of them: leaving a few out takes longer than looking at them."""
    return torch.arange(len(chosen)) if 2 * int(chosen.sum()) > len(chosen) else torch.nonzero(chosen).view(-1)
