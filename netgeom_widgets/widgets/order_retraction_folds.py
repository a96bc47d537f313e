"""Mixin of the order retraction plot: what is shown below the figure, most of it on demand."""

from __future__ import annotations

from netgeom_widgets.widgets.order_retraction_fit import FitPanel
from netgeom_widgets.widgets.order_retraction_persistence import PersistencePanel
from netgeom_widgets.widgets.order_retraction_robustness import RobustnessPanel
from netgeom_widgets.widgets.order_retraction_runs import RunsPanel
from netgeom_widgets.widgets.order_retraction_statistics import StatisticsPanel


class Folds(FitPanel, StatisticsPanel, RunsPanel, PersistencePanel, RobustnessPanel):
    """Robustness, persistence, runs and their statistics, fit and coordinates: all of the picture shown."""
