"""SimilarityMatrix in JupyterLab over a training run: a user steps, compares, and opens what diagnoses."""

from __future__ import annotations

from tests.browser.conftest import Lab

DIGITS = """
import copy, torch
import netgeom_widgets as ng
from sklearn.datasets import load_digits
from torch.nn import Flatten, Linear, ReLU, Sequential
digits = load_digits()
x, y = torch.tensor(digits.images[:120] / 16, dtype=torch.float32), torch.tensor(digits.target[:120])
given = torch.where(torch.arange(120) % 20 == 0, (y + 3) % 10, y)
torch.manual_seed(0)
net = Sequential(Flatten(), Linear(64, 24), ReLU(), Linear(24, 10))
optimizer, run = torch.optim.Adam(net.parameters(), 1e-2), {}
for step in range(41):
    if step % 20 == 0:
        run[step] = copy.deepcopy(net.state_dict())
    optimizer.zero_grad(); torch.nn.functional.cross_entropy(net(x), given).backward(); optimizer.step()
matrix = ng.SimilarityMatrix(net, x, given, targets=given, checkpoints=run, against=0)
matrix.wait()
matrix
"""
FOLDS = ("Fit error", "Label noise", "Agreement", "Over training", "Layers", "Invariance")


def test_a_user_compares_steps_and_opens_what_diagnoses(lab: Lab) -> None:
    notebook = lab.open(DIGITS)
    notebook.hide_sidebar()
    notebook.window(1300, 3400)
    notebook.run_all()
    notebook.figure()
    page, kernel = notebook.page, notebook.kernel

    notebook.settle("matrix")
    page.get_by_text("Fit error 0").first.wait_for()
    page.locator("button[title='Previous step']").first.click()
    kernel.wait_for("matrix.status == 'done' and matrix._picture.settings['step'] == 20")
    page.locator("select").filter(has_text="difference").first.select_option(label="difference (other − this)")
    kernel.wait_for("matrix.status == 'done' and matrix._picture.drawn_as == 'difference'")
    for name in FOLDS:
        page.locator("button.widget-toggle-button", has_text=name).first.click()
    kernel.wait_for("matrix.invariance and matrix.by_layer")
    page.locator("select").filter(has_text="shift right").first.select_option(label="shift right")
    kernel.wait_for("matrix._shown_parts['invariance'].found is not None")
    notebook.settle("matrix")
    notebook.screenshot("similarity-compare-light")
    page.locator("select[title^='The most suspicious']").select_option(index=1)
    kernel.wait_for("bool(matrix.row == matrix._shown_parts['label_noise'].found.order[1])")
    notebook.settle("matrix")
    notebook.theme("Dark")
    notebook.settle("matrix")
    notebook.screenshot("similarity-compare-dark")
    notebook.window(500, 5200)
    page.wait_for_timeout(800)
    notebook.screenshot("similarity-compare-narrow")
    notebook.theme("Light")
    assert notebook.python("matrix.status") == "done"
