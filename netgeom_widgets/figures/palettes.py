"""Palettes that colour-blind readers can tell apart, and fast look-up of colours.

Sequential: viridis and cividis (even in lightness). Diverging: blue to orange-red through near white. Categorical:
Okabe and Ito's eight colours (Okabe and Ito 2008, "Color Universal Design"), and past eight the same hues again,
darker, then lighter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh import palettes as bokeh_palettes
from jaxtyping import Float, UInt8

from netgeom_widgets.errors import NetgeomError

VIRIDIS: tuple[str, ...] = tuple(bokeh_palettes.Viridis256)
CIVIDIS: tuple[str, ...] = tuple(bokeh_palettes.Cividis256)

# Okabe and Ito without black, which hinge lines and outlines use, but with a grey for the eighth.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F")

MISSING = "#B8B8B8"
"""Colour of what has no value."""

_ROUNDS = 3


def to_rgba(colours: Sequence[str]) -> UInt8[np.ndarray, "n 4"]:
    """`#rrggbb` or `#rrggbbaa` texts as an RGBA table."""
    table = np.full((len(colours), 4), 255, dtype=np.uint8)
    for row, colour in enumerate(colours):
        channels = _channels(colour)
        table[row, : len(channels)] = list(channels)
    return table


def _channels(colour: str) -> bytes:
    digits = colour.removeprefix("#") if isinstance(colour, str) else ""
    try:
        channels = bytes.fromhex(digits)
    except ValueError:
        channels = b""
    if len(channels) not in (3, 4) or len(digits) not in (6, 8):
        raise NetgeomError("A palette colour is not understood.", expected="#rrggbb or #rrggbbaa", got=repr(colour))
    return channels


def to_hex(table: UInt8[np.ndarray, "n 4"]) -> list[str]:
    """An RGBA table as `#rrggbb` texts, `#rrggbbaa` where a colour is not opaque."""
    if not len(table):
        return []
    opaque = bool((table[:, 3] == 255).all())
    packed = table[:, :3] if opaque else table
    width = 2 * packed.shape[1]
    digits = np.ascontiguousarray(packed).tobytes().hex()
    texts = ["#" + digits[at : at + width] for at in range(0, len(digits), width)]
    return texts if opaque else [text[:7] if text.endswith("ff") else text for text in texts]


def diverging(n: int = 257) -> tuple[str, ...]:
    """Blue to near white to orange-red, `n` colours; an odd `n` has the neutral colour in the middle.

    The ends are Okabe and Ito's blue and vermillion, darkened, which stay apart under all three kinds of colour
    blindness; both halves fall evenly in lightness.
    """
    _positive(n)
    stops = to_rgba(["#00334F", "#0072B2", "#8DC3E0", "#F7F7F7", "#F0A878", "#D55E00", "#6B2700"])[:, :3].astype(float)
    at = np.linspace(0, len(stops) - 1, n) if n > 1 else np.array([3.0])
    mixed = np.column_stack([np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)])
    table = np.full((n, 4), 255, dtype=np.uint8)
    table[:, :3] = np.rint(mixed)
    return tuple(to_hex(table))


def categorical(n: int) -> tuple[str, ...]:
    """`n` colours for unordered classes.

    Up to eight: Okabe and Ito's. From the ninth on the same hues at two thirds of their lightness, from the
    seventeenth halfway to white. Past 24 colours no set can be told apart: the cycle starts again, and a figure must
    show labels too.
    """
    _positive(n)
    base = to_rgba(OKABE_ITO)[:, :3].astype(float)
    rounds = np.concatenate([base, base * 0.6, 255 - (255 - base) * 0.45])
    table = np.full((len(rounds), 4), 255, dtype=np.uint8)
    table[:, :3] = np.rint(rounds)
    colours = to_hex(table)
    return tuple(colours[at % (_ROUNDS * len(OKABE_ITO))] for at in range(n))


def sequential(name: str = "viridis", n: int = 256) -> tuple[str, ...]:
    """`n` colours of the sequential palette "viridis" or "cividis", dark to light."""
    known = {"viridis": VIRIDIS, "cividis": CIVIDIS}
    if name not in known:
        raise NetgeomError("The palette is unknown.", expected=" or ".join(known), got=repr(name))
    _positive(n)
    return tuple(known[name][at] for at in np.rint(np.linspace(0, 255, n)).astype(int))


def _positive(n: int) -> None:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise NetgeomError("A number of colours must be positive.", expected="an integer >= 1", got=repr(n))


def limits(values: Any) -> tuple[float, float]:
    """Least and greatest finite value, (0, 1) when there is none."""
    numbers = np.asarray(values, dtype=float)
    finite = numbers[np.isfinite(numbers)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def palette_index(values: Any, n: int, low: float, high: float) -> np.ndarray:
    """Palette row of each value as BokehJS's LinearColorMapper computes it; `n` for values that are no number.

    Parameters
    ----------
    values : array_like of float, any shape
    n : int
        Colours in the palette.
    low, high : float
        Values of the palette's ends; what lies outside gets the end colours. Equal ends: everything gets the middle.
    """
    numbers = np.asarray(values, dtype=float)
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        raise NetgeomError("The colour limits are no interval.", expected="finite low <= high", got=f"{low}, {high}")
    if low == high:
        index = np.full(numbers.shape, (n - 1) // 2, dtype=np.intp)
    else:
        # halves keep the difference finite for limits near the largest float64
        scaled = (numbers / 2 - low / 2) / (high / 2 - low / 2) * n
        index = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=n, neginf=0), 0, n - 1).astype(np.intp)
    index[np.isnan(numbers)] = n
    return index


def map_rgba(
    values: Float[np.ndarray, "*shape"],
    palette: Sequence[str],
    low: float | None = None,
    high: float | None = None,
    nan: str = MISSING,
) -> UInt8[np.ndarray, "*shape 4"]:
    """Colours of numbers under a linear colour map, as RGBA.

    Parameters
    ----------
    values : array_like of float, any shape
    palette : sequence of `#rrggbb`
    low, high : float, optional
        Values of the palette's ends; by default the least and greatest finite value.
    nan : str
        Colour of NaN. Infinities get the end colours.

    Returns
    -------
    ndarray of uint8, shape (*values.shape, 4)
        Under 0.1 s for a million values.
    """
    if not len(palette):
        raise NetgeomError("The palette is empty.", expected="at least one colour")
    numbers = np.asarray(values, dtype=float)
    least, greatest = limits(numbers) if low is None or high is None else (low, high)
    index = palette_index(
        numbers, len(palette), least if low is None else float(low), greatest if high is None else float(high)
    )
    return to_rgba([*palette, nan])[index]


def map_values(
    values: Float[np.ndarray, " n"],
    palette: Sequence[str],
    low: float | None = None,
    high: float | None = None,
    nan: str = MISSING,
) -> list[str]:
    """Colours of numbers under a linear colour map, as texts for a Bokeh column; see `map_rgba`.

    One entry per value (under 0.1 s for a million): the texts are those of the palette, none is built.
    """
    if not len(palette):
        raise NetgeomError("The palette is empty.", expected="at least one colour")
    numbers = np.asarray(values, dtype=float).ravel()
    least, greatest = limits(numbers) if low is None or high is None else (low, high)
    index = palette_index(
        numbers, len(palette), least if low is None else float(low), greatest if high is None else float(high)
    )
    return np.array([*palette, nan], dtype=object)[index].tolist()
