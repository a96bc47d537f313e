"""Traits that hold a slice, and the three samples that a plane goes through."""

from __future__ import annotations

from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions import Slice


class SliceTrait(traitlets.TraitType):
    """A Slice, or a dict with its four arrays as in ``state()``."""

    info_text = "a netgeom_widgets.Slice"

    def validate(self, obj: Any, value: Any) -> Slice | None:
        """Turn the value into a Slice, or refuse it."""
        return None if value is None else as_slice(value)


class Anchors(traitlets.TraitType):
    """Ids of three samples as a tuple, or None."""

    info_text = "None or the ids of three samples"

    def validate(self, obj: Any, value: Any) -> tuple[int, int, int] | None:
        """Turn the value into three ints, or refuse it."""
        try:
            return None if value is None else three_ids(value)
        except (TypeError, ValueError, AttributeError):
            self.error(obj, value)


def three_ids(value: Any) -> tuple[int, int, int]:
    """Three whole numbers; TypeError, ValueError or AttributeError for anything else."""
    a, b, c = (int(item.__index__()) for item in value)
    return a, b, c


def as_slice(value: Any) -> Slice:
    """A slice, also from a dict of its origin, u, v and polygon.

    Raises
    ------
    NetgeomError
        For anything else.
    """
    if isinstance(value, Slice):
        return value
    if isinstance(value, dict) and set(value) == {"origin", "u", "v", "polygon"}:
        return Slice(**value)
    raise NetgeomError("The domain is not a slice", expected="a netgeom_widgets.Slice", got=type(value).__name__)
