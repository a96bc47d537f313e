"""The samples of the region explorer: checked once, then projected onto any slice."""

from __future__ import annotations

from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.kernels.regions import Slice


class SliceData:
    """Inputs with their labels; ``inputs`` and ``labels`` are arrays, or None.

    Parameters
    ----------
    data : array (N, *input shape), optional
    labels : array (N,), optional

    Raises
    ------
    NetgeomError
        Labels that do not fit the data.
    """

    def __init__(self, data: Any, labels: Any) -> None:
        if data is None and labels is not None:
            raise NetgeomError("There are labels without data.", expected="data", got="data=None")
        self.inputs, self.labels = _array(data), _array(labels)
        self._last: tuple[Slice, SliceSamples] | None = None
        if self.labels is not None and self.labels.shape != (len(self),):
            expected, got = f"one label each, shape ({len(self)},)", f"{self.labels.shape}"
            raise NetgeomError("The labels do not fit the data.", expected=expected, got=got)

    def __len__(self) -> int:
        """How many samples."""
        return 0 if self.inputs is None or not self.inputs.ndim else len(self.inputs)

    @property
    def has_two_entries(self) -> bool:
        """Whether an input is two numbers."""
        return self.inputs is not None and self.inputs.ndim > 1 and self.inputs[:1].size == 2

    def on(self, domain: Slice) -> SliceSamples:
        """The samples on a slice; asked again for the same slice, nothing is computed."""
        last = self._last
        if last is not None and last[0] is domain:
            return last[1]
        samples = self._project(domain, last)
        self._last = (domain, samples)
        return samples

    def _project(self, domain: Slice, last: tuple[Slice, SliceSamples] | None) -> SliceSamples:
        if self.inputs is None:
            return SliceSamples.none()
        points, distance = domain.to_slice(self.inputs)
        box = Window.around(domain.polygon)
        unit = float(np.linalg.norm(domain.u))  # lengths of the box are in u, distances in input units
        reach = SliceSamples.natural_reach(unit * max(box.width, box.height))
        if last is None:
            return SliceSamples(points, distance, reach, self.labels)
        return last[1].moved(points, distance, reach)


def _array(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
