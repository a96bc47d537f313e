"""Is the network indifferent to a change of its inputs? k(x, Tx) of each input against k(x, x') of unrelated ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_compare import InvarianceFigure
from netgeom_widgets.figures.sprites import looks_like_images
from netgeom_widgets.widgets.menus import Menu
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.parts import Parts
from netgeom_widgets.widgets.similarity_samples import to_numpy
from netgeom_widgets.widgets.similarity_subject import Subject

Transform = Callable[[Any], Any]


class InvariancePart(Part):
    """Two histograms: the inputs with their changed selves, and with inputs drawn at random."""

    key = "invariance"
    title = "Invariance"
    tooltip = "Compare each input with its changed self: a change that the network ignores gives k = 1"
    options = ("transform",)

    def __init__(self, control: ipywidgets.Widget, transforms: dict[str, Transform]) -> None:
        self._control, self._transforms = control, transforms

    def controls(self) -> list[ipywidgets.Widget]:
        """The choice of the change."""
        return [self._control]

    def lacks(self, subject: Subject, options: dict[str, Any]) -> str:
        """A change that is known."""
        if not self._transforms:
            return "Give a change of your inputs: test_invariance(transform)."
        if options["transform"] not in self._transforms:
            return "Choose a change, or give your own: test_invariance(transform)."
        return "" if len(subject.samples) > 1 else "One input cannot be compared with others."

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """Similarities of both kinds."""
        from netgeom_widgets.kernels.similarity import invariance

        self._name = options["transform"]
        transform = self._transforms[self._name]
        return invariance(
            subject.model, subject.samples.inputs, transform, progress=progress, cancel=cancel, **subject.options
        )

    def make(self) -> LayoutDOM:
        """Histograms."""
        self._figure = InvarianceFigure()
        return self._figure.root

    def draw(self, found: Any, subject: Subject) -> None:
        """Histograms."""
        self._figure.draw(found.values, found.random, name=self._name)

    def words(self, found: Any, subject: Subject) -> str:
        """Both medians."""
        own, other = (number(float(np.median(values))) for values in (found.values, found.random))
        words = f"median k: {own} with the changed input, {other} with another input at random"
        words += f"; the changed one is the more similar for {100 * found.share_above:.3g} %"
        dead = int(found.zero_gradient.sum())
        return words + (f"; {dead:,} pairs have a zero gradient: similarity 0" if dead else "")

    def arrays(self, found: Any) -> dict[str, Any]:
        """Both kinds."""
        return {"transformed": found.values, "random": found.random, "partners": found.partners}


class InvariancePanel(Parts):
    """The fold that tests invariance, and the method that takes the user's own change."""

    invariance = traitlets.Bool(False, help="Whether the test of invariance is shown.").tag(
        setting="mark", needs="a model and inputs"
    )
    transform = traitlets.Unicode("", help="Name of the change that is tested.").tag(
        setting="draw", bar=True, label="Change", control=Menu
    )

    def _setup_transforms(self) -> None:
        """The changes that can be had without asking: of images; called before ``super().__init__``."""
        from netgeom_widgets.kernels.similarity import image_transforms, is_image

        inputs = self._source.samples.inputs  # type: ignore[attr-defined]
        self._transforms: dict[str, Transform] = {}
        if inputs is None or (hasattr(inputs, "is_floating_point") and not inputs.is_floating_point()):
            return
        array = to_numpy(inputs[:1])
        if array.dtype.kind == "f" and is_image(array.shape[1:]) and looks_like_images(array):
            self._transforms = image_transforms(array.shape[1:])

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        if self._source.is_stored:  # type: ignore[attr-defined]
            return parts
        self._offer_transforms()
        return [*parts, InvariancePart(self._controls["transform"].box, self._transforms)]  # type: ignore[attr-defined]

    def _offer_transforms(self) -> None:
        names = [("choose …", ""), *((name, name) for name in self._transforms)]
        self._controls["transform"].widget.set_choices(names)  # type: ignore[attr-defined]

    def test_invariance(self, transform: Transform, name: str | None = None) -> None:
        """Test whether the network is indifferent to a change of its inputs; returns at once, ``wait()`` waits for it.

        Parameters
        ----------
        transform : callable
            Called with a batch of inputs as they were given; returns as many of the same shape. What it raises is shown
            in the widget, and raised by ``wait()``.
        name : str, optional
            What to call it; by default the name of the function.

        Raises
        ------
        NetgeomError
            When it cannot be called, there is no network, or the widget is closed.
        """
        self._check_open()  # type: ignore[attr-defined]
        if not callable(transform):
            raise NetgeomError("The change is no function.", expected="a callable", got=type(transform).__name__)
        if "invariance" not in self._shown_parts:
            raise NetgeomError("A stored matrix has no network to ask.", expected="a model and inputs", got="a store")
        called = str(name or getattr(transform, "__name__", type(transform).__name__))
        self._transforms[called] = transform
        self._offer_transforms()
        self._shown_parts["invariance"].forget()  # another function may have had this name
        self.transform = called
        self.invariance = True
        self._update_part(self._shown_parts["invariance"])
