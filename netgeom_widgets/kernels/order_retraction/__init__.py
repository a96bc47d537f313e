"""Morse graphs and order retractions of maps on cubical grids (Gameiro et al. 2021; CMGDB)."""

from __future__ import annotations

from netgeom_widgets.kernels.order_retraction.boxes import BoxImages, box_images
from netgeom_widgets.kernels.order_retraction.collapse import collapse, short_lived, small_nodes
from netgeom_widgets.kernels.order_retraction.conley import conley_indices
from netgeom_widgets.kernels.order_retraction.coordinates import Coordinates, choose_coordinates, domain
from netgeom_widgets.kernels.order_retraction.fitted import FittedMap, HeldOut
from netgeom_widgets.kernels.order_retraction.fitting import DOODL3_SETTINGS, fit_map
from netgeom_widgets.kernels.order_retraction.frequencies import MorseFrequencies, morse_frequencies
from netgeom_widgets.kernels.order_retraction.graph_counts import MorseGraphCount
from netgeom_widgets.kernels.order_retraction.graph_export import to_dot, to_graphml
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.group_test import GroupTest
from netgeom_widgets.kernels.order_retraction.map_values import as_map
from netgeom_widgets.kernels.order_retraction.matching import match_nodes
from netgeom_widgets.kernels.order_retraction.morse import (
    MorseDecomposition,
    morse_decomposition,
    morse_decomposition_of_graph,
)
from netgeom_widgets.kernels.order_retraction.orbits import (
    attracting_block,
    basin,
    orbit,
    reachable_cells,
    reaching_cells,
)
from netgeom_widgets.kernels.order_retraction.persistence import Persistence, persistence
from netgeom_widgets.kernels.order_retraction.poset_forms import PosetForm, poset_form
from netgeom_widgets.kernels.order_retraction.posterior_draws import DrawnMap
from netgeom_widgets.kernels.order_retraction.resampling import resampled_map
from netgeom_widgets.kernels.order_retraction.retraction import Obstruction, OrderRetraction, order_retraction
from netgeom_widgets.kernels.order_retraction.run_scores import prediction_entropy, run_accuracy, run_entropy
from netgeom_widgets.kernels.order_retraction.tiles import TileStatistics, tile_statistics
from netgeom_widgets.kernels.order_retraction.trajectories import Pairs, Trajectories

__all__ = [
    "BoxImages",
    "Coordinates",
    "CubicalGrid",
    "DOODL3_SETTINGS",
    "DrawnMap",
    "FittedMap",
    "GroupTest",
    "HeldOut",
    "MorseDecomposition",
    "MorseFrequencies",
    "MorseGraphCount",
    "Obstruction",
    "OrderRetraction",
    "Pairs",
    "Persistence",
    "PosetForm",
    "TileStatistics",
    "Trajectories",
    "as_map",
    "attracting_block",
    "basin",
    "box_images",
    "choose_coordinates",
    "collapse",
    "conley_indices",
    "domain",
    "fit_map",
    "match_nodes",
    "morse_decomposition",
    "morse_decomposition_of_graph",
    "morse_frequencies",
    "orbit",
    "order_retraction",
    "persistence",
    "poset_form",
    "prediction_entropy",
    "reachable_cells",
    "reaching_cells",
    "resampled_map",
    "run_accuracy",
    "run_entropy",
    "short_lived",
    "small_nodes",
    "tile_statistics",
    "to_dot",
    "to_graphml",
]
