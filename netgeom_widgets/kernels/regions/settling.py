"""Values that count as a breakpoint: they are within the tolerance of it, or a vertex was made there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.cells import Recipe


@dataclass(eq=False)
class Settled:
    """Units whose values within a threshold of a breakpoint count as that breakpoint."""

    units: Tensor
    thresholds: Tensor
    floors: Tensor
    breakpoint: float

    def apply(self, flat: Tensor, spoiled: Tensor) -> None:
        """Set them, and mark the rows where that was more than rounding."""
        values = flat.index_select(1, self.units)
        size = (values - self.breakpoint if self.breakpoint else values).abs()
        within = size <= self.thresholds
        spoiled[(within & (size > self.floors)).any(1)] = 1.0
        flat.index_copy_(1, self.units, values.masked_fill_(within, self.breakpoint))


class Zeros:
    """Where units are at a breakpoint at the vertices of a recipe, for blocks of rows."""

    def __init__(self, recipe: Recipe, breakpoints: tuple[float, ...]) -> None:
        steps = [step for step in recipe.steps if len(step) == 2]
        empty = torch.empty(0, dtype=torch.int64)
        vertices, columns = (torch.cat([empty, *(step[i] for step in steps)]).numpy() for i in (0, 1))
        if (vertices[1:] < vertices[:-1]).any():
            order = np.argsort(vertices, kind="stable")
            vertices, columns = vertices[order], columns[order]
        n = max(1, len(breakpoints))
        self._vertices, self._units = vertices, columns // n if n > 1 else columns
        self._values = np.array(breakpoints or [0.0])[columns % n] if breakpoints != (0.0,) else None

    def set(self, flat: Tensor, rows: slice) -> None:
        """Put them exactly there in a block."""
        part = slice(*np.searchsorted(self._vertices, [rows.start, rows.stop]))
        flat.numpy()[self._vertices[part] - rows.start, self._units[part]] = (
            0.0 if self._values is None else self._values[part]
        )
