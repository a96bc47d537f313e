"""The epsilon set of a slice in more than three directions, projected into a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence import seen_elements
from netgeom_widgets.figures.equivalence_marks import SliceElements
from netgeom_widgets.figures.equivalence_projection import ProjectionPicture
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.controls import narrow
from netgeom_widgets.widgets.equivalence_plane import Plane
from netgeom_widgets.widgets.equivalence_space import (
    SpacePanel,
    WiderSlices,
    grid_arrays,
    grid_words,
    lacks_directions,
)
from netgeom_widgets.widgets.part import NothingToShowError, Part, Publish

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

METHODS = {"pca": "PCA", "tsne": "t-SNE (in place of UMAP)"}
#: Points that are projected: t-SNE's time grows with more than their number, and more dots cannot be told apart.
MOST = {"pca": 20_000, "tsne": 1_500}


@dataclass(frozen=True, eq=False)
class Projected:
    """Points of an epsilon set, and where they are drawn.

    Attributes
    ----------
    slice : LossSlice
    plane : Plane
    epsilon : float
    points : (m, k) float64
        Coordinates in the slice.
    relative_loss : (m,) float64
    elements : SliceElements or None
        Those within the grid.
    projection : Projection
        Of the points, and then of the elements.
    n_points : int
        In the epsilon set; more than m where it was thinned.
    """

    slice: Any
    plane: Plane
    epsilon: float
    points: np.ndarray
    relative_loss: np.ndarray
    elements: Any
    projection: Any
    n_points: int


class ProjectionPart(Part):
    """Dots, coloured by their loss."""

    key = "projection"
    title = "Higher dimensions"
    tooltip = "Show the epsilon set of a slice in four directions or more, projected into a plane"
    options = ("projection_dims", "projection_points", "projection_method", "epsilon")
    marks = ("element",)

    def __init__(
        self, slices: WiderSlices, controls: Callable[[], list[ipywidgets.Widget]], go: Callable[[int], None]
    ) -> None:
        self._slices, self._make_controls, self._go = slices, controls, go

    def controls(self) -> list[ipywidgets.Widget]:
        """Directions, points, method."""
        return self._make_controls()

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """A network of as many parameters."""
        return lacks_directions(subject, options["projection_dims"])

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Projected:
        """The loss on the grid, the set, its projection."""
        from netgeom_widgets.kernels.equivalence import epsilon_set, project_points

        dims, points, method = (options[f"projection_{name}"] for name in ("dims", "points", "method"))
        found, plane = self._slices.of(subject, dims, points, progress=progress, cancel=cancel)
        epsilon, losses = options["epsilon"], found.relative_loss.ravel()
        inside = np.flatnonzero(losses <= epsilon)
        if len(inside) < 3:
            least = number(float(np.nanmin(losses))) if np.isfinite(losses).any() else "unknown"
            raise NothingToShowError(
                f"{len(inside)} of {losses.size:,} grid points have R up to {number(epsilon)}, too few to project; the "
                f"least R is {least}: raise epsilon, or take more points."
            )
        chosen = np.arange(len(inside))
        if len(chosen) > MOST[method]:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, MOST[method], replace=False))
        progress.update(text=f"projecting {len(chosen):,} points by {METHODS[method]}")
        cancel.checkpoint()
        rows = epsilon_set(found.relative_loss, found.axes, epsilon)[chosen]
        elements = None if subject.elements is None else _within(seen_elements(subject.elements, found), found.axes)
        with_elements = rows if elements is None else np.concatenate([rows, elements.coordinates])
        projection = project_points(with_elements, method)
        return Projected(found, plane, epsilon, rows, losses[inside][chosen], elements, projection, len(inside))

    def make(self) -> LayoutDOM:
        """Dots."""
        self._figure = ProjectionPicture()
        self._figure.on_element(self._go)
        return self._figure.root

    def draw(self, found: Projected, subject: Picture) -> None:
        """Dots."""
        self._figure.show(found.projection, found.relative_loss, elements=found.elements, epsilon=found.epsilon)

    def mark(self, marks: dict[str, Any]) -> None:
        """The picked element."""
        self._figure.pick_element(marks["element"] if marks["element"] >= 0 else None)

    def words(self, found: Projected, subject: Picture) -> str:
        """The grid, and how many of its points are shown."""
        n, m = found.n_points, len(found.points)
        shown = f"{m:,} of them, drawn at random, are projected" if m < n else "all are projected"
        return f"{grid_words(found.slice)} {n:,} have R up to {number(found.epsilon)}: {shown}."

    def arrays(self, found: Projected) -> dict[str, Any]:
        """The grid, the points, where they are drawn."""
        return {
            **grid_arrays(found.slice, found.plane),
            "points": found.points, "points_relative_loss": found.relative_loss,
            "projected": found.projection.coordinates,
        }  # fmt: skip


class ProjectionPanel(SpacePanel):
    """The fold on higher dimensions; it shares slices with that on three."""

    projection = traitlets.Bool(False, help="Whether a slice in four directions or more is shown.").tag(setting="mark")
    projection_dims = traitlets.Int(4, min=3, max=6, help="Directions of the slice.").tag(
        setting="draw", bar=True, label="Directions", control=narrow(ipywidgets.BoundedIntText, 130, min=3, max=6)
    )
    projection_points = traitlets.Int(9, min=3, max=41, help="Points along each direction.").tag(
        setting="draw", bar=True, label="Points", control=narrow(ipywidgets.BoundedIntText, 120, min=3, max=41)
    )
    projection_method = traitlets.Enum(tuple(METHODS), "pca", help="How points are brought into a plane.").tag(
        setting="draw", bar=True, label="by", texts=METHODS
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        return [*parts, ProjectionPart(self._wider_slices, self._projection_controls, self._pick_element)]

    def _projection_controls(self) -> list[ipywidgets.Widget]:
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        return [controls[f"projection_{name}"].box for name in ("dims", "points", "method")]


def _within(elements: SliceElements, axes: Sequence[np.ndarray]) -> SliceElements:
    """Those whose places lie within the grid: others would push it together."""
    ends = np.array([[axis[0], axis[-1]] for axis in axes])
    at = np.asarray(elements.coordinates)
    rows = np.flatnonzero(((at >= ends[:, 0]) & (at <= ends[:, 1])).all(axis=1))
    losses, status = elements.relative_loss, elements.status
    return SliceElements(
        at[rows],
        np.asarray(elements.distance)[rows],
        None if losses is None else np.asarray(losses)[rows],
        None if status is None else [status[row] for row in rows],
        np.asarray(elements.ids)[rows],
    )
