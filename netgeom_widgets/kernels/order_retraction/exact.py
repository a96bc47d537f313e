"""Order retractions where the join rule does not say: candidates made consistent, then a complete search."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int8, Int32, Int64
from numpy import ndarray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.kernels.order_retraction.candidates import Candidates
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition
from netgeom_widgets.kernels.order_retraction.open_cells import OpenCells, open_cells

MAX_STEPS = 10_000  # choices tried; about a millisecond each


@dataclass(frozen=True, eq=False)
class Search:
    """What the search found.

    Attributes
    ----------
    node : (cells,) int32
        That of the join rule, and the nodes found for the parts in which a retraction exists.
    exists : bool or None
        None: the steps ran out.
    clashes : (m,) int64
        Cells that were left without a candidate, where no retraction exists.
    steps : int
        Choices tried.
    """

    node: Int32[ndarray, " cells"]
    exists: bool | None
    clashes: Int64[ndarray, " m"]
    steps: int


def search(
    decomposition: MorseDecomposition,
    join: Int32[ndarray, " cells"],
    status: Int8[ndarray, " cells"],
    progress: Progress,
    cancel: Cancel,
    max_steps: int = MAX_STEPS,
) -> Search:
    """Find an order retraction, or show that there is none; cells that need not be searched keep their join.

    Constraint propagation on the open cells, part by part: consistent candidates; where all candidates of a part have a
    least one, these are the retraction. Else some cell is given a minimal one of its candidates, the others are made
    consistent with it, and so on; if that fails the candidate is struck out.

    The retraction found is minimal: no other one lies below it everywhere. For one that did would have to agree with
    each choice, made among minimal candidates, and would lie above the least candidates that are left at the end.

    Parameters
    ----------
    decomposition : MorseDecomposition
    join, status : (cells,)
        Node and status by the join rule.
    progress, cancel
        See `netgeom_widgets.execution`.
    max_steps : int
        Choices after which the search gives up.

    Raises
    ------
    TooLargeError
        Too many edges between the open cells.
    """
    progress.update(0, 1, "candidates of the open cells")
    part = open_cells(decomposition, status, cancel)
    candidates = part.candidates
    n = part.cells.size
    candidates.settle(np.arange(n), cancel)
    candidates.forget()
    progress.update(0.3, 1, "one choice for all cells with the same candidates")
    rest = _choose_by_candidates(candidates, cancel)
    run = _Run(part, max_steps, cancel)
    given_up = np.zeros(candidates.failed.size, bool)
    for done, number in enumerate(rest):
        progress.update(0.4 + 0.6 * done / len(rest), 1, f"searching part {done + 1} of {len(rest)}")
        given_up[number] = run.solve(int(number)) is None
    progress.update(1, 1, f"{n} cells searched")
    solved = ~(candidates.failed | given_up)[candidates.part]
    node = join.copy()
    node[part.cells[solved]] = candidates.sets.least[candidates.number[solved]]
    lost = np.unique(np.concatenate([np.zeros(0, np.int64), *candidates.lost]))
    clashes = part.cells[lost[candidates.failed[candidates.part[lost]]]]
    exists = False if candidates.failed.any() else None if given_up.any() else True
    return Search(node, exists, clashes, run.steps)


def _choose_by_candidates(candidates: Candidates, cancel: Cancel) -> Int64[ndarray, " m"]:
    """Choose for all cells with equal candidates at once; the parts in which that leads nowhere.

    It settles most maps in a few steps, but equal candidates may need unequal nodes: a failure proves nothing, so that
    those parts get their candidates back.
    """
    before, failed, n_lost = candidates.number.copy(), candidates.failed.copy(), len(candidates.lost)
    cells = np.arange(candidates.number.size)
    while (undecided := candidates.undecided(cells)).size:
        numbers = candidates.number[undecided]
        chosen = int(numbers[np.argmin(candidates.sets.size[numbers])])
        node = candidates.sets.lowest(chosen)
        candidates.put(undecided[numbers == chosen], candidates.sets.single(node), cancel)
        cells = cells[np.isin(candidates.part[cells], candidates.part[undecided])]
    candidates.forget()
    unlucky = candidates.failed & ~failed
    again = unlucky[candidates.part]
    candidates.number[again], candidates.failed = before[again], failed
    del candidates.lost[n_lost:]
    return np.flatnonzero(unlucky)


@dataclass(eq=False)
class _Choice:
    """A cell for which a node is chosen (branch 1) or struck out (branch 2), and what is then left to settle."""

    cells: Int64[ndarray, " m"]
    mark: int
    cell: int
    node: int
    branch: int = 0
    failed: bool = True
    pending: list[Int64[ndarray, " _"]] = field(default_factory=list)


class _Run:
    """A complete search through parts, one after the other; nested choices are a list, not calls, however deep."""

    def __init__(self, part: OpenCells, max_steps: int, cancel: Cancel) -> None:
        self.steps = 0
        self._graph, self._candidates, self._most, self._cancel = part.graph, part.candidates, max_steps, cancel

    def solve(self, part: int) -> bool | None:
        """Whether a part has a retraction, left in its candidates; None: out of steps, its candidates are as before."""
        candidates = self._candidates
        candidates.forget()
        pieces = self._pieces(np.flatnonzero(candidates.part == part))
        while pieces:
            found = self._settle(pieces.pop(), part)
            if not found:
                candidates.undo(0, part)
                candidates.failed[part] = found is False
                return found
        return True

    def _settle(self, cells: Int64[ndarray, " m"], part: int) -> bool | None:
        """Depth first through the choices of one piece; pieces that a choice cuts off are settled each by itself."""
        choices = [self._choice(cells)]
        while choices:
            top = choices[-1]
            if not top.failed:
                if top.pending:
                    choices.append(self._choice(top.pending.pop()))
                else:
                    choices.pop()  # everything under it is settled
                continue
            self._candidates.undo(top.mark, part)
            top.branch += 1
            if top.branch > 2:
                choices.pop()
                if not choices:
                    return False
                choices[-1].failed = True
                continue
            if self.steps >= self._most:
                return None
            self._try(top, part)
        return True

    def _choice(self, cells: Int64[ndarray, " m"]) -> _Choice:
        candidates = self._candidates
        undecided = candidates.undecided(cells)
        cell = int(undecided[np.argmin(candidates.sets.size[candidates.number[undecided]])])
        node = candidates.sets.lowest(int(candidates.number[cell]))
        return _Choice(cells, candidates.mark, cell, node)

    def _try(self, choice: _Choice, part: int) -> None:
        self.steps += 1
        candidates, sets = self._candidates, self._candidates.sets
        all_of_it = int(candidates.number[choice.cell])
        number = sets.single(choice.node) if choice.branch == 1 else sets.without(all_of_it, choice.node)
        candidates.put(np.array([choice.cell]), number, self._cancel)
        choice.failed = bool(candidates.failed[part])
        choice.pending = [] if choice.failed else self._pieces(choice.cells)

    def _pieces(self, cells: Int64[ndarray, " m"]) -> list[Int64[ndarray, " _"]]:
        """Undecided pieces that cells with one candidate separate, those with fewest cells last."""
        candidates = self._candidates
        several = cells[candidates.sets.size[candidates.number[cells]] > 1]
        undecided = np.isin(several, candidates.undecided(several))
        if not undecided.any():
            return []
        count, piece = connected_components(csr_array(self._graph[several][:, several]), directed=False)
        wanted = np.unique(piece[undecided])
        order = np.argsort(piece, kind="stable")
        stretches = np.split(several[order], np.cumsum(np.bincount(piece, minlength=count))[:-1])
        return sorted((stretches[i] for i in wanted), key=len, reverse=True)
