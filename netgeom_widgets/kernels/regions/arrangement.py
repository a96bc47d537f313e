"""Refinement of a planar cell complex by the zero lines of piecewise-linear pre-activations.

The complex is a subdivision of a convex polygon into convex faces that share vertices and edges. A pre-activation is
affine inside every face, so its values at the vertices decide everything: which edges it cuts, in which faces it is a
chord, and which chords cross. Faces are then found by turning left at every crossing; coordinates are never compared or
sorted.

Two forms of the same step exist. `_split_together` inserts many units at once and is right for units in general
position. Units that are not (a hinge through an existing vertex, concurrent or duplicate hinges) are recognised,
withheld, and inserted by `_split_by_face`, one at a time in each face, where concurrency is an ordinary shared vertex.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.assembly import Chords, Crossings, Flagged, assemble, check_limit
from netgeom_widgets.kernels.regions.cells import Complex, Recipe, any_per_face, ranges
from netgeom_widgets.kernels.regions.coincident import follow, leaders
from netgeom_widgets.kernels.regions.cuts import Cuts, Touched, along_groups, expand_rings, find_cuts
from netgeom_widgets.kernels.regions.merging import Winners, label_edges
from netgeom_widgets.kernels.regions.polylines import Lines
from netgeom_widgets.kernels.regions.rounds import Margins, Rounds
from netgeom_widgets.kernels.regions.signs import bits_above, bits_below, pack, set_bits, words
from netgeom_widgets.kernels.regions.windows import Windows

# Chord pairs tested for crossing at a time: bounds the temporary arrays to a few hundred MB.
_PAIRS_AT_ONCE = 1 << 22


@dataclass(eq=False)
class Refined:
    """A refined complex, the recipe of its vertices and the old face each new face lies in."""

    complex: Complex
    recipe: Recipe
    parents: Tensor  # (F_new,) int64
    snapped_vertices: Tensor  # (S,) old vertices at which a value counted as zero
    snapped_columns: Tensor  # (S,) and the columns in which it did


def refine(
    cells: Complex,
    values: Tensor,
    thresholds: Tensor,
    cutting: Tensor,
    *,
    op: int,
    units: Tensor,
    tolerance: float,
    limit: int,
    checkpoint: Callable[[], None] = lambda: None,
) -> Refined:
    """Cut every face along the zero lines of ``values``.

    Parameters
    ----------
    cells : Complex
    values : Tensor
        (V, n) float64 pre-activations at the vertices.
    thresholds : Tensor
        (n,) below it a value counts as zero.
    cutting : Tensor
        (n,) bool, the columns that take both signs beyond their threshold; the others are not looked at.
    op, units : int, Tensor
        Label of the new edges: activation op, and (n,) unit numbers, ascending.
    tolerance : float
        Two crossings nearer than this share of their edge or chord are treated as concurrent.
    limit : int
        Most faces allowed.
    checkpoint : callable
        Called between units, and between the parts of a large cut; may raise to cancel.

    Raises
    ------
    TooLargeError
        More than ``limit`` faces would arise; nothing was allocated for them.
    """
    positive, negative = bits_above(values, thresholds), bits_below(values, -thresholds)
    mask = words(pack(cutting[None]))
    words(positive).bitwise_and_(mask)
    vertices, columns = set_bits((mask & ~(words(positive) | words(negative))).view(torch.uint8))
    recipe = Recipe()
    if not len(columns):
        try:
            cells, parents = _split_together(
                cells, values, thresholds, positive, recipe, op, units, tolerance, limit, checkpoint
            )
            return Refined(cells, recipe, parents, vertices, columns)
        except Flagged:
            pass
    recipe.vanish(vertices, units[columns])
    chosen = torch.nonzero(cutting).view(-1)
    snapped = torch.zeros(len(cutting), dtype=torch.bool).index_fill_(0, columns, True)[chosen]
    cells, recipe, parents = _split_with_care(
        cells, values[:, chosen], thresholds[chosen], snapped, recipe, op, units[chosen], tolerance, limit, checkpoint
    )
    return Refined(cells, recipe, parents, vertices, columns)


def _split_with_care(
    cells: Complex,
    values: Tensor,
    thresholds: Tensor,
    snapped: Tensor,
    recipe: Recipe,
    op: int,
    units: Tensor,
    tolerance: float,
    limit: int,
    checkpoint: Callable[[], None],
) -> tuple[Complex, Recipe, Tensor]:
    """One of each group of coinciding units, those in general position together and the others face by face."""
    leader = leaders(values, thresholds)  # most often hinges that meet coincide: then one of each is enough
    parents = torch.arange(cells.n_faces)
    general = torch.nonzero(~snapped).view(-1)
    while len(general := general[leader[general] == general]):
        checkpoint()
        try:
            part = values[:, general]
            bits = bits_above(part, 0.0)
            cells, parents = _split_together(
                cells, part, thresholds[general], bits, recipe, op, units[general], tolerance, limit, checkpoint
            )
            break
        except Flagged as flagged:
            general = _without(general, flagged.columns)
    withheld = _without(torch.arange(values.shape[1]), general)
    withheld = withheld[leader[withheld] == withheld]
    if len(withheld):
        cells, parents = _split_by_face(
            cells, parents, values[:, withheld], thresholds[withheld], recipe, op, units[withheld], limit, checkpoint
        )
    recipe.lines = ()  # those that follow another bend there too
    return cells, follow(recipe, leader, units), parents


def _split_by_face(
    cells: Complex,
    parents: Tensor,
    values: Tensor,
    thresholds: Tensor,
    recipe: Recipe,
    op: int,
    units: Tensor,
    limit: int,
    checkpoint: Callable[[], None],
) -> tuple[Complex, Tensor]:
    """Every face by one unit after the other, each seeing the vertices that the ones before it made."""
    values = recipe.extend(values)
    face, column = _crossed(cells, values, thresholds)
    # A unit is on where it exceeds zero: a maximum of two entries, of which the first, zero, wins a tie.
    n = len(units)
    windows = Windows(torch.stack([torch.full((n,), n), torch.arange(n)], 1), (n,))
    never = torch.full((1,), torch.inf, dtype=values.dtype)
    margins = Margins(thresholds, torch.cat([thresholds, never]), thresholds.new_zeros(n + 1))
    with_zero = torch.cat([values, values.new_zeros((len(values), 1))], 1)
    rounds = Rounds(
        cells,
        lambda entries: with_zero[:, entries],
        windows,
        margins,
        torch.arange(n),
        torch.zeros(len(values), dtype=torch.bool),
        face.numpy(),
        column.numpy(),
        op=op,
        checkpoint=checkpoint,
    )
    rounds.run(limit)
    dense = np.empty((cells.n_faces, n), dtype=np.int16)  # nothing is asked of units that are not open
    winners = Winners(dense, face.numpy(), column.numpy(), rounds.root, rounds.first, rounds.winners)
    label_edges(rounds.cells, winners, units, op)
    recipe.in_turn = True
    recipe.steps += rounds.recipe.steps
    vertices, columns = torch.nonzero(rounds.recipe.extend(values).abs() <= thresholds, as_tuple=True)
    recipe.vanish(vertices, units[columns])
    return rounds.cells, parents[rounds.root]


def _crossed(cells: Complex, values: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """(face, column) of the columns that take both signs beyond their threshold at a face's corners, face by face."""
    origins, starts = cells.origins, cells.ring_offsets[:-1].numpy()
    signs = (words(bits)[origins].numpy() for bits in (bits_above(values, thresholds), bits_below(values, -thresholds)))
    above, below = (np.bitwise_or.reduceat(sign, starts, axis=0) for sign in signs)
    return set_bits(torch.from_numpy(above & below).view(torch.uint8))


def _without(columns: Tensor, positions: Tensor) -> Tensor:
    keep = torch.ones(len(columns), dtype=torch.bool)
    keep[positions] = False
    return columns[keep]


def _too_close(group: Tensor, position: Tensor, margin: Tensor, tolerance: float) -> Tensor:
    """Indices i of sorted entries i, i+1 of one group nearer than the tolerance, or than the sort key resolves.

    ``margin`` is the distance over which the entry's own unit stays within its threshold: a neighbour inside it is a
    vertex through which that unit passes, however flat the angle at which it does.
    """
    if len(group) < 2:
        return group.new_empty(0)
    resolved = max(tolerance, 2.0**-51 * float(group[-1] + 1))
    near = torch.maximum(margin[1:], margin[:-1]).clamp_(min=resolved)
    return torch.nonzero((group[1:] == group[:-1]) & (position[1:] - position[:-1] <= near)).view(-1)


def _pair_chords(touched: Touched, cuts: Cuts, n_vertices: int, n_columns: int) -> Chords:
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


def _find_crossings(
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


def _split_together(
    cells: Complex,
    values: Tensor,
    thresholds: Tensor,
    positive: Tensor,
    recipe: Recipe,
    op: int,
    units: Tensor,
    tolerance: float,
    limit: int,
    checkpoint: Callable[[], None],
) -> tuple[Complex, Tensor]:
    """All units at once; nothing is recorded in ``recipe`` unless the attempt succeeds."""
    n = cells.n_vertices
    cuts = find_cuts(cells, values, positive)
    close = _too_close(cuts.edge, cuts.t, thresholds[cuts.column] / cuts.change, tolerance)
    if len(close):
        raise Flagged(torch.cat([cuts.column[close], cuts.column[close + 1]]))
    cut_entry = cuts.count[cells.ring >> 1] > 0
    touched = expand_rings(cells, cuts, any_per_face(cut_entry, cells.ring_offsets))
    chords = _pair_chords(touched, cuts, n, values.shape[1])
    i, j = _find_crossings(chords, len(touched.faces), cells.n_faces + len(chords.p), limit, checkpoint)
    crossings, crossed = _place_crossings(cells, values, thresholds, cuts, chords, i, j, tolerance)
    checkpoint()
    refined = assemble(cells, cuts, touched, chords, crossings, op, units)
    ends = cells.edges[cuts.edge]
    recipe.add(ends[:, 0], ends[:, 1], cuts.t)
    vertices = n + torch.arange(len(cuts.t))
    recipe.vanish(vertices, units[cuts.column])
    recipe.lines = (_lines_of(cells, values, cuts, units[cuts.column], vertices),)
    if len(i):
        recipe.add(chords.start[i], chords.end[i], crossed.t[crossings.on_i])
        vertices = n + len(cuts.t) + torch.arange(len(i))
        both = torch.stack([chords.column[i], chords.column[j]], 1)
        recipe.vanish(vertices.repeat_interleave(2), units[both.view(-1)])
        crossed.unit = units[crossed.unit]
        recipe.lines += (crossed,)
    return refined


def _lines_of(cells: Complex, values: Tensor, cuts: Cuts, units: Tensor, vertices: Tensor) -> Lines:
    """The cut edges."""
    start, end = cells.edges[cuts.edge].T
    before, after = values[start, cuts.column], values[end, cuts.column]
    own = torch.ones(len(vertices), dtype=torch.bool)
    return Lines(cuts.edge, start, end, cuts.t, units, before, after, vertices, own)


def _place_crossings(
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
    close = _too_close(sorted_chord, t, margin[order], tolerance)
    if len(close):
        near = torch.cat([order[close], order[close + 1]])
        raise Flagged(chords.column[torch.cat([chord[near], other[near]])])
    vertex = cells.n_vertices + len(cuts.t) + order % max(1, len(i))
    ends = chords.start[sorted_chord], chords.end[sorted_chord]
    lines = Lines(sorted_chord, *ends, t, column[order], u[order], v[order], vertex, order < len(i))
    return Crossings(len(i), sorted_chord, vertex, rank[: len(i)], rank[len(i) :]), lines
