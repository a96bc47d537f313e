"""Morse graphs and order retractions of maps on cubical grids (Gameiro et al. 2021; CMGDB)."""

from __future__ import annotations

from netgeom_widgets.kernels.order_retraction.boxes import BoxImages, box_images
from netgeom_widgets.kernels.order_retraction.coordinates import Coordinates, choose_coordinates, domain
from netgeom_widgets.kernels.order_retraction.grid import CubicalGrid
from netgeom_widgets.kernels.order_retraction.morse import (
    MorseDecomposition,
    morse_decomposition,
    morse_decomposition_of_graph,
)
from netgeom_widgets.kernels.order_retraction.retraction import Obstruction, OrderRetraction, order_retraction
from netgeom_widgets.kernels.order_retraction.trajectories import Pairs, Trajectories

__all__ = [
    "BoxImages",
    "Coordinates",
    "CubicalGrid",
    "MorseDecomposition",
    "Obstruction",
    "OrderRetraction",
    "Pairs",
    "Trajectories",
    "box_images",
    "choose_coordinates",
    "domain",
    "morse_decomposition",
    "morse_decomposition_of_graph",
    "order_retraction",
]
