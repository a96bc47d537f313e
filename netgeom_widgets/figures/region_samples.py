"""Data points on a slice: where they project to, how far they are from the plane, how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from netgeom_widgets.figures.region_colours import class_colour

_MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")
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
    def names(self) -> list[str]:
        """Label of each sample as text; empty texts without labels."""
        return [""] * len(self) if self.labels is None else [str(label) for label in np.asarray(self.labels).tolist()]

    @cached_property
    def kinds(self) -> Int[np.ndarray, " N"]:
        """Number of each sample's label: the label itself if it is a small integer, else its place in sorted order."""
        labels = None if self.labels is None else np.asarray(self.labels)
        if labels is None:
            return np.zeros(len(self), dtype=np.int64)
        if labels.dtype.kind in "iub" and (labels.size == 0 or (labels.min() >= 0 and labels.max() < 1000)):
            return labels.astype(np.int64)
        return np.unique(np.array(self.names), return_inverse=True)[1].astype(np.int64)

    def columns(self, max_distance: float | None, selection: Iterable[int]) -> dict[str, Any]:
        """Columns of the scatter glyph: nearer samples stronger and larger, those of the selection outlined."""
        ids = np.arange(len(self)) if max_distance is None else np.flatnonzero(self.distance <= max_distance)
        picked = np.isin(ids, np.fromiter(selection, dtype=np.int64))
        front = np.lexsort((-self.distance[ids], picked))  # drawn last: those picked, and the nearer ones
        ids, picked = ids[front], picked[front]
        near = self.distance[ids]
        strength = 1.0 / (1.0 + near / self.reach)
        kinds = self.kinds[ids].tolist()
        unlabelled = self.labels is None
        crowded = int(picked.sum()) > _CROWD
        return {
            "x": self.points[ids, 0],
            "y": self.points[ids, 1],
            "sample": ids,
            "distance": near,
            "label": [self.names[i] for i in ids.tolist()],
            "size": _SMALLEST + (_LARGEST - _SMALLEST) * strength + (0.0 if crowded else 3.0) * picked,
            # Those picked are seen in any case, but the far ones among them still are the fainter ones.
            "alpha": np.maximum(strength, np.where(picked, 0.5, 0.12)),
            "edge_width": np.where(picked, 1.2 if crowded else 2.5, 0.8),
            "fill": ["#ffffff" if unlabelled else class_colour(kind) for kind in kinds],
            "marker": [_MARKERS[0] if unlabelled else _MARKERS[kind % len(_MARKERS)] for kind in kinds],
            "picked": picked,
        }

    @cached_property
    def legend(self) -> list[tuple[str, str, str]]:
        """Name, colour and marker per label."""
        first = {name: int(kind) for name, kind in zip(self.names, self.kinds.tolist(), strict=True) if name}
        pairs = sorted(first.items(), key=lambda item: item[1])
        return [(f"label {name}", class_colour(kind), _MARKERS[kind % len(_MARKERS)]) for name, kind in pairs]
