"""Two networks side by side in JupyterLab, on a slice of images."""

from __future__ import annotations

from tests.browser.conftest import Lab
from tests.browser.notebook import FIGURE

DIGITS = """
import torch
import netgeom_widgets as ng
from sklearn.datasets import load_digits
digits = load_digits()
x = torch.tensor(digits.images[:300] / 16.0)
def net(seed):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
    return torch.nn.Sequential(torch.nn.Flatten(), *layers).double()
"""
EXPLORER = """
explorer = ng.RegionExplorer(net(0), ng.Slice.through(*x[:3]), x, digits.target[:300], against=net(1),
                             names=("with augmentation", "without"))
explorer.wait()
explorer
"""
# Of each figure on the page: its title, the ends of its x range, and the size of its frame.
FIGURES = """() => Object.values(globalThis[Symbol.for("netgeom.bokehjs")])
    .flatMap(page => [...page.root.Bokeh.index.query(v => v.model.type === "Figure")])
    .map(({model, frame}) => [model.title.text, model.x_range.start, frame.bbox.width, frame.bbox.height])"""


def test_two_networks_are_explored_as_one(lab: Lab) -> None:
    notebook = lab.open(DIGITS, EXPLORER)
    notebook.hide_sidebar()
    notebook.run_all()
    notebook.figure()
    first, second, image = (notebook.page.locator(FIGURE).nth(index) for index in range(3))
    notebook.page.wait_for_timeout(500)
    with notebook.picture_changes(second), notebook.picture_changes(image):
        notebook.hover(*notebook.place_of(0.5, 0.5))
    notebook.page.get_by_text("without: region").wait_for()
    notebook.screenshot("beside-hover")
    titles, starts, widths, heights = zip(*notebook.page.evaluate(FIGURES), strict=True)
    assert any(title.startswith(("input at (0.5,", "input at (0.49", "input at (0.50")) for title in titles)
    assert starts[0] == starts[1] and (widths[0], heights[0]) == (widths[1], heights[1])
    with notebook.picture_changes(first):
        notebook.click(*notebook.place_of(-0.5, 0.5))
    notebook.kernel.wait_for("explorer.region is not None and explorer.against_region is not None")
    notebook.hover(*notebook.place_of(0.3, 0.3))
    notebook.screenshot("beside-light")
    with notebook.picture_changes(second):
        notebook.wheel(5, control=True)
    notebook.kernel.wait_for("explorer.viewport is not explorer.result")
    notebook.kernel.wait_for("explorer.against_viewport is not explorer.against_result")
    notebook.screenshot("beside-zoomed")
    with notebook.picture_changes(second):
        notebook.kernel.run("explorer.anchors = (3, 4, 5)")
    notebook.kernel.wait_for("not explorer._is_busy() and explorer.against_region is None")
    notebook.theme("Dark")
    notebook.screenshot("beside-dark")
    notebook.window(500, 1600)
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("beside-narrow-dark")
    notebook.theme("Light")
    boxes = [figure.bounding_box() for figure in (first, second)]
    assert boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"] - 1, "one under the other"
