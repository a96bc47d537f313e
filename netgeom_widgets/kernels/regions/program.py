"""Interpretation of a traced model on a batch of slice vertices.

Affine operations run as they are; at every activation the caller decides what happens: refine the partition, follow a
known pattern, or simply apply it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels._tracing import untraceable
from netgeom_widgets.kernels.regions.row_values import map_tensors
from netgeom_widgets.kernels.regions.tracing import Activation, Traced
from netgeom_widgets.kernels.regions.windows import Maximum

# Rows of the batch may be computed in another order than a single row: differences of this relative size are rounding.
_ROUNDING = 1e-9

# Called with the activation, its input z (rows, *unit shape) and the magnitude row of z (None when not followed).
# Returns the output and the magnitude row of the output, None to read it off the output.
AtActivation = Callable[[Activation, Tensor, Tensor | None], tuple[Tensor, Tensor | None]]
Values = dict[fx.Node, Any]  # of the operations that are still needed, a row for every input


@dataclass(frozen=True, eq=False)
class Segment:
    """The affine operations between two activations."""

    nodes: tuple[fx.Node, ...]
    end: fx.Node  # whose value the activation takes, or the output
    kept: tuple[fx.Node, ...]  # what is needed after the segment, ``end`` among it
    activation: Activation | None  # that follows; None behind the last
    node: fx.Node  # that activation, or the output
    ends_here: bool  # whether nothing but that activation needs ``end``


class Program:
    """A traced model, checked: only affine operations and supported activations, no mixing of samples."""

    def __init__(self, model: nn.Module, probe: Tensor) -> None:
        """Trace ``model`` (a private float64 copy) and compare with its own forward on the ``probe`` inputs."""
        self.model = model
        self.traced = Traced(model)
        self.activations = self.traced.activations
        self.row_shapes: dict[fx.Node, Any] = {}  # of each operation, known after its first run
        self.input, self.segments = self._segments()
        self._check_on(probe)
        for segment in self.segments:
            if segment.activation is not None and isinstance(segment.activation.function, Maximum):
                segment.activation.function.windows(self.row_shapes[segment.end])  # refuses what it cannot follow

    def run(
        self, x: Tensor, at_activation: AtActivation, magnitude: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs (rows, C) for a batch, and the magnitude row of the outputs when one is followed."""
        self._note(self.input, x)
        values: Values = {self.input: x}
        bounds: Values = {self.input: magnitude}
        for segment in self.segments:
            values = self.advance(segment, values)
            bound = None
            if magnitude is not None:
                bounds = self.advance_bounds(segment, bounds)
                bound = bounds[segment.end]
            if segment.activation is None:
                break
            z = values.pop(segment.end) if segment.ends_here else values[segment.end]
            values[segment.node], bound = at_activation(segment.activation, z, bound)
            self._note(segment.node, values[segment.node])
            if magnitude is not None:
                y = values[segment.node]
                bounds[segment.node] = y.abs().amax(0, keepdim=True) if bound is None else bound
        return values[segment.end].reshape(len(x), -1), None if bound is None else bound.flatten(1)

    def plain(self, x: Tensor) -> Tensor:
        """Outputs (rows, C), every activation simply applied."""
        return self.run(x, lambda activation, z, _: (activation.apply(z), None))[0]

    def advance(self, segment: Segment, values: Values) -> Values:
        """The values kept after a segment, from those before it."""
        values = dict(values)
        rows = len(next(iter(values.values())))
        for node in segment.nodes:
            values[node] = self._affine(node, values, rows)
            for source in self.traced.last_use.get(node, ()):
                values.pop(source, None)
        return {node: values[node] for node in segment.kept}

    def advance_bounds(self, segment: Segment, bounds: Values) -> Values:
        """The magnitude rows kept after a segment, from those before it."""
        bounds = dict(bounds)
        for node in segment.nodes:
            bounds[node] = self._bound(node, bounds)
        return {node: bounds[node] for node in segment.kept}

    def _segments(self) -> tuple[fx.Node, list[Segment]]:
        """The input, and the graph cut at its activations."""
        nodes = [n for n in self.traced.graph.nodes if n in self.traced.batched or n.op == "output"]
        source, nodes = nodes[0], nodes[1:]
        segments: list[Segment] = []
        used = {s for dying in self.traced.last_use.values() for s in dying}
        alive, part = [source], []
        for node in nodes:
            activation = self.traced.activation_at.get(node)
            if activation is None and node.op != "output":
                part.append(node)
                continue
            after = set(self.traced.last_use.get(node, ()))
            before = {s for n in part for s in self.traced.last_use.get(n, ())}
            end = node.args[0]
            kept = tuple(n for n in dict.fromkeys([*alive, *part]) if n in used and n not in before)
            segments.append(Segment(tuple(part), end, kept, activation, node, end in after))
            alive, part = [n for n in kept if n not in after] + [node], []
        return source, segments

    def _affine(self, node: fx.Node, values: Values, rows: int) -> Any:
        """The value of an affine operation on those of its inputs."""
        found = self.traced.call(node, {**self.traced.constants, **values}, self._shapes(node, rows))
        self._note(node, found)
        return found

    def _note(self, node: fx.Node, value: Any) -> None:
        """Remember the shape of a row; it is the same in every batch."""
        if node not in self.row_shapes:
            self.row_shapes[node] = map_tensors(lambda tensor: tuple(tensor.shape[1:]), value)

    def _shapes(self, node: fx.Node, rows: int) -> Values:
        """Sizes a node asks for, computed when they are used: batches differ in their number of rows."""
        found: Values = {}
        for source in self._shape_sources(node):
            environment: Values = dict(found)
            for argument in source.all_input_nodes:
                if argument in self.row_shapes:
                    environment[argument] = torch.empty((rows, *self.row_shapes[argument]), device="meta")
                elif argument in self.traced.constants:
                    environment[argument] = self.traced.constants[argument]
            found[source] = self.traced.call(source, environment)
        return found

    def _shape_sources(self, node: fx.Node) -> Iterator[fx.Node]:
        for source in node.all_input_nodes:
            if source in self.traced.shapelike:
                yield from self._shape_sources(source)
                yield source

    def _bound(self, node: fx.Node, bounds: Values) -> Any:
        shapes = self._shapes(node, 1)

        def magnitude(source: fx.Node) -> Any:
            if source in bounds:
                return bounds[source]
            value = shapes[source] if source in shapes else self.traced.constants[source]
            return value.abs() if isinstance(value, Tensor) and value.is_floating_point() else value

        how = self.traced.magnitude[node]
        return how(*fx.node.map_arg(node.args, magnitude), **fx.node.map_arg(node.kwargs, magnitude))

    def _check_on(self, probe: Tensor) -> None:
        """The graph must give what the model gives, and every sample its own result."""
        with torch.no_grad():
            expected = self._outputs(probe)
            scale = _ROUNDING * (1 + float(expected.abs().max()))
            try:
                alone = torch.cat([self._outputs(row[None]) for row in probe])
            except NetgeomError:
                raise self._mixing(probe) from None
            if alone.shape != expected.shape or float((alone - expected).abs().max()) > scale:
                raise self._mixing(probe)
            try:
                difference = float((self.plain(probe) - expected).abs().max())
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                raise untraceable("", self.model, error) from error
        if not difference <= scale:
            raise UnsupportedModuleError(
                "The traced graph does not reproduce the model",
                expected="a forward that depends on its input alone",
                got=f"outputs that differ by {difference:.3g}",
                try_this="no state kept between calls, no random numbers, no in-place change of a shared tensor",
            )

    def _outputs(self, x: Tensor) -> Tensor:
        """(rows, C) what the untraced copy gives, checked."""
        try:
            found = self.model(x)
        except Exception as error:  # the user's code: whatever it raises, the answer is the same
            raise NetgeomError(
                f"The model does not accept inputs shaped like the slice's origin ({type(error).__name__}: {error})",
                expected="a model that takes one tensor, batch first",
                got=f"a batch of shape {tuple(x.shape)}",
            ) from error
        if not isinstance(found, Tensor) or found.ndim == 0 or len(found) != len(x) or not found.numel():
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UnsupportedModuleError(
                "The model does not return one tensor with a row for every input",
                expected=f"a tensor ({len(x)}, ...) for {len(x)} inputs",
                got=str(got),
            )
        if not bool(torch.isfinite(found).all()):
            raise NetgeomError("The model's output is not finite inside the domain", expected="finite outputs")
        return found.reshape(len(x), -1)

    def _mixing(self, probe: Tensor) -> UnsupportedModuleError:
        """Name the first operation whose rows depend on each other."""
        together, alone = self._trail(probe), self._trail(probe[:1])
        for node, value in together.items():
            if isinstance(value, Tensor) and not _same(value[:1] if value.ndim else value, alone.get(node)):
                return self.traced.refuse(node, "mixes the samples of a batch: a sample's output depends on the others")
        return UnsupportedModuleError(
            "The model mixes the samples of a batch", expected="each sample's output to depend on it alone"
        )

    def _trail(self, x: Tensor) -> Values:
        """Value of every operation, as far as they can be computed."""
        values: Values = {}
        for node in self.traced.graph.nodes:
            try:
                if node is self.input:
                    values[node] = x
                elif node in self.traced.activation_at:
                    values[node] = self.traced.activation_at[node].apply(values[node.args[0]])
                elif node in self.traced.batched:
                    values[node] = self._affine(node, values, len(x))
                else:
                    continue
            except (RuntimeError, TypeError, ValueError, IndexError):
                break
            self._note(node, values[node])
        return values


def _same(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and a.shape == b.shape and bool((a - b).abs().max() <= _ROUNDING * (1 + a.abs().max()))
