"""Traits that name a place in a picture: a cell of a matrix, a window."""

from __future__ import annotations

import math
from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError


class CellTrait(traitlets.TraitType):
    """A cell of the matrix as (row, column), or None."""

    info_text = "None or two whole numbers from 0, (row, column)"

    def validate(self, obj: Any, value: Any) -> tuple[int, int] | None:
        """Turn the value into a tuple of two ints, or refuse it."""
        if value is None:
            return None
        try:
            row, column = (int(part.__index__()) for part in value)
        except (TypeError, AttributeError, ValueError):
            self.error(obj, value)
        if row < 0 or column < 0:
            self.error(obj, value)
        return row, column


class NumberTrait(traitlets.TraitType):
    """The number of something that is counted from 0, or None; takes numpy's whole numbers too."""

    info_text = "None or a whole number from 0"

    def validate(self, obj: Any, value: Any) -> int | None:
        """Turn the value into an int, or refuse it."""
        if value is None:
            return None
        if isinstance(value, bool) or not hasattr(value, "__index__") or int(value.__index__()) < 0:
            self.error(obj, value)
        return int(value.__index__())


class ViewTrait(traitlets.TraitType):
    """A window, both ends of the horizontal axis and then of the vertical one, as a tuple of floats; or None."""

    info_text = "None or four numbers: from and to of the horizontal axis, from and to of the vertical one"

    def validate(self, obj: Any, value: Any) -> tuple[float, ...] | None:
        """Turn the value into a tuple of floats, or refuse it."""
        if value is None:
            return None
        try:
            window = tuple(float(bound) for bound in value)
        except (TypeError, ValueError):
            self.error(obj, value)
        if len(window) != 4 or not all(map(math.isfinite, window)) or window[0] >= window[1] or window[2] >= window[3]:
            raise NetgeomError("The view is not a window.", expected=self.info_text, got=str(value))
        return window
