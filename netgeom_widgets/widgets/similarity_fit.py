"""Mixin of the similarity matrix: the fit error of the network shown, beside the counts and in the status line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_fit import ASKED_FROM, FitFigure, fit_words
from netgeom_widgets.widgets.part import Go, Part, Publish
from netgeom_widgets.widgets.sample_list import MOST_LISTED, SampleList
from netgeom_widgets.widgets.similarity_subject import InputParts, Subject


class FitPart(Part):
    """Loss of each input against its soft neighbour count; the worst ones in a list."""

    key = "fit_errors"
    title = "Fit error"
    tooltip = "Show the loss of each input beside its neighbour count, and list the largest"

    def __init__(self, go: Go, take: Callable[[list[int]], None]) -> None:
        self._go, self._take = go, take

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """Fit and soft counts."""
        from netgeom_widgets.kernels.similarity import neighbour_counts

        return subject.fit, neighbour_counts(subject.similarity.values, kind="soft")

    def make(self) -> LayoutDOM:
        """A scatter."""
        self._figure = FitFigure()
        self._figure.on_sample(self._go)
        self._figure.on_lasso(self._take)
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """The list."""
        self._list = SampleList("Inputs with the largest loss first: choose one to see its neighbours", self._go)
        return [self._list]

    def draw(self, found: Any, subject: Subject) -> None:
        """Scatter and list."""
        fit, counts = found
        self._figure.draw(fit, counts, labels=subject.samples.labels)
        worst = np.argsort(-fit.losses, kind="stable")[:MOST_LISTED].tolist()
        self._list.show([(f"{subject.samples.words(i)}: {number(float(fit.losses[i]))}", i) for i in worst])

    def words(self, found: Any, subject: Subject) -> str:
        """The error in words."""
        return f"{subject.name}: {fit_words(found[0])}" if subject.name else fit_words(found[0])

    def arrays(self, found: Any) -> dict[str, Any]:
        """Losses."""
        fit = found[0]
        return {"losses": fit.losses, **({} if fit.correct is None else {"correct": fit.correct})}


class FitPanel(InputParts):
    """The fit error of the matrix shown, always of the same network and step, wherever there are targets."""

    fit_errors = traitlets.Bool(False, help="Whether the loss of each input is shown.").tag(
        setting="mark", needs="targets"
    )

    _fit_label: ipywidgets.Label | None = None

    def _setup_fit(self) -> None:
        """Refuse targets that the network cannot have; called before ``super().__init__``."""
        source = self._source  # type: ignore[attr-defined]
        if source.samples.targets is not None and not source.is_stored:
            from netgeom_widgets.kernels.similarity import fit_error

            fit_error(np.zeros((source.samples.n, source.n_outputs)), source.samples.targets, loss=source.loss_used)

    @property
    def fit(self) -> Any:
        """How well the network shown fits the targets, a Fit; None without targets or before the first result."""
        subject = self._subject()
        return None if subject is None or subject.samples.targets is None else subject.fit

    def _make_parts(self) -> list[Part]:
        parts, samples = super()._make_parts(), self._source.samples  # type: ignore[attr-defined]
        return parts if samples.targets is None else [*parts, FitPart(self._pick_row, self._select)]

    def _bars(self) -> list[ipywidgets.Widget]:
        self._fit_label = ipywidgets.Label(
            tooltip="Loss on the targets, of the network that the matrix is of. The question is asked from "
            f"{100 * ASKED_FROM:g} % of a constant prediction's on: counts of a network that does not fit say little.",
            layout={"display": "none"},
        )
        self._fit_label.add_class("netgeom-status")
        return [*super()._bars(), self._fit_label]  # type: ignore[misc]

    @traitlets.observe("status")
    def _show_fit(self, change: Any) -> None:
        if self._fit_label is not None and change["new"] == "done":
            words = self._fit_in_words()
            self._fit_label.value = words[:1].upper() + words[1:]
            self._fit_label.layout.display = None if words else "none"

    def _fit_in_words(self) -> str:
        """For the status line; empty without targets."""
        try:
            fit = self.fit
        except NetgeomError as error:  # a network to compare with may have other outputs; its matrix is fine
            return f"fit error not defined: {error}"
        return "" if fit is None else fit_words(fit)
