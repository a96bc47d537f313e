"""How far the fitted map can be trusted, and how much of the runs the coordinates show."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_fit import FitCheck
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netgeom_widgets.widgets.order_retraction_picture import Picture


@dataclass(frozen=True, eq=False)
class Check:
    """A fitted map against its pairs.

    Attributes
    ----------
    map : FittedMap
    predicted : (n, d) float64
        Where it sends the starts.
    held_out : HeldOut or None
        Each pair without its run.
    why_not : str
        Why there is none.
    """

    map: Any
    predicted: np.ndarray
    held_out: Any
    why_not: str


class FitPart(Part):
    """Predicted against true ends, with and without the run itself."""

    key = "map_check"
    title = "Fit of the map"
    tooltip = "Compare where the fitted map sends the runs with where they went, each also without itself"

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Check:
        """Predictions."""
        fitted = subject.space.map
        try:
            held_out, why_not = fitted.leave_one_run_out, ""
        except NetgeomError as error:
            held_out, why_not = None, str(error)
        return Check(fitted, np.asarray(fitted.predict(fitted.starts)), held_out, why_not)

    def make(self) -> LayoutDOM:
        """Scatters."""
        self._figure = FitCheck()
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """What to doubt."""
        self._doubts = ipywidgets.HTML(layout={"max_width": "100%"})
        return [self._doubts]

    def draw(self, found: Check, subject: Picture) -> None:
        """Scatters, and what to doubt."""
        self._figure.show(found.map, names=subject.space.names)
        doubts = [*found.map.warnings, *([f"Not checked without each run: {found.why_not}"] if found.why_not else [])]
        self._doubts.value = "".join(f"<div class='netgeom-status'>{escape(doubt)}</div>" for doubt in doubts)

    def words(self, found: Check, subject: Picture) -> str:
        """Model, error, what it cannot explain."""
        fitted, names = found.map, subject.space.names
        words = [f"{_model_words(fitted)} on {len(fitted.starts):,} pairs"]
        if found.held_out is not None:
            words.append(
                f"without each run in turn it misses its end by {_listed(found.held_out.rmse, names)} (root mean "
                f"square) and explains {_percent(found.held_out.explained)} of the ends' variance"
            )
        words.append(
            f"closure defect {number(fitted.closure_defect)}: 0 where a start decides the end in these coordinates, "
            "near 1 where it says nothing"
        )
        if fitted.length_scale is not None:
            words.append(f"length scales {_listed(fitted.length_scale, names)}")
        words.append(f"noise of an end ±{number(float(np.sqrt(fitted.noise)))}")
        return "; ".join(words)

    def arrays(self, found: Check) -> dict[str, Any]:
        """Pairs, predictions, errors without each run, numbers of the model."""
        fitted = found.map
        arrays = {
            "starts": fitted.starts,
            "ends": fitted.ends,
            "predicted": found.predicted,
            "noise": np.array(fitted.noise),
            "closure_defect": np.array(fitted.closure_defect),
        }
        if fitted.length_scale is not None:
            arrays["length_scale"] = fitted.length_scale
        return arrays if found.held_out is None else arrays | {"held_out_errors": found.held_out.errors}


class FitPanel(Parts):
    """The fold on the fit of the map."""

    map_check = traitlets.Bool(False, help="Whether the fit of the map is shown.").tag(
        setting="mark", needs="runs to fit a map to"
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        return parts if self._source.is_map else [*parts, FitPart()]  # type: ignore[attr-defined]


def _model_words(fitted: Any) -> str:
    models = {"gp": "Gaussian process about", "knn": "nearest neighbours about", "linear": "affine map by"}
    means = {"identity": "the identity", "zero": "zero", "linear": "an affine map"}
    if fitted.model == "linear":
        return "affine map"
    return f"{models[fitted.model]} {means[fitted.mean]}"


def _listed(values: Any, names: Sequence[str]) -> str:
    return ", ".join(f"{number(float(value))} ({name})" for value, name in zip(values, names, strict=True))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %".replace("-", "\N{MINUS SIGN}") if np.isfinite(share) else "an undefined share"
