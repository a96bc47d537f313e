"""Fixtures of the widget tests."""

from __future__ import annotations

import pytest

import netgeom_widgets as ng


@pytest.fixture
def make():
    """Makes region explorers, which are closed when the test ends."""
    made = []

    def make(*args, **kwargs):
        made.append(ng.RegionExplorer(*args, **kwargs))
        return made[-1]

    yield make
    for explorer in made:
        explorer.close()
