"""Chords and their crossings become edges and faces, by left turns alone: no coordinate is compared."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.kernels.regions.cells import Complex, ranges
from netgeom_widgets.kernels.regions.cuts import Cuts, Touched, cut_edges


class Flagged(Exception):  # noqa: N818 - a signal inside this module, not an error
    """Units found out of general position; the attempt is discarded."""

    def __init__(self, columns: Tensor) -> None:
        super().__init__()
        self.columns = columns.unique()


@dataclass(eq=False)
class Chords:
    """Straight cuts through faces, in ring order: from position ``p`` to the later position ``q`` of a touched face."""

    face: Tensor  # (M,) index into touched faces
    column: Tensor
    p: Tensor
    q: Tensor
    start: Tensor  # (M,) vertex at p
    end: Tensor  # (M,) vertex at q


@dataclass(eq=False)
class Crossings:
    """Crossing x of chords i and j with p_i < p_j < q_i < q_j, as entries sorted along every chord."""

    n: int
    chord: Tensor  # (2n,) chord of each sorted entry
    vertex: Tensor  # (2n,)
    on_i: Tensor  # (n,) sorted entry of crossing x on chord i
    on_j: Tensor  # (n,)


def check_limit(n_faces: int, limit: int) -> None:
    """Refuse before anything is allocated."""
    if n_faces > limit:
        raise TooLargeError(f"{n_faces:,} regions would arise", expected=f"at most {limit:,}", got=f"{n_faces:,}")


def assemble(
    cells: Complex,
    cuts: Cuts,
    touched: Touched,
    chords: Chords,
    crossings: Crossings,
    op: int,
    units: Tensor,
) -> tuple[Complex, Tensor]:
    """Chord segments become edges, every cycle of left turns a face; returns the complex and each face's parent."""
    m, base = len(chords.p), len(cells.edges) + len(cuts.t)
    segment_edges = _segment_edges(chords, crossings)
    follow = _left_turns(touched, chords, crossings)
    heads, order, lengths = cycles(follow)
    whole = torch.cat([touched.half_edges, 2 * base + torch.arange(2 * (m + 2 * crossings.n))])
    parent_of = torch.cat([torch.repeat_interleave(touched.starts.diff()), _segment_faces(chords, crossings)])
    parent = parent_of[heads]
    expected = 1 + torch.bincount(chords.face, minlength=len(touched.faces))
    if crossings.n:
        expected += torch.bincount(chords.face[crossings.chord], minlength=len(touched.faces)) // 2
    wrong = torch.bincount(parent, minlength=len(touched.faces)) != expected
    if bool(wrong.any()):
        raise Flagged(chords.column[wrong[chords.face]])
    kept = torch.nonzero(touched.untouched).view(-1)
    sides = cells.ring_offsets.diff()[kept]
    ring = torch.cat([cells.ring[ranges(cells.ring_offsets[kept], sides)], whole[order]])
    offsets = torch.zeros(len(kept) + len(heads) + 1, dtype=torch.int64)
    torch.cumsum(torch.cat([sides, lengths]), 0, out=offsets[1:])
    of_segment = torch.cat([chords.column, chords.column[crossings.chord]])
    refined = Complex(
        cells.n_vertices + len(cuts.t) + crossings.n,
        torch.cat([cut_edges(cells, cuts), segment_edges]),
        torch.cat([cells.edge_op, cells.edge_op[cuts.edge], torch.full((len(of_segment),), op, dtype=torch.int32)]),
        torch.cat([cells.edge_unit, cells.edge_unit[cuts.edge], units[of_segment].to(torch.int32)]),
        offsets,
        ring,
    )
    return refined, torch.cat([kept, touched.faces[parent]])


def _segment_edges(chords: Chords, crossings: Crossings) -> Tensor:
    """(M + 2X, 2): segment c starts chord c, segment M + x follows sorted crossing x."""
    m, n = len(chords.p), len(crossings.chord)
    edges = torch.empty((m + n, 2), dtype=torch.int64)
    edges[:m, 0], edges[:m, 1] = chords.start, chords.end
    if n:
        last = torch.ones(n, dtype=torch.bool)
        last[:-1] = crossings.chord[1:] != crossings.chord[:-1]
        edges[m:, 0] = crossings.vertex
        edges[m:, 1] = torch.where(last, chords.end[crossings.chord], crossings.vertex.roll(-1))
        first = last.roll(1)
        edges[crossings.chord[first], 1] = crossings.vertex[first]
    return edges


def _segment_faces(chords: Chords, crossings: Crossings) -> Tensor:
    """Touched face of every half-edge of a segment."""
    return torch.repeat_interleave(torch.cat([chords.face, chords.face[crossings.chord]]), 2)


def _left_turns(touched: Touched, chords: Chords, crossings: Crossings) -> Tensor:
    """Successor of every half-edge around its new face.

    Numbering: 0..G-1 the boundary in ring order, then ``G + 2*segment + d``. On a ring that runs counter-clockwise the
    arc from p to q lies to the right of the chord p -> q, which fixes every turn without coordinates.
    """
    g, m, n = len(touched.half_edges), len(chords.p), len(crossings.chord)
    follow = torch.empty(g + 2 * (m + n), dtype=torch.int64)
    follow[:g] = torch.arange(1, g + 1)
    follow[touched.starts[1:] - 1] = touched.starts[:-1]
    before = torch.arange(-1, g - 1)
    before[touched.starts[:-1]] = touched.starts[1:] - 1
    last = torch.arange(m)
    if n:
        is_last = torch.ones(n, dtype=torch.bool)
        is_last[:-1] = crossings.chord[1:] != crossings.chord[:-1]
        last[crossings.chord[is_last]] = m + torch.nonzero(is_last).view(-1)
    follow[before[chords.p]] = g + 2 * torch.arange(m)
    follow[before[chords.q]] = g + 2 * last + 1
    follow[g + 2 * last] = chords.q
    follow[g + 2 * torch.arange(m) + 1] = chords.p
    if n:
        following = m + torch.arange(n)
        is_first = is_last.roll(1)
        preceding = torch.where(is_first, crossings.chord, following - 1)
        i, j = crossings.on_i, crossings.on_j
        follow[g + 2 * preceding[i]] = g + 2 * following[j]
        follow[g + 2 * following[i] + 1] = g + 2 * preceding[j] + 1
        follow[g + 2 * preceding[j]] = g + 2 * preceding[i] + 1
        follow[g + 2 * following[j] + 1] = g + 2 * following[i]
    return follow


def cycles(follow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cycles of a permutation: (heads, members cycle by cycle in order, lengths)."""
    n = len(follow)
    follow = follow.to(torch.int32)  # half the memory to move: three times as fast
    label, jump = torch.arange(n, dtype=torch.int32), follow
    while True:
        label = torch.minimum(label, label.index_select(0, jump))
        jump = jump.index_select(0, jump)
        if torch.equal(label, label.index_select(0, follow)):
            break
    heads = torch.nonzero(label == torch.arange(n)).view(-1)
    lengths = torch.bincount(label, minlength=n)[heads]
    offsets = lengths.cumsum(0) - lengths
    order = torch.empty(n, dtype=torch.int64)
    by_length = torch.argsort(lengths, descending=True)
    current, place = heads[by_length].to(torch.int32), offsets[by_length]
    longer = (len(heads) - torch.bincount(lengths).cumsum(0)).tolist()  # how many cycles are longer than each length
    step, active = 0, len(heads)
    while active:
        current, place = current[:active], place[:active]
        order[place + step] = current.long()
        current = follow.index_select(0, current)
        step += 1
        active = longer[step]
    return heads, order, lengths
