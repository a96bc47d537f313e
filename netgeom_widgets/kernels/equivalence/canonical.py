"""One representative for all parameter vectors that differ by a symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.kernels.equivalence.invariances import Chain, as_chain, require_same_function
from netgeom_widgets.kernels.equivalence.linear_layers import reduce_layer

_TIE = 1e-6  # relative to the largest entry of a layer: numbers this near to each other do not decide


def canonicalize(model: Any, parameters: Any) -> Float64[ndarray, " P"]:
    """The same function by one fixed representative of the orbit of its symmetries.

    Hidden layers in turn, from the input: units whose activation is positively homogeneous (ReLU) get incoming weights
    and bias of norm 1, units of symmetric ones (abs; tanh; sigmoid, where the next layer has biases) the sign that
    makes their largest incoming number positive; then units are sorted by their incoming weights, in lexicographic
    order. Layers without activation get orthonormal incoming weights that depend on their row space alone.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of linear layers and elementwise activations; not changed.
    parameters : (P,)
        Flat vector, in the order of model.parameters().

    Returns
    -------
    (P,) float64
        Equal functions on Gaussian inputs, to 1e-9 relative, are asserted. Images of one another agree to about 1e-12,
        unless a choice is a tie: see Notes.

    Raises
    ------
    UnsupportedModuleError
        Another kind of model.
    NetgeomError
        Parameters that do not fit.

    Notes
    -----
    Numbers within 1e-6 of one another (relative to the layer) do not decide an order or sign; the next ones do, last
    the outgoing weights. Where a difference is just at this limit, noisy images of one another can differ: `align` and
    `cluster_elements` compare without such choices. Copies of one unit in any hidden layer but the last are
    put in order by the sizes of their outgoing weights alone. A ReLU unit without incoming weights gets outgoing ones
    of norm 1. O(P).
    """
    chain = as_chain(model, parameters)
    found = canonical_form(chain)
    require_same_function(chain.mlp, chain.theta[None], found.theta[None])
    return found.theta


def canonical_form(chain: Chain) -> Chain:
    """The representative, as a chain of its own."""
    found = chain.copy()
    for layer in range(found.n_hidden):
        if found.activation(layer).linear:
            reduce_layer(found, layer)
            continue
        here = np.arange(found.mlp.layers[layer].n_out)
        found.rearrange(layer, here, _factors(found, layer))
        rows = np.column_stack([found.incoming(layer), _outgoing_keys(found, layer)])
        found.rearrange(layer, _lexicographic(rows), np.ones(len(here)))
    return found


def _factors(chain: Chain, layer: int) -> Float64[ndarray, " h"]:
    """What to multiply each unit by."""
    incoming, outgoing = chain.incoming(layer), chain.outgoing(layer)
    if chain.activation(layer).homogeneous:
        lengths = np.linalg.norm(incoming, axis=1)
        behind = np.linalg.norm(outgoing, axis=1)
        scales = np.where(lengths > 0, 1 / np.where(lengths > 0, lengths, 1.0), np.where(behind > 0, behind, 1.0))
        return scales * _signs(incoming) if chain.flips(layer) else scales
    if not chain.flips(layer):
        return np.ones(len(incoming))
    empty = ~incoming.any(axis=1)
    return np.where(empty, _signs(outgoing), _signs(incoming))


def _signs(rows: Float64[ndarray, "h n"]) -> Float64[ndarray, " h"]:
    """Of the first entry of each row that is as large as its largest, but for ties."""
    sizes = np.abs(rows)
    first = (sizes >= (1 - _TIE) * sizes.max(axis=1, keepdims=True)).argmax(axis=1)
    return np.where(rows[np.arange(len(rows)), first] < 0, -1.0, 1.0)


def _outgoing_keys(chain: Chain, layer: int) -> Float64[ndarray, "h n"]:
    """What tells units with the same incoming weights apart, whatever the order, sign and scale of the next layer."""
    if layer + 1 == chain.n_hidden:
        return chain.outgoing(layer)
    lengths = np.linalg.norm(chain.incoming(layer + 1), axis=1)
    sizes = np.abs(chain.outgoing(layer)) / np.where(lengths > 0, lengths, 1.0)
    return -np.sort(-sizes, axis=1)


def _lexicographic(rows: Float64[ndarray, "h n"]) -> Int64[ndarray, " h"]:
    """Order of rows by their first column, by the second among rows that tie in the first, and so on."""
    tolerance = _TIE * max(float(np.abs(rows).max()), np.finfo(float).tiny)
    groups = [np.arange(len(rows))]
    for column in rows.T:
        refined: list[ndarray] = []
        for group in groups:
            ordered = group[np.argsort(column[group], kind="stable")] if len(group) > 1 else group
            breaks = np.flatnonzero(np.diff(column[ordered]) > tolerance) + 1
            refined += np.split(ordered, breaks)
        groups = refined
        if len(groups) == len(rows):
            break
    return np.concatenate(groups)
