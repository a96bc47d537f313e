"""Settings of a widget: tagged traits, always valid, each with a control."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Any

import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.controls import KINDS, Control, expected_of, make_widget


class SampleIds(traitlets.TraitType):
    """A tuple of sample ids; takes any iterable of whole numbers, numpy arrays included."""

    default_value: tuple[int, ...] = ()
    info_text = "an iterable of sample ids (whole numbers from 0)"

    def validate(self, obj: Any, value: Any) -> tuple[int, ...]:
        """Turn the value into a tuple of ints, or refuse it."""
        try:
            ids = tuple(_whole(item) for item in value)
        except TypeError:
            self.error(obj, value)
        if len(set(ids)) != len(ids):
            raise NetgeomError("A sample is selected twice.", expected="distinct sample ids", got=str(ids))
        return ids


def bad_setting(setting: str, what: str, expected: str, got: Any) -> NetgeomError:
    """An error that the base shows beside the control of a setting."""
    error = NetgeomError(what, expected=expected, got=str(got))
    error.setting = setting  # type: ignore[attr-defined]
    return error


def ids_in_words(known: Collection[int] | None) -> str:
    """Which sample ids there are, for an error message; None where that is not known."""
    if known is None:
        return "from 0"
    if not len(known):
        return "none: there are no samples"
    if isinstance(known, range):
        return f"from {known[0]} to {known[-1]}"
    return f"among {shortened(sorted(known))}"


def shortened(items: Iterable[Any], most: int = 8) -> str:
    """A list in words, those in the middle left out when they are many."""
    words = [str(item) for item in items]
    half = most // 2
    return ", ".join(words if len(words) <= most else [*words[:half], "...", *words[-half:]])


def _whole(item: Any) -> int:
    if isinstance(item, bool) or not hasattr(item, "__index__"):
        raise TypeError(item)
    return int(item.__index__())


class BadSettingError(NetgeomError, traitlets.TraitError):
    """A value that the trait of a setting refuses; a TraitError too, because traitlets rolls back after these."""


class Settings(traitlets.HasTraits):
    """Mixin that turns traits tagged ``setting="run" | "draw" | "costly"`` into settings with controls.

    A value is checked by its trait and then, together with all other settings, by :meth:`_validate`, before the trait
    takes it: whoever reads a setting finds a value that passed. From Python a refused value raises; in the control it
    stays with the reason beside it.
    """

    settings = traitlets.Dict(help="All settings by name; assign a dict with some of them to change these together.")

    def _setup_settings(self, given: dict[str, Any]) -> None:
        """Take the values given to the constructor, check all together, then make the controls."""
        traits = self.traits()
        ordered = dict.fromkeys(name for cls in reversed(type(self).__mro__) for name in vars(cls) if name in traits)
        self._kinds: dict[str, str] = {  # in the order of the class body, which is the order of the controls
            name: traits[name].metadata["setting"] for name in ordered if "setting" in traits[name].metadata
        }
        for name, kind in self._kinds.items():
            if kind not in (*KINDS, "mark"):
                raise TypeError(f"trait {name!r} has an unknown kind of setting {kind!r}")
        self._marks = tuple(name for name, kind in self._kinds.items() if kind == "mark")
        for name in self._marks:
            del self._kinds[name]
        self._together = threading.local()  # settings that this thread is assigning together
        for name, value in given.items():
            setattr(self, name, value)
        self.set_trait("settings", self._snapshot())
        self._validate(self._snapshot())
        self._controls: dict[str, Control] = {}
        for name in self._kinds:
            widget = make_widget(name, traits[name])
            if widget is not None:
                widget.value = getattr(self, name)
                self._controls[name] = Control(name, widget, self._assign, expected_of(traits[name]))
            self._check_before_assignment(name)
        self.observe(self._on_setting, list(self._kinds))
        self.observe(self._on_settings, "settings")

    # ---- what subclasses say

    def _validate(self, settings: dict[str, Any]) -> None:
        """Raise NetgeomError when the settings do not fit together or not the data.

        The error's attribute ``setting``, if it has one, says beside which control it is shown.
        """

    # ---- what the base does with it

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign; what the trait of a setting refuses is said in other words than those on classes and traits."""
        try:
            super().__setattr__(name, value)
        except BadSettingError:  # of another setting, which an observer assigned
            raise
        except traitlets.TraitError:
            trait = self.traits().get(name)
            if trait is None or not (name == "selection" or "setting" in trait.metadata):
                raise
            raise BadSettingError(f"{name} has a bad value.", expected=expected_of(trait), got=repr(value)) from None

    def _snapshot(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._kinds}

    def _assign(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def _check_before_assignment(self, name: str) -> None:
        """Let :meth:`_validate` see a value before the trait takes it, after a validator the subclass may have."""
        own = self._trait_validators.get(name)  # `validate` decorators cannot be added for names known only here

        def check(owner: Any, proposal: Any) -> Any:
            value = proposal["value"] if own is None else own(owner, proposal)
            proposed = {**self._snapshot(), **getattr(self._together, "settings", {}), name: value}
            try:
                self._validate(proposed)
            except NetgeomError as error:
                culprit = self._controls.get(getattr(error, "setting", name))
                if culprit is not None:
                    culprit.say(str(error))
                raise
            return value

        self._trait_validators[name] = check

    @traitlets.validate("settings")
    def _complete(self, proposal: Any) -> dict[str, Any]:
        unknown = sorted(str(name) for name in proposal["value"] if name not in self._kinds)
        if unknown:
            known = ", ".join(self._kinds)
            raise NetgeomError("There is no such setting.", expected=f"one of {known}", got=", ".join(unknown))
        return {**self._snapshot(), **proposal["value"]}

    def _on_settings(self, change: Any) -> None:
        """Somebody assigned ``settings``: assign each trait, with the others already in view of the check."""
        wanted = change["new"]
        if wanted == self._snapshot():
            return
        self._together.settings = wanted
        try:
            for name, value in wanted.items():
                setattr(self, name, value)
        finally:
            self._together.settings = {}
            self.set_trait("settings", self._snapshot())

    def _on_setting(self, change: Any) -> None:
        name = change["name"]
        for control in self._controls.values():
            if control.name == name:
                control.show(change["new"])
            elif control.message:
                control.say("")  # its complaint may have been about the value that just changed
        if not getattr(self._together, "settings", {}):
            self.set_trait("settings", self._snapshot())
        self._setting_changed(name, self._kinds[name])

    def _setting_changed(self, name: str, kind: str) -> None:
        """React to a setting that has changed."""
        raise NotImplementedError
