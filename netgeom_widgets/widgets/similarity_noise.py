"""Inputs whose neighbours have another label: a list of suspects, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_suspects import SuspectsFigure
from netgeom_widgets.widgets.part import Go, Part, Publish
from netgeom_widgets.widgets.sample_list import MOST_LISTED, SampleList
from netgeom_widgets.widgets.similarity_subject import InputParts, Subject

METHODS = {"nearest": "the 10 most similar", "soft": "all, by k", "less_soft": "all, by k to the 4th power"}
#: Where the ranking was tried, it was not better than something far simpler. Said wherever it is shown.
CAUTION = (
    "A high score is a reason to look, no proof. On scikit-learn's digits with 10 % of the labels flipped, "
    "neighbours by plain pixels found them just as well."
)


@dataclass(frozen=True, eq=False)
class Suspects:
    """Inputs by how many of their neighbours have another label.

    Attributes
    ----------
    scores : (n,) float64
        Share of the neighbours, weighted by similarity, with another label.
    said : (n,) list of str
        The label that the 10 most similar others have, weighted by similarity; empty where nothing is similar.
    order : (n,) int64
        Ids, the most suspicious first; those without any neighbour last.
    """

    scores: np.ndarray
    said: list[str]
    order: np.ndarray


class NoisePart(Part):
    """The most suspicious inputs as thumbnails and in a list."""

    key = "label_noise"
    title = "Label noise"
    tooltip = "Rank the inputs by how many of their neighbours have another label"
    options = ("noise_method",)

    def __init__(self, control: ipywidgets.Widget, go: Go, sprites: Any, texts: Any) -> None:
        self._control, self._go, self._looks = control, go, {"sprites": sprites, "texts": texts}

    def controls(self) -> list[ipywidgets.Widget]:
        """The method, and the caution."""
        caution = ipywidgets.HTML(f"<div class='netgeom-status'>{CAUTION}</div>", layout={"max_width": "100%"})
        return [self._control, caution]

    def lacks(self, subject: Subject, options: dict[str, Any]) -> str:
        """Labels that are classes, and weights that compare."""
        if subject.samples.labels.dtype.kind == "f":
            return "Labels with fractions are no classes."
        if subject.similarity.kernel in ("inner", "relative"):
            return "Neighbours are weighted by a normalised similarity: choose another than this."
        return "" if len(subject.samples) > 1 else "One input has no neighbours."

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Suspects:
        """Scores, and what the neighbours say."""
        from netgeom_widgets.kernels.similarity import label_noise_scores, neighbour_labels

        values, known = subject.similarity.values, subject.samples.known
        scores = label_noise_scores(values, known.kinds, method=options["noise_method"])
        cancel.checkpoint()
        names = dict(zip(known.kinds.tolist(), known.names, strict=True)) | {-1: ""}
        said = [names[kind] for kind in neighbour_labels(values, known.kinds).tolist()]
        return Suspects(scores, said, np.argsort(-np.nan_to_num(scores, nan=-1.0), kind="stable"))

    def make(self) -> LayoutDOM:
        """Thumbnails in order."""
        self._figure = SuspectsFigure(**self._looks)
        self._figure.on_sample(self._go)
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """The list."""
        self._list = SampleList("The most suspicious input first: choose one to see its neighbours", self._go)
        return [self._list]

    def draw(self, found: Suspects, subject: Subject) -> None:
        """Figure and list."""
        known = subject.samples.known
        self._figure.draw(found.order, found.scores, known.names, found.said)
        listed = [i for i in found.order[:MOST_LISTED].tolist() if found.scores[i] > 0]
        self._list.show(
            [
                (f"{subject.samples.words(i)}; neighbours: {found.said[i]}; {number(float(found.scores[i]))}", i)
                for i in listed
            ]
        )

    def words(self, found: Suspects, subject: Subject) -> str:
        """How many disagree."""
        other = sum(said not in ("", own) for said, own in zip(found.said, subject.samples.known.names, strict=True))
        return f"{other:,} of {len(found.scores):,} inputs have another label than most of their 10 nearest neighbours"

    def arrays(self, found: Suspects) -> dict[str, Any]:
        """Scores and what the neighbours say."""
        return {"scores": found.scores, "said": np.array(found.said)}


class NoisePanel(InputParts):
    """The fold on label noise."""

    label_noise = traitlets.Bool(False, help="Whether inputs with suspicious labels are listed.").tag(
        setting="mark", needs="labels"
    )
    noise_method = traitlets.Enum(
        tuple(METHODS), "nearest", help="Which neighbours say which label an input should have, weighted by similarity."
    ).tag(setting="draw", bar=True, label="Neighbours that count", texts=METHODS)

    def _make_parts(self) -> list[Part]:
        parts, samples = super()._make_parts(), self._source.samples  # type: ignore[attr-defined]
        if samples.labels is None:
            return parts
        control = self._controls["noise_method"].box  # type: ignore[attr-defined]
        return [*parts, NoisePart(control, self._pick_row, samples.sprites, samples.texts)]
