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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.assembly import Flagged, assemble
from netgeom_widgets.kernels.regions.cells import Complex, Recipe, any_per_face
from netgeom_widgets.kernels.regions.coincident import follow, leaders
from netgeom_widgets.kernels.regions.crossings import find_crossings, lines_of, pair_chords, place_crossings, too_close
from netgeom_widgets.kernels.regions.cuts import expand_rings, find_cuts
from netgeom_widgets.kernels.regions.merging import Winners, label_edges
from netgeom_widgets.kernels.regions.rounds import Margins, Rounds
from netgeom_widgets.kernels.regions.signs import bits_above, bits_below, pack, set_bits, words
from netgeom_widgets.kernels.regions.windows import Windows


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
    close = too_close(cuts.edge, cuts.t, thresholds[cuts.column] / cuts.change, tolerance)
    if len(close):
        raise Flagged(torch.cat([cuts.column[close], cuts.column[close + 1]]))
    cut_entry = cuts.count[cells.ring >> 1] > 0
    touched = expand_rings(cells, cuts, any_per_face(cut_entry, cells.ring_offsets))
    chords = pair_chords(touched, cuts, n, values.shape[1])
    i, j = find_crossings(chords, len(touched.faces), cells.n_faces + len(chords.p), limit, checkpoint)
    crossings, crossed = place_crossings(cells, values, thresholds, cuts, chords, i, j, tolerance)
    checkpoint()
    refined = assemble(cells, cuts, touched, chords, crossings, op, units)
    ends = cells.edges[cuts.edge]
    recipe.add(ends[:, 0], ends[:, 1], cuts.t)
    vertices = n + torch.arange(len(cuts.t))
    recipe.vanish(vertices, units[cuts.column])
    recipe.lines = (lines_of(cells, values, cuts, units[cuts.column], vertices),)
    if len(i):
        recipe.add(chords.start[i], chords.end[i], crossed.t[crossings.on_i])
        vertices = n + len(cuts.t) + torch.arange(len(i))
        both = torch.stack([chords.column[i], chords.column[j]], 1)
        recipe.vanish(vertices.repeat_interleave(2), units[both.view(-1)])
        crossed.unit = units[crossed.unit]
        recipe.lines += (crossed,)
    return refined
