"""Pure compute kernels: numbers in, frozen dataclasses of arrays out; no notebook code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netgeom_widgets.kernels import order_retraction, regions, similarity, transitions

__all__ = ["order_retraction", "regions", "similarity", "transitions"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # on first use: `ng.kernels.regions` needs no import of its own, and the others stay unloaded
        return importlib.import_module(f"netgeom_widgets.kernels.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
