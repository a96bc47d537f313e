"""AnalysisWidget in JupyterLab: what is freed, what close() leaves, what works while a cell runs."""

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


def test_a_hover_tool_changed_while_it_builds_its_boxes(lab: Lab) -> None:
    """Any error in the browser's console fails the test."""
    notebook = lab.open(
        "from bokeh.models import HoverTool\nfrom bokeh.plotting import figure\n"
        "from netgeom_widgets.widgets import BokehPane\n"
        "plot = figure(height=250, toolbar_location=None)\n"
        "dots = [plot.scatter([0, 1], [i, 1], size=20) for i in range(12)]\n"
        "plot.add_tools(HoverTool(renderers=dots, tooltips='first'))\npane = BokehPane(plot)\npane"
    )
    notebook.run_all()
    notebook.figure()
    notebook.page.evaluate(
        """async () => {
            const pages = Object.values(globalThis[Symbol.for("netgeom.bokehjs")]);
            const [plot] = pages.flatMap(page => [...page.root.Bokeh.index.query(v => v.model.type === "Figure")]);
            const hover = plot.model.toolbar.tools.find(tool => tool.type === "HoverTool");
            for (let i = 0; i < 60; i++) {
                hover.setv({tooltips: `number ${i}`}, {sync: false});
                for (let wait = 0; wait < i; wait++) await Promise.resolve(); // less than twelve boxes take
            }
        }"""
    )
    notebook.hover(*notebook.place_of(0.0, 0.0))
    notebook.page.get_by_text("number 59").first.wait_for()


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


SHOW = "from tests.widgets.dummy import Squares\nsquares = Squares(count=6)\nsquares"
HOLD = """import pathlib, time
until = time.monotonic() + 90
while not pathlib.Path("{flag}").exists() and time.monotonic() < until:
    time.sleep(0.05)
held = time.monotonic() < until"""


def test_a_widget_lives_while_the_next_cell_blocks(lab: Lab) -> None:
    go = lab.server.notebooks / f"{lab.name}.go"
    notebook = lab.open(SHOW, HOLD.format(flag=go.name))
    notebook.run_all(wait=False)
    with notebook.picture_changes():  # the mark is drawn by Python
        notebook.click(*notebook.place_of(3, 9))
    with notebook.picture_changes():
        notebook.slide("Count", 2)
    notebook.screenshot("base-blocked")
    go.touch()
    notebook.wait_run()
    assert notebook.python("held, squares.selection, squares.count") == (True, (3,), 8)


def test_a_view_whose_first_request_waits_for_a_cell_asks_again(lab: Lab) -> None:
    go = lab.server.notebooks / f"{lab.name}.go"
    notebook = lab.open(SHOW, HOLD.format(flag=go.name))
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    notebook.page.evaluate(f"() => {{ {kernel}.commsOverSubshells = 'disabled'; }}")
    notebook.run_all(wait=False)
    notebook.page.get_by_text("loading the figure").wait_for()
    notebook.page.evaluate(f"() => {{ {kernel}.commsOverSubshells = 'perCommTarget'; }}")
    notebook.figure()
    go.touch()
    notebook.wait_run()
    assert notebook.python("held, len(squares.pane._views)") == (True, 1)


def test_cancel_ends_the_run_that_a_cell_waits_for(lab: Lab) -> None:
    notebook = lab.open(SHOW, "squares.count, squares.delay = 60, 2.0\nsquares.run()\nsquares.wait()")
    notebook.run_all(wait=False)
    notebook.figure()
    notebook.press("Cancel")
    notebook.wait_run(timeout=60)
    assert notebook.python("squares.status") == "cancelled"


def test_a_plot_that_a_cell_is_drawing_is_left_alone_by_messages_of_a_widget(lab: Lab) -> None:
    go = lab.server.notebooks / f"{lab.name}.go"
    begin = "from matplotlib import pyplot\naxes = pyplot.figure().add_subplot()\n"
    notebook = lab.open(SHOW, f"{begin}{HOLD.format(flag=go.name)}\nlines = axes.plot([0, 1], [0, 1])")
    notebook.run_all(wait=False)
    with notebook.picture_changes():
        notebook.click(*notebook.place_of(3, 9))
    go.touch()
    notebook.wait_run()
    outputs = notebook.save().cells[1].outputs
    assert ["image/png" in output.data for output in outputs] == [True]
