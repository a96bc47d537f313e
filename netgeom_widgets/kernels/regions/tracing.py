"""Reading a model with torch.fx: what every operation is, or the dotted name of the one that is not supported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from netgeom_widgets.errors import UnsupportedModuleError
from netgeom_widgets.kernels._tracing import traced_graph
from netgeom_widgets.kernels.regions import elementwise, registry, windows
from netgeom_widgets.kernels.regions import operations as ops
from netgeom_widgets.kernels.regions.elementwise import PiecewiseLinear
from netgeom_widgets.kernels.regions.lowering import lower_maxima
from netgeom_widgets.kernels.regions.windows import Maximum


@dataclass(eq=False)
class Activation:
    """One activation op of the graph: its number, its name, and what it does."""

    index: int
    name: str
    function: PiecewiseLinear | Maximum

    def apply(self, z: Tensor, *, in_place: bool = False) -> Tensor:
        """The activation itself; z (rows, *shape)."""
        return self.function(z, in_place=in_place)


class Traced:
    """The graph of a model, every node classified.

    Attributes
    ----------
    constants : dict
        Values of the nodes that do not depend on the input.
    batched, shapelike : set
        Nodes whose value has a row for every input; nodes that read sizes, which change as rows are added.
    magnitude : dict
        How each affine node acts on magnitudes.
    activations, activation_at
        The activation ops in graph order, and by node.
    last_use : dict
        Node -> the batched values that nobody needs after it.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.graph = traced_graph(model, registry.is_registered)
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.constants: dict[fx.Node, Any] = {}
        self.magnitude: dict[fx.Node, Any] = {}
        self.batched: set[fx.Node] = set()
        self.shapelike: set[fx.Node] = set()
        self.activations: list[Activation] = []
        self.activation_at: dict[fx.Node, Activation] = {}
        self._redirect_in_place()
        lower_maxima(self.graph, self.refuse)
        with torch.no_grad():
            for node in self.graph.nodes:
                self._classify(node)
        self.last_use = self._liveness()

    def _redirect_in_place(self) -> None:
        """After an in-place activation every later reader of its input sees the output."""
        order = {node: i for i, node in enumerate(self.graph.nodes)}
        for node in self.graph.nodes:
            module = self.modules.get(str(node.target)) if node.op == "call_module" else None
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
            self.constants[node] = self._attribute(str(node.target))
        elif node.op == "output":
            if not (isinstance(node.args[0], fx.Node) and node.args[0] in self.batched):
                raise UnsupportedModuleError(
                    "The model returns something else than one tensor", expected="one tensor, batch first"
                )
        elif self._is_shapelike(node):
            self.shapelike.add(node)
        elif node.op == "call_module":
            self._classify_module(node)
        elif not any(i in self.batched for i in inputs):
            if any(i in self.shapelike for i in inputs):
                raise self.refuse(node, "makes a tensor whose size depends on the batch")
            self.constants[node] = self.call(node, self.constants)
        else:
            self._classify_call(node)

    def _classify_placeholder(self, node: fx.Node) -> None:
        if not self.batched:
            self.batched.add(node)
        elif node.args or str(node.target).startswith("*"):
            self.constants[node] = node.args[0] if node.args else None
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
        return node.target in ops.SHAPE_ARITHMETIC and bool(inputs) and all(i in self.shapelike for i in inputs)

    def _classify_module(self, node: fx.Node) -> None:
        module = self.modules[str(node.target)]
        function = registry.of_module(module) or elementwise.of_module(module) or windows.of_module(module)
        problem = ops.module_problem(module) if function is None else function
        if isinstance(problem, str):
            raise self.refuse(node, problem)
        self.batched.add(node)
        if isinstance(function, PiecewiseLinear | Maximum):
            self._add_activation(node, function)
        else:
            self.magnitude[node] = ops.magnitude_of_module(module)

    def _classify_call(self, node: fx.Node) -> None:
        self.batched.add(node)
        plain = [self.constants.get(a, a) if isinstance(a, fx.Node) else a for a in node.args[1:]]
        kwargs = {k: self.constants.get(a, a) if isinstance(a, fx.Node) else a for k, a in node.kwargs.items()}
        given = node.target, tuple(plain), kwargs
        function = elementwise.of_call(*given) or windows.of_call(*given)
        if isinstance(function, str):
            raise self.refuse(node, function)
        if function is not None:
            self._add_activation(node, function)
            return
        batched = [self._carries_batch(a) for a in node.args]
        if any(self._carries_batch(a) for a in node.kwargs.values()) and node.args:
            raise self.refuse(node, "takes an activation as a keyword, which is not supported")
        how = ops.affine_call(node.target, batched, tuple(plain), kwargs)
        if isinstance(how, str):
            raise self.refuse(node, how)
        self.magnitude[node] = how

    def _carries_batch(self, argument: Any) -> bool:
        if isinstance(argument, fx.Node):
            return argument in self.batched
        return isinstance(argument, list | tuple) and any(self._carries_batch(a) for a in argument)

    def _add_activation(self, node: fx.Node, function: PiecewiseLinear | Maximum) -> None:
        base = self._dotted(node)
        taken = {a.name for a in self.activations}
        name, again = base, 2
        while name in taken:
            name, again = f"{base}#{again}", again + 1
        activation = Activation(len(self.activations), name, function)
        self.activations.append(activation)
        self.activation_at[node] = activation

    def _dotted(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return str(node.target)
        path = node.meta.get("path", "")
        return f"{path}.{node.name}" if path else node.name

    def refuse(self, node: fx.Node, problem: str) -> UnsupportedModuleError:
        """The error that names an operation and its problem."""
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        kind = type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
        return UnsupportedModuleError(f"{self._dotted(node)} ({kind}) {problem}", expected=ops.SUPPORTED, got=kind)

    def _liveness(self) -> dict[fx.Node, list[fx.Node]]:
        """Node -> the batched values that nobody needs after it; readers of shapes do not keep a tensor alive."""
        last: dict[fx.Node, fx.Node] = {}
        for node in self.graph.nodes:
            if node not in self.shapelike:
                for source in node.all_input_nodes:
                    last[source] = node
        dead: dict[fx.Node, list[fx.Node]] = {}
        for source, node in last.items():
            if source in self.batched:
                dead.setdefault(node, []).append(source)
        return dead

    def call(self, node: fx.Node, values: dict[fx.Node, Any], shapes: dict[fx.Node, Any] | None = None) -> Any:
        """One operation on the values of its inputs."""
        lookup = {**values, **shapes} if shapes else values
        args = fx.node.map_arg(node.args, lookup.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, lookup.__getitem__)
        if node.op == "call_module":
            return self.modules[str(node.target)](*args, **kwargs)
        if node.op == "call_method":
            return (
                args[0]
                if ops.unchanged_method(node.target)
                else getattr(args[0], str(node.target))(*args[1:], **kwargs)
            )
        target: Any = node.target
        return target(*args, **kwargs)
