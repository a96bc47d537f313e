"""The scale of losses in pictures of an equivalence class: log10, cut where rounding begins, with contours."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import contourpy
import numpy as np
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import number

FLOOR = 1e-16
"""Smaller values are drawn as this one: what is below is rounding of float64."""

EPSILON = "#D55E00"
"""Colour of the contour at the epsilon chosen."""

#: Contours at powers of ten at most.
_CONTOURS = 12
#: Part of the points that may lie below the scale: a few exact zeros would take all colours from the rest.
_BELOW = 0.01
#: log10 R that a picture reaches down and up to at least.
_MEMBER, _WORSE = -4, 2


def log_loss(values: Any, floor: float = FLOOR) -> Float[np.ndarray, "*shape"]:
    """log10 of losses, at least that of `floor`; NaN where a value is not finite."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    return np.where(finite, np.log10(np.maximum(np.where(finite, values, 1.0), floor)), np.nan)


def as_epsilon(epsilon: float | None) -> float | None:
    """An epsilon, or none.

    Raises
    ------
    NetgeomError
        No positive number.
    """
    if epsilon is not None and not (math.isfinite(epsilon) and epsilon > 0):
        raise NetgeomError("epsilon is a bound of a loss.", expected="a positive number", got=f"{epsilon}")
    return epsilon


def slice_values(loss_slice: Any) -> tuple[np.ndarray, str]:
    """What is drawn of a slice, and its letter: the relative loss R, or the loss J where no variance is known."""
    relative = getattr(loss_slice, "relative_loss", None)
    if relative is None:
        return np.asarray(loss_slice.loss, dtype=np.float64), "J"
    return np.asarray(relative, dtype=np.float64), "R"


def quantity(letter: str) -> str:
    """The name of what is drawn."""
    return {"R": "relative loss R", "J": "loss J"}[letter]


def scale_limits(log_values: Float[np.ndarray, "*shape"]) -> tuple[float, float]:
    """log10 values at the ends of the colours.

    From 1e-4 to 100, where there are such: what is a member, and what is worse than any constant, gets one colour each.
    Lower where a hundredth of the points is lower, higher where half of them are higher.
    """
    finite = log_values[np.isfinite(log_values)]
    if not finite.size:
        return -1.0, 0.0
    quantile, median = (float(np.quantile(finite, part)) for part in (_BELOW, 0.5))
    low = max(math.floor(float(finite.min())), min(math.floor(quantile), _MEMBER))
    high = min(float(finite.max()), max(math.ceil(median), _WORSE))
    return float(low), high if high > low else low + 1.0


def contour_levels(low: float, high: float) -> list[float]:
    """Whole powers of ten strictly within a scale, every second or third where they are too many."""
    whole = np.arange(math.floor(low) + 1, math.ceil(high))
    step = max(1, math.ceil(len(whole) / _CONTOURS))
    return [float(level) for level in whole if level % step == 0]


def scale_words(
    log_values: Float[np.ndarray, "*shape"], limits: tuple[float, float], letter: str, missing: str = "Grey"
) -> list[str]:
    """What a reader could take for a fault of the picture: cut, missing and equal values."""
    finite = log_values[np.isfinite(log_values)]
    words = []
    if finite.size < log_values.size:
        words.append(f"{missing}: not finite ({log_values.size - finite.size:,} points).")
    if not finite.size:
        return words
    floor = int((finite <= math.log10(FLOOR)).sum())
    beyond = ((int((finite < limits[0]).sum()), "below"), (int((finite > limits[1]).sum()), "above"))
    if said := ", ".join(f"{n:,} points {where}" for n, where in beyond if n):
        words.append(f"Beyond the colour bar: {said}.")
    if floor:
        words.append(f"{floor:,} with {letter} of {FLOOR:.0e} or less count as that.")
    spread = float(finite.max() - finite.min())
    if spread < 1e-3:
        said = number(10 ** float(finite.mean()))
        words.append(f"The picture is one constant, {letter} = {said}: are the bounds too small?")
    return words


@dataclass(frozen=True, eq=False)
class EvenGrid:
    """Two evenly spaced axes and numbers at their points.

    Attributes
    ----------
    across, up : (m,) and (n,) float
        Coordinates, increasing.
    values : (m, n) float
        The first axis of the array is the one across.

    Raises
    ------
    NetgeomError
        For an axis that is no evenly spaced increasing list of two numbers or more, and values that do not fit.
    """

    across: Float[np.ndarray, " m"]
    up: Float[np.ndarray, " n"]
    values: Float[np.ndarray, "m n"]

    def __post_init__(self) -> None:
        for axis in (self.across, self.up):
            check_axis(axis)
        wanted = (len(self.across), len(self.up))
        if self.values.shape != wanted:
            raise NetgeomError("The values do not fit the axes.", expected=f"{wanted}", got=f"{self.values.shape}")

    @property
    def image(self) -> dict[str, list[Any]]:
        """The columns of an image whose pixels have their centres at the grid's points."""
        step = [float(axis[-1] - axis[0]) / (len(axis) - 1) for axis in (self.across, self.up)]
        left, bottom = (float(axis[0]) - h / 2 for axis, h in zip((self.across, self.up), step, strict=True))
        pixels = np.ascontiguousarray(self.values.T.astype(np.float32))  # an image has rows first, from the bottom
        return {
            "image": [pixels], "x": [left], "y": [bottom],
            "dw": [step[0] * len(self.across)], "dh": [step[1] * len(self.up)],
        }  # fmt: skip

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """left, right, bottom, top of the outer pixels' edges."""
        image = self.image
        left, bottom = image["x"][0], image["y"][0]
        return left, left + image["dw"][0], bottom, bottom + image["dh"][0]

    def lines(self, levels: list[float]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """X and y of the contours at these levels, linear between the points; NaN: none around it."""
        generator = self._generator()
        found = [line for level in levels for line in generator.lines(level)]
        return [line[:, 0] for line in found], [line[:, 1] for line in found]

    def filled_below(self, level: float) -> tuple[list[Any], list[Any]]:
        """Rings for `multi_polygons` of the set where the values are at most a level, with holes."""
        low = float(np.nanmin(self.values, initial=level)) - 1.0
        xs, ys = [], []
        for points, offsets in zip(*self._generator().filled(low, level), strict=True):
            rings = [points[start:end] for start, end in pairwise(offsets.tolist())]
            xs.append([[ring[:-1, 0].tolist() for ring in rings]])
            ys.append([[ring[:-1, 1].tolist() for ring in rings]])
        return xs, ys

    def _generator(self) -> Any:
        return contourpy.contour_generator(
            self.across, self.up, np.ma.masked_invalid(self.values.T), name="serial",
            line_type=contourpy.LineType.Separate, fill_type=contourpy.FillType.OuterOffset,
        )  # fmt: skip


def root_grid(grid: EvenGrid) -> EvenGrid:
    """A grid of losses for contours: square roots, which rise about evenly from the class, unlike logarithms."""
    values = np.where(np.isfinite(grid.values), grid.values, np.nan)
    return replace(grid, values=np.sqrt(np.maximum(values, 0.0)))


def check_axis(axis: Float[np.ndarray, " m"]) -> None:
    """Refuse coordinates that are not evenly spaced: an image cannot show them."""
    steps = np.diff(axis) if axis.ndim == 1 else np.empty(0)
    even = len(steps) > 0 and np.isfinite(axis).all() and bool((steps > 0).all())
    if not even or np.ptp(steps) > 1e-6 * float(steps.mean()):
        raise NetgeomError(
            "An axis is not evenly spaced.", expected="two or more increasing numbers at equal distances",
            got=f"shape {axis.shape}, steps {steps[:4].tolist()}", try_this="numpy.linspace(low, high, points)",
        )  # fmt: skip


def with_nearest(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Values with each NaN replaced by the nearest number, as a grid is drawn while it is computed (2 ms)."""
    known = ~np.isnan(values)
    if known.all() or not known.any():
        return values
    from scipy import ndimage

    return values[tuple(ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True))]


def colours(log_values: Float[np.ndarray, " n"], limits: tuple[float, float]) -> list[str]:
    """Colours of points by their log10 loss; see `scale_limits`."""
    return palettes.map_values(log_values, palettes.VIRIDIS, *limits)
