"""TransitionHeatMap in JupyterLab: a user hovers, pins, lassoes, slides and plays; a recording grows meanwhile."""

from __future__ import annotations

import itertools

import pytest

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

DIGITS = """
import pathlib, subprocess, sys, threading, time, torch
import netgeom_widgets as ng
from sklearn.datasets import load_digits
from torch.nn import Flatten, Linear, ReLU, Sequential
digits = load_digits()
x, y = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)

def train(path, epochs, signal=None):
    torch.manual_seed(0)
    net = Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    with ng.Recorder(net, (x[:300], y[:300]), path=path, layers=["1"]) as recorder:
        for epoch in range(1, epochs + 1):
            for batch in torch.randperm(len(x)).split(64):
                loss = torch.nn.functional.cross_entropy(net(x[batch]), y[batch])
                optimizer.zero_grad(); loss.backward(); optimizer.step()
            accuracy = (net(x).argmax(1) == y).float().mean()
            recorder.step(epoch, loss=loss.item(), accuracy=accuracy.item())
            while signal and epoch >= 2 and not pathlib.Path(signal).exists():
                time.sleep(0.05)
            time.sleep(0.4 if signal else 0)
"""
# Two epochs are recorded when the widget appears, the others only when the test has looked.
FOLLOW = """
while not (pathlib.Path('live/0/committed').exists() and len(ng.open_recording('live')) == 3):
    time.sleep(0.05)
heat = ng.TransitionHeatMap('live')
heat
"""
HEAT = """
if heat:
    heat.close()
heat = ng.TransitionHeatMap('run')
heat.wait()
heat
"""
# Bokeh figures of the page, in the order of the document.
PARTS = ("matrix", "curves", "samples", "neighbours")


@pytest.fixture
def notebook(shared_lab: Lab) -> Notebook:
    """A recording in one notebook for all tests, and for each a widget of its own."""
    if not shared_lab.notebooks:
        shared_lab.open(DIGITS, "train('run', 10)\nheat = None", HEAT).run_all()
    else:
        shared_lab.notebooks[0].run_cell(2)
    (notebook,) = shared_lab.notebooks
    notebook.wait_run()
    notebook.theme("Light")
    notebook.hide_sidebar()
    notebook.window(1300, 1650)
    notebook.figure()
    notebook.kernel.wait_for("not heat._is_busy()")
    return notebook


def place(notebook: Notebook, part: str, x: float, y: float) -> tuple[float, float]:
    """A place in data coordinates of one part, in page pixels."""
    return notebook.place_in(f"heat._figure.{part}.root", x, y)


def click(notebook: Notebook, part: str, x: float, y: float) -> None:
    at = place(notebook, part, x, y)
    notebook.page.mouse.move(*at, steps=4)
    notebook.page.mouse.click(*at)


def test_hover_click_and_the_keyboard_pin_a_cell(notebook: Notebook) -> None:
    notebook.settle("heat")
    notebook.screenshot("transitions-light")
    notebook.page.mouse.move(*place(notebook, "matrix", 6.5, 1.5), steps=4)
    for text in ("1→2 and 6→7", "per-sample transition distance"):
        notebook.page.locator(".bk-Tooltip", has_text=text).first.wait_for()
    notebook.screenshot("transitions-hover")
    click(notebook, "matrix", 6.5, 1.5)
    notebook.kernel.wait_for("heat.cell == (1, 6)")
    notebook.kernel.wait_for("heat._figure.samples.root.title.text == 'Samples: entropy at step 1 and at step 7'")
    notebook.settle("heat")
    notebook.screenshot("transitions-pinned")
    menu = notebook.control("Compare").locator("select")
    assert menu.input_value() == "1→2"
    menu.focus()
    notebook.page.keyboard.type("2")  # keys choose in a menu by its first letters
    notebook.kernel.wait_for("heat.cell == (2, 6)")
    click(notebook, "matrix", 6.5, 2.5)
    notebook.kernel.wait_for("heat.cell is None")


def test_a_lasso_recomputes_the_matrix_of_the_samples(notebook: Notebook) -> None:
    notebook.kernel.run("before = heat.result, heat.matrix.copy()")
    x0, x1, y0, y1 = notebook.python(
        "tuple(float(v) for r in (heat._figure.samples.root.x_range, heat._figure.samples.root.y_range)"
        " for v in (r.start, r.end))"
    )
    left, right, low = x0 + 0.02 * (x1 - x0), x0 + 0.6 * (x1 - x0), y0 + 0.02 * (y1 - y0)
    corners = [(left, low), (right, low), (right, y0 + 0.95 * (y1 - y0)), (left, y0 + 0.95 * (y1 - y0))]
    places = [place(notebook, "samples", *corner) for corner in corners]
    notebook.page.mouse.move(*places[0])
    notebook.page.mouse.down()
    for at in places[1:]:
        notebook.page.mouse.move(*at, steps=5)
    notebook.page.mouse.up()
    notebook.kernel.wait_for("0 < len(heat.selection) < 300 and bool(heat.matrix.max() < before[1].max())")
    assert notebook.python("heat.result is before[0]")
    notebook.settle("heat")
    notebook.screenshot("transitions-lasso")
    notebook.page.locator("button[title^='Select no samples']").click()
    notebook.kernel.wait_for("heat.selection == () and bool((heat.matrix == before[1]).all())")


def test_a_sample_is_tapped_and_its_neighbours_are_walked(notebook: Notebook) -> None:
    notebook.kernel.run("heat.cell = (0, 8)")
    notebook.settle("heat")
    at = notebook.python(
        "[float(heat._figure.samples._marks.source.data[c][-1]) for c in 'xy']"
        " + [int(heat._figure.samples._marks.source.data['id'][-1])]"
    )
    click(notebook, "samples", *at[:2])
    notebook.kernel.wait_for(f"heat.sample == {at[2]}")
    notebook.settle("heat")
    notebook.screenshot("transitions-sample")
    notebook.page.get_by_text("predicted").first.wait_for()
    near = notebook.python(
        "[float(heat._figure.neighbours._marks.data[c][-1]) for c in 'xy']"
        " + [int(heat._figure.neighbours._marks.data['id'][-1])]"
    )
    click(notebook, "neighbours", *near[:2])
    notebook.kernel.wait_for(f"heat.sample == {near[2]}")
    following = notebook.page.locator("button[title='Next sample']")
    following.focus()
    following.press("Enter")
    notebook.kernel.wait_for(f"heat.sample == {(near[2] + 1) % 300}")


def test_settings_slide_and_choose(notebook: Notebook) -> None:
    notebook.slide("k", -11)
    notebook.kernel.wait_for("heat.k == 4 and 'k = 4' in heat._figure.matrix._caption.text.replace(chr(10), ' ')")
    for kind in ("neighbour preservation", "CKA", "class-transition distance"):
        notebook.choose("Matrix", kind)
        notebook.kernel.wait_for(f"heat.matrix_kind == {kind!r} and not heat._is_busy()")
        notebook.settle("heat")
        notebook.screenshot(f"transitions-{kind.replace(' ', '-')}")
    for panel, text in {"class transitions": "classes", "projection": "projection", "recurrence": "recurrence"}.items():
        notebook.choose("Panel", panel)
        notebook.kernel.wait_for(f"heat.panel == {text!r} and not heat._is_busy()")
        notebook.settle("heat")
        notebook.screenshot(f"transitions-panel-{text}")
    assert notebook.python("heat.status") == "done"


def test_play_runs_through_the_projection(notebook: Notebook) -> None:
    notebook.kernel.run("heat.panel = 'projection'; heat.step = 5; heat.wait(30)")
    notebook.page.locator("button[title='Play the steps']").click()
    notebook.kernel.wait_for("heat.step == 10 and not heat.playing", timeout=60)
    assert notebook.python("heat._figure.projection.root.title.text.endswith('step 10')")
    click(notebook, "curves", 3.1, 0.5)
    notebook.kernel.wait_for("heat.step == 3")


def test_dark_and_narrow(notebook: Notebook) -> None:
    notebook.kernel.run("heat.cell = (1, 7); heat.sample = 17")
    notebook.settle("heat")
    notebook.theme("Dark")
    notebook.settle("heat")
    notebook.screenshot("transitions-dark")
    notebook.window(560, 2500)
    notebook.settle("heat")
    notebook.screenshot("transitions-narrow-dark")
    notebook.theme("Light")
    notebook.settle("heat")
    notebook.screenshot("transitions-narrow")
    boxes = {
        part: notebook.page.evaluate(
            """id => { const pages = Object.values(globalThis[Symbol.for("netgeom.bokehjs")]);
            const box = pages.flatMap(page => [...page.root.Bokeh.index.query(v => v.model.id === id)])[0]
                .el.getBoundingClientRect();
            return {x: box.x, y: box.y, width: box.width, height: box.height}; }""",
            notebook.python(f"heat._figure.{part}.root.id"),
        )
        for part in PARTS
    }
    for above, below in itertools.pairwise(PARTS):
        assert boxes[below]["y"] >= boxes[above]["y"] + boxes[above]["height"] - 1, f"{below} goes under {above}"
    assert all(box["x"] + box["width"] <= 560 for box in boxes.values())


THREAD = "training = threading.Thread(target=train, args=('live', 8, 'go')); training.start(); end = training.join"
PROCESS = (
    "command = In[1] + \"\\ntrain('live', 8, 'go')\"\n"
    "training = subprocess.Popen([sys.executable, '-c', command]); end = training.wait"
)


@pytest.mark.parametrize("start", [THREAD, PROCESS], ids=["thread", "process"])
def test_a_recording_that_is_being_written_is_followed(lab: Lab, start: str, request: pytest.FixtureRequest) -> None:
    folder = f"import os; os.makedirs({request.node.callspec.id!r}); os.chdir({request.node.callspec.id!r})"
    notebook = lab.open(DIGITS, f"{folder}\n{start}", FOLLOW)
    notebook.run_all()
    notebook.figure()
    notebook.kernel.wait_for("heat.matrix is not None and len(heat.matrix) == 2")
    assert "still being recorded" in notebook.python("heat.message")
    with notebook.picture_changes():
        notebook.kernel.run("pathlib.Path('go').touch()")
        notebook.kernel.wait_for("len(heat.matrix) >= 4", timeout=60)
    notebook.kernel.wait_for("len(heat.matrix) == 8 and heat._source.recording.finished", timeout=60)
    notebook.kernel.run("end(); heat.wait(30)")
    assert notebook.python("(heat.step, heat.status)") == (8, "done")
    notebook.screenshot("transitions-live")
