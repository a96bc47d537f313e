"""Removing the edges across which no winner changes, and the vertices that only they needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Int16
from numpy import ndarray
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from netgeom_widgets.kernels.regions.assembly import cycles
from netgeom_widgets.kernels.regions.cells import Complex, ranges

_PAIRS_AT_ONCE = 1 << 22


@dataclass(eq=False)
class Winners:
    """Winner of every varying window in every face: as before the cut, but for the windows that were open in it."""

    dense: Int16[ndarray, "F0 A"]  # of the faces before the cut, -1 where a window was open
    open_face: ndarray  # (P0,) and which those were, sorted by face
    open_column: ndarray  # (P0,)
    root: Tensor  # (F,) the face before the cut
    first: Tensor  # (F+1,) where the open windows of face f begin
    winners: Tensor  # (P,) int16

    @property
    def n_open(self) -> Tensor:
        """(F,) open windows of each face's root."""
        return self.first.diff()

    def columns(self, faces: Tensor) -> Tensor:
        """Columns of the open windows of some faces, face by face."""
        of_root = torch.from_numpy(np.searchsorted(self.open_face, np.arange(len(self.dense))))
        return torch.from_numpy(self.open_column)[ranges(of_root[self.root[faces]], self.n_open[faces])]

    def of_faces(self, start: int, stop: int) -> Int16[ndarray, "f A"]:
        """Winners of all varying windows in the faces from ``start`` to before ``stop``."""
        faces = torch.arange(start, stop)
        found = self.dense[self.root[start:stop].numpy()]
        rows = torch.repeat_interleave(faces - start, self.n_open[start:stop])
        found[rows.numpy(), self.columns(faces).numpy()] = self.winners[self.first[start] : self.first[stop]].numpy()
        return found

    def chosen(self, faces: Tensor) -> Winners:
        """The same for some of the faces."""
        size = self.n_open[faces]
        first = torch.cat([size.new_zeros(1), size.cumsum(0)])
        winners = self.winners[ranges(self.first[faces], size)]
        return Winners(self.dense, self.open_face, self.open_column, self.root[faces], first, winners)

    def first_change(self, left: Tensor, right: Tensor) -> Tensor:
        """The first column in which two faces of one root differ, -1 where they do not."""
        found = [left.new_empty(0)]
        size = self.n_open[left]
        step = max(1, int(_PAIRS_AT_ONCE // max(1, int(size.max()) if len(size) else 1)))
        for at in range(0, len(left), step):
            f, g, n = left[at : at + step], right[at : at + step], size[at : at + step]
            differs = self.winners[ranges(self.first[f], n)] != self.winners[ranges(self.first[g], n)]
            owner = torch.repeat_interleave(n)[differs]
            change = torch.full((len(f),), len(self.dense[0])).scatter_reduce_(
                0, owner, self.columns(f)[differs], "amin"
            )
            found.append(torch.where(change < len(self.dense[0]), change, -1))
        return torch.cat(found)


@dataclass(eq=False)
class Merged:
    """The complex without what was surplus."""

    complex: Complex
    winners: Winners
    kept: Tensor  # (V_new,) the vertices that stay


def merge(cells: Complex, winners: Winners, windows: Tensor, op: int, n_old: int) -> Merged:
    """Label the edges of activation ``op`` by the first window whose winner changes; remove those where none does.

    ``windows`` (A,) are the numbers of the varying windows. Vertices from ``n_old`` on go when no edge ends in them any
    more, or when they only divide one: there two edges meet, on one line since faces are convex.
    """
    removed = torch.zeros(len(cells.edges), dtype=torch.bool)
    removed[label_edges(cells, winners, windows, op)] = True
    if bool(removed.any()):
        cells, representative = _without_edges(cells, removed, _half_faces(cells))
        winners = winners.chosen(representative)
    cells, kept = _without_vertices(cells, removed, n_old)
    return Merged(cells, winners, kept)


def label_edges(cells: Complex, winners: Winners, units: Tensor, op: int) -> Tensor:
    """Label each edge of activation ``op`` inside a root face by the first unit that changes; the edges without one.

    ``units`` (A,) are the numbers of the varying columns.
    """
    left, right = _half_faces(cells).view(-1, 2).T
    inside = (cells.edge_op == op) & (left >= 0) & (right >= 0) & (winners.root[left] == winners.root[right])
    made = torch.nonzero(inside).view(-1)
    change = winners.first_change(left[made], right[made])
    cells.edge_unit[made] = units[change.clamp(min=0)].to(torch.int32)
    return made[change < 0]


def _half_faces(cells: Complex) -> Tensor:
    """(2E,) the face on the left of each half-edge, -1 outside."""
    found = torch.full((2 * len(cells.edges),), -1)
    found[cells.ring] = cells.ring_faces
    return found


def _without_edges(cells: Complex, removed: Tensor, half_faces: Tensor) -> tuple[Complex, Tensor]:
    """Faces on the two sides of a removed edge become one; edges keep their numbers, (F_new,) a face of each."""
    gone = torch.nonzero(removed).view(-1)
    label = _components(half_faces[2 * gone], half_faces[2 * gone + 1], cells.n_faces)
    size = torch.bincount(label)
    joined = size[label] > 1
    # The ring of a joined face: where the next side was removed, go on behind it, around the vertex.
    entry = torch.nonzero(joined[cells.ring_faces]).view(-1)
    half = cells.ring[entry]
    following = torch.full((2 * len(cells.edges),), -1)
    following[cells.ring] = cells.ring[_next_entry(cells.ring_offsets)]
    half = half[~removed[half >> 1]]
    after = following[half]
    while len(on := torch.nonzero(removed[after >> 1]).view(-1)):
        after[on] = following[after[on] ^ 1]
    place = torch.full((2 * len(cells.edges),), -1)
    place[half] = torch.arange(len(half))
    heads, order, lengths = cycles(place[after])
    whole = torch.nonzero(~joined).view(-1)
    sides = cells.ring_offsets.diff()[whole]
    ring = torch.cat([cells.ring[ranges(cells.ring_offsets[whole], sides)], half[order]])
    offsets = torch.cat([sides.new_zeros(1), torch.cat([sides, lengths]).cumsum(0)])
    cells = Complex(cells.n_vertices, cells.edges, cells.edge_op, cells.edge_unit, offsets, ring)
    return cells, torch.cat([whole, half_faces[half[heads]]])


def _without_vertices(cells: Complex, removed: Tensor, n_old: int) -> tuple[Complex, Tensor]:
    """Drop removed edges, vertices without edges, and vertices that only divide an edge; (V_new,) those that stay."""
    kept_edges = torch.nonzero(~removed).view(-1)
    degree = torch.bincount(cells.edges[kept_edges].view(-1), minlength=cells.n_vertices)
    dividing = degree == 2
    dividing[:n_old] = False
    keep = ~dividing
    keep[n_old:] &= degree[n_old:] > 0
    kept = torch.nonzero(keep).view(-1)
    if len(kept) == cells.n_vertices and len(kept_edges) == len(cells.edges):
        return cells, kept
    # Parts of one divided edge: those that share a dividing vertex, which has exactly two of them.
    ends = cells.edges[kept_edges]
    at = torch.nonzero(dividing[ends].view(-1)).view(-1)
    at = at[torch.argsort(ends.view(-1)[at], stable=True)] >> 1
    part = _components(at[0::2], at[1::2], len(kept_edges))
    # Each whole edge has two half-edges that start at a vertex that stays, one in each direction.
    start = torch.nonzero(keep[ends].view(-1)).view(-1)
    start = start[torch.argsort(part[start >> 1], stable=True)]
    number = torch.full((cells.n_vertices,), -1)
    number[kept] = torch.arange(len(kept))
    renamed = torch.full((2 * len(cells.edges),), -1)
    renamed[2 * kept_edges[start >> 1] + (start & 1)] = torch.arange(len(start))
    half = renamed[cells.ring]
    total = torch.cat([half.new_zeros(1), (half >= 0).cumsum(0)])
    first = torch.full((int(part.max()) + 1,), len(kept_edges)).scatter_reduce_(
        0, part, torch.arange(len(kept_edges)), "amin"
    )
    labels = kept_edges[first]
    return (
        Complex(
            len(kept),
            number[ends.view(-1)[start]].view(-1, 2),
            cells.edge_op[labels],
            cells.edge_unit[labels],
            total[cells.ring_offsets],
            half[half >= 0],
        ),
        kept,
    )


def _components(a: Tensor, b: Tensor, n: int) -> Tensor:
    """(n,) number of the connected component of each node, numbered by their first nodes."""
    links = sp.coo_array((np.ones(len(a), dtype=np.int8), (a.numpy(), b.numpy())), shape=(n, n))
    return torch.from_numpy(connected_components(links, directed=False)[1].astype(np.int64))


def _next_entry(offsets: Tensor) -> Tensor:
    """The next entry of each ring entry, cyclically within its face."""
    after = torch.arange(1, int(offsets[-1]) + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return after
