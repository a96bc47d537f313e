"""An order retraction as a picture, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import LayoutDOM

from netgeom_widgets.figures.order_retraction_graph import MorseGraph
from netgeom_widgets.figures.order_retraction_scene import RetractionScene

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import MorseDecomposition, OrderRetraction


def order_retraction_plot(
    retraction: OrderRetraction,
    *,
    trajectories: Any = None,
    names: Sequence[str] | None = None,
    axes: tuple[int, int] = (0, 1),
    at: Mapping[int, int] | None = None,
    node: int | None = None,
    title: str | None = None,
    note: str = "",
    height: int = 400,
) -> LayoutDOM:
    """The phase plane with the Morse graph beside it: to be saved as HTML, PNG or SVG, or shown with ``bokeh.io.show``.

    Parameters
    ----------
    retraction : OrderRetraction
        Of a grid. On a line the graph of the map is shown over the tiles; of three or more axes a slice.
    trajectories : Trajectories or (runs, times, d) array, optional
        Runs to draw, in the coordinates of the grid; start and end in the colour of the tile that the start lies in.
    names : sequence of str, optional
        Of the axes, with units where they have any.
    axes, at
        Axes across and up, and the cell along each further one; see `PhasePlane.show`.
    node : int, optional
        A node to pick: what does not end in it or below is veiled.
    title, note : str, optional
        Above, and said below.
    height : int
        In pixels, without legend and caption.

    Returns
    -------
    bokeh.models.Row

    Raises
    ------
    NetgeomError
        As `PhasePlane.show` and `PhasePlane.draw_runs`.

    Examples
    --------
    >>> grid = CubicalGrid([-0.001, -0.001], [90, 70], 14)  # doctest: +SKIP
    >>> retraction = order_retraction(morse_decomposition(box_images(leslie, grid)))  # doctest: +SKIP
    >>> bokeh.io.save(order_retraction_plot(retraction, names=["juveniles", "adults"]))  # doctest: +SKIP
    """
    scene = RetractionScene(height)
    scene.show(retraction, names=names, axes=axes, at=at, title=title, note=note)
    if trajectories is not None:
        values = getattr(trajectories, "values", trajectories)
        scene.plane.draw_runs(np.asarray(values), names=getattr(trajectories, "run_ids", None))
    if node is not None:
        scene.mark_node(node)
    return scene.root


def morse_graph_plot(
    decomposition: MorseDecomposition | OrderRetraction, *, title: str | None = None, height: int = 440
) -> LayoutDOM:
    """The Morse graph by itself, for scripts and notebooks; also of a digraph without a grid.

    Parameters
    ----------
    decomposition : MorseDecomposition or OrderRetraction
        The latter also says how large the tiles are.
    title : str, optional
    height : int
        In pixels.

    Returns
    -------
    bokeh.models.Plot
    """
    part = MorseGraph(height)
    part.show(decomposition, title=title)
    return part.root
