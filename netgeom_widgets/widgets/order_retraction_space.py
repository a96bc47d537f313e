"""The space of an order retraction plot: coordinates of the runs, and the map that takes a start to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netgeom_widgets.widgets.order_retraction_source import Source

#: Settings on which the space and the map in it depend.
OF_MAP = ("coordinates", "dims", "axis_x", "axis_y", "axis_z", "biases", "start", "end", "lag", "model")
#: And those on which the images of the cells do, beside these.
OF_IMAGES = ("margin", "subdivisions", "method", "z", "padding")
BY_NAME = "by name"
COORDINATES = {
    "largest_spread": "of the largest spread at the end",
    "smallest_spread": "of the smallest spread at the end",
    "pca_final": "principal axes of final values",
    "pca_all": "principal axes of all steps",
    "pca_displacement": "principal axes of displacements",
    BY_NAME: "chosen by name",
}
#: Names of the models of a map: their words, and keywords of ``fit_map``.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gp": ("Gaussian process around the identity", {"mean": "identity"}),
    "gp linear": ("Gaussian process around a linear map", {"mean": "linear"}),
    "gp zero": ("Gaussian process around zero", {"mean": "zero"}),
    "doodl3": ("DOODL3: around zero, length scale 0.01 to 2", {}),  # the kernel knows its settings
    "knn": ("mean of the nearest runs", {"model": "knn"}),
    "linear": ("linear map", {"model": "linear"}),
}
AXES = ("axis_x", "axis_y", "axis_z")


@dataclass(frozen=True, eq=False)
class Space:
    """The runs in the coordinates chosen, and the map between the two ends of their steps.

    Attributes
    ----------
    map : callable
        (M, d) -> (M, d): the one given, or a FittedMap.
    std : callable or None
        Its standard deviation.
    names : tuple of str
        Of the coordinates.
    coordinates : Coordinates or None
    runs : Trajectories or None
        In these coordinates.
    pairs : Pairs or None
        What the map was fitted to.
    lower, upper : (d,) float64 or None
        The domain, where one was given.
    """

    map: Any
    std: Any
    names: tuple[str, ...]
    coordinates: Any = None
    runs: Any = None
    pairs: Any = None
    lower: Any = None
    upper: Any = None

    @property
    def deviation(self) -> Any:
        """Standard deviation of the map's values at points, (M, d) -> (M, d); None where it is not known."""
        found = self.std if self.std is not None else getattr(self.map, "std", None)
        return found if callable(found) else None

    def domain(self, margin: float) -> tuple[Any, Any]:
        """The domain given, or a box around starts and ends, wider by a margin on each side."""
        if self.lower is not None:
            return self.lower, self.upper
        from netgeom_widgets.kernels.order_retraction import domain

        return domain(self.pairs.starts, self.pairs.ends, margin=margin)

    @property
    def is_fitted(self) -> bool:
        """Whether the map was fitted to runs."""
        return self.pairs is not None


def given_space(source: Source, given: tuple[Any, Any]) -> Space:
    """The space of a map that was given."""
    map, std = given
    return Space(map, std, source.names, lower=source.lower, upper=source.upper)


def fitted_space(source: Source, settings: dict[str, Any], **control: Any) -> Space:
    """Choose coordinates, project the runs, pair starts with ends by run id, and fit a map to the pairs."""
    from netgeom_widgets.kernels.order_retraction import fit_map

    coordinates, runs, pairs = paired(source, settings)
    map = fit_map(pairs.starts, pairs.ends, run_ids=pairs.ids, **fit_options(settings["model"]), **control)
    ends = (source.lower, source.upper)
    return Space(map, None, coordinates.names, coordinates, runs, pairs, *ends)


def fit_options(model: str) -> dict[str, Any]:
    """Keywords of ``fit_map`` for one of `MODELS`."""
    from netgeom_widgets.kernels.order_retraction import DOODL3_SETTINGS

    return dict(DOODL3_SETTINGS) if model == "doodl3" else dict(MODELS[model][1])


def paired(source: Source, settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The coordinates chosen, the runs in them, and the pairs that a map is fitted to."""
    from netgeom_widgets.kernels.order_retraction import choose_coordinates

    kind, dims = settings["coordinates"], settings["dims"]
    names = [settings[axis] for axis in AXES[:dims]] if kind == BY_NAME else kind
    exclude = {} if not settings["biases"] else {"exclude": ()}
    coordinates = choose_coordinates(source.trajectories, names, dims, **exclude)
    runs = source.trajectories.project(coordinates)
    start, end = ends_of(source, settings)
    return coordinates, runs, runs.pairs(start, end, lag=settings["lag"])


def ends_of(source: Source, settings: dict[str, Any]) -> tuple[int, int]:
    """Positions of the steps at which a run starts and ends."""
    steps = source.steps
    start, end = settings["start"], settings["end"]
    return 0 if start is None else steps.index(start), len(steps) - 1 if end is None else steps.index(end)
