"""Ranges and scales: where data lies on the frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.models import (
    CategoricalScale,
    DataRange1d,
    FactorRange,
    LinearScale,
    LogScale,
    Range1d,
)
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.columns import as_numbers

Bounds = tuple[float, float]
EMPTY: Bounds = (math.inf, -math.inf)


@dataclass
class Scale:
    """One direction of a coordinate system.

    Attributes
    ----------
    start, end : float
        Values at the left (lower) and right (upper) end of the frame.
    log : bool
        Logarithmic.
    factors : dict
        Position of every factor and factor group; empty for numbers.
    """

    start: float
    end: float
    log: bool = False
    factors: dict[Any, float] = field(default_factory=dict)

    def numbers(self, values: Any) -> Float[np.ndarray, " n"]:
        """Data values as synthetic numbers: factors (with an optional trailing offset) become positions."""
        if not self.factors:
            return as_numbers(values)
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            return values.astype(float)
        return np.array([self._position(value) for value in values], dtype=float)

    def _position(self, value: Any) -> float:
        if value is None:
            return math.nan
        if isinstance(value, (int, float, np.number)):
            return float(value)
        key = value if isinstance(value, str) else tuple(value)
        if key in self.factors:
            return self.factors[key]
        if isinstance(key, tuple) and len(key) > 1 and isinstance(key[-1], (int, float, np.number)):
            head = key[0] if len(key) == 2 else key[:-1]
            return self.factors.get(head, math.nan) + float(key[-1])
        return math.nan

    def fraction(self, values: Any) -> Float[np.ndarray, " n"]:
        """Position along the frame: 0 at the start, 1 at the end."""
        with np.errstate(all="ignore"):
            at, start, end = np.asarray(values, dtype=float), self.start, self.end
            if self.log:
                at, start, end = np.log(at), math.log(start), math.log(end)
            return (at - start) / (end - start)


def factor_positions(range_: FactorRange) -> tuple[dict[Any, float], float]:
    """Synthetic coordinates of the factors of a FactorRange and the total length (one per factor plus padding)."""
    factors = [tuple(factor) if not isinstance(factor, str) else (factor,) for factor in range_.factors]
    depth = len(factors[0]) if factors else 1
    pads = {1: (range_.factor_padding,), 2: (range_.group_padding, range_.factor_padding)}.get(
        depth, (range_.group_padding, range_.subgroup_padding, range_.factor_padding)
    )
    found: dict[Any, float] = {}

    def place(level: Sequence[tuple[str, ...]], prefix: tuple[str, ...], offset: float) -> tuple[list[float], float]:
        """Positions of the leaves below `prefix`, and the length they take."""
        groups: dict[str, list[tuple[str, ...]]] = {}
        for factor in level:
            groups.setdefault(factor[0], []).append(factor[1:])
        pad, leaves, at = pads[len(prefix)], [], offset
        for name, rest in groups.items():
            key = (*prefix, name)
            if len(key) == depth:
                mine, length = [at + 0.5], 1.0
            else:
                mine, length = place(rest, key, at)
            found[key if len(key) > 1 else name] = float(np.mean(mine))
            leaves += mine
            at += length + pad
        return leaves, at - pad - offset

    return found, place(factors, (), 0.0)[1] if factors else 0.0


def union(bounds: Iterable[Bounds]) -> Bounds:
    """Smallest interval that holds all."""
    low, high = EMPTY
    for one in bounds:
        low, high = min(low, one[0]), max(high, one[1])
    return low, high


def finite_bounds(values: Float[np.ndarray, ...], *, log: bool = False) -> Bounds:
    """Least and greatest finite (positive, for a log scale) entry."""
    keep = values[np.isfinite(values) & (values > 0 if log else True)]
    return (float(keep.min()), float(keep.max())) if keep.size else EMPTY


def auto_interval(range_: DataRange1d, bounds: Bounds, *, log: bool) -> tuple[float, float]:
    """Start and end of a DataRange1d around the data, as BokehJS computes them."""
    low, high = bounds
    low = low if not _is_number(range_.start) else float(range_.start)
    high = high if not _is_number(range_.end) else float(range_.end)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = (0.1, 10.0) if log else (0.0, 1.0)
    if log:
        low = low if low > 0 else (high / 100 if high > 0 else 0.1)
        high = high if high > 0 else low * 100
    percent = range_.range_padding_units == "percent"
    padding = float(range_.range_padding)
    if not percent and low != high:
        low, high = low - padding, high + padding
    first, last = (math.log10(low), math.log10(high)) if log else (low, high)
    span = (last - first) * (1 + padding * percent)
    if low == high:
        span = range_.default_span + (0.001 if log else 0)
    span = min(max(span, range_.min_interval or 0), range_.max_interval or math.inf)
    start, end = (first + last - span) / 2, (first + last + span) / 2
    start, end = (10**start, 10**end) if log else (start, end)
    start = float(range_.start) if _is_number(range_.start) and (range_.start > 0 or not log) else start
    end = float(range_.end) if _is_number(range_.end) and (range_.end > 0 or not log) else end
    sign = 1
    if range_.flipped:
        start, end, sign = end, start, -1
    if range_.follow_interval is not None and abs(end - start) > range_.follow_interval:
        if range_.follow == "start":
            end = start + sign * range_.follow_interval
        elif range_.follow == "end":
            start = end - sign * range_.follow_interval
    return start, end


def _is_number(value: Any) -> bool:
    return value is not None and isinstance(value, (int, float, np.number)) and math.isfinite(value)


def make_scale(range_: Any, scale: Any, bounds: Bounds) -> Scale:
    """The Scale of a Bokeh range; `bounds` of the data serve a DataRange1d that no browser has set yet."""
    log = isinstance(scale, LogScale)
    if isinstance(range_, FactorRange):
        if not isinstance(scale, CategoricalScale):
            raise unknown("scale of factors", scale)
        factors, length = factor_positions(range_)
        pad = length * range_.range_padding / 2 if range_.range_padding_units == "percent" else range_.range_padding
        seen = (range_.start, range_.end)  # a browser writes the part in view back; 0, 0 before that
        start, end = seen if seen[0] != seen[1] else (-pad, max(length, 1e-9) + pad)
        return Scale(float(start), float(end), factors=factors or {None: 0.0})
    if type(scale) not in (LinearScale, LogScale, CategoricalScale):
        raise unknown("scale", scale)
    if isinstance(range_, DataRange1d):
        known = _is_number(range_.start) and _is_number(range_.end)
        start, end = (range_.start, range_.end) if known else auto_interval(range_, bounds, log=log)
    elif isinstance(range_, Range1d):
        start, end = range_.start, range_.end
    else:
        raise unknown("range", range_)
    start, end = (float(as_numbers([one])[0]) for one in (start, end))
    if not (math.isfinite(start) and math.isfinite(end)):
        raise NetgeomError("A range has no finite ends.", expected="finite start and end", got=f"{start}, {end}")
    if log:
        start = start if start > 0 else (1.0 if end > 1 else end / 10)
        end = end if end > 0 else 10 * start
    if start == end:
        start, end = (start / 10, end * 10) if log else (start - 0.5, end + 0.5)
    return Scale(start, end, log=log)


def match_aspect(x: Bounds, y: Bounds, ratio: float) -> tuple[Bounds, Bounds]:
    """Both data bounds widened so that a unit is equally long in x and y on a frame `ratio` times as wide as high."""
    width, height = (high - low if high > low else 1.0 for low, high in (x, y))
    middle_x, middle_y = sum(x) / 2, sum(y) / 2
    if width < ratio * height:
        width = ratio * height
    else:
        height = width / ratio
    return (middle_x - width / 2, middle_x + width / 2), (middle_y - height / 2, middle_y + height / 2)
