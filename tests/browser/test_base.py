"""AnalysisWidget in JupyterLab, with a dummy kernel: what every widget inherits works in a real browser."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Lab
from tests.browser.notebook import Notebook

MAKE = "from tests.widgets.dummy import Squares\nsquares = Squares(count=6)\nsquares.wait()\nsquares"


@pytest.fixture
def notebook(lab: Lab) -> Notebook:
    notebook = lab.open(MAKE)
    notebook.run_all()
    notebook.figure()
    return notebook


def test_controls_and_traits_drive_the_picture(notebook: Notebook) -> None:
    notebook.screenshot("base-light")
    with notebook.picture_changes():
        notebook.slide("Count", 2)
        notebook.kernel.wait_for("squares.status == 'done' and len(squares.result) == 8")
    with notebook.picture_changes():
        notebook.choose("Colour", "orange")
    assert notebook.python("squares.colour") == "orange"
    with notebook.picture_changes():
        notebook.kernel.run("squares.count = 20")
    assert notebook.control("Count").inner_text().split()[-1] == "20"


def test_a_tap_selects_and_the_wheel_zooms_after_a_click(notebook: Notebook) -> None:
    with notebook.picture_changes():
        notebook.click(*notebook.place_of(3, 9))
    notebook.kernel.wait_for("squares.selection == (3,) and squares.dot == 3")
    with notebook.picture_changes():
        notebook.wheel(3)
    notebook.kernel.wait_for("len(squares.ranges) > 0")
    notebook.kernel.wait_for("squares.figure.x_range.end - squares.figure.x_range.start < 5")
    with notebook.picture_changes():
        notebook.drag((0.5, 0.5), (0.6, 0.6))
    notebook.press("Reset view")
    notebook.kernel.wait_for("squares.figure.x_range.end - squares.figure.x_range.start > 5")


def test_without_a_click_the_wheel_scrolls_the_page(notebook: Notebook) -> None:
    before = notebook.place_of(3, 9)
    notebook.wheel(-3)
    hint = notebook.page.locator(".netgeom-hint")
    assert hint.is_visible()
    hint.wait_for(state="hidden")
    assert notebook.place_of(3, 9) == before
    assert notebook.python("len(squares.ranges)") == 0
    with notebook.picture_changes():
        notebook.wheel(3, control=True)
    notebook.kernel.wait_for("len(squares.ranges) > 0")


def test_cancel_ends_a_long_run_and_the_last_good_picture_stays(notebook: Notebook) -> None:
    good = notebook.picture_hash()
    with notebook.picture_changes():
        notebook.kernel.run("squares.delay = 2.0; squares.count = 50; squares.run()")
        notebook.kernel.wait_for("squares.progress > 0")
    notebook.screenshot("base-running")
    notebook.press("Cancel")
    notebook.kernel.wait_for("squares.status == 'cancelled'")
    assert notebook.python("len(squares.result)") == 6
    notebook.page.get_by_text("cancelled", exact=True).wait_for()
    notebook.page.mouse.move(5, 5)
    assert notebook.picture_hash() == good


def test_an_exception_is_shown_in_the_widget_as_text(notebook: Notebook) -> None:
    notebook.kernel.run("squares.name = '<b>bold</b>'; squares.bad = 'raise'")
    panel = notebook.page.locator(".netgeom-error summary")
    panel.get_by_text("no square of 3 today: <b>bold</b>").wait_for()
    panel.click()
    notebook.page.get_by_text("Traceback (most recent call last)").wait_for()
    notebook.screenshot("base-error")
    notebook.kernel.run("squares.bad = 'no'")
    panel.wait_for(state="hidden")


def test_the_notebook_reopens_with_one_picture_with_and_without_a_kernel(notebook: Notebook) -> None:
    notebook.kernel.wait_for("not squares._is_busy()")
    assert notebook.static_pictures() == 0
    saved = notebook.save()
    assert [sorted(output.data) for output in saved.cells[0].outputs][1] == ["image/png", "text/plain"]
    assert "widgets" not in saved.metadata
    notebook.trust()
    notebook.reopen()
    notebook.page.wait_for_timeout(1000)
    notebook.screenshot("base-reopened-fresh-kernel")
    assert (notebook.static_pictures(), notebook.figures()) == (1, 0)
    notebook.run_all()
    notebook.figure()
    assert (notebook.static_pictures(), notebook.figures()) == (0, 1)
    notebook.save()
    notebook.forget_kernel()
    notebook.trust()
    notebook.reopen(kernel=False)
    notebook.page.wait_for_timeout(1000)
    notebook.screenshot("base-reopened-no-kernel")
    assert (notebook.static_pictures(), notebook.figures()) == (1, 0)


def test_two_views_stay_in_step(lab: Lab) -> None:
    notebook = lab.open(MAKE, "squares")
    notebook.run_all()
    second = notebook.figure(1)
    with notebook.picture_changes(second):
        notebook.click(*notebook.place_of(3, 9))
    with notebook.picture_changes(notebook.figure(0)):
        notebook.wheel(3, figure=1, control=True)
    assert notebook.place_of(3, 9) == pytest.approx(notebook.place_of(3, 9, figure=1))


def test_after_a_restart_the_widget_says_what_to_do(notebook: Notebook) -> None:
    notebook.restart_kernel()
    notebook.page.get_by_text("run the cell again").first.wait_for()
    assert notebook.page.locator(".netgeom-controls").first.get_attribute("inert") is not None
    notebook.screenshot("base-restarted")


def test_dark_theme_and_a_narrow_window(notebook: Notebook) -> None:
    with notebook.picture_changes():
        notebook.theme("Dark")
    notebook.screenshot("base-dark")
    notebook.hide_sidebar()
    notebook.window(560, 1000)
    notebook.page.wait_for_timeout(300)
    notebook.screenshot("base-narrow-dark")
    figure, side = notebook.figure().bounding_box(), notebook.page.get_by_text("side panel").bounding_box()
    assert figure is not None
    assert side is not None
    assert side["y"] >= figure["y"] + figure["height"] - 1, "panels stack under the figure"
    assert figure["x"] + figure["width"] <= 560
    notebook.theme("Light")
