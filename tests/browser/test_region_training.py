"""The training slider of RegionExplorer in JupyterLab: by hand, by play, and along with a run being recorded."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

TRAINING = """
import tempfile, threading, time, torch
import netgeom_widgets as ng
from sklearn.datasets import make_moons

torch.manual_seed(0)
x, y = make_moons(120, noise=0.1, random_state=0)
x = torch.tensor(x, dtype=torch.float32) - torch.tensor([0.5, 0.25])
target = torch.tensor(y, dtype=torch.float32)
path = tempfile.mkdtemp() + "/run"
net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(),
                          torch.nn.Linear(16, 1))

def train(epochs, pause=0.0):
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    with ng.Recorder(net, (x, y), path=path, parameters=True, every=20) as recorder:
        for epoch in range(1, epochs + 1):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], target)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            if recorder.step(epoch, loss=loss):
                time.sleep(pause)
"""
EXPLORER = """
explorer = ng.RegionExplorer(net, ng.Slice.box(-2., 2., -1.5, 1.5), x, y, checkpoints=path)
explorer.wait()
explorer
"""
SECOND = """
other = ng.RegionExplorer(net, ng.Slice.box(-2., 2., -1.5, 1.5), checkpoints=path)
ng.link(explorer, other, "step")
other
"""

IN_BACKGROUND = """
import os
worker = threading.Thread(target=train, args=(400, 0.8))
worker.start()
while not os.path.exists(path + "/0/committed"):
    time.sleep(0.1)
"""


@pytest.fixture
def notebook(lab: Lab) -> Notebook:
    notebook = lab.open(TRAINING + "train(200)", EXPLORER)
    notebook.run_all()
    notebook.figure()
    notebook.page.wait_for_timeout(500)
    return notebook


def button(notebook: Notebook, title: str):
    return notebook.page.locator(f"button[title='{title}']").first


def title_of(notebook: Notebook) -> str:
    return notebook.python("explorer._figure.root.title.text")


def test_a_user_steps_and_plays(notebook: Notebook) -> None:
    assert title_of(notebook).startswith("Step 200: ")
    notebook.screenshot("training-light")
    with notebook.picture_changes():
        button(notebook, "Previous step").click()
    notebook.kernel.wait_for("explorer.step == 180")
    notebook.page.get_by_text("180 (10 of 11)").wait_for()
    with notebook.picture_changes():
        notebook.slide("Step", -4)
    notebook.kernel.wait_for("explorer.step == 100")
    notebook.kernel.wait_for("not explorer._is_busy()")
    with notebook.picture_changes():
        notebook.click(*notebook.place_of(0.3, 0.2))
    notebook.kernel.wait_for("explorer.region is not None")
    notebook.screenshot("training-picked")
    notebook.kernel.run("seen = []; explorer._figure.root.title.on_change('text', lambda a, o, n: seen.append(n[:8]))")
    with notebook.picture_changes():
        button(notebook, "Play the steps").click()
    notebook.kernel.wait_for("explorer.playing")
    notebook.screenshot("training-playing")
    notebook.kernel.wait_for("not explorer.playing", timeout=60)
    assert notebook.python("explorer.step") == 200
    assert notebook.python("[s.split(':')[0] for s in seen]") == [f"Step {step}" for step in (120, 140, 160, 180, 200)]
    assert notebook.python("int(explorer.result.locate([[0.3, 0.2]])[0]) == explorer.region")
    notebook.screenshot("training-played")
    button(notebook, "Play the steps").click()
    notebook.kernel.wait_for("explorer.playing and explorer.step > 0")
    button(notebook, "Pause").click()
    notebook.kernel.wait_for("not explorer.playing")
    assert notebook.python("explorer.step") < 200


def test_zoomed_dark_and_narrow(notebook: Notebook) -> None:
    notebook.kernel.run("explorer.view = (-0.5, 0.9, -0.6, 0.6); explorer.color_by = 'output'; explorer.wait()")
    notebook.kernel.run("explorer.step = 60; explorer.wait()")
    notebook.theme("Dark")
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("training-zoomed-dark")
    notebook.hide_sidebar()
    notebook.window(500, 1300)
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("training-narrow-dark")
    # The figure stays where it is while steps are played: nothing above it changes its height.
    tops = []
    notebook.kernel.run("explorer.step = 0; explorer.wait(); explorer.play()")
    while notebook.python("explorer.playing"):
        tops.append(notebook.page.locator(".bk-Figure").first.bounding_box()["y"])
    assert max(tops) - min(tops) < 1, sorted(set(tops))
    figure = notebook.figure().bounding_box()
    assert figure["x"] + figure["width"] <= 500
    notebook.window(1300, 1000)
    notebook.theme("Light")


def test_two_linked_explorers_play_together(lab: Lab) -> None:
    notebook = lab.open(TRAINING + "train(80)", EXPLORER, SECOND)
    notebook.run_all()
    notebook.figure(1)
    notebook.kernel.run("explorer.play()")
    notebook.kernel.wait_for("not explorer.playing and explorer.step == other.step == 80")
    notebook.kernel.wait_for("other._figure.root.title.text.startswith('Step 80: ')")


def test_a_run_that_is_being_recorded_is_followed(lab: Lab) -> None:
    notebook = lab.open(TRAINING + IN_BACKGROUND, EXPLORER)
    notebook.run_all()
    notebook.figure()
    first = notebook.python("explorer.steps[-1]")
    notebook.page.get_by_text("Follow the recording").wait_for()
    with notebook.picture_changes():
        notebook.kernel.wait_for(f"explorer.step > {first}")
    notebook.screenshot("training-followed")
    notebook.kernel.wait_for("not worker.is_alive()", timeout=60)
    notebook.kernel.wait_for("explorer.step == 400", timeout=60)
