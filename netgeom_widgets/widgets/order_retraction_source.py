"""What an order retraction plot is about: a map on a domain, or the runs of a training recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.errors import NetgeomError

if TYPE_CHECKING:
    from netgeom_widgets.recording import Trajectories

#: More dimensions have no picture.
MOST_DIMS = 3


class Source:
    """What was given, checked; nothing in it changes later.

    Parameters
    ----------
    source : path, Recording, Trajectories, or map
        See :class:`netgeom_widgets.OrderRetractionPlot`.
    grid : CubicalGrid or (lower, upper), optional
    std : callable, optional
        Standard deviation of a map, (M, d) -> (M, d).
    labels : (runs,) array, optional
    per_run : mapping of name to (runs,) array, optional

    Attributes
    ----------
    trajectories : Trajectories or None
        The runs; None where a map was given.
    map : callable or None
        The map, where one was given.
    lower, upper : (d,) float64 or None
        The domain, where one was given.
    subdivisions : int or None
        Of the grid, where one was given.
    per_run : dict of str to (runs,) float64
        Quantities of each run: what was given, and the last value of each recorded metric.
    labels : (runs,) array or None

    Raises
    ------
    NetgeomError
        For anything else, or what does not fit together.
    """

    def __init__(
        self, source: Any, grid: Any = None, *, std: Any = None, labels: Any = None, per_run: Any = None
    ) -> None:
        from netgeom_widgets.kernels.order_retraction import FittedMap, domain

        self.trajectories, recorded = _runs_of(source)
        self.map = source if self.trajectories is None else None
        self.lower, self.upper, self.subdivisions = _domain_of(grid)
        if self.lower is None and isinstance(self.map, FittedMap):
            self.lower, self.upper = domain(self.map.starts, self.map.ends)
        if self.map is not None and self.lower is None:
            raise NetgeomError(
                "A map needs its domain.", expected="grid=CubicalGrid(...) or grid=(lower, upper)", got="grid=None"
            )
        self._std = _std_of(std, self.map)
        self.most_dims = self._count_dims()
        if self.map is not None:
            self._try_map()
        self.per_run = {**recorded, **_checked_quantities(per_run, self.n_runs)}
        self.labels = None if labels is None else _column("labels", labels, self.n_runs)

    @property
    def is_map(self) -> bool:
        """Whether the map itself was given, and nothing has to be fitted."""
        return self.map is not None

    @property
    def has_std(self) -> bool:
        """Whether confidence boxes can be had: every model fitted has a standard deviation."""
        return not self.is_map or self._std is not None or callable(getattr(self.map, "std", None))

    @property
    def n_runs(self) -> int:
        """How many runs."""
        return 0 if self.trajectories is None else len(self.trajectories.run_ids)

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Their ids; samples are counted from 0 in this order."""
        return () if self.trajectories is None else tuple(str(run) for run in self.trajectories.run_ids)

    @property
    def run_words(self) -> tuple[str, ...]:
        """Id of each run, with its label where it has one."""
        if self.labels is None:
            return self.run_ids
        return tuple(f"{run}, {label}" for run, label in zip(self.run_ids, self.labels.tolist(), strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """Of all coordinates."""
        if self.trajectories is not None:
            return self.trajectories.names
        return ("x",) if self.most_dims == 1 else tuple("xyz"[: self.most_dims])

    @property
    def steps(self) -> tuple[int, ...]:
        """The recorded steps."""
        return () if self.trajectories is None else tuple(self.trajectories.steps.tolist())

    def given(self) -> tuple[Any, Any]:
        """The map as it is now, a module copied, and the standard deviation beside it; on the caller's thread."""
        from torch import nn

        from netgeom_widgets.kernels._model import private_copy

        return (private_copy(self.map) if isinstance(self.map, nn.Module) else self.map), self._std

    def _try_map(self) -> None:
        """Refuse what is no map of these points, before anything starts."""
        from netgeom_widgets.kernels.order_retraction import as_map

        corners = np.stack([self.lower, self.upper])  # type: ignore[list-item]
        try:
            as_map(self.map, self.most_dims).at(corners)
        except NetgeomError:
            raise
        except Exception as error:  # the user's code runs here: whatever it raises, the answer is the same
            raise NetgeomError(
                f"The map does not take points ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})",
                expected=f"(M, {self.most_dims}) -> (M, {self.most_dims}), many points at a time",
                got=f"an error for points of shape {corners.shape}",
            ) from error

    def _count_dims(self) -> int:
        """How many dimensions there are to choose from, or that a map has."""
        if self.trajectories is not None:
            return int(self.trajectories.values.shape[2])
        dims = len(self.lower)  # type: ignore[arg-type]
        if dims > MOST_DIMS:
            raise NetgeomError(
                "This map has no picture.",
                expected=f"1 to {MOST_DIMS} dimensions",
                got=f"{dims}",
                try_this="kernels.order_retraction computes in any number of dimensions",
            )
        return dims


def _runs_of(source: Any) -> tuple[Trajectories | None, dict[str, np.ndarray]]:
    """The runs of what was given with the last values of their metrics; None where it is a map."""
    from netgeom_widgets.recording import Recording, Trajectories, open_recording, trajectories

    if isinstance(source, Recording):
        source = source.path
    if isinstance(source, str | os.PathLike):
        first = open_recording(source)
        if not first.layout.parameters:
            raise NetgeomError(
                "The recording has no parameters.",
                expected="Recorder(..., parameters=True) for each run, or train_runs(..., record=path)",
                got=f"run {first.run_id!r} without",
            )
        runs = trajectories(source, "*")
        opened = [open_recording(source, run) for run in runs.run_ids]
        names = [name for name in opened[0].metrics if all(name in one.metrics for one in opened)]
        return _checked_runs(runs), {name: np.array([one.metrics[name][-1] for one in opened]) for name in names}
    if isinstance(source, Trajectories):
        return _checked_runs(source), {}
    if not callable(source):
        raise NetgeomError(
            "The source is not understood.",
            expected="a recording with several runs, Trajectories, or a map (M, d) -> (M, d) with its grid",
            got=type(source).__name__,
        )
    return None, {}


def _checked_runs(runs: Trajectories) -> Trajectories:
    if len(runs.steps) < 2:
        raise NetgeomError("A map needs a step.", expected="at least two recorded steps", got=f"{len(runs.steps)}")
    return runs


def _domain_of(grid: Any) -> tuple[np.ndarray | None, np.ndarray | None, int | None]:
    if grid is None:
        return None, None, None
    from netgeom_widgets.kernels.order_retraction import CubicalGrid

    if isinstance(grid, CubicalGrid):
        return np.asarray(grid.lower), np.asarray(grid.upper), int(grid.subdivisions)
    try:
        lower, upper = grid
    except (TypeError, ValueError):
        got = type(grid).__name__
        raise NetgeomError("grid is not understood.", expected="CubicalGrid or (lower, upper)", got=got) from None
    checked = CubicalGrid(np.atleast_1d(lower), np.atleast_1d(upper), 1)
    return np.asarray(checked.lower), np.asarray(checked.upper), None


def _std_of(std: Any, map: Any) -> Callable[[Any], Any] | None:
    if std is not None and map is None:
        what = "std belongs to a map; one that is fitted to runs has its own."
        raise NetgeomError(what, expected="std=None", got=type(std).__name__)
    if std is not None and not callable(std):
        raise NetgeomError("std is not callable.", expected="(M, d) -> (M, d)", got=type(std).__name__)
    return std  # type: ignore[no-any-return]


def _checked_quantities(per_run: Any, n: int) -> dict[str, np.ndarray]:
    if per_run is None:
        return {}
    if not isinstance(per_run, Mapping):
        got = type(per_run).__name__
        raise NetgeomError("per_run is not understood.", expected="{name: (runs,) numbers}", got=got)
    found = {}
    for name, values in per_run.items():
        try:
            found[str(name)] = _column(f"per_run[{name!r}]", values, n).astype(np.float64)
        except (TypeError, ValueError) as error:
            if isinstance(error, NetgeomError):
                raise
            raise NetgeomError(f"per_run[{name!r}] holds no numbers.", expected="one number for each run") from None
    return found


def _column(name: str, values: Any, n: int) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.shape != (n,):
        raise NetgeomError(
            f"{name} does not fit the runs.", expected=f"one for each of {n:,} runs", got=f"shape {array.shape}"
        )
    return array
