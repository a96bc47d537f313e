"""The notebook on similarity, run alive: it prints the numbers that are stored, and its widget stands there whole."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab
from tests.browser.stored import picture_for_readme, run_alive


@pytest.mark.timeout(300)  # 40 s by itself, and all of CI's other lane beside it
def test_it_runs_alive_with_the_same_numbers(lab: Lab) -> None:
    with run_alive(lab, "05-similarity-netsimilarity.ipynb") as notebook:
        last_cell = "'wrong' in globals() and not widget._is_busy()"
        notebook.kernel.wait_for(last_cell, timeout=200)
        picture_for_readme(notebook, notebook.page.locator(".netgeom-widget"), "similarity-matrix", 1900)
        assert notebook.page.locator(".netgeom-pane").count() == 2  # the matrix, and the fold that the cell opens
