"""How far the two matrices of a comparison agree: CKA, ranks of rows, neighbours gained and lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_compare import ChangesFigure, agreement_words
from netgeom_widgets.widgets.part import Go, Part, Publish
from netgeom_widgets.widgets.sample_list import MOST_LISTED, SampleList
from netgeom_widgets.widgets.settings import shortened
from netgeom_widgets.widgets.similarity_subject import InputParts, Subject

#: Neighbours of each input that are compared, where there are so many others.
NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far two matrices agree.

    Attributes
    ----------
    cka, debiased : float
        Biased and debiased; NaN where it is not defined.
    spearman : (n,) float64
        Rank correlation of each row.
    changes : NeighbourhoodChanges
        From this to the other.
    """

    cka: float
    debiased: float
    spearman: np.ndarray
    changes: Any

    @property
    def k(self) -> int:
        """Neighbours of each input that were compared."""
        return int(self.changes.gained.shape[1])


class AgreementPart(Part):
    """Numbers of the agreement, a histogram of changed neighbours, and the inputs that changed most."""

    key = "agreement"
    title = "Agreement"
    tooltip = "Show how far both matrices agree: CKA, ranks, neighbours gained and lost"

    def __init__(self, go: Go) -> None:
        self._go = go

    def lacks(self, subject: Subject, options: dict[str, Any]) -> str:
        """Neighbours."""
        return "" if len(subject.samples) > 1 else "One input has no neighbours."

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Agreement:
        """All four."""
        from netgeom_widgets.kernels.similarity import cka, neighbour_changes, spearman_rows

        this, other = subject.this.values, subject.against.values
        n = len(this)
        found = []
        for at, (text, measure) in enumerate(
            (
                ("CKA", lambda: cka(this, other)),
                ("debiased CKA", lambda: cka(this, other, debiased=True) if n > 3 else float("nan")),
                ("ranks of the rows", lambda: spearman_rows(this, other)),
                ("neighbours", lambda: neighbour_changes(this, other, min(NEIGHBOURS, n - 1))),
            )
        ):
            progress.update(at, 4, text)
            cancel.checkpoint()
            found.append(measure())
        return Agreement(*found)

    def make(self) -> LayoutDOM:
        """A histogram."""
        self._figure = ChangesFigure()
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """The list."""
        self._list = SampleList("Inputs whose neighbours changed most first: choose one to see them", self._go)
        return [self._list]

    def draw(self, found: Agreement, subject: Subject) -> None:
        """Histogram and list."""
        changes = found.changes
        self._figure.draw(changes.n_changed, found.k, cka=found.cka, debiased=found.debiased, spearman=found.spearman)
        most = np.argsort(-changes.n_changed, kind="stable")[:MOST_LISTED]
        self._list.show(
            [
                (f"{subject.samples.words(i)}: {_exchanged(changes, i)}", i)
                for i in most.tolist()
                if changes.n_changed[i]
            ]
        )

    def words(self, found: Agreement, subject: Subject) -> str:
        """All numbers, and what is compared."""
        agreement = agreement_words(found.cka, found.debiased, found.spearman)
        changed = number(float(found.changes.n_changed.mean()))
        names = f"{subject.this_name} and {subject.against_name}"
        return f"{names}: {agreement} Of {found.k} neighbours {changed} are others on average."

    def arrays(self, found: Agreement) -> dict[str, Any]:
        """Everything."""
        return {
            "cka": np.array([found.cka, found.debiased]),
            "spearman": found.spearman,
            "neighbours_before": found.changes.before.ids,
            "neighbours_after": found.changes.after.ids,
        }


class AgreementPanel(InputParts):
    """The fold on how far two matrices agree."""

    agreement = traitlets.Bool(False, help="Whether the agreement of both matrices is shown.").tag(
        setting="mark", needs="against"
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        return parts if self._against is None else [*parts, AgreementPart(self._pick_row)]  # type: ignore[attr-defined]


def _exchanged(changes: Any, sample: int) -> str:
    """Neighbours lost and gained, in words."""
    lost = changes.before.ids[sample][~changes.kept[sample]].tolist()
    gained = changes.after.ids[sample][changes.gained[sample]].tolist()
    return f"{len(gained)} others (lost {shortened(lost, 6)}; gained {shortened(gained, 6)})"
