"""Settings of the equivalence slice viewer: its traits, how each is set by hand, which values fit what was given."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.widgets.controls import OptionalNumber, narrow
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.equivalence_traits import (
    BEST,
    MODEL,
    CenterMenu,
    CenterTrait,
    Numbers,
    NumbersField,
    is_element,
)
from netgeom_widgets.widgets.settings import bad_setting

METHODS = {
    "levenberg-marquardt": "Levenberg-Marquardt",
    "adam": "Adam",
    "sgd": "SGD",
}
PLANES = {
    "differences": "differences to elements",
    "null": "null space of the Jacobian",
    "top": "top Gauss-Newton directions",
    "pca": "PCA of the elements",
    "random": "random, filter normalised",
    "symmetry": "symmetry generators",
    "own": "own directions",
}
#: Planes that elements span: without a search there are none.
OF_ELEMENTS = ("differences", "pca")
#: Settings on which the elements depend.
OF_SEARCH = ("n_elements", "method", "lr", "tolerance", "max_iterations", "seed")
#: Settings on which plane and axes depend.
OF_PLANE = ("plane", "spanning", "center", "dimension", "half_width", "resolution", "seed")
#: Of more parameters a point of the slice takes a tenth of a second.
_MANY = 5_000
#: Multiplications in a step of Levenberg-Marquardt, beyond which a search is not begun unasked.
_COSTLY = 1_000_000_000
#: Elements that get a line in the menu of centres.
_LISTED = 200


def _field(width: str, placeholder: str, parse: Any = float) -> Any:
    def make(description: str, tooltip: str, **_: Any) -> OptionalNumber:
        return OptionalNumber(
            description=description, tooltip=tooltip, parse=parse, placeholder=placeholder, width=width
        )

    return make


class EquivalenceSettings(traitlets.HasTraits):
    """Mixin with the settings of the equivalence slice viewer, checked against what was given."""

    plane = traitlets.Enum(tuple(PLANES), "differences", help="What spans the plane that is shown.").tag(
        setting="run", texts=PLANES
    )
    spanning = Numbers(
        help="Which of these span it, by number: elements, else directions in their order; empty: the first, of "
        "elements the first members of the class."
    ).tag(setting="run", label="by numbers", control=NumbersField)
    center = CenterTrait(
        help="Where the plane begins: the model itself, the element of least loss, an element, or a point picked."
    ).tag(setting="run", label="Centre", control=CenterMenu)
    dimension = traitlets.Enum((1, 2, 3), 2, help="Directions of the slice; the third is a slider.").tag(
        setting="run", label="Dimensions"
    )
    half_width = traitlets.Float(
        None,
        allow_none=True,
        help="How far the axes reach from the centre; empty: a quarter beyond what spans the plane.",
    ).tag(setting="run", label="Half width", control=_field("84px", "fits"))
    resolution = traitlets.Int(61, min=3, max=401, help="Points along each axis.").tag(
        setting="run", label="Points", control=narrow(ipywidgets.BoundedIntText, 120, min=3, max=401)
    )
    profile = traitlets.Bool(
        False,
        help="The minimum over all directions across the plane, at each of its points; slow, and coarse at first.",
    ).tag(setting="run", label="Minimum over the other parameters")
    n_elements = traitlets.Int(10, min=0, max=10_000, help="How many starts a search makes.").tag(
        setting="costly", label="Starts", control=narrow(ipywidgets.BoundedIntText, 120, min=0, max=10_000)
    )
    method = traitlets.Enum(tuple(METHODS), "levenberg-marquardt", help="How elements of the class are found.").tag(
        setting="costly", label="by", texts=METHODS
    )
    tolerance = traitlets.Float(
        1e-20, min=0.0, help="A start is a member of the class when its relative loss R is at most this."
    ).tag(setting="costly", label="Member if R is at most", control=narrow(ipywidgets.FloatText, 230))
    max_iterations = traitlets.Int(
        None, allow_none=True, min=1, help="Iterations of a start at most; empty: as many as suit the method."
    ).tag(setting="costly", label="Iterations", control=_field("76px", "as usual", int))
    lr = traitlets.Float(
        None,
        allow_none=True,
        help="Learning rate of Adam and SGD; empty: 0.1 and 0.015, and too high for large networks.",
    ).tag(setting="costly", label="Learning rate", control=_field("76px", "as usual"))
    seed = traitlets.Int(0, min=0, help="Seed of the starts, and of random directions.").tag(
        setting="costly", label="Seed", control=narrow(ipywidgets.BoundedIntText, 110, min=0, max=2**31 - 1)
    )
    epsilon = traitlets.Float(
        1e-2,
        min=1e-16,
        max=10.0,
        help="The strong contour, and what is inside it: points with a relative loss of at most this.",
    ).tag(setting="draw", bar=True, log=True, label="Epsilon")
    third = traitlets.Float(0.0, help="Where the slice of a slice in three dimensions lies along the third.").tag(
        setting="run", bar=True, label="c3", control=False
    )

    _source: Source

    # ---- which values fit

    def _validate(self, settings: dict[str, Any]) -> None:
        source = self._source
        half_width, third = settings["half_width"], settings["third"]
        if half_width is not None and not 0 < half_width < math.inf:
            raise bad_setting("half_width", "This is no half width.", "a positive number, or nothing", half_width)
        if not math.isfinite(third):
            raise bad_setting("third", "This is no place on the third axis.", "a finite number", third)
        lr = settings["lr"]
        if lr is not None and not 0 < lr < math.inf:
            raise bad_setting("lr", "This is no learning rate.", "a positive number, or nothing", lr)
        if not math.isfinite(settings["tolerance"]):
            raise bad_setting("tolerance", "This is no tolerance.", "a number from 0", settings["tolerance"])
        if source.is_grid:
            return
        self._check_center(settings["center"])
        self._check_plane(settings)
        if settings["dimension"] > source.n_parameters:
            what = "The model has not so many parameters."
            raise bad_setting("dimension", what, f"1 to {source.n_parameters}", settings["dimension"])

    def _check_center(self, center: Any) -> None:
        source = self._source
        if isinstance(center, tuple) and len(center) != source.n_parameters:
            what = "The centre does not fit the model."
            raise bad_setting("center", what, f"{source.n_parameters:,} numbers", f"{len(center):,}")
        if isinstance(center, int) and source.given is not None and center >= len(source.given):
            what = "There is no such element to begin at."
            raise bad_setting("center", what, f"a number below {len(source.given):,}", center)

    def _check_plane(self, settings: dict[str, Any]) -> None:
        source, plane = self._source, settings["plane"]
        if plane == "own" and source.basis is None:
            raise bad_setting("plane", "There are no own directions.", "basis=array (k, P), or a path of one", "own")
        if plane in OF_ELEMENTS and source.given is None and not settings["n_elements"]:
            raise bad_setting(
                "plane", "There are no elements to span a plane.", "n_elements above 0, or another", plane
            )
        spanning, dimension = settings["spanning"], settings["dimension"]
        if spanning and plane != "pca" and len(spanning) < dimension:
            what = "Too few numbers for so many dimensions."
            raise bad_setting("spanning", what, f"{dimension} or more, or none for the first", list(spanning))

    # ---- which controls are there

    def _offer_choices(self) -> None:
        """Fill the menus with what was given, and leave out what it has not."""
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        source = self._source
        planes = [name for name in PLANES if name != "own" or source.basis is not None]
        controls["plane"].set_options([(PLANES[name], name) for name in planes], self.plane)
        self._offer_centers(0)
        self._show_controls()
        self.observe(lambda _: self._show_controls(), ["plane", "method"])
        self.observe(self._forget_spanning, "plane")

    def _offer_centers(self, n: int) -> None:
        """Offer this many elements as centres."""
        name = "the teacher" if self._source.is_teacher else "the model"
        listed = [(f"element {i}", i) for i in range(min(n, _LISTED))]
        self._controls["center"].widget.set_choices([(name, MODEL), ("the best element", BEST), *listed])  # type: ignore[attr-defined]

    def _forget_spanning(self, _: Any) -> None:
        """Numbers of elements are none of directions."""
        if self.spanning and "spanning" not in getattr(self._together, "settings", {}):  # type: ignore[attr-defined]
            self.spanning = ()

    def _show_controls(self) -> None:
        """Only those that have an effect."""
        source = self._source
        searched = not source.is_grid and source.given is None
        shown = dict.fromkeys(self._controls, not source.is_grid)  # type: ignore[attr-defined]
        shown |= dict.fromkeys((*OF_SEARCH, "seed"), searched)
        judged = source.given is not None and not hasattr(source.given, "status")
        shown["tolerance"] = searched or judged
        shown["lr"] = searched and self.method != "levenberg-marquardt"  # type: ignore[attr-defined]
        shown |= {"seed": searched or (not source.is_grid and self.plane == "random"), "epsilon": True}
        for name, visible in shown.items():
            self._controls[name].box.layout.display = None if visible else "none"  # type: ignore[attr-defined]


def defaults(source: Source, given: dict[str, Any]) -> dict[str, Any]:
    """Settings to begin with, from what was given: a first picture comes soon, whatever the size of the network."""
    if source.is_grid:
        return {}
    p, numbers = source.n_parameters, source.n_samples * source.n_outputs
    found: dict[str, Any] = {"dimension": 1} if p == 1 else {}
    if not source.is_teacher:
        found["center"] = BEST  # the model given need not have learnt anything
    if source.given is not None and len(source.given) == 1 and given.get("plane", "differences") in OF_ELEMENTS:
        found["dimension"] = 1  # one element spans a line
    if p > _MANY:
        found["resolution"] = 25
    costly = numbers * p * min(p, numbers) > _COSTLY
    if costly:
        found["compare_with"] = "random"  # null directions take minutes
    if not costly or source.given is not None:
        return found
    found["method"] = "adam"
    if "n_elements" not in given and given.get("plane") not in OF_ELEMENTS and not is_element(given.get("center")):
        found |= {"n_elements": 0, "plane": "random"}
    return found
