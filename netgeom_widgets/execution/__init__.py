"""How long work runs: progress, cancellation, the background worker and the executor seam."""

from __future__ import annotations

from netgeom_widgets.execution.executors import as_executor, single_blas_threads
from netgeom_widgets.execution.progress import Cancel, Cancelled, Progress, as_cancel, as_progress
from netgeom_widgets.execution.worker import Worker

__all__ = [
    "Cancel",
    "Cancelled",
    "Progress",
    "Worker",
    "as_cancel",
    "as_executor",
    "as_progress",
    "single_blas_threads",
]
