"""The notebook that the README's first command opens, as a newcomer meets it."""

from __future__ import annotations

from tests.browser.conftest import Lab
from tests.browser.notebook import SCREENSHOTS
from tests.browser.stored import run_alive


def test_it_shows_stored_pictures_then_runs_alive_with_the_same_numbers(lab: Lab) -> None:
    with run_alive(lab, "00-first-look.ipynb") as notebook:
        notebook.page.wait_for_function("() => document.querySelectorAll('.netgeom-pane').length === 2")
        notebook.figure(0)
        assert notebook.static_pictures() == 0
        assert notebook.python("explorer.region") == notebook.python("int(partition.locate(points[:1])[0])")
        notebook.screenshot("first-look-run")
        notebook.hide_sidebar()
        notebook.picture_hash()
        notebook.page.locator(".netgeom-widget").first.screenshot(path=SCREENSHOTS / "region-explorer.png")  # README
        with notebook.picture_changes():
            notebook.click(*notebook.place_of(-1.5, 1.5))
        notebook.kernel.wait_for("explorer.region == int(partition.locate([[-1.5, 1.5]])[0])")
