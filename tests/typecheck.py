"""The run-time type checker of the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

# The numeric tower: an int is welcome where a float is asked for, as type checkers have it (PEP 484).
_check = beartype(conf=BeartypeConf(is_pep484_tower=True))
# Entry points refuse wrong types themselves, in words for users; the checker would answer before them.
_NAMES = (
    "_model",
    "order_retraction.fitting",
    "order_retraction.frequencies",
    "order_retraction.orbits",
    "order_retraction.persistence",
    "order_retraction.tiles",
    "order_retraction.trajectories",
    "regions.compute",
    "regions.local_complexity",
    "regions.registry",
    "regions.slices",
    "similarity.counts",
    "similarity.tile_matrix",
    "similarity.tile_reader",
    "similarity.tiles",
    "transitions.neighbours",
    "transitions.recurrence",
)
_ENTRY_POINTS = tuple(f"netgeom_widgets.kernels.{name}" for name in _NAMES)


def checked(annotated: Callable[..., Any]) -> Callable[..., Any]:
    """Check every call against its annotations, but for the entry points."""
    return annotated if annotated.__module__ in _ENTRY_POINTS else _check(annotated)
