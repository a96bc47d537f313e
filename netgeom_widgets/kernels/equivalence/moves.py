"""Single directions that leave the function of a chain of layers the same, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.kernels.equivalence.dead import UnitStates, unit_states, unused_units
from netgeom_widgets.kernels.equivalence.invariances import Chain

_ZERO = 1e-14  # relative: weights, differences of copies and of activations up to here count as 0
_RANK = 1e-13  # relative: singular values of a layer's inputs up to here count as 0


@dataclass(frozen=True)
class Move:
    """One generator: its kind, a label for people, and a direction (P,)."""

    kind: str
    label: str
    row: Float64[ndarray, " P"]


def families_of_weights(chain: Chain) -> Iterator[Iterator[Move]]:
    """What holds for every input, in groups of one layer and kind."""
    for layer in range(chain.n_hidden):
        units = np.arange(chain.mlp.layers[layer].n_out)
        if chain.activation(layer).linear:
            yield _mixings(chain, layer, units, np.ones(len(units)), "linear group")
            yield _bias_shifts(chain, layer, units, np.ones(len(units)), "linear group")
            continue
        if chain.activation(layer).homogeneous:
            yield _scalings(chain, layer)
        for unit in np.flatnonzero(unused_units(chain, layer, _ZERO)).tolist():
            yield _free_incoming(chain, layer, unit, "no outgoing weight")
        for group, factors in _copies(chain, layer):
            yield _duplicates(chain, layer, group, factors)


def families_on_samples(chain: Chain, inputs: Float64[ndarray, "n_in N"]) -> Iterator[Iterator[Move]]:
    """What holds on these samples beside that, in groups; those with the most directions last."""
    states, values = unit_states(chain, inputs, _ZERO), chain.values(inputs)
    for layer, state in enumerate(states):
        for unit in np.flatnonzero(state.frozen | (state.cut_off & ~state.unused)).tolist():
            yield _free_incoming(chain, layer, unit, "no influence on these samples")
        if layer < chain.n_hidden:
            yield _free_outgoing(chain, layer, state)
            yield from _same_patterns(chain, layer, values[layer][2])
    gradients = _gradients(chain, [slopes for _, _, slopes in values])
    below = [inputs, *(outputs for _, outputs, _ in values)]
    for layer in range(len(states)):
        yield _dependent_gradients(chain, layer, gradients[layer])
        yield _dependent_inputs(chain, layer, below[layer])


def _gradients(chain: Chain, slopes: list[ndarray]) -> list[ndarray]:
    """Of every layer the derivatives (C N, units) of all outputs by pre-activations; slopes are (units, N)."""
    found: list[ndarray] = []
    backward = np.eye(len(slopes[-1]))[:, :, None]  # (units, C, 1 or N)
    for layer in reversed(range(len(slopes))):
        backward = backward * slopes[layer][:, None]
        found.append(backward.reshape(len(backward), -1).T)
        backward = np.tensordot(chain.weight(layer).T, backward, axes=1)
    return found[::-1]


def _same_patterns(chain: Chain, layer: int, slopes: Float64[ndarray, "h N"]) -> Iterator[Iterator[Move]]:
    """Units that are active on the same samples are linear among themselves there."""
    activation = chain.activation(layer)
    if activation.linear or not activation.homogeneous:
        return
    largest = np.abs(slopes).max(axis=1)
    units = np.flatnonzero(largest)
    patterns, number = np.unique(slopes[units] / largest[units, None], axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        group = units[number.reshape(-1) == i]
        if len(group) > 1:
            yield _mixings(chain, layer, group, largest[group], "same pattern")
        if (pattern == pattern[0]).all():
            yield _bias_shifts(chain, layer, group, slopes[group, 0], "same pattern")


def _place(chain: Chain, layer: int) -> str:
    return f"layer {layer} ({chain.mlp.layers[layer].name})"


def _mixing(chain: Chain, layer: int, unit: int, other: int, ratio: float) -> Float64[ndarray, " P"]:
    """Incoming weights of a unit move along those of another, whose outgoing weights take it back."""
    direction = chain.zeros()
    direction.weight(layer)[unit] = chain.weight(layer)[other]
    bias, moved = chain.bias(layer), direction.bias(layer)
    if bias is not None and moved is not None:
        moved[unit] = bias[other]
    direction.weight(layer + 1)[:, other] = -ratio * chain.weight(layer + 1)[:, unit]
    return direction.theta


def _scalings(chain: Chain, layer: int) -> Iterator[Move]:
    """Each unit along itself."""
    for unit in range(chain.mlp.layers[layer].n_out):
        label = f"scaling of unit {unit} of {_place(chain, layer)}"
        yield Move("scaling", label, _mixing(chain, layer, unit, unit, 1.0))


def _mixings(
    chain: Chain, layer: int, units: Int64[ndarray, " h"], slopes: Float64[ndarray, " h"], kind: str
) -> Iterator[Move]:
    """The group gl(h) of units that are linear in one another's place, up to the factors `slopes`."""
    for unit, slope in zip(units.tolist(), slopes.tolist(), strict=True):
        for other, other_slope in zip(units.tolist(), slopes.tolist(), strict=True):
            row = _mixing(chain, layer, unit, other, slope / other_slope)
            yield Move(kind, f"unit {unit} along unit {other} of {_place(chain, layer)}", row)


def _bias_shifts(
    chain: Chain, layer: int, units: Int64[ndarray, " h"], slopes: Float64[ndarray, " h"], kind: str
) -> Iterator[Move]:
    """Biases of units that only multiply by their slopes, against the next biases."""
    for unit, slope in zip(units.tolist(), slopes.tolist(), strict=True):
        direction = chain.zeros()
        bias, behind = direction.bias(layer), direction.bias(layer + 1)
        if bias is not None and behind is not None:
            bias[unit] = 1.0
            behind[:] = -slope * chain.weight(layer + 1)[:, unit]
            yield Move(kind, f"bias shift of unit {unit} of {_place(chain, layer)}", direction.theta)


def _free_incoming(chain: Chain, layer: int, unit: int, why: str) -> Iterator[Move]:
    """Each incoming weight, and the bias."""
    n_in = chain.mlp.layers[layer].n_in
    for vector in np.eye(n_in if chain.bias(layer) is None else n_in + 1):
        row = _incoming_moves(chain, layer, np.array([unit]), np.ones(1), vector)
        yield Move("dead unit", f"incoming weight of unit {unit} of {_place(chain, layer)}: {why}", row)


def _free_outgoing(chain: Chain, layer: int, state: UnitStates) -> Iterator[Move]:
    """Outgoing weights of units that are constant, against the next biases."""
    for unit in np.flatnonzero(state.constant).tolist():
        if not state.silent[unit] and chain.bias(layer + 1) is None:
            continue
        for target in range(chain.mlp.layers[layer + 1].n_out):
            direction = chain.zeros()
            direction.weight(layer + 1)[target, unit] = 1.0
            if (behind := direction.bias(layer + 1)) is not None:
                behind[target] = -state.level[unit]
            why = "never active" if state.silent[unit] else "constant"
            label = f"outgoing weight of unit {unit} of {_place(chain, layer)}: {why}"
            yield Move("dead unit", label, direction.theta)


def _incoming_moves(
    chain: Chain,
    layer: int,
    units: Int64[ndarray, " u"],
    ratios: Float64[ndarray, " u"],
    vector: Float64[ndarray, " n"],
) -> Float64[ndarray, " P"]:
    """Incoming weights (and biases) of units move along one vector, each by its ratio."""
    direction = chain.zeros()
    n_in = chain.mlp.layers[layer].n_in
    direction.weight(layer)[units] = np.outer(ratios, vector[:n_in])
    if (bias := direction.bias(layer)) is not None:
        bias[units] = ratios * vector[n_in]
    return direction.theta


def _copies(chain: Chain, layer: int) -> Iterator[tuple[list[int], Float64[ndarray, " u"]]]:
    """Groups of units whose incoming weights are multiples of the first one's, by factors that pass through."""
    rows = chain.incoming(layer)
    lengths = np.linalg.norm(rows, axis=1)
    waiting = [unit for unit in range(len(rows)) if lengths[unit] > 0]
    scaled, flipped = chain.activation(layer).homogeneous, chain.flips(layer)
    while waiting:
        first, *others = waiting
        factors = lengths[others] / lengths[first] if scaled else np.ones(len(others))
        if flipped:
            factors = np.where(rows[others] @ rows[first] < 0, -factors, factors)
        distance = np.linalg.norm(rows[others] - factors[:, None] * rows[first], axis=1)
        same = distance <= _ZERO * lengths[others]
        group = [first, *np.array(others, dtype=np.int64)[same].tolist()]
        if len(group) > 1:
            yield group, np.concatenate([[1.0], factors[same]])
        waiting = [unit for unit in others if unit not in group]


def _duplicates(chain: Chain, layer: int, group: list[int], factors: Float64[ndarray, " u"]) -> Iterator[Move]:
    """Opposed moves of copies: of outgoing weights, and of incoming ones in ratios that cancel behind them."""
    place, constant = _place(chain, layer), chain.activation(layer).point_symmetry
    n_targets, n_in = chain.mlp.layers[layer + 1].n_out, chain.incoming(layer).shape[1]
    signs = np.sign(factors) if chain.activation(layer).even else np.ones(len(group))
    for unit, factor in zip(group[1:], (signs * factors)[1:].tolist(), strict=True):
        for target in range(n_targets):
            direction = chain.zeros()
            direction.weight(layer + 1)[target, [group[0], unit]] = factor, -1.0
            bias = direction.bias(layer + 1)
            if constant and factor < 0 and bias is not None:  # the copy is constant - first unit
                bias[target] = constant
            label = f"outgoing weights of copies {group[0]} and {unit} of {place}, opposed"
            yield Move("duplicate unit", label, direction.theta)
    # Copies share the derivative of the activation (but for its sign, where it is even), so what they pass on is their
    # outgoing weights times their moves.
    label = f"incoming weights of copies {', '.join(map(str, group))} of {place}, opposed"
    for ratios in _null_vectors(chain.weight(layer + 1)[:, group] * signs):
        for vector in np.eye(n_in):
            yield Move("duplicate unit", label, _incoming_moves(chain, layer, np.array(group), ratios, vector))


def _dependent_inputs(chain: Chain, layer: int, below: Float64[ndarray, "n_in N"]) -> Iterator[Move]:
    """Weights of each unit along the linear relations among what leads into the layer on these samples."""
    values = below if chain.bias(layer) is None else np.vstack([below, np.ones((1, below.shape[1]))])
    relations, n_units = _null_vectors(values.T), chain.mlp.layers[layer].n_out
    for relation in relations:
        for unit in range(n_units):
            row = _incoming_moves(chain, layer, np.array([unit]), np.ones(1), relation)
            yield Move("dependent units", f"unit {unit} of {_place(chain, layer)} along dependent inputs", row)


def _dependent_gradients(chain: Chain, layer: int, gradients: Float64[ndarray, "CN h"]) -> Iterator[Move]:
    """Incoming weights of units along one vector, in the ratios of a linear relation among their gradients."""
    relations, n_in = _null_vectors(gradients), chain.incoming(layer).shape[1]
    units = np.arange(gradients.shape[1])
    for ratios in relations:
        for i, vector in enumerate(np.eye(n_in)):
            label = f"incoming weights {i} of {_place(chain, layer)}, gradients that depend"
            yield Move("dependent units", label, _incoming_moves(chain, layer, units, ratios, vector))


def _null_vectors(matrix: Float64[ndarray, "m n"]) -> Float64[ndarray, "k n"]:
    """Orthonormal rows r with matrix @ r = 0 to rounding."""
    if matrix.shape[0] > matrix.shape[1]:
        matrix = np.asarray(np.linalg.qr(matrix, mode="r"))
    _, singular, vectors = np.linalg.svd(matrix)
    rank = int((singular > _RANK * max(singular.max(initial=0.0), np.finfo(float).tiny)).sum())
    return vectors[rank:]
