"""Interpretation of a model, traced by torch.fx, on a batch of slice vertices.

Affine operations run as they are; at every activation the caller decides what happens (refine the partition, follow a
known pattern, or simply apply it). Whatever is not exactly piecewise linear is refused by its dotted name before any
work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels.regions import operations as ops

# Rows of the batch may be computed in another order than a single row: differences of this relative size are rounding.
_ROUNDING = 1e-9


@dataclass(eq=False)
class Activation:
    """One activation op of the graph: its name, the slopes left and right of its hinge at zero."""

    index: int
    name: str
    slopes: ops.Slopes

    def apply(self, z: Tensor, *, in_place: bool = False) -> Tensor:
        """The activation itself; z (rows, *unit shape)."""
        if not any(isinstance(slope, Tensor) for slope in self.slopes) and self.slopes == (0.0, 1.0):
            return z.clamp_(min=0) if in_place else z.clamp(min=0)
        return self.on_branch(z, z > 0)

    def on_branch(self, z: Tensor, positive: Tensor) -> Tensor:
        """The affine branch named by ``positive``, whatever the sign of z."""
        negative_slope, positive_slope = (self._shaped(s, z) for s in self.slopes)
        return torch.where(positive, z * positive_slope, z * negative_slope)

    @staticmethod
    def _shaped(slope: float | Tensor, z: Tensor) -> float | Tensor:
        if not isinstance(slope, Tensor):
            return slope
        return slope.reshape(-1, *[1] * (z.ndim - 2)) if slope.numel() > 1 else slope.reshape(())


# Called with the activation, its input z and the magnitude row of z (None when not followed). Returns the output; when
# rows were added to the batch, the function that adds them to every other live tensor; and the magnitude row of the
# output, None to read it off the output.
_Extend = Callable[[Tensor], Tensor]
AtActivation = Callable[[Activation, Tensor, Tensor | None], tuple[Tensor, _Extend | None, Tensor | None]]


class _Tracer(fx.Tracer):
    """Keeps the dotted path of the module being traced, to name what fails."""

    def __init__(self) -> None:
        super().__init__()
        self.path = ""

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        outer, self.path = self.path, self.path_of_module(m)
        try:
            result = super().call_module(m, forward, args, kwargs)
        except UnsupportedModuleError:
            raise
        except Exception as error:
            raise _untraceable(self.path, m, error) from error
        self.path = outer
        return result

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: Any = None, type_expr: Any = None
    ) -> fx.Node:
        node = super().create_node(kind, target, args, kwargs, name, type_expr)
        node.meta["path"] = self.path
        return node


def _untraceable(path: str, module: nn.Module, error: Exception) -> UnsupportedModuleError:
    return UnsupportedModuleError(
        f"{path or 'the model'} ({type(module).__name__}) cannot be read as a fixed graph "
        f"({type(error).__name__}: {error})",
        expected="a forward without Python control flow on tensor values",
        try_this="modules and tensor operations only; shapes such as x.size(0) are fine",
    )


class Program:
    """A traced model, checked: only affine operations and supported activations, no mixing of samples."""

    def __init__(self, model: nn.Module, probe: Tensor) -> None:
        """Trace ``model`` (a private float64 copy) and compare with its own forward on the ``probe`` inputs."""
        self.model = model
        tracer = _Tracer()
        try:
            self.graph = tracer.trace(model)
        except UnsupportedModuleError:
            raise
        except Exception as error:
            raise _untraceable(tracer.path, model, error) from error
        self._modules = dict(model.named_modules(remove_duplicate=False))
        self._constants: dict[fx.Node, Any] = {}
        self._magnitude: dict[fx.Node, Any] = {}
        self._batched: set[fx.Node] = set()
        self._shapelike: set[fx.Node] = set()
        self.activations: list[Activation] = []
        self._activation_at: dict[fx.Node, Activation] = {}
        self._redirect_in_place()
        with torch.no_grad():
            for node in self.graph.nodes:
                self._classify(node)
        self._last_use = self._liveness()
        self._check_on(probe)

    # ------------------------------------------------------------------------------------------------------- reading

    def _redirect_in_place(self) -> None:
        """After an in-place activation every later reader of its input sees the output."""
        order = {node: i for i, node in enumerate(self.graph.nodes)}
        for node in self.graph.nodes:
            module = self._modules.get(str(node.target)) if node.op == "call_module" else None
            name = getattr(node.target, "__name__", str(node.target))
            in_place = (
                getattr(module, "inplace", False)
                or node.kwargs.get("inplace")
                or (name.endswith("_") and not name.endswith("__"))
            )
            if in_place and node.args and isinstance(node.args[0], fx.Node):
                source = node.args[0]
                for user in [user for user in source.users if order[user] > order[node]]:
                    user.replace_input_with(source, node)

    def _classify(self, node: fx.Node) -> None:
        inputs = node.all_input_nodes
        if node.op == "placeholder":
            self._classify_placeholder(node)
        elif node.op == "get_attr":
            self._constants[node] = self._attribute(str(node.target))
        elif node.op == "output":
            if not (isinstance(node.args[0], fx.Node) and node.args[0] in self._batched):
                raise UnsupportedModuleError(
                    "The model returns something else than one tensor", expected="one tensor, batch first"
                )
        elif self._is_shapelike(node):
            self._shapelike.add(node)
        elif node.op == "call_module":
            self._classify_module(node)
        elif not any(i in self._batched for i in inputs):
            if any(i in self._shapelike for i in inputs):
                raise self._refuse(node, "makes a tensor whose size depends on the batch")
            self._constants[node] = self._call(node, self._constants)
        else:
            self._classify_call(node)

    def _classify_placeholder(self, node: fx.Node) -> None:
        if not self._batched:
            self._batched.add(node)
        elif node.args or str(node.target).startswith("*"):
            self._constants[node] = node.args[0] if node.args else None
        else:
            raise UnsupportedModuleError(
                "The model takes more than one input", expected="one tensor, batch first", got=f"also {node.target}"
            )

    def _attribute(self, target: str) -> Any:
        value: Any = self.model
        for part in target.split("."):
            value = getattr(value, part)
        return value

    def _is_shapelike(self, node: fx.Node) -> bool:
        if node.op == "call_method" and node.target in ops.SHAPE_METHODS:
            return True
        if node.op != "call_function":
            return False
        if node.target is getattr:
            return node.args[1] in ops.SHAPE_ATTRIBUTES
        inputs = node.all_input_nodes
        return node.target in ops.SHAPE_ARITHMETIC and bool(inputs) and all(i in self._shapelike for i in inputs)

    def _classify_module(self, node: fx.Node) -> None:
        module = self._modules[str(node.target)]
        problem = ops.module_problem(module)
        if problem:
            raise self._refuse(node, problem)
        self._batched.add(node)
        slopes = ops.activation_of_module(module)
        if slopes is None:
            self._magnitude[node] = ops.magnitude_of_module(module)
        else:
            self._add_activation(node, slopes)

    def _classify_call(self, node: fx.Node) -> None:
        self._batched.add(node)
        plain = [self._constants.get(a, a) if isinstance(a, fx.Node) else a for a in node.args[1:]]
        kwargs = {k: self._constants.get(a, a) if isinstance(a, fx.Node) else a for k, a in node.kwargs.items()}
        slopes = ops.activation_of_call(node.target, tuple(plain), kwargs)
        if slopes is not None:
            self._add_activation(node, slopes)
            return
        batched = [self._carries_batch(a) for a in node.args]
        if any(self._carries_batch(a) for a in node.kwargs.values()) and node.args:
            raise self._refuse(node, "takes an activation as a keyword, which is not supported")
        how = ops.affine_call(node.target, batched, tuple(plain), kwargs)
        if isinstance(how, str):
            raise self._refuse(node, how)
        self._magnitude[node] = how

    def _carries_batch(self, argument: Any) -> bool:
        if isinstance(argument, fx.Node):
            return argument in self._batched
        return isinstance(argument, list | tuple) and any(self._carries_batch(a) for a in argument)

    def _add_activation(self, node: fx.Node, slopes: ops.Slopes) -> None:
        base = self._dotted(node)
        taken = {a.name for a in self.activations}
        name, again = base, 2
        while name in taken:
            name, again = f"{base}#{again}", again + 1
        activation = Activation(len(self.activations), name, slopes)
        self.activations.append(activation)
        self._activation_at[node] = activation

    def _dotted(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return str(node.target)
        path = node.meta.get("path", "")
        return f"{path}.{node.name}" if path else node.name

    def _refuse(self, node: fx.Node, problem: str) -> UnsupportedModuleError:
        module = self._modules.get(str(node.target)) if node.op == "call_module" else None
        kind = type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
        return UnsupportedModuleError(f"{self._dotted(node)} ({kind}) {problem}", expected=ops.SUPPORTED, got=kind)

    def _liveness(self) -> dict[fx.Node, list[fx.Node]]:
        """Node -> the batched values that nobody needs after it; readers of shapes do not keep a tensor alive."""
        last: dict[fx.Node, fx.Node] = {}
        for node in self.graph.nodes:
            if node not in self._shapelike:
                for source in node.all_input_nodes:
                    last[source] = node
        dead: dict[fx.Node, list[fx.Node]] = {}
        for source, node in last.items():
            if source in self._batched:
                dead.setdefault(node, []).append(source)
        return dead

    # ------------------------------------------------------------------------------------------------------- running

    def run(
        self, x: Tensor, at_activation: AtActivation, magnitude: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs (rows, C) for a batch, and the magnitude row of the outputs when one is followed."""
        values: dict[fx.Node, Any] = {}
        bounds: dict[fx.Node, Any] = {}
        trailing: dict[fx.Node, Any] = {}
        rows = len(x)
        for node in self.graph.nodes:
            if node.op == "output":
                source = node.args[0]
                bound = bounds[source].flatten(1) if magnitude is not None else None
                return values[source].reshape(rows, -1), bound
            if node not in self._batched:
                continue
            if node.op == "placeholder":
                values[node], bounds[node] = x, magnitude
            elif node in self._activation_at:
                source = node.args[0]
                z = values.pop(source) if source in self._last_use.get(node, ()) else values[source]
                y, extend, bound = at_activation(
                    self._activation_at[node], z, bounds[source] if magnitude is not None else None
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
                values[node] = self._call(node, {**self._constants, **values}, self._shapes(node, trailing, rows))
                if magnitude is not None:
                    bounds[node] = self._bound(node, bounds, self._shapes(node, trailing, 1))
            trailing[node] = _map_tensors(lambda t: tuple(t.shape[1:]), values[node])
            for source in self._last_use.get(node, ()):
                values.pop(source, None)
        raise AssertionError("a traced graph ends in its output")

    def plain(self, x: Tensor) -> Tensor:
        """Outputs (rows, C), every activation simply applied."""
        return self.run(x, lambda activation, z, _: (activation.apply(z), None, None))[0]

    def _shapes(self, node: fx.Node, trailing: dict[fx.Node, Any], rows: int) -> dict[fx.Node, Any]:
        """Sizes a node asks for, computed when they are used: the batch grows between one reading and the next."""
        found: dict[fx.Node, Any] = {}
        for source in self._shape_sources(node):
            environment: dict[fx.Node, Any] = dict(found)
            for argument in source.all_input_nodes:
                if argument in trailing:
                    environment[argument] = torch.empty((rows, *trailing[argument]), device="meta")
                elif argument in self._constants:
                    environment[argument] = self._constants[argument]
            found[source] = self._call(source, environment)
        return found

    def _shape_sources(self, node: fx.Node) -> Iterator[fx.Node]:
        for source in node.all_input_nodes:
            if source in self._shapelike:
                yield from self._shape_sources(source)
                yield source

    def _call(self, node: fx.Node, values: dict[fx.Node, Any], shapes: dict[fx.Node, Any] | None = None) -> Any:
        lookup = {**values, **shapes} if shapes else values
        args = fx.node.map_arg(node.args, lookup.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, lookup.__getitem__)
        if node.op == "call_module":
            return self._modules[str(node.target)](*args, **kwargs)
        if node.op == "call_method":
            return (
                args[0]
                if ops.unchanged_method(node.target)
                else getattr(args[0], str(node.target))(*args[1:], **kwargs)
            )
        target: Any = node.target
        return target(*args, **kwargs)

    def _bound(self, node: fx.Node, bounds: dict[fx.Node, Any], shapes: dict[fx.Node, Any]) -> Any:
        def magnitude(source: fx.Node) -> Any:
            if source in bounds:
                return bounds[source]
            value = shapes[source] if source in shapes else self._constants[source]
            return value.abs() if isinstance(value, Tensor) and value.is_floating_point() else value

        how = self._magnitude[node]
        return how(*fx.node.map_arg(node.args, magnitude), **fx.node.map_arg(node.kwargs, magnitude))

    # ------------------------------------------------------------------------------------------------------ checking

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
                raise _untraceable("", self.model, error) from error
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
                return self._refuse(node, "mixes the samples of a batch: a sample's output depends on the others")
        return UnsupportedModuleError(
            "The model mixes the samples of a batch", expected="each sample's output to depend on it alone"
        )

    def _trail(self, x: Tensor) -> dict[fx.Node, Any]:
        """Value of every operation, as far as they can be computed."""
        values: dict[fx.Node, Any] = {}
        trailing: dict[fx.Node, Any] = {}
        for node in self.graph.nodes:
            try:
                if node.op == "placeholder" and node in self._batched:
                    values[node] = x
                elif node in self._activation_at:
                    values[node] = self._activation_at[node].apply(values[node.args[0]])
                elif node in self._batched:
                    values[node] = self._call(node, {**self._constants, **values}, self._shapes(node, trailing, len(x)))
                else:
                    continue
            except (RuntimeError, TypeError, ValueError, IndexError):
                break
            trailing[node] = _map_tensors(lambda t: tuple(t.shape[1:]), values[node])
        return values


def _same(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and a.shape == b.shape and bool((a - b).abs().max() <= _ROUNDING * (1 + a.abs().max()))


def _map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    return type(value)(_map_tensors(function, v) for v in value) if isinstance(value, list | tuple) else value
