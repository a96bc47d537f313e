"""Inner products of the gradients of pairs of samples, themselves differentiable: what a training term is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from netgeom_widgets.kernels.similarity.capture import Capture, Use
from netgeom_widgets.kernels.similarity.outputs import Output

_TOLERANCE = 1e-3  # of the check against autograd, relative to the norms


@dataclass(frozen=True, eq=False)
class Products:
    """Sums over outputs and parameters, for the n pairs of sample i and sample n + i.

    Attributes
    ----------
    pairs : (n,) Tensor
        sum_c g[i, c] . g[n + i, c].
    own : (2 n,) Tensor
        sum_c g[i, c] . g[i, c].
    """

    pairs: Tensor
    own: Tensor

    def __add__(self, other: Products) -> Products:
        return Products(self.pairs + other.pairs, self.own + other.own)

    @classmethod
    def of(cls, gradients: Tensor) -> Products:
        """Of gradients (2 n, ...)."""
        flat = gradients.flatten(1)
        left, right = flat.chunk(2)
        return cls((left * right).sum(1), flat.square().sum(1))


def pair_products(
    model: nn.Module, parameters: dict[str, nn.Parameter], x: Tensor, output: Output, targets: Tensor | None
) -> Products:
    """Products of the gradients of (2 n) samples, with a graph through which they can be differentiated.

    Weights and biases of linear layers that are met once, on one row for each sample, take part through inputs and
    cotangents, from one pass for all samples; their products are checked against autograd for the first pair. All other
    parameters are differentiated whole.
    """
    device = next(iter(parameters.values())).device
    before = _random_state(device)
    with _WithHistory({id(p): name for name, p in parameters.items()}) as capture:
        chosen = output(model(x).flatten(1), targets)
    drawn = not all(torch.equal(a, b) for a, b in zip(before, _random_state(device), strict=True))
    uses = [] if drawn or not chosen.requires_grad else _linear(capture, len(x))  # a random layer draws anew elsewhere
    cotangents = _cotangents(chosen, uses)
    if uses and not _agree(model, parameters, x, output, targets, uses, cotangents):
        uses = []
    named = {name for use in uses for name in (use.weight, use.bias)}
    rest = {name: p for name, p in parameters.items() if name not in named}
    terms = [_products(use, given) for use, given in zip(uses, cotangents, strict=False) if given is not None]
    if rest:
        terms.append(Products.of(_gradients(model, rest, x, output, targets)))
    zero = Products(x.new_zeros(len(x) // 2, dtype=chosen.dtype), x.new_zeros(len(x), dtype=chosen.dtype))
    return sum(terms, zero)


class _WithHistory(Capture):
    """Keeps the history of the inputs: the gradients are differentiated once more."""

    def _note(self, reading: Any, result: Tensor) -> set[str]:
        names = super()._note(reading, result)
        self.uses[-1] = replace(self.uses[-1], inputs=reading.inputs)
        return names


def _random_state(device: torch.device) -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _linear(capture: Capture, n: int) -> list[Use]:
    """Uses with one row for each sample, of parameters that are used nowhere else."""
    used = [name for use in capture.uses for name in (use.weight, use.bias) if name]
    return [
        use
        for use in capture.uses
        if use.form == "linear"
        and use.inputs.ndim == 2
        and len(use.inputs) == n
        and not any(used.count(name) > 1 or name in capture.others for name in (use.weight, use.bias) if name)
    ]


def _cotangents(chosen: Tensor, uses: list[Use]) -> list[Tensor | None]:
    """Of each use's result (n, d, b); None where no output depends on it."""
    if not uses:
        return []
    found = [
        torch.autograd.grad(column.sum(), [use.result for use in uses], create_graph=True, allow_unused=True)
        for column in chosen.unbind(1)
    ]
    return [
        None if all(g is None for g in of_use) else torch.stack([_or_zeros(g, use) for g in of_use], 1)
        for use, of_use in zip(uses, zip(*found, strict=True), strict=True)
    ]


def _or_zeros(gradient: Tensor | None, use: Use) -> Tensor:
    return use.inputs.new_zeros(use.shape) if gradient is None else gradient


def _products(use: Use, cotangents: Tensor) -> Products:
    """The gradient of a weight is the outer product of cotangent and input, that of a bias the cotangent."""
    inputs, outputs = Products.of(use.inputs), Products.of(cotangents)
    weight, bias = float(use.weight is not None), float(use.bias is not None)
    return Products(
        (weight * inputs.pairs + bias) * outputs.pairs,
        (weight * inputs.own + bias) * outputs.own,
    )


def _agree(
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    x: Tensor,
    output: Output,
    targets: Tensor | None,
    uses: list[Use],
    cotangents: list[Tensor | None],
) -> bool:
    """Whether the first pair has the products that autograd gives each of its samples alone, for one mix of outputs."""
    names = [name for use in uses for name in (use.weight, use.bias) if name]
    first, alone = torch.tensor([0, len(x) // 2], device=x.device), []
    mix = None
    for i in first:
        chosen = output(model(x[i][None]).flatten(1), None if targets is None else targets[i][None])
        mix = torch.cos(torch.arange(1, chosen.shape[1] + 1, device=chosen.device, dtype=chosen.dtype))
        gradients = torch.autograd.grad(chosen[0] @ mix, [parameters[name] for name in names], allow_unused=True)
        alone.append(torch.cat([_flat(g, parameters[name]) for g, name in zip(gradients, names, strict=True)]))
    wanted = Products.of(torch.stack(alone))
    with torch.no_grad():
        pairs = [(use, given) for use, given in zip(uses, cotangents, strict=True) if given is not None]
        found = [
            _products(replace(use, inputs=use.inputs[first]), torch.einsum("ncb,c->nb", given[first], mix))
            for use, given in pairs
        ]
        zero = Products(torch.zeros_like(wanted.pairs), torch.zeros_like(wanted.own))
        total = sum(found, zero)
        size = wanted.own.max()
        return bool(
            ((total.own - wanted.own).abs() <= _TOLERANCE * size).all()
            and ((total.pairs - wanted.pairs).abs() <= _TOLERANCE * size).all()
        )


def _gradients(
    model: nn.Module, parameters: dict[str, nn.Parameter], x: Tensor, output: Output, targets: Tensor | None
) -> Tensor:
    """(2 n, d p), differentiable; sample by sample where torch cannot batch an operation of the model."""
    from torch.func import functional_call, jacrev, vmap

    def outputs_of(own: dict[str, Tensor], sample: Tensor, target: Tensor | None) -> Tensor:
        found = functional_call(model, own, (sample[None],)).reshape(1, -1)
        return output(found, None if target is None else target[None])[0]

    axes = (None, 0, None if targets is None else 0)
    try:
        found = vmap(jacrev(outputs_of), in_dims=axes, randomness="same")(dict(parameters), x, targets)
        return torch.cat([value.flatten(1) for value in found.values()], 1)
    except (RuntimeError, NotImplementedError):
        rows = []
        for i in range(len(x)):
            values = output(model(x[i : i + 1]).reshape(1, -1), None if targets is None else targets[i : i + 1])[0]
            rows.append(torch.cat([_flat_gradients(value, list(parameters.values())) for value in values]))
        return torch.stack(rows)


def _flat_gradients(value: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    found = torch.autograd.grad(value, parameters, create_graph=True, allow_unused=True)
    return torch.cat([_flat(gradient, p) for gradient, p in zip(found, parameters, strict=True)])


def _flat(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return (torch.zeros_like(parameter) if gradient is None else gradient).reshape(-1)
