"""How far the fitted map can be trusted, and how much of the runs the coordinates show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import Column, LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_cell_map import CellMap
from netgeom_widgets.figures.order_retraction_coordinates import CoordinatesFigure
from netgeom_widgets.figures.order_retraction_fit import MapFitFigure, fit_sentences, held_out
from netgeom_widgets.widgets.frame import remarks_html
from netgeom_widgets.widgets.order_retraction_space import AXES, BY_NAME
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.parts import Parts

if TYPE_CHECKING:
    from netgeom_widgets.widgets.order_retraction_picture import Picture


#: The standard deviation is computed on a grid of no more subdivisions.
_COARSE = 12


@dataclass(frozen=True, eq=False)
class Checked:
    """A fitted map and what speaks for and against it.

    Attributes
    ----------
    map : FittedMap
    without : (n, d) float64
        Ends as it predicts them without their run; NaN where nothing is left without it.
    grid : CubicalGrid
    deviation : (cells,) float64 or None
        Its standard deviation in the middle of each cell.
    """

    map: Any
    without: np.ndarray
    grid: Any
    deviation: np.ndarray | None


class FitPart(Part):
    """Predicted against true ends, with and without the run itself, and how uncertain the map is where."""

    key = "map_check"
    title = "Fit of the map"
    tooltip = "Compare where the fitted map sends the runs with where they went, each also without itself"
    marks = ("selection",)

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Checked:
        """Predictions without each run, and the standard deviation."""
        space, grid = subject.space, subject.grid.refined(min(_COARSE, subject.grid.subdivisions))
        without = held_out(space.map)
        cancel.checkpoint()
        try:
            lines = [grid.middles(axis) for axis in range(grid.dims)]
            deviation = np.asarray(space.map.std_on_lattice(lines))[:, 0]  # the same for every coordinate
        except NetgeomError:  # one nearest neighbour has none
            deviation = None
        return Checked(space.map, without, grid, deviation)

    def make(self) -> LayoutDOM:
        """Scatters, as many as there are coordinates, and a map of the cells."""
        self._figure: MapFitFigure | None = None
        self._cells = CellMap(300, max_width=520)
        self._root = Column(sizing_mode="stretch_width")
        return self._root

    def below(self) -> list[ipywidgets.Widget]:
        """What to doubt."""
        self._doubts = ipywidgets.HTML(layout={"max_width": "100%"})
        return [self._doubts]

    def draw(self, found: Checked, subject: Picture) -> None:
        """Cells, and what to doubt; the scatters are drawn with their marks."""
        self._subject, fitted = subject, found.map
        if self._figure is None or self._dims != fitted.dims:
            self._figure, self._dims = MapFitFigure(fitted.dims), fitted.dims
        if found.deviation is not None:
            what = {"title": "Uncertainty of the fitted map", "quantity": "standard deviation of the map"}
            self._cells.show(found.grid, found.deviation, names=subject.space.names, **what)
        shown = [self._figure.root, *([] if found.deviation is None else [self._cells.root])]
        if list(self._root.children) != shown:
            self._root.children = shown
        self._doubts.value = remarks_html(fitted.warnings)

    def mark(self, marks: dict[str, Any]) -> None:
        """Draw the pairs, those of the selected runs outlined."""
        if self._figure is None:
            return
        space, runs = self._subject.space, self._subject.source.run_ids
        picked = np.isin(space.pairs.run_ids, [runs[i] for i in marks["selection"]])
        self._figure.show(space.map, names=space.names, selection=np.flatnonzero(picked).tolist())

    def words(self, found: Checked, subject: Picture) -> str:
        """Model, error, what it cannot explain."""
        said = fit_sentences(found.map, subject.space.names)
        return " ".join(said[: len(said) - len(found.map.warnings)])

    def arrays(self, found: Checked) -> dict[str, Any]:
        """Pairs, predictions with and without each run, numbers of the model."""
        fitted = found.map
        arrays = {
            "starts": fitted.starts,
            "ends": fitted.ends,
            "predicted": np.asarray(fitted.predict(fitted.starts)),
            "predicted_without_run": found.without,
            "noise": np.array(fitted.noise),
            "closure_defect": np.array(fitted.closure_defect),
        }
        if found.deviation is not None:
            arrays |= {"deviation": found.deviation, "shape": np.array(found.grid.shape)}
        return arrays if fitted.length_scale is None else arrays | {"length_scale": fitted.length_scale}


class CoordinatesPart(Part):
    """How much each weight spreads over the runs, and which are shown."""

    key = "spread"
    title = "Coordinates"
    tooltip = "Show how much each recorded weight spreads over the runs, and which of them the axes are"

    def __init__(self, choose: Callable[[int], None]) -> None:
        self._choose = choose

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
        self._figure.on_weight(self._choose)
        return self._figure.root

    def draw(self, found: Any, subject: Picture) -> None:
        """Bars."""
        self._figure.show(*found)

    def words(self, found: Any, subject: Picture) -> str:
        """The axes, and how much of the spread they show."""
        shares = zip(subject.space.names, found[1].explained.tolist(), strict=True)
        told = ", ".join(f"{name} {100 * share:.3g} %" for name, share in shares)
        return f"Share of the variance over the runs: {told}. A click on a bar puts its weight on the last axis."

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
        return parts if self._source.is_map else [*parts, FitPart(), CoordinatesPart(self._choose_weight)]  # type: ignore[attr-defined]

    def _choose_weight(self, weight: int) -> None:
        """Put a weight on the last axis; those shown move up, and the first one goes."""
        names: tuple[str, ...] = self._source.names  # type: ignore[attr-defined]
        dims: int = self.dims  # type: ignore[attr-defined]
        picture: Picture | None = self._subject()
        shown = [] if picture is None else [name for name in picture.space.names if name in names]
        if names[weight] in shown:
            return
        chosen = [*shown, names[weight]][-dims:]
        others = [name for name in names if name not in chosen]  # principal axes are no weights
        chosen = [*others[: dims - len(chosen)], *chosen]
        self.settings = {"coordinates": BY_NAME, **dict(zip(AXES, chosen, strict=False))}  # type: ignore[attr-defined]
