"""The first part of the notebook on SplineCam's pictures, run alive: toy classifiers go through training."""

from __future__ import annotations

import nbformat

from tests.browser.conftest import Lab
from tests.browser.stored import NOTEBOOKS, printed

NOTEBOOK = NOTEBOOKS / "01-regions-splinecam.ipynb"
WIDGETS = ("moons", "circles", "blobs")


def test_toy_classifiers_play_through_training_with_the_stored_numbers(lab: Lab) -> None:
    stored = nbformat.read(NOTEBOOK, as_version=4)
    last = next(i for i, cell in enumerate(stored.cells) if cell.source.startswith("## An image"))
    stored.cells = stored.cells[:last]  # the rest takes too long for a browser test; nbval runs it
    path = lab.server.notebooks / NOTEBOOK.name
    nbformat.write(stored, path)
    notebook = lab.open_file(path)
    notebook.page.locator(".jp-RenderedImage img").first.wait_for()
    notebook.run_all()
    for name in WIDGETS:
        notebook.kernel.wait_for(f"{name}.status == 'done' and not {name}._is_busy()", timeout=60)
    notebook.kernel.run("moons.step = 10; moons.play()")
    notebook.kernel.wait_for("not moons.playing and moons.step == 1000", timeout=60)
    notebook.kernel.wait_for("moons._figure.root.title.text.startswith('Step 1,000: ')")
    notebook.page.locator(".netgeom-widget").first.scroll_into_view_if_needed()
    notebook.figure(0)
    notebook.screenshot("splinecam-notebook")
    assert printed(notebook.save()) == printed(stored)
