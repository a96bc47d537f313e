"""AnalysisWidget in JupyterLab: what is freed, what close() leaves, and that no other Bokeh on the page is touched."""

from __future__ import annotations

from tests.browser.conftest import Lab

IMPORT = "from tests.widgets.dummy import Squares\nsquares = None"
AGAIN = "if squares:\n    squares.close()\nsquares = Squares(count=6)\nsquares.wait()\nsquares"


def test_running_a_cell_again_and_again_leaves_no_figure_in_the_page(lab: Lab) -> None:
    notebook = lab.open(IMPORT, AGAIN)
    notebook.run_all()
    notebook.figure()
    session = notebook.page.context.new_cdp_session(notebook.page)
    session.send("Performance.enable")

    def cycle(times: int) -> tuple[int, int]:
        for _ in range(times):
            notebook.run_cell(1)
            notebook.wait_run()
            notebook.figure()
            notebook.kernel.wait_for("len(squares.pane._views) == 1")
        for _ in range(3):
            session.send("HeapProfiler.collectGarbage")
        metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        return int(metrics["Nodes"]), int(metrics["JSEventListeners"])

    cycle(8)
    before, after = cycle(1), cycle(8)
    # a figure kept alive has 330 nodes; ipywidgets itself keeps about 120 for a box of controls closed with it
    assert after[0] - before[0] < 8 * 250
    pages = "Object.values(globalThis[Symbol.for('netgeom.bokehjs')]).map(page => page.root.Bokeh.documents.length)"
    assert notebook.page.evaluate(pages) == [1]
    assert notebook.page.evaluate("typeof globalThis.Bokeh") == "undefined"


def test_close_leaves_a_line_of_text_and_the_picture(lab: Lab) -> None:
    notebook = lab.open(IMPORT, AGAIN)
    notebook.run_all()
    notebook.figure()
    assert notebook.static_pictures() == 0
    notebook.kernel.run("squares.close()")
    notebook.page.get_by_text("Squares was closed: run the cell again.").wait_for()
    assert (notebook.static_pictures(), notebook.figures()) == (1, 0)
    notebook.screenshot("base-closed")
    notebook.run_cell(1)
    notebook.figure()
    assert (notebook.static_pictures(), notebook.figures()) == (0, 1)


def test_figures_in_a_row_stack_in_a_narrow_window(lab: Lab) -> None:
    notebook = lab.open(
        "from bokeh.layouts import row\nfrom bokeh.plotting import figure\n"
        "from netgeom_widgets.widgets import BokehPane\n"
        "plots = [figure(height=250) for _ in range(2)]\n[plot.line([0, 1], [0, 1]) for plot in plots]\n"
        "pane = BokehPane(row(*plots, sizing_mode='stretch_width'))\npane"
    )
    notebook.run_all()
    notebook.figure()
    figures = notebook.page.locator(".bk-Figure")
    first, second = (figures.nth(i).bounding_box() for i in range(2))
    assert first is not None
    assert second is not None
    assert first["y"] == second["y"]
    notebook.hide_sidebar()
    notebook.window(500, 1000)
    notebook.page.wait_for_timeout(500)
    first, second = (figures.nth(i).bounding_box() for i in range(2))
    notebook.screenshot("base-row-narrow")
    assert first is not None
    assert second is not None
    assert second["y"] >= first["y"] + first["height"] - 1
    assert first["width"] > 250
    notebook.window(1300, 1000)
