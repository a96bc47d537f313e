"""Bokeh colours and colour mappers as RGBA arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from bokeh.colors import Color, named
from bokeh.models import CategoricalColorMapper, LinearColorMapper, LogColorMapper
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError

CLEAR = (0.0, 0.0, 0.0, 0.0)
_FUNCTION = re.compile(r"rgba?\(\s*([^)]*)\)")
_HEX_DIGITS = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> tuple[float, float, float, float]:
    """RGBA in 0..1 of a CSS colour text."""
    name = text.strip().lower()
    if name == "transparent":
        return CLEAR
    if _HEX_DIGITS.fullmatch(name):
        digits = name[1:] if len(name) > 5 else "".join(2 * digit for digit in name[1:])
        channels = [int(digits[at : at + 2], 16) / 255 for at in range(0, len(digits), 2)]
        return (channels[0], channels[1], channels[2], channels[3] if len(channels) == 4 else 1.0)
    if match := _FUNCTION.fullmatch(name):
        parts = [part for part in re.split(r"[\s,/]+", match[1]) if part]
        if len(parts) in (3, 4):
            scale = [255.0, 255.0, 255.0, 1.0]
            values = [
                float(part[:-1]) / 100 if part.endswith("%") else float(part) / unit
                for part, unit in zip(parts, scale, strict=False)
            ]
            return (values[0], values[1], values[2], values[3] if len(values) == 4 else 1.0)
    known = getattr(named, name, None)
    if isinstance(known, Color):
        rgb = known.to_rgb()
        return (rgb.r / 255, rgb.g / 255, rgb.b / 255, float(rgb.a))
    raise NetgeomError("A colour is not understood.", expected="a CSS name, #rrggbb[aa] or rgb(...)", got=repr(text))


def rgba(colour: Any) -> tuple[float, float, float, float]:
    """RGBA in 0..1 of one Bokeh colour; None is transparent."""
    if colour is None:
        return CLEAR
    if isinstance(colour, Color):
        parts = colour.to_rgb()
        return (parts.r / 255, parts.g / 255, parts.b / 255, float(parts.a))
    if isinstance(colour, str):
        return _parse_text(colour)
    if isinstance(colour, (int, np.integer)):
        return tuple(((int(colour) >> shift) & 255) / 255 for shift in (24, 16, 8, 0))  # type: ignore[return-value]
    if isinstance(colour, Sequence | np.ndarray) and len(colour) in (3, 4):
        unit = 1.0 if getattr(colour, "dtype", None) in (np.float32, np.float64) else 255.0
        red, green, blue = (float(channel) / unit for channel in colour[:3])
        alpha = 1.0 if len(colour) == 3 else float(colour[3]) / (255.0 if unit == 255 and colour[3] > 1 else 1.0)
        return (red, green, blue, alpha)
    raise NetgeomError("A colour is not understood.", expected="a CSS text, a tuple or an integer", got=repr(colour))


def rgba_column(values: Any) -> Float[np.ndarray, "N 4"]:
    """RGBA in 0..1 of a column of Bokeh colours: texts, tuples, packed uint32, uint8 or float (N, 3|4) arrays."""
    array = np.asarray(values) if isinstance(values, np.ndarray) else None
    if array is not None and array.ndim == 2 and array.shape[1] in (3, 4) and array.dtype.kind in "uf":
        out = np.ones((len(array), 4))
        out[:, : array.shape[1]] = array / (255.0 if array.dtype.kind == "u" else 1.0)
        return out
    if array is not None and array.ndim == 1 and array.dtype.kind in "ui":
        packed = array.astype(np.uint32)
        return np.stack([(packed >> shift) & 255 for shift in (24, 16, 8, 0)], axis=1) / 255.0
    return np.array([rgba(value) for value in values], dtype=float).reshape(-1, 4)


def mapper_limits(mapper: Any, values: Any) -> tuple[float, float]:
    """Ends of a continuous colour mapper: its own, or those of the finite `values`."""
    finite = np.asarray(values, dtype=float).ravel()
    finite = finite[np.isfinite(finite)]
    low = mapper.low if mapper.low is not None else (finite.min() if finite.size else np.nan)
    high = mapper.high if mapper.high is not None else (finite.max() if finite.size else np.nan)
    return float(low), float(high)


def _continuous_index(mapper: Any, values: np.ndarray, n: int) -> np.ndarray:
    """Palette position as BokehJS computes it: -1 below, n above, -2 for no number."""
    low, high = mapper_limits(mapper, values)
    with np.errstate(all="ignore"):
        if isinstance(mapper, LogColorMapper):
            step = np.log(values / low) * (n / np.log(high / low))
            below, above = (values > low, values < high) if high < low else (values < low, values > high)
            step = np.where(below, -1, np.where(above, n, np.floor(step)))
        else:
            step = np.floor((values - low) / (high - low) * n)
    step = np.where(values == high, n - 1, step)
    missing = ~(np.isfinite(step) | np.isinf(values)) | np.isnan(values)
    return np.where(missing, -2, np.clip(np.where(missing, 0, step), -1, n)).astype(np.intp)


def map_colours(mapper: Any, values: Any) -> Float[np.ndarray, "... 4"]:
    """RGBA in 0..1 of data values under a Bokeh colour mapper.

    Parameters
    ----------
    mapper : LinearColorMapper, LogColorMapper or CategoricalColorMapper
    values : array_like
        Numbers of any shape, or a sequence of factors for a categorical mapper.

    Raises
    ------
    NetgeomError
        For another kind of mapper, naming it.
    """
    palette = rgba_column(list(mapper.palette))
    missing = rgba(mapper.nan_color)
    if isinstance(mapper, CategoricalColorMapper):
        keys = [_part(factor, mapper.start, mapper.end) for factor in mapper.factors]
        position = {key: at for at, key in reversed(list(enumerate(keys))) if at < len(palette)}
        table = np.vstack([palette, missing])
        return table[[position.get(_part(value, mapper.start, mapper.end), len(palette)) for value in values]]
    if type(mapper) not in (LinearColorMapper, LogColorMapper):
        raise unknown("colour mapper", mapper)
    n = len(palette)
    under = palette[0] if mapper.low_color is None else rgba(mapper.low_color)
    over = palette[-1] if mapper.high_color is None else rgba(mapper.high_color)
    table = np.vstack([palette, over, missing, under])  # n, -2 and -1 index the last three rows
    return table[_continuous_index(mapper, np.asarray(values, dtype=float), n)]


def _part(factor: Any, start: int, end: int | None) -> Any:
    """The piece of a nested factor that a categorical mapper looks at."""
    if isinstance(factor, str) or not isinstance(factor, Sequence):
        return factor if isinstance(factor, str) else str(factor)
    piece = tuple(factor)[start:end]
    return piece[0] if len(piece) == 1 else piece


def unknown(kind: str, model: Any) -> NetgeomError:
    """The error for a Bokeh model that the static renderer cannot draw; it names the model's class."""
    name = type(model).__name__
    return NetgeomError(
        f"The static renderer cannot draw the {kind} {name}.",
        expected="one of those netgeom_widgets.figures.static draws",
        got=f"{name}(id={getattr(model, 'id', '?')})",
        try_this="use another one, or export HTML instead",
    )
