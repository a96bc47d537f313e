"""Labels of samples: their names, and a colour and a shape for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int

from netgeom_widgets.figures import palettes

MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")
#: Okabe and Ito's hues, then the same darker and lighter; black is left to lines.
_COLOURS = palettes.categorical(24)
#: So many different numbers with a fraction are no classes, but targets of a regression.
_SCALE = len(_COLOURS)


def class_colour(number: int) -> str:
    """The full colour of a class, as its data points wear it."""
    return _COLOURS[number % len(_COLOURS)]


@dataclass(frozen=True, eq=False)
class SampleLabels:
    """Labels of N samples.

    Attributes
    ----------
    labels : (N,) or None
        Any labels, compared as text; None for samples without.
    n : int
        How many samples.
    """

    labels: Any
    n: int

    @cached_property
    def names(self) -> list[str]:
        """Label of each sample as text; empty texts without labels."""
        return [""] * self.n if self.labels is None else [str(label) for label in np.asarray(self.labels).tolist()]

    @cached_property
    def scale(self) -> tuple[float, float] | None:
        """Least and greatest label where these are numbers of one scale, such as targets of a regression; else None."""
        labels = np.empty(0) if self.labels is None else np.asarray(self.labels)
        if labels.dtype.kind != "f":
            return None
        finite = np.unique(labels[np.isfinite(labels)])
        return (float(finite[0]), float(finite[-1])) if len(finite) > _SCALE else None

    @cached_property
    def kinds(self) -> Int[np.ndarray, " N"]:
        """Number of each sample's label: the label itself if it is a small integer, else its place in sorted order."""
        labels = None if self.labels is None else np.asarray(self.labels)
        if labels is None or self.scale is not None:
            return np.zeros(self.n, dtype=np.int64)
        if labels.dtype.kind in "iub" and (labels.size == 0 or (labels.min() >= 0 and labels.max() < 1000)):
            return labels.astype(np.int64)
        return np.unique(np.array(self.names), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def colours(self) -> list[str]:
        """Colour of each sample; white without labels."""
        if self.labels is None:
            return ["#ffffff"] * self.n
        if self.scale is not None:
            low, high = self.scale
            share = (np.asarray(self.labels, dtype=float) - low) / (high - low)
            at = np.where(np.isfinite(share), share * (len(palettes.VIRIDIS) - 1), -1).astype(int)
            return [palettes.VIRIDIS[i] if i >= 0 else palettes.MISSING for i in at.tolist()]
        return [class_colour(kind) for kind in self.kinds.tolist()]

    @cached_property
    def markers(self) -> list[str]:
        """Shape of each sample."""
        if self.labels is None:
            return [MARKERS[0]] * self.n
        return [MARKERS[kind % len(MARKERS)] for kind in self.kinds.tolist()]

    @cached_property
    def legend(self) -> list[tuple[str, str, str]]:
        """Name, colour and marker per label; empty for labels of one scale."""
        if self.scale is not None:
            return []
        first = {name: int(kind) for name, kind in zip(self.names, self.kinds.tolist(), strict=True) if name}
        pairs = sorted(first.items(), key=lambda item: item[1])
        return [(f"label {name}", class_colour(kind), MARKERS[kind % len(MARKERS)]) for name, kind in pairs]
