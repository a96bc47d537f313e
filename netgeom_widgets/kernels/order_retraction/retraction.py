"""Order retractions: every cell is sent to a Morse node so that the order is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Int8, Int32, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_choice, as_count
from netgeom_widgets.kernels.order_retraction.exact import MAX_STEPS, search
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.poset import joins, maximal, minimal, upper_bounds

RULES = ("join", "exact")
JOIN, SEVERAL, NONE_ABOVE, REACHES_NOTHING = range(4)


@dataclass(frozen=True, eq=False)
class Obstruction:
    """Cells that cannot be placed: by the join rule, or, where the search has shown that, at all.

    Attributes
    ----------
    below : (b,) int64
        Morse nodes that they reach.
    upper_bounds : (u,) int64
        Minimal ones among the nodes above all of these. None or several; after rule "exact" also one, for a cell that
        others press from above.
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
        -1: none. Along edges between cells that have one the order is kept under either rule, whatever `exists` says.
    status : (cells,) int8
        Of the join rule: 0 the least node above all that the cell reaches; 1 several minimal ones; 2 none; 3 the cell
        reaches no recurrent cell.
    may_leave : (cells,) bool
        Some way from the cell leads out of the domain.
    exists : bool or None
        Whether there is an order retraction of the cells that reach a recurrent cell: none where a cell has no node
        above all that it reaches. None: not known; the join rule does not say, or the search ran out of steps.
    obstructions : tuple of Obstruction
        Cells without a node, one for each set of nodes that they reach. Where the search has shown that there is no
        retraction: the cells for which it ran out of nodes, with a node or without.
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
    max_steps: int = MAX_STEPS,
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
        "exact" also fills the cells that the join rule leaves open, wherever a retraction exists. It is the join rule's
        where that is total, and always minimal: no other one lies below it everywhere. Cells that lead to open ones may
        have to be raised above their join.
    max_steps : int
        Choices that rule "exact" tries before it gives up; most maps need none, each takes about a millisecond.
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
    TooLargeError
        Rule "exact": too many edges between cells that have to be searched.

    Notes
    -----
    O(cells + U k^2) for U distinct sets of nodes reached; the search O(edges of the open cells) for each round in which
    candidates drop out, and exponential at worst in the choices.
    """
    if not isinstance(decomposition, MorseDecomposition):
        raise NetgeomError(
            "This is no Morse decomposition",
            expected="what morse_decomposition returns",
            got=type(decomposition).__name__,
        )
    as_choice(rule, RULES, "rule")
    steps = as_count(max_steps, 0, 10**9, "max_steps", "")
    report, stop = as_progress(progress), as_cancel(cancel)
    stop.checkpoint()
    leq, sets, reach = decomposition.leq, decomposition.reach_sets, decomposition.reach
    bounds = upper_bounds(leq, maximal(decomposition.hasse, sets))
    join = joins(leq, bounds)
    nothing = ~sets.any(axis=1)
    join[nothing] = -1
    status_of = np.where(join >= 0, JOIN, np.where(bounds.any(axis=1), SEVERAL, NONE_ABOVE)).astype(np.int8)
    status_of[nothing] = REACHES_NOTHING
    node, status, settings = join[reach], status_of[reach], {**decomposition.settings, "rule": rule}
    unplaced = np.flatnonzero((status == SEVERAL) | (status == NONE_ABOVE))
    exists = False if (status == NONE_ABOVE).any() else None if unplaced.size else True
    if rule == "exact" and unplaced.size:
        found = search(decomposition, node, status, report, stop, steps)
        node, exists = found.node, found.exists
        unplaced = found.clashes if exists is False else unplaced[node[unplaced] < 0]
        settings |= {"max_steps": steps, "steps": found.steps}
    unplaced = unplaced[np.argsort(reach[unplaced], kind="stable")]
    rows, starts = np.unique(reach[unplaced], return_index=True)
    obstructions = tuple(
        Obstruction(np.flatnonzero(sets[u]), minimal(leq, bounds[u]), cells)
        for u, cells in zip(rows, np.split(unplaced, starts[1:]), strict=False)
    )
    return OrderRetraction(decomposition, node, status, decomposition.may_leave, exists, obstructions, settings)
