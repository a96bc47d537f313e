"""Notebooks of the repository, run alive: they have to print the numbers that are stored in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Locator

from tests.browser.conftest import Lab
from tests.browser.notebook import SCREENSHOTS, STATIC_PICTURE, Notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def printed(notebook: nbformat.NotebookNode) -> str:
    """All printed text; how it comes in pieces depends on how busy the machine is."""
    return "".join(
        out.text for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"
    )


@contextmanager
def run_alive(lab: Lab, name: str) -> Iterator[Notebook]:
    """A copy of a notebook: it shows stored pictures, then all cells start; at the end it has printed what is stored.

    Whoever calls waits for the last cell.
    """
    stored = nbformat.read(NOTEBOOKS / name, as_version=4)
    notebook = lab.open_file(Path(shutil.copy(NOTEBOOKS / name, lab.server.notebooks)))
    notebook.page.locator(STATIC_PICTURE).first.wait_for()
    assert notebook.figures() == 0 and notebook.static_pictures() > 0
    notebook.run_all()
    yield notebook
    assert printed(notebook.save()) == printed(stored)


def picture_for_readme(notebook: Notebook, widget: Locator, name: str, height: int) -> None:
    """Keep a picture of a widget, in a window of this height."""
    notebook.hide_sidebar()
    notebook.window(1300, height)
    widget.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(1000)
    widget.screenshot(path=SCREENSHOTS / f"{name}.png")
