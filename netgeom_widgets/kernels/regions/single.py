"""Cutting the complex by one unit, which may pass through vertices: concurrency is then an ordinary shared vertex."""

from __future__ import annotations

import torch
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions.assembly import Chords, Crossings, Flagged, assemble, check_limit
from netgeom_widgets.kernels.regions.cells import Complex, Recipe, any_per_face
from netgeom_widgets.kernels.regions.cuts import cut_edges, expand_rings, find_cuts
from netgeom_widgets.kernels.regions.signs import pack


def split_one(
    cells: Complex, values: Tensor, threshold: float, recipe: Recipe, op: int, unit: Tensor, limit: int
) -> tuple[Complex, Tensor]:
    """One unit, which may pass through vertices: chords end at cuts or at vertices between strictly opposite signs."""
    n = cells.n_vertices
    positive, negative = values > threshold, values < -threshold
    on_hinge = torch.nonzero(~(positive | negative)).view(-1)
    recipe.vanish(on_hinge, unit.expand(len(on_hinge)))
    origins = cells.origins
    both = any_per_face(positive[origins], cells.ring_offsets) & any_per_face(negative[origins], cells.ring_offsets)
    n_cut = int(both.sum())
    if not n_cut:
        return cells, torch.arange(cells.n_faces)
    check_limit(cells.n_faces + n_cut, limit)
    cuts = find_cuts(cells, values[:, None], pack(positive[:, None]), pack(negative[:, None]))
    touched = expand_rings(cells, cuts, both)
    if len(cuts.t):
        ends = cells.edges[cuts.edge]
        recipe.add(ends[:, 0], ends[:, 1], cuts.t)
        recipe.vanish(n + torch.arange(len(cuts.t)), unit.expand(len(cuts.t)))
    sign = torch.cat([positive.long() - negative.long(), torch.zeros(len(cuts.t), dtype=torch.int64)])
    vertex = cut_edges(cells, cuts).view(-1)[touched.half_edges]
    p, q = sign_changes(sign[vertex], touched.starts)
    face = torch.arange(len(touched.faces))
    chords = Chords(face, torch.zeros_like(face), p, q, vertex[p], vertex[q])
    empty = face.new_empty(0)
    try:
        return assemble(cells, cuts, touched, chords, Crossings(0, empty, empty, empty, empty), op, unit)
    except Flagged:
        raise NOT_CONVEX from None


NOT_CONVEX = NetgeomError(
    "A hinge crosses a convex cell more than once: rounding exceeds the tolerance",
    try_this="a larger tolerance, or a domain in which the network's values are of ordinary size",
)


def sign_changes(s: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
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
        raise NOT_CONVEX
    end = previous[changes] + 1
    owner = face[changes]
    end = torch.where(end >= starts[owner + 1], starts[owner], end)
    first, second = end[0::2], end[1::2]
    return torch.minimum(first, second), torch.maximum(first, second)
