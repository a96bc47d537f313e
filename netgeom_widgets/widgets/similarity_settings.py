"""Settings of the similarity matrix: its traits, how each is set by hand, and which values fit a network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.menus import Menu
from netgeom_widgets.widgets.places import CellTrait, ViewTrait
from netgeom_widgets.widgets.settings import bad_setting

if TYPE_CHECKING:
    from netgeom_widgets.widgets.similarity_source import Source

KERNELS = {
    "trace": "tr(K_C)/d",
    "frobenius": "‖K_C‖ Frobenius/√d",
    "nuclear": "‖K_C‖ nuclear/d",
    "rotation": "best rotation (d = 2)",
    "flat": "cosine of flattened gradients",
    "cosine": "cosine k_C (one output)",
    "relative": "relative k_N (one output)",
    "inner": "inner product k_I (one output)",
}
ONE_OUTPUT = ("cosine", "relative", "inner")
ORDERS = {"seriated": "seriated: similar ones together", "by class": "by class", "as given": "as given"}
ALL, PROBABILITIES, MARGIN, LABEL_MARGIN = "all outputs", "probabilities", "margin", "margin of the label"
LOSS, FUNCTION = "loss gradient", "function"
_NAMED = (ALL, PROBABILITIES, MARGIN, LABEL_MARGIN, LOSS, FUNCTION)
_SCALAR = (MARGIN, LABEL_MARGIN, LOSS)
#: Networks with more outputs do not get a line in the menu for each.
_LISTED = 50


class OutputTrait(traitlets.TraitType):
    """The number of one output, or one of the named choices."""

    info_text = "the number of an output, or one of " + ", ".join(_NAMED)

    def validate(self, obj: Any, value: Any) -> int | str:
        """Turn the value into an int or a known word, or refuse it."""
        if value is None:
            return ALL
        if isinstance(value, str) and value in _NAMED:
            return value
        if hasattr(value, "__index__") and not isinstance(value, bool) and int(value) >= 0:
            return int(value)
        self.error(obj, value)
        raise AssertionError  # error() raises


class NamesTrait(traitlets.TraitType):
    """Dotted names of parameters or modules as a tuple, or None for all."""

    info_text = "None or dotted names of parameters or modules"

    def validate(self, obj: Any, value: Any) -> tuple[str, ...] | None:
        """Turn the value into a tuple of texts, or refuse it."""
        if value is None:
            return None
        names = (value,) if isinstance(value, str) else value
        try:
            names = tuple(names)
        except TypeError:
            self.error(obj, value)
        if not names or not all(isinstance(name, str) for name in names):
            self.error(obj, value)
        return names


class ModuleChoice(ipywidgets.Box):
    """A list of modules of which several may be chosen; ``value`` is None when none or all are."""

    value = traitlets.Any(None)

    def __init__(self, *, description: str, tooltip: str, **_: Any) -> None:
        self._showing = False
        self._list = ipywidgets.SelectMultiple(
            description=description,
            tooltip=f"{tooltip} Ctrl or Shift chooses several.",
            rows=1,
            style={"description_width": "initial"},
            layout={"width": "auto", "min_width": "160px", "max_width": "100%"},
        )
        super().__init__([self._list], layout=ROW)
        self._list.observe(self._chosen, "value")
        self.observe(lambda _: self._show(), "value")

    def set_names(self, names: list[str]) -> None:
        """Offer these; the value stays."""
        self._showing = True
        try:
            self._list.options = names
            self._list.rows = min(4, max(1, len(names)))
        finally:
            self._showing = False
        self._show()

    def _show(self) -> None:
        self._showing = True
        try:
            self._list.value = tuple(name for name in self.value or () if name in self._list.options)
        finally:
            self._showing = False

    def _chosen(self, change: Any) -> None:
        if not self._showing:
            chosen = tuple(change["new"])
            self.value = chosen if 0 < len(chosen) < len(self._list.options) else None


def _threshold_slider(layout: Any, **common: Any) -> ipywidgets.FloatSlider:
    """A slider over -1..1; similarities without such ends move its own."""
    return ipywidgets.FloatSlider(min=-1.0, max=1.0, step=0.01, layout={**layout, "width": "280px"}, **common)


class SimilaritySettings(traitlets.HasTraits):
    """Mixin with the settings of the similarity matrix, checked against its network and samples."""

    kernel = traitlets.Enum(tuple(KERNELS), "trace", help="Which number stands for K(x, x') of two inputs.").tag(
        setting="run", label="Similarity", texts=KERNELS
    )
    output = OutputTrait(ALL, help="Which numbers of the network are compared.").tag(
        setting="run", label="of", control=Menu
    )
    order = traitlets.Enum(tuple(ORDERS), "seriated", help="In which order the inputs stand.").tag(
        setting="run", label="Order", texts=ORDERS
    )
    parameters = NamesTrait(None, help="Whose gradients count: modules or parameters; None for all.").tag(
        setting="run", label="Layers", control=ModuleChoice
    )
    precision = traitlets.Enum(
        ("model", "float64"), "model", help="float32 is right to about 1e-6; float64 is slower."
    ).tag(setting="run", texts={"model": "as the model", "float64": "float64"})
    pixel = traitlets.Enum(
        ("mean", "max"), "mean", help="What a pixel shows that stands for several pairs: their mean, or the largest."
    ).tag(setting="draw", label="A pixel is the", texts={"mean": "mean of its pairs", "max": "largest of its pairs"})
    threshold = traitlets.Float(0.9, help="A neighbour in the hard count has more similarity than this.").tag(
        setting="draw", control=_threshold_slider, bar=True
    )
    power = traitlets.Enum((2, 3, 4), 2, help="The less-soft count sums this power of max(k, 0).").tag(
        setting="draw", bar=True, label="Less-soft power"
    )
    row = traitlets.Int(None, allow_none=True, min=0, help="Id of the input whose neighbours are shown, or None.").tag(
        setting="mark"
    )
    pair = CellTrait(None, help="Ids of the two inputs of the picked pair, or None.").tag(setting="mark")
    view = ViewTrait(
        None, help="The window shown, (column from, to, row from, to) in places of the order; None for all."
    ).tag(setting="mark")

    _source: Source

    def _validate(self, settings: dict[str, Any]) -> None:
        source, kernel, output = self._source, settings["kernel"], settings["output"]
        if settings["order"] == "by class" and source.samples.labels is None:
            raise bad_setting("order", "There are no labels to order by.", "seriated or as given", "by class")
        threshold = settings["threshold"]
        if not math.isfinite(threshold) or (source.is_stored and abs(threshold) > 1):
            expected = "-1 to 1" if source.is_stored else "a finite number"
            raise bad_setting("threshold", "This is no threshold.", expected, threshold)
        if source.is_stored:
            return
        n_outputs = source.n_outputs
        if isinstance(output, int) and output >= n_outputs:
            raise bad_setting("output", "The model has no such output.", f"0 to {n_outputs - 1}", output)
        why = source.lacks_for(output)
        if why:
            raise bad_setting("output", f"This cannot be compared: {why}.", "another choice", output)
        one = isinstance(output, int) or output in _SCALAR or (output != FUNCTION and n_outputs == 1)
        if kernel in ONE_OUTPUT and not one and output != FUNCTION:
            raise bad_setting("kernel", "This similarity is of one output.", f"one of {n_outputs} outputs", output)
        if kernel == "rotation" and output in (ALL, PROBABILITIES) and n_outputs != 2:
            raise bad_setting("kernel", "The best rotation needs two outputs.", "d = 2", f"d = {n_outputs}")
        source.parameter_names(settings["parameters"])

    def _offer_choices(self) -> None:
        """Fill the menus with what network and samples have, and leave out what a stored matrix fixes."""
        controls: dict[str, Any] = self._controls  # of Settings
        source = self._source
        if source.is_stored:
            for name in ("kernel", "output", "parameters", "precision"):
                controls[name].box.layout.display = "none"
            return
        named = [(_text(name), name) for name in _NAMED if not source.lacks_for(name)]
        listed = min(source.n_outputs, _LISTED) if source.n_outputs > 1 else 0
        controls["output"].widget.set_choices([*named, *((f"output {at}", at) for at in range(listed))])
        controls["parameters"].widget.set_names(source.modules)
        self.observe(lambda _: self._try_kernel_again(), "output")

    def _try_kernel_again(self) -> None:
        """A similarity of one output is often chosen before the output."""
        control: Any = self._controls["kernel"]
        if control.widget.value != self.kernel:
            control.try_again()


def _text(name: str) -> str:
    return {MARGIN: "margin of the predicted class", FUNCTION: "your function", LOSS: "loss (TracIn)"}.get(name, name)
