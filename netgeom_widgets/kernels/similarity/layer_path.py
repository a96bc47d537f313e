"""The layer path: gradients in factors from one forward pass and one backward pass for each output."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity.capture import Capture, Use
from netgeom_widgets.kernels.similarity.factors import Factor, Outers, Vectors
from netgeom_widgets.kernels.similarity.inputs import Network
from netgeom_widgets.kernels.similarity.outputs import Output
from netgeom_widgets.kernels.similarity.positions import Call, Positions
from netgeom_widgets.kernels.similarity.tokens import Tokens


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """What one pass gives.

    Attributes
    ----------
    factors : dict of str to Factor
        By parameter; the bias of a linear layer met once may be counted by its weight.
    outputs : (n, C) Tensor
        The network's.
    chosen : (n, d) Tensor
        The chosen function of them.
    others : set of str
        Parameters that this path does not know the gradient of.
    """

    factors: dict[str, Factor]
    outputs: Tensor
    chosen: Tensor
    others: set[str]


def layer_gradients(
    network: Network,
    inputs: Tensor,
    output: Output,
    targets: Tensor | None,
    names: set[str],
    *,
    by_parameter: bool,
) -> LayerGradients:
    """Factors of the named parameters for some samples."""
    ids = {id(parameter): name for name, parameter in network.parameters.items() if name in names}
    with torch.enable_grad():
        capture = Capture(ids)
        with capture:
            outputs = evaluated(network, inputs)
        chosen = output(outputs, targets)
        others = capture.others | {n for use in capture.uses if not _sample_major(use, len(inputs)) for n in _of(use)}
        uses = [use for use in capture.uses if not set(_of(use)) <= others]
        cotangents = _cotangents(chosen, uses)
    factors: dict[str, Factor] = {}
    with torch.no_grad():
        for name, found in _by_name(uses, cotangents).items():
            if name in others:
                continue
            factor = _weight_factor(found, len(inputs)) if found.forms else _sum_of_vectors(found.biases)
            if factor is None:
                others.add(name)
            else:
                factors[name] = factor
        if not by_parameter:
            _count_biases_with_weights(factors, uses)
    return LayerGradients(factors, outputs.detach(), chosen.detach(), others)


def evaluated(network: Network, inputs: Tensor) -> Tensor:
    """The network's outputs as (n, C).

    Raises
    ------
    NetgeomError
        A result that is no tensor with one row per input.
    """
    result = network.model(inputs)
    if not isinstance(result, Tensor) or result.ndim < 1 or len(result) != len(inputs) or not result.numel():
        raise NetgeomError(
            "The model does not give one row of outputs per input",
            expected=f"a tensor whose first size is {len(inputs)} for inputs of shape {(*inputs.shape,)}",
            got=f"shape {(*result.shape,)}" if isinstance(result, Tensor) else type(result).__name__,
            try_this="a module that takes one tensor (batch first) and returns one tensor",
        )
    return result.reshape(len(inputs), -1)


def _of(use: Use) -> list[str]:
    return [name for name in (use.weight, use.bias) if name]


def _sample_major(use: Use, n: int) -> bool:
    """Whether rows of a sample can stand together; the check against autograd finds where they do not."""
    return bool(use.shape) and use.shape[0] % n == 0


def _cotangents(chosen: Tensor, uses: list[Use]) -> list[Tensor | None]:
    """Of each use's result: (n, d, rows of the sample, ...), or None where no output depends on it."""
    n, d = chosen.shape
    found: dict[int, Tensor] = {}
    edges = [use.result for use in uses] if chosen.requires_grad else []
    for c in range(d if edges else 0):
        gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
            chosen[:, c].sum(), edges, retain_graph=c + 1 < d, allow_unused=True
        )
        for u, gradient in enumerate(gradients):
            if gradient is None:
                continue
            rows = gradient.detach().reshape(n, -1, *gradient.shape[1:])
            if d == 1:
                found[u] = rows[:, None]
                continue
            if u not in found:
                found[u] = rows.new_zeros((n, d, *rows.shape[1:]))
            found[u][:, c] = rows
    return [found.get(u) for u in range(len(uses))]


@dataclass(eq=False)
class _Found:
    """Uses of one parameter with their cotangents: as weight in some form, as bias."""

    forms: list[tuple[Use, Tensor]]
    biases: list[Tensor]


def _by_name(uses: list[Use], cotangents: list[Tensor | None]) -> dict[str, _Found]:
    found: dict[str, _Found] = defaultdict(lambda: _Found([], []))
    for use, given in zip(uses, cotangents, strict=True):
        if given is None:
            continue
        if use.weight:
            found[use.weight].forms.append((use, given))
        if use.bias:
            found[use.bias].biases.append(_bias_vectors(use, given))
    return found


def _bias_vectors(use: Use, cotangents: Tensor) -> Tensor:
    """(n, d, entries): cotangents (n, d, r, ...) summed over all places that share an entry."""
    if use.form == "linear":
        return cotangents.reshape(*cotangents.shape[:2], -1, cotangents.shape[-1]).sum(2)
    if use.features is None:
        return cotangents.flatten(2).sum(2, keepdim=True)
    if use.features:
        return cotangents.flatten(-len(use.features)).flatten(2, -2).sum(2)
    return cotangents.flatten(4).sum(-1).sum(2) if cotangents.ndim > 4 else cotangents.sum(2)


def _sum_of_vectors(vectors: list[Tensor]) -> Vectors:
    total = vectors[0]
    for more in vectors[1:]:
        total = total + more
    return Vectors(total)


def _weight_factor(found: _Found, n: int) -> Factor | None:
    """The factor of a weight from all of its uses; None when they are of different kinds."""
    forms = {use.form for use, _ in found.forms}
    if len(forms) > 1 or found.biases:
        return None
    form = forms.pop()
    if form == "scale":
        return _sum_of_vectors([_scale_vectors(use, given) for use, given in found.forms])
    if form == "embedding":
        ids = torch.cat([use.inputs.reshape(n, -1) for use, _ in found.forms], 1)
        places = [given.reshape(*given.shape[:2], -1, given.shape[-1]) for _, given in found.forms]
        return Tokens(ids, torch.cat(places, 2).transpose(2, 3).contiguous())
    if (
        form == "linear"
        and len(found.forms) == 1
        and found.forms[0][0].inputs.numel() == n * found.forms[0][0].inputs.shape[-1]
    ):
        use, given = found.forms[0]
        return Outers(use.inputs.reshape(n, -1), given.reshape(*given.shape[:2], -1))
    call_of = {"linear": _linear_call, "convolution": _convolution_call, "transposed": _transposed_call}[form]
    calls = [call_of(*pair) for pair in found.forms]
    entries = {(c.cotangents.shape[2], c.patches(slice(0, 1)).shape[2], c.cotangents.shape[3]) for c in calls}
    return Positions(tuple(calls), entries.pop()) if len(entries) == 1 else None


def _scale_vectors(use: Use, cotangents: Tensor) -> Tensor:
    n, d = cotangents.shape[:2]
    normalised = use.inputs.reshape(n, *cotangents.shape[2:])
    return torch.stack([_bias_vectors(use, (cotangents[:, c] * normalised)[:, None])[:, 0] for c in range(d)], 1)


def _linear_call(use: Use, cotangents: Tensor) -> Call:
    n, d, b = *cotangents.shape[:2], cotangents.shape[-1]
    given = cotangents.reshape(n, d, -1, b).transpose(2, 3)[:, :, None]
    return Call(use.inputs.reshape(n, 1, -1, use.inputs.shape[-1]).transpose(2, 3), given)


def _convolution_call(use: Use, cotangents: Tensor) -> Call:
    assert use.window is not None  # noqa: S101  # by its form
    n, d, r, channels = cotangents.shape[:4]
    groups = use.window.groups
    given = cotangents.reshape(n, d, r, groups, channels // groups, -1)
    given = given[:, :, 0] if r == 1 else given.permute(0, 1, 3, 4, 2, 5).flatten(4)
    return Call(use.inputs, given, use.window)


def _transposed_call(use: Use, cotangents: Tensor) -> Call:
    """With the roles of a convolution exchanged: patches of the cotangents stand against the input's positions."""
    assert use.window is not None  # noqa: S101  # by its form
    n, d, r, channels, *sizes = cotangents.shape
    groups = use.window.groups
    patches = use.window.patches(cotangents.reshape(-1, channels, *sizes))
    patches = patches.reshape(n, d, r, *patches.shape[1:]).permute(0, 1, 3, 4, 2, 5).flatten(4)
    inputs = use.inputs.reshape(n, r, use.inputs.shape[1], -1).transpose(1, 2).flatten(2)
    return Call(inputs.reshape(n, groups, -1, inputs.shape[-1]), patches)


def _count_biases_with_weights(factors: dict[str, Factor], uses: list[Use]) -> None:
    """A bias met once, beside a weight met once, is one more input of the same outer products: one product saved."""
    for use in uses:
        weight, bias = factors.get(use.weight or ""), factors.get(use.bias or "")
        if not isinstance(weight, Outers) or bias is None or use.weight is None or use.bias is None:
            continue
        if sum(use.bias in _of(other) for other in uses) == 1:
            factors[use.weight] = Outers(weight.inputs, weight.cotangents, bias=True)
            del factors[use.bias]
