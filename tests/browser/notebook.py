"""A notebook open in JupyterLab, as its user sees and handles it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page

from tests.browser.kernel import Kernel
from tests.browser.server import TOKEN, JupyterLab

FIGURE = ".bk-Figure"  # the element of a Bokeh figure, in the shadow root of its pane
STATIC_PICTURE = ".jp-RenderedImage img"
SCREENSHOTS = Path(__file__).parent / "screenshots"


class Notebook:
    """One notebook in one browser page.

    ``python(expression)`` reads the kernel's state, ``figure()`` and ``picture_hash()`` what the page shows; the rest
    is what a user does: run cells, click, drag, turn the wheel, press buttons, save, close, open again.
    """

    def __init__(self, server: JupyterLab, page: Page, path: Path) -> None:
        self.server, self.page, self.path = server, page, path
        self.errors: list[str] = []
        self.tolerated: list[str] = []  # patterns of errors that belong to what a test does
        self.foreign_requests: list[str] = []
        page.on("console", lambda message: self._note(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._note(error.stack or str(error)))
        page.on("request", lambda request: self._check_address(request.url))

    def _note(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in self.tolerated):
            self.errors.append(text)

    def _check_address(self, url: str) -> None:
        if not url.startswith((self.server.url, self.server.url.replace("http", "ws", 1), "data:", "blob:")):
            self.foreign_requests.append(url)

    # ---- open, run, save -------------------------------------------------------------------------------------------

    def open(self, *, kernel: bool = True) -> Notebook:
        """Load the page. ``kernel=False`` answers "No Kernel" when asked which to take instead of one unknown here."""
        self.page.goto(f"{self.server.url}/lab/tree/{self.path.name}?reset&token={TOKEN}")
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context?.isReady")
        if self.page.evaluate("() => document.body.dataset.jpThemeLight === 'false'"):
            self.theme("Light")  # the server keeps what a test that failed in the dark has left
        if not kernel:
            dialog = self.page.locator(".jp-Dialog")
            dialog.wait_for()
            dialog.get_by_role("combobox").select_option(label="No Kernel")
            dialog.locator(".jp-mod-accept").click()
        else:
            self.wait_idle()
        return self

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Run one of JupyterLab's commands, what its menus do, and wait until it is done."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)", [name, arguments or {}]
        )

    def run_all(self, *, wait: bool = True) -> None:
        """Run all cells; with ``wait=False`` return at once, for cells that take long."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        if wait:
            self.wait_run()

    def run_cell(self, index: int) -> None:
        """Select a cell and run it."""
        self.page.evaluate(
            "i => { const { content } = window.jupyterapp.shell.currentWidget; content.activeCellIndex = i; }", index
        )
        self.command("notebook:run-cell")

    def wait_run(self, timeout: float = 120) -> None:
        """Wait until no cell is running or queued, and fail when one of them raised."""
        self.page.wait_for_function(
            """() => window.jupyterapp.shell.currentWidget.content.widgets
                .filter(cell => cell.model.type === 'code' && cell.model.sharedModel.source.trim())
                .every(({ model }) => model.executionState !== 'running' && model.executionCount !== null)""",
            timeout=timeout * 1000,
        )
        self.wait_idle()
        raised = self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.widgets
                .flatMap(({ model }) => model.type === 'code' ? model.outputs.toJSON() : [])
                .filter(output => output.output_type === 'error').map(output => `${output.ename}: ${output.evalue}`)"""
        )
        assert not raised, raised

    def settle(self, widget: str) -> None:
        """Until a widget, by its name in the kernel, neither computes nor sends, and the page has drawn."""
        self.kernel.wait_for(f"not {widget}._is_busy() and not {widget}.pane.busy")
        self.page.wait_for_timeout(500)

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until the kernel has started and has nothing to do."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=timeout * 1000,
        )

    def save(self) -> nbformat.NotebookNode:
        """Save as with Ctrl-S, and return what is in the file."""
        self.command("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def trust(self) -> None:
        self.server.trust(self.path)

    def forget_kernel(self) -> None:
        """Name a kernel in the saved file that nothing here resembles; opened again, JupyterLab asks which to take."""
        saved = nbformat.read(self.path, as_version=4)
        saved.metadata.kernelspec = {"name": "elsewhere", "display_name": "Elsewhere", "language": "elsewhere"}
        saved.metadata.pop("language_info", None)
        nbformat.write(saved, self.path)

    def reopen(self, *, kernel: bool = True) -> Notebook:
        """End the kernel, and open the saved file with a fresh one or with none."""
        self.close_kernel()
        self.page.goto("about:blank")
        self.tolerated.append("widget model not found")  # ipywidgets says so of every widget whose kernel is gone
        self.server.end_sessions([self.path.name])
        return self.open(kernel=kernel)

    def restart_kernel(self) -> None:
        """What the menu's "Restart Kernel" does, without its question."""
        self.close_kernel()
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_idle()

    # ---- the kernel ------------------------------------------------------------------------------------------------

    @cached_property
    def kernel(self) -> Kernel:
        (session,) = [s for s in self.server.sessions() if s["path"] == self.path.name]
        return Kernel(self.server.runtime / f"kernel-{session['kernel']['id']}.json")

    def python(self, expression: str) -> Any:
        """The value of an expression in the notebook's kernel."""
        return self.kernel.value(expression)

    def close_kernel(self) -> None:
        if "kernel" in self.__dict__:
            self.kernel.close()
            del self.__dict__["kernel"]

    # ---- what the page shows ---------------------------------------------------------------------------------------

    def figure(self, index: int = 0) -> Locator:
        """The figure of a pane, waited for and scrolled into view."""
        # JupyterLab hides cells that are out of view, so the cell comes first and then the figure in it.
        self.page.wait_for_function(
            """number => {
                const panes = [...document.querySelectorAll(".netgeom-pane")];
                const { content } = window.jupyterapp.shell.currentWidget;
                const cell = content.widgets.findIndex(({ node }) => node.contains(panes[number]));
                if (!(number in panes) || cell < 0) return false;
                return content.scrollToItem(cell, "smart").then(() => true);
            }""",
            arg=index,
            timeout=60_000,
        )
        figure = self.page.locator(FIGURE).nth(index)
        figure.wait_for(timeout=60_000)
        figure.scroll_into_view_if_needed()
        return figure

    def figures(self) -> int:
        return self.page.locator(FIGURE).filter(visible=True).count()

    def static_pictures(self) -> int:
        """How many stored pictures can be seen; none should be while the live figure is there."""
        return self.page.locator(STATIC_PICTURE).filter(visible=True).count()

    def picture_hash(self, element: Locator | None = None) -> str:
        """A digest of an element's pixels (the first figure's), once they have stood still for two frames."""
        element = element or self.figure()
        last = b""
        for _ in range(100):
            shot = element.screenshot(animations="disabled")
            if shot == last:
                return hashlib.sha256(shot).hexdigest()
            last = shot
            self.page.wait_for_timeout(60)
        raise AssertionError("the picture never stood still")

    @contextmanager
    def picture_changes(self, element: Locator | None = None, *, timeout: float = 20) -> Iterator[None]:
        """Assert that what is done inside changes the pixels of an element, the first figure's if none is given."""
        before = self.picture_hash(element)
        yield
        deadline = time.monotonic() + timeout
        while self.picture_hash(element) == before:
            assert time.monotonic() < deadline, f"the picture did not change within {timeout} s"
            self.page.wait_for_timeout(50)

    def text(self) -> str:
        """All text of the notebook's outputs."""
        return "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the whole window, for a human to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def place_in(self, model: str, x: float, y: float) -> tuple[float, float]:
        """Where data coordinates of a plot, named by an expression of the kernel, lie in the page, in pixels."""
        place = self.page.wait_for_function(
            """([id, x, y]) => {
                const pages = Object.values(globalThis[Symbol.for("netgeom.bokehjs")]);
                const view = pages.flatMap(page => [...page.root.Bokeh.index.query(v => v.model.id === id)])
                    .find(view => view.el.getBoundingClientRect().width > 0);
                if (!view) return false;
                view.el.scrollIntoView({block: "nearest"});
                const box = view.canvas_view.el.getBoundingClientRect();
                const place = [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)];
                return place.every(isFinite) && place;
            }""",
            arg=[self.python(f"{model}.id"), x, y],
        )
        across, down = place.json_value()
        return across, down

    def place_of(self, x: float, y: float, *, figure: int = 0) -> tuple[float, float]:
        """Where data coordinates lie in a figure, as the fractions that :meth:`click` and the others take."""
        self.figure(figure)
        place = self.page.wait_for_function(
            """([x, y, number]) => {
                const pages = Object.values(globalThis[Symbol.for("netgeom.bokehjs")]);
                const figures = pages.flatMap(page => [...page.root.Bokeh.index.query(v => v.model.type === "Figure")])
                    .filter(view => view.el.getBoundingClientRect().width > 0);
                figures.sort((a, b) => a.el.getBoundingClientRect().top - b.el.getBoundingClientRect().top);
                if (!(number in figures)) return false;
                const { canvas_view, frame, el } = figures[number];
                const canvas = canvas_view.el.getBoundingClientRect(), box = el.getBoundingClientRect();
                const place = [
                    (canvas.left + frame.x_scale.compute(x) - box.left) / box.width,
                    (canvas.top + frame.y_scale.compute(y) - box.top) / box.height,
                ];
                return place.every(isFinite) && place;  // not finite before the first paint
            }""",
            arg=[x, y, figure],
        )
        across, down = place.json_value()
        return across, down

    # ---- what a user does ------------------------------------------------------------------------------------------

    def _at(self, x: float, y: float, index: int) -> tuple[float, float]:
        box = self.figure(index).bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def hover(self, x: float, y: float, *, figure: int = 0) -> None:
        """Move the mouse to a place in the figure, in fractions of its width and height from the upper left."""
        self.page.mouse.move(*self._at(x, y, figure), steps=4)

    def click(self, x: float, y: float, *, figure: int = 0) -> None:
        self.hover(x, y, figure=figure)
        self.page.mouse.click(*self._at(x, y, figure))

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, figure: int = 0) -> None:
        self.hover(*start, figure=figure)
        self.page.mouse.down()
        self.page.mouse.move(*self._at(*end, figure), steps=8)
        self.page.mouse.up()

    def wheel(
        self, turns: int, *, at: tuple[float, float] = (0.5, 0.5), figure: int = 0, control: bool = False
    ) -> None:
        """Turn the wheel over the figure, a positive number of notches zooms in; ``control`` holds Ctrl down."""
        self.hover(*at, figure=figure)
        if control:
            self.page.keyboard.down("Control")
        for _ in range(abs(turns)):
            self.page.mouse.wheel(0, -120 if turns > 0 else 120)
            self.page.wait_for_timeout(30)
        if control:
            self.page.keyboard.up("Control")

    def press(self, label: str) -> None:
        """Press a button of a widget by the text on it, as soon as it is enabled."""
        self.page.locator(
            "button.jupyter-button:not([disabled])", has_text=re.compile(rf"^\s*{re.escape(label)}\s*$")
        ).first.click()

    def control(self, label: str) -> Locator:
        """The line of controls (label and input) with this description."""
        return self.page.locator(".widget-inline-hbox", has=self.page.get_by_text(label, exact=True)).first

    def choose(self, label: str, option: str) -> None:
        """Choose in a drop-down control."""
        self.control(label).locator("select").select_option(label=option)

    def slide(self, label: str, steps: int) -> None:
        """Move a slider with the arrow keys, one key press a step."""
        handle = self.control(label).locator(".noUi-handle").first
        handle.focus()
        for _ in range(abs(steps)):
            handle.press("ArrowRight" if steps > 0 else "ArrowLeft")

    def tick(self, label: str) -> None:
        """Click a checkbox."""
        self.page.locator("label", has_text=re.compile(rf"^\s*{re.escape(label)}\s*$")).locator(
            "input[type=checkbox]"
        ).first.click()

    def theme(self, name: str) -> None:
        """Switch JupyterLab to its "Light" or "Dark" theme."""
        self.command("apputils:change-theme", {"theme": f"JupyterLab {name}"})
        self.page.wait_for_function(
            "dark => (document.body.dataset.jpThemeLight === 'false') === dark", arg=name == "Dark"
        )

    def window(self, width: int, height: int) -> None:
        """Resize the browser window."""
        self.page.set_viewport_size({"width": width, "height": height})

    def hide_sidebar(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def close(self) -> None:
        self.close_kernel()
        self.page.close()


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook file of code cells, with the kernel this Python provides."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.write_text(json.dumps(notebook))
