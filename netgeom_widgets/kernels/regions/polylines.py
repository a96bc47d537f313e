"""Outputs and signs at new vertices from those at the ends of the line on which they were made.

Along an edge that units cut, and along a chord that others cross, whatever is affine in an activation's result is a
polyline whose kinks are those very points. So its values there follow from the values at the two ends and from the
units that cut, O(1) for each pair of cuts of one line, and need no value of the units that do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.cells import ranges
from netgeom_widgets.kernels.regions.elementwise import PiecewiseLinear
from netgeom_widgets.kernels.regions.program import Program
from netgeom_widgets.kernels.regions.row_values import flat_rows, numel, zeros
from netgeom_widgets.kernels.regions.signs import row_blocks

_NUMBERS_AT_ONCE = 1 << 20  # outputs changed by pairs of cuts
_FAR = 2.0**40  # a step along a unit beside which the constant terms do not show


@dataclass(eq=False)
class Lines:
    """Cuts of straight lines from vertex to vertex, sorted along every line.

    Attributes
    ----------
    line : (n,) int64
        Number of each cut's line, ascending.
    start, end : (n,) int64
        The vertices between which it runs.
    t : (n,) float64
        Where on it the cut is, 0 at the start.
    unit : (n,) int64
        The unit that is zero there.
    before, after : (n,) float64
        That unit's value at the start and at the end, of opposite signs.
    vertex : (n,) int64
        The vertex made there.
    own : (n,) bool
        Whether the vertex is to be computed on this line; where two lines cross it is on one of them.
    """

    line: Tensor
    start: Tensor
    end: Tensor
    t: Tensor
    unit: Tensor
    before: Tensor
    after: Tensor
    vertex: Tensor
    own: Tensor

    def __post_init__(self) -> None:
        count = torch.bincount(self.line)
        self._count = count[self.line]
        self._first = (count.cumsum(0) - count)[self.line]

    @property
    def n_pairs(self) -> int:
        """Pairs of a vertex and a cut of its line."""
        return int(self._count[self.own].sum())

    def _pairs(self, most: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Own cuts, about ``most`` pairs at a time; for each pair the row among them, and the line's other cut."""
        own = torch.nonzero(self.own).view(-1)
        total = self._count[own].cumsum(0)
        at = 0
        while at < len(own):
            done = int(total[at - 1]) if at else 0
            stop = max(at + 1, int(torch.searchsorted(total, done + most, right=True)))
            chosen = own[at:stop]
            yield chosen, torch.repeat_interleave(self._count[chosen]), ranges(self._first[chosen], self._count[chosen])
            at = stop

    def fill(self, outputs: Tensor, bits: Tensor, units: Tensor, kinks: Tensor, bit_of: Tensor) -> None:
        """Set rows of ``outputs`` (V, C) and ``bits`` (V, B) at the own vertices; those at the ends are there already.

        Parameters
        ----------
        units : Tensor
            (U,) the units that cut any line, ascending.
        kinks : Tensor
            (U, C) change of the outputs' slopes, for a slope 1 of the unit, where it passes zero.
        bit_of : Tensor
            (U,) the bit that stands for each unit.
        """
        place = torch.searchsorted(units, self.unit)
        for cut, row, other in self._pairs(max(1, _NUMBERS_AT_ONCE // outputs.shape[1])):
            t, k = self.t[cut][:, None], cut[row]
            # a unit that passed zero before leaves out what the start gives of it, one to come what the end does
            passed = other <= k
            share = torch.where(passed, (1 - self.t[k]) * self.before[other].abs(), self.t[k] * self.after[other].abs())
            change = (share[:, None] * kinks[place[other]]).contiguous()
            start, end = outputs[self.start[cut]], outputs[self.end[cut]]
            outputs[self.vertex[cut]] = ((1 - t) * start + t * end).index_add_(0, row, change, alpha=-1)
            # either end is above zero of units that pass it between them
            off = torch.nonzero((other == k) | (torch.where(passed, self.after[other], self.before[other]) < 0)).view(
                -1
            )
            bit = bit_of[place[other[off]]]
            below = bits.new_zeros((len(cut), bits.shape[1]))
            below.view(-1).index_put_(
                (row[off] * bits.shape[1] + (bit >> 3),), (1 << (bit & 7)).to(torch.uint8), accumulate=True
            )
            bits[self.vertex[cut]] = (bits[self.start[cut]] | bits[self.end[cut]]) & ~below


def output_kinks(program: Program, units: Tensor) -> Tensor:
    """(U, C) change of the outputs' slopes where each of U units of the last activation passes its breakpoint."""
    *_, before, last = program.segments
    assert before.activation is not None  # noqa: S101 - only behind the last segment there is none
    function, shape = before.activation.function, program.row_shapes[before.end]
    assert isinstance(function, PiecewiseLinear)  # noqa: S101 - it has a breakpoint
    alive = [node for node in before.kept if node is not before.end or not before.ends_here]

    def outputs(rows: Tensor) -> Tensor:
        values = {node: zeros(program.row_shapes[node], len(rows)) for node in alive}
        values[before.node] = rows.view(len(rows), *program.row_shapes[before.node])
        return flat_rows(program.advance(last, values)[last.end])

    offset = outputs(zeros(shape, 1))
    kinks = torch.empty((len(units), offset.shape[1]), dtype=torch.float64)
    for part in row_blocks(0, len(units), numel(shape)):
        rows = torch.zeros((part.stop - part.start, numel(shape)), dtype=torch.float64)
        rows[torch.arange(len(rows)), units[part]] = _FAR
        kinks[part] = (outputs(rows) - offset) / _FAR
    return kinks * function.jump(shape)[units, None]
