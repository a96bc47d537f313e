"""Widgets: controls, threads and the connection to the browser around the figures.

Names are imported on first use, so that the base does not pull in every analysis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netgeom_widgets.widgets.base import AnalysisWidget
    from netgeom_widgets.widgets.equivalence import EquivalenceSliceViewer
    from netgeom_widgets.widgets.linking import Link, link
    from netgeom_widgets.widgets.order_retraction import OrderRetractionPlot
    from netgeom_widgets.widgets.pane import BokehPane
    from netgeom_widgets.widgets.regions import RegionExplorer
    from netgeom_widgets.widgets.similarity import SimilarityMatrix
    from netgeom_widgets.widgets.transitions import TransitionHeatMap

_NAMES = {
    "AnalysisWidget": "netgeom_widgets.widgets.base",
    "BokehPane": "netgeom_widgets.widgets.pane",
    "EquivalenceSliceViewer": "netgeom_widgets.widgets.equivalence",
    "Link": "netgeom_widgets.widgets.linking",
    "OrderRetractionPlot": "netgeom_widgets.widgets.order_retraction",
    "RegionExplorer": "netgeom_widgets.widgets.regions",
    "SimilarityMatrix": "netgeom_widgets.widgets.similarity",
    "TransitionHeatMap": "netgeom_widgets.widgets.transitions",
    "link": "netgeom_widgets.widgets.linking",
}

__all__ = [
    "AnalysisWidget",
    "BokehPane",
    "EquivalenceSliceViewer",
    "Link",
    "OrderRetractionPlot",
    "RegionExplorer",
    "SimilarityMatrix",
    "TransitionHeatMap",
    "link",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
