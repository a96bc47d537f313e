"""What an equivalence slice viewer says in words: of its elements, of the plane, of what the picture does not show."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.figures.plots import number
from netgeom_widgets.widgets.equivalence_plane import MEMBER, members
from netgeom_widgets.widgets.settings import shortened

if TYPE_CHECKING:
    from netgeom_widgets.widgets.equivalence_picture import Picture

STATUS_WORDS = {
    MEMBER: "member",
    "local_minimum": "local minimum",
    "dead": "dead",
    "diverged": "diverged",
    "unfinished": "unfinished",
}
_PLURALS = {
    MEMBER: "members of the class",
    "local_minimum": "at a local minimum",
    "dead": "dead (zero gradient)",
    "diverged": "diverged",
    "unfinished": "unfinished",
}


def status_words(status: Any) -> str:
    """A status of an element."""
    return STATUS_WORDS.get(str(status), str(status).replace("_", " "))


def counts_words(elements: Any) -> str:
    """How many elements are members of the class, and what became of the others."""
    if elements is None or not len(elements.status):
        return ""
    counts = Counter(str(status) for status in elements.status)
    n, found = len(elements.status), counts.pop(MEMBER, 0)
    others = [f"{count:,} {_PLURALS.get(status, status)}" for status, count in counts.most_common()]
    rest = f"; {', '.join(others)}" if others else ""
    return f"{found:,} of {n:,} elements are members of the class{rest}."


def element_lines(elements: Any, distance: np.ndarray | None) -> list[tuple[str, int]]:
    """A line for each element, members first, with its number."""
    if elements is None:
        return []
    order = [*members(elements).tolist()]
    order += [i for i in range(len(elements.status)) if i not in set(order)]
    return [(element_words(elements, i, distance), i) for i in order]


def element_words(elements: Any, i: int, distance: np.ndarray | None) -> str:
    """What is known of an element."""
    words = f"Element {i}: {status_words(elements.status[i])}, R = {number(float(elements.relative_loss[i]))}"
    if distance is None or i >= len(distance):
        return words
    far = float(distance[i])
    return f"{words}, {'in the plane' if far <= 1e-9 * max(1.0, _length(elements, i)) else f'{number(far)} from it'}"


def _length(elements: Any, i: int) -> float:
    return float(np.linalg.norm(np.asarray(elements.parameters)[i]))


def point_words(point: tuple[float, ...], loss: float, relative: float | None) -> str:
    """Coordinates and losses of a point of the plane."""
    place = ", ".join(f"c{axis + 1} = {number(c)}" for axis, c in enumerate(point))
    known = f"J = {number(loss)}"
    return f"{place}: {known if relative is None else f'R = {number(relative)}, {known}'}"


def summary(picture: Picture) -> str:
    """A few words for the status line and the repr."""
    size = " x ".join(str(len(axis)) for axis in picture.found.axes)
    elements = picture.elements
    of = "" if elements is None else f", {len(members(elements)):,} of {len(elements.status):,} elements are members"
    return f"{size} points{of}"


def remarks(picture: Picture, epsilon: float) -> list[str]:
    """What belongs to every reading of the picture."""
    if picture.problem is None:
        return ["A grid of losses that was given: nothing is known of where it lies."]
    return [
        *_of_epsilon(picture, epsilon),
        *_of_center(picture),
        *_of_spanning(picture),
        *_of_slice(picture),
        *_of_network(picture),
    ]


def _of_epsilon(picture: Picture, epsilon: float) -> list[str]:
    problem = picture.problem
    zero = problem.zero_loss / problem.variance
    accepted = [f"the zero function (R = {number(zero)})"] * (epsilon >= zero) + ["the best constant (R = 1)"] * (
        epsilon >= 1
    )
    if not accepted:
        return []
    return [f"Epsilon {number(epsilon)} accepts {' and '.join(accepted)}: functions that have learnt nothing."]


def _of_center(picture: Picture) -> list[str]:
    words = []
    if picture.center_is_dead:
        words.append("The centre is a dead network: no weight of some layer has an influence on its outputs.")
    if picture.center_loss > picture.settings["tolerance"]:
        words.append(f"The centre is no member of the class: R = {number(picture.center_loss)} there.")
    return words


def _of_spanning(picture: Picture) -> list[str]:
    elements, plane = picture.elements, picture.plane
    if elements is None:
        return ["No elements have been searched: Find more begins."]
    words = []
    n, k = len(plane.spanned_by), len(plane.basis)
    if picture.settings["plane"] == "differences" and n < k:
        which = "the other is" if k - n == 1 else "the others are"
        words.append(
            f"Elements span {n} of {k} directions: {which} random."
            if n
            else "Every element is the centre itself: the class is one point, as far as seen. Directions are random."
        )
    foreign = [i for i in plane.spanned_by if str(elements.status[i]) != MEMBER]
    if foreign:
        told = [
            f"{i} ({status_words(elements.status[i])}, R = {number(float(elements.relative_loss[i]))})" for i in foreign
        ]
        what = "Element {} spans" if len(foreign) == 1 else "Elements {} span"
        words.append(
            f"{what.format(shortened(told))} the plane without being in the class: the picture shows no class but by "
            "luck."
        )
    return words


def _of_slice(picture: Picture) -> list[str]:
    words = []
    if picture.settings["profile"]:
        words.append("Minima over the other parameters may be local ones: the picture is an upper bound.")
    method = picture.found.settings.get("method")
    if method in ("batch", "loop"):
        how = "many points at a time" if method == "batch" else "point by point, which is faster here"
        words.append(f"Evaluated {how}.")
    return words


def _of_network(picture: Picture) -> list[str]:
    network = picture.problem.network
    targets = "the outputs of the model itself" if picture.source.is_teacher else "the targets given"
    held = f"Compared with {targets}, on these {network.n_samples:,} samples alone"
    size = f"{network.n_parameters:,} parameter{'s' * (network.n_parameters != 1)}"
    return [
        f"{held}; {size}, eval mode, weights {network.digest[:12]}.",
        *(f"{note}." for note in network.notes),
    ]
