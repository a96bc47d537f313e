"""Peel off what cannot lie between recurrent cells, without an edge list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64
from numpy import ndarray

from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.order_retraction.boxes import BoxImages
from netgeom_widgets.kernels.order_retraction.rectangles import (
    add_boxes,
    cells_of,
    summed_area,
    sums_in_boxes,
    volumes,
)

CHUNK = 1 << 21  # cells of rectangles written out at a time

# Peeling is worth its rounds while they take many cells; what is left over is settled by the strong components as well.
_FEW, _PATIENCE = 64, 8
_SHARE = 20

# Cells in an image from which on a digraph of blocks, 10 to 20 edges per cell, is quicker than the list of all edges.
WIDE = 64


@dataclass(frozen=True, eq=False)
class Trimmed:
    """What is left of a grid after peeling.

    Attributes
    ----------
    core : (cells,) bool
        Neither peeled from below nor from above; holds every recurrent cell and all between two of them.
    dead : (cells,) bool
        Peeled from below: every way on from there leaves the domain.
    rounds : list of (n,) int32
        Cells peeled from above, in order; no cell leads to one of an earlier round or of its own.
    wide : bool
        The boxes are so wide that nothing was peeled from above, and that blocks stand for the edges of the core.
    """

    core: Bool[ndarray, " cells"]
    dead: Bool[ndarray, " cells"]
    rounds: list[Int32[ndarray, " _"]]
    wide: bool


def trim(images: BoxImages, cancel: Cancel) -> Trimmed:
    """Peel cells without a live successor, then cells without a live predecessor.

    A cell without predecessors keeps no other cell alive as a successor, and one without successors none as a
    predecessor, so that the order of the two does not matter and each is done once. Cells of the image rectangles are
    counted by summed-area tables and difference arrays: O(cells) memory however many edges there are.
    """
    live = np.ones(images.grid.n_cells, bool)
    _peel_dead(images, live, cancel)
    dead = ~live
    wide = int(volumes(images.first, images.last)[live].sum()) > WIDE * int(live.sum())
    rounds = [] if wide else _peel_sources(images, live, cancel)
    return Trimmed(live, dead, rounds, wide)


def _peel_dead(images: BoxImages, live: Bool[ndarray, " cells"], cancel: Cancel) -> None:
    live[images.empty] = False
    lost = int(images.empty.sum())
    while lost * _SHARE >= max(int(live.sum()), 1):
        cancel.checkpoint()
        cells = np.flatnonzero(live)
        table = summed_area(live.reshape(images.grid.shape))
        gone = cells[sums_in_boxes(table, images.first[cells], images.last[cells]) == 0]
        live[gone] = False
        lost = gone.size


def _peel_sources(images: BoxImages, live: Bool[ndarray, " cells"], cancel: Cancel) -> list[Int32[ndarray, " _"]]:
    rounds: list[Int32[ndarray, " _"]] = []
    predecessors = np.zeros(images.grid.shape, np.int32)
    cells = slice(None) if live.all() else np.flatnonzero(live)
    add_boxes(predecessors, images.first[cells], images.last[cells], 1)
    frontier, few = np.flatnonzero(live & (predecessors.reshape(-1) == 0)), 0
    while frontier.size and few < _PATIENCE:
        cancel.checkpoint()
        rounds.append(frontier.astype(np.int32))
        live[frontier] = False
        few = few + 1 if frontier.size < _FEW else 0
        frontier = _released(images, predecessors, live, frontier)
    return rounds


def _released(
    images: BoxImages,
    predecessors: Int32[ndarray, "*shape"],
    live: Bool[ndarray, " cells"],
    peeled: Int64[ndarray, " n"],
) -> Int64[ndarray, " m"]:
    """Live cells that lose their last predecessor with these; their counts are brought up to date."""
    first, last = images.first[peeled], images.last[peeled]
    flat = predecessors.reshape(-1)
    if int(volumes(first, last).sum()) > flat.size:
        add_boxes(predecessors, first, last, -1)
        return np.flatnonzero(live & (flat == 0))
    _, reached = cells_of(first, last, images.grid.shape)
    np.subtract.at(flat, reached, np.int32(1))
    reached = reached[flat[reached] == 0]
    return np.unique(reached[live[reached]])
