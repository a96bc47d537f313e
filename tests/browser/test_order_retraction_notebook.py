"""The notebook on order retractions, run alive: it prints the stored numbers, and its widget stands there whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from tests.browser.conftest import Lab
from tests.browser.notebook import SCREENSHOTS
from tests.browser.test_first_look import printed

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04-order-retraction-doodl3.ipynb"


@pytest.mark.timeout(360)  # 50 s by itself, and all of CI's other lane beside it
def test_it_runs_alive_with_the_same_numbers(lab: Lab) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    notebook = lab.open_file(Path(shutil.copy(NOTEBOOK, lab.server.notebooks)))
    notebook.page.locator(".jp-RenderedImage img").first.wait_for()
    assert notebook.figures() == 0 and notebook.static_pictures() > 0
    notebook.run_all()
    notebook.kernel.wait_for("'same_tiles' in globals() and not widget._is_busy()", timeout=240)  # the last cell
    notebook.hide_sidebar()
    notebook.window(1300, 1900)
    widget = notebook.page.locator(".netgeom-widget")
    widget.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(1000)
    widget.screenshot(path=SCREENSHOTS / "order-retraction-plot.png")  # README
    assert printed(notebook.save()) == printed(stored)
