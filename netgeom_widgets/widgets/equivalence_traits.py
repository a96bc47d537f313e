"""Traits that name an element, a centre, or what spans a plane, and how these are set by hand."""

from __future__ import annotations

import math
from typing import Any

import traitlets

from netgeom_widgets.widgets.controls import OptionalNumber
from netgeom_widgets.widgets.menus import Menu

MODEL, BEST = "model", "best"


class ElementTrait(traitlets.TraitType):
    """The number of an element, or -1 for none; takes numpy's whole numbers and None too."""

    info_text = "the number of an element, or -1 for none"
    default_value = -1

    def validate(self, obj: Any, value: Any) -> int:
        """Turn the value into an int, or refuse it."""
        if value is None:
            return -1
        if isinstance(value, bool) or not hasattr(value, "__index__") or int(value.__index__()) < -1:
            self.error(obj, value)
        return int(value.__index__())


class CenterTrait(traitlets.TraitType):
    """Where a plane begins: "model", "best", the number of an element, or a parameter vector as a tuple of floats."""

    info_text = '"model", "best", the number of an element, or a parameter vector'
    default_value = MODEL

    def validate(self, obj: Any, value: Any) -> str | int | tuple[float, ...]:
        """Turn the value into one of these, or refuse it."""
        if isinstance(value, str):
            return value if value in (MODEL, BEST) else self.error(obj, value)
        if hasattr(value, "__index__") and not isinstance(value, bool) and getattr(value, "ndim", 0) == 0:
            number = int(value.__index__())
            return number if number >= 0 else self.error(obj, value)
        return _floats(self, obj, value)


class PointTrait(traitlets.TraitType):
    """A point of the plane as a tuple of coordinates, or None."""

    info_text = "None or finite coordinates (c1, c2)"
    default_value = None

    def validate(self, obj: Any, value: Any) -> tuple[float, ...] | None:
        """Turn the value into a tuple of floats, or refuse it."""
        return None if value is None else _floats(self, obj, value)


class Numbers(traitlets.TraitType):
    """Different whole numbers from 0, in the order given, as a tuple."""

    info_text = "different whole numbers from 0, such as 1, 2; none for the first ones"
    default_value: tuple[int, ...] = ()

    def validate(self, obj: Any, value: Any) -> tuple[int, ...]:
        """Turn the value into a tuple of ints, or refuse it."""
        try:
            numbers = tuple(int(item.__index__()) for item in (() if value is None else value))
        except (TypeError, AttributeError):
            self.error(obj, value)
        if min(numbers, default=0) < 0 or len(set(numbers)) < len(numbers):
            self.error(obj, value)
        return numbers


def _floats(trait: Any, obj: Any, value: Any) -> tuple[float, ...]:
    value = value.detach().cpu().tolist() if hasattr(value, "detach") else value
    try:
        found = tuple(float(item) for item in value)
    except (TypeError, ValueError):
        trait.error(obj, value)
    if not found or not all(map(math.isfinite, found)):
        trait.error(obj, value)
    return found


def is_element(center: Any) -> bool:
    """Whether a centre is found among the elements."""
    return center == BEST or isinstance(center, int)


class CenterMenu(Menu):
    """A menu of centres; a parameter vector is "a point" in it."""

    def _words(self, value: Any) -> str:
        return "a point" if isinstance(value, tuple) else super()._words(value)


class NumbersField(OptionalNumber):
    """A field for whole numbers with commas between them."""

    def __init__(self, description: str, tooltip: str, **_: Any) -> None:
        super().__init__(
            description=description, tooltip=tooltip, parse=parse_numbers, placeholder="the first", width="96px"
        )

    @property
    def _text(self) -> str:
        return ", ".join(map(str, self.value)) if isinstance(self.value, tuple) else super()._text


def parse_numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from a text such as "1, 2".

    Raises
    ------
    ValueError
        For anything else.
    """
    return tuple(int(word) for word in text.strip("() ").replace(";", ",").split(",") if word.strip())
