"""The notebook on equivalence classes, run alive: it prints the stored numbers, and its widget stands there whole."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab
from tests.browser.stored import picture_for_readme, run_alive


@pytest.mark.timeout(360)  # 40 s by itself, and all of CI's other lane beside it
def test_it_runs_alive_with_the_same_numbers(lab: Lab) -> None:
    with run_alive(lab, "02-equivalence-genni.ipynb") as notebook:
        notebook.kernel.wait_for("'narrow' in globals() and not viewer._is_busy()", timeout=240)
        picture_for_readme(notebook, notebook.page.locator(".netgeom-widget"), "equivalence-slice-viewer", 1900)
