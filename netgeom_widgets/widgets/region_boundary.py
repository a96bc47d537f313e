"""Mixin of the region explorer: points sampled from the decision boundary, on the slice and as inputs."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.figures.boundary_samples import BoundaryInputs, BoundaryMarks
from netgeom_widgets.widgets.controls import narrow
from netgeom_widgets.widgets.pane import BokehPane

_MOST = 10_000


class BoundarySamples(traitlets.HasTraits):
    """``n_boundary_samples`` points of the decision boundary, uniform by length and the same for the same result."""

    n_boundary_samples = traitlets.Int(
        0, min=0, max=_MOST, help="How many points of the decision boundary are sampled and shown as inputs."
    ).tag(setting="draw", label="Boundary samples", control=narrow(ipywidgets.BoundedIntText, 190, min=0, max=_MOST))

    _boundary_box: ipywidgets.VBox | None = None

    @property
    def boundary_samples(self) -> np.ndarray:
        """The sampled inputs, (n, *input shape) float64; none before the first result and without a boundary."""
        domain = self.domain if self.result is None else self.result.domain
        return domain.to_input(self._sampled_points())

    def _sampled_points(self) -> np.ndarray:
        """(n, 2) where they are in the slice."""
        found = self.result
        return np.empty((0, 2)) if found is None else found.sample_boundary(self.n_boundary_samples)

    def _boundary_arrays(self) -> dict[str, Any]:
        """For the exported data."""
        if not self.n_boundary_samples:
            return {}
        return {"boundary_sample_points": self._sampled_points(), "boundary_samples": self.boundary_samples}

    def _panels(self) -> list[ipywidgets.Widget]:
        layout = {"flex": "1 1 100%", "overflow": "visible", "display": "none"}
        self._boundary_box = ipywidgets.VBox(layout=layout)
        self._boundary_marks = BoundaryMarks(self._figure.root)
        return [*super()._panels(), self._boundary_box]  # type: ignore[misc]  # of AnalysisWidget

    @traitlets.observe("n_boundary_samples", "result")
    def _update_boundary_samples(self, _: Any = None) -> None:
        if self._boundary_box is None or self._closed or self.result is None:
            return
        if self.n_boundary_samples or self._boundary_box.children:
            self._paint(self._draw_boundary_samples, "boundary samples")

    def _draw_boundary_samples(self) -> None:
        box = self._boundary_box
        if box is None or self._closed:
            return
        with self._lock:
            points = self._sampled_points()
            inputs = self.boundary_samples.reshape(len(points), *self._input_shape)
            if not box.children:
                self._fill_boundary_box(box, inputs.shape[1:])
            with self.pane.batch():
                self._boundary_marks.set(points)
            with self._boundary_pane.batch():
                self._boundary_inputs.draw(points, inputs)
            whose = f" of the network named {self._sides[0].name}" if len(self._sides) > 1 else ""
            self._boundary_words.value = f"Inputs on the decision boundary{whose}: {self._boundary_inputs.note}"
            box.layout.display = None if self.n_boundary_samples else "none"

    def _fill_boundary_box(self, box: ipywidgets.VBox, shape: tuple[int, ...]) -> None:
        """Make the parts of the panel, once."""
        self._boundary_inputs = BoundaryInputs(shape)
        self._boundary_pane = BokehPane(
            self._boundary_inputs.root, lock=self._lock, on_error=self._fail, label="Samples of the decision boundary"
        )
        self._boundary_words = ipywidgets.Label(tooltip="What is shown of the samples")
        self._boundary_words.add_class("netgeom-status")
        if self._boundary_inputs.is_image and len(self._sides) == 1:
            self._boundary_words.layout.display = "none"  # the picture has a title and a caption
        box.children = (self._boundary_words, self._boundary_pane)

    def _exported_parts(self) -> list[LayoutDOM]:
        parts = super()._exported_parts()  # type: ignore[misc]
        if self.n_boundary_samples and self._boundary_box.children and self._boundary_inputs.is_image:
            parts.append(self._boundary_inputs.root)
        return parts
