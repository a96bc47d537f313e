"""Morse graphs and order retractions of maps on cubical grids (Gameiro et al. 2021; CMGDB)."""

from __future__ import annotations

__all__: list[str] = []
