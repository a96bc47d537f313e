"""The point that a fold under the equivalence slice viewer looks at, and the null spaces of such points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.widgets.recent import Recent

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

PLACES = {"centre": "the centre", "element": "the picked element"}
#: Points whose null spaces are kept.
_KEPT = 8


def needed_of(options: dict[str, Any], place: str) -> dict[str, Any]:
    """The picked element only where the option ``place`` says that it is looked at."""
    return options if options[place] == "element" else {**options, "element": -1}


def lacks_point(picture: Picture, place: str, element: int) -> str:
    """Why there is no point to look at; empty where there is one."""
    if picture.model is None:
        return "A grid that was given has no network."
    n = 0 if picture.elements is None else len(picture.elements.status)
    if place == "element" and not 0 <= element < n:
        return "No element is picked: click one in the slice, or a row of the table."
    if place == "element" and not np.isfinite(picture.elements.parameters[element]).all():
        return f"Element {element} has diverged: its parameters are no numbers."
    return ""


def point_of(picture: Picture, place: str, element: int) -> tuple[np.ndarray, str]:
    """Parameters (P,) of the point, and what it is called."""
    if place == "element":
        return np.asarray(picture.elements.parameters[element]), f"element {element}"
    assert picture.plane is not None  # noqa: S101  # only a grid has none
    return np.asarray(picture.plane.center), PLACES[place]


def reach_of(picture: Picture) -> float:
    """Half the longest side of the slice, in the space of parameters."""
    rows = np.linalg.norm(picture.basis, axis=1).tolist()
    return max(float(axis[-1] - axis[0]) / 2 * row for axis, row in zip(picture.found.axes, rows, strict=True))


class LocalSpaces:
    """The null spaces of the last few points: picking to and fro computes none anew; of use on one thread."""

    def __init__(self) -> None:
        self._known = Recent(_KEPT)

    def at(self, picture: Picture, parameters: np.ndarray, *, progress: Progress, cancel: Cancel) -> Any:
        """The null space at a point."""
        from netgeom_widgets.kernels.equivalence import null_space

        key = (picture.problem.network.digest, parameters.tobytes())
        found = self._known.find(key)
        if found is None:
            inputs = picture.source.inputs
            found = null_space(picture.model, parameters, inputs, progress=progress, cancel=cancel)
            self._known.put(key, found)
        return found
