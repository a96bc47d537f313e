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
from netgeom_widgets.kernels.similarity.denoising import Denoised, denoise, denoise_from_gram
from netgeom_widgets.kernels.similarity.fit import Fit, fit_error
from netgeom_widgets.kernels.similarity.invariance import Invariance, invariance
from netgeom_widgets.kernels.similarity.label_noise import label_noise_scores
from netgeom_widgets.kernels.similarity.loss import similarity_loss
from netgeom_widgets.kernels.similarity.matrix import cross_gram, similarity_matrix
from netgeom_widgets.kernels.similarity.neighbour_labels import neighbour_labels
from netgeom_widgets.kernels.similarity.ordering import Nearest, nearest, path_length, seriate
from netgeom_widgets.kernels.similarity.outputs import Output, loss_gradient, margin, probabilities
from netgeom_widgets.kernels.similarity.result import Similarity
from netgeom_widgets.kernels.similarity.soft_counts import soft_neighbour_counts
from netgeom_widgets.kernels.similarity.stored_gradients import similarity_from_gradients
from netgeom_widgets.kernels.similarity.tile_reader import SimilarityTiles, open_tiles
from netgeom_widgets.kernels.similarity.tiles import similarity_tiles
from netgeom_widgets.kernels.similarity.transforms import image_transforms, is_image

__all__ = [
    "Denoised",
    "Fit",
    "Invariance",
    "Nearest",
    "NeighbourhoodChanges",
    "Output",
    "Similarity",
    "SimilarityTiles",
    "cka",
    "cross_gram",
    "denoise",
    "denoise_from_gram",
    "fit_error",
    "image_transforms",
    "invariance",
    "is_image",
    "kernel_alignment",
    "label_noise_scores",
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
    "similarity_from_gradients",
    "similarity_loss",
    "similarity_matrix",
    "similarity_tiles",
    "soft_neighbour_counts",
    "spearman_rows",
]
