"""Counts of Morse graphs, and of what becomes of each cell, over several maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int8, Int32
from numpy import ndarray

from netgeom_widgets.kernels.order_retraction.boxes import box_images
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition, morse_decomposition
from netgeom_widgets.kernels.order_retraction.poset_forms import PosetForm, form_of
from netgeom_widgets.kernels.order_retraction.retraction import JOIN, REACHES_NOTHING, order_retraction

FATES = ("tile of an attractor", "tile of an upper node", "undecided", "reaches no recurrent cell")

_WILSON = 1.959963984540054  # two-sided 95 %


@dataclass(frozen=True, eq=False, repr=False)
class MorseGraphCount:
    """One Morse graph up to the names of its nodes, and how often it came.

    Attributes
    ----------
    form : PosetForm
    count : int
        Samples that have it; 0 for the fit to all pairs, if no sample has its graph.
    total : int
        Samples in all.
    by_kind : dict of str to int
        The same for each kind of sample.
    sample : int
        The first sample that has it, -1 for the fit to all pairs.
    example : MorseDecomposition
        Of that sample.
    """

    form: PosetForm
    count: int
    total: int
    by_kind: dict[str, int]
    sample: int
    example: MorseDecomposition

    @property
    def share(self) -> float:
        """Count over total."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval for the share: what so few samples leave open."""
        n, z = self.total, _WILSON
        middle = (self.share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * np.sqrt(self.share * (1 - self.share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return float(max(0.0, middle - half)), float(min(1.0, middle + half))

    def __repr__(self) -> str:
        return f"<{self.form}, {self.count} of {self.total}>"


class Outcome:
    """The Morse graph of one map, and what becomes of each cell."""

    def __init__(self, map: Any, grid: CubicalGrid, boxes: dict[str, Any]) -> None:
        self.decomposition = morse_decomposition(box_images(map, grid, **boxes))
        self.form = form_of(self.decomposition)
        retraction = order_retraction(self.decomposition)
        upper = np.append(self.decomposition.heights > 0, False)[retraction.node]
        found = np.where(retraction.status == JOIN, upper, 2)
        self.fate: Int8[ndarray, " cells"] = np.where(retraction.status == REACHES_NOTHING, 3, found).astype(np.int8)


class Tally:
    """Counts over outcomes, one after the other."""

    def __init__(self, grid: CubicalGrid, of_fit: Outcome) -> None:
        self.recurrent, self.may_leave = np.zeros(grid.n_cells), np.zeros(grid.n_cells)
        self.fate = np.zeros((grid.n_cells, len(FATES)))
        self.support = np.zeros(of_fit.decomposition.n_nodes)
        self.forms: dict[PosetForm, tuple[int, MorseDecomposition]] = {}
        self._of_fit, self._found = of_fit, list[PosetForm]()

    def add(self, outcome: Outcome, sample: int, kind: str) -> None:
        """Count one sample."""
        recurrent = outcome.decomposition.label >= 0
        self.recurrent += recurrent
        touched = np.unique(self._of_fit.decomposition.label[recurrent])
        self.support[touched[touched >= 0]] += 1
        self.may_leave += outcome.decomposition.may_leave
        self.fate[np.arange(len(outcome.fate)), outcome.fate] += 1
        self.forms.setdefault(outcome.form, (sample, outcome.decomposition))
        self._found.append(outcome.form)

    def graphs(self, kinds: tuple[str, ...]) -> tuple[tuple[MorseGraphCount, ...], Int32[ndarray, " samples"], int]:
        """The distinct graphs, most frequent first; which each sample has, and which the fit has."""
        self.forms.setdefault(self._of_fit.form, (-1, self._of_fit.decomposition))
        counts = {form: self._found.count(form) for form in self.forms}
        ordered = sorted(self.forms, key=lambda form: (-counts[form], form.n_nodes, form.hasse))
        row = {form: i for i, form in enumerate(ordered)}
        entries = tuple(
            MorseGraphCount(
                form=form,
                count=counts[form],
                total=len(kinds),
                by_kind={
                    each: sum(found == form and kind == each for found, kind in zip(self._found, kinds, strict=True))
                    for each in dict.fromkeys(kinds)
                },
                sample=self.forms[form][0],
                example=self.forms[form][1],
            )
            for form in ordered
        )
        return entries, np.array([row[form] for form in self._found], dtype=np.int32), row[self._of_fit.form]
