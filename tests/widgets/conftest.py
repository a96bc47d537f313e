"""Fixtures of the widget tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netgeom_widgets as ng


def maker(make_one: Callable[..., Any]) -> Any:
    """A fixture `make`, which makes widgets of some kind, and closes them when the test ends."""

    @pytest.fixture(name="make")
    def fixture():
        made = []

        def make(*args, **kwargs):
            made.append(make_one(*args, **kwargs))
            return made[-1]

        yield make
        for widget in made:
            widget.close()

    return fixture


make = maker(ng.RegionExplorer)
