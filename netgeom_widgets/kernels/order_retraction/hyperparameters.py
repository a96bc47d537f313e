"""Hyperparameters of a Gaussian process, and what they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_array


@dataclass(frozen=True)
class Hyperparameters:
    """What a Gaussian process is determined by, beside its data.

    Attributes
    ----------
    length_scale : tuple of float
        One for each axis of the inputs.
    amplitude : float
        Standard deviation of the function.
    noise : float
        Variance of the observations about it.
    """

    length_scale: tuple[float, ...]
    amplitude: float
    noise: float


@dataclass(frozen=True)
class Range:
    """A hyperparameter: its bounds, and where the search begins; lower = upper is a fixed one."""

    lower: float
    upper: float
    start: float

    @property
    def fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return self.lower == self.upper


@dataclass(frozen=True)
class Ranges:
    """What the hyperparameters of one fit may be: one length scale for all axes, or one for each."""

    length_scale: tuple[Range, ...]
    amplitude: Range
    noise: Range

    def described(self) -> dict[str, Any]:
        """The bounds by name."""
        return {
            "length_scale_bounds": tuple((r.lower, r.upper) for r in self.length_scale),
            "amplitude_bounds": (self.amplitude.lower, self.amplitude.upper),
            "noise_bounds": (self.noise.lower, self.noise.upper),
        }


def ranges_of(
    x: Float64[ndarray, "n d"],
    targets: Float64[ndarray, "n d"],
    ard: bool,
    amplitude: float | None,
    length_scale: Any,
    noise: float | None,
    length_scale_bounds: tuple[float, float] | None,
    noise_bounds: tuple[float, float] | None,
) -> Ranges:
    """What each hyperparameter may be; the units are those of the data."""
    extents = np.ptp(x, axis=0)
    extents = np.where(extents > 0, extents, extents.max())
    size = max(float((targets**2).mean()), float((1e-6 * extents.max()) ** 2))
    if length_scale is not None:
        fixed = np.broadcast_to(as_array(length_scale, "length_scale").astype(np.float64), extents.shape)
        scales = [_fixed(value, "length_scale") for value in fixed]
    else:
        of_axes = extents if ard else [extents.max()]
        # between neighbouring starts a function cannot be told from noise, which a shorter scale would take for itself
        spacing = len(np.unique(x, axis=0)) ** (-1 / x.shape[1])
        scales = [_bounded(length_scale_bounds, spacing * e, 100 * e, e / 2, "length_scale_bounds") for e in of_axes]
    root = float(np.sqrt(size))
    signal = Range(0.01 * root, 100 * root, root) if amplitude is None else _fixed(amplitude, "amplitude")
    if noise is not None:
        return Ranges(tuple(scales), signal, _fixed(noise, "noise"))
    errors = _bounded(noise_bounds, 1e-6 * size, 10 * size, 0.1 * size, "noise_bounds")
    return Ranges(tuple(scales), signal, errors)


def _fixed(value: Any, what: str) -> Range:
    number = float(value)
    if not 0 < number < np.inf:
        raise NetgeomError(f"{what} is no size", expected="positive numbers", got=f"{value!r}")
    return Range(number, number, number)


def _bounded(bounds: tuple[float, float] | None, low: float, high: float, start: float, what: str) -> Range:
    if bounds is not None:
        try:
            low, high = (float(value) for value in bounds)
        except (TypeError, ValueError) as error:
            raise NetgeomError(f"{what} are not understood", expected="(lower, upper)", got=repr(bounds)) from error
        if not 0 < low < high < np.inf:
            raise NetgeomError(f"{what} are no bounds", expected="0 < lower < upper", got=f"{bounds!r}")
    return Range(float(low), float(high), float(min(max(start, low), high)))
