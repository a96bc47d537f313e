"""OrderRetractionPlot in JupyterLab: a user points, clicks a node and a cell, refines, looks at both themes."""

from __future__ import annotations

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

RUNS = """
import numpy as np
import netgeom_widgets as ng
from netgeom_widgets.recording import Trajectories
rng = np.random.default_rng(0)
at = [rng.uniform(-1.8, 1.8, (40, 6))]
for _ in range(8):
    w = at[-1]
    at.append(w + 0.25 * np.concatenate([w[:, :1] - w[:, :1] ** 3, -0.8 * w[:, 1:2], -0.2 * w[:, 2:]], axis=1))
names = [f"fc.weight[{i}]" for i in range(6)]
runs = Trajectories(np.stack(at, 1), [f"seed {i}" for i in range(40)], np.arange(9) * 50, names)
plot = ng.OrderRetractionPlot(
    runs, coordinates="by name", axis_x="fc.weight[0]", axis_y="fc.weight[1]", subdivisions=12,
    per_run={"accuracy": rng.uniform(0.8, 1, 40)},
)
plot
"""


def place(notebook: Notebook, x: float, y: float) -> tuple[float, float]:
    """A point of the plane in page pixels."""
    return notebook.place_in("plot._figure.plane.root", x, y)


def test_a_user_looks_around_in_the_plane_and_the_graph(lab: Lab) -> None:
    notebook = lab.open(RUNS)
    notebook.run_all()
    notebook.wait_run()
    notebook.hide_sidebar()
    notebook.window(1300, 1700)
    notebook.figure()
    notebook.settle("plot")
    notebook.screenshot("order-retraction-first")
    page = notebook.page
    page.mouse.move(*place(notebook, 0.6, 0.4), steps=4)
    notebook.kernel.wait_for("'Cell' in plot._panel._pointer.value")
    page.mouse.click(*place(notebook, 0.6, 0.4))
    notebook.kernel.wait_for("plot.grid_cell == int(plot.decomposition.grid.locate([[0.6, 0.4]])[0])")
    notebook.settle("plot")
    notebook.screenshot("order-retraction-light")
    page.locator("button[title^='Next Morse node']").press("Enter")
    notebook.kernel.wait_for("plot.node == 0 and plot.grid_cell is None")
    notebook.settle("plot")  # the words below the graph take a line more, and the nodes move
    x, y = notebook.python("[float(plot._figure.graph._nodes.data[name][1]) for name in 'xy']")
    page.mouse.click(*notebook.place_in("plot._figure.graph.root", x, y))
    notebook.kernel.wait_for("plot.node == int(plot._figure.graph._nodes.data['id'][1])")
    notebook.slide("Subdivisions", 1)
    notebook.kernel.wait_for("plot.subdivisions == 13 and plot.decomposition.n_cells == 1 << 13")
    notebook.tick("Trajectories")
    notebook.kernel.run("plot._take_runs()")
    notebook.settle("plot")
    notebook.theme("Dark")
    notebook.settle("plot")
    notebook.screenshot("order-retraction-dark")
    notebook.window(560, 2800)
    notebook.settle("plot")
    notebook.screenshot("order-retraction-narrow")
    notebook.theme("Light")
    assert notebook.python("(plot.status, plot.paths, len(plot.selection) > 0)") == ("done", True, True)
