"""Settings of the order retraction plot: its traits, how each is set by hand, and which values fit what was given."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import OptionalNumber, narrow
from netgeom_widgets.widgets.menus import Menu
from netgeom_widgets.widgets.order_retraction_source import MOST_DIMS, Source
from netgeom_widgets.widgets.order_retraction_space import (
    AXES,
    BY_NAME,
    COORDINATES,
    MODELS,
    OF_IMAGES,
    OF_MAP,
    ends_of,
)
from netgeom_widgets.widgets.places import NumberTrait
from netgeom_widgets.widgets.settings import bad_setting, shortened

METHODS = {
    "corners": "its corners",
    "centre": "its centre",
    "confidence": "its corners ± z deviations",
}
RULES = {"join": "join rule", "exact": "exact search"}
#: Coordinates that get a line in the menus.
_LISTED = 200
#: Settings of a fitted map, which a map that is given has not.
_OF_RUNS = ("model", "coordinates", "dims", *AXES, "biases", "start", "end", "lag", "margin")
_OVERLAYS = ("paths", "points")


class Nodes(traitlets.TraitType):
    """Numbers of Morse nodes as a tuple."""

    info_text = "an iterable of numbers of Morse nodes (whole numbers from 0)"
    default_value: tuple[int, ...] = ()

    def validate(self, obj: Any, value: Any) -> tuple[int, ...]:
        """Turn the value into a tuple of ints, or refuse it."""
        try:
            nodes = tuple(sorted({int(node.__index__()) for node in value}))
        except (TypeError, AttributeError):
            self.error(obj, value)
        if nodes and nodes[0] < 0:
            self.error(obj, value)
        return nodes


def _step_field(placeholder: str) -> Any:
    def make(description: str, tooltip: str, **_: Any) -> OptionalNumber:
        return OptionalNumber(
            description=description, tooltip=tooltip, parse=int, placeholder=placeholder, width="76px"
        )

    return make


class OrderRetractionSettings(traitlets.HasTraits):
    """Mixin with the settings of the order retraction plot, checked against what was given."""

    coordinates = traitlets.Enum(
        tuple(COORDINATES), "largest_spread", help="Which coordinates of the runs are shown."
    ).tag(setting="run", texts=COORDINATES)
    biases = traitlets.Bool(False, help="Whether biases may be coordinates; DOODL3 leaves them out.").tag(
        setting="run", label="Biases too"
    )
    dims = traitlets.Enum((1, 2, 3), 2, help="How many coordinates.").tag(setting="run", label="Dimensions")
    axis_x = traitlets.Unicode(None, allow_none=True, help="First coordinate, by name.").tag(
        setting="run", label="x", control=Menu
    )
    axis_y = traitlets.Unicode(None, allow_none=True, help="Second coordinate, by name.").tag(
        setting="run", label="y", control=Menu
    )
    axis_z = traitlets.Unicode(None, allow_none=True, help="Third coordinate, by name.").tag(
        setting="run", label="third", control=Menu
    )
    start = traitlets.Int(None, allow_none=True, help="The recorded step at which a run starts; empty: the first.").tag(
        setting="run", label="From step", control=_step_field("first")
    )
    end = traitlets.Int(None, allow_none=True, help="The recorded step at which a run ends; empty: the last.").tag(
        setting="run", label="to step", control=_step_field("last")
    )
    lag = traitlets.Int(
        None, allow_none=True, min=1,
        help="The map goes so many steps on: all pairs of recorded steps between these two that far apart, of every "
        "run. Empty: from the first of the two to the last at once.",
    ).tag(setting="run", label="or by steps of", control=_step_field("none"))  # fmt: skip
    model = traitlets.Enum(tuple(MODELS), "gp", help="Which map is fitted to the starts and ends of the runs.").tag(
        setting="run", label="Map", texts={name: words for name, (words, _) in MODELS.items()}
    )
    margin = traitlets.Float(
        0.5, min=0.0, help="How far the domain reaches beyond the starts and ends of the runs, on each side of an axis."
    ).tag(setting="run", control=narrow(ipywidgets.FloatText, 130))
    subdivisions = traitlets.Int(
        14, min=1, max=22, help="The domain is cut into 2 to this power cells, the axes in turn."
    ).tag(setting="run", label="Subdivisions")
    method = traitlets.Enum(tuple(METHODS), "corners", help="Which box stands for the image of a cell.").tag(
        setting="run", label="Image of a cell from", texts=METHODS
    )
    z = traitlets.Float(
        1.0, min=0.0, max=5.0, help="Half width of the confidence boxes in standard deviations of the map."
    ).tag(setting="run", label="z", step=0.1)
    padding = traitlets.Bool(False, help="Widen each image by one cell on every side.").tag(setting="run")
    rule = traitlets.Enum(
        tuple(RULES), "join", help="What is done where the join of the nodes reached is not unique."
    ).tag(setting="run", label="Retraction by", texts=RULES)
    min_cells = traitlets.Int(1, min=1, help="Morse nodes of fewer cells than this are collapsed.").tag(
        setting="run", label="Collapse nodes of fewer cells than",
        control=lambda layout, **common: ipywidgets.BoundedIntText(
            min=1, max=1 << 22, layout={**layout, "width": "290px"}, **common
        ),
    )  # fmt: skip
    collapsed = Nodes(help="Morse nodes that are collapsed, by their numbers before; () for none.").tag(
        setting="run", control=False
    )
    paths = traitlets.Bool(False, help="Show the runs step by step.").tag(setting="draw", label="Trajectories")
    points = traitlets.Bool(True, help="Show where the runs start and end, by the tile of the start.").tag(
        setting="draw", label="Starts and ends"
    )
    slice_axis = traitlets.Enum((0, 1, 2), 2, help="The axis across which a grid of three dimensions is cut.").tag(
        setting="draw", bar=True, label="Slice across axis"
    )
    slice_index = NumberTrait(None, help="Which layer is shown; None: the middle one.").tag(
        setting="draw", bar=True, control=False
    )
    node = NumberTrait(None, help="The picked Morse node, or None.").tag(setting="mark")
    grid_cell = NumberTrait(None, help="The picked cell of the grid, or None.").tag(setting="mark")

    _source: Source

    # ---- which values fit

    def _validate(self, settings: dict[str, Any]) -> None:
        source = self._source
        if not math.isfinite(settings["z"]):
            raise bad_setting("z", "This is no number of standard deviations.", "0 to 5", settings["z"])
        if settings["method"] == "confidence" and not source.has_std:
            what = "Nothing says how uncertain the map is."
            raise bad_setting("method", what, "std=callable (M, d) -> (M, d) beside the map", "confidence")
        if source.is_map:
            return
        dims = settings["dims"]
        most = min(MOST_DIMS, source.most_dims)
        if dims > most:
            raise bad_setting("dims", "There are not so many coordinates.", f"1 to {most}", dims)
        if source.lower is not None and len(source.lower) != dims:
            raise bad_setting("dims", "The domain given has other dimensions.", f"{len(source.lower)}", dims)
        if not math.isfinite(settings["margin"]):
            raise bad_setting("margin", "This is no margin.", "a finite number from 0", settings["margin"])
        self._check_axes(settings)
        self._check_steps(settings)

    def _check_axes(self, settings: dict[str, Any]) -> None:
        known, chosen = self._source.names, [settings[axis] for axis in AXES[: settings["dims"]]]
        for axis, name in zip(AXES, chosen, strict=False):
            if name not in known:
                raise bad_setting(axis, "There is no such coordinate.", f"one of {shortened(known)}", name)
        if settings["coordinates"] == BY_NAME and len(set(chosen)) < len(chosen):
            raise bad_setting("axis_x", "Each axis shows a coordinate of its own.", "different names", chosen)

    def _check_steps(self, settings: dict[str, Any]) -> None:
        steps = self._source.steps
        for name in ("start", "end"):
            if settings[name] is not None and settings[name] not in steps:
                what = "This step was not recorded."
                raise bad_setting(name, what, f"one of {len(steps):,}: {shortened(steps)}", settings[name])
        start, end = ends_of(self._source, settings)
        if start >= end:
            raise bad_setting("end", "A run ends after its start.", f"a step after {steps[start]:,}", steps[end])
        between, lag = steps[start : end + 1], settings["lag"]
        if lag is not None and not {step + lag for step in between}.intersection(between):
            raise bad_setting(
                "lag", "No two recorded steps are so far apart.", f"differences of steps {shortened(between)}", lag
            )

    def _assign(self, name: str, value: Any) -> None:
        """Take a value from a control; a coordinate that another axis shows changes places with this one's."""
        taken = [axis for axis in AXES if axis != name and getattr(self, axis) == value]
        if name in AXES and taken:
            self.settings = {name: value, taken[0]: getattr(self, name)}
        else:
            super()._assign(name, value)  # type: ignore[misc]  # of Settings

    # ---- which controls are there

    def _offer_choices(self) -> None:
        """Fill the menus with what was given, and leave out what it has not."""
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        source = self._source
        if not source.is_map:
            listed = [(name, name) for name in source.names[:_LISTED]]
            for name in AXES:
                controls[name].widget.set_choices(listed)
            most = len(source.lower) if source.lower is not None else min(MOST_DIMS, source.most_dims)
            controls["dims"].set_options(range(1, most + 1), self.dims)
        if not source.has_std:
            controls["method"].set_options([(METHODS[m], m) for m in METHODS if m != "confidence"], self.method)
        self._show_controls()
        self.observe(lambda _: self._show_controls(), ["method", "coordinates", "dims"])
        self.observe(self._forget_collapsed, [*OF_MAP, *OF_IMAGES])

    def _forget_collapsed(self, _: Any) -> None:
        """Another map or grid has other nodes under the same numbers."""
        if self.collapsed and "collapsed" not in getattr(self._together, "settings", {}):  # type: ignore[attr-defined]
            self.collapsed = ()

    def _show_controls(self) -> None:
        """Only those that have an effect."""
        source = self._source
        named = not source.is_map and self.coordinates == BY_NAME
        shown = {
            **dict.fromkeys((*_OF_RUNS, *_OVERLAYS), not source.is_map),
            "biases": not source.is_map and self.coordinates.endswith("spread"),
            "z": self.method == "confidence",
            "axis_x": named,
            "axis_y": named and self.dims > 1,
            "axis_z": named and self.dims > 2,
            "slice_axis": (source.most_dims if source.is_map else self.dims) == 3,
        }
        if source.lower is not None:
            shown |= {"margin": False, "dims": False}
        for name, visible in shown.items():
            self._controls[name].box.layout.display = None if visible else "none"  # type: ignore[attr-defined]
