"""A planar cell complex with shared vertices, and the recipe by which it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.signs import row_blocks

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.polylines import Lines


@dataclass(eq=False)
class Complex:
    """Vertices are numbers; half-edge ``2*e + d`` runs along edge ``e`` from ``edges[e, d]``, its face on the left."""

    n_vertices: int
    edges: Tensor  # (E, 2) int64 vertex ids
    edge_op: Tensor  # (E,) int32 activation op that made the edge, -1 on the border
    edge_unit: Tensor  # (E,) int32 unit of that op, or the side of the domain
    ring_offsets: Tensor  # (F+1,) int64
    ring: Tensor  # (H,) int64 half-edges of each face, counter-clockwise

    @property
    def n_faces(self) -> int:
        """Number of faces."""
        return len(self.ring_offsets) - 1

    @property
    def origins(self) -> Tensor:
        """(H,) the vertex at which each ring entry starts."""
        return self.edges.view(-1)[self.ring]

    @property
    def ring_faces(self) -> Tensor:
        """(H,) the face each ring entry bounds."""
        return torch.repeat_interleave(self.ring_offsets.diff())

    @classmethod
    def polygon(cls, n: int) -> Complex:
        """One face with ``n`` corners in counter-clockwise order."""
        corners = torch.arange(n)
        return cls(
            n,
            torch.stack([corners, corners.roll(-1)], 1),
            torch.full((n,), -1, dtype=torch.int32),
            corners.to(torch.int32),
            torch.tensor([0, n]),
            2 * corners,
        )


@dataclass(eq=False)
class Recipe:
    """How the new vertices come from old ones, and where a unit vanishes exactly, in the order in which it happened.

    A step ``(a, b, t)`` appends the vertices ``(1-t) a + t b``; a step ``(vertices, columns)`` says where units vanish,
    column ``unit * B + k`` at breakpoint k of B; a step ``(vertices,)`` keeps these vertices only.
    """

    steps: list[tuple[Tensor, ...]] = field(default_factory=list)
    in_turn: bool = False  # whether units were inserted one after the other, or some vertices dropped
    lines: tuple[Lines, ...] = ()  # on which the vertices were made, edges first; empty where that is not all

    def add(self, a: Tensor, b: Tensor, t: Tensor) -> None:
        """Append the vertices ``(1-t) a + t b``."""
        self.steps.append((a, b, t))

    def vanish(self, vertices: Tensor, columns: Tensor) -> None:
        """Record that a unit is exactly at a breakpoint at a vertex."""
        if len(vertices):
            self.steps.append((vertices, columns))

    def keep(self, vertices: Tensor) -> None:
        """Drop all other vertices."""
        self.steps.append((vertices,))
        self.in_turn = True

    def of_units(self, units: Tensor, n_breakpoints: int) -> Recipe:
        """The same for values of which column i belongs to ``units[i]``, ascending."""
        steps = list(self.steps)
        for i, step in enumerate(steps):
            if len(step) == 2:
                unit, k = step[1] // n_breakpoints, step[1] % n_breakpoints
                steps[i] = (step[0], torch.searchsorted(units, unit) * n_breakpoints + k)
        return Recipe(steps, self.in_turn)

    def n_after(self, n: int) -> int:
        """Number of vertices when there were ``n``."""
        for step in self.steps:
            n = {1: len(step[0]), 2: n, 3: n + len(step[-1])}[len(step)]
        return n

    def mixture(self, n: int) -> Mixture | None:
        """The same, straight from the ``n`` old vertices: those on edges, then those where two chords cross.

        None where units were inserted in turn: what lies on the hinge of an earlier one must come out exactly zero.
        """
        if self.in_turn:
            return None
        adding = [step for step in self.steps if len(step) == 3]
        parts: list[tuple[Tensor, Tensor]] = []
        for a, b, t in adding:
            corners, weights = torch.stack([a, b], 1), torch.stack([1 - t, t], 1)
            if parts:
                first, share = parts[0]
                corners, weights = first[corners - n].flatten(1), (share[corners - n] * weights[:, :, None]).flatten(1)
            parts.append((corners, weights))
        return Mixture(n, parts)

    def extend(self, values: Tensor, *, hinged: tuple[float, ...] = ()) -> Tensor:
        """Values (V, ...) at the old vertices -> at all vertices; convex combinations, so errors do not grow.

        ``hinged`` holds the breakpoints where these are the refined pre-activations: where a unit vanishes it becomes
        exactly that breakpoint.
        """
        added = sum(len(step[2]) for step in self.steps if len(step) == 3)
        if not added and not (hinged and self.steps):
            return values
        n = len(values)
        flat = values.reshape(n, -1)
        out = flat.new_empty((n + added, flat.shape[1]))
        out[:n] = flat
        for step in self.steps:
            if len(step) == 3:
                _append_between(out, n, *step)
                n += len(step[2])
            elif len(step) == 1:
                out, n = out.index_select(0, step[0]), len(step[0])
            elif hinged:
                vertices, columns = step
                set_at_breakpoints(out, vertices, columns, hinged)
        return out.reshape(n, *values.shape[1:])


def set_at_breakpoints(flat: Tensor, rows: Tensor, columns: Tensor, breakpoints: tuple[float, ...]) -> None:
    """In place: values (V, N) at these rows and columns ``unit * B + k`` become breakpoint k of B."""
    n = len(breakpoints)
    flat[rows, columns // n] = flat.new_tensor(breakpoints)[columns % n]


class Mixture:
    """New vertices as convex combinations of ``n`` old ones: of two on an edge, of four where two chords cross.

    Attributes
    ----------
    groups : list of (int, int)
        First row and end of the old vertices and of each kind of new ones.
    """

    def __init__(self, n: int, parts: list[tuple[Tensor, Tensor]]) -> None:
        """``parts``: (M, 2 or 4) old vertices and their weights."""
        self.groups = [(0, n), *pairwise(accumulate((len(corners) for corners, _ in parts), initial=n))]
        # one contiguous row of vertices and one of weights for every corner
        self._parts = [(corners.T.contiguous(), weights.T.contiguous()[:, :, None]) for corners, weights in parts]

    def rows(self, values: Tensor, rows: slice) -> Tensor:
        """Values at some rows of one group, from those (V, ...) at the old vertices."""
        group = next(i for i, (_, stop) in enumerate(self.groups) if rows.stop <= stop)
        if group == 0:
            return values[rows].clone()
        corners, weights = self._parts[group - 1]
        part = slice(rows.start - self.groups[group][0], rows.stop - self.groups[group][0])
        flat = values.reshape(values.shape[0], -1)
        found = flat.index_select(0, corners[0, part]).mul_(weights[0, part])
        for corner, weight in zip(corners[1:], weights[1:], strict=True):
            found.addcmul_(flat.index_select(0, corner[part]), weight[part])
        return found.reshape(-1, *values.shape[1:])


def _append_between(out: Tensor, n: int, a: Tensor, b: Tensor, t: Tensor) -> None:
    # (1-t) a + t b, not a + t (b - a): between values of one sign it has that sign
    for rows in row_blocks(0, len(t), out.shape[1]):
        between = out.index_select(0, a[rows]).mul_(1 - t[rows, None])
        torch.addcmul(between, out.index_select(0, b[rows]), t[rows, None], out=out[n + rows.start : n + rows.stop])


def any_per_face(flags: Tensor, offsets: Tensor) -> Tensor:
    """Whether any ring entry of each face is flagged."""
    total = torch.zeros(len(flags) + 1, dtype=torch.int64)
    torch.cumsum(flags, 0, out=total[1:])
    return total[offsets[1:]] > total[offsets[:-1]]


def ranges(first: Tensor, length: Tensor) -> Tensor:
    """Concatenation of ``first[i] .. first[i] + length[i] - 1``."""
    ends = length.cumsum(0)
    shift = torch.repeat_interleave(first - (ends - length), length)
    return shift + torch.arange(len(shift))
