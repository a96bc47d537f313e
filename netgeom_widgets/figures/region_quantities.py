"""The quantities of a region: their names, units and definitions, and how a column of them is put into words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.region_text import count


@dataclass(frozen=True)
class Quantity:
    """Something that every region has.

    Attributes
    ----------
    key : str
        Its name in :class:`netgeom_widgets.kernels.regions.Statistics`.
    name : str
        Its name on screen.
    units : (str, str)
        With an orthonormal plane, and with another one; empty without a unit.
    log, whole : bool
        Whether its axis is logarithmic; whether it takes whole numbers only.
    definition : str
        What exactly it is, where the name does not say.
    """

    key: str
    name: str
    units: tuple[str, str] = ("", "")
    log: bool = False
    whole: bool = False
    definition: str = ""

    def unit(self, *, metric: bool) -> str:
        """Its unit in words."""
        return self.units[0 if metric else 1]

    def label(self, *, metric: bool) -> str:
        """Name and unit, for an axis."""
        return ", ".join(filter(None, [self.name, self.unit(metric=metric)]))


QUANTITIES = (
    Quantity("area", "area", ("input units²", "(s, t) units²"), log=True),
    Quantity(
        "slope_norm", "slope norm", ("per input unit", "per (s, t) unit"), log=True,
        definition="Largest singular value of the output's slopes in the slice.",
    ),
    Quantity("sides", "sides", whole=True),
    Quantity(
        "eccentricity", "eccentricity", log=True,
        definition="Longer over shorter axis of the ellipse with the region's inertia: 1 for a disc or a square.",
    ),
    Quantity(
        "vertex_eccentricity", "vertex eccentricity", log=True,
        definition="Largest over smallest distance between two corners, as SplineCam has it.",
    ),
)  # fmt: skip
"""Those of which there are histograms."""


def summary(values: Any, quantity: Quantity) -> str:
    """Number and mean, and what the histogram leaves out."""
    column = np.asarray(values, dtype=np.float64)
    finite = column[np.isfinite(column)]
    left_out = {
        "infinite": int(np.isposinf(column).sum()),
        "undefined": int(np.isnan(column).sum()),
        "zero or below, which a log scale lacks": int((finite <= 0).sum()) if quantity.log else 0,
    }
    words = [count(len(column), "region"), *(f"{n:,} {what}" for what, n in left_out.items() if n)]
    if not len(finite):
        return ", ".join(words)
    return f"{', '.join(words)};\nmean {number(float(finite.mean()))}, median {number(float(np.median(finite)))}"


def in_words(value: float) -> str:
    """A number, also one that is none."""
    return number(value) if math.isfinite(value) else "undefined" if math.isnan(value) else "infinite"
