"""Controls made from tagged traits: a constructor keyword, a trait and a control that stay in step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.errors import NetgeomError

KINDS = ("run", "draw", "costly")
ROW = {"flex_flow": "row wrap", "align_items": "center", "overflow": "visible"}


def label_of(name: str, trait: traitlets.TraitType[Any, Any]) -> str:
    """Text beside the control: the tag ``label``, or the trait's name in words."""
    return str(trait.metadata.get("label") or name.replace("_", " ").capitalize())


def expected_of(trait: traitlets.TraitType[Any, Any]) -> str:
    """Which values a trait takes, in words for somebody who sees a control and no trait."""
    if not isinstance(trait, traitlets.Int | traitlets.Float):
        return str(trait.info())
    kind = "a whole number" if isinstance(trait, traitlets.Int) else "a number"
    ends = [("from", trait.min), ("to", trait.max)]
    words = [kind, *(f"{word} {end:,.12g}" for word, end in ends if end is not None and math.isfinite(end))]
    if len(words) == 2 and words[1].startswith("from"):
        words.append("up")
    return " ".join(words) + (", or nothing" if trait.allow_none else "")


def _enum(trait: Any, common: dict[str, Any]) -> ipywidgets.Widget:
    texts = trait.metadata.get("texts") or {}
    return ipywidgets.Dropdown(options=[(str(texts.get(v, v)), v) for v in trait.values], **common)


def _number(trait: Any, common: dict[str, Any], *, whole: bool) -> ipywidgets.Widget:
    low, high, step = trait.min, trait.max, trait.metadata.get("step")
    common = {**common, "layout": {"width": "280px" if trait.min is not None else "160px", "max_width": "100%"}}
    bounded = all(bound is not None and math.isfinite(bound) for bound in (low, high))
    if bounded and trait.metadata.get("log"):
        exponents = {"min": math.log10(low), "max": math.log10(high)}
        return ipywidgets.FloatLogSlider(readout_format=".2g", step=step or 0.05, **exponents, **common)
    if bounded and whole:
        return ipywidgets.IntSlider(min=low, max=high, step=step or 1, **common)
    if bounded:
        return ipywidgets.FloatSlider(min=low, max=high, step=step or (high - low) / 100, **common)
    return (ipywidgets.IntText if whole else ipywidgets.FloatText)(**common)


def narrow(field: type[ipywidgets.Widget], width: int, **bounds: Any) -> Callable[..., ipywidgets.Widget]:
    """A maker of a number field of a fixed width in pixels."""

    def make(layout: Any, **common: Any) -> ipywidgets.Widget:
        return field(layout={**layout, "width": f"{width}px"}, **bounds, **common)

    return make


def make_widget(name: str, trait: Any) -> ipywidgets.Widget | None:
    """The ipywidgets control for a trait; None when the tag ``control=False`` says that it has none.

    Parameters
    ----------
    name : str
        Name of the trait.
    trait : traitlets.TraitType
        Enum gives a menu (tag ``texts`` maps values to words), Bool a check box, a number with both bounds a slider
        (tags ``step`` and ``log``), any other number a number field, Unicode a text field. Tag ``control`` may hold
        a function that makes another one from the keywords ``description``, ``tooltip``, ``style`` and ``layout``.

    Raises
    ------
    TypeError
        For a trait of another type without the tag ``control``.
    """
    maker = trait.metadata.get("control")
    if maker is False:
        return None
    help_text = trait.help
    if trait.metadata.get("setting") == "costly":
        help_text = f"{help_text} (takes effect with Run)".strip()
    common = {
        "description": label_of(name, trait),
        "tooltip": help_text,
        "style": {"description_width": "initial"},
        "layout": {"width": "auto", "max_width": "100%"},
    }
    if maker is not None:
        return maker(**common)
    if isinstance(trait, traitlets.Enum):
        return _enum(trait, common)
    if isinstance(trait, traitlets.Bool):
        return ipywidgets.Checkbox(indent=False, **common)
    if isinstance(trait, traitlets.Int | traitlets.Float):
        return _number(trait, common, whole=isinstance(trait, traitlets.Int))
    if isinstance(trait, traitlets.Unicode):
        return ipywidgets.Text(continuous_update=False, **common)
    raise TypeError(f"trait {name!r} is tagged as a setting, but no control is known for {type(trait).__name__}")


class Control:
    """One control in step with one trait, and the place for a message beside it.

    A value that the owner refuses stays in the control, with the reason beside it; the trait keeps its last good value.

    Parameters
    ----------
    name : str
        Name of the trait.
    widget : ipywidgets.Widget
        The control; its ``value`` is shown and watched.
    assign : callable
        Called as ``assign(name, value)`` when the user changed the control; raises what is wrong with the value.
    expected : str
        Which values the trait takes, for the message beside a value that it refuses.
    """

    def __init__(self, name: str, widget: ipywidgets.Widget, assign: Callable[[str, Any], None], expected: str) -> None:
        self.name, self.widget = name, widget
        self._assign, self._expected = assign, expected
        self._note: ipywidgets.Label | None = None  # made for the first message: most controls never show one
        self.box = ipywidgets.HBox([widget], layout={"flex_flow": "row wrap", "overflow": "visible"})
        widget.observe(self._changed, "value")

    def _changed(self, change: Any) -> None:
        try:
            self._assign(self.name, change["new"])
        except traitlets.TraitError:  # the name of the setting stands beside it
            self.say(f"Expected: {self._expected}. Got: {change['new']}.")
        except NetgeomError as error:
            self.say(str(error))
        else:
            self.say("")

    def show(self, value: Any) -> None:
        """Show a value that the trait has taken."""
        self.say("")
        if self.widget.value != value:
            self.widget.value = value

    def try_again(self) -> None:
        """Assign a value that was refused and is still in the control: it may fit by now."""
        self._changed({"new": self.widget.value})

    def say(self, text: str) -> None:
        """Put a message beside the control; an empty one removes it."""
        if self._note is None:
            if not text:
                return
            self._note = ipywidgets.Label(layout={"max_width": "100%"})
            self._note.add_class("netgeom-bad")
            self.box.children = (*self.box.children, self._note)
        self._note.value = text
        self._note.layout.display = None if text else "none"

    @property
    def message(self) -> str:
        """The message beside the control."""
        return "" if self._note is None else str(self._note.value)

    def set_options(self, options: Iterable[Any], value: Any) -> None:
        """Offer other choices in a menu and show one of them, without telling the owner."""
        self.widget.unobserve(self._changed, "value")
        try:
            self.widget.options = list(options)
            self.widget.value = value
        finally:
            self.widget.observe(self._changed, "value")

    def set_bounds(self, low: float, high: float) -> None:
        """Move the ends of a slider (the trait's own bounds stay), without telling the owner of a clipped value."""
        self.widget.unobserve(self._changed, "value")
        try:
            with self.widget.hold_trait_notifications():
                self.widget.min, self.widget.max = low, high
        finally:
            self.widget.observe(self._changed, "value")


def icon_button(icon: str, tooltip: str, act: Callable[[], Any]) -> ipywidgets.Button:
    """A button with a sign of Font Awesome instead of words; the tooltip says what it does."""
    button = ipywidgets.Button(icon=icon, tooltip=tooltip, layout={"width": "36px"})
    button.on_click(lambda _: act())
    return button


class OptionalNumber(ipywidgets.Box):
    """A number that may be missing: an empty field is None; text that is no number is the value, to be refused."""

    value = traitlets.Any(None)

    def __init__(
        self,
        *,
        description: str,
        tooltip: str,
        parse: Callable[[str], Any] = float,
        placeholder: str = "all",
        width: str = "80px",
        **_: Any,
    ) -> None:
        self._parse = parse
        self._field = ipywidgets.Text(
            placeholder=placeholder, tooltip=tooltip, continuous_update=False, layout={"width": width}
        )
        children = (
            [ipywidgets.Label(description, layout={"margin": "2px 8px 2px 2px"}), self._field]
            if description
            else [self._field]
        )
        super().__init__(children, layout=ROW)
        self._field.observe(self._typed, "value")
        self.observe(lambda _: self._show(), "value")

    def show(self, value: Any) -> None:
        """Show a value, also where the field holds a text that was refused."""
        self.value = value
        self._show()

    def _show(self) -> None:
        self._field.value = self._text

    @property
    def _text(self) -> str:
        if self.value is None:
            return ""
        return f"{self.value:g}" if isinstance(self.value, float) else f"{self.value}"

    def _typed(self, change: Any) -> None:
        text = change["new"].strip()
        try:
            value = self._parse(text) if text else None
        except ValueError:
            value = text
        if value != self.value and text != self._text:
            self.value = value


def close_tree(widget: ipywidgets.Widget) -> None:
    """Close a widget with its children, layouts and styles: ipywidgets keeps each of them alive otherwise."""
    for child in getattr(widget, "children", ()):
        close_tree(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, ipywidgets.Widget):
            part.close()
    widget.unobserve_all()
    widget.close()
