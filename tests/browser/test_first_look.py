"""The notebook that the README's first command opens, as a newcomer meets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat

from tests.browser.conftest import Lab
from tests.browser.notebook import SCREENSHOTS

FIRST_LOOK = Path(__file__).parents[2] / "notebooks" / "00-first-look.ipynb"


def printed(notebook: nbformat.NotebookNode) -> str:
    """All printed text; how it comes in pieces depends on how busy the machine is."""
    return "".join(
        out.text for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"
    )


def test_it_shows_stored_pictures_then_runs_alive_with_the_same_numbers(lab: Lab) -> None:
    stored = nbformat.read(FIRST_LOOK, as_version=4)
    notebook = lab.open_file(Path(shutil.copy(FIRST_LOOK, lab.server.notebooks)))
    notebook.page.locator(".jp-RenderedImage img").first.wait_for()
    notebook.screenshot("first-look-opened")
    assert notebook.figures() == 0
    assert notebook.static_pictures() > 0
    notebook.run_all()
    notebook.page.wait_for_function("() => document.querySelectorAll('.netgeom-pane').length === 2")
    notebook.figure(0)
    assert notebook.static_pictures() == 0
    assert notebook.python("explorer.region") == notebook.python("int(partition.locate(points[:1])[0])")
    notebook.screenshot("first-look-run")
    notebook.hide_sidebar()
    notebook.picture_hash()
    notebook.page.locator(".netgeom-widget").first.screenshot(path=SCREENSHOTS / "region-explorer.png")  # the README's
    with notebook.picture_changes():
        notebook.click(*notebook.place_of(-1.5, 1.5))
    notebook.kernel.wait_for("explorer.region == int(partition.locate([[-1.5, 1.5]])[0])")
    assert printed(notebook.save()) == printed(stored)
