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
from netgeom_widgets.kernels.similarity.fit import Fit, fit_error
from netgeom_widgets.kernels.similarity.matrix import cross_gram, similarity_matrix
from netgeom_widgets.kernels.similarity.neighbour_labels import neighbour_labels
from netgeom_widgets.kernels.similarity.ordering import Nearest, nearest, path_length, seriate
from netgeom_widgets.kernels.similarity.outputs import Output, loss_gradient, margin, probabilities
from netgeom_widgets.kernels.similarity.result import Similarity
from netgeom_widgets.kernels.similarity.tile_reader import SimilarityTiles, open_tiles
from netgeom_widgets.kernels.similarity.tiles import similarity_tiles
from netgeom_widgets.kernels.similarity.transforms import image_transforms, is_image

__all__ = [
    "Fit",
    "Nearest",
    "NeighbourhoodChanges",
    "Output",
    "Similarity",
    "SimilarityTiles",
    "cka",
    "cross_gram",
    "fit_error",
    "image_transforms",
    "is_image",
    "kernel_alignment",
    "loss_gradient",
    "margin",
    "near_threshold",
    "nearest",
    "neighbour_changes",
    "neighbour_counts",
    "neighbour_labels",
    "open_tiles",
    "path_length",
    "probabilities",
    "seriate",
    "similarity_matrix",
    "similarity_tiles",
    "spearman_rows",
]
