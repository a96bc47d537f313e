"""The notebook on transitions, run alive: all its widgets are there, linked, and print the numbers that are stored."""

from __future__ import annotations

from tests.browser.conftest import Lab
from tests.browser.stored import picture_for_readme, run_alive

WIDGETS = ("heat", "dashboard", "fingerprint", "raw", "made", "explorer")


def test_it_runs_alive_with_the_same_numbers_and_two_widgets_play_together(lab: Lab) -> None:
    with run_alive(lab, "03-transitions-reprdynamics.ipynb") as notebook:
        notebook.page.wait_for_function(f"() => document.querySelectorAll('.netgeom-pane').length === {len(WIDGETS)}")
        for number, name in enumerate(WIDGETS):
            notebook.page.locator(".netgeom-widget").nth(number).scroll_into_view_if_needed()
            notebook.kernel.wait_for(f"{name}.status == 'done' and not {name}._is_busy()", timeout=60)
            notebook.page.wait_for_timeout(500)
            notebook.screenshot(f"transitions-notebook-{name}")
        picture_for_readme(notebook, notebook.page.locator(".netgeom-widget").nth(1), "transition-heat-map", 1300)
        notebook.kernel.run("heat.step = 16; heat.play()")
        notebook.kernel.wait_for("not heat.playing and explorer.step == 20", timeout=60)
        notebook.kernel.wait_for("explorer._figure.root.title.text.startswith('Step 20: ')")
