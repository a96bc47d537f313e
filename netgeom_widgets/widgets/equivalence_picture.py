"""What an equivalence slice viewer shows of one run: elements of the class, a plane, the loss on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.widgets.equivalence_plane import Plane, make_plane
from netgeom_widgets.widgets.equivalence_search import ElementMaker
from netgeom_widgets.widgets.equivalence_settings import OF_ELEMENTS, OF_PLANE
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.equivalence_traits import is_element
from netgeom_widgets.widgets.recent import Recent

if TYPE_CHECKING:
    from torch import nn

#: Slices that are kept, so that going back computes nothing.
_KEPT = 24


@dataclass(frozen=True, eq=False)
class Picture:
    """All of one run; what the panels under the figure are about.

    Attributes
    ----------
    source : Source
        What was given: ``inputs``, ``targets`` (None for a teacher), ``curves``.
    model : torch.nn.Module or None
        The copy that it was computed with, in float64 and eval mode: nobody changes it. None for a grid.
    problem : Problem or None
        The loss of that copy; of use on the thread of the run alone. Its numbers may be read anywhere.
    elements : Elements or None
    plane : Plane or None
    found : LossSlice, ProfileSlice or GivenSlice
        Loss on the grid; NaN where it is not known yet.
    settings : dict
        Of the widget.
    final : bool
        Whether all points are in it.
    center_loss : float
        R at the centre of the plane.
    center_is_dead : bool
        Whether no weight of some layer has an influence there.
    """

    source: Source
    model: nn.Module | None
    problem: Any
    elements: Any
    plane: Plane | None
    found: Any
    settings: dict[str, Any]
    final: bool
    center_loss: float = 0.0
    center_is_dead: bool = False

    @property
    def center(self) -> np.ndarray:
        """Parameters at the middle of the slice, (P,) float64."""
        return np.asarray(self.found.center)

    @property
    def basis(self) -> np.ndarray:
        """Its directions, (k, P) float64."""
        return np.asarray(self.found.basis)

    @property
    def names(self) -> tuple[str, ...] | None:
        """What each axis is."""
        return None if self.plane is None else self.plane.names[: len(self.found.axes)]

    @cached_property
    def _projected(self) -> tuple[np.ndarray, np.ndarray]:
        return self.project(self.elements.parameters)

    @property
    def coordinates(self) -> np.ndarray:
        """Of the elements in the slice, (n, k) float64."""
        return self._projected[0]

    @property
    def distance(self) -> np.ndarray:
        """From the elements to the slice, (n,) float64."""
        return self._projected[1]

    def project(self, points: Any) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (n, k) of points in the slice, and their distances to it; NaN where one is not finite."""
        from netgeom_widgets.kernels.equivalence import coordinates

        points = np.asarray(points, dtype=np.float64)
        known = np.isfinite(points).all(axis=1)
        at, far = np.full((len(points), len(self.basis)), np.nan), np.full(len(points), np.nan)
        if known.any():
            at[known], far[known] = coordinates(points[known], self.center, self.basis)
        return at, far

    def parameters_at(self, point: Any) -> np.ndarray:
        """Parameters (P,) at a point of the slice."""
        return np.asarray(self.center + np.asarray(point, dtype=np.float64) @ self.basis)


class PictureMaker:
    """Makes pictures, and computes nothing twice; used on one thread only."""

    def __init__(self, source: Source) -> None:
        self.source, self.elements = source, ElementMaker(source)
        self.forget()

    def forget(self) -> None:
        """Let go of all results."""
        self._problems, self._planes, self._slices = Recent(1), Recent(_KEPT), Recent(_KEPT)
        self.elements.forget()

    def picture(
        self,
        model: nn.Module | None,
        settings: dict[str, Any],
        key: Any,
        *,
        progress: Progress,
        cancel: Cancel,
        publish: Callable[[Picture], None],
        on_elements: Callable[[Any], None],
    ) -> Picture:
        """The picture for some settings; coarse ones are published first.

        Parameters
        ----------
        model : torch.nn.Module or None
            The copy made when the run started; None for a grid.
        settings : dict
            Of the widget.
        key : hashable
            Says which copy it is.
        on_elements : callable
            Called with all elements so far whenever one is settled.
        """
        source = self.source
        if model is None:
            return Picture(source, None, None, None, None, self._layer(settings["third"]), settings, True)
        problem = self._problems.get(key, lambda: source.problem(model))
        made = Picture(source, model, problem, None, None, None, settings, False)
        of_elements = settings["plane"] in OF_ELEMENTS or is_element(settings["center"])
        if not of_elements:  # elements then appear in a picture
            made = self._sliced(self._placed(made, progress, cancel), progress, cancel, publish)
            publish(made)

        def tell(elements: Any) -> None:
            on_elements(elements)
            shown = made if made.plane is not None else self._provisional(made, elements)
            if shown is not None:
                publish(replace(shown, elements=elements))

        elements = self.elements.elements(model, problem, settings, key, progress=progress, cancel=cancel, tell=tell)
        on_elements(elements)
        cancel.checkpoint()
        made = replace(made, elements=elements)
        if of_elements:
            made = self._sliced(self._placed(made, progress, cancel), progress, cancel, publish)
        return replace(made, final=True)

    def _layer(self, third: float) -> Any:
        """What is shown of the grid given, the same object for the same place."""
        grid = self.source.grid
        assert grid is not None  # noqa: S101  # by the caller
        return self._slices.get(third if len(grid.axes) > 2 else None, lambda: grid.layer(third))

    def _placed(self, made: Picture, progress: Progress, cancel: Cancel) -> Picture:
        """The picture with its plane."""
        elements, settings, network = made.elements, made.settings, made.problem.network
        wanted = (network.digest, id(elements), *(settings[name] for name in OF_PLANE))
        held = self._planes.find(wanted)
        if held is None:
            progress.update(text="the plane")
            plane = make_plane(self.source, made.model, network, elements, settings, progress=progress, cancel=cancel)
            held = plane, _at_center(made.problem, plane), elements  # an id is theirs while they are held
        self._planes.put(wanted, held)
        return replace(made, plane=replace(held[0], third=settings["third"]), **held[1])

    def _provisional(self, made: Picture, elements: Any) -> Picture | None:
        """Where the elements found so far lie, that will span the plane; None while they are too few."""
        from netgeom_widgets.kernels.equivalence.slices import SliceEvaluator

        settings, network = made.settings, made.problem.network
        quiet = {"progress": Progress(), "cancel": Cancel()}
        try:
            plane = make_plane(self.source, made.model, network, elements, settings, **quiet)  # type: ignore[arg-type]
        except NetgeomError:
            return None
        if len(plane.spanned_by) < len(plane.basis):
            return None
        k = plane.shown
        evaluator = SliceEvaluator(made.problem, plane.slice_center, plane.basis[:k], plane.axes[:k], "loop")
        return replace(made, plane=plane, found=evaluator.result(np.full(evaluator.n_points, np.nan)))

    def _sliced(self, made: Picture, progress: Progress, cancel: Cancel, publish: Callable[[Picture], None]) -> Picture:
        """The picture with the loss on its plane."""
        plane, settings = made.plane, made.settings
        assert plane is not None  # noqa: S101  # by the caller
        k = plane.shown
        arrays = (plane.slice_center, plane.basis[:k], *plane.axes[:k])
        wanted = (made.problem.network.digest, settings["profile"], *(array.tobytes() for array in arrays))
        found = self._slices.find(wanted)
        if found is None:
            found = _evaluate(made, progress, cancel, publish)
        self._slices.put(wanted, found)
        return replace(made, found=found)


def _at_center(problem: Any, plane: Plane) -> dict[str, Any]:
    """Loss at the centre of a plane, and whether the network is dead there."""
    import torch

    from netgeom_widgets.kernels.equivalence.dead import has_dead_layer

    theta = torch.from_numpy(plane.center.copy())
    return {
        "center_loss": float(problem.loss(theta[None])[0]) / problem.variance,
        "center_is_dead": has_dead_layer(problem.network, theta),
    }


def _evaluate(made: Picture, progress: Progress, cancel: Cancel, publish: Callable[[Picture], None]) -> Any:
    """Every point of the grid, coarse grids first."""
    plane = made.plane
    assert plane is not None  # noqa: S101  # by the caller
    evaluator = _evaluator(made, plane)
    loss = np.full(evaluator.n_points, np.nan)
    for part in evaluator.parts(cancel):
        loss[part.index] = part.loss
        progress.update(part.done, part.total, f"{part.done:,} of {part.total:,} points")
        if part.done < part.total:
            publish(replace(made, found=evaluator.result(loss.copy())))
    return evaluator.result(loss)


def _evaluator(made: Picture, plane: Plane) -> Any:
    from netgeom_widgets.kernels.equivalence.slices import SliceEvaluator

    k = plane.shown
    given = (made.problem, plane.slice_center, plane.basis[:k], plane.axes[:k])
    if made.settings["profile"]:
        from netgeom_widgets.kernels.equivalence.profile import ProfileEvaluator

        return ProfileEvaluator(*given)
    return SliceEvaluator(*given)
