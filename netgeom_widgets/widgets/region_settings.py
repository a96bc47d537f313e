"""Settings of the region explorer: its traits, how each is set by hand, and which values fit a network."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_values import COLOR_BY, SCALES, layer_count
from netgeom_widgets.kernels.regions import Partition
from netgeom_widgets.widgets.controls import OptionalNumber, narrow
from netgeom_widgets.widgets.region_controls import LayerChecks, LayerSlider
from netgeom_widgets.widgets.settings import bad_setting


class Layers(traitlets.TraitType):
    """Indices of layers as a tuple, or None for all."""

    info_text = "None or an iterable of layer indices from 0"

    def validate(self, obj: Any, value: Any) -> tuple[int, ...] | None:
        """Turn the value into a tuple of ints, or refuse it."""
        try:
            ops = None if value is None else tuple(sorted({int(op.__index__()) for op in value}))
        except (TypeError, AttributeError):
            self.error(obj, value)
        if ops and ops[0] < 0:
            self.error(obj, value)
        return ops


class RegionSettings(traitlets.HasTraits):
    """Mixin with the settings of the region explorer; once there is a result they are checked against it."""

    color_by = traitlets.Enum(COLOR_BY, COLOR_BY[0], help="What the regions are coloured by.").tag(
        setting="draw", label="Colour by"
    )
    output = traitlets.Int(0, min=0, help="Which output 'output' shows, from 0.").tag(
        setting="draw",
        control=narrow(ipywidgets.BoundedIntText, 110, min=0, max=10**6),
    )
    scale = traitlets.Enum(SCALES, SCALES[0], help="Colour scale; auto is logarithmic for areas.").tag(setting="draw")
    layer = traitlets.Int(
        None, min=0, allow_none=True, help="How many activation layers have cut the domain; None for all."
    ).tag(setting="draw", label="Layers", control=LayerSlider)
    hinges = Layers(
        None, help="Layers whose hinge lines are shown: an iterable of indices from 0, or None for all."
    ).tag(setting="draw", label="Hinge lines", control=LayerChecks)
    boundary = traitlets.Bool(True, help="Show the decision boundary.").tag(setting="draw", label="Decision boundary")
    samples = traitlets.Bool(True, help="Show the samples.").tag(setting="draw")
    max_distance = traitlets.Float(
        None, min=0.0, allow_none=True, help="Hide samples farther than this from the plane (input units)."
    ).tag(setting="draw", label="Samples within", control=OptionalNumber)
    tolerance = traitlets.Float(
        1e-10, min=0.0, max=0.05, help="Relative size below which a pre-activation is zero."
    ).tag(setting="costly", control=narrow(ipywidgets.FloatText, 150))
    max_regions = traitlets.Int(2_000_000, min=1, help="A run that finds more regions ends with an error.").tag(
        setting="costly", control=narrow(ipywidgets.IntText, 190)
    )
    region = traitlets.Int(None, allow_none=True, help="Id of the picked region in result, or None.").tag(
        setting="mark"
    )

    def _validate(self, settings: dict[str, Any]) -> None:
        results = self._results()
        if not results:
            return
        n_outputs, n_layers = min(found.outputs.shape[1] for found in results), max(map(layer_count, results))
        if settings["output"] >= n_outputs:
            raise no_such_output(settings["output"], n_outputs)
        layer, hinges = settings["layer"], settings["hinges"]
        if layer is not None and layer > n_layers:
            raise bad_setting("layer", "There are not that many layers.", f"None or 0 to {n_layers}", layer)
        if hinges is not None and any(op >= n_layers for op in hinges):
            raise bad_setting("hinges", "There is no such layer.", f"None or indices from 0 to {n_layers - 1}", hinges)

    def _results(self) -> list[Partition]:
        """The partitions that the settings are checked against: an output all must have, a layer some."""
        return [] if self.result is None else [self.result]


def no_such_output(output: int, count: int) -> NetgeomError:
    """The error for an output beyond those the network has."""
    return bad_setting("output", "The model has no such output.", f"0 to {count - 1}", output)
