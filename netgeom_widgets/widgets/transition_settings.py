"""Settings of the transition heat map: its traits, how each is set by hand, and which values fit a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import narrow
from netgeom_widgets.widgets.menus import Menu
from netgeom_widgets.widgets.places import CellTrait
from netgeom_widgets.widgets.settings import bad_setting
from netgeom_widgets.widgets.transition_controls import NeighbourSlider
from netgeom_widgets.widgets.transition_details import SCALARS
from netgeom_widgets.widgets.transition_kinds import KINDS, PER_SAMPLE

if TYPE_CHECKING:
    from netgeom_widgets.widgets.transition_source import Source

METRICS = ("euclidean", "cosine", "cityblock")
PANELS = {
    "samples": "samples at two steps",
    "classes": "class transitions",
    "projection": "projection",
    "recurrence": "recurrence",
}


class TransitionSettings(traitlets.HasTraits):
    """Mixin with the settings of the transition heat map, checked against its recording."""

    layer = traitlets.Unicode(None, allow_none=True, help="Which recorded layer is looked at; None for the last.").tag(
        setting="run", control=Menu
    )
    matrix_kind = traitlets.Enum(tuple(KINDS), PER_SAMPLE, help="What the heat map shows.").tag(
        setting="run", label="Matrix", control=Menu
    )
    norm = traitlets.Enum(
        ("euclidean", "cityblock"), "euclidean", help="How the overlaps of two transitions are compared over samples."
    ).tag(setting="run", label="Norm over samples")
    metric = traitlets.Enum(METRICS, METRICS[0], help="Distance in which neighbours are near.").tag(
        setting="run", label="Metric"
    )
    max_neighbours = traitlets.Int(15, min=1, help="How many neighbours of each sample are searched and stored.").tag(
        setting="costly", label="Neighbours stored", control=narrow(ipywidgets.BoundedIntText, 200, min=1, max=10**6)
    )
    k = traitlets.Int(
        None,
        allow_none=True,
        min=1,
        help="How many of the stored neighbours count; None for all. Needs no new search.",
    ).tag(setting="run", label="k", control=NeighbourSlider)
    among = traitlets.Enum(
        ("all samples", "selection"),
        "all samples",
        help="Where neighbours are searched: among all samples, or as ReprDynamics did, among those selected only.",
    ).tag(
        setting="run",
        label="Neighbours among",
        texts={"selection": "the selection only (as ReprDynamics)"},
    )
    panel = traitlets.Enum(tuple(PANELS), "samples", help="What is shown beside the heat map.").tag(
        setting="draw", texts=PANELS
    )
    scalar = traitlets.Enum(
        SCALARS, SCALARS[0], help="What the samples are compared by: from their outputs, or the overlap of neighbours."
    ).tag(setting="draw", label="Samples by", control=Menu)
    cell = CellTrait(None, help="The pinned cell of the matrix, (row, column), or None.").tag(setting="mark")
    sample = traitlets.Int(None, allow_none=True, help="Id of the sample whose neighbours are shown, or None.").tag(
        setting="mark"
    )

    _source: Source

    def _validate(self, settings: dict[str, Any]) -> None:
        layers = self._source.layers
        if settings["layer"] is not None and settings["layer"] not in layers:
            raise bad_setting("layer", "There is no such layer.", ", ".join(layers), settings["layer"])
        why = self._source.no_classes
        if why and KINDS[settings["matrix_kind"]].needs == "predictions":
            raise bad_setting("matrix_kind", f"This matrix needs predicted classes, but {why}.", "another matrix", "")
        k, stored = settings["k"], settings["max_neighbours"]
        if k is not None and k > stored:
            expected = f"1 to {stored}, or more neighbours stored (max_neighbours)"
            raise bad_setting("k", "Fewer neighbours are stored.", expected, k)

    def _offer_choices(self) -> None:
        """Fill the menus with what the recording has."""
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        controls["layer"].widget.set_choices([(name, name) for name in self._source.layers])
        why = self._source.no_classes
        texts = {name: f"{name} (no classes recorded)" for name, kind in KINDS.items() if kind.needs == "predictions"}
        controls["matrix_kind"].widget.set_choices([(texts.get(n, n) if why else n, n) for n in KINDS])
        lacks = {name: "classes" if why else "labels" for name in SCALARS if self._source.lacks_for(name)}
        scalars = [(f"{name} (no {lacks[name]} recorded)" if name in lacks else name, name) for name in SCALARS]
        controls["scalar"].widget.set_choices(scalars)
        if len(self._source.layers) < 2:
            controls["layer"].box.layout.display = "none"
        self._hide_idle()

    def _hide_idle(self, _: Any = None) -> None:
        """Show only the controls that make a difference now."""
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]
        needed = {"norm": self.matrix_kind == PER_SAMPLE, "scalar": self.panel == "samples"}
        for name, wanted in needed.items():
            controls[name].box.layout.display = None if wanted else "none"
