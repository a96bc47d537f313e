"""Conley indices of Morse sets, by CMGDB."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels.order_retraction.boxes import BoxImages
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition

ConleyIndex = tuple[str, ...]

_ONE_AT_A_TIME = threading.Lock()  # CMGDB keeps static buffers


def conley_indices(
    decomposition: MorseDecomposition,
    *,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> list[ConleyIndex]:
    """The Conley index of each Morse node.

    For each degree of homology 0 to d the invariant factors of the map that the image boxes induce on the homology of
    an index pair of the node, up to shift equivalence, over the field with 5 elements: ("x-1", "0", "0") an attracting
    fixed point, ("0", "x-1", "0") a saddle with one unstable direction, ("x^3-1", "0") an attracting orbit of period 3.
    All "0" is trivial: nothing need be there, and such a node is a candidate to `collapse`:

    >>> indices = conley_indices(found)  # doctest: +SKIP
    >>> collapse(found, [p for p, index in enumerate(indices) if set(index) != {"0"}])  # doctest: +SKIP

    What follows from an index about the map holds where the image boxes enclose the images (see `box_images`) and
    the set lies inside the domain: at its border the index is that of a map that has been cut off. Computed by
    CMGDB (github.com/marciogameiro/CMGDB) from these very boxes; an extra to install: netgeom_widgets[conley].

    Parameters
    ----------
    decomposition : MorseDecomposition
        Of a map on a grid.
    progress, cancel
        See `netgeom_widgets.execution`; looked at before the computation, which is one call of CMGDB.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    list of k tuples of d + 1 str

    Raises
    ------
    NetgeomError
        CMGDB is not there, or the decomposition has no grid.

    Notes
    -----
    Cheap for small sets; seconds for one of 10 000 cells.
    """
    images = _images(decomposition)
    cmgdb = _cmgdb()
    as_cancel(cancel).checkpoint()
    report = as_progress(progress)
    report.update(0, 1, "homology of Morse sets")
    with _ONE_AT_A_TIME:
        graph, _ = cmgdb.ComputeConleyMorseGraph(_model(cmgdb, images))
        cell_of, found = np.argsort(bisection_order(images.grid)), {}
        for vertex in graph.vertices():
            node = int(decomposition.label[cell_of[graph.morse_set(vertex)[0]]])
            found[node] = tuple(graph.annotations(vertex))
    report.update(1, 1)
    return [found[node] for node in range(decomposition.n_nodes)]


def _images(decomposition: MorseDecomposition) -> BoxImages:
    if not isinstance(decomposition, MorseDecomposition) or decomposition.images is None:
        raise NetgeomError(
            "Conley indices are those of a map on a grid",
            expected="what morse_decomposition(box_images(...)) returns",
            got=type(decomposition).__name__ if not isinstance(decomposition, MorseDecomposition) else "a digraph",
        )
    return decomposition.images


def _cmgdb() -> Any:
    try:
        import CMGDB
    except ImportError as error:
        raise NetgeomError(
            "Conley indices need CMGDB", got=f"{error}", try_this='pip install "netgeom_widgets[conley]"'
        ) from error
    return CMGDB


def _model(cmgdb: Any, images: BoxImages) -> Any:
    """CMGDB's description of the same multivalued map."""
    grid, boxes = images.grid, _image_boxes(images)

    def of_many(rectangles: Any) -> Float64[ndarray, "M d2"]:
        corners = np.asarray(rectangles, np.float64)
        return boxes[grid.locate((corners[:, : grid.dims] + corners[:, grid.dims :]) / 2)]

    model = cmgdb.Model(
        grid.subdivisions, grid.lower.tolist(), grid.upper.tolist(), lambda one: of_many([one])[0].tolist()
    )
    model.set_batch_map(of_many)
    return model


def _image_boxes(images: BoxImages) -> Float64[ndarray, "cells d2"]:
    """A box for each cell that meets just the cells that its image meets: it ends inside the outer ones."""
    grid, low, high = images.grid, [], []
    for axis in range(grid.dims):
        edges, inset = grid.edges(axis), grid.widths[axis] / 4
        low.append(edges[images.first[:, axis]] + inset)
        high.append(edges[images.last[:, axis] + 1] - inset)
    boxes = np.stack([*low, *high], axis=1)
    outside = grid.upper + 2 * (grid.upper - grid.lower)
    boxes[images.empty] = np.concatenate([outside, outside])
    return boxes


def bisection_order(grid: CubicalGrid) -> Int64[ndarray, " cells"]:
    """CMGDB's number of each cell: one bit for each bisection, that of the first one highest."""
    places = grid.indices(np.arange(grid.n_cells))
    numbers, left = np.zeros(grid.n_cells, np.int64), list(grid.axis_bits)
    for step in range(grid.subdivisions):
        axis = step % grid.dims
        left[axis] -= 1
        numbers = 2 * numbers + (places[:, axis] >> left[axis] & 1)
    return numbers
