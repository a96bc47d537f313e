"""See the geometry of a neural network: exact, fast, alive in a notebook.

Names are imported on first use (PEP 562), so ``import netgeom_widgets`` loads neither torch, bokeh nor ipywidgets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from netgeom_widgets import datasets, errors, execution, figures, kernels, recording, training, widgets
    from netgeom_widgets.diagnosis import doctor
    from netgeom_widgets.kernels.regions import Slice
    from netgeom_widgets.recording import Recorder, open_recording, record_arrays
    from netgeom_widgets.widgets import (
        EquivalenceSliceViewer,
        OrderRetractionPlot,
        RegionExplorer,
        SimilarityMatrix,
        TransitionHeatMap,
        link,
    )

_SUBPACKAGES = ("datasets", "errors", "execution", "figures", "kernels", "recording", "training", "widgets")
_NAMES = {
    "EquivalenceSliceViewer": "netgeom_widgets.widgets",
    "OrderRetractionPlot": "netgeom_widgets.widgets",
    "Recorder": "netgeom_widgets.recording",
    "RegionExplorer": "netgeom_widgets.widgets",
    "SimilarityMatrix": "netgeom_widgets.widgets",
    "Slice": "netgeom_widgets.kernels.regions",
    "TransitionHeatMap": "netgeom_widgets.widgets",
    "doctor": "netgeom_widgets.diagnosis",
    "link": "netgeom_widgets.widgets",
    "open_recording": "netgeom_widgets.recording",
    "record_arrays": "netgeom_widgets.recording",
}

__all__ = [
    "EquivalenceSliceViewer",
    "OrderRetractionPlot",
    "Recorder",
    "RegionExplorer",
    "SimilarityMatrix",
    "Slice",
    "TransitionHeatMap",
    "datasets",
    "doctor",
    "errors",
    "execution",
    "figures",
    "kernels",
    "link",
    "open_recording",
    "record_arrays",
    "recording",
    "training",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        value = importlib.import_module(f"netgeom_widgets.{name}")
    elif name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
