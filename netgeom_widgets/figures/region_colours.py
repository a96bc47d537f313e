"""Colours of regions, layers and classes, as look-up tables: recolouring a picture never touches its geometry."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from bokeh.models import ColorMapper, LinearColorMapper, LogColorMapper
from jaxtyping import Float, UInt32

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.region_values import RegionValues
from netgeom_widgets.figures.sample_labels import class_colour

_NEVER_CUT = "#e4e4e4"
#: Fills are mixed with white by this much, so that hinge lines, boundary and points stand out from them.
_FADE = 0.4


def tint(colour: str, amount: float) -> str:
    """The colour mixed with white: 0 leaves it, 1 is white."""
    return "#" + "".join(f"{round(c + (255 - c) * amount):02x}" for c in _channels(colour))


def packed(colour: str) -> int:
    """The colour as one opaque pixel of an RGBA image in a little-endian uint32."""
    red, green, blue = _channels(colour)
    return red | green << 8 | blue << 16 | 255 << 24


def layer_colours(count: int) -> list[str]:
    """One colour per layer for hinge lines: dark categorical colours for up to seven, else from dark to light."""
    if count <= len(_LAYERS):
        return list(_LAYERS[:count])
    # The light end of the palette would vanish on a light fill.
    return [palettes.VIRIDIS[int(i)] for i in np.linspace(0, 199, count)]


def category_colours(values: RegionValues) -> dict[int, str]:
    """The fill of each category of a partition coloured by class or by layer of birth."""
    keys = [key for key, _ in values.categories]
    if values.label == "layer of birth":
        lines = layer_colours(max(keys, default=0) + 1)
        return {key: tint(lines[key], 0.55) if key >= 0 else _NEVER_CUT for key in keys}
    return {key: tint(class_colour(key), 0.45) for key in keys}


def colour_mapper(values: RegionValues) -> ColorMapper:
    """The mapper behind the colour bar; the fills are taken from the same palette and limits."""
    low, high = values.limits
    kind = LogColorMapper if values.log else LinearColorMapper
    return kind(palette=list(_palette(values.kind)), low=low, high=high, nan_color=palettes.MISSING)


def region_colours(values: RegionValues) -> list[str]:
    """Hex colour of every region."""
    if values.kind == "identity":
        table = list(_palette("identity"))
        return [table[i] for i in _scattered(values.values)]
    if values.kind == "category":
        table_of = category_colours(values)
        return [table_of[int(key)] for key in values.values.tolist()]
    table = [*_palette(values.kind), palettes.MISSING]
    return [table[i] for i in _positions(values)]


def pixel_colours(values: RegionValues) -> UInt32[np.ndarray, " R+1"]:
    """The same colours as RGBA pixels, with a transparent one at the end: index -1 is outside the domain."""
    colours = region_colours(values)
    code = {colour: packed(colour) for colour in set(colours)}
    return np.array([*(code[colour] for colour in colours), 0], dtype=np.uint32)


def _positions(values: RegionValues) -> np.ndarray:
    """Index of each value in the 256 steps between the limits; 256 for undefined ones."""
    low, high = values.limits
    numbers: Float[np.ndarray, " R"] = values.values
    if values.log:
        # Values not above zero take the lowest colour, as the colour bar's mapper has it.
        numbers, low, high = np.log(np.maximum(numbers, low)), np.log(low), np.log(high)
    steps = np.clip((numbers - low) / (high - low) * 256, 0, 255)
    return np.where(np.isfinite(steps), steps, 256).astype(np.int64)


def _scattered(ids: np.ndarray) -> np.ndarray:
    """Colour numbers that differ between nearby ids: Fibonacci hashing (Knuth, TAOCP 3, 6.4)."""
    return (ids.astype(np.uint64) * np.uint64(2654435769) % np.uint64(2**32) >> np.uint64(24)).astype(np.int64)


@lru_cache
def _palette(kind: str) -> tuple[str, ...]:
    if kind == "diverging":
        return tuple(tint(c, 0.15) for c in palettes.diverging(256))
    return tuple(tint(c, _FADE if kind == "sequential" else 0.5) for c in palettes.VIRIDIS)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


#: Okabe and Ito (2008), darkened where a thin line would vanish on a light fill; black is left to the boundary.
_LAYERS = ("#0072b2", "#d55e00", "#00694d", "#a63a79", "#6b4a12", "#3a2a8c", "#5c5c5c")
