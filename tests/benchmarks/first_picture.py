"""Time to the first picture of a partition, in the browser: `python tests/benchmarks/first_picture.py`.

JupyterLab and headless Chromium (software canvas) on this machine, as in the browser tests: the kernel has done its
imports and has its model, then a cell makes and shows a RegionExplorer. The clock runs in the page, from asking for the
cell to be run until the second animation frame after the title of the figure named the first layer, and the last. The
first run also fetches BokehJS from the kernel, as the first widget of a page does; the later ones find it there.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.browser.notebook import Notebook, write_notebook
from tests.browser.server import JupyterLab

SETUP = """
import torch
import netgeom_widgets as ng
from torch.nn import Conv2d, Flatten, Linear, ReLU, Sequential
torch.manual_seed(0)
"""
# Default initialisation, float64, slices by images of noise: the plane of three of them whole, and of the CNN the
# surroundings of the first, since the whole plane has a million regions.
NETS = {
    "784-256-256-10": """
net = Sequential(Linear(784, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 10)).double()
domain = ng.Slice.through(*torch.rand(3, 784, dtype=torch.float64))
""",
    "CNN on 3x32x32": """
net = Sequential(
    Conv2d(3, 8, 3, stride=2, padding=1), ReLU(), Conv2d(8, 16, 3, stride=2, padding=1), ReLU(),
    Flatten(), Linear(1024, 32), ReLU(), Linear(32, 10),
).double()
a, b, c = torch.rand(3, 3, 32, 32, dtype=torch.float64)
domain = ng.Slice.around(a, b - a, c - a, 2.0)
""",
}
SHOW = "ng.RegionExplorer"  # a warm kernel: what is imported on first use is imported before the clock starts
EXPLORER = "explorer = ng.RegionExplorer(net, domain)\nexplorer"

# Titles of the newest figure as they come to stand in the page, with the time from running the cell to their paint.
WATCH = """index => {
    const seen = globalThis.titles = [], from = performance.now();
    const frame = () => new Promise(requestAnimationFrame);
    const figures = () => Object.values(globalThis[Symbol.for("netgeom.bokehjs")] ?? {})
        .flatMap(page => [...(page.root.Bokeh?.index.query(view => view.model.type === "Figure") ?? [])]);
    const before = new Set(figures());
    (async () => {
        for (let last = ""; !last.includes(", exact");) {
            await frame();
            const view = figures().find(view => !before.has(view));
            const title = view?.model.title?.text ?? "";
            if (!title.includes(" region") || title === last || !view.el.querySelector) continue;
            last = title;
            await frame(); await frame();
            seen.push([performance.now() - from, title]);
        }
    })();
    const { content } = window.jupyterapp.shell.currentWidget;
    content.activeCellIndex = index;
    window.jupyterapp.commands.execute("notebook:run-cell");
}"""


def measure(notebook: Notebook, repetitions: int) -> list[list[tuple[float, str]]]:
    """Titles with their seconds, for each time the last cell is run."""
    runs = []
    for _ in range(repetitions):
        notebook.page.evaluate(WATCH, 2)
        notebook.page.wait_for_function("() => titles.length && titles.at(-1)[1].includes(', exact')", timeout=300_000)
        runs.append([(milliseconds / 1000, title) for milliseconds, title in notebook.page.evaluate("() => titles")])
        notebook.kernel.wait_for("not explorer._is_busy()", timeout=120)
        notebook.kernel.run("explorer.close()")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description="seconds to the first and to the last picture of a RegionExplorer")
    parser.add_argument("--repetitions", type=int, default=3, help="runs after the first in a page")
    arguments = parser.parse_args()
    print(f"{'net':>16} {'page':>6} {'first s':>8} {'whole s':>8}  first picture | whole picture")
    with contextlib.ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())
        lab = JupyterLab(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(lab.close)
        browser = driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        stack.callback(browser.close)
        for name, cell in NETS.items():
            path = lab.notebooks / f"{name.replace(' ', '-')}.ipynb"
            write_notebook(path, [SETUP + cell, SHOW, EXPLORER])
            notebook = Notebook(lab, browser.new_page(viewport={"width": 1300, "height": 1000}), path).open()
            for index in (0, 1):
                notebook.run_cell(index)
            first, *later = measure(notebook, 1 + arguments.repetitions)
            for kind, runs in (("new", [first]), ("later", later)):
                begun, ended = (statistics.median(run[i][0] for run in runs) for i in (0, -1))
                print(f"{name:>16} {kind:>6} {begun:>8.2f} {ended:>8.2f}  {runs[0][0][1]} | {runs[0][-1][1]}")
            notebook.close()
            lab.end_sessions()


if __name__ == "__main__":
    main()
