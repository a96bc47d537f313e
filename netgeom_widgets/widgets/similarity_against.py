"""Mixin of the similarity matrix: a second network, step or set of layers that the first is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.similarity_picture import Picture
from netgeom_widgets.widgets.similarity_source import Source

if TYPE_CHECKING:
    from torch import nn

THIS, OTHER, DIFFERENCE = "this", "other", "difference"


@dataclass(frozen=True, eq=False)
class Against:
    """What the network shown is compared with.

    Attributes
    ----------
    name : str
        What it is called.
    model : torch.nn.Module or None
        Another network, copied when a run starts.
    step : int or None
        A step of the checkpoints, which stays.
    layers : tuple of str or None
        Modules or parameters of the very network shown, whose gradients count in place of those of the first.
    """

    name: str
    model: Any = None
    step: int | None = None
    layers: tuple[str, ...] | None = None

    @classmethod
    def of(cls, given: Any, steps: tuple[int, ...], source: Source) -> Against:
        """What the user gave, checked.

        Raises
        ------
        NetgeomError
            Neither a module nor a step nor names, or none that there is.
        """
        expected = "a module, a step of the checkpoints, or names of modules or parameters"
        if hasattr(given, "parameters") and callable(given):
            return cls("the other network", model=given)
        if hasattr(given, "__index__") and not isinstance(given, bool):
            if int(given) not in steps:
                raise NetgeomError("There is no such step to compare with.", expected=expected, got=str(given))
            return cls(f"step {int(given):,}", step=int(given))
        names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
        if not names or not all(isinstance(name, str) for name in names):
            raise NetgeomError("There is nothing to compare with.", expected=expected, got=type(given).__name__)
        source.parameter_names(names)
        return cls(f"layers {', '.join(names)}", layers=names)


@dataclass(frozen=True, eq=False)
class Compared(Picture):
    """Two matrices of the same inputs in the same order; what is shown of them is this picture.

    Attributes
    ----------
    this, other : Picture
        Of the network shown, and of what it is compared with.
    names : (str, str)
        What these are called.
    """

    this: Picture | None = None
    other: Picture | None = None
    names: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, this: Picture, other: Picture, names: tuple[str, str], mode: str) -> Compared:
        """What a mode shows; rows, pairs and counts of a difference are those of the first."""
        shown = other if mode == OTHER else this
        parts = {name: getattr(shown, name) for name in Picture.__dataclass_fields__}
        parts |= {"order": this.order, "settings": {**this.settings, "mode": mode}}
        return cls(**parts, this=this, other=other, names=names)

    @property
    def mode(self) -> str:
        """What is shown."""
        return str(self.settings["mode"])

    @property
    def computed_with(self) -> dict[str, Any]:
        """The settings that the matrix shown was computed with; those of a difference are the first's."""
        shown = self.other if self.mode == OTHER else self.this
        return self.settings if shown is None else shown.settings

    @cached_property
    def difference(self) -> np.ndarray:
        """Other minus this, (n, n)."""
        this, other = (np.asarray(side.entries.values) for side in (self.this, self.other) if side is not None)
        return other - this

    @property
    def drawn(self) -> Any:
        """The numbers that the matrix shows."""
        return self.difference if self.mode == DIFFERENCE else self.entries.values

    @property
    def drawn_as(self) -> str:
        """What these are."""
        return DIFFERENCE if self.mode == DIFFERENCE else self.kernel


class Comparing(traitlets.HasTraits):
    """Two matrices instead of one: this, the other, or their difference, in one order, with one view."""

    mode = traitlets.Enum(
        (THIS, OTHER, DIFFERENCE), THIS, help="Which matrix is shown: this network's, the other's, or other minus this."
    ).tag(setting="run", bar=True, label="Show", texts={DIFFERENCE: "difference (other − this)"})
    against_result = traitlets.Any(
        None, read_only=True, help="Similarity of what the network is compared with, in the last run."
    )

    _source: Source
    _steps: tuple[int, ...]
    _against: Against | None = None
    _against_copy: nn.Module | None = None
    _against_copies = 0

    def _setup_against(self, against: Any) -> None:
        """Take what to compare with; called before ``super().__init__``, after the checkpoints were taken."""
        if against is None:
            return
        if self._source.is_stored:
            raise NetgeomError("A stored matrix cannot be compared.", expected="a model and inputs", got="a store")
        self._against = Against.of(against, self._steps, self._source)
        self._copy_against()

    def _copy_against(self) -> None:
        """Take the other network as it is now, or refuse it."""
        if self._against is None or self._against.model is None:
            return
        try:
            self._against_copy = self._source.copied(self._against.model)
            self._source.count_outputs(self._against_copy)
        except NetgeomError as error:
            what = f"The network to compare with is refused. {error.what}"
            raise type(error)(what, expected=error.expected, got=error.got, try_this=error.try_this) from error
        self._against_copies += 1

    @traitlets.validate("mode")
    def _check_mode(self, proposal: Any) -> str:
        if proposal["value"] != THIS and self._against is None:
            raise NetgeomError("There is nothing to compare with.", expected="this, or against", got=proposal["value"])
        return str(proposal["value"])

    def run(self) -> None:
        """Start a run on copies of the networks as they are now; see :meth:`AnalysisWidget.run`."""
        if not self._closed:  # type: ignore[attr-defined]
            self._copy_against()
        super().run()  # type: ignore[misc]

    def _bars(self) -> list[ipywidgets.Widget]:
        bars: list[ipywidgets.Widget] = super()._bars()  # type: ignore[misc]
        if self._against is None:
            return bars
        return [*bars, ipywidgets.Box([self._controls["mode"].box], layout=ROW)]  # type: ignore[attr-defined]

    # ---- runs

    def _beside(
        self, this: Picture, settings: dict[str, Any], compute: Callable[..., Picture], progress: Progress
    ) -> Picture:
        """Both matrices where there is something to compare with; ``compute`` makes the picture of a network."""
        against = self._against
        if against is None:
            return this
        options = dict(settings)
        if against.model is not None:
            model, key = self._against_copy, ("against", self._against_copies)
        elif against.step is not None:
            options["step"] = against.step
            model, key = self._network(against.step)  # type: ignore[attr-defined]
        else:
            options["parameters"] = against.layers
            model, key = self._network(settings["step"])  # type: ignore[attr-defined]
        told = Progress(lambda part: progress.update(part.done, part.total, f"{against.name}: {part.text}"))
        other = compute(model, options, key, order=this.order, progress=told, publish=lambda picture: None)
        return Compared.of(this, other, (self._name_of(settings), against.name), settings["mode"])

    def _name_of(self, settings: dict[str, Any]) -> str:
        """What the network shown is called beside another."""
        step = settings.get("step")
        if self._against is not None and self._against.layers is not None:
            chosen = settings["parameters"]
            return "all layers" if chosen is None else f"layers {', '.join(chosen)}"
        return "this network" if step is None else f"step {step:,}"

    @traitlets.observe("status")
    def _say_against(self, change: Any) -> None:
        """Let the trait say what the picture of a finished run is compared with."""
        picture = self.__dict__.get("_picture")
        if change["new"] == "done" and isinstance(picture, Compared) and picture.other is not None:
            self.set_trait("against_result", picture.other.found)

    def _part_arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = super()._part_arrays()  # type: ignore[misc]  # of Parts
        picture = self.__dict__.get("_picture")
        if isinstance(picture, Compared) and picture.other is not None and picture.this is not None:
            both = {"this_values": picture.this, "against_values": picture.other}
            arrays |= {name: np.asarray(side.entries.values) for name, side in both.items()}
        return arrays

    # ---- words

    def _pair_words(self, picture: Picture, pair: tuple[int, int] | None) -> str:
        words: str = super()._pair_words(picture, pair)  # type: ignore[misc]
        if pair is None or not isinstance(picture, Compared) or picture.this is None or picture.other is None:
            return words
        first, second = (number(side.entries.entry(*pair)) for side in (picture.this, picture.other))
        return f"{words} ({picture.names[0]}: {first}, {picture.names[1]}: {second})"


def compared_words(picture: Picture) -> str:
    """Which of two matrices is shown; empty where there is one."""
    if not isinstance(picture, Compared):
        return ""
    first, second = picture.names
    difference = f"Shown: {second} minus {first}. Rows, pairs and counts are those of {first}."
    return {THIS: f"Shown: {first}.", OTHER: f"Shown: {second}.", DIFFERENCE: difference}[picture.mode]
