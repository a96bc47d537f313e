"""Single directions that leave the function of a chain of layers the same, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from netgeom_widgets.kernels._memory import require_memory
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


def moves_of_weights(chain: Chain) -> Iterator[Move]:
    """What holds for every input."""
    for layer in range(chain.n_hidden):
        where = _place(chain, layer)
        if chain.activation(layer).linear:
            units = np.arange(chain.mlp.layers[layer].n_out)
            yield from _mixings(chain, layer, units, np.ones(len(units)), "linear group")
            yield from _bias_shifts(chain, layer, units, np.ones(len(units)), "linear group")
            continue
        if chain.activation(layer).homogeneous:
            for unit in range(chain.mlp.layers[layer].n_out):
                yield Move("scaling", f"scaling of unit {unit} of {where}", _mixing(chain, layer, unit, unit, 1.0))
        for unit in np.flatnonzero(unused_units(chain, layer, _ZERO)).tolist():
            yield from _free_incoming(chain, layer, unit, "no outgoing weight")
        for group, factors in _copies(chain, layer):
            yield from _duplicates(chain, layer, group, factors)


def moves_on_samples(chain: Chain, inputs: Float64[ndarray, "n_in N"]) -> Iterator[Move]:
    """What holds on these samples beside that."""
    below = inputs
    states = unit_states(chain, inputs, _ZERO)
    for layer, (_, outputs, slopes) in enumerate(chain.values(inputs)):
        state = states[layer]
        for unit in np.flatnonzero(state.frozen | (state.cut_off & ~state.unused)).tolist():
            yield from _free_incoming(chain, layer, unit, "no influence on these samples")
        if layer < chain.n_hidden:
            yield from _free_outgoing(chain, layer, state)
            above = states[layer + 1]
            yield from _same_patterns(chain, layer, slopes, ~(above.frozen | above.cut_off))
        yield from _dependent(chain, layer, below)
        below = outputs


def _same_patterns(
    chain: Chain, layer: int, slopes: Float64[ndarray, "h N"], live: Bool[ndarray, " t"]
) -> Iterator[Move]:
    """Units that are active on the same samples: linear among themselves there. Copies in front of dead units."""
    activation = chain.activation(layer)
    if activation.linear or not activation.homogeneous:
        if not live.all():
            for group, _ in _copies(chain, layer):
                yield from _opposed_incoming(chain, layer, np.array(group), np.ones(len(group)), live, "duplicate unit")
        return
    largest = np.abs(slopes).max(axis=1)
    units = np.flatnonzero(largest)
    patterns, number = np.unique(slopes[units] / largest[units, None], axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        group = units[number.reshape(-1) == i]
        if len(group) > 1:
            yield from _mixings(chain, layer, group, largest[group], "same pattern")
            yield from _opposed_incoming(chain, layer, group, largest[group], live, "same pattern")
        if (pattern == pattern[0]).all():
            yield from _bias_shifts(chain, layer, group, slopes[group, 0], "same pattern")


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


def _mixings(
    chain: Chain, layer: int, units: Int64[ndarray, " h"], slopes: Float64[ndarray, " h"], kind: str
) -> Iterator[Move]:
    """The group gl(h) of units that are linear in one another's place, up to the factors `slopes`."""
    _require(chain, len(units) ** 2)
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
    _require(chain, n_in + 1)
    for vector in np.eye(n_in if chain.bias(layer) is None else n_in + 1):
        row = _incoming_moves(chain, layer, np.array([unit]), np.ones(1), vector)
        yield Move("dead unit", f"incoming weight of unit {unit} of {_place(chain, layer)}: {why}", row)


def _free_outgoing(chain: Chain, layer: int, state: UnitStates) -> Iterator[Move]:
    """Outgoing weights of units that are constant, against the next biases."""
    _require(chain, int(state.constant.sum()) * chain.mlp.layers[layer + 1].n_out)
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
    """Groups of units whose incoming weights are multiples of the first one's, by a factor that passes through."""
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
    n_targets = chain.mlp.layers[layer + 1].n_out
    _require(chain, len(group) * n_targets)
    for unit, factor in zip(group[1:], factors[1:].tolist(), strict=True):
        for target in range(n_targets):
            direction = chain.zeros()
            direction.weight(layer + 1)[target, [group[0], unit]] = factor, -1.0
            bias = direction.bias(layer + 1)
            if constant and factor < 0 and bias is not None:  # the copy is constant - first unit
                bias[target] = constant
            label = f"outgoing weights of copies {group[0]} and {unit} of {place}, opposed"
            yield Move("duplicate unit", label, direction.theta)
    live = np.ones(n_targets, dtype=bool)
    yield from _opposed_incoming(chain, layer, np.array(group), np.ones(len(group)), live, "duplicate unit")


def _opposed_incoming(
    chain: Chain,
    layer: int,
    group: Int64[ndarray, " u"],
    slopes: Float64[ndarray, " u"],
    live: Bool[ndarray, " t"],
    kind: str,
) -> Iterator[Move]:
    """Incoming weights of units along one vector, in ratios that cancel behind them.

    The units' derivatives are multiples of one another, by `slopes`, so what they pass on to live targets is their
    outgoing weights times their moves.
    """
    behind = chain.weight(layer + 1)[live][:, group] * slopes
    _, singular, vectors = np.linalg.svd(behind)
    rank = int((singular > _ZERO * max(singular.max(initial=0.0), np.finfo(float).tiny)).sum())
    n_in = chain.incoming(layer).shape[1]
    _require(chain, (len(group) - rank) * n_in)
    label = f"incoming weights of units {', '.join(map(str, group.tolist()))} of {_place(chain, layer)}, opposed"
    for ratios in vectors[rank:]:
        for vector in np.eye(n_in):
            yield Move(kind, label, _incoming_moves(chain, layer, group, ratios, vector))


def _dependent(chain: Chain, layer: int, below: Float64[ndarray, "n_in N"]) -> Iterator[Move]:
    """Weights of each unit along the linear relations among what leads into the layer on these samples."""
    values = below if chain.bias(layer) is None else np.vstack([below, np.ones((1, below.shape[1]))])
    vectors, singular, _ = np.linalg.svd(values, full_matrices=True)
    rank = int((singular > _RANK * singular[0]).sum())
    n_units = chain.mlp.layers[layer].n_out
    _require(chain, n_units * (len(values) - rank))
    for relation in vectors.T[rank:]:
        for unit in range(n_units):
            row = _incoming_moves(chain, layer, np.array([unit]), np.ones(1), relation)
            yield Move("dependent inputs", f"unit {unit} of {_place(chain, layer)}, inputs that depend", row)


def _require(chain: Chain, n_rows: int) -> None:
    require_memory(
        8 * n_rows * len(chain.theta), "The symmetry generators", "a smaller network, or more samples than inputs"
    )
