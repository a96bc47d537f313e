"""Exact partition of a two-dimensional input slice into the linear regions of a piecewise-linear network."""

from __future__ import annotations

from netgeom_widgets.kernels.regions.certificate import Certificate
from netgeom_widgets.kernels.regions.compute import compile_partition, partition
from netgeom_widgets.kernels.regions.decision import Boundary
from netgeom_widgets.kernels.regions.local_complexity import local_complexity
from netgeom_widgets.kernels.regions.measures import Statistics
from netgeom_widgets.kernels.regions.partition import Partition
from netgeom_widgets.kernels.regions.registry import register_activation
from netgeom_widgets.kernels.regions.slices import Slice

__all__ = [
    "Boundary",
    "Certificate",
    "Partition",
    "Slice",
    "Statistics",
    "compile_partition",
    "local_complexity",
    "partition",
    "register_activation",
]
