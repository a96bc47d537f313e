"""Units that do not take part in the function on given samples, and networks that do not learn at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.equivalence.invariances import Chain, as_chain, read_network
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.problem import as_parameters

_N_COTANGENTS = 3
_CONSTANT = 1e-12  # of the largest output: what rounding may make of equal outputs


@dataclass(frozen=True)
class DeadUnit:
    """A unit without influence, or without variation.

    Attributes
    ----------
    layer : int
        0 for the first; the last one is the output layer.
    name : str
        Dotted name of the linear module.
    unit : int
    kind : str
        "never active": output and derivative of the activation are 0 on all samples.
        "constant": the output is the same number on all samples: no incoming weights, or saturated.
        "no outgoing weight": all outgoing weights are 0.
        "cut off": every unit it leads to is itself without influence on these samples.
    """

    layer: int
    name: str
    unit: int
    kind: str


@dataclass(frozen=True, eq=False)
class UnitStates:
    """Of one layer's units on given samples.

    Attributes
    ----------
    silent : (h,) bool
        The output is 0 on all samples: the outgoing weights are free.
    frozen : (h,) bool
        The derivative of the activation is 0 on all samples: the incoming weights are free.
    constant : (h,) bool
        The output is one number on all samples, 0 included.
    linear : (h,) bool
        The activation is not linear, but multiplies by one number on all samples (a ReLU that is always active).
    unused : (h,) bool
        All outgoing weights are 0; False in the output layer.
    cut_off : (h,) bool
        No way to an output: outgoing weights lead to units that are frozen, unused or cut off; unused ones included.
    level, slope : (h,) float64
        Output and derivative on the first sample: on all, where `constant` or `linear` holds.
    """

    silent: Bool[ndarray, " h"]
    frozen: Bool[ndarray, " h"]
    constant: Bool[ndarray, " h"]
    linear: Bool[ndarray, " h"]
    unused: Bool[ndarray, " h"]
    cut_off: Bool[ndarray, " h"]
    level: Float64[ndarray, " h"]
    slope: Float64[ndarray, " h"]


def unit_states(chain: Chain, inputs: Float64[ndarray, "n_in N"], tolerance: float) -> list[UnitStates]:
    """Of every layer; `tolerance` as in `dead_units`."""
    found: list[UnitStates] = []
    values = chain.values(inputs)
    used = np.ones(chain.mlp.layers[-1].n_out, dtype=bool)
    for layer in reversed(range(len(values))):
        _, outputs, slopes = values[layer]
        largest = np.abs(outputs).max(axis=1)
        activation, frozen = chain.activation(layer), (slopes == 0).all(axis=1)
        piecewise = activation.homogeneous and not activation.linear
        unused = unused_units(chain, layer, tolerance) if layer < chain.n_hidden else np.zeros(len(frozen), dtype=bool)
        found.append(
            UnitStates(
                silent=largest == 0,
                frozen=frozen,
                constant=np.ptp(outputs, axis=1) <= tolerance * largest,
                linear=piecewise & (slopes == slopes[:, :1]).all(axis=1) & ~frozen,
                unused=unused,
                cut_off=~used,
                level=outputs[:, 0],
                slope=slopes[:, 0],
            )
        )
        used = (np.abs(chain.weight(layer)[used & ~frozen]) > 0).any(axis=0)
    return found[::-1]


def unused_units(chain: Chain, layer: int, tolerance: float) -> Bool[ndarray, " h"]:
    """Units of a hidden layer whose outgoing weights are at most `tolerance` times the layer's largest one."""
    behind = np.abs(chain.weight(layer + 1))
    return behind.max(axis=0) <= tolerance * behind.max()


def dead_units(model: Any, parameters: Any, inputs: Any, *, tolerance: float = 1e-12) -> tuple[DeadUnit, ...]:
    """Units of hidden layers and outputs that are dead on given samples.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of linear layers and elementwise activations; not changed.
    parameters : (P,)
        Flat vector, in the order of model.parameters().
    inputs : (N, ...)
    tolerance : float
        Outgoing weights up to this part of their layer's largest count as 0, and outputs that vary by up to this part
        of their largest as constant. "never active" is exact: all outputs and derivatives are 0.

    Returns
    -------
    tuple of DeadUnit
        Layer by layer, one record for each dead unit: the first kind that holds, in the order of `DeadUnit`.

    Raises
    ------
    UnsupportedModuleError
        Another kind of model; see `is_dead_network` for those.
    NetgeomError
        Inputs or parameters that do not fit.

    Notes
    -----
    A statement on these samples. One forward pass.
    """
    if not 0 <= tolerance < 1:
        raise NetgeomError("tolerance is out of range", expected="0 <= tolerance < 1", got=f"{tolerance!r}")
    network = read_network(model, inputs)
    chain = as_chain(network, parameters)
    found = []
    for layer, states in enumerate(unit_states(chain, network.features.numpy(), tolerance)):
        kinds = {
            "never active": states.silent & states.frozen,
            "constant": states.constant,
            "no outgoing weight": states.unused,
            "cut off": states.cut_off,
        }
        for unit in np.flatnonzero(np.any(list(kinds.values()), axis=0)).tolist():
            kind = next(name for name, holds in kinds.items() if holds[unit])
            found.append(DeadUnit(layer, chain.mlp.layers[layer].name, unit, kind))
    return tuple(found)


def is_dead_network(model: Any, parameters: Any, inputs: Any) -> bool:
    """Whether no parameter changes any output on given samples: the Jacobian is exactly 0.

    Parameters
    ----------
    model : torch.nn.Module
        Any.
    parameters : (P,)
    inputs : (N, ...)

    Returns
    -------
    bool
        True if three random combinations of all outputs have gradient 0, which for another Jacobian has probability 0.

    Raises
    ------
    NetgeomError
        Inputs or parameters that do not fit.

    Notes
    -----
    Such a network cannot leave its place by any method that follows gradients. Cost: three backward passes.
    """
    network = read_network(model, inputs)
    return not bool(_random_gradients(network, as_parameters(parameters, network.n_parameters)[0]).any())


def has_dead_layer(network: FlatNetwork, theta: torch.Tensor) -> bool:
    """Whether a layer is dead on the samples: some weight matrix changes no output, and the outputs are constant.

    The first alone holds for matrices that a live network does not use, such as those of a recurrence of one step.
    """
    gradients = _random_gradients(network, theta)
    if not any(len(entry.shape) > 1 and not bool(gradients[:, entry.part].any()) for entry in network.layout):
        return False
    with torch.no_grad():
        outputs = network.outputs(theta)
    spread = (outputs - outputs[:, :1]).abs().amax()
    return bool(spread <= _CONSTANT * outputs.abs().amax())


def count_dead_units(network: FlatNetwork, theta: torch.Tensor) -> list[int]:
    """Hidden units that are never active on the samples, for each row of theta; -1 where there is no closed form."""
    if network.mlp is None:
        return [-1] * len(theta)
    counts = torch.zeros(len(theta), dtype=torch.int64)
    values = network.mlp.pre_activations(theta, network.features)
    for layer, (z, value) in zip(network.mlp.hidden, values, strict=False):  # the last one is the output layer
        silent, frozen = (value == 0).all(-1), (layer.activation.derivative(z) == 0).all(-1)
        counts += (silent & frozen).sum(-1)
    return counts.tolist()


def _random_gradients(network: FlatNetwork, theta: torch.Tensor) -> torch.Tensor:
    """Of three random combinations of all outputs, (3, P): all 0, but for probability 0, where the Jacobian is 0."""
    shape = (_N_COTANGENTS, network.n_outputs, network.n_samples)
    cotangents = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=theta.dtype)
    return network.vjp(theta, cotangents)
