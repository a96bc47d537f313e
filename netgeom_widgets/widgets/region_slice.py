"""The slice bar of the region explorer: box, three samples, sliders; folded away until it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.controls import ROW, OptionalNumber
from netgeom_widgets.widgets.folds import Fold


class Fields(ipywidgets.Box):
    """Several number fields as one value: a tuple, or None; incomplete entries are not reported."""

    value = traitlets.Any(None)

    def __init__(
        self,
        names: Sequence[str],
        *,
        tooltips: Sequence[str],
        parse: Callable[[str], Any],
        placeholder: str,
        width: str,
    ) -> None:
        self._fields = [
            OptionalNumber(description=name, tooltip=tooltip, parse=parse, placeholder=placeholder, width=width)
            for name, tooltip in zip(names, tooltips, strict=True)
        ]
        self._showing = False
        super().__init__(self._fields, layout=ROW)
        for field in self._fields:
            field.observe(self._typed, "value")
        self.observe(lambda _: self._show(), "value")

    def _show(self) -> None:
        self._showing = True
        try:
            for place, field in enumerate(self._fields):
                field.value = None if self.value is None else self.value[place]
        finally:
            self._showing = False

    def _typed(self, _: Any) -> None:
        numbers = tuple(field.value for field in self._fields)
        if not self._showing and None not in numbers:
            self.value = numbers


def anchor_fields(*, description: str, tooltip: str, **_: Any) -> Fields:
    """Three fields for the ids of samples."""
    names = (f"{description} 1", "2", "3")
    return Fields(names, tooltips=(tooltip,) * 3, parse=int, placeholder="id", width="64px")


def box_fields() -> Fields:
    """Four fields for the sides of a box."""
    names = ("x\N{SUBSCRIPT ONE} from", "to", "x\N{SUBSCRIPT TWO} from", "to")
    sides = ("Left", "Right", "Lower", "Upper")
    tooltips = [f"{side} side of the box, in the numbers of the input" for side in sides]
    return Fields(names, tooltips=tooltips, parse=float, placeholder="", width="76px")


class Clicks:
    """Three samples clicked one after another; a second click on one takes it back."""

    def __init__(self) -> None:
        self.ids: tuple[int, ...] = ()

    def click(self, sample: int) -> tuple[int, int, int] | None:
        """Take a click; the three ids once there are three, after which it starts anew."""
        if sample in self.ids:
            self.ids = tuple(i for i in self.ids if i != sample)
            return None
        self.ids = (*self.ids, sample)
        if len(self.ids) < 3:
            return None
        a, b, c = self.ids
        self.ids = ()
        return a, b, c

    @property
    def words(self) -> str:
        """What is still to be clicked; empty before the first click."""
        if not self.ids:
            return ""
        left = "two more samples" if len(self.ids) == 1 else "one more sample"
        return f"Clicked: {', '.join(map(str, self.ids))}. Click {left}."


class SliceBar(Fold):
    """What unfolds the controls of the slice, beside it which slice is shown; it calls back for what is asked.

    Parameters
    ----------
    rows : sequence of Widget
        Controls, one row each.
    toggle : callable
        As for `Fold`.
    back : callable
        Called without arguments to go back to the first slice.
    fit : callable, optional
        Called without arguments to lay a box around the data; without it there is no such button.
    """

    def __init__(
        self,
        rows: Sequence[ipywidgets.Widget],
        *,
        toggle: Callable[[bool], None],
        back: Callable[[], None],
        fit: Callable[[], None] | None = None,
    ) -> None:
        super().__init__("Slice", "Choose the slice by hand", toggle)
        self._words = ipywidgets.Label(tooltip="The slice shown", layout={"flex": "1 1 240px", "min_width": "0"})
        self._words.add_class("netgeom-status")
        self.back = self._make("undo", "Back to the first slice", "The slice that the explorer began with", back)
        buttons = [self.back]
        if fit is not None:
            self.fit = self._make("compress", "Fit the data", "A box around the data, with a margin", fit)
            buttons.append(self.fit)
        self._hint = ipywidgets.Label(layout={"display": "none"})
        self._hint.add_class("netgeom-status")
        row = ipywidgets.Box(buttons, layout=ROW)
        left = ipywidgets.VBox([*rows, row, self._hint], layout={"flex": "1 1 300px", "min_width": "0"})
        self._beside = ipywidgets.Box([left], layout={"flex_flow": "row wrap", "overflow": "visible", "width": "100%"})
        self.fill([self._beside])
        self.children = (ipywidgets.Box([self._button, self._words], layout=ROW), self._body)

    @staticmethod
    def _make(icon: str, text: str, tooltip: str, act: Callable[[], None]) -> ipywidgets.Button:
        made = ipywidgets.Button(description=text, icon=icon, tooltip=tooltip, layout={"width": "auto"})
        made.on_click(lambda _: act())
        return made

    def say(self, words: str, *, moved: bool) -> None:
        """Say which slice is shown, and whether there is a way back."""
        self._words.value = words
        self.back.disabled = not moved

    def hint(self, text: str) -> None:
        """Say what to do next; an empty text removes it."""
        self._hint.value = text
        self._hint.layout.display = None if text else "none"

    def add(self, widget: ipywidgets.Widget) -> None:
        """Put something beside the controls (under them where the cell is narrow)."""
        self._beside.children = (*self._beside.children, widget)


def box_bounds(numbers: Sequence[Any]) -> tuple[float, float, float, float]:
    """Four numbers out of four fields.

    Raises
    ------
    NetgeomError
        When one of them is no number, or a side is not left of, or below, the one opposite.
    """
    if not all(isinstance(number, int | float) for number in numbers):
        got = ", ".join(str(number) for number in numbers)
        raise NetgeomError("A side of the box is no number.", expected="four numbers", got=got)
    left, right, lower, upper = map(float, numbers)
    for axis, low, high in (("x\N{SUBSCRIPT ONE}", left, right), ("x\N{SUBSCRIPT TWO}", lower, upper)):
        if not low < high:
            raise NetgeomError(f"The box is empty along {axis}.", expected="from < to", got=f"{low:g} to {high:g}")
    return left, right, lower, upper
