"""The plane that an equivalence slice viewer shows: where it begins, what spans it, how far its axes reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.equivalence_traits import BEST, MODEL
from netgeom_widgets.widgets.settings import bad_setting, shortened

if TYPE_CHECKING:
    from torch import nn

#: Axes reach so much farther than what spans the plane.
_MARGIN = 1.25
#: Without elements in it, axes reach so far, as a part of the length of the centre's parameter vector.
_RELATIVE = 0.5
#: An element nearer to the centre than this part of that length is the centre itself, and gives no direction.
_SAME = 1e-6
MEMBER = "converged"


@dataclass(frozen=True, eq=False)
class Plane:
    """A line, plane or space through the parameters.

    Attributes
    ----------
    center : (P,) float64
    basis : (k, P) float64
        A row per direction.
    axes : k arrays
        Coordinates in units of the rows.
    names : tuple of k str
        What each row is.
    spanned_by : tuple of int
        The elements that span it, where elements do.
    third : float
        Where the slice shown lies along the third direction.
    """

    center: np.ndarray
    basis: np.ndarray
    axes: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    spanned_by: tuple[int, ...]
    third: float = 0.0

    @property
    def shown(self) -> int:
        """Directions that the slice has: a third one only moves it."""
        return min(2, len(self.basis))

    @property
    def slice_center(self) -> np.ndarray:
        """Where the slice that is shown begins."""
        return self.center + self.third * self.basis[2] if len(self.basis) > 2 else self.center


def make_plane(
    source: Source,
    model: nn.Module,
    network: Any,
    elements: Any,
    settings: dict[str, Any],
    *,
    progress: Progress,
    cancel: Cancel,
) -> Plane:
    """The plane for some settings of the widget.

    Raises
    ------
    NetgeomError
        Where what was chosen spans no plane; the setting to blame is named.
    """
    center = _center(network, elements, settings["center"])
    wanted = _Wanted(source, model, network, center, elements, settings, progress, cancel)
    basis, names, ids = _SPANNED[settings["plane"]](wanted)
    half = settings["half_width"]
    half = _half_width(center, basis, elements, ids) if half is None else half
    k = len(basis)
    axes = tuple(np.linspace(-half, half, settings["resolution"]) for _ in range(k))
    return Plane(center, basis, axes, names, ids)


def members(elements: Any) -> np.ndarray:
    """Numbers of the members of the class among elements, in order."""
    return np.flatnonzero(np.asarray(elements.status) == MEMBER)


# ---- where it begins


def _center(network: Any, elements: Any, center: Any) -> np.ndarray:
    if center == MODEL or (center == BEST and elements is None):
        return np.asarray(network.parameters.numpy())
    if isinstance(center, tuple):
        return np.array(center)
    if center == BEST:
        center = int(np.argmin(np.where(np.isfinite(elements.relative_loss), elements.relative_loss, np.inf)))
    n = 0 if elements is None else len(elements.parameters)
    if center >= n:
        what = "There is no such element to begin at."
        raise bad_setting("center", what, f"a number below {n}" if n else "the model: there are no elements", center)
    return np.asarray(elements.parameters[center], dtype=np.float64)


# ---- what spans it


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What a plane is made of."""

    source: Source
    model: nn.Module
    network: Any
    center: np.ndarray
    elements: Any
    settings: dict[str, Any]
    progress: Progress
    cancel: Cancel

    @property
    def k(self) -> int:
        return int(self.settings["dimension"])

    @property
    def spanning(self) -> tuple[int, ...]:
        """Numbers of the directions that span the plane."""
        return (tuple(self.settings["spanning"]) or tuple(range(self.k)))[: self.k]

    def parameters(self) -> np.ndarray:
        """Of all elements, (n, P)."""
        return np.empty((0, len(self.center))) if self.elements is None else np.asarray(self.elements.parameters)

    def given(self, n: int) -> tuple[int, ...]:
        """Numbers of the elements that shall span it, out of n; none for the first that do."""
        ids = tuple(self.settings["spanning"])
        missing = [i for i in ids if i >= n]
        if missing:
            raise bad_setting("spanning", "There are no such elements.", f"numbers below {n}", shortened(missing))
        return ids


_Spanned = tuple[np.ndarray, tuple[str, ...], tuple[int, ...]]


def _differences(wanted: _Wanted) -> _Spanned:
    from netgeom_widgets.kernels.equivalence.planes import independent_rows

    k, parameters = wanted.k, wanted.parameters()
    ids: list[int] = []
    basis = np.empty((0, len(wanted.center)))
    for i in wanted.given(len(parameters)) or _candidates(wanted):
        difference = parameters[i] - wanted.center
        if np.linalg.norm(difference) <= _SAME * np.linalg.norm(wanted.center):
            continue
        found, _ = independent_rows(np.concatenate([basis, difference[None]]))
        if len(found) > len(basis):  # another one of the plane so far adds nothing
            ids, basis = [*ids, i], found
        if len(basis) == k:
            return basis, tuple(f"towards element {i}" for i in ids), tuple(ids)
    if wanted.settings["spanning"]:
        what = "These elements span no such plane."
        raise bad_setting("spanning", what, f"{k} in different directions from the centre", f"{len(basis)} directions")
    return _completed(wanted, basis, ids)


def _completed(wanted: _Wanted, basis: np.ndarray, ids: list[int]) -> _Spanned:
    """Where elements are too few, or are the centre itself, the other directions are random ones."""
    from netgeom_widgets.kernels.equivalence import random_basis
    from netgeom_widgets.kernels.equivalence.planes import independent_rows

    k = wanted.k
    more = random_basis(wanted.model, k, normalise=None, parameters=wanted.center, seed=wanted.settings["seed"])
    rows, _ = independent_rows(np.concatenate([basis, more]))
    names = [f"towards element {i}" for i in ids] + [f"random direction {i}" for i in range(k - len(ids))]
    return rows[:k], tuple(names), tuple(ids)


def _candidates(wanted: _Wanted) -> list[int]:
    """Elements in the order in which they are taken: members first, the others by their loss."""
    elements = wanted.elements
    if elements is None:
        return []
    first = members(elements).tolist()
    rest = [i for i in np.argsort(elements.relative_loss, kind="stable").tolist() if i not in set(first)]
    return [i for i in [*first, *rest] if np.isfinite(elements.parameters[i]).all()]


def _components(wanted: _Wanted) -> _Spanned:
    from netgeom_widgets.kernels.equivalence import pca_basis

    points = wanted.parameters()
    ids = wanted.given(len(points)) or tuple(np.flatnonzero(np.isfinite(points).all(axis=1)).tolist())
    try:
        basis = pca_basis(points[list(ids)], wanted.k, center=wanted.center)
    except NetgeomError as error:
        raise bad_setting("plane", error.what, error.expected, error.got) from error
    return np.asarray(basis), tuple(f"principal component {i + 1}" for i in range(wanted.k)), ids


def _curvature(directions: str, name: str) -> Any:
    def spanned(wanted: _Wanted) -> _Spanned:
        from netgeom_widgets.kernels.equivalence import gauss_newton_basis

        wanted.progress.update(text="singular vectors of the Jacobian")
        found = gauss_newton_basis(
            wanted.model, wanted.center, wanted.source.inputs, max(wanted.spanning) + 1, directions=directions,
            progress=wanted.progress, cancel=wanted.cancel,
        )  # fmt: skip
        return np.asarray(found)[list(wanted.spanning)], _numbered(name, wanted), ()

    return spanned


def _random(wanted: _Wanted) -> _Spanned:
    from netgeom_widgets.kernels.equivalence import random_basis

    found = random_basis(
        wanted.model, max(wanted.spanning) + 1, normalise="filter", parameters=wanted.center,
        seed=wanted.settings["seed"],
    )  # fmt: skip
    return np.asarray(found)[list(wanted.spanning)], _numbered("random direction", wanted), ()


def _symmetries(wanted: _Wanted) -> _Spanned:
    from netgeom_widgets.kernels.equivalence import symmetry_generators
    from netgeom_widgets.kernels.equivalence.planes import independent_rows

    found = symmetry_generators(wanted.model, wanted.center, wanted.source.inputs)
    numbers = list(wanted.settings["spanning"] or range(len(found.rows)))
    if not numbers or max(numbers) >= len(found.rows):
        what = "The network has not so many symmetry generators here."
        raise bad_setting(
            "plane", what, f"{max(numbers, default=0) + 1}", " ".join([f"{len(found.rows)}", *found.notes])
        )
    basis, dropped = independent_rows(np.asarray(found.rows)[numbers])
    kept = [number for at, number in enumerate(numbers) if at not in dropped][: wanted.k]
    if len(kept) < wanted.k:
        what = "The symmetries span no such plane."
        raise bad_setting("plane", what, f"{wanted.k} independent generators", f"{len(kept)} of {len(found.rows)}")
    return basis[: wanted.k], tuple(str(found.labels[number]) for number in kept), ()


def _own(wanted: _Wanted) -> _Spanned:
    basis, layout = wanted.source.basis, wanted.network.layout
    if basis is None or max(wanted.spanning) >= len(basis):
        have = 0 if basis is None else len(basis)
        raise bad_setting("spanning", "There are not so many own directions.", f"numbers below {have}", wanted.spanning)
    return basis[list(wanted.spanning)], tuple(_own_name(basis[i], i, layout) for i in wanted.spanning), ()


def _own_name(row: np.ndarray, number: int, layout: Any) -> str:
    """What a direction moves, where that is one parameter."""
    moved = np.flatnonzero(row)
    if len(moved) > 1:
        return f"own direction {number}"
    at = int(moved[0])
    entry = next(one for one in layout if one.part.start <= at < one.part.stop)
    place = np.unravel_index(at - entry.part.start, entry.shape) if entry.shape else ()
    return f"{entry.name}[{', '.join(str(i) for i in place)}]"


def _numbered(name: str, wanted: _Wanted) -> tuple[str, ...]:
    return tuple(f"{name} {i}" for i in wanted.spanning)


_SPANNED: dict[str, Any] = {
    "differences": _differences,
    "pca": _components,
    "null": _curvature("null", "null direction"),
    "top": _curvature("top", "Gauss-Newton direction"),
    "random": _random,
    "symmetry": _symmetries,
    "own": _own,
}


# ---- how far its axes reach


def _half_width(center: np.ndarray, basis: np.ndarray, elements: Any, ids: Sequence[int]) -> float:
    """Beyond the elements that span the plane; a bound below their distance shows one constant."""
    if ids:
        from netgeom_widgets.kernels.equivalence import coordinates

        found, _ = coordinates(np.asarray(elements.parameters)[list(ids)], center, basis)
        reach = _MARGIN * float(np.abs(found).max())
    else:
        reach = _RELATIVE * float(np.linalg.norm(center)) / float(np.linalg.norm(basis, axis=1).max())
    return reach if reach > 0 else 1.0
