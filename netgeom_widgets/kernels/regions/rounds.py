"""Cutting all faces at once, each by at most one line a round, until every window has one winner in every face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions.assembly import Chords, Crossings, Flagged, assemble, check_limit
from netgeom_widgets.kernels.regions.cells import Complex, Recipe, any_per_face, ranges
from netgeom_widgets.kernels.regions.cuts import Cuts, along_groups, cut_edges, expand_rings
from netgeom_widgets.kernels.regions.windows import Windows

_PAIRS_AT_ONCE = 1 << 16


@dataclass(eq=False)
class Margins:
    """Below which differences count as ties.

    A window counts entries within ``window`` of its maximum as attaining it. The line on which two entries tie has a
    margin of its own, no larger than that of any window with both, and the same for the faces on its two sides.
    """

    window: Tensor  # (W,)
    entry: Tensor  # (N,) tolerance share of an entry's narrowest window
    rounding: Tensor  # (N,) forward rounding error of an entry

    def of_line(self, a: Tensor, b: Tensor) -> Tensor:
        """Margin of the tie of entries a and b."""
        return torch.maximum(torch.minimum(self.entry[a], self.entry[b]), self.noise(a, b))

    def noise(self, a: Tensor, b: Tensor) -> Tensor:
        """By how much rounding alone may change the difference of entries a and b."""
        return self.rounding[a] + self.rounding[b]


@dataclass(eq=False)
class _Lines:
    """One line for every face that is cut in a round: where entries a and b tie."""

    face: Tensor  # (C,) ascending
    number: Tensor  # (C,) lines with the same two entries share one
    a: Tensor  # (C,) flat entries, a < b
    b: Tensor
    margin: Tensor  # (C,)
    noise: Tensor  # (C,)

    def without(self, dropped: Tensor) -> _Lines:
        kept = torch.ones(len(self.face), dtype=torch.bool)
        kept[dropped] = False
        return _Lines(*(getattr(self, name)[kept] for name in ("face", "number", "a", "b", "margin", "noise")))


class Rounds:
    """State of the cutting.

    Parameters
    ----------
    cells : Complex
    columns : callable
        Values (V, n) at its vertices of n ascending entries.
    windows, varying : Windows, (A,) int64
        The windows, and those that count.
    margins : Margins
    snapped : (V,) bool
        Vertices at which a tie was decided by the tolerance.
    face, column : (P,) int64
        The pairs of a face and a varying window that has no winner in it, sorted by face.
    op : int
        Label of the new edges; their units are told in the end, see `merging`.
    checkpoint : callable
        Called between rounds; may raise to cancel.

    Attributes
    ----------
    cells : Complex
        As cut so far.
    recipe : Recipe
        Of all its new vertices.
    root : (F,) int64
        The face, before any cut, in which each face lies.
    first, winners : (F+1,) int64, (P,) int16
        The winner of each window that was open in the root of face f, -1 while it is open, from ``first[f]`` on.
    snapped : (V,) bool
        Vertices at which a tie was decided by the tolerance, and what descends from them.
    """

    def __init__(
        self,
        cells: Complex,
        columns: Callable[[Tensor], Tensor],
        windows: Windows,
        margins: Margins,
        varying: Tensor,
        snapped: Tensor,
        face: ndarray,
        column: ndarray,
        *,
        op: int,
        checkpoint: Callable[[], None],
    ) -> None:
        self.cells, self.windows, self.margins, self.varying = cells, windows, margins, varying
        self.op, self.checkpoint, self.snapped = op, checkpoint, snapped
        self.recipe = Recipe()
        self.root = torch.arange(cells.n_faces)
        self.column = torch.from_numpy(column)
        self.first = torch.zeros(cells.n_faces + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(torch.from_numpy(face), minlength=cells.n_faces), 0, out=self.first[1:])
        self.start = self.first[:-1]  # of each root in `column`
        self.winners = torch.full((len(column),), -1, dtype=torch.int16)
        used = windows.used_by(varying[self.column.unique()])
        self._place = torch.zeros(len(margins.entry), dtype=torch.int64)
        self._place[used] = torch.arange(len(used))
        self._old = columns(used) if len(used) else torch.empty((cells.n_vertices, 0), dtype=torch.float64)
        self._new = self._old.new_empty((0, len(used)))  # grows by doubling; `_n_new` rows of it count
        self._n_new = 0

    def run(self, limit: int, *, surplus: int = 1) -> None:
        """Cut until nothing is open; stop where there are more than ``surplus`` times the faces allowed."""
        while len(open_ := torch.nonzero(self.winners < 0).view(-1)):
            self.checkpoint()
            lines = self._choose(open_)
            if not len(lines.face):
                return
            n_faces = self.cells.n_faces + len(lines.face)
            if n_faces > surplus * limit:
                check_limit(n_faces, limit)
            self._cut(lines)

    def _at(self, vertices: Tensor, entries: Tensor) -> Tensor:
        """Values of entries at vertices, broadcast."""
        n, place = len(self._old), self._place[entries]
        found = self._old[vertices.clamp(max=n - 1), place]
        if not self._n_new:
            return found
        return torch.where(vertices < n, found, self._new[(vertices - n).clamp(min=0), place])

    def _rows(self, vertices: Tensor) -> Tensor:
        """(n, used) values of the used entries."""
        n = len(self._old)
        found = self._old.new_empty((len(vertices), self._old.shape[1]))
        old = vertices < n
        found[old] = self._old[vertices[old]]
        found[~old] = self._new[vertices[~old] - n]
        return found

    def _append(self, a: Tensor, b: Tensor, t: Tensor) -> None:
        needed = self._n_new + len(t)
        if needed > len(self._new):
            grown = self._new.new_empty((max(needed, 2 * len(self._new)), self._old.shape[1]))
            grown[: self._n_new] = self._new[: self._n_new]
            self._new = grown
        torch.lerp(self._rows(a), self._rows(b), t[:, None], out=self._new[self._n_new : needed])
        self._n_new = needed
        self.snapped = torch.cat([self.snapped, self.snapped[a] | self.snapped[b]])
        self.recipe.add(a, b, t)

    # ------------------------------------------------------------------------------------------------ choosing lines

    def _choose(self, open_: Tensor) -> _Lines:
        """Settle what has a winner by now; a line for every face with something open, as central as can be."""
        face = torch.searchsorted(self.first, open_, right=True) - 1
        window = self.varying[self.column[self.start[self.root[face]] + open_ - self.first[face]]]
        found = [
            self._look(face[at : at + _PAIRS_AT_ONCE], window[at : at + _PAIRS_AT_ONCE])
            for at in range(0, len(open_), _PAIRS_AT_ONCE)
        ]
        winner, i, j, quality = (torch.cat(parts) for parts in zip(*found, strict=True))
        self.winners[open_] = winner.to(torch.int16)
        left = torch.nonzero(winner < 0).view(-1)
        face, window, i, j, quality = (x[left] for x in (face, window, i, j, quality))
        # The best of each face, the first among equals: pairs are sorted by face.
        order = torch.argsort(quality, descending=True, stable=True)
        order = order[torch.argsort(face[order], stable=True)]
        chosen = torch.ones(len(order), dtype=torch.bool)
        chosen[1:] = face[order][1:] != face[order][:-1]
        chosen = order[chosen]
        i, j = self.windows.entries[window[chosen], i[chosen]], self.windows.entries[window[chosen], j[chosen]]
        a, b = torch.minimum(i, j), torch.maximum(i, j)
        _, number = torch.unique(a * len(self._place) + b, return_inverse=True)
        return _Lines(face[chosen], number, a, b, self.margins.of_line(a, b), self.margins.noise(a, b))

    def _look(self, face: Tensor, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For (face, window) pairs: the winner or -1, else two that win at different corners, and how centrally.

        The one that wins at most corners, and one that wins where it does not: neither wins wherever the other does, so
        their difference takes both signs.
        """
        cells, n = self.cells, len(face)
        sides = cells.ring_offsets.diff()[face]
        corner = cells.origins[ranges(cells.ring_offsets[face], sides)]
        owner = torch.repeat_interleave(sides)
        values = self._at(corner[:, None], self.windows.safe[window][owner])
        values.masked_fill_(self.windows.absent[window][owner], -torch.inf)
        attained = values >= values.amax(1, keepdim=True) - self.margins.window[window][owner, None]
        counts = torch.zeros((n, values.shape[1]), dtype=torch.int32).index_add_(0, owner, attained.int())
        everywhere = counts == sides[:, None]
        winner = torch.where(everywhere.any(1), everywhere.byte().argmax(1), -1)
        i = counts.argmax(1)
        misses = ~attained.gather(1, i[owner, None])[:, 0]
        place = torch.where(misses, torch.arange(len(owner)), len(owner) - 1)
        elsewhere = torch.full((n,), len(owner)).scatter_reduce_(0, owner, place, "amin")
        j = values[elsewhere].argmax(1)
        difference = (values.gather(1, i[owner, None]) - values.gather(1, j[owner, None]))[:, 0]
        high = torch.full((n,), -torch.inf, dtype=values.dtype).scatter_reduce_(0, owner, difference, "amax")
        low = torch.full((n,), torch.inf, dtype=values.dtype).scatter_reduce_(0, owner, difference, "amin")
        return winner, i, j, torch.minimum(high, -low) / (high - low)

    # ------------------------------------------------------------------------------------------------------- cutting

    def _cut(self, lines: _Lines) -> None:
        lines, cuts = self._find_cuts(lines)
        cells, n = self.cells, self.cells.n_vertices
        if len(cuts.t):
            ends = cells.edges[cuts.edge]
            self._append(ends[:, 0], ends[:, 1], cuts.t)
        of_face = torch.full((cells.n_faces,), -1)
        of_face[lines.face] = torch.arange(len(lines.face))
        entry_cut = cuts.count[cells.ring >> 1] > 0
        touched = expand_rings(cells, cuts, any_per_face(entry_cut, cells.ring_offsets) | (of_face >= 0))
        line = of_face[touched.faces]
        position = torch.nonzero(torch.repeat_interleave(line >= 0, touched.starts.diff())).view(-1)
        vertex = cut_edges(cells, cuts).view(-1)[touched.half_edges]
        chosen = torch.nonzero(line >= 0).view(-1)
        length = touched.starts.diff()[chosen]
        sign = self._signs(lines, torch.repeat_interleave(length), vertex[position], cuts, n)
        starts = torch.zeros(len(chosen) + 1, dtype=torch.int64)
        torch.cumsum(length, 0, out=starts[1:])
        p, q = (position[end] for end in _sign_changes(sign, starts))
        chords = Chords(chosen, lines.number, p, q, vertex[p], vertex[q])
        empty = p.new_empty(0)
        labels = torch.zeros(int(lines.number.max()) + 1, dtype=torch.int64)
        try:
            self.cells, parents = assemble(
                cells, cuts, touched, chords, Crossings(0, empty, empty, empty, empty), self.op, labels
            )
        except Flagged:
            raise _NOT_CONVEX from None
        size = self.first.diff()[parents]
        self.winners = self.winners[ranges(self.first[parents], size)]
        self.first = torch.cat([size.new_zeros(1), size.cumsum(0)])
        self.root = self.root[parents]

    def _signs(self, lines: _Lines, owner: Tensor, vertex: Tensor, cuts: Cuts, n: int) -> Tensor:
        """Sign of each cut face's line at the vertices of its ring, new ones included: -1, 0 or 1."""
        difference = self._at(vertex, lines.a[owner]) - self._at(vertex, lines.b[owner])
        size = difference.abs()
        new = torch.nonzero(vertex >= n).view(-1)
        own = new[cuts.column[vertex[new] - n] == lines.number[owner[new]]]
        size[own] = 0.0
        tie = size <= lines.margin[owner]
        self.snapped[vertex[tie & (size > lines.noise[owner])]] = True
        return torch.where(tie, 0, torch.sign(difference).long())

    def _find_cuts(self, lines: _Lines) -> tuple[_Lines, Cuts]:
        """Where the lines cut edges. A shared edge may be cut by two lines, one from each side.

        Where these are too near each other to be told apart, one of the two faces waits for a later round, in which it
        finds the other's cut as a vertex.
        """
        cells = self.cells
        sides = cells.ring_offsets.diff()[lines.face]
        half = cells.ring[ranges(cells.ring_offsets[lines.face], sides)]
        owner = torch.repeat_interleave(sides)
        a, b, margin = lines.a[owner], lines.b[owner], lines.margin[owner]
        ends = cells.edges[half >> 1]
        start, stop = (self._at(ends[:, k], a) - self._at(ends[:, k], b) for k in (0, 1))
        crossing = torch.nonzero(((start > margin) & (stop < -margin)) | ((start < -margin) & (stop > margin))).view(-1)
        owner, edge, start, stop = owner[crossing], half[crossing] >> 1, start[crossing], stop[crossing]
        change = start - stop
        t = start / change
        order = along_groups(edge, t)
        same_edge = edge[order][1:] == edge[order][:-1]
        number = lines.number[owner][order]
        again = same_edge & (number[1:] == number[:-1])
        reach = (margin[crossing] / change.abs())[order].clamp_(min=2.0**-50 * float(len(cells.edges) + 1))
        gap = (t[order][1:] - t[order][:-1]).abs()
        close = torch.nonzero(same_edge & ~again & (gap <= torch.maximum(reach[1:], reach[:-1]))).view(-1)
        if len(close):
            waiting = torch.maximum(owner[order][close], owner[order][close + 1])
            return self._find_cuts(lines.without(waiting))
        kept = order[torch.cat([again.new_ones(1), ~again])] if len(order) else order
        edge, t, change = edge[kept], t[kept], change[kept].abs()
        count = torch.bincount(edge, minlength=len(cells.edges))
        return lines, Cuts(edge, lines.number[owner[kept]], t, change, count, count.cumsum(0) - count)


_NOT_CONVEX = NetgeomError(
    "A hinge crosses a convex cell more than once: rounding exceeds the tolerance",
    try_this="a larger tolerance, or a domain in which the network's values are of ordinary size",
)


def _sign_changes(s: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """The two positions per ring where the strict sign changes: the first zero after each run of one sign.

    ``s`` holds the sign (-1, 0, 1) at every position; ring i begins at ``starts[i]``.
    """
    here = torch.arange(len(s))
    before = torch.cummax(torch.where(s != 0, here, -1), 0).values  # last strict sign at or before
    face = torch.repeat_interleave(starts.diff())
    last = before[starts[1:] - 1]
    previous = torch.cat([before.new_full((1,), -1), before[:-1]])
    previous = torch.where(previous < starts[face], last[face], previous)
    changes = torch.nonzero((s != 0) & (s != s[previous])).view(-1)
    if len(changes) != 2 * (len(starts) - 1) or not torch.equal(face[changes[0::2]], face[changes[1::2]]):
        raise _NOT_CONVEX
    end = previous[changes] + 1
    owner = face[changes]
    end = torch.where(end >= starts[owner + 1], starts[owner], end)
    first, second = end[0::2], end[1::2]
    return torch.minimum(first, second), torch.maximum(first, second)
