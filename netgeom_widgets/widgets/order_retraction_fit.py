"""How far the fitted map can be trusted, and how much of the runs the coordinates show."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_coordinates import CoordinatesFigure
from netgeom_widgets.figures.order_retraction_fit import MapFitFigure, fit_sentences, held_out
from netgeom_widgets.figures.plots import wrapping_row
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.parts import Parts

if TYPE_CHECKING:
    from netgeom_widgets.widgets.order_retraction_picture import Picture


class FitPart(Part):
    """Predicted against true ends, with and without the run itself."""

    key = "map_check"
    title = "Fit of the map"
    tooltip = "Compare where the fitted map sends the runs with where they went, each also without itself"
    marks = ("selection",)

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> tuple[Any, np.ndarray]:
        """The map, and what it predicts without each run; NaN where nothing is left without it."""
        return subject.space.map, held_out(subject.space.map)

    def make(self) -> LayoutDOM:
        """Scatters, as many as there are coordinates."""
        self._figure: MapFitFigure | None = None
        self._row = wrapping_row()
        return self._row

    def below(self) -> list[ipywidgets.Widget]:
        """What to doubt."""
        self._doubts = ipywidgets.HTML(layout={"max_width": "100%"})
        return [self._doubts]

    def draw(self, found: Any, subject: Picture) -> None:
        """Scatters, and what to doubt."""
        fitted = found[0]
        if self._figure is None or self._dims != fitted.dims:
            self._figure, self._dims = MapFitFigure(fitted.dims), fitted.dims
            self._row.children = [self._figure.root]
        self._subject = subject
        doubts = (f"<div class='netgeom-status'>{escape(doubt)}</div>" for doubt in fitted.warnings)
        self._doubts.value = "".join(doubts)

    def mark(self, marks: dict[str, Any]) -> None:
        """Draw the pairs, those of the selected runs outlined."""
        if self._figure is None:
            return
        space, runs = self._subject.space, self._subject.source.run_ids
        picked = np.isin(space.pairs.run_ids, [runs[i] for i in marks["selection"]])
        self._figure.show(space.map, names=space.names, selection=np.flatnonzero(picked).tolist())

    def words(self, found: Any, subject: Picture) -> str:
        """Model, error, what it cannot explain."""
        said = fit_sentences(found[0], subject.space.names)
        return " ".join(said[: len(said) - len(found[0].warnings)])

    def arrays(self, found: Any) -> dict[str, Any]:
        """Pairs, predictions with and without each run, numbers of the model."""
        fitted, without = found
        arrays = {
            "starts": fitted.starts,
            "ends": fitted.ends,
            "predicted": np.asarray(fitted.predict(fitted.starts)),
            "predicted_without_run": without,
            "noise": np.array(fitted.noise),
            "closure_defect": np.array(fitted.closure_defect),
        }
        return arrays if fitted.length_scale is None else arrays | {"length_scale": fitted.length_scale}


class CoordinatesPart(Part):
    """How much each weight spreads over the runs, and which are shown."""

    key = "spread"
    title = "Coordinates"
    tooltip = "Show how much each recorded weight spreads over the runs, and which of them the axes are"

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """Runs to spread."""
        return "" if subject.source.n_runs > 1 else "One run has no spread."

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> tuple[Any, Any]:
        """All runs and the coordinates."""
        return subject.source.trajectories, subject.space.coordinates

    def make(self) -> LayoutDOM:
        """Bars."""
        self._figure = CoordinatesFigure()
        return self._figure.root

    def draw(self, found: Any, subject: Picture) -> None:
        """Bars."""
        self._figure.show(*found)

    def words(self, found: Any, subject: Picture) -> str:
        """The axes, and how much of the spread they show."""
        shares = zip(subject.space.names, found[1].explained.tolist(), strict=True)
        told = ", ".join(f"{name} {100 * share:.3g} %" for name, share in shares)
        return f"Share of the variance over the runs: {told}."

    def arrays(self, found: Any) -> dict[str, Any]:
        """Standard deviations, and the matrix of the coordinates."""
        runs, coordinates = found
        return {
            "deviation": np.asarray(runs.values)[:, -1].std(axis=0),
            "names": np.array(runs.names),
            "matrix": coordinates.matrix,
            "offset": coordinates.offset,
            "explained": coordinates.explained,
        }


class FitPanel(Parts):
    """The folds on the fit of the map and on the coordinates."""

    map_check = traitlets.Bool(False, help="Whether the fit of the map is shown.").tag(
        setting="mark", needs="runs to fit a map to"
    )
    spread = traitlets.Bool(False, help="Whether the spread of each weight over the runs is shown.").tag(
        setting="mark", needs="runs to choose coordinates of"
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        return parts if self._source.is_map else [*parts, FitPart(), CoordinatesPart()]  # type: ignore[attr-defined]
