"""The slice chosen by hand in JupyterLab: a slider is dragged, three samples are clicked; the picture follows."""

from __future__ import annotations

from tests.browser.conftest import Lab

DIGITS = """
import torch
import netgeom_widgets as ng
from sklearn.datasets import load_digits
torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x[:200] / 16), y[:200]
net = torch.nn.Sequential(torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 24), torch.nn.ReLU(),
                          torch.nn.Linear(24, 10)).double()
steps = torch.optim.Adam(net.parameters(), 0.02)
for _ in range(40):
    loss = torch.nn.functional.cross_entropy(net(x), torch.tensor(y))
    steps.zero_grad(); loss.backward(); steps.step()
explorer = ng.RegionExplorer(net, data=x, labels=y, color_by="class")
explorer.wait()
explorer
"""
# Three samples that no other one is near to, and where they lie in the scatter.
LONELY = """(lambda p: [(int(i), *p[i].tolist()) for i in
    ((p[:, None] - p) ** 2).sum(2).__add__(1e9 * __import__("numpy").eye(len(p))).min(1).argsort()[-3:]]
)(explorer._scatter._points)"""


def test_the_picture_follows_a_slider_and_three_clicks(lab: Lab) -> None:
    notebook = lab.open(DIGITS)
    notebook.run_all()
    notebook.figure()
    notebook.page.get_by_text("central ones, chosen here").wait_for()
    fold = notebook.page.locator("button[title='Choose the slice by hand']")
    fold.focus()
    fold.press("Enter")
    notebook.kernel.wait_for("explorer._scatter is not None and not explorer._is_busy()")
    picture = notebook.figure(1)
    notebook.screenshot("slice-light")
    with notebook.picture_changes(picture):
        notebook.slide("Turn (°)", 3)
    assert notebook.python("explorer.turn") == 3
    handle = notebook.control("Tilt (°)").locator(".noUi-handle").first
    box = handle.bounding_box()
    assert box is not None
    notebook.kernel.run("seen = []; explorer.observe(lambda change: seen.append(change['new'].domain), 'result')")
    with notebook.picture_changes(picture):
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        notebook.page.mouse.move(x, y)
        notebook.page.mouse.down()
        for step in range(1, 16):
            notebook.page.mouse.move(x + 2 * step, y)
            notebook.page.wait_for_timeout(40)
        notebook.page.mouse.up()
    notebook.kernel.run("explorer.wait()")
    print(f"{notebook.python('len(seen)')} pictures while a slider was dragged ")
    assert notebook.python("len(seen) > 1 and seen[-1] == explorer.domain and explorer.tilt > 5")
    for sample, s, t in notebook.python(LONELY):
        notebook.click(*notebook.place_of(s, t, figure=0), figure=0)
        notebook.kernel.wait_for(f"{sample} in explorer._clicks.ids or {sample} in (explorer.anchors or ())")
    notebook.kernel.wait_for("explorer.tilt == 0 and not explorer._is_busy()")
    assert notebook.python("explorer.domain == ng.Slice.through(*x[list(explorer.anchors)])")
    notebook.page.get_by_text("plane through samples").wait_for()
    notebook.screenshot("slice-clicked")
    notebook.hide_sidebar()
    notebook.window(560, 1500)
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("slice-narrow")
    scatter, picture = (notebook.page.locator(".bk-Figure").nth(number).bounding_box() for number in (0, 1))
    assert scatter is not None
    assert picture is not None
    assert scatter["x"] + scatter["width"] <= 560
    assert picture["y"] >= scatter["y"] + scatter["height"] - 1
