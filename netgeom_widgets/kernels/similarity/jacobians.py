"""Gradients differentiated whole, for parameters that the layer path does not know."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from netgeom_widgets.kernels.similarity.inputs import Network
from netgeom_widgets.kernels.similarity.layer_path import evaluated
from netgeom_widgets.kernels.similarity.outputs import Output


def batched_jacobians(
    network: Network, inputs: Tensor, output: Output, targets: Tensor | None, names: list[str]
) -> dict[str, Tensor]:
    """(n, d, entries) of each named parameter by vmap(jacrev).

    Raises
    ------
    RuntimeError, ValueError, TypeError
        Where torch cannot batch an operation of the model.
    """
    from torch.func import functional_call, jacrev, vmap

    chosen = {name: network.parameters[name].detach() for name in names}

    def outputs_of(parameters: dict[str, Tensor], x: Tensor, target: Tensor | None) -> Tensor:
        result = functional_call(network.model, parameters, (x[None],))
        return output(result.reshape(1, -1), None if target is None else target[None])[0]

    with (
        warnings.catch_warnings(),  # torch warns of operations that it batches slowly: still faster than a loop
        torch.no_grad(),  # the network's own parameters require gradients: no graph of theirs is wanted here
    ):
        warnings.simplefilter("ignore")
        axes = (None, 0, None if targets is None else 0)
        found = vmap(jacrev(outputs_of), in_dims=axes, randomness="different")(chosen, inputs, targets)
    return {name: value.detach().flatten(2) for name, value in found.items()}


def looped_jacobians(
    network: Network, inputs: Tensor, output: Output, targets: Tensor | None, names: list[str]
) -> dict[str, Tensor]:
    """The same by one backward pass for each sample and output."""
    chosen = [network.parameters[name] for name in names]
    rows: list[list[Tensor]] = []
    with torch.enable_grad():
        for i in range(len(inputs)):
            one = slice(i, i + 1)
            values = output(evaluated(network, inputs[one]), None if targets is None else targets[one])[0]
            rows += [gradients_of(value, chosen) for value in values]
    n = len(inputs)
    return {name: torch.stack([row[p] for row in rows]).reshape(n, len(rows) // n, -1) for p, name in enumerate(names)}


def gradients_of(value: Tensor, parameters: list[torch.nn.Parameter]) -> list[Tensor]:
    """Flat gradients of a number; zero for parameters that it does not depend on."""
    found: tuple[Tensor | None, ...] = (None,) * len(parameters)
    if value.requires_grad:
        found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return [
        torch.zeros(parameter.numel(), dtype=parameter.dtype) if gradient is None else gradient.detach().reshape(-1)
        for gradient, parameter in zip(found, parameters, strict=True)
    ]
