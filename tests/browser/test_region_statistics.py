"""The panels under the region picture in JupyterLab: statistics with its table, boundary samples, curves."""

from __future__ import annotations

from tests.browser.conftest import Lab

DIGITS = """
import torch
import netgeom_widgets as ng
from sklearn.datasets import load_digits

digits = load_digits()
images = torch.tensor(digits.images / 16.0, dtype=torch.float32)
labels = torch.tensor(digits.target)
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer, states = torch.optim.Adam(net.parameters(), 0.02), {}
for step in range(9):
    states[step] = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(images), labels).backward()
    optimizer.step()
"""
EXPLORER = """
explorer = ng.RegionExplorer(net, ng.Slice.through(*images[:3]), images[:200], labels[:200], checkpoints=states)
explorer.wait()
explorer
"""


def test_statistics_boundary_samples_and_curves(lab: Lab) -> None:
    notebook = lab.open(DIGITS, EXPLORER)
    notebook.run_all()
    notebook.figure()
    page, kernel = notebook.page, notebook.kernel
    notebook.window(1300, 2600)

    page.locator("button", has_text="Statistics").click()
    page.locator(".slick-row").first.wait_for()
    page.locator(".slick-header-column", has_text="area").first.click()
    smallest = notebook.python("int(explorer.result.areas.argmin())")
    with notebook.picture_changes():
        page.locator(".slick-row .slick-cell").first.click()
    kernel.wait_for(f"explorer.region == {smallest}")
    kernel.run("explorer.region = 40")
    page.locator(".slick-cell.selected", has_text="40").first.wait_for()

    kernel.run("explorer.n_boundary_samples = 20")
    page.locator("button", has_text="Training curves").click()
    kernel.wait_for("len(explorer._rows) == 9 and not explorer._is_busy()")
    notebook.page.wait_for_timeout(800)
    notebook.screenshot("statistics-light")
    boundary_length = page.locator(".bk-Figure").filter(visible=True).last
    boundary_length.scroll_into_view_if_needed()
    notebook.screenshot("curves-light")
    size = boundary_length.bounding_box()
    boundary_length.click(position={"x": size["width"] / 2, "y": size["height"] / 2})
    kernel.wait_for("explorer.step in (3, 4)")
    notebook.theme("Dark")
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("statistics-dark")
    notebook.hide_sidebar()
    notebook.window(500, 4200)
    notebook.page.wait_for_timeout(1000)
    notebook.screenshot("statistics-narrow-dark")
    notebook.theme("Light")
