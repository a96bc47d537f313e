"""EquivalenceSliceViewer in JupyterLab: a user opens what stands below the slice, clicks into it and turns the cube."""

from __future__ import annotations

import re

from tests.browser.conftest import Lab

EXAMPLE = """
import netgeom_widgets as ng
few = {"n_elements": 5, "resolution": 21, "trace_steps": 10, "space_points": 11, "projection_points": 7}
viewer = ng.EquivalenceSliceViewer.demo("genni fcn", epsilon=0.3, arrows=True, orbits=True, images=True, **few)
viewer
"""
FOLDS = {
    "Elements": "element_table",
    "Singular spectrum": "spectrum",
    "Class curves": "class_curves",
    "Comparison": "comparison",
    "Three dimensions": "space",
    "Higher dimensions": "projection",
}


def test_a_user_opens_the_folds_and_clicks_into_them(lab: Lab) -> None:
    notebook = lab.open(EXAMPLE)
    notebook.hide_sidebar()
    notebook.window(1300, 5000)
    notebook.run_all()
    notebook.wait_run()
    notebook.figure()
    page, kernel = notebook.page, notebook.kernel
    for name in FOLDS:
        page.locator("button.widget-toggle-button", has_text=re.compile(f"^{name}$")).first.click()
    kernel.wait_for(f"all(viewer._shown_parts[key].found is not None for key in {list(FOLDS.values())})", timeout=60)
    notebook.settle("viewer")
    notebook.screenshot("equivalence-folds-light")
    page.locator(".slick-cell", has_text=re.compile("^copy of ")).first.click()
    kernel.wait_for("viewer.element > 0")
    evaluated = notebook.python("id(viewer._shown_parts['space'].found)")
    notebook.slide("Azimuth (°)", 3)
    kernel.wait_for("viewer._shown_parts['space'].part._figure.view.azimuth == viewer.azimuth == 38.0")
    assert notebook.python("id(viewer._shown_parts['space'].found)") == evaluated
    notebook.theme("Dark")
    notebook.window(500, 8000)
    notebook.settle("viewer")
    notebook.screenshot("equivalence-folds-narrow")
    notebook.theme("Light")
    assert notebook.python("viewer.status") == "done"
