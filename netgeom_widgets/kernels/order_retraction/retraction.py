"""Order retractions: every cell is sent to a Morse node so that the order is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.poset import joins, minimal, upper_bounds
from netgeom_widgets.kernels.transitions.inputs import as_choice

RULES = ("join", "exact")
JOIN, SEVERAL, NONE_ABOVE, REACHES_NOTHING = range(4)
STATUSES = (
    "the least node above all that it reaches",
    "several minimal nodes above all that it reaches",
    "no node above all that it reaches",
    "reaches no recurrent cell",
)


@dataclass(frozen=True, eq=False)
class Obstruction:
    """Cells that the join rule cannot place.

    Attributes
    ----------
    below : (b,) int64
        Morse nodes that they reach.
    upper_bounds : (u,) int64
        Minimal ones among the nodes above all of these; none or several.
    cells : (n,) int64
    """

    below: Int64[ndarray, " b"]
    upper_bounds: Int64[ndarray, " u"]
    cells: Int64[ndarray, " n"]


@dataclass(frozen=True, eq=False, repr=False)
class OrderRetraction:
    """A Morse node for every cell; see `order_retraction`.

    Attributes
    ----------
    decomposition : MorseDecomposition
    node : (cells,) int32
        -1: none.
    status : (cells,) int8
        Of the join rule: 0 the least node above all that the cell reaches; 1 several minimal ones; 2 none; 3 the cell
        reaches no recurrent cell.
    may_leave : (cells,) bool
        Some way from the cell leads out of the domain.
    exists : bool or None
        Whether there is an order retraction of the cells that reach a recurrent cell; None: the join rule does not say.
    obstructions : tuple of Obstruction
        Where the join rule fails, one for each set of nodes reached; after rule "exact", what rules a retraction out.
    settings : dict
    """

    decomposition: MorseDecomposition
    node: Int32[ndarray, " cells"]
    status: Int8[ndarray, " cells"]
    may_leave: Bool[ndarray, " cells"]
    exists: bool | None
    obstructions: tuple[Obstruction, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """The rule it was made by."""
        return str(self.settings.get("rule", ""))

    @property
    def tile_sizes(self) -> Int64[ndarray, " k"]:
        """Cells of each node's tile."""
        return np.bincount(self.node[self.node >= 0], minlength=self.decomposition.n_nodes)

    def __repr__(self) -> str:
        said = {True: "exists", False: "does not exist", None: "undecided"}[self.exists]
        placed = int((self.node >= 0).sum())
        return f"<OrderRetraction {said}: {placed} of {self.node.size} cells on {self.decomposition.n_nodes} nodes>"


def order_retraction(
    decomposition: MorseDecomposition,
    *,
    rule: str = "join",
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> OrderRetraction:
    """Send every cell to a Morse node so that order is kept and Morse nodes stay where they are.

    An order retraction s from the strong components onto the Morse nodes has s(v) >= s(w) wherever v leads to w, and
    s(m) = m; its tiles over a down-set of nodes are forward closed (Kalies, Kasti and Vandervorst, "An algorithmic
    approach to lattices and order in dynamics", SIAM J. Appl. Dyn. Syst. 2018). The join rule sends a cell to the least
    node above all that it reaches; where it does so everywhere, that keeps the order, since what a successor reaches
    the cell reaches too. A retraction need not exist, and to decide it is NP-hard in general: rule "exact" searches.

    Cells that reach no recurrent cell leave the domain or end. They get no node under either rule, and existence speaks
    of the others: those are closed upwards, so that nothing they could be compared with below them is lost.

    Parameters
    ----------
    decomposition : MorseDecomposition
    rule : "join" or "exact"
        "exact" also fills the cells that the join rule leaves open, wherever a retraction exists.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    OrderRetraction

    Raises
    ------
    NetgeomError
        Not a Morse decomposition, or an unknown rule.

    Notes
    -----
    O(cells + U k^2) for U distinct sets of nodes reached.
    """
    if not isinstance(decomposition, MorseDecomposition):
        raise NetgeomError(
            "This is no Morse decomposition",
            expected="what morse_decomposition returns",
            got=type(decomposition).__name__,
        )
    as_choice(rule, RULES, "rule")
    as_progress(progress)
    as_cancel(cancel).checkpoint()
    leq, sets, reach = decomposition.leq, decomposition.reach_sets, decomposition.reach
    bounds = upper_bounds(leq, sets)
    join = joins(leq, bounds)
    nothing = ~sets.any(axis=1)
    join[nothing] = -1
    status_of = np.where(join >= 0, JOIN, np.where(bounds.any(axis=1), SEVERAL, NONE_ABOVE)).astype(np.int8)
    status_of[nothing] = REACHES_NOTHING
    failed = np.flatnonzero((status_of == SEVERAL) | (status_of == NONE_ABOVE))
    used = np.bincount(reach, minlength=len(sets)) > 0
    obstructions = tuple(
        Obstruction(np.flatnonzero(sets[u]), minimal(leq, bounds[u]), np.flatnonzero(reach == u))
        for u in failed[used[failed]]
    )
    return OrderRetraction(
        decomposition,
        join[reach],
        status_of[reach],
        decomposition.may_leave,
        None if obstructions else True,
        obstructions,
        {**decomposition.settings, "rule": rule},
    )
