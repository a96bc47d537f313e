"""Where pre-activations change sign along the edges, and the rings of the cut faces with those points inserted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.cells import Complex, ranges
from netgeom_widgets.kernels.regions.signs import set_bits, words


@dataclass(eq=False)
class Cuts:
    """Crossings of edges with units, sorted along each edge; cut ``c`` becomes vertex ``n_vertices + c``."""

    edge: Tensor  # (C,)
    column: Tensor  # (C,)
    t: Tensor  # (C,) from edges[edge, 0]
    change: Tensor  # (C,) by how much the unit's value changes along the edge
    count: Tensor  # (E,) cuts of each edge
    first: Tensor  # (E,) its first cut


def find_cuts(cells: Complex, values: Tensor, positive: Tensor, negative: Tensor | None = None) -> Cuts:
    """Edges whose ends have strictly opposite signs, given as bits; without ``negative`` no value is zero."""
    a, b = cells.edges[:, 0], cells.edges[:, 1]
    plus = words(positive)
    if negative is None:
        differs = plus.index_select(0, a) ^ plus.index_select(0, b)
    else:
        minus = words(negative)
        differs = (plus[a] & minus[b]) | (minus[a] & plus[b])
    edge, column = set_bits(differs.view(torch.uint8))
    start = values[a[edge], column]
    change = start - values[b[edge], column]
    t = start / change
    count = torch.bincount(edge, minlength=len(a))
    if len(edge) and int(count.max()) > 1:
        order = along_groups(edge, t)
        edge, column, t, change = edge[order], column[order], t[order], change[order]
    return Cuts(edge, column, t, change.abs_(), count, count.cumsum(0) - count)


def along_groups(group: Tensor, position: Tensor) -> Tensor:
    """Order by group, then by position in (0, 1).

    One sort by their sum. Positions of one group that this key cannot resolve are near enough to be withheld
    (`crossings.too_close`); a position so near 1 that the sum reaches the next group takes a second sort.
    """
    order = torch.argsort(group + position)
    sorted_group = group[order]
    if bool((sorted_group[1:] < sorted_group[:-1]).any()):
        order = torch.argsort(position)
        order = order[torch.argsort(group[order], stable=True)]
    return order


def cut_edges(cells: Complex, cuts: Cuts) -> Tensor:
    """(E + C, 2) end vertices after every edge is cut into its parts."""
    n_edges, n_cuts = len(cells.edges), len(cuts.t)
    vertices = cells.n_vertices + torch.arange(n_cuts)
    edges = torch.empty((n_edges + n_cuts, 2), dtype=torch.int64)
    edges[:n_edges] = cells.edges
    if n_cuts:
        edges[n_edges:, 0] = vertices
        last = torch.ones(n_cuts, dtype=torch.bool)
        last[:-1] = cuts.edge[1:] != cuts.edge[:-1]
        edges[n_edges:, 1] = torch.where(last, cells.edges[cuts.edge, 1], vertices + 1)
        first = torch.ones(n_cuts, dtype=torch.bool)
        first[1:] = last[:-1]
        edges[cuts.edge[first], 1] = vertices[first]
    return edges


@dataclass(eq=False)
class Touched:
    """The faces that are cut, their rings with the cut vertices inserted; positions count through all of them."""

    faces: Tensor  # (T,) ids of the cut faces
    untouched: Tensor  # (F,) bool
    half_edges: Tensor  # (G,) half-edges after cutting the edges
    starts: Tensor  # (T+1,) first position of each cut face
    position: Tensor  # (N,) position of every appearance of a cut vertex, in ring order
    cut: Tensor  # (N,) which cut it is
    face: Tensor  # (N,) index into faces


def expand_rings(cells: Complex, cuts: Cuts, touched: Tensor) -> Touched:
    """Insert cut vertices in the rings. Part 0 of edge e keeps its number; the part after cut c is E + c."""
    sides = cells.ring_offsets.diff()
    faces = torch.nonzero(touched).view(-1)
    entry = ranges(cells.ring_offsets[faces], sides[faces])
    ring = cells.ring[entry]
    edge, backward = ring >> 1, ring & 1
    count = cuts.count[edge]
    length = count + 1
    ends = length.cumsum(0)
    starts = torch.zeros(len(faces) + 1, dtype=torch.int64)
    starts[1:] = ends[sides[faces].cumsum(0) - 1]
    total = int(starts[-1])
    new = torch.empty(total, dtype=torch.int64)
    at = ends - length
    last = cuts.first[edge] + count - 1
    n_edges = len(cells.edges)
    new[at] = torch.where((backward == 1) & (count > 0), 2 * (n_edges + last) + 1, ring)
    cut_entries = torch.nonzero(count).view(-1)
    owner = torch.repeat_interleave(cut_entries, count[cut_entries])
    rank = ranges(torch.zeros_like(cut_entries), count[cut_entries])  # 0 .. count-1 along the traversal
    flipped = backward[owner] == 1
    cut = torch.where(flipped, last[owner] - rank, cuts.first[edge[owner]] + rank)
    position = at[owner] + 1 + rank
    # The half-edge that leaves cut vertex c: forward it is part E + c; backward the part before c, which is e itself
    # for the first cut.
    before = torch.where(cut == cuts.first[edge[owner]], edge[owner], n_edges + cut - 1)
    new[position] = torch.where(flipped, 2 * before + 1, 2 * (n_edges + cut))
    face = torch.repeat_interleave(sides[faces])[owner]
    return Touched(faces, ~touched, new, starts, position, cut, face)
