"""A slice through an equivalence class as a picture, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import Column, LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_history import HistoryPicture
from netgeom_widgets.figures.equivalence_lines import LossLinePicture
from netgeom_widgets.figures.equivalence_marks import SliceElements
from netgeom_widgets.figures.equivalence_overlays import CurveKind, SliceCurve
from netgeom_widgets.figures.equivalence_slice import LossSlicePicture
from netgeom_widgets.figures.plots import wrapping_row

#: Pixels of the columns at most, and of either at least: beside each other where both have room, else stacked.
_SLICE, _HISTORY, _LEAST = 640, 460, 330


def equivalence_plot(
    loss_slice: Any,
    *,
    elements: Any = None,
    curves: Mapping[str, Any] | None = None,
    epsilon: float | None = None,
    names: Sequence[str] | None = None,
    axes: tuple[int, int] = (0, 1),
    at: Mapping[int, int] | None = None,
    histories: bool = True,
    title: str | None = None,
    note: str = "",
    height: int = 400,
) -> LayoutDOM:
    """A slice of the loss, with elements and curves over it and the histories of the search beside it.

    To be saved as HTML, PNG or SVG, or shown with ``bokeh.io.show``.

    Parameters
    ----------
    loss_slice : LossSlice
        Of one axis: a line; of two; of more: the plane ``axes`` at the points ``at`` of the further ones.
    elements : Elements, or (n, P) array, optional
        Marked where they lie, with their distance to the slice.
    curves : mapping of str to (m, P) array, optional
        Curves of parameters. A name that begins with a kind and a colon, such as "orbit: unit 0", is drawn as that
        kind: "class" (by default), "closed form", "orbit", "path", "image".
    epsilon : float, optional
        R, or J where the slice has no R, whose contour is drawn strong.
    names : sequence of str, optional
        What each row of the basis is.
    axes, at
        As for `LossSlicePicture.show`.
    histories : bool
        Whether `Elements` bring the histories of their search along.
    title, note : str, optional
        Above, and said below.
    height : int
        In pixels, without legend and caption.

    Returns
    -------
    bokeh.models.LayoutDOM

    Raises
    ------
    NetgeomError
        As `LossSlicePicture.show`; elements or curves over a slice of one axis; parameters of another length.

    Examples
    --------
    >>> found = find_elements(net, x, y, 50)  # doctest: +SKIP
    >>> basis = difference_basis(found.converged[0], found.converged[1:3])  # doctest: +SKIP
    >>> drawn = relative_loss_slice(
    ...     net, x, y, found.converged[0], basis, [np.linspace(-2, 2, 101)] * 2
    ... )  # doctest: +SKIP
    >>> bokeh.io.save(equivalence_plot(drawn, elements=found, epsilon=1e-3))  # doctest: +SKIP
    """
    if len(loss_slice.axes) == 1:
        if elements is not None or curves:
            raise NetgeomError("A line has no place for elements or curves.", expected="a slice of two axes or more")
        line = LossLinePicture(height)
        label = f"c1: {names[0]}" if names else "c1 (units of the basis row)"
        line.show(loss_slice, epsilon=epsilon, label=label, title=title, note=note)
        return line.root
    picture = LossSlicePicture(height)
    picture.show(loss_slice, names=names, axes=axes, at=at, epsilon=epsilon, title=title, note=note)
    if elements is not None:
        picture.draw_elements(seen_elements(elements, loss_slice))
    if curves:
        picture.draw_curves([_curve(name, points, loss_slice) for name, points in curves.items()])
    if not histories or not hasattr(elements, "history"):
        return picture.root
    beside = HistoryPicture(height - 60)
    beside.show(elements)
    sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": _LEAST}
    parts = ((picture.root, _SLICE), (beside.root, _HISTORY))
    return wrapping_row(*(Column(root, max_width=width, **sizes) for root, width in parts), spacing=8)


def seen_elements(elements: Any, loss_slice: Any) -> SliceElements:
    """Elements with finite parameters, seen from a slice."""
    points = np.atleast_2d(np.asarray(getattr(elements, "parameters", elements), dtype=float))
    known = np.flatnonzero(np.isfinite(points).all(axis=1))
    at, distance = _coordinates(points[known], loss_slice)
    if not hasattr(elements, "status"):
        return SliceElements(at, distance, ids=known)
    losses, status = np.asarray(elements.relative_loss)[known], [str(one) for one in np.asarray(elements.status)[known]]
    return SliceElements(at, distance, losses, status, ids=known)


def _curve(name: str, points: Any, loss_slice: Any) -> SliceCurve:
    """A curve seen from a slice; its kind is what stands before a colon in its name."""
    kinds: dict[str, CurveKind] = {
        "class": "class", "closed form": "closed form", "orbit": "orbit", "path": "path",
        "image": "image",
    }  # fmt: skip
    before, _, after = name.partition(":")
    at, distance = _coordinates(np.atleast_2d(np.asarray(points, dtype=float)), loss_slice)
    return SliceCurve(
        at, distance, kinds.get(before.strip(), "class"), after.strip() if before.strip() in kinds else name
    )


def _coordinates(points: np.ndarray, loss_slice: Any) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in a slice and distances to it; of no point, none."""
    from netgeom_widgets.kernels.equivalence import coordinates

    if not len(points):
        return np.empty((0, len(loss_slice.axes))), np.empty(0)
    return coordinates(points, loss_slice.center, loss_slice.basis)
