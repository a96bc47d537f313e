"""OrderRetractionPlot in JupyterLab: a user opens what stands below the figure and clicks into it."""

from __future__ import annotations

import re

from tests.browser.conftest import Lab
from tests.browser.test_order_retraction import RUNS

FOLDS = ("Persistence", "Runs", "Runs by tile", "Fit of the map", "Coordinates")


def test_a_user_opens_the_folds_and_clicks_into_them(lab: Lab) -> None:
    notebook = lab.open(RUNS)
    notebook.hide_sidebar()
    notebook.window(1300, 4600)
    notebook.run_all()
    notebook.figure()
    page, kernel = notebook.page, notebook.kernel
    kernel.wait_for("plot._shown_parts['robustness'].found is not None")
    for name in FOLDS:
        page.locator("button.widget-toggle-button", has_text=re.compile(f"^{name}$")).first.click()
    kernel.wait_for("plot.spread and plot._shown_parts['spread'].found is not None")
    notebook.settle("plot")
    notebook.screenshot("order-retraction-folds-light")
    row, node = notebook.python(
        "next((row, lives.node(int(track))) for lives in [plot._shown_parts['persistence'].found]"
        " for row, track in enumerate(plot._shown_parts['persistence'].part._figure.shown)"
        " if lives.node(int(track)) is not None)"
    )
    end = notebook.python("len(plot._shown_parts['persistence'].found.tracks.levels) - 1")
    page.mouse.click(*notebook.place_in("plot._shown_parts['persistence'].fold.pane.root", end, row))
    kernel.wait_for(f"plot.node == {node}")
    page.locator(".slick-cell", has_text="seed 3").first.click()
    kernel.wait_for("len(plot.selection) == 1")
    page.locator("button[title='Previous step']").first.click()
    kernel.wait_for("plot.step == plot.steps[-2]")
    notebook.theme("Dark")
    notebook.window(500, 7400)
    notebook.settle("plot")
    notebook.screenshot("order-retraction-folds-narrow")
    notebook.theme("Light")
    assert notebook.python("plot.status") == "done"
