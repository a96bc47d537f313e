"""Colours in Oklab, where equal distances look about equal (Ottosson 2020): for mixing, and for telling apart."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_TO_RGB, _TO_CONES = np.linalg.inv(_CONES), np.linalg.inv(_OPPONENTS)


def to_oklab(table: UInt8[np.ndarray, "n c"]) -> Float[np.ndarray, "n 3"]:
    """Lightness 0..1, green to red, blue to yellow of sRGB colours; an alpha channel is left out."""
    share = np.asarray(table)[:, :3] / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _CONES.T) @ _OPPONENTS.T


def from_oklab(colours: Float[np.ndarray, "n 3"]) -> UInt8[np.ndarray, "n 4"]:
    """The opaque sRGB colours of Oklab coordinates.

    What sRGB lacks gets the largest part of its chroma that sRGB has, at the same lightness and hue.
    """
    colours = np.asarray(colours, dtype=float).reshape(-1, 3)
    light = np.clip(colours[:, :1], 0.0, 1.0)
    low, high = np.zeros((len(colours), 1)), np.ones((len(colours), 1))
    for _ in range(12):  # halves the part of the chroma: 12 times is finer than 8 bits
        part = np.where(_inside(np.hstack([light, high * colours[:, 1:]])), high, (low + high) / 2)
        fits = _inside(np.hstack([light, part * colours[:, 1:]]))
        low, high = np.where(fits, part, low), np.where(fits, high, part)
    linear = np.clip(_linear(np.hstack([light, low * colours[:, 1:]])), 0.0, 1.0)
    share = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table = np.full((len(colours), 4), 255, dtype=np.uint8)
    table[:, :3] = np.rint(255 * share)
    return table


def _linear(colours: np.ndarray) -> np.ndarray:
    return (colours @ _TO_CONES.T) ** 3 @ _TO_RGB.T


def _inside(colours: np.ndarray) -> np.ndarray:
    linear = _linear(colours)
    return ((linear > -1e-6) & (linear < 1 + 1e-6)).all(axis=1, keepdims=True)
