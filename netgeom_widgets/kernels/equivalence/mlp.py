"""Multilayer perceptrons as closed forms: values, Jacobians and their products for many parameter vectors at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netgeom_widgets.kernels.equivalence.activations import Activation

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Layer:
    """An affine map and the activation that follows.

    Attributes
    ----------
    name : str
        Dotted name of the linear module.
    weight, bias : slice, slice or None
        Their parts of the flat parameter vector; weight is (n_out, n_in), row-major.
    n_in, n_out : int
    activation : Activation
        The identity where none follows.
    """

    name: str
    weight: slice
    bias: slice | None
    n_in: int
    n_out: int
    activation: Activation


class MLP:
    """A chain of layers, a function of a flat parameter vector.

    Parameters
    ----------
    layers : sequence of Layer
        The last one gives the outputs.

    Notes
    -----
    Samples stand last, activations are (B, units, N): rows of a product then are contiguous, whatever the width.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """All layers but the last."""
        return self.layers[:-1]

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of the input and of every layer."""
        return (self.layers[0].n_in, *(layer.n_out for layer in self.layers))

    def weights(self, theta: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Weight (B, n_out, n_in) and bias (B, n_out) or None of every layer."""
        return [
            (
                theta[:, layer.weight].reshape(len(theta), layer.n_out, layer.n_in),
                None if layer.bias is None else theta[:, layer.bias],
            )
            for layer in self.layers
        ]

    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        """(B, C, N) of theta (B, P) and inputs x (n_in, N)."""
        (weight, bias), *above = self.weights(theta)
        return self.above_first(above, _affine(weight, bias, x))

    def pre_activations(self, theta: Tensor, x: Tensor, *, consumed: bool = False) -> list[tuple[Tensor, Tensor]]:
        """Of every layer what goes into its activation and what comes out, each (B, n_out, N).

        With ``consumed`` the first may be lost: enough for `Activation.pull`.
        """
        found: list[tuple[Tensor, Tensor]] = []
        below: Tensor = x
        for layer, (weight, bias) in zip(self.layers, self.weights(theta), strict=True):
            z = _affine(weight, bias, below)
            below = layer.activation.consume(z) if consumed else layer.activation.function(z)
            found.append((z, below))
        return found

    def first_layer(self, theta: Tensor, x: Tensor) -> Tensor:
        """What goes into the first activation, (B, units, N)."""
        weight, bias = self.weights(theta)[0]
        return _affine(weight, bias, x)

    def above_first(self, weights: Sequence[tuple[Tensor, Tensor | None]], z: Tensor) -> Tensor:
        """Outputs (B, C, N) of the other layers' weights and of z, what goes into the first activation: overwritten."""
        below = self.layers[0].activation.consume(z)
        for layer, (weight, bias) in zip(self.layers[1:], weights, strict=True):
            below = layer.activation.consume(_affine(weight, bias, below))
        return below

    def jacobian(self, theta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, C, N) and their derivatives (B, P, C, N) by theta (B, P), by one backward sweep."""
        values = self.pre_activations(theta, x, consumed=True)
        outputs = values[-1][1]
        (n_theta, n_parameters), (_, n_outputs, n_samples) = theta.shape, outputs.shape
        jacobian = theta.new_empty((n_theta, n_parameters, n_outputs, n_samples))  # layers fill it: `read_mlp`
        cotangent = torch.eye(n_outputs, dtype=theta.dtype).expand(n_theta, -1, -1)[..., None]  # (B, units, C, 1 or N)
        weights = self.weights(theta)
        for i in reversed(range(len(self.layers))):
            layer, (z, value) = self.layers[i], values[i]
            if not layer.activation.linear:
                cotangent = layer.activation.pull(cotangent, z[:, :, None], value[:, :, None])
            below = values[i - 1][1] if i else x.expand(n_theta, -1, -1)
            rows = jacobian[:, layer.weight].view(n_theta, layer.n_out, layer.n_in, n_outputs, n_samples)
            torch.mul(cotangent[:, :, None], below[:, None, :, None], out=rows)
            if layer.bias is not None:
                jacobian[:, layer.bias] = cotangent
            if i:
                flat = cotangent.expand(-1, -1, -1, n_samples).reshape(n_theta, layer.n_out, -1)
                cotangent = torch.bmm(weights[i][0].mT, flat).view(n_theta, layer.n_in, n_outputs, n_samples)
        return outputs, jacobian

    def pullback(self, theta: Tensor, x: Tensor, weigh: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Outputs (B, C, N), and the gradients (B, P) of sum(weigh(outputs) * outputs) with the weights held fixed."""
        values = self.pre_activations(theta, x, consumed=True)
        return values[-1][1], self._backward(theta, x, values, weigh(values[-1][1]))

    def vjp(self, theta: Tensor, x: Tensor, cotangents: Tensor) -> Tensor:
        """Cotangents (k, C, N) times the Jacobian at theta (P,): (k, P)."""
        values = self.pre_activations(theta[None], x, consumed=True)
        return self._backward(theta[None], x, values, cotangents)

    def _backward(self, theta: Tensor, x: Tensor, values: list[tuple[Tensor, Tensor]], cotangent: Tensor) -> Tensor:
        gradient = theta.new_empty((len(cotangent), theta.shape[1]))
        weights = self.weights(theta)
        for i in reversed(range(len(self.layers))):
            layer, (z, value) = self.layers[i], values[i]
            if not layer.activation.linear:
                cotangent = layer.activation.pull(cotangent, z, value)
            if i:
                product = torch.matmul(cotangent, values[i - 1][1].mT)
            else:  # one product for all: the inputs are the same
                product = cotangent.flatten(0, 1) @ x.T
            gradient[:, layer.weight] = product.reshape(len(cotangent), -1)
            if layer.bias is not None:
                gradient[:, layer.bias] = cotangent.sum(-1)
            if i:
                cotangent = torch.matmul(weights[i][0].mT, cotangent)
        return gradient

    def jvp(self, theta: Tensor, x: Tensor, directions: Tensor) -> Tensor:
        """The Jacobian at theta (P,) times directions (k, P): (k, C, N)."""
        below, moved = x, x.new_zeros((len(directions), 1, 1))
        pairs = zip(self.layers, self.weights(theta[None]), self.weights(directions), strict=True)
        for i, (layer, (weight, bias), (weight_change, bias_change)) in enumerate(pairs):
            change = _affine(weight_change, bias_change, below)
            if i:
                change = change + torch.matmul(weight, moved)
            z = _affine(weight, bias, below)[0]
            below = layer.activation.consume(z)
            moved = change if layer.activation.linear else layer.activation.pull(change, z, below)
        return moved


def _affine(weight: Tensor, bias: Tensor | None, below: Tensor) -> Tensor:
    """(B, n_out, N) of weight (B, n_out, n_in), bias (B, n_out), inputs (n_in, N) of all or (B, n_in, N) of each."""
    if below.ndim == 2:
        rows = weight.reshape(-1, weight.shape[2])
        z = rows @ below if bias is None else torch.addmm(bias.reshape(-1, 1), rows, below)
        return z.view(*weight.shape[:2], below.shape[1])
    return torch.bmm(weight, below) if bias is None else torch.baddbmm(bias[..., None], weight, below)
