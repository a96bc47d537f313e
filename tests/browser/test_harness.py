"""The harness itself, on plain ipywidgets: what it reports as clicked, changed, saved and failed is so."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab

CELL = """
import threading, time
import ipywidgets as w
slider = w.IntSlider(description="amount", min=0, max=10)
choice = w.Dropdown(description="colour", options=["red", "blue"])
flag = w.Checkbox(description="on")
button, cancel = w.Button(description="Start"), w.Button(description="Cancel")
bar, stop, clicks = w.IntProgress(max=2000), threading.Event(), []
def work():
    while not stop.is_set() and bar.value < bar.max:
        bar.value += 1
        time.sleep(0.05)
button.on_click(lambda _: (clicks.append(1), threading.Thread(target=work, daemon=True).start()))
cancel.on_click(lambda _: stop.set())
w.VBox([slider, choice, flag, w.HBox([button, cancel, bar])])
"""


def test_controls_reach_python_and_python_reaches_the_page(lab: Lab) -> None:
    notebook = lab.open(CELL)
    notebook.run_all()
    page = notebook.page.locator(".widget-vbox").first
    page.wait_for()
    with notebook.picture_changes(page):
        notebook.slide("amount", 3)
    notebook.kernel.wait_for("slider.value == 3")
    notebook.choose("colour", "blue")
    notebook.kernel.wait_for("choice.value == 'blue'")
    notebook.tick("on")
    notebook.kernel.wait_for("flag.value")
    with notebook.picture_changes(page):
        notebook.kernel.run("slider.value = 9")
    with notebook.picture_changes(page):
        notebook.theme("Dark")
    notebook.theme("Light")


def test_a_long_run_is_cancelled_by_its_button(lab: Lab) -> None:
    notebook = lab.open(CELL)
    notebook.run_all()
    notebook.press("Start")
    notebook.kernel.wait_for("bar.value > 2")
    notebook.press("Cancel")
    notebook.kernel.wait_for("stop.is_set()")
    assert notebook.python("(len(clicks), bar.value < bar.max)") == (1, True)


def test_a_saved_notebook_reopens_trusted_with_a_fresh_kernel_and_with_none(lab: Lab) -> None:
    notebook = lab.open("value = 41 + 1", "print('value is', value)")
    notebook.run_all()
    assert notebook.save().cells[1].outputs[0].text == "value is 42\n"
    notebook.trust()
    notebook.reopen()
    assert "value is 42" in notebook.text()
    assert notebook.python("'value' in globals()") is False
    notebook.forget_kernel()
    notebook.trust()
    notebook.reopen(kernel=False)
    assert "value is 42" in notebook.text()
    assert notebook.server.sessions() == []


def test_a_cell_that_raises_fails_the_run(lab: Lab) -> None:
    notebook = lab.open("1 / 0")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run_all()


def test_errors_in_the_console_and_foreign_requests_are_found(lab: Lab) -> None:
    notebook = lab.open("1")
    notebook.page.evaluate("() => { console.error('broken'); setTimeout(() => { throw new Error('thrown'); }); }")
    notebook.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => null)")
    with pytest.raises(AssertionError, match="broken"):
        lab.check()
    assert any("thrown" in error for error in notebook.errors)
    assert notebook.foreign_requests == ["http://192.0.2.1/"]
    notebook.errors.clear()
    notebook.foreign_requests.clear()
