"""What changes between the snapshots of a training run: neighbours, classes, geometry, and distances of transitions."""

from __future__ import annotations

from netgeom_widgets.kernels.transitions.changes import NeighbourChanges, neighbour_changes
from netgeom_widgets.kernels.transitions.classes import (
    class_transition_distance,
    class_transitions,
    classification_distance,
    first_correct,
    forgetting_events,
    learning_events,
)
from netgeom_widgets.kernels.transitions.distances import (
    reprdynamics_distance,
    reprdynamics_distance_of_neighbours,
    transition_distance,
)
from netgeom_widgets.kernels.transitions.geometry import aligned_projection, linear_cka, procrustes_distance
from netgeom_widgets.kernels.transitions.neighbours import Neighbours, nearest_neighbours
from netgeom_widgets.kernels.transitions.overlaps import jaccard, overlap, preservation
from netgeom_widgets.kernels.transitions.recurrence import Recurrence, RecurrenceBands, recurrence, recurrence_bands
from netgeom_widgets.kernels.transitions.scalars import cross_entropy, entropy, margin

__all__ = [
    "NeighbourChanges",
    "Neighbours",
    "Recurrence",
    "RecurrenceBands",
    "aligned_projection",
    "class_transition_distance",
    "class_transitions",
    "classification_distance",
    "cross_entropy",
    "entropy",
    "first_correct",
    "forgetting_events",
    "jaccard",
    "learning_events",
    "linear_cka",
    "margin",
    "nearest_neighbours",
    "neighbour_changes",
    "overlap",
    "preservation",
    "procrustes_distance",
    "recurrence",
    "recurrence_bands",
    "reprdynamics_distance",
    "reprdynamics_distance_of_neighbours",
    "transition_distance",
]
