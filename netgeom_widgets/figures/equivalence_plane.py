"""Two axes of a slice of the loss: its numbers there, and where points of the space of parameters are seen from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_scale import EvenGrid, slice_values
from netgeom_widgets.figures.order_retraction_raster import slice_of
from netgeom_widgets.figures.plots import number


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """A plane of a slice with two axes or more; see `SlicePlane.of`.

    Attributes
    ----------
    loss_slice : LossSlice
    axes : (int, int)
        Across and up.
    at : mapping of int to int
        Point along each further axis.
    grid : EvenGrid
        R, or J, in the plane.
    letter : {"R", "J"}
    """

    loss_slice: Any
    axes: tuple[int, int]
    at: Mapping[int, int]
    grid: EvenGrid
    letter: str

    @classmethod
    def of(cls, loss_slice: Any, axes: tuple[int, int] = (0, 1), at: Mapping[int, int] | None = None) -> SlicePlane:
        """Two axes of a slice, at the middle of each further one unless ``at`` says where.

        Raises
        ------
        NetgeomError
            For fewer axes than two, axes that are not evenly spaced, and arrays that do not fit them.
        """
        values, letter = slice_values(loss_slice)
        k = len(loss_slice.axes)
        if k < 2 or values.ndim != k:
            raise NetgeomError(
                "The slice has no plane to show.", expected="two axes or more, and as many of the array",
                got=f"{k} axes, shape {values.shape}", try_this="LossLinePicture for a slice along one direction",
            )  # fmt: skip
        pair, places = slice_of(values.shape, axes, at)
        plane = values[tuple(places.get(axis, slice(None)) for axis in range(k))]
        across, up = (np.asarray(loss_slice.axes[axis], dtype=np.float64) for axis in pair)
        return cls(loss_slice, pair, places, EvenGrid(across, up, plane if pair[0] < pair[1] else plane.T), letter)

    @property
    def k(self) -> int:
        """Axes of the slice."""
        return len(self.loss_slice.axes)

    @property
    def words(self) -> str:
        """At which point of the further axes the plane lies."""
        places = [f"c{axis + 1} = {number(float(self.loss_slice.axes[axis][at]))}" for axis, at in self.at.items()]
        return f"At {', '.join(places)}." if places else ""

    @property
    def reach(self) -> float:
        """Half the diagonal of the plane, in the space of parameters."""
        left, right, bottom, top = self.grid.bounds
        across, up = self._lengths[list(self.axes)]
        return 0.5 * math.hypot((right - left) * across, (top - bottom) * up)

    @cached_property
    def _lengths(self) -> Float[np.ndarray, " k"]:
        """Lengths of the basis rows; 1 where a grid has no basis."""
        basis = getattr(self.loss_slice, "basis", None)
        return np.ones(self.k) if basis is None else np.linalg.norm(np.asarray(basis, dtype=float), axis=1)

    def seen(self, coordinates: Any, distance: Any) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, " m"]]:
        """Places in the plane, and distances to it, of points given by coordinates and distance to the slice."""
        points = np.asarray(coordinates, dtype=float)
        if points.ndim != 2 or points.shape[1] != self.k:
            raise NetgeomError(
                "The coordinates are not those of this slice.", expected=f"(n, {self.k})", got=f"shape {points.shape}"
            )
        far = np.asarray(distance, dtype=float) ** 2
        for axis, at in self.at.items():
            far = far + (self._lengths[axis] * (points[:, axis] - float(self.loss_slice.axes[axis][at]))) ** 2
        return points[:, list(self.axes)], np.sqrt(far)

    def outside(self, points: Float[np.ndarray, "m 2"]) -> int:
        """How many places lie beyond the grid."""
        left, right, bottom, top = self.grid.bounds
        x, y = points.T
        return int(((x < left) | (x > right) | (y < bottom) | (y > top)).sum())

    def point_at(self, x: float | None, y: float | None) -> tuple[float, ...] | None:
        """All coordinates at a place in the plane; None beyond the grid."""
        if x is None or y is None or self.outside(np.array([[x, y]])):
            return None
        found = {axis: float(self.loss_slice.axes[axis][at]) for axis, at in self.at.items()}
        found |= {self.axes[0]: float(x), self.axes[1]: float(y)}
        return tuple(found[axis] for axis in range(self.k))

    def place_of(self, point: Sequence[float]) -> tuple[float, float]:
        """The place in the plane below a point given by all coordinates."""
        return float(point[self.axes[0]]), float(point[self.axes[1]])
