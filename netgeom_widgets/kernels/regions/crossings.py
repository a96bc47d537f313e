"""Which units cut which faces, and where their chords cross: by ring positions, and by values at the ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.assembly import Chords, Crossings, Flagged, check_limit
from netgeom_widgets.kernels.regions.cells import Complex, ranges
from netgeom_widgets.kernels.regions.cuts import Cuts, Touched, along_groups
from netgeom_widgets.kernels.regions.polylines import Lines

# Chord pairs tested for crossing at a time: bounds the temporary arrays to a few hundred MB.
_PAIRS_AT_ONCE = 1 << 22


def too_close(group: Tensor, position: Tensor, margin: Tensor, tolerance: float) -> Tensor:
    """Indices i of sorted entries i, i+1 of one group nearer than the tolerance, or than the sort key resolves.

    ``margin`` is the distance over which the entry's own unit stays within its threshold: a neighbour inside it is a
    vertex through which that unit passes, however flat the angle at which it does.
    """
    if len(group) < 2:
        return group.new_empty(0)
    resolved = max(tolerance, 2.0**-51 * float(group[-1] + 1))
    near = torch.maximum(margin[1:], margin[:-1]).clamp_(min=resolved)
    return torch.nonzero((group[1:] == group[:-1]) & (position[1:] - position[:-1] <= near)).view(-1)


def pair_chords(touched: Touched, cuts: Cuts, n_vertices: int, n_columns: int) -> Chords:
    """Every unit that cuts a face owns exactly two ring positions."""
    key = touched.face * n_columns + cuts.column[touched.cut]
    order = torch.sort(key, stable=True).indices
    key = key[order]
    odd = len(key) % 2 == 1
    if odd or not torch.equal(key[0::2], key[1::2]) or bool((key[2::2] == key[1:-1:2]).any()):
        values, counts = key.unique(return_counts=True)
        raise Flagged(values[counts != 2] % n_columns)
    p, q = order[0::2], order[1::2]
    in_order = torch.argsort(p)
    p, q = p[in_order], q[in_order]
    cut_p, cut_q = touched.cut[p], touched.cut[q]
    return Chords(
        touched.face[p],
        cuts.column[cut_p],
        touched.position[p],
        touched.position[q],
        n_vertices + cut_p,
        n_vertices + cut_q,
    )


def find_crossings(
    chords: Chords, n_touched: int, n_faces: int, limit: int, checkpoint: Callable[[], None]
) -> tuple[Tensor, Tensor]:
    """Chord pairs (i, j), p_i < p_j, whose ends interleave around their face.

    Every pair is one face more than the ``n_faces`` there are without: beyond the limit they are only counted.
    """
    found_i, found_j = [], []
    for i, j in _chord_pairs(chords.face, n_touched):
        checkpoint()
        crossing = torch.nonzero((chords.p[j] < chords.q[i]) & (chords.q[i] < chords.q[j])).view(-1)
        n_faces += len(crossing)
        if n_faces <= limit:
            found_i.append(i[crossing])
            found_j.append(j[crossing])
    check_limit(n_faces, limit)
    return torch.cat(found_i), torch.cat(found_j)


def _chord_pairs(face: Tensor, n_faces: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All pairs i < j of chords in one face, a bounded number at a time."""
    end = torch.bincount(face, minlength=n_faces).cumsum(0)[face]
    later = end - torch.arange(len(face)) - 1
    done = torch.cat([later.new_zeros(1), later.cumsum(0)])
    total, at = int(done[-1]), 0
    if not total:
        empty = face.new_empty(0)
        yield empty, empty
    while at < len(face) and int(done[at]) < total:
        stop = max(at + 1, int(torch.searchsorted(done, done[at] + _PAIRS_AT_ONCE, right=True)) - 1)
        rows = torch.arange(at, stop)
        i = torch.repeat_interleave(rows, later[rows])
        yield i, ranges(rows + 1, later[rows])
        at = stop


def lines_of(cells: Complex, values: Tensor, cuts: Cuts, units: Tensor, vertices: Tensor) -> Lines:
    """The cut edges."""
    start, end = cells.edges[cuts.edge].T
    before, after = values[start, cuts.column], values[end, cuts.column]
    own = torch.ones(len(vertices), dtype=torch.bool)
    return Lines(cuts.edge, start, end, cuts.t, units, before, after, vertices, own)


def place_crossings(
    cells: Complex,
    values: Tensor,
    thresholds: Tensor,
    cuts: Cuts,
    chords: Chords,
    i: Tensor,
    j: Tensor,
    tolerance: float,
) -> tuple[Crossings, Lines]:
    """Order the crossings along both chords, from the other unit's value at a chord's two ends."""
    a, b = cells.edges[cuts.edge, 0], cells.edges[cuts.edge, 1]
    flat, width = values.reshape(-1), values.shape[1]

    def at_cut(vertex: Tensor, column: Tensor) -> Tensor:
        cut = vertex - cells.n_vertices
        return torch.lerp(flat[a[cut] * width + column], flat[b[cut] * width + column], cuts.t[cut])

    chord, other = torch.cat([i, j]), torch.cat([j, i])
    column = chords.column[other]
    u, v = at_cut(chords.start[chord], column), at_cut(chords.end[chord], column)
    change = u - v
    s = u / change
    margin = (thresholds[column] / change.abs_()).clamp_(min=tolerance)
    bad = torch.nonzero(~((u * v < 0) & (s > margin) & (s < 1 - margin))).view(-1)
    if len(bad):
        raise Flagged(chords.column[torch.cat([chord[bad], other[bad]])])
    order = along_groups(chord, s)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    sorted_chord, t = chord[order], s[order]
    close = too_close(sorted_chord, t, margin[order], tolerance)
    if len(close):
        near = torch.cat([order[close], order[close + 1]])
        raise Flagged(chords.column[torch.cat([chord[near], other[near]])])
    vertex = cells.n_vertices + len(cuts.t) + order % max(1, len(i))
    ends = chords.start[sorted_chord], chords.end[sorted_chord]
    lines = Lines(sorted_chord, *ends, t, column[order], u[order], v[order], vertex, order < len(i))
    return Crossings(len(i), sorted_chord, vertex, rank[: len(i)], rank[len(i) :]), lines
