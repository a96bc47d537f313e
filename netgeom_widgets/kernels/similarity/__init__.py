"""Which inputs a network treats alike: similarity of the gradients of its outputs (Charpiat et al. 2019)."""

from __future__ import annotations

from netgeom_widgets.kernels.similarity.alignment import (
    NeighbourhoodChanges,
    cka,
    kernel_alignment,
    neighbour_changes,
    spearman_rows,
)
from netgeom_widgets.kernels.similarity.counts import near_threshold, neighbour_counts
from netgeom_widgets.kernels.similarity.ordering import Nearest, nearest, path_length, seriate

__all__ = [
    "Nearest",
    "NeighbourhoodChanges",
    "cka",
    "kernel_alignment",
    "near_threshold",
    "nearest",
    "neighbour_changes",
    "neighbour_counts",
    "path_length",
    "seriate",
    "spearman_rows",
]
