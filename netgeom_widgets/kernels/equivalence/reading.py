"""Reading a module as a multilayer perceptron, where it is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from netgeom_widgets.errors import UnsupportedModuleError
from netgeom_widgets.kernels._tracing import traced_graph
from netgeom_widgets.kernels.equivalence.activations import IDENTITY, Activation, of_call, of_module
from netgeom_widgets.kernels.equivalence.mlp import MLP, Layer

_PASSING_MODULES = (nn.Dropout, nn.AlphaDropout, nn.Flatten, nn.Unflatten)
_PASSING = {"flatten", "view", "reshape", "dropout", "contiguous", "float", "double", "to", "squeeze", "unsqueeze"}
_SIZES = {"size", "getattr", "getitem", "mul", "floordiv"}


def read_mlp(model: nn.Module, parts: Mapping[str, slice]) -> MLP | None:
    """The layers of a module whose forward is a chain of linear layers and elementwise activations.

    Operations that only reshape are taken as no change: whether they are is settled by comparing values
    (`FlatNetwork`), as is everything else that is read here.

    Parameters
    ----------
    model : torch.nn.Module
        In eval mode.
    parts : dict of str to slice
        Where every parameter lies in the flat vector, by dotted name.

    Returns
    -------
    MLP or None
        None for any other module, also one with parameters that the chain does not use.
    """
    try:
        graph = traced_graph(model)
    except UnsupportedModuleError:
        return None
    layers = _Chain(model, parts).follow(graph)
    if not layers:
        return None
    used = sum(
        part.stop - part.start for layer in layers for part in (layer.weight, layer.bias) if isinstance(part, slice)
    )
    return MLP(layers) if used == sum(part.stop - part.start for part in parts.values()) else None


class _Chain:
    """Layers found so far while the operations of a graph are followed in order."""

    def __init__(self, model: nn.Module, parts: Mapping[str, slice]) -> None:
        self._modules = dict(model.named_modules(remove_duplicate=False))
        self._parts = parts
        self._layers: list[Layer] = []

    def follow(self, graph: fx.Graph) -> list[Layer] | None:
        """All layers, or None where the graph is no chain."""
        last: fx.Node | None = None
        for node in graph.nodes:
            if node.op == "placeholder" and last is None:
                last = node
            elif node.op == "output":
                return self._layers if node.args[0] is last else None
            elif node.op == "placeholder" and (node.args or str(node.target).startswith("*")):
                continue  # an argument with a default
            elif _reads_sizes(node):
                continue
            elif last is None or not node.args or node.args[0] is not last or last in _tensors(node)[1:]:
                return None
            elif self._step(node):
                last = node
            else:
                return None
        return None

    def _step(self, node: fx.Node) -> bool:
        """Take one operation in; whether it is known."""
        if node.op == "call_module":
            module = self._modules[str(node.target)]
            if type(module) is nn.Linear:
                return self._add_layer(str(node.target), module)
            return isinstance(module, _PASSING_MODULES) or self._activate(of_module(module))
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        return name in _PASSING or self._activate(of_call(node.target, node.args[1:], dict(node.kwargs)))

    def _add_layer(self, path: str, module: nn.Linear) -> bool:
        weight, bias = self._parts.get(f"{path}.weight"), self._parts.get(f"{path}.bias")
        met = any(layer.weight == weight for layer in self._layers)
        fits = not self._layers or self._layers[-1].n_out == module.in_features
        if weight is None or (bias is None) != (module.bias is None) or met or not fits:
            return False  # weights that are computed, shared between layers, or applied along an axis
        self._layers.append(Layer(path, weight, bias, module.in_features, module.out_features, IDENTITY))
        return True

    def _activate(self, activation: Activation | None) -> bool:
        if activation is None:
            return False
        if activation.linear:
            return True
        if not self._layers or not self._layers[-1].activation.linear:
            return False  # of the inputs, or a second one: no form that is known here
        last = self._layers[-1]
        self._layers[-1] = Layer(last.name, last.weight, last.bias, last.n_in, last.n_out, activation)
        return True


def _tensors(node: fx.Node) -> list[Any]:
    return [argument for argument in [*node.args, *node.kwargs.values()] if isinstance(argument, fx.Node)]


def _reads_sizes(node: fx.Node) -> bool:
    """Whether an operation gives a size, which only reshaping uses."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name not in _SIZES:
        return False
    return name in ("size", "getattr") or all(_reads_sizes(source) for source in node.all_input_nodes)


def same_function(mlp: MLP, theta: Tensor, x: Tensor, outputs: Tensor, tolerance: float = 1e-11) -> bool:
    """Whether a reading gives these outputs (B, C, N) at theta (B, P) and inputs x (n_in, N)."""
    if x.shape[0] != mlp.layers[0].n_in or outputs.shape[1] != mlp.layers[-1].n_out:
        return False
    found = mlp.outputs(theta, x)
    scale = float(outputs.abs().max()) or 1.0
    return bool(torch.isfinite(found).all()) and float((found - outputs).abs().max()) <= tolerance * scale
