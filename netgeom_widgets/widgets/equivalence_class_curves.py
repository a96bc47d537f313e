"""Curves in the class: traced along null directions, exact orbits of units, images under the discrete symmetries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence_curves import ClassCurve, ClassCurvesFigure
from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.controls import OptionalNumber, narrow
from netgeom_widgets.widgets.equivalence_exact import Points, along_axes, images_of, null_directions, orbits_of
from netgeom_widgets.widgets.equivalence_local import PLACES, LocalSpaces, lacks_point, needed_of, point_of, reach_of
from netgeom_widgets.widgets.equivalence_overlays import ParameterCurve
from netgeom_widgets.widgets.equivalence_spectrum import SpectrumPanel
from netgeom_widgets.widgets.frame import remarks_html
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.recent import Recent
from netgeom_widgets.widgets.settings import bad_setting

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

ALONG = {
    "axes": "the axes, as near as the class goes",
    "null": "null directions, one after the other",
    "nothing": "nothing",
}
#: Traces that are kept: what was followed is not followed again.
_KEPT = 32
#: Called with a key, curves, and unit directions by name; with the key alone it takes away what has that key.
Overlay = Callable[..., None]


@dataclass(frozen=True, eq=False)
class Found:
    """Curves through a point of the class, and what else shares its function.

    Attributes
    ----------
    words : str
        What the point is called.
    traces : tuple of (name, (n, P) float64)
        Each from one end through the point to the other.
    curves : tuple of ClassCurve
        What is known along each.
    orbits : tuple of (name, (n, P) float64)
    images : (n, P) float64
    arrows : dict of name to (P,) float64
        Null directions.
    notes : tuple of str
    """

    words: str
    traces: tuple[Points, ...] = ()
    curves: tuple[ClassCurve, ...] = ()
    orbits: tuple[Points, ...] = ()
    images: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    arrows: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ClassCurvesPart(Part):
    """Curves over the slice, and what is known along them."""

    key = "class_curves"
    title = "Class curves"
    tooltip = "Follow the class from a point, and lay what shares its function over the slice"
    options = ("curves_from", "trace_along", "trace_steps", "trace_step_size", "orbits", "images", "arrows", "element")

    def __init__(self, spaces: LocalSpaces, controls: Callable[[], list[ipywidgets.Widget]], overlay: Overlay) -> None:
        self._spaces, self._make_controls, self._overlay = spaces, controls, overlay
        self._known = Recent(_KEPT)

    def controls(self) -> list[ipywidgets.Widget]:
        """From where, along what, how far."""
        return self._make_controls()

    def needed(self, options: dict[str, Any]) -> dict[str, Any]:
        """The picked element only where the curves start there."""
        return needed_of(options, "curves_from")

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """A point to start from."""
        why = lacks_point(subject, options["curves_from"], options["element"])
        if why:
            self.hide()
        return why

    def hide(self) -> None:
        """Take everything off the slice."""
        self._overlay(self.key)

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Found:
        """What is exact, then the null space, then curve by curve."""
        start, words = point_of(subject, options["curves_from"], options["element"])
        orbits, notes = orbits_of(subject, start) if options["orbits"] else ((), ())
        images, more = images_of(subject, start) if options["images"] else (np.empty((0, len(start))), ())
        found = Found(words, orbits=orbits, images=images, notes=(*notes, *more))
        if options["trace_along"] == "nothing" and not options["arrows"]:
            return found
        space = self._spaces.at(subject, start, progress=progress, cancel=cancel)
        axes = options["trace_along"] == "axes"
        directions = along_axes(subject, space) if axes else null_directions(space)
        if not directions:
            which = "to first order no axis has a part in the class" if space.bounds[1] else "the class is a point"
            found = replace(found, notes=(*found.notes, f"At {words} {which}: there is nothing to follow."))
        if options["arrows"]:
            found = replace(found, arrows=dict(directions))
        if options["trace_along"] != "nothing":
            found = self._traced(found, subject, start, directions, options, progress, cancel, publish)
        return found

    def _traced(
        self,
        found: Found,
        subject: Picture,
        start: np.ndarray,
        directions: Sequence[Points],
        options: dict[str, Any],
        progress: Progress,
        cancel: Cancel,
        publish: Publish,
    ) -> Found:
        """Both ways along each direction; what is done is shown."""
        steps = options["trace_steps"]
        size = options["trace_step_size"] or reach_of(subject) / steps
        for at, (name, direction) in enumerate(directions):
            ways = []
            try:
                for sign in (1.0, -1.0):
                    part = _share(progress, 2 * at + len(ways), 2 * len(directions), f"following {name}")
                    ways.append(self._trace(subject, start, direction, steps, sign * size, part, cancel))
            except NetgeomError as error:  # constant outputs have no R, and the largest networks no factorisation
                return replace(found, notes=(*found.notes, str(error)))
            points, curve = _joined(name, *ways, subject)
            stopped = {f"{name}: {way.stopped}." for way in ways if way.stopped}
            found = replace(
                found,
                traces=(*found.traces, (name, points)),
                curves=(*found.curves, curve),
                notes=(*found.notes, *sorted(stopped)),
            )
            publish(found)
        return found

    def _trace(
        self,
        subject: Picture,
        start: np.ndarray,
        direction: np.ndarray,
        steps: int,
        size: float,
        progress: Progress,
        cancel: Cancel,
    ) -> Any:
        """One way; what was followed before is not followed again."""
        from netgeom_widgets.kernels.equivalence import trace_class

        digest = subject.problem.network.digest
        key = (digest, start.tobytes(), direction.tobytes(), steps, size)
        found = self._known.find(key)
        if found is None:
            inputs = subject.source.inputs
            found = trace_class(
                subject.model, start, inputs, direction, steps=steps, step_size=size, progress=progress, cancel=cancel
            )
            self._known.put(key, found)
        return found

    def make(self) -> LayoutDOM:
        """Lines."""
        self._figure = ClassCurvesFigure()
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """What to know of them."""
        self._told = ipywidgets.HTML(layout={"max_width": "100%"})
        return [self._told]

    def draw(self, found: Found, subject: Picture) -> None:
        """Lines here, curves over the slice."""
        self._figure.show(found.curves)
        self._told.value = remarks_html(found.notes)
        kinds = (("class", found.traces), ("orbit", found.orbits))
        curves = [ParameterCurve(points, kind, name) for kind, rows in kinds for name, points in rows]
        images = [ParameterCurve(found.images, "image")] if len(found.images) else []
        self._overlay(self.key, [*curves, *images], found.arrows)

    def words(self, found: Found, subject: Picture) -> str:
        """How well the curves keep to the class."""
        counts = ((found.traces, "class curve"), (found.orbits, "exact orbit"), (found.arrows, "null direction"))
        told = [f"{len(rows):,} {word}{'s' * (len(rows) != 1)}" for rows, word in counts if rows]
        told += [f"{len(found.images):,} discrete images"] * bool(len(found.images))
        words = f"From {found.words}: {', '.join(told) or 'nothing to show'}"
        if not found.curves:
            return f"{words}."
        worst = max(float(curve.relative_loss.max()) for curve in found.curves)
        dimensions = np.concatenate([curve.dimension for curve in found.curves])
        low, high = int(dimensions.min()), int(dimensions.max())
        dimension = f"{low}" if low == high else f"{low} to {high}"
        return (
            f"{words}; along the curves R against the start is at most {number(worst)}, and the dimension {dimension}. "
            "Over the slice they are projected."
        )

    def arrays(self, found: Found) -> dict[str, Any]:
        """All points of each curve."""
        arrays: dict[str, Any] = {"names": np.array([name for name, _ in found.traces], dtype=str)}
        for at, ((_, points), curve) in enumerate(zip(found.traces, found.curves, strict=True)):
            known = {name: getattr(curve, name) for name in ("length", "relative_loss", "dimension", "distance")}
            arrays |= {f"trace{at}_{name}": column for name, column in {"parameters": points, **known}.items()}
        arrays |= {f"orbit{at}_parameters": points for at, (_, points) in enumerate(found.orbits)}
        return arrays | ({"images": found.images} if len(found.images) else {})


def _share(progress: Progress, done: int, total: int, text: str) -> Progress:
    """The progress of one of several parts of the work."""
    return Progress(lambda part: progress.update(done + part.fraction, total, text))


def _size_field(description: str, tooltip: str, **_: Any) -> OptionalNumber:
    return OptionalNumber(description=description, tooltip=tooltip, placeholder="fits", width="84px")


class ClassCurvesPanel(SpectrumPanel):
    """The fold on curves in the class; it shares null spaces with that on the spectrum."""

    class_curves = traitlets.Bool(False, help="Whether curves in the class are laid over the slice.").tag(
        setting="mark"
    )
    curves_from = traitlets.Enum(tuple(PLACES), "centre", help="Where the curves start.").tag(
        setting="draw", bar=True, label="From", texts=PLACES
    )
    trace_along = traitlets.Enum(tuple(ALONG), "axes", help="Which directions the class is followed along.").tag(
        setting="draw", bar=True, label="along", texts=ALONG
    )
    trace_steps = traitlets.Int(40, min=1, max=2000, help="Steps each way.").tag(
        setting="draw", bar=True, label="Steps", control=narrow(ipywidgets.BoundedIntText, 110, min=1, max=2000)
    )
    trace_step_size = traitlets.Float(
        None, allow_none=True, help="Length of a step; empty: the half width of the slice over the steps."
    ).tag(setting="draw", bar=True, label="of length", control=_size_field)
    orbits = traitlets.Bool(
        False, help="Show the exact orbit of each hidden unit under scaling, where its activation allows it."
    ).tag(setting="draw", bar=True, label="Exact orbits")
    images = traitlets.Bool(False, help="Show the images under permutations and changes of sign of hidden units.").tag(
        setting="draw", bar=True, label="Discrete images"
    )
    arrows = traitlets.Bool(False, help="Show null directions as arrows.").tag(
        setting="draw", bar=True, label="Null directions"
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        part = ClassCurvesPart(self._spaces, self._curve_controls, self._overlay)  # type: ignore[attr-defined]  # of Overlays
        self.observe(lambda change: None if change["new"] else part.hide(), "class_curves")
        return [*parts, part]

    def _curve_controls(self) -> list[ipywidgets.Widget]:
        names = ("curves_from", "trace_along", "trace_steps", "trace_step_size", "orbits", "images", "arrows")
        return [self._controls[name].box for name in names]  # type: ignore[attr-defined]  # of Settings

    def _validate(self, settings: dict[str, Any]) -> None:
        size = settings["trace_step_size"]
        if size is not None and not 0 < size < math.inf:
            raise bad_setting("trace_step_size", "This is no step.", "a positive number, or nothing", size)
        super()._validate(settings)  # type: ignore[misc]


def _joined(name: str, forth: Any, back: Any, picture: Picture) -> tuple[np.ndarray, ClassCurve]:
    """Both ways from a point as one curve."""

    def both(attribute: str) -> np.ndarray:
        return np.concatenate([getattr(back, attribute)[:0:-1], getattr(forth, attribute)])

    points = both("parameters")
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    length -= length[len(back.parameters) - 1]
    return points, ClassCurve(name, length, both("residual"), both("dimension"), picture.project(points)[1])
