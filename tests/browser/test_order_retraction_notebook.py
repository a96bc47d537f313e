"""The notebook on order retractions, run alive: it prints the stored numbers, and its widget stands there whole."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab
from tests.browser.stored import picture_for_readme, run_alive


@pytest.mark.timeout(360)  # 50 s by itself, and all of CI's other lane beside it
def test_it_runs_alive_with_the_same_numbers(lab: Lab) -> None:
    with run_alive(lab, "04-order-retraction-doodl3.ipynb") as notebook:
        last_cell = "'same_tiles' in globals() and not widget._is_busy()"
        notebook.kernel.wait_for(last_cell, timeout=240)
        picture_for_readme(notebook, notebook.page.locator(".netgeom-widget"), "order-retraction-plot", 1900)
