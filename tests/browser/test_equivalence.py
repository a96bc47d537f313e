"""EquivalenceSliceViewer in JupyterLab: a user points, clicks, moves the centre and epsilon, looks at both themes."""

from __future__ import annotations

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

EXAMPLE = """
import netgeom_widgets as ng
viewer = ng.EquivalenceSliceViewer.demo("genni fcn", resolution=41)
viewer
"""


def place(notebook: Notebook, x: float, y: float) -> tuple[float, float]:
    """A point of the slice in page pixels."""
    return notebook.place_in("viewer._figure.plane.root", x, y)


def test_a_user_looks_around_in_the_class(lab: Lab) -> None:
    notebook = lab.open(EXAMPLE)
    notebook.run_all()
    notebook.wait_run()
    notebook.hide_sidebar()
    notebook.window(1300, 1700)
    notebook.figure()
    notebook.settle("viewer")
    notebook.screenshot("equivalence-first")
    page = notebook.page
    x, y = notebook.python("[0.4 * float(axis[-1]) for axis in viewer.result.axes]")
    page.mouse.move(*place(notebook, x, y), steps=4)
    notebook.kernel.wait_for("viewer.pointed.name == 'the pointer'")
    page.mouse.click(*place(notebook, x, y))
    notebook.kernel.wait_for("viewer.point is not None and 'R = ' in viewer._panel._told.value")
    notebook.settle("viewer")
    x, y = notebook.python("viewer._picture.coordinates[viewer._picture.plane.spanned_by[0]].tolist()")
    page.mouse.click(*place(notebook, x, y))
    notebook.kernel.wait_for("viewer.element == viewer._picture.plane.spanned_by[0] and viewer.point is None")
    page.locator("button[title^='Next element']").press("Enter")
    notebook.kernel.wait_for("viewer.element == (viewer._picture.plane.spanned_by[0] + 1) % 10")
    notebook.settle("viewer")
    notebook.screenshot("equivalence-light")
    notebook.slide("Epsilon", 1)
    notebook.kernel.wait_for("viewer.epsilon > 1e-2 and viewer._figure.plane.epsilon == viewer.epsilon")
    notebook.settle("viewer")
    first = notebook.python("viewer._picture.plane.spanned_by[0]")
    page.mouse.dblclick(*place(notebook, x, y))
    notebook.kernel.wait_for(f"viewer.center == {first} == viewer._picture.settings['center']")
    notebook.settle("viewer")
    notebook.theme("Dark")
    notebook.settle("viewer")
    notebook.screenshot("equivalence-dark")
    notebook.window(560, 2800)
    notebook.settle("viewer")
    notebook.screenshot("equivalence-narrow")
    notebook.theme("Light")
    assert notebook.python("(viewer.status, len(viewer.elements))") == ("done", 10)
