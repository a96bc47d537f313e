"""Functions drawn from a Gaussian process with a squared exponential kernel: exact but for a stated tolerance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Complex128, Float64
from numpy import ndarray

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.kernels.order_retraction.hyperparameters import Hyperparameters

TOLERANCE = 1e-12  # of the signal variance: what is cut off from the covariance

_MOST_TERMS = 1 << 22
_ENTRIES_AT_ONCE = 1 << 20  # complex: 16 MiB


class PeriodicField:
    """Draws from the Gaussian process in a box, as sums of waves.

    On each axis the kernel is made periodic with a period so much longer than the box that two points of the box feel
    its repetition by less than the tolerance. A periodic kernel has a discrete spectrum (Poisson summation), Gaussian
    like the kernel, of which all terms above the tolerance are kept: some 2 * 7.4 (D + 7.4 l) / (2 pi l) for a box of
    width D. A draw is a sum of these waves with independent normal coefficients: one smooth function, the same wherever
    and however often it is evaluated. (Random Fourier features would be off by one over the root of their number.)

    Parameters
    ----------
    parameters : Hyperparameters
    lower, upper : (d,)
        The box; outside, a draw repeats itself and is no draw from the process.

    Raises
    ------
    TooLargeError
        More than 2**22 waves: length scales that are tiny against the box.
    """

    def __init__(
        self, parameters: Hyperparameters, lower: Float64[ndarray, " d"], upper: Float64[ndarray, " d"]
    ) -> None:
        self._centre = (lower + upper) / 2
        reach = np.sqrt(-2 * np.log(TOLERANCE))
        self.frequencies: list[Float64[ndarray, " _"]] = []
        self.powers: list[Float64[ndarray, " _"]] = []
        for axis, (scale, width) in enumerate(zip(parameters.length_scale, upper - lower, strict=True)):
            period = width + reach * scale
            most = int(np.ceil(reach * period / (2 * np.pi * scale)))
            # of two opposite waves one is enough, so the first axis has one half of them
            waves = 2 * np.pi * np.arange(-most if axis else 0, most + 1) / period
            power = scale * np.sqrt(2 * np.pi) / period * np.exp(-0.5 * (waves * scale) ** 2)
            if axis == 0:
                power[1:] *= 2
            self.frequencies.append(waves)
            self.powers.append(power)
        self.powers[0] = self.powers[0] * parameters.amplitude**2
        self.shape = tuple(len(waves) for waves in self.frequencies)
        if (terms := float(np.prod(self.shape, dtype=float))) > _MOST_TERMS:
            raise TooLargeError(
                "Functions of this Gaussian process are too rough to draw in the box",
                expected=f"at most {_MOST_TERMS:,} waves",
                got=f"{terms:,.0f}: the box is {' x '.join(f'{n}' for n in (upper - lower) / parameters.length_scale)} "
                "length scales wide",
                try_this="a smaller domain, or kind='bootstrap'",
            )

    def draw(self, rng: np.random.Generator, outputs: int) -> Complex128[ndarray, "... outputs"]:
        """Coefficients of independent functions, one for each output."""
        shape = (*self.shape, outputs)
        found = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        for axis, power in enumerate(self.powers):
            found *= np.sqrt(power).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        return found

    def at(
        self, coefficients: Complex128[ndarray, "... outputs"], points: Float64[ndarray, "M d"]
    ) -> Float64[ndarray, "M outputs"]:
        """Values at points; O(M waves)."""
        out = np.empty((len(points), coefficients.shape[-1]))
        step = max(1, _ENTRIES_AT_ONCE // int(np.prod(coefficients.shape[1:])))
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            first, *others = self._waves(list((points[part]).T))
            found = np.tensordot(first, coefficients, axes=1)
            for wave in others:
                found = np.einsum("mq,mq...->m...", wave, found)
            out[part] = found.real
        return out

    def on_lattice(
        self, coefficients: Complex128[ndarray, "... outputs"], axes: Sequence[Float64[ndarray, " _"]]
    ) -> Float64[ndarray, "points outputs"]:
        """Values at the points of a lattice, in C order: one matrix product for each axis."""
        found = coefficients
        for wave in self._waves(axes):  # contracts the first axis and appends that of the points
            found = np.tensordot(found, wave, axes=(0, 1))
        outputs = coefficients.shape[-1]
        return np.ascontiguousarray(found.real.reshape(outputs, -1).T)

    def _waves(self, axes: Sequence[Float64[ndarray, " _"]]) -> Iterator[Complex128[ndarray, "_ waves"]]:
        for axis, waves, centre in zip(axes, self.frequencies, self._centre, strict=True):
            yield np.exp(1j * np.outer(axis - centre, waves))
