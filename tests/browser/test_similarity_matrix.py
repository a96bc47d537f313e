"""SimilarityMatrix in JupyterLab: a user points, clicks, zooms, draws a box, moves the threshold."""

from __future__ import annotations

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

DIGITS = """
import torch
import netgeom_widgets as ng
from sklearn.datasets import load_digits
from torch.nn import Flatten, Linear, ReLU, Sequential
digits = load_digits()
x, y = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
torch.manual_seed(0)
net = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
for _ in range(100):
    optimizer.zero_grad(); torch.nn.functional.cross_entropy(net(x), y).backward(); optimizer.step()
matrix = ng.SimilarityMatrix(net, x[:300], y[:300], order="by class")
matrix
"""


def place(notebook: Notebook, x: float, y: float) -> tuple[float, float]:
    """A place in cells of the matrix, in page pixels."""
    return notebook.place_in("matrix._figure.matrix.root", x, y)


def test_a_user_looks_around_in_the_matrix(lab: Lab) -> None:
    notebook = lab.open(DIGITS)
    notebook.run_all()
    notebook.wait_run()
    notebook.hide_sidebar()
    notebook.window(1300, 1500)
    notebook.figure()
    notebook.settle("matrix")
    page = notebook.page
    page.mouse.move(*place(notebook, 100.5, 40.5), steps=4)
    page.get_by_text("k = ").first.wait_for()
    page.mouse.click(*place(notebook, 100.5, 40.5))
    notebook.kernel.wait_for("matrix.pair == (matrix.shown_order[40], matrix.shown_order[100])")
    notebook.settle("matrix")
    notebook.screenshot("similarity-light")
    page.locator("button[title^='Next input']").press("Enter")
    notebook.kernel.wait_for("bool(matrix.row == matrix.shown_order[41])")
    page.mouse.move(*place(notebook, 150, 150))
    page.keyboard.down("Control")
    for _ in range(4):
        page.mouse.wheel(0, -360)
    page.keyboard.up("Control")
    notebook.kernel.wait_for("matrix.view is not None and matrix._figure.matrix.view.factor == 1")
    page.locator("button[title^='Show the whole figure']").click()
    notebook.kernel.wait_for("matrix.view is None")
    notebook.slide("Threshold", -30)
    notebook.kernel.wait_for("matrix.neighbour_counts.threshold == matrix.threshold < 0.7")
    notebook.kernel.run("matrix.counts = matrix.table = True; matrix._take_neighbours(); matrix.order = 'seriated'")
    notebook.settle("matrix")
    page.locator(".slick-row").first.wait_for()
    notebook.theme("Dark")
    notebook.settle("matrix")
    notebook.screenshot("similarity-dark")
    notebook.window(560, 2600)
    notebook.settle("matrix")
    notebook.screenshot("similarity-narrow")
    notebook.theme("Light")
    assert notebook.python("(matrix.status, matrix.row in matrix.selection)") == ("done", True)
