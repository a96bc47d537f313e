"""Frame times while panning the region figure: `python tests/benchmarks/panning.py`.

The exported page of a figure is opened in headless Chromium (software canvas) and its ranges are moved step by step; a
frame is the time from a move to the second animation frame after it, so 33 ms is the floor. What is sent and drawn is
what the widget sends and draws; only the recomputation of the view, which runs in the background, is absent.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.regions import RegionFigure
from netgeom_widgets.kernels.regions import Slice, partition
from tests.browser.chromium import ARGUMENTS, find_chromium

STEPS = 40
PAN = """async (steps) => {
  const plot = Bokeh.documents[0].roots()[0], [x, times] = [plot.x_range, []]
  const by = (x.end - x.start) / 100, frame = () => new Promise(requestAnimationFrame)
  for (let i = 0; i < steps; i++) {
    const began = performance.now()
    x.setv({start: x.start + by, end: x.end + by})
    await frame(); await frame()
    times.push(performance.now() - began)
  }
  return times
}"""


def page(widths: tuple[int, ...]) -> tuple[str, str]:
    """(what is shown, the exported page) of a net with these widths, default initialisation, seed 0."""
    torch.manual_seed(0)
    layers = [layer for a, b in itertools.pairwise(widths) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    found = partition(torch.nn.Sequential(*layers[:-1]), Slice.box(-1, 1, -1, 1))
    figure = RegionFigure(found.domain)
    scene = RegionScene.of(found)
    figure.draw(scene)
    kind = "raster of" if scene.is_raster else "exact"
    return f"{kind} {found.n_regions:,} polygons", to_html(figure.root, "panning")


def main() -> None:
    """Print a line for each size."""
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        for widths in ((2, 32, 32, 1), (2, 80, 80, 1), (2, 128, 128, 128, 1), (2, 256, 256, 256, 1)):
            shown, html = page(widths)
            path = Path(folder, "page.html")
            path.write_text(html)
            view = browser.new_page(viewport={"width": 1000, "height": 750})
            view.goto(path.as_uri())
            view.wait_for_function("() => globalThis.Bokeh?.documents[0]?.is_idle")
            before = view.screenshot()
            times = view.evaluate(PAN, STEPS)
            if view.screenshot() == before:
                raise RuntimeError("the picture did not move")
            print(f"{shown:32} median {statistics.median(times):5.0f} ms, longest {max(times):5.0f} ms")
            view.close()
        browser.close()


if __name__ == "__main__":
    main()
