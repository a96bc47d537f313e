"""Gradients of a few samples by plain autograd, which every faster path is held against."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity.factors import Factor
from netgeom_widgets.kernels.similarity.inputs import Network
from netgeom_widgets.kernels.similarity.jacobians import gradients_of
from netgeom_widgets.kernels.similarity.layer_path import evaluated
from netgeom_widgets.kernels.similarity.outputs import Output

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


@dataclass(frozen=True, eq=False)
class Check:
    """A few samples with a random cotangent each, and the gradients that belong to it.

    Attributes
    ----------
    network, inputs, output, targets
        What is differentiated.
    cotangents : (k, 1, d) Tensor
    gradients : dict of str to (k, entries) Tensor
    floor : float
        Products below this are not compared relative to their own size: gradients that vanish but for rounding, such as
        that of a bias before a norm layer.
    """

    network: Network
    inputs: Tensor
    output: Output
    targets: Tensor | None
    cotangents: Tensor
    gradients: dict[str, Tensor]
    floor: float

    @property
    def n_outputs(self) -> int:
        """d, of the chosen function."""
        return self.cotangents.shape[2]

    def holds(self, name: str, factor: Factor | None) -> bool:
        """Whether the products of a parameter's gradients in some form are those of autograd."""
        return self.error(name, factor) <= _TOLERANCE[self.network.dtype]

    def error(self, name: str, factor: Factor | None) -> float:
        """Their largest difference, relative to the gradients' norms."""
        wanted = self.gradients[name].double()
        products = wanted @ wanted.T
        scaled = factor.scaled(self.cotangents) if factor else None
        found = scaled.traces(scaled).double() if scaled else torch.zeros_like(products)
        norms = products.diagonal().sqrt()
        scale = (norms[:, None] * norms).clamp_min(self.floor)
        return float(((found - products).abs() / scale).nan_to_num(torch.inf).max())

    def in_double(self) -> Check | None:
        """The same in float64, where no unit close to its kink falls to one side alone and to the other in a batch.

        None for models that compute in float64 already, or cannot.
        """
        if self.network.dtype == torch.float64:
            return None
        model = copy.deepcopy(self.network.model).double()
        own = dict(model.named_parameters())
        parameters = {name: own[name] for name in self.network.parameters}
        network = replace(self.network, model=model, parameters=parameters, dtype=torch.float64)
        inputs = self.inputs.double() if self.inputs.is_floating_point() else self.inputs
        try:
            return check(network, inputs, self.output, self.targets, np.random.default_rng(0))
        except (RuntimeError, NetgeomError):  # made for one precision: a dtype is written into the code
            return None


def check(network: Network, inputs: Tensor, output: Output, targets: Tensor | None, rng: np.random.Generator) -> Check:
    """Differentiate a few samples one by one.

    Raises
    ------
    NetgeomError
        A model whose outputs for a sample depend on the others or on chance, are not finite or have no gradient.
    """
    try:
        together = evaluated(network, inputs)
    except NetgeomError:
        raise
    except Exception as error:  # the user's code runs here: whatever it raises, the answer is the same
        raise NetgeomError(
            f"The model does not take these inputs ({type(error).__name__}: {str(error).splitlines()[0]})",
            expected="a model of one tensor, batch first",
            got=f"inputs of shape {(*inputs.shape[1:],)} each, {inputs.dtype}",
        ) from error
    parameters = list(network.parameters.values())
    rows, cotangents = [], []
    with torch.enable_grad():
        for i in range(len(inputs)):
            alone = evaluated(network, inputs[i : i + 1])
            _check_alone(alone, together[i : i + 1], network.dtype)
            chosen = output(alone, None if targets is None else targets[i : i + 1])
            cotangent = torch.from_numpy(rng.standard_normal(chosen.shape[1])).to(chosen.dtype)
            rows.append(_differentiated((chosen[0] * cotangent).sum(), parameters))
            cotangents.append(cotangent[None])
    gradients = {name: torch.stack([row[p] for row in rows]) for p, name in enumerate(network.parameters)}
    squares = torch.stack([gradient.double().square().sum(1) for gradient in gradients.values()]).sum(0)
    floor = 1e-8 * float(squares.max()) + torch.finfo(torch.float64).tiny
    return Check(network, inputs, output, targets, torch.stack(cotangents), gradients, floor)


def _check_alone(alone: Tensor, together: Tensor, dtype: torch.dtype) -> None:
    """Refuse models whose output for a sample depends on the others."""
    if not bool(torch.isfinite(alone).all()):
        raise NetgeomError("The model's outputs are not finite", expected="finite outputs", got="NaN or infinity")
    tolerance = (1e-3 if dtype == torch.float32 else 1e-8) * (1 + float(alone.detach().abs().max()))
    difference = float((alone - together).detach().abs().max())
    if not difference <= tolerance:
        raise NetgeomError(
            "The model's outputs for a sample depend on the other samples of the batch, or on chance",
            expected="each row of outputs a function of its own input, the same at every call",
            got=f"a difference of {difference:.2g} between one sample alone and in a batch",
            try_this="no batch statistics (track_running_stats=True in BatchNorm) and no random layers in eval mode",
        )


def _differentiated(value: Tensor, parameters: list[torch.nn.Parameter]) -> list[Tensor]:
    try:
        return gradients_of(value, parameters)
    except RuntimeError as error:
        raise NetgeomError(
            "The model cannot be differentiated",
            expected="operations with a gradient, none of whose inputs is changed in place after its use",
            got=str(error).strip().splitlines()[0],
        ) from error
