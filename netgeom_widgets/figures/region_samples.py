"""Data points on a slice: where they project to, how far they are from the plane, how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from netgeom_widgets.figures.sample_labels import SampleLabels

_LARGEST, _SMALLEST = 8.0, 3.5
#: More samples than this are picked out by colour only: in a crowd larger marks with wide outlines hide everything.
_CROWD = 30


@dataclass(frozen=True, eq=False)
class SliceSamples:
    """Samples projected onto the plane of a slice; a sample's id is its row.

    Attributes
    ----------
    points : (N, 2) float64
        Slice coordinates of the orthogonal projections.
    distance : (N,) float64
        Distance to the plane, in input units.
    reach : float
        Distance at which a sample is drawn half as strong.
    labels : (N,) or None
        Any labels, compared as text.
    """

    points: Float[np.ndarray, "N 2"]
    distance: Float[np.ndarray, " N"]
    reach: float = 1.0
    labels: Any = None

    @classmethod
    def none(cls) -> SliceSamples:
        """No samples."""
        return cls(np.empty((0, 2)), np.empty(0))

    @staticmethod
    def natural_reach(length: float) -> float:
        """A twentieth of a length, rounded to one digit, to be read in the caption."""
        exact = max(length, 1e-300) / 20
        unit = 10.0 ** np.floor(np.log10(exact))
        return float(np.round(exact / unit) * unit)

    def __len__(self) -> int:
        """How many."""
        return len(self.points)

    @cached_property
    def looks(self) -> SampleLabels:
        """Names, colours and shapes of the labels."""
        return SampleLabels(self.labels, len(self))

    def within(self, polygon: Float[np.ndarray, "K 2"]) -> Bool[np.ndarray, " N"]:
        """Which of them project into a convex, counter-clockwise polygon."""
        along = np.roll(polygon, -1, axis=0) - polygon
        offset = self.points[:, None, :] - polygon
        cross = along[:, 0] * offset[:, :, 1] - along[:, 1] * offset[:, :, 0]
        return (cross >= -1e-12 * np.abs(polygon).max() ** 2).all(axis=1)

    def moved(self, points: Float[np.ndarray, "N 2"], distance: Float[np.ndarray, " N"], reach: float) -> SliceSamples:
        """The same samples on another plane; names and colours are not made anew."""
        other = replace(self, points=points, distance=distance, reach=reach)
        vars(other)["looks"] = self.looks
        return other

    def columns(self, max_distance: float | None, selection: Iterable[int]) -> dict[str, Any]:
        """Columns of the scatter glyph: nearer samples stronger and larger, those of the selection outlined."""
        ids = np.arange(len(self)) if max_distance is None else np.flatnonzero(self.distance <= max_distance)
        picked = np.isin(ids, np.fromiter(selection, dtype=np.int64))
        front = np.lexsort((-self.distance[ids], picked))  # drawn last: those picked, and the nearer ones
        ids, picked = ids[front], picked[front]
        near = self.distance[ids]
        strength = 1.0 / (1.0 + near / self.reach)
        crowded = int(picked.sum()) > _CROWD
        return {
            "x": self.points[ids, 0],
            "y": self.points[ids, 1],
            "sample": ids,
            "distance": near,
            "label": [self.looks.names[i] for i in ids.tolist()],
            "size": _SMALLEST + (_LARGEST - _SMALLEST) * strength + (0.0 if crowded else 3.0) * picked,
            # Those picked are seen in any case, but the far ones among them still are the fainter ones.
            "alpha": np.maximum(strength, np.where(picked, 0.5, 0.12)),
            "edge_width": np.where(picked, 1.2 if crowded else 2.5, 0.8),
            "fill": [self.looks.colours[i] for i in ids.tolist()],
            "marker": [self.looks.markers[i] for i in ids.tolist()],
            "picked": picked,
        }

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """Name, colour and marker per label."""
        return self.looks.legend
