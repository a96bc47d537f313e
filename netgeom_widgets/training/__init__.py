"""Training many small networks of one architecture at once, so that analyses have whole ensembles to look at."""

from __future__ import annotations

from netgeom_widgets.training.runs import TrainedRuns, train_runs

__all__ = ["TrainedRuns", "train_runs"]
