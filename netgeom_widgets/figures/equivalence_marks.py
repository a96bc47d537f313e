"""Elements found, as marks on a slice: shape and colour by status, hollow and smaller by the distance to its plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure
from jaxtyping import Bool, Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import literal, number
from netgeom_widgets.figures.taps import nearest_id
from netgeom_widgets.figures.theme import PICKED

#: Colour and marker of each status, members first; the last is for elements without one.
STATUSES = {
    "converged": ("#56B4E9", "circle"),
    "local_minimum": ("#E69F00", "square"),
    "dead": ("#CC79A7", "inverted_triangle"),
    "diverged": ("#D55E00", "triangle"),
    "unfinished": ("#009E73", "diamond"),
    "": ("#FFFFFF", "hex"),
}
_NAMES = {"": "element"}
#: Pixels of a mark in the plane, and far from it. Those in the plane are filled and have a dark edge.
_SIZES, _EDGE = (14.0, 5.0), "#101010"
#: Nearer than this part of the picture's size counts as in the plane.
_IN_PLANE = 1e-6


def status_look(status: str) -> tuple[str, str]:
    """Colour and marker of a status; one that is unknown looks like none."""
    return STATUSES.get(str(status), STATUSES[""])


def status_name(status: str) -> str:
    """A status in words."""
    return _NAMES.get(str(status), literal(str(status).replace("_", " ")))


def nearness(distance: Float[np.ndarray, " n"], reach: float) -> Float[np.ndarray, " n"]:
    """1 in the plane, 1/4 at a distance of ``reach``, towards 0 far from it."""
    return reach / (reach + 3 * np.abs(distance)) if reach > 0 else (distance == 0).astype(float)


def in_plane(distance: Float[np.ndarray, " n"], reach: float) -> Bool[np.ndarray, " n"]:
    """Which lie in the plane, but for rounding."""
    return distance <= _IN_PLANE * max(reach, 1e-300)


def between(ends: tuple[float, float], share: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The first end where the share is 1, the second where it is 0."""
    return ends[1] + (ends[0] - ends[1]) * share


@dataclass(frozen=True, eq=False)
class SliceElements:
    """Elements seen from a slice.

    Attributes
    ----------
    coordinates : (n, k) float
        In units of the basis rows; see `kernels.equivalence.coordinates`.
    distance : (n,) float
        To the slice, in the space of parameters.
    relative_loss : (n,) float, optional
    status : sequence of n str, optional
        As `find_elements` gives.
    ids : (n,) int, optional
        Numbers of the elements; 0, 1, ... by default.
    names : sequence of n str, optional
        Further words for the hover boxes, such as "copy of element 3".
    """

    coordinates: Float[np.ndarray, "n k"]
    distance: Float[np.ndarray, " n"]
    relative_loss: Float[np.ndarray, " n"] | None = None
    status: Sequence[str] | None = None
    ids: Any = None
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n = len(self.coordinates)
        for name in ("distance", "relative_loss", "status", "ids", "names"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise NetgeomError(
                    f"{name} does not belong to the elements.", expected=f"{n} entries", got=f"{len(column)}"
                )

    def __len__(self) -> int:
        return len(self.coordinates)

    def columns(self) -> dict[str, Any]:
        """What a hover box says of each, and its look."""
        n = len(self)
        statuses = [""] * n if self.status is None else [str(status) for status in self.status]
        losses = [float("nan")] * n if self.relative_loss is None else np.asarray(self.relative_loss).tolist()
        return {
            "id": list(range(n)) if self.ids is None else [int(one) for one in self.ids],
            "status": [status_name(status) for status in statuses],
            "fill": [status_look(status)[0] for status in statuses],
            "marker": [status_look(status)[1] for status in statuses],
            "loss": ["unknown" if math.isnan(loss) else number(loss) for loss in losses],
            "far": [number(float(distance)) for distance in self.distance],
            "name": [""] * n if self.names is None else [literal(name) for name in self.names],
        }

    @property
    def kinds(self) -> list[str]:
        """The statuses that occur, in the order of `STATUSES`."""
        found = {""} if self.status is None else {str(one) if str(one) in STATUSES else "" for one in self.status}
        return [status for status in STATUSES if status in found and len(self)]

    @property
    def legend(self) -> list[tuple[str, str, str]]:
        """An entry for each of them."""
        return [(status_name(kind), *status_look(kind)) for kind in self.kinds]


class ElementMarks:
    """Elements in one plot, whose axes are two coordinates of a slice."""

    def __init__(self, plot: figure) -> None:
        self._plot = plot
        names = ("x", "y", "id", "status", "fill", "marker", "loss", "far", "name", "size", "alpha", "edge")
        self.source = ColumnDataSource({name: [] for name in names})
        self._ring = ColumnDataSource({"x": [], "y": []})
        marks = plot.scatter(
            "x", "y", source=self.source, marker="marker", size="size", fill_color="fill", fill_alpha="alpha",
            line_color="edge", line_width=1.6,
        )  # fmt: skip
        marks.nonselection_glyph = marks.selection_glyph = marks.glyph
        for colour, width in (("#ffffff", 5.0), (PICKED, 2.5)):
            plot.scatter(
                "x", "y", source=self._ring, size=20, fill_color=None, line_color=colour, line_width=width
            )  # fmt: skip
        facts = (("element", "@id @name"), ("status", "@status"), ("R", "@loss"), ("distance to the plane", "@far"))
        plot.add_tools(HoverTool(renderers=[marks], tooltips=list(facts), limit=5))

    def draw(
        self,
        elements: SliceElements,
        points: Float[np.ndarray, "n 2"],
        distance: Float[np.ndarray, " n"],
        reach: float,
    ) -> None:
        """Show elements at these places, by their ``distance`` to the plane and half the picture's diagonal."""
        if not len(elements):
            self.clear()
        else:
            order = np.argsort(-distance, kind="stable")  # the nearest last, on top
            points, distance = points[order], distance[order]
            columns = {name: [column[row] for row in order.tolist()] for name, column in elements.columns().items()}
            inside = in_plane(distance, reach)
            self.source.data = columns | {
                "x": points[:, 0], "y": points[:, 1], "far": [number(one) for one in distance.tolist()],
                "size": between(_SIZES, nearness(distance, reach)), "alpha": inside.astype(float),
                "edge": [_EDGE if on else fill for on, fill in zip(inside.tolist(), columns["fill"], strict=True)],
            }  # fmt: skip
        self.pick(None)

    def clear(self) -> None:
        """Show no element."""
        for source in (self.source, self._ring):
            source.data = {name: [] for name in source.data}

    def pick(self, element: int | None) -> None:
        """Ring an element by its number, or none."""
        rows = [row for row, one in enumerate(self.source.data["id"]) if one == element]
        self._ring.data = {name: [float(self.source.data[name][row]) for row in rows] for name in ("x", "y")}

    def at(self, event: Tap) -> int | None:
        """Number of the element under a tap."""
        return nearest_id(self._plot, self.source, event)


def element_words(
    elements: SliceElements, distance: Float[np.ndarray, " n"], reach: float, outside: int, *, profile: bool = False
) -> list[str]:
    """How far elements are from the plane that is drawn, and how many lie beyond the picture."""
    if not len(elements):
        return []
    inside = int(in_plane(distance, reach).sum())
    words = []
    if inside < len(elements):
        far = number(float(distance.max()))
        words.append(
            f"{inside} of {len(elements)} elements lie in this plane. The others, up to {far} away from it, are "
            "hollow, smaller the farther off" + ("." if profile else ", and have another loss than is drawn here.")
        )
    if outside:
        words.append(f"Beyond the picture: {outside}.")
    return words
