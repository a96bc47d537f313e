"""Mixin of the equivalence slice viewer: its numbers as arrays, and a table with a row per element, or per point."""

from __future__ import annotations

from typing import Any

import numpy as np

from netgeom_widgets.widgets.equivalence_picture import Picture


class Exports:
    """What :meth:`export_data` writes."""

    def _export_arrays(self) -> dict[str, Any]:
        picture: Picture = self._finished()  # type: ignore[attr-defined]
        found = picture.found
        arrays = {"loss": found.loss} | {f"axis_{k}": axis for k, axis in enumerate(found.axes)}
        if picture.problem is None:
            return arrays
        problem, plane = picture.problem, picture.plane
        arrays |= {
            "relative_loss": found.relative_loss,
            "center": picture.center,
            "basis": picture.basis,
            "names": np.array(plane.names),
            "variance": np.array(problem.variance),
            "zero_loss": np.array(problem.zero_loss),
            "constant_loss": np.array(problem.constant_loss),
            "model": np.array(problem.network.digest),
        }
        elements = picture.elements
        if elements is not None:
            arrays |= {f"elements_{name}": column for name, column in _of_elements(picture).items()}
            arrays["elements_parameters"] = elements.parameters
        return arrays | self._part_arrays()  # type: ignore[attr-defined]  # of what stands below the figure

    def _export_table(self) -> dict[str, Any]:
        """A row per element; without elements, a row per point of the slice."""
        picture: Picture = self._finished()  # type: ignore[attr-defined]
        if picture.elements is not None:
            return {"element": np.arange(len(picture.elements.status)), **_of_elements(picture)}
        found = picture.found
        columns = {f"c{k + 1}": axis.ravel() for k, axis in enumerate(np.meshgrid(*found.axes, indexing="ij"))}
        columns["loss"] = found.loss.ravel()
        return columns if found.relative_loss is None else {**columns, "relative_loss": found.relative_loss.ravel()}


def _of_elements(picture: Picture) -> dict[str, Any]:
    elements = picture.elements
    return {
        "status": np.array([str(status) for status in elements.status]),
        "relative_loss": elements.relative_loss,
        "loss": elements.loss,
        "coordinates": picture.coordinates,
        "distance": picture.distance,
    }
