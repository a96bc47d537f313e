"""Refinement of a planar cell complex by the zero lines of piecewise-linear pre-activations.

The complex is a subdivision of a convex polygon into convex faces that share vertices and edges. A pre-activation is affine
inside every face, so its values at the vertices decide everything: which edges it cuts, in which faces it is a chord, and
which chords cross. Faces are then found by turning left at every crossing; coordinates are never compared or sorted.

Two forms of the same step exist. `_split_together` inserts many units at once and is right for units in general position.
Units that are not (a hinge through an existing vertex, concurrent or duplicate hinges) are recognised, withheld, and inserted
one at a time by `_split_one`, where concurrency is an ordinary shared vertex.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from netgeom_widgets.errors import NetgeomError, TooLargeError

# Chord pairs tested for crossing at a time: bounds the temporary arrays to a few hundred MB.
_PAIRS_AT_ONCE = 1 << 22


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

    A step ``(a, b, t)`` appends the vertices ``(1-t) a + t b``; a step ``(vertices, units)`` sets those values to zero.
    """

    steps: list[tuple[Tensor, ...]] = field(default_factory=list)

    def add(self, a: Tensor, b: Tensor, t: Tensor) -> None:
        """Append the vertices ``(1-t) a + t b``."""
        self.steps.append((a, b, t))

    def vanish(self, vertices: Tensor, units: Tensor) -> None:
        """Record that a unit is exactly zero at a vertex."""
        if len(vertices):
            self.steps.append((vertices, units))

    def extend(self, values: Tensor, *, hinged: bool = False) -> Tensor:
        """Values (V, ...) at the old vertices -> at all vertices; convex combinations, so errors do not grow.

        ``hinged`` says that these are the refined pre-activations: where a unit vanishes they become exactly zero.
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
            elif hinged:
                out[step[0], step[1]] = 0.0
        return out.reshape(n, *values.shape[1:])


def _append_between(out: Tensor, n: int, a: Tensor, b: Tensor, t: Tensor) -> None:
    rows = max(256, (1 << 19) // max(1, out.shape[1]))  # blocks that stay in the processor's cache
    for at in range(0, len(t), rows):
        part = slice(at, at + rows)
        target = out[n + at : n + min(at + rows, len(t))]
        torch.lerp(out.index_select(0, a[part]), out.index_select(0, b[part]), t[part, None], out=target)


@dataclass(eq=False)
class Refined:
    """A refined complex, the recipe of its vertices and the old face each new face lies in."""

    complex: Complex
    recipe: Recipe
    parents: Tensor  # (F_new,) int64
    withheld: int  # units that were inserted one at a time


class _Flagged(Exception):  # noqa: N818 - a signal inside this module, not an error
    """Units found out of general position; the attempt is discarded."""

    def __init__(self, columns: Tensor) -> None:
        super().__init__()
        self.columns = columns.unique()


def refine(
    cells: Complex,
    values: Tensor,
    thresholds: Tensor,
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
        (V, n) float64 pre-activations at the vertices, only units that take both signs beyond their threshold.
    thresholds : Tensor
        (n,) below it a value counts as zero.
    op, units : int, Tensor
        Label of the new edges: activation op, and (n,) unit numbers.
    tolerance : float
        Two crossings nearer than this share of their edge or chord are treated as concurrent.
    limit : int
        Most faces allowed.
    checkpoint : callable
        Called between units; may raise to cancel.

    Raises
    ------
    TooLargeError
        More than ``limit`` faces would arise; nothing was allocated for them.
    """
    snapped = values.abs() <= thresholds
    general = torch.nonzero(~snapped.any(0)).view(-1)
    recipe = Recipe()
    vertices, columns = torch.nonzero(snapped, as_tuple=True)
    recipe.vanish(vertices, units[columns])
    parents = torch.arange(cells.n_faces)
    while len(general):
        checkpoint()
        try:
            chosen = values if len(general) == values.shape[1] else values[:, general]
            cells, parents = _split_together(cells, chosen, recipe, op, units[general], tolerance, limit)
            break
        except _Flagged as flagged:
            keep = torch.ones(len(general), dtype=torch.bool)
            keep[flagged.columns] = False
            general = general[keep]
    single = torch.ones(values.shape[1], dtype=torch.bool)
    single[general] = False
    withheld = torch.nonzero(single).view(-1)
    remaining = recipe.extend(values[:, withheld])
    for i, column in enumerate(withheld.tolist()):
        checkpoint()
        own = Recipe()
        cells, children = _split_one(
            cells, remaining[:, i], float(thresholds[column]), own, op, units[column : column + 1], limit
        )
        parents = parents[children]
        recipe.steps += own.steps
        remaining = own.extend(remaining)
    return Refined(cells, recipe, parents, len(withheld))


# ---------------------------------------------------------------------------------------------------------------- edges


@dataclass(eq=False)
class _Cuts:
    """Crossings of edges with units, sorted along each edge; cut ``c`` becomes vertex ``n_vertices + c``."""

    edge: Tensor  # (C,)
    column: Tensor  # (C,)
    t: Tensor  # (C,) from edges[edge, 0]
    count: Tensor  # (E,) cuts of each edge
    first: Tensor  # (E,) its first cut


def _find_cuts(cells: Complex, values: Tensor, positive: Tensor, negative: Tensor | None = None) -> _Cuts:
    """Edges whose ends have strictly opposite signs; without ``negative`` every value is positive or negative."""
    a, b = cells.edges[:, 0], cells.edges[:, 1]
    edge, column = _opposite(positive, negative, a, b)
    start = values[a[edge], column]
    t = start / (start - values[b[edge], column])
    count = torch.bincount(edge, minlength=len(a))
    if len(edge) and int(count.max()) > 1:
        # One sort: the edge's number plus t. t closer than this key resolves is closer than any tolerance allows, see below.
        order = torch.argsort(edge + t)
        edge, column, t = edge[order], column[order], t[order]
    return _Cuts(edge, column, t, count, count.cumsum(0) - count)


def _opposite(positive: Tensor, negative: Tensor | None, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(edge, column) pairs whose end signs differ, sorted by edge, found on eight units to a byte."""
    if negative is None:
        bits = _pack(positive)
        differs = bits.index_select(0, a) ^ bits.index_select(0, b)
    else:
        plus, minus = _pack(positive), _pack(negative)
        differs = (plus[a] & minus[b]) | (minus[a] & plus[b])
    row, byte = torch.nonzero(differs, as_tuple=True)
    hit, bit = torch.nonzero(_BITS[differs[row, byte].long()], as_tuple=True)
    return row[hit], byte[hit] * 8 + bit


_BITS = (torch.arange(256)[:, None] >> torch.arange(8)) & 1 == 1


def _pack(flags: Tensor) -> Tensor:
    """(V, n) bool -> (V, ceil(n/8)) uint8, bit i of byte j is column 8j+i."""
    n, columns = flags.shape
    if columns % 8:
        flags = torch.nn.functional.pad(flags, (0, -columns % 8))
    # Eight 0/1 bytes of a little-endian word times this number: the top byte collects them, first byte in the lowest bit.
    words = flags.contiguous().view(torch.uint8).view(torch.int64)
    return ((words * 0x0102040810204080) >> 56).to(torch.uint8).view(n, -1)


def _too_close(group: Tensor, position: Tensor, tolerance: float) -> Tensor:
    """Indices i such that sorted entries i and i+1 of one group are nearer than the tolerance (or than the sort key resolves)."""
    if len(group) < 2:
        return group.new_empty(0)
    resolved = max(tolerance, 2.0**-51 * float(group[-1] + 1))
    return torch.nonzero((group[1:] == group[:-1]) & (position[1:] - position[:-1] <= resolved)).view(-1)


# ---------------------------------------------------------------------------------------------------------------- faces


@dataclass(eq=False)
class _Touched:
    """The faces that are cut, their rings with the cut vertices inserted; positions count through all of them."""

    faces: Tensor  # (T,) ids of the cut faces
    untouched: Tensor  # (F,) bool
    half_edges: Tensor  # (G,) half-edges after cutting the edges
    starts: Tensor  # (T+1,) first position of each cut face
    position: Tensor  # (N,) position of every appearance of a cut vertex, in ring order
    cut: Tensor  # (N,) which cut it is
    face: Tensor  # (N,) index into faces


def _expand_rings(cells: Complex, cuts: _Cuts, touched: Tensor) -> _Touched:
    """Insert cut vertices in the rings of the touched faces. Part 0 of edge e keeps its number; the part after cut c is E + c."""
    sides = cells.ring_offsets.diff()
    faces = torch.nonzero(touched).view(-1)
    entry = _ranges(cells.ring_offsets[faces], sides[faces])
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
    rank = _ranges(torch.zeros_like(cut_entries), count[cut_entries])  # 0 .. count-1 along the traversal
    flipped = backward[owner] == 1
    cut = torch.where(flipped, last[owner] - rank, cuts.first[edge[owner]] + rank)
    position = at[owner] + 1 + rank
    # The half-edge that leaves cut vertex c: forward it is part E + c; backward the part before c, which is e itself for the first cut.
    before = torch.where(cut == cuts.first[edge[owner]], edge[owner], n_edges + cut - 1)
    new[position] = torch.where(flipped, 2 * before + 1, 2 * (n_edges + cut))
    face = torch.repeat_interleave(sides[faces])[owner]
    return _Touched(faces, ~touched, new, starts, position, cut, face)


def _ranges(first: Tensor, length: Tensor) -> Tensor:
    """Concatenation of ``first[i] .. first[i] + length[i] - 1``."""
    ends = length.cumsum(0)
    shift = torch.repeat_interleave(first - (ends - length), length)
    return shift + torch.arange(len(shift))


@dataclass(eq=False)
class _Chords:
    """Straight cuts through faces, in ring order: from position ``p`` to the later position ``q`` of a touched face."""

    face: Tensor  # (M,) index into touched faces
    column: Tensor
    p: Tensor
    q: Tensor
    start: Tensor  # (M,) vertex at p
    end: Tensor  # (M,) vertex at q


@dataclass(eq=False)
class _Crossings:
    """Crossing x of chords i and j with p_i < p_j < q_i < q_j, as entries sorted along every chord."""

    n: int
    chord: Tensor  # (2n,) chord of each sorted entry
    vertex: Tensor  # (2n,)
    on_i: Tensor  # (n,) sorted entry of crossing x on chord i
    on_j: Tensor  # (n,)


def _pair_chords(touched: _Touched, cuts: _Cuts, n_vertices: int, n_columns: int) -> _Chords:
    """Every unit that cuts a face owns exactly two ring positions."""
    key = touched.face * n_columns + cuts.column[touched.cut]
    order = torch.sort(key, stable=True).indices
    key = key[order]
    odd = len(key) % 2 == 1
    if odd or not torch.equal(key[0::2], key[1::2]) or bool((key[2::2] == key[1:-1:2]).any()):
        values, counts = key.unique(return_counts=True)
        raise _Flagged(values[counts != 2] % n_columns)
    p, q = order[0::2], order[1::2]
    in_order = torch.argsort(p)
    p, q = p[in_order], q[in_order]
    cut_p, cut_q = touched.cut[p], touched.cut[q]
    return _Chords(
        touched.face[p], cuts.column[cut_p], touched.position[p], touched.position[q], n_vertices + cut_p, n_vertices + cut_q
    )


def _find_crossings(chords: _Chords, n_faces: int) -> tuple[Tensor, Tensor]:
    """Chord pairs (i, j), p_i < p_j, whose ends interleave around their face."""
    found_i, found_j = [], []
    for i, j in _chord_pairs(chords.face, n_faces):
        crossing = torch.nonzero((chords.p[j] < chords.q[i]) & (chords.q[i] < chords.q[j])).view(-1)
        found_i.append(i[crossing])
        found_j.append(j[crossing])
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
        yield i, _ranges(rows + 1, later[rows])
        at = stop


def _split_together(
    cells: Complex, values: Tensor, recipe: Recipe, op: int, units: Tensor, tolerance: float, limit: int
) -> tuple[Complex, Tensor]:
    """All units at once; nothing is recorded in ``recipe`` unless the attempt succeeds."""
    n = cells.n_vertices
    cuts = _find_cuts(cells, values, values > 0)
    close = _too_close(cuts.edge, cuts.t, tolerance)
    if len(close):
        raise _Flagged(torch.cat([cuts.column[close], cuts.column[close + 1]]))
    cut_entry = cuts.count[cells.ring >> 1] > 0
    touched = _expand_rings(cells, cuts, _any_per_face(cut_entry, cells.ring_offsets))
    chords = _pair_chords(touched, cuts, n, values.shape[1])
    i, j = _find_crossings(chords, len(touched.faces))
    _check_limit(cells.n_faces + len(chords.p) + len(i), limit)
    crossings, s = _place_crossings(cells, values, cuts, chords, i, j, tolerance)
    refined = _assemble(cells, cuts, touched, chords, crossings, op, units)
    ends = cells.edges[cuts.edge]
    recipe.add(ends[:, 0], ends[:, 1], cuts.t)
    recipe.vanish(n + torch.arange(len(cuts.t)), units[cuts.column])
    if len(i):
        recipe.add(chords.start[i], chords.end[i], s)
        vertices = n + len(cuts.t) + torch.arange(len(i))
        recipe.vanish(vertices, units[chords.column[i]])
        recipe.vanish(vertices, units[chords.column[j]])
    return refined


def _any_per_face(flags: Tensor, offsets: Tensor) -> Tensor:
    total = torch.zeros(len(flags) + 1, dtype=torch.int64)
    torch.cumsum(flags, 0, out=total[1:])
    return total[offsets[1:]] > total[offsets[:-1]]


def _check_limit(n_faces: int, limit: int) -> None:
    if n_faces > limit:
        raise TooLargeError(f"{n_faces:,} regions would arise", expected=f"at most {limit:,}", got=f"{n_faces:,}")


def _place_crossings(
    cells: Complex, values: Tensor, cuts: _Cuts, chords: _Chords, i: Tensor, j: Tensor, tolerance: float
) -> tuple[_Crossings, Tensor]:
    """Order the crossings along both chords, from the other unit's value at a chord's two ends."""
    a, b = cells.edges[cuts.edge, 0], cells.edges[cuts.edge, 1]
    flat, width = values.reshape(-1), values.shape[1]

    def at_cut(vertex: Tensor, column: Tensor) -> Tensor:
        cut = vertex - cells.n_vertices
        return torch.lerp(flat[a[cut] * width + column], flat[b[cut] * width + column], cuts.t[cut])

    def along(chord: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        u, v = at_cut(chords.start[chord], column), at_cut(chords.end[chord], column)
        s = u / (u - v)
        return s, ~((u * v < 0) & (s > tolerance) & (s < 1 - tolerance))

    s_i, bad_i = along(i, chords.column[j])
    s_j, bad_j = along(j, chords.column[i])
    bad = torch.nonzero(bad_i | bad_j).view(-1)
    if len(bad):
        raise _Flagged(torch.cat([chords.column[i[bad]], chords.column[j[bad]]]))
    chord, s = torch.cat([i, j]), torch.cat([s_i, s_j])
    order = torch.argsort(chord + s)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    sorted_chord = chord[order]
    close = _too_close(sorted_chord, s[order], tolerance)
    if len(close):
        near = torch.cat([order[close], order[close + 1]])
        raise _Flagged(chords.column[torch.cat([chord[near], torch.cat([j, i])[near]])])
    first_vertex = cells.n_vertices + len(cuts.t)
    vertex = first_vertex + order % max(1, len(i))
    return _Crossings(len(i), sorted_chord, vertex, rank[: len(i)], rank[len(i) :]), s_i


def _split_one(
    cells: Complex, values: Tensor, threshold: float, recipe: Recipe, op: int, unit: Tensor, limit: int
) -> tuple[Complex, Tensor]:
    """One unit, which may pass through vertices: chords end at cuts or at vertices between strictly opposite signs."""
    n = cells.n_vertices
    positive, negative = values > threshold, values < -threshold
    on_hinge = torch.nonzero(~(positive | negative)).view(-1)
    recipe.vanish(on_hinge, unit.expand(len(on_hinge)))
    origins = cells.origins
    both = _any_per_face(positive[origins], cells.ring_offsets) & _any_per_face(negative[origins], cells.ring_offsets)
    n_cut = int(both.sum())
    if not n_cut:
        return cells, torch.arange(cells.n_faces)
    _check_limit(cells.n_faces + n_cut, limit)
    cuts = _find_cuts(cells, values[:, None], positive[:, None], negative[:, None])
    touched = _expand_rings(cells, cuts, both)
    if len(cuts.t):
        ends = cells.edges[cuts.edge]
        recipe.add(ends[:, 0], ends[:, 1], cuts.t)
        recipe.vanish(n + torch.arange(len(cuts.t)), unit.expand(len(cuts.t)))
    sign = torch.cat([positive.long() - negative.long(), torch.zeros(len(cuts.t), dtype=torch.int64)])
    vertex = _cut_edges(cells, cuts).view(-1)[touched.half_edges]
    p, q = _sign_changes(sign, vertex, touched.starts)
    face = torch.arange(len(touched.faces))
    chords = _Chords(face, torch.zeros_like(face), p, q, vertex[p], vertex[q])
    empty = face.new_empty(0)
    try:
        return _assemble(cells, cuts, touched, chords, _Crossings(0, empty, empty, empty, empty), op, unit)
    except _Flagged:
        raise _NOT_CONVEX from None


_NOT_CONVEX = NetgeomError(
    "A hinge crosses a convex cell more than once: rounding exceeds the tolerance",
    try_this="a larger tolerance, or a domain in which the network's values are of ordinary size",
)


def _sign_changes(sign: Tensor, vertex: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """The two positions per face where the strict sign changes: the first zero after each run of one sign."""
    s = sign[vertex]
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


# ------------------------------------------------------------------------------------------------------------- assembly


def _cut_edges(cells: Complex, cuts: _Cuts) -> Tensor:
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


def _assemble(
    cells: Complex,
    cuts: _Cuts,
    touched: _Touched,
    chords: _Chords,
    crossings: _Crossings,
    op: int,
    units: Tensor,
) -> tuple[Complex, Tensor]:
    """Chord segments become edges, every cycle of left turns a face; returns the complex and each face's parent."""
    m, base = len(chords.p), len(cells.edges) + len(cuts.t)
    segment_edges = _segment_edges(chords, crossings)
    follow = _left_turns(touched, chords, crossings)
    heads, order, lengths = _cycles(follow)
    whole = torch.cat([touched.half_edges, 2 * base + torch.arange(2 * (m + 2 * crossings.n))])
    parent_of = torch.cat([torch.repeat_interleave(touched.starts.diff()), _segment_faces(chords, crossings)])
    parent = parent_of[heads]
    expected = 1 + torch.bincount(chords.face, minlength=len(touched.faces))
    if crossings.n:
        expected += torch.bincount(chords.face[crossings.chord], minlength=len(touched.faces)) // 2
    wrong = torch.bincount(parent, minlength=len(touched.faces)) != expected
    if bool(wrong.any()):
        raise _Flagged(chords.column[wrong[chords.face]])
    kept = torch.nonzero(touched.untouched).view(-1)
    sides = cells.ring_offsets.diff()[kept]
    ring = torch.cat([cells.ring[_ranges(cells.ring_offsets[kept], sides)], whole[order]])
    offsets = torch.zeros(len(kept) + len(heads) + 1, dtype=torch.int64)
    torch.cumsum(torch.cat([sides, lengths]), 0, out=offsets[1:])
    of_segment = torch.cat([chords.column, chords.column[crossings.chord]])
    refined = Complex(
        cells.n_vertices + len(cuts.t) + crossings.n,
        torch.cat([_cut_edges(cells, cuts), segment_edges]),
        torch.cat([cells.edge_op, cells.edge_op[cuts.edge], torch.full((len(of_segment),), op, dtype=torch.int32)]),
        torch.cat([cells.edge_unit, cells.edge_unit[cuts.edge], units[of_segment].to(torch.int32)]),
        offsets,
        ring,
    )
    return refined, torch.cat([kept, touched.faces[parent]])


def _segment_edges(chords: _Chords, crossings: _Crossings) -> Tensor:
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


def _segment_faces(chords: _Chords, crossings: _Crossings) -> Tensor:
    """Touched face of every half-edge of a segment."""
    return torch.repeat_interleave(torch.cat([chords.face, chords.face[crossings.chord]]), 2)


def _left_turns(touched: _Touched, chords: _Chords, crossings: _Crossings) -> Tensor:
    """Successor of every half-edge around its new face.

    Numbering: 0..G-1 the boundary in ring order, then ``G + 2*segment + d``. On a ring that runs counter-clockwise the arc
    from p to q lies to the right of the chord p -> q, which fixes every turn without coordinates.
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


def _cycles(follow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cycles of a permutation: (heads, members cycle by cycle in order, lengths)."""
    n = len(follow)
    label, jump = torch.arange(n), follow
    while True:
        label = torch.minimum(label, label[jump])
        jump = jump[jump]
        if torch.equal(label, label[follow]):
            break
    heads = torch.nonzero(label == torch.arange(n)).view(-1)
    lengths = torch.bincount(label, minlength=n)[heads]
    offsets = lengths.cumsum(0) - lengths
    order = torch.empty(n, dtype=torch.int64)
    by_length = torch.argsort(lengths, descending=True)
    current, place = heads[by_length], offsets[by_length]
    longer = (len(heads) - torch.bincount(lengths).cumsum(0)).tolist()  # how many cycles are longer than each length
    step, active = 0, len(heads)
    while active:
        current, place = current[:active], place[:active]
        order[place + step] = current
        current = follow[current]
        step += 1
        active = longer[step]
    return heads, order, lengths
