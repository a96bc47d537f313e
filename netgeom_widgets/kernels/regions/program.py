"""Interpretation of a traced model on a batch of slice vertices.

Affine operations run as they are; at every activation the caller decides what happens: refine the partition, follow a
known pattern, or simply apply it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.regions.tracing import Activation, Traced, untraceable

# Rows of the batch may be computed in another order than a single row: differences of this relative size are rounding.
_ROUNDING = 1e-9
MEMORY_ADVICE = "a smaller domain, or a narrower network"

# Called with the activation, its input z and the magnitude row of z (None when not followed). Returns the output; when
# rows were added to the batch, the function that adds them to every other live tensor; and the magnitude row of the
# output, None to read it off the output.
_Extend = Callable[[Tensor], Tensor]
AtActivation = Callable[[Activation, Tensor, Tensor | None], tuple[Tensor, _Extend | None, Tensor | None]]


class Program:
    """A traced model, checked: only affine operations and supported activations, no mixing of samples."""

    def __init__(self, model: nn.Module, probe: Tensor) -> None:
        """Trace ``model`` (a private float64 copy) and compare with its own forward on the ``probe`` inputs."""
        self.model = model
        self.traced = Traced(model)
        self.activations = self.traced.activations
        self._check_on(probe)

    def run(
        self, x: Tensor, at_activation: AtActivation, magnitude: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs (rows, C) for a batch, and the magnitude row of the outputs when one is followed."""
        values: dict[fx.Node, Any] = {}
        bounds: dict[fx.Node, Any] = {}
        trailing: dict[fx.Node, Any] = {}
        rows = len(x)
        for node in self.traced.graph.nodes:
            if node.op == "output":
                source = node.args[0]
                bound = bounds[source].flatten(1) if magnitude is not None else None
                return values[source].reshape(rows, -1), bound
            if node not in self.traced.batched:
                continue
            if node.op == "placeholder":
                values[node], bounds[node] = x, magnitude
            elif node in self.traced.activation_at:
                source = node.args[0]
                z = values.pop(source) if source in self.traced.last_use.get(node, ()) else values[source]
                y, extend, bound = at_activation(
                    self.traced.activation_at[node], z, bounds[source] if magnitude is not None else None
                )
                del z
                if extend is not None:
                    for other, value in values.items():
                        values[other] = _map_tensors(extend, value)
                    rows = len(y)
                values[node] = y
                if magnitude is not None:
                    bounds[node] = y.abs().amax(0, keepdim=True) if bound is None else bound
            else:
                if magnitude is not None:
                    bounds[node] = self._bound(node, bounds, self._shapes(node, trailing, 1))
                    _require_memory(node, bounds, rows)
                values[node] = self._affine(node, values, trailing, rows)
            trailing[node] = _map_tensors(_row_shape, values[node])
            for source in self.traced.last_use.get(node, ()):
                values.pop(source, None)
        raise AssertionError("a traced graph ends in its output")

    def plain(self, x: Tensor) -> Tensor:
        """Outputs (rows, C), every activation simply applied."""
        return self.run(x, lambda activation, z, _: (activation.apply(z), None, None))[0]

    def _affine(self, node: fx.Node, values: dict[fx.Node, Any], trailing: dict[fx.Node, Any], rows: int) -> Any:
        """The value of an affine operation on those of its inputs."""
        return self.traced.call(node, {**self.traced.constants, **values}, self._shapes(node, trailing, rows))

    def _shapes(self, node: fx.Node, trailing: dict[fx.Node, Any], rows: int) -> dict[fx.Node, Any]:
        """Sizes a node asks for, computed when they are used: the batch grows between one reading and the next."""
        found: dict[fx.Node, Any] = {}
        for source in self._shape_sources(node):
            environment: dict[fx.Node, Any] = dict(found)
            for argument in source.all_input_nodes:
                if argument in trailing:
                    environment[argument] = torch.empty((rows, *trailing[argument]), device="meta")
                elif argument in self.traced.constants:
                    environment[argument] = self.traced.constants[argument]
            found[source] = self.traced.call(source, environment)
        return found

    def _shape_sources(self, node: fx.Node) -> Iterator[fx.Node]:
        for source in node.all_input_nodes:
            if source in self.traced.shapelike:
                yield from self._shape_sources(source)
                yield source

    def _bound(self, node: fx.Node, bounds: dict[fx.Node, Any], shapes: dict[fx.Node, Any]) -> Any:
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

    def _trail(self, x: Tensor) -> dict[fx.Node, Any]:
        """Value of every operation, as far as they can be computed."""
        values: dict[fx.Node, Any] = {}
        trailing: dict[fx.Node, Any] = {}
        for node in self.traced.graph.nodes:
            try:
                if node.op == "placeholder" and node in self.traced.batched:
                    values[node] = x
                elif node in self.traced.activation_at:
                    values[node] = self.traced.activation_at[node].apply(values[node.args[0]])
                elif node in self.traced.batched:
                    values[node] = self._affine(node, values, trailing, len(x))
                else:
                    continue
            except (RuntimeError, TypeError, ValueError, IndexError):
                break
            trailing[node] = _map_tensors(_row_shape, values[node])
        return values


def _require_memory(node: fx.Node, bounds: dict[fx.Node, Any], rows: int) -> None:
    """Refuse an operation that widens what every row holds beyond the memory there is; views of a tensor never do."""
    bound = bounds[node]
    before = max((bounds[s].numel() for s in node.all_input_nodes if isinstance(bounds.get(s), Tensor)), default=0)
    if isinstance(bound, Tensor) and bound.numel() > before:
        what = f"The values of {node.target} at {rows:,} vertices"
        require_memory(bound.numel() * rows * bound.element_size(), what, MEMORY_ADVICE)


def _same(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and a.shape == b.shape and bool((a - b).abs().max() <= _ROUNDING * (1 + a.abs().max()))


def _row_shape(value: Tensor) -> tuple[int, ...]:
    return tuple(value.shape[1:])


def _map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    return type(value)(_map_tensors(function, v) for v in value) if isinstance(value, list | tuple) else value
