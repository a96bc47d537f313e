"""Equivalence classes of parameters: vectors that give one function, and slices through their neighbourhood (GENNI)."""

from __future__ import annotations

from netgeom_widgets.kernels.equivalence.alignment import Alignment, align, alignment
from netgeom_widgets.kernels.equivalence.assessment import assess_elements
from netgeom_widgets.kernels.equivalence.bases import difference_basis, pca_basis, random_basis
from netgeom_widgets.kernels.equivalence.canonical import canonicalize
from netgeom_widgets.kernels.equivalence.class_trace import Trace, trace_class
from netgeom_widgets.kernels.equivalence.clusters import Clusters, cluster_elements, element_clusters
from netgeom_widgets.kernels.equivalence.dead import DeadUnit, dead_units, is_dead_network
from netgeom_widgets.kernels.equivalence.elements import Element, Elements
from netgeom_widgets.kernels.equivalence.epsilon import epsilon_set
from netgeom_widgets.kernels.equivalence.gauss_newton import gauss_newton_basis
from netgeom_widgets.kernels.equivalence.generators import Generators, symmetry_basis, symmetry_generators
from netgeom_widgets.kernels.equivalence.genni import GenniExperiment, GenniGrid, read_genni
from netgeom_widgets.kernels.equivalence.null_directions import NullSpace
from netgeom_widgets.kernels.equivalence.null_space import null_space
from netgeom_widgets.kernels.equivalence.orbits import discrete_images, symmetry_orbit
from netgeom_widgets.kernels.equivalence.planes import as_basis, coordinates
from netgeom_widgets.kernels.equivalence.problem import Losses, relative_loss
from netgeom_widgets.kernels.equivalence.profile import (
    ProfileSlice,
    profile_parts,
    profile_slice,
    relative_profile_slice,
)
from netgeom_widgets.kernels.equivalence.projection import Projection, project_points
from netgeom_widgets.kernels.equivalence.search import find_elements
from netgeom_widgets.kernels.equivalence.slice_evaluation import LossSlice, SlicePart
from netgeom_widgets.kernels.equivalence.slices import loss_slice, relative_loss_slice, slice_parts

__all__ = [
    "Alignment",
    "Clusters",
    "DeadUnit",
    "Element",
    "Elements",
    "Generators",
    "GenniExperiment",
    "GenniGrid",
    "LossSlice",
    "Losses",
    "NullSpace",
    "ProfileSlice",
    "Projection",
    "SlicePart",
    "Trace",
    "align",
    "alignment",
    "as_basis",
    "assess_elements",
    "canonicalize",
    "cluster_elements",
    "coordinates",
    "dead_units",
    "difference_basis",
    "discrete_images",
    "element_clusters",
    "epsilon_set",
    "find_elements",
    "gauss_newton_basis",
    "is_dead_network",
    "loss_slice",
    "null_space",
    "pca_basis",
    "profile_parts",
    "profile_slice",
    "project_points",
    "random_basis",
    "read_genni",
    "relative_loss",
    "relative_loss_slice",
    "relative_profile_slice",
    "slice_parts",
    "symmetry_basis",
    "symmetry_generators",
    "symmetry_orbit",
    "trace_class",
]
