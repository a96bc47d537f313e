"""RegionExplorer in JupyterLab: a user looks, clicks, zooms, waits and gives up; Python and the picture agree."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

MOONS = """
import torch
import netgeom_widgets as ng
from sklearn.datasets import make_moons
torch.manual_seed(0)
x, y = make_moons(120, noise=0.1, random_state=0)
x = torch.tensor(x) - torch.tensor([0.5, 0.25])
net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(),
                          torch.nn.Linear(16, 1)).double()
steps = torch.optim.Adam(net.parameters(), 0.02)
for _ in range(200):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], torch.tensor(y, dtype=torch.double))
    steps.zero_grad(); loss.backward(); steps.step()
"""
EXPLORER = "explorer = ng.RegionExplorer(net, ng.Slice.box(-2., 2., -1.5, 1.5), x, y)\nexplorer.wait()\nexplorer"
BIG = """
import itertools, torch
import netgeom_widgets as ng
def mlp(*widths):
    torch.manual_seed(0)
    pairs = list(itertools.pairwise(widths))
    layers = [layer for a, b in pairs for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers[:-1])
"""
RASTER = (
    "explorer = ng.RegionExplorer(mlp(2, 128, 128, 128, 1), ng.Slice.box(-1., 1., -1., 1.))\nexplorer.wait()\nexplorer"
)
# Frame times while the picture is moved 20 times by one per cent, in milliseconds: median and longest.
FRAMES = """async () => {
    const pages = Object.values(globalThis[Symbol.for("netgeom.bokehjs")]);
    const [view] = pages.flatMap(page => [...page.root.Bokeh.index.query(v => v.model.type === "Figure")]);
    const range = view.model.x_range, width = range.end - range.start, times = [];
    for (let i = 0; i < 20; i++) {
        const from = performance.now();
        range.setv({start: range.start + 0.01 * width, end: range.end + 0.01 * width});
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    return [times[10], times[19]];
}"""


@pytest.fixture
def notebook(shared_lab: Lab) -> Notebook:
    """One notebook and network for all tests, and for each a widget of its own."""
    if not shared_lab.notebooks:
        shared_lab.open(MOONS, "explorer = None", f"if explorer:\n    explorer.close()\n{EXPLORER}").run_all()
    else:
        shared_lab.notebooks[0].run_cell(2)
    (notebook,) = shared_lab.notebooks
    notebook.wait_run()
    notebook.figure()
    return notebook


def test_a_click_picks_a_region_and_the_keyboard_steps_on(notebook: Notebook) -> None:
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("explorer-light")
    with notebook.picture_changes():
        notebook.click(*notebook.place_of(0.0, 0.2))
    region = notebook.kernel.wait_for("explorer.region")
    assert notebook.python("int(explorer.result.locate([[0.0, 0.2]])[0])") == region
    held = "tuple(i for i, r in enumerate(explorer.result.locate(x).tolist()) if r == explorer.region)"
    assert notebook.python(f"explorer.selection == {held}")
    assert notebook.python("len(explorer.selection)") > 0
    notebook.page.get_by_text("Affine map").wait_for()
    notebook.hover(0.02, 0.02)
    notebook.screenshot("explorer-picked")
    with notebook.picture_changes():
        following = notebook.page.locator("button[title='Next region']")
        following.focus()
        following.press("Enter")
    notebook.kernel.wait_for(f"explorer.region == {region + 1}")
    field = notebook.page.locator("input[title='Id of the region to pick']")
    with notebook.picture_changes():
        field.fill("7")
        field.press("Enter")
    notebook.kernel.wait_for("explorer.region == 7")
    notebook.page.get_by_text("Region 7", exact=False).first.wait_for()
    with notebook.picture_changes():
        notebook.kernel.run("explorer.region = None")
    assert notebook.python("explorer.selection") == ()


def test_layers_colours_and_hinges_are_chosen(notebook: Notebook) -> None:
    with notebook.picture_changes():
        notebook.slide("Layers", -1)
    assert notebook.python("explorer.layer") == 1
    notebook.kernel.wait_for("'after layer 1 of 2' in explorer._figure.root.title.text")
    notebook.screenshot("explorer-layer-1")
    with notebook.picture_changes():
        notebook.slide("Layers", 1)
    assert notebook.python("explorer.layer") is None
    for choice in ("output", "class", "area", "region id", "layer of birth"):
        with notebook.picture_changes():
            notebook.choose("Colour by", choice)
        assert notebook.python("explorer.color_by") == choice
        notebook.screenshot(f"explorer-{choice.replace(' ', '-')}")
    with notebook.picture_changes():
        notebook.tick("2")
    assert notebook.python("explorer.hinges") == (0,)
    with notebook.picture_changes():
        notebook.tick("Decision boundary")
    with notebook.picture_changes():
        notebook.tick("Samples")
    assert notebook.python("(explorer.boundary, explorer.samples)") == (False, False)


def test_the_wheel_zooms_and_the_view_is_computed_anew(notebook: Notebook) -> None:
    with notebook.picture_changes():
        notebook.wheel(6, control=True)
    notebook.kernel.wait_for("explorer.viewport is not explorer.result and explorer.viewport.n_regions > 0")
    assert notebook.python("explorer.viewport.domain.area < explorer.result.domain.area")
    notebook.kernel.wait_for("'zoom' in explorer._figure.canvas.caption.text")
    notebook.screenshot("explorer-zoomed")
    with notebook.picture_changes():
        notebook.drag((0.5, 0.4), (0.3, 0.3))
    # As close as it goes: the ranges end there and the caption says so.
    inner = "explorer.result.vertices[(abs(explorer.result.vertices) < 1).all(1)]"
    notebook.kernel.run(f"s, t = {inner}[3]; explorer.view = (s - 1e-9, s + 1e-9, t - 1e-9, t + 1e-9)")
    notebook.kernel.wait_for("explorer.viewport.domain.area < 1e-16")
    notebook.wheel(60, at=notebook.place_of(*notebook.python("(float(s), float(t))")), control=True)
    notebook.kernel.wait_for("'Zoom limit' in explorer._figure.canvas.caption.text")
    notebook.screenshot("explorer-limit")
    width = notebook.python("explorer._figure.window.height")
    assert width >= notebook.python("0.99 * 1000 * explorer.result.resolution")
    with notebook.picture_changes():
        notebook.press("Reset view")
    notebook.kernel.wait_for("explorer.viewport is explorer.result and explorer.view is None")


def test_a_big_network_is_a_raster_that_pans_and_turns_into_polygons(lab: Lab) -> None:
    notebook = lab.open(BIG, RASTER)
    notebook.run_all()
    notebook.figure()
    assert notebook.python("explorer.result.n_regions") > 5000
    assert "raster of" in notebook.python("explorer._figure.canvas.caption.text")
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("explorer-raster")
    notebook.hover(*notebook.place_of(0.25, 0.25))
    notebook.page.get_by_text("region ").first.wait_for()
    with notebook.picture_changes():
        notebook.click(*notebook.place_of(0.25, 0.25))
    assert notebook.kernel.wait_for("explorer.region") == notebook.python(
        "int(explorer.result.locate([[.25, .25]])[0])"
    )
    with notebook.picture_changes():
        notebook.tick("3")
    with notebook.picture_changes():
        notebook.choose("Colour by", "area")
    median, longest = notebook.page.evaluate(FRAMES)
    print(f"raster: frame while panning {median:.0f} ms, longest {longest:.0f} ms")
    with notebook.picture_changes():
        notebook.wheel(8, control=True)
    notebook.kernel.wait_for("not explorer._scene.is_raster and explorer.viewport is not explorer.result")
    notebook.kernel.run("explorer.wait()")
    notebook.screenshot("explorer-raster-zoomed")
    median, longest = notebook.page.evaluate(FRAMES)
    count = notebook.python("explorer._scene.n_polygons")
    print(f"{count} polygons: frame while panning {median:.0f} ms, longest {longest:.0f} ms")


def test_a_long_run_shows_its_layers_and_is_cancelled(lab: Lab) -> None:
    cell = "explorer = ng.RegionExplorer(mlp(2, 256, 256, 256, 256, 256, 1), ng.Slice.box(-1., 1., -1., 1.))\nexplorer"
    notebook = lab.open(BIG, cell)
    notebook.run_all()
    notebook.figure()
    notebook.kernel.wait_for("'after layer' in explorer._figure.root.title.text")
    notebook.screenshot("explorer-running")
    notebook.press("Cancel")
    notebook.kernel.wait_for("explorer.status == 'cancelled'")
    notebook.page.get_by_text("cancelled", exact=True).wait_for()
    assert notebook.python("explorer.result is None")
    assert "not finished" in notebook.python("explorer._figure.root.title.text")


def test_dark_narrow_and_opened_again(lab: Lab) -> None:
    notebook = lab.open(MOONS, EXPLORER)
    notebook.run_all()
    notebook.figure()
    notebook.kernel.run("explorer.region = 20")
    notebook.kernel.wait_for("not explorer._is_busy()")
    with notebook.picture_changes():
        notebook.theme("Dark")
    notebook.screenshot("explorer-dark")
    notebook.hide_sidebar()
    notebook.window(560, 1300)
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("explorer-narrow-dark")
    figure = notebook.figure().bounding_box()
    panel = notebook.page.get_by_text("Affine map").bounding_box()
    assert figure is not None
    assert panel is not None
    assert panel["y"] >= figure["y"] + figure["height"] - 1, "the panel goes under the figure"
    assert figure["x"] + figure["width"] <= 560
    notebook.theme("Light")
    notebook.window(1300, 1000)
    notebook.save()
    notebook.trust()
    notebook.reopen()
    notebook.page.wait_for_timeout(1000)
    notebook.screenshot("explorer-reopened")
    assert (notebook.static_pictures(), notebook.figures()) == (1, 0)


def test_a_box_and_a_lasso_select_samples_and_nothing_else(notebook: Notebook) -> None:
    inside = "tuple(i for i, (s, t) in enumerate(x.tolist()) if -1.5 < s < 0.2 and 0.1 < t < 0.9)"
    corners = [(-1.5, 0.9), (0.2, 0.9), (0.2, 0.1), (-1.5, 0.1)]
    notebook.page.locator(".bk-tool-icon-box-select").click()
    notebook.drag(notebook.place_of(*corners[0]), notebook.place_of(*corners[2]))
    notebook.kernel.wait_for(f"len(explorer.selection) > 0 and explorer.selection == {inside}")
    notebook.page.get_by_text("samples selected").wait_for()
    with notebook.picture_changes():
        notebook.page.locator("button[title='Pick no region and no samples']").click()
    assert notebook.python("explorer.selection") == ()
    notebook.page.locator(".bk-tool-icon-lasso-select").click()
    places = [notebook.place_of(*corner) for corner in corners]
    notebook.hover(*places[0])
    notebook.page.mouse.down()
    for place in places[1:]:
        notebook.hover(*place)
    notebook.page.mouse.up()
    notebook.kernel.wait_for(f"explorer.selection == {inside}")
    notebook.screenshot("explorer-lasso")
    faded = """() => Object.values(globalThis[Symbol.for("netgeom.bokehjs")])
        .flatMap(page => [...page.root.Bokeh.index.query(v => v.model.type === "Figure")])
        .flatMap(view => view.model.renderers.filter(r => r.glyph.type !== "Scatter"))
        .some(renderer => renderer.data_source.selected.indices.length > 0)"""
    assert not notebook.page.evaluate(faded)


def test_two_explorers_share_a_selection(lab: Lab) -> None:
    other = (
        "other = ng.RegionExplorer(net, ng.Slice.box(-1.5, 1.5, -1., 1.), x, y, color_by='class')\n"
        "joined = ng.link(explorer, other)\nother.wait()\nother"
    )
    notebook = lab.open(MOONS, EXPLORER, other)
    notebook.run_all()
    second = notebook.figure(1)
    with notebook.picture_changes(second):
        notebook.click(*notebook.place_of(0.0, 0.2))
    assert notebook.python("len(other.selection) > 0 and other.selection == explorer.selection")
