"""What training leaves behind: snapshots of layers, outputs and parameters, written as it runs, read at any time."""

from __future__ import annotations

from netgeom_widgets.recording.arrays import record_arrays
from netgeom_widgets.recording.recorder import Recorder
from netgeom_widgets.recording.recording import Recording, open_recording
from netgeom_widgets.recording.reducers import projected
from netgeom_widgets.recording.schedules import num_snapshots
from netgeom_widgets.recording.trajectories import Trajectories, trajectories
from netgeom_widgets.recording.views import SnapshotArray

__all__ = [
    "Recorder",
    "Recording",
    "SnapshotArray",
    "Trajectories",
    "num_snapshots",
    "open_recording",
    "projected",
    "record_arrays",
    "trajectories",
]
