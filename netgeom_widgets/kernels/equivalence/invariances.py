"""What leaves the function of a chain of layers the same, read from the activations of its hidden layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels._model import unwrapped
from netgeom_widgets.kernels.equivalence.activations import Activation
from netgeom_widgets.kernels.equivalence.mlp import MLP
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.problem import as_parameters

_N_PROBES = 64  # Gaussian inputs on which two parameter vectors are compared
_SAME = 1e-9


class Chain:
    """A multilayer perceptron at one parameter vector; its matrices are views, so changing them changes `theta`.

    Parameters
    ----------
    mlp : MLP
    theta : (P,) float64
        Not copied.
    """

    def __init__(self, mlp: MLP, theta: Float64[ndarray, " P"]) -> None:
        self.mlp, self.theta = mlp, theta

    def copy(self) -> Chain:
        """The same network with a vector of its own."""
        return Chain(self.mlp, self.theta.copy())

    def zeros(self) -> Chain:
        """A direction: the same layout, all entries 0."""
        return Chain(self.mlp, np.zeros_like(self.theta))

    @property
    def n_hidden(self) -> int:
        """Number of hidden layers."""
        return len(self.mlp.hidden)

    def activation(self, layer: int) -> Activation:
        """What follows a layer."""
        return self.mlp.layers[layer].activation

    def weight(self, layer: int) -> Float64[ndarray, "n_out n_in"]:
        """View of a layer's weight."""
        entry = self.mlp.layers[layer]
        return self.theta[entry.weight].reshape(entry.n_out, entry.n_in)

    def bias(self, layer: int) -> Float64[ndarray, " n_out"] | None:
        """View of a layer's bias."""
        part = self.mlp.layers[layer].bias
        return None if part is None else self.theta[part]

    def incoming(self, layer: int) -> Float64[ndarray, "n_out n"]:
        """Copy of the weights and bias that lead into each unit of a layer."""
        bias = self.bias(layer)
        return self.weight(layer).copy() if bias is None else np.column_stack([self.weight(layer), bias])

    def outgoing(self, layer: int) -> Float64[ndarray, "n_out n"]:
        """Copy of the weights that lead out of each unit of a hidden layer."""
        return self.weight(layer + 1).T.copy()

    def flips(self, layer: int) -> bool:
        """Whether units of a hidden layer can change sign: f(-z) = f(z), or c - f(z) with c = 0 or a bias behind."""
        symmetry = self.activation(layer).point_symmetry
        if symmetry is None:
            return self.activation(layer).even
        return symmetry == 0.0 or self.bias(layer + 1) is not None

    def rearrange(self, layer: int, permutation: Int64[ndarray, " h"], factors: Float64[ndarray, " h"]) -> None:
        """New unit i of a hidden layer = factors[i] times old unit permutation[i]; the function stays.

        Factors are positive where the activation is homogeneous, 1 or -1 where units can change sign, their products
        where both hold, else 1.
        """
        weight, bias, behind = self.weight(layer), self.bias(layer), self.weight(layer + 1)
        weight[:] = factors[:, None] * weight[permutation]
        if bias is not None:
            bias[:] = factors * bias[permutation]
        behind[:] = behind[:, permutation] / (np.abs(factors) if self.activation(layer).even else factors)
        constant, bias_behind = self.activation(layer).point_symmetry, self.bias(layer + 1)
        if constant and bias_behind is not None:  # v f(z) = c v - v f(-z), and `behind` holds -v already
            bias_behind -= constant * behind[:, factors < 0].sum(axis=1)

    def values(self, inputs: Float64[ndarray, "n_in N"]) -> list[tuple[ndarray, ndarray, ndarray]]:
        """Of every layer pre-activations, activations and derivatives, (n_out, N) each."""
        pairs = self.mlp.pre_activations(torch.from_numpy(self.theta)[None], torch.from_numpy(inputs))
        return [
            (z[0].numpy(), a[0].numpy(), layer.activation.derivative(z)[0].numpy())
            for layer, (z, a) in zip(self.mlp.layers, pairs, strict=True)
        ]


def read_network(model: Any, inputs: Any = None) -> FlatNetwork:
    """A model as a function of its flat parameters; without inputs, on some Gaussian ones.

    Raises
    ------
    UnsupportedModuleError
        Inputs left out, and the model has parameters outside linear layers.
    NetgeomError
        No model, no linear layer, inputs that do not fit.
    """
    if isinstance(model, FlatNetwork):
        return model if inputs is None else model.at(inputs)
    if inputs is None and isinstance(model, nn.Module):
        inputs = probes(_first_linear(unwrapped(model)).in_features).T
    return FlatNetwork(model, inputs)


def _first_linear(model: nn.Module) -> nn.Linear:
    """It says how many numbers an input has."""
    own = [(path, module) for path, module in model.named_modules() if list(module.parameters(recurse=False))]
    other = next(((path, module) for path, module in own if type(module) is not nn.Linear), ("", model))
    if not own or other[1] is not model or not isinstance(own[0][1], nn.Linear):
        raise _unreadable(*other)
    return own[0][1]


def _unreadable(path: str, module: nn.Module) -> UnsupportedModuleError:
    return UnsupportedModuleError(
        f"The symmetries of {path or 'this model'} cannot be read",
        expected="a chain of nn.Linear layers, each weight used once, with elementwise activations between them",
        got=type(module).__name__,
    )


def read_mlp(model: Any, inputs: Any = None) -> MLP:
    """The layers of a model.

    Raises
    ------
    UnsupportedModuleError
        The model is no chain of linear layers and activations, so its symmetries cannot be read.
    """
    network = read_network(model, inputs)
    if network.mlp is None:
        raise _unreadable("", network.model)
    return network.mlp


def as_chain(model: Any, parameters: Any, inputs: Any = None) -> Chain:
    """A model at given parameters; errors as in `read_mlp` and `as_parameters`."""
    return chain_at(read_mlp(model, inputs), parameters)


def chain_at(mlp: MLP, parameters: Any, what: str = "parameters") -> Chain:
    """Layers at a copy of one flat parameter vector.

    Raises
    ------
    NetgeomError
        Another length, several vectors, values that are not finite.
    """
    rows = as_parameters(parameters, flat_length(mlp), what)
    if len(rows) != 1:
        raise NetgeomError(f"The {what} are several vectors", expected="one of them", got=f"{len(rows)} rows")
    return Chain(mlp, rows[0].numpy())


def flat_length(mlp: MLP) -> int:
    """P, the number of parameters."""
    return max(part.stop for layer in mlp.layers for part in (layer.weight, layer.bias) if part is not None)


def probes(n_in: int) -> Float64[ndarray, "n_in N"]:
    """The same Gaussian inputs in every call."""
    return np.random.default_rng(0).standard_normal((n_in, _N_PROBES))


def require_same_function(mlp: MLP, before: Float64[ndarray, "n P"], after: Float64[ndarray, "m P"]) -> None:
    """Compare pairs of parameter vectors, or one with many (n = 1), on Gaussian inputs.

    The tolerance is 1e-9 of the largest sum of absolute terms behind an output: what rounding can account for.

    Raises
    ------
    NetgeomError
        The functions differ: overflow, or scales beyond float64.
    """
    inputs = torch.from_numpy(probes(mlp.layers[0].n_in))
    theta = torch.from_numpy(before)
    values = mlp.pre_activations(theta, inputs)
    weight, bias = mlp.weights(theta)[-1]
    terms = weight.abs() @ (values[-2][1] if len(values) > 1 else inputs).abs()
    scale = (terms if bias is None else terms + bias.abs()[..., None]).amax((1, 2))
    difference = (mlp.outputs(torch.from_numpy(after), inputs) - values[-1][1]).abs().amax((1, 2))
    scale = scale.expand_as(difference)
    wrong = ~(difference <= _SAME * scale)
    if bool(wrong.any()):
        raise NetgeomError(
            "An image does not compute the same function",
            expected=f"outputs that agree within {_SAME:g} of {float(scale[wrong][0]):.3g}",
            got=f"a difference of {float(difference[wrong][0]):.3g}",
            try_this="parameters of less extreme scale",
        )
