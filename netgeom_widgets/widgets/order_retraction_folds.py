"""Mixin of the order retraction plot: what is shown below the figure on demand."""

from __future__ import annotations

from netgeom_widgets.widgets.order_retraction_runs import RunsPanel


class Folds(RunsPanel):
    """All of the picture shown, in the order of their folds."""
