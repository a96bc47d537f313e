"""The notebook on transitions, run alive: all its widgets are there, linked, and print the numbers that are stored."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat

from tests.browser.conftest import Lab
from tests.browser.notebook import SCREENSHOTS
from tests.browser.test_first_look import printed

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03-transitions-reprdynamics.ipynb"
WIDGETS = ("heat", "dashboard", "fingerprint", "raw", "made", "explorer")


def test_it_runs_alive_with_the_same_numbers_and_two_widgets_play_together(lab: Lab) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    notebook = lab.open_file(Path(shutil.copy(NOTEBOOK, lab.server.notebooks)))
    notebook.page.locator(".jp-RenderedImage img").first.wait_for()
    assert notebook.figures() == 0 and notebook.static_pictures() > 0
    notebook.run_all()
    notebook.page.wait_for_function(f"() => document.querySelectorAll('.netgeom-pane').length === {len(WIDGETS)}")
    for number, name in enumerate(WIDGETS):
        notebook.page.locator(".netgeom-widget").nth(number).scroll_into_view_if_needed()
        notebook.kernel.wait_for(f"{name}.status == 'done' and not {name}._is_busy()", timeout=60)
        notebook.page.wait_for_timeout(500)
        notebook.screenshot(f"transitions-notebook-{name}")
    notebook.hide_sidebar()
    notebook.window(1300, 1300)
    notebook.page.locator(".netgeom-widget").nth(1).scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(1000)
    notebook.page.locator(".netgeom-widget").nth(1).screenshot(path=SCREENSHOTS / "transition-heat-map.png")  # README
    notebook.kernel.run("heat.step = 16; heat.play()")
    notebook.kernel.wait_for("not heat.playing and explorer.step == 20", timeout=60)
    notebook.kernel.wait_for("explorer._figure.root.title.text.startswith('Step 20: ')")
    assert printed(notebook.save()) == printed(stored)
