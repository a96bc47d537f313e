"""Directions in parameter space along which exact continuous symmetries leave the function of a network the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError, UnsupportedModuleError
from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels.equivalence.invariances import Chain, read_network
from netgeom_widgets.kernels.equivalence.moves import Move, families_of_weights, families_on_samples
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from netgeom_widgets.kernels.equivalence.planes import independent_rows
from netgeom_widgets.kernels.equivalence.problem import as_parameters

KINDS = ("scaling", "linear group", "dead unit", "duplicate unit", "same pattern", "dependent units")

_MOST_BYTES = 1 << 28  # of all rows; what would exceed it is left out, and said


@dataclass(frozen=True, eq=False)
class Generators:
    """Tangent vectors of symmetries at one parameter vector; see `symmetry_generators`.

    Attributes
    ----------
    rows : (k, P) float64
        Not orthogonal, in general dependent, in the order of `KINDS`.
    kinds : tuple of k str
        "scaling", "linear group", "dead unit", "duplicate unit", "same pattern" or "dependent units".
    labels : tuple of k str
    notes : tuple of str
        What was not looked for, and why.
    """

    rows: Float64[ndarray, "k P"]
    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.kinds)


def symmetry_generators(model: Any, parameters: Any, inputs: Any = None) -> Generators:
    """All known directions d with f(theta + t d) = f(theta) + O(t^2), from the layers' activations and weights.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed. A chain of linear layers and elementwise activations; others have no known symmetries.
    parameters : (P,)
        Flat vector, in the order of model.parameters().
    inputs : (N, ...), optional
        Without them only what holds for every input is given.

    Returns
    -------
    Generators
        For unit i with incoming weights and bias w_i, outgoing weights v_i, and next bias c:

        - scaling: (w_i, -v_i), where f(s z) = s f(z) for s > 0.
        - linear group: hidden layers without activation: for each pair, w_i moves along w_j and v_j along -v_i; the
          bias of i along 1 and c along -v_i.
        - dead unit: incoming weights without outgoing ones; on the inputs also incoming and outgoing weights of units
          that are never active, and outgoing weights against c of units that are constant.
        - duplicate unit: w_j = s w_i (s > 0 where homogeneous, -1 where odd): outgoing weights against each other, and
          incoming weights of all copies along one vector, in the ratios that cancel behind them.
        - same pattern: ReLUs that are active on the same inputs: the linear group among them; shifts of the bias where
          they are always active.
        - dependent units: all that linear relations on the inputs add: among the activations that lead into a layer
          (weights of each unit move along the relation), and among the gradients of a layer's units (their incoming
          weights move along one vector in the relation's ratios).

    Raises
    ------
    NetgeomError
        Parameters or inputs that do not fit.

    Notes
    -----
    In the kernel of the output Jacobian to rounding; at a kink of an activation, on one side. What is found from inputs
    holds on these inputs. What is longer than one layer's relations (a weight of one layer against another's, on few
    samples) is not found. Memory 8 k P bytes, at most 256 MiB: groups beyond are left out, and named in the notes.
    """
    try:
        network = read_network(model, inputs)
    except UnsupportedModuleError:  # parameters outside linear layers, and no inputs to call them on
        return _none_known(parameters, sum(parameter.numel() for parameter in model.parameters()))
    if network.mlp is None:
        return _none_known(parameters, network.n_parameters)
    theta = as_parameters(parameters, network.n_parameters)[0].numpy()
    chain, notes = Chain(network.mlp, theta), []
    families = families_of_weights(chain)
    if inputs is None and not isinstance(model, FlatNetwork):
        notes.append("Without inputs: units that are dead or linear on given samples were not looked for.")
    else:
        families = itertools.chain(families, families_on_samples(chain, network.features.numpy()))
    moves: list[Move] = []
    for family in families:
        room = _MOST_BYTES // theta.nbytes - len(moves)
        found = list(itertools.islice(family, room + 1))
        if len(found) > room:
            notes.append(f"Left out, since there are too many for memory: {found[0].label}, and others like it.")
        else:
            moves += found
    moves = sorted((move for move in moves if move.row.any()), key=lambda move: KINDS.index(move.kind))
    rows = np.array([move.row for move in moves]).reshape(len(moves), len(theta))
    return Generators(rows, tuple(m.kind for m in moves), tuple(m.label for m in moves), tuple(notes))


def _none_known(parameters: Any, n_parameters: int) -> Generators:
    as_parameters(parameters, n_parameters)
    note = "No symmetries are known for this model: it is no chain of linear layers and activations."
    return Generators(np.zeros((0, n_parameters)), (), (), (note,))


def symmetry_basis(
    model: Any, parameters: Any, choice: int | Sequence[int], *, inputs: Any = None
) -> Float64[ndarray, "k P"]:
    """Orthonormal rows that span chosen symmetry generators, for a plane.

    Parameters
    ----------
    model, parameters, inputs
        As for `symmetry_generators`.
    choice : int, or sequence of int
        How many independent ones, the first in the order given there; or the numbers of those wanted.

    Returns
    -------
    (k, P) float64
        By Gram-Schmidt in this order; chosen ones that depend on earlier ones are left out.

    Raises
    ------
    NetgeomError
        Numbers out of range, or fewer independent generators than asked for.
    """
    found = symmetry_generators(model, parameters, inputs)
    if isinstance(choice, int | np.integer):
        numbers, wanted = list(range(len(found))), as_count(choice, 1, found.rows.shape[1], "The number of directions")
    else:
        numbers = [as_count(number, 0, len(found) - 1, "A generator's number") for number in choice]
        wanted = 1
    rows = found.rows[numbers]
    basis = independent_rows(rows / np.linalg.norm(rows, axis=1, keepdims=True))[0] if len(rows) else rows
    if len(basis) < wanted:
        raise NetgeomError(
            "There are too few independent symmetry directions",
            expected=f"at least {wanted}",
            got=f"{len(basis)} of {len(found)} generators",
            try_this=" ".join(found.notes) or "fewer directions",
        )
    return basis[:wanted] if isinstance(choice, int | np.integer) else basis
