"""What the network computes at the vertices of a growing complex, in blocks of rows that stay in the cache.

Between two activations only two things are wanted of all vertices at once: the range of every unit, and the values of
the units that cut. So a pass runs block by block from the values before one activation to those before the next, and
what lies between exists for a block only. Values before an activation are stored while they fit into a fixed amount of
memory; beyond it they are computed anew, from the last that are stored, at worst from the points themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from netgeom_widgets.kernels._memory import has_memory, require_memory
from netgeom_widgets.kernels.regions.cells import Mixture, Recipe
from netgeom_widgets.kernels.regions.elementwise import PiecewiseLinear
from netgeom_widgets.kernels.regions.polylines import Lines, output_kinks
from netgeom_widgets.kernels.regions.program import Program, Segment, Values
from netgeom_widgets.kernels.regions.row_values import assign, flat_rows, map_tensors, numel
from netgeom_widgets.kernels.regions.settling import Settled, Zeros
from netgeom_widgets.kernels.regions.signs import ColumnBounds, empty_bits, put_bits, row_blocks
from netgeom_widgets.kernels.regions.slices import Slice

# Bytes that the values before and after an activation may take together. A constant, not a share of the memory there
# is: the bits of a result must not depend on the machine.
HELD_BYTES = 5 << 28
MEMORY_ADVICE = "a smaller domain, or a narrower network"


class VertexValues:
    """The values before one activation at all vertices; `cross` goes on to the next.

    Attributes
    ----------
    points : Tensor
        (V, 2) slice coordinates.
    low, high : Tensor
        (N,) smallest and largest value of every unit before the activation.
    outputs : Tensor
        (V, C) once the last activation is crossed.
    spoiled : Tensor
        (V,) above 0 where a sign was decided by its threshold rather than by rounding alone, and where that spread.
    """

    low: Tensor
    high: Tensor
    outputs: Tensor | None = None

    def __init__(self, program: Program, domain: Slice, checkpoint: Callable[[], None]) -> None:
        self._program, self._domain, self._checkpoint = program, domain, checkpoint
        self.points = torch.from_numpy(domain.polygon.copy())
        self.spoiled = torch.zeros(len(self.points), dtype=torch.float64)
        # Place k is the end of segment k, before activation k; place -1 is the input, which the points give.
        self._at = self._base = -1  # the place where the values are, and the last before it where they are stored
        self._stored: Values = {}
        self._floors: list[Tensor] = []  # of the activations before
        self._settled: list[Settled] = []
        self._chosen: tuple[Tensor, Tensor] | None = None  # the cutting units and their values, where not stored
        self._advance(len(self.points), None, lambda rows, values: None, keep=True)

    @property
    def segment(self) -> Segment:
        """The segment at whose end the values are."""
        return self._program.segments[self._at]

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and the values (rows, N) there, which are not to be changed."""
        end, n = self.segment.end, len(self.points)
        if self._base == self._at:
            flat = flat_rows(self._stored[end])
            yield from ((rows, flat[rows]) for rows in row_blocks(0, n, flat.shape[1]))
        else:
            yield from ((rows, flat_rows(values[end])) for rows, values in self._blocks(n, None))

    def columns(self, units: Tensor) -> Tensor:
        """(V, n) the values of some units, ascending."""
        end, n = self.segment.end, len(self.points)
        if self._base == self._at:
            flat = flat_rows(self._stored[end])
            return flat if len(units) == flat.shape[1] else flat.index_select(1, units)
        require_memory(8 * n * len(units), f"{len(units):,} cutting units at {n:,} vertices", MEMORY_ADVICE)
        found = torch.empty((n, len(units)), dtype=torch.float64)
        for rows, values in self._blocks(n, None):
            torch.index_select(flat_rows(values[end]), 1, units, out=found[rows])
        self._chosen = units, found
        return found

    def settle(self, units: Tensor, thresholds: Tensor, floors: Tensor, breakpoint: float) -> None:
        """Let values of these units within their threshold of a breakpoint be there: no later layer sees the noise."""
        settled = Settled(units, thresholds, floors, breakpoint)
        self._settled.append(settled)
        if self._base != self._at:
            return  # they go there on the way
        flat = self._own()
        for rows in row_blocks(0, len(flat), len(units)):
            settled.apply(flat[rows], self.spoiled[rows])

    def cross(self, recipe: Recipe, floor: Tensor, varying: Tensor, above: Tensor | float = 0.0) -> Tensor:
        """Go through the activation, at old and new vertices.

        Parameters
        ----------
        recipe : Recipe
            The new vertices, and where units vanish.
        floor : Tensor
            (N,) forward rounding error of the values before the activation.
        varying : Tensor
            Units that are compared, some perhaps more than once.
        above : Tensor or float
            With what.

        Returns
        -------
        Tensor
            (V_new, B) bits: which varying units are above it at every vertex.
        """
        segment, n_old = self.segment, len(self.points)
        n = recipe.n_after(n_old)
        keep = self._fits(self._program.segments[self._at + 1], n)
        mixture = recipe.mixture(n_old) if keep and self._base == self._at else None
        if mixture is None:
            self._extend_stored(recipe, n_old)
        self.points = recipe.extend(self.points)
        stored, zeros = self._base == self._at, None
        if mixture is not None:
            zeros = Zeros(recipe, _breakpoints(segment))
            zeros.set(self._own(), slice(0, n_old))  # before anything is interpolated from them
        hinged = None if stored else self._hinged(recipe)
        bits = empty_bits(n, len(varying))
        lines = self._polylines(recipe, n - n_old) if mixture is not None else ()
        chosen = None if torch.equal(varying, torch.arange(len(floor))) else varying
        limits = above.numpy() if isinstance(above, Tensor) else above

        def prepare(rows: slice, flat: Tensor) -> None:
            if zeros is not None:
                zeros.set(flat, rows)
            if not stored:
                self._clean(flat, rows, floor, n_old)
            if hinged is not None:
                flat.index_copy_(1, hinged[0], hinged[1][rows])
            put_bits(bits[rows], (flat if chosen is None else flat.index_select(1, chosen)).numpy() > limits)

        def activate(rows: slice, values: Values) -> None:
            _activate(segment, values, partial(prepare, rows))

        self._advance(n, mixture, activate, keep=keep, only_old=bool(lines))
        if lines:
            assert self.outputs is not None  # noqa: S101 - polylines end in them
            units = torch.cat([line.unit for line in lines]).unique()
            kinks, bit_of = output_kinks(self._program, units), torch.searchsorted(varying, units)
            for line in lines:
                line.fill(self.outputs, bits, units, kinks, bit_of)
        self._floors.append(floor)
        self._settled, self._chosen = [], None
        self.spoiled = recipe.extend(self.spoiled[:, None])[:, 0]
        return bits

    # ------------------------------------------------------------------------------------------------------- passes

    def _advance(
        self,
        n: int,
        mixture: Mixture | None,
        activate: Callable[[slice, Values], None],
        *,
        keep: bool,
        only_old: bool = False,
    ) -> None:
        """Go on to the next place: the range of every unit there, and the values themselves if they are to be kept."""
        segment, bounds = self._program.segments[self._at + 1], ColumnBounds()
        whole: Values = {}
        for rows, values in self._blocks(n, mixture, only_old=only_old):
            activate(rows, values)
            values = self._program.advance(segment, values)
            bounds.see(flat_rows(values[segment.end]))
            if keep:
                whole = whole or {
                    node: map_tensors(lambda t: t.new_empty((n, *t.shape[1:])), values[node]) for node in values
                }
                for node, value in values.items():
                    assign(whole[node], rows, value)
        self._at += 1
        if keep:
            self._base, self._stored = self._at, whole
        self.low, self.high = bounds.low, bounds.high
        if segment.activation is None:
            self.outputs = flat_rows(whole[segment.end])

    def _blocks(self, n: int, mixture: Mixture | None, *, only_old: bool = False) -> Iterator[tuple[slice, Values]]:
        """Rows, and the values at them where they are now, in tensors of their own."""
        shapes = self._program.row_shapes
        nodes = [
            node for s in self._program.segments[max(self._base, 0) : self._at + 2] for node in (*s.nodes, *s.kept)
        ]
        widest = max((numel(shapes[node]) for node in nodes), default=1)
        groups = [(0, n)] if mixture is None else mixture.groups
        for start, stop in groups[:1] if only_old else groups:
            for rows in row_blocks(start, stop, widest):
                self._checkpoint()
                yield rows, self._values(rows, mixture)

    def _polylines(self, recipe: Recipe, n_new: int) -> tuple[Lines, ...]:
        """The lines from which the outputs follow, where this is less work than to interpolate all units on them."""
        lines = self._at_last(recipe)
        if not lines:
            return ()
        shapes, following = self._program.row_shapes, self._program.segments[self._at + 1]
        n_units, n_outputs = numel(shapes[self.segment.end]), numel(shapes[following.end])
        units = len(torch.cat([line.unit for line in lines]).unique())
        pairs = sum(line.n_pairs for line in lines)
        return lines if units * n_units + pairs * n_outputs < n_new * n_units / 4 else ()

    def _at_last(self, recipe: Recipe) -> tuple[Lines, ...]:
        """The lines of new vertices of the last activation, if its hinges are all that bends the outputs on them."""
        last = self._program.segments[self._at + 1].activation is None
        return recipe.lines if last and len(_breakpoints(self.segment)) == 1 else ()

    def _values(self, rows: slice, mixture: Mixture | None) -> Values:
        def taken(tensor: Tensor) -> Tensor:
            return tensor[rows].clone() if mixture is None else mixture.rows(tensor, rows)

        if self._base < 0:
            x = torch.from_numpy(self._domain.to_input(self.points[rows].numpy()))
            values: Values = {self._program.input: x}
        else:
            values = {node: map_tensors(taken, value) for node, value in self._stored.items()}
        for place in range(self._base, self._at):
            if place >= 0:
                self._replay(place, values)
            values = self._program.advance(self._program.segments[place + 1], values)
        return values

    def _replay(self, place: int, values: Values) -> None:
        """Through an activation that was crossed before: rounding noise about zero does not grow into a value."""
        segment = self._program.segments[place]
        assert segment.activation is not None  # noqa: S101 - it was crossed
        _activate(segment, values, partial(segment.activation.function.settle_, floor=self._floors[place]))

    def _own(self) -> Tensor:
        """The stored values before the activation, (V, N), to be changed: nobody else reads them."""
        end = self.segment.end
        if not self.segment.ends_here:
            self._stored[end] = self._stored[end].clone()
        return flat_rows(self._stored[end])

    def _hinged(self, recipe: Recipe) -> tuple[Tensor, Tensor] | None:
        """The cutting units and their values at old and new vertices, exactly zero where they vanish."""
        if self._chosen is None:
            return None
        units, values = self._chosen
        require_memory(8 * len(units) * recipe.n_after(len(values)), f"{len(units):,} cutting units", MEMORY_ADVICE)
        points = _breakpoints(self.segment)
        return units, recipe.of_units(units, len(points)).extend(values, hinged=points)

    def _clean(self, flat: Tensor, rows: slice, floor: Tensor, n_old: int) -> None:
        """What `settle` and interpolation do to stored values, for values computed anew."""
        assert self.segment.activation is not None  # noqa: S101 - it is being crossed
        self.segment.activation.function.settle_(flat, floor)
        old = min(rows.stop, n_old) - rows.start
        for settled in self._settled if old > 0 else ():
            settled.apply(flat[:old], self.spoiled[rows.start : rows.start + old])

    # ------------------------------------------------------------------------------------------------------- memory

    def _fits(self, segment: Segment, n: int) -> bool:
        """Whether the values at the end of a segment can be stored beside those that are."""
        n_bytes = 8 * n * sum(numel(self._program.row_shapes[node]) for node in segment.kept)
        if segment.activation is None:  # the result
            require_memory(n_bytes, f"The values of {segment.end.target} at {n:,} vertices", MEMORY_ADVICE)
            return True
        return n_bytes + self._stored_bytes() <= HELD_BYTES and has_memory(n_bytes)

    def _stored_bytes(self) -> int:
        return 8 * len(self.points) * sum(numel(self._program.row_shapes[node]) for node in self._stored)

    def _extend_stored(self, recipe: Recipe, n_old: int) -> None:
        """Carry the stored values to the new vertices, or give them up where that takes too much."""
        growth = recipe.n_after(n_old) / n_old
        if (1 + growth) * self._stored_bytes() > HELD_BYTES:
            self._base, self._stored = -1, {}
        end = self.segment.end if self._base == self._at else None
        for node, value in list(self._stored.items()):
            hinged = _breakpoints(self.segment) if node is end else ()
            self._stored[node] = map_tensors(partial(recipe.extend, hinged=hinged), value)


def _activate(segment: Segment, values: Values, prepare: Callable[[Tensor], Any]) -> None:
    """Go through the activation behind a segment, after ``prepare`` has changed the values (rows, N) in place."""
    z = values.pop(segment.end) if segment.ends_here else values[segment.end].clone()
    flat = flat_rows(z)  # a copy where the operation before it left its result in another order of memory
    prepare(flat)
    assert segment.activation is not None  # noqa: S101 - there is one to go through
    values[segment.node] = segment.activation.apply(flat.reshape(z.shape), in_place=True)


def _breakpoints(segment: Segment) -> tuple[float, ...]:
    """Of the activation that follows; a maximum has none."""
    function = segment.activation.function if segment.activation is not None else None
    return function.breakpoints if isinstance(function, PiecewiseLinear) else ()
