"""How a region partition is drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RegionStyle:
    """How a partition is drawn.

    Attributes
    ----------
    color_by, output, scale
        As in :func:`netgeom_widgets.figures.region_values.region_values`.
    layer : int or None
        Activation operations shown; all by default.
    hinges : tuple of int or None
        Operations whose hinge lines are shown; all by default.
    boundary, samples : bool
        Whether the decision boundary and the samples are shown.
    max_distance : float or None
        Samples farther from the plane than this are hidden.
    region : int or None
        The region picked.
    selection : tuple of int
        Ids of the samples picked.
    step : int or None
        Step of training that the partition belongs to, for the title.
    common_scale : bool
        Whether the colours of a step follow the scale of all steps drawn so far.
    """

    color_by: str = "slope norm"
    output: int = 0
    scale: str = "auto"
    layer: int | None = None
    hinges: tuple[int, ...] | None = None
    boundary: bool = True
    samples: bool = True
    max_distance: float | None = None
    region: int | None = None
    selection: tuple[int, ...] = ()
    step: int | None = None
    common_scale: bool = True
