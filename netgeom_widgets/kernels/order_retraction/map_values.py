"""Values of whatever map was given on a lattice of points, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array
from netgeom_widgets.kernels._model import private_copy
from netgeom_widgets.kernels.order_retraction.grid import lattice


class LatticeMap:
    """A map (M, d) -> (M, d), evaluated on the points whose coordinates come from given axes.

    Parameters
    ----------
    function : callable
        Of points (M, d).
    on_lattice : callable, optional
        Of the axes; where it exists the points need not be written out.
    """

    def __init__(
        self,
        source: Any,
        dims: int,
        function: Callable[[Any], Any],
        on_lattice: Callable[[Any], Any] | None = None,
        what: str = "The map",
    ) -> None:
        self._source, self._dims, self._function, self._on_lattice, self._what = (
            source,
            dims,
            function,
            on_lattice,
            what,
        )

    def __call__(self, axes: list[Float64[ndarray, " _"]]) -> Float64[ndarray, "points d"]:
        """Values at the lattice points, in C order."""
        points = int(np.prod([axis.size for axis in axes]))
        if self._on_lattice is not None:
            return self._checked(self._on_lattice(axes), points, axes)
        return self._checked(self._function(lattice(axes)), points, axes)

    def at(self, points: Float64[ndarray, "M d"], *, finite: bool = True) -> Float64[ndarray, "M d"]:
        """Values at points; values that are not finite are refused, or are the caller's business."""
        return self._checked(self._function(points), len(points), None, points, finite)

    def spread(self, std: Any = None) -> LatticeMap:
        """The standard deviations of this map's values as a map of the same kind."""
        found = getattr(self._source, "std", None) if std is None else std
        if not callable(found):
            raise NetgeomError(
                "Nothing says how uncertain the map is",
                expected="std=callable (M, d) -> (M, d), or a map with such a method",
                got=type(self._source).__name__,
                try_this="fit_map, or method='corners'",
            )
        on_lattice = getattr(self._source, "std_on_lattice", None) if std is None else None
        return LatticeMap(found, self._dims, found, on_lattice, "The standard deviation")

    def _checked(
        self, values: Any, points: int, axes: list[Any] | None, at: ndarray | None = None, finite: bool = True
    ) -> Float64[ndarray, "M d"]:
        array = as_array(values, f"What {self._what[0].lower()}{self._what[1:]} returned")
        if array.shape == (points,) and (self._dims == 1 or self._what != "The map"):
            array = np.broadcast_to(array[:, None], (points, self._dims))
        if array.shape != (points, self._dims):
            raise NetgeomError(
                f"{self._what} returned values of another shape",
                expected=f"({points}, {self._dims}) for that many points",
                got=f"{array.shape}",
                try_this="a function of many points at a time: x[:, 0] is the first coordinate of all",
            )
        bad = ~np.isfinite(array).all(axis=1)
        if finite and bad.any():
            where = (lattice(axes) if axes is not None else at)[np.flatnonzero(bad)[0]]  # type: ignore[index]
            raise NetgeomError(
                f"{self._what} is not finite at {int(bad.sum())} of {points} points",
                expected="finite values on the whole grid",
                got=f"{array[bad][0]} at {where}",
                try_this="a smaller domain, or np.nan_to_num(...) with a value outside of the domain",
            )
        return array.astype(np.float64, copy=False)


def as_map(map: Any, dims: int) -> LatticeMap:
    """Whatever can be a map: a callable of numpy arrays, a torch module, a fitted map.

    Parameters
    ----------
    map : callable, torch.nn.Module or FittedMap
        (M, d) -> (M, d). A module is copied, with its weights as they are now, in float64.
    dims : int
        d.

    Returns
    -------
    LatticeMap
        Checks the shape of what the map returns, each time; nothing is computed yet.

    Raises
    ------
    NetgeomError
        For anything else.
    """
    if isinstance(map, LatticeMap):
        return map
    if isinstance(map, torch.nn.Module):
        return LatticeMap(map, dims, _of_module(map))
    if not callable(map):
        raise NetgeomError(
            "This is no map", expected="a callable (M, d) -> (M, d) or a torch.nn.Module", got=type(map).__name__
        )
    return LatticeMap(map, dims, map, getattr(map, "on_lattice", None))


def _of_module(module: torch.nn.Module) -> Callable[[Any], Any]:
    copy = private_copy(module)

    def evaluate(points: Float64[ndarray, "M d"]) -> Any:
        with torch.no_grad():
            return copy(torch.from_numpy(np.ascontiguousarray(points)))

    return evaluate
