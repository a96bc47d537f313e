"""Browser tests: one JupyterLab and one Chromium for all of them, a page and a kernel for each."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.browser.notebook import Notebook, write_notebook
from tests.browser.server import JupyterLab

IN_CI = bool(os.environ.get("CI"))
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a browser test that was skipped has failed."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"browser tests may not be skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium found; install it or set NETGEOM_CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    lab = JupyterLab(tmp_path_factory.mktemp("jupyter"))
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def context(chromium: Browser, server: JupyterLab) -> Iterator[BrowserContext]:
    """One context, so that JupyterLab's own files come from the browser's cache after the first page."""
    context = chromium.new_context(viewport={"width": 1300, "height": 1000})
    context.set_default_timeout(30_000)
    yield context
    context.close()


class Lab:
    """Makes notebooks, opens them in pages of their own, and looks at what the browser's console said."""

    def __init__(self, server: JupyterLab, context: BrowserContext, name: str) -> None:
        self.server, self.context, self.name = server, context, name
        self.notebooks: list[Notebook] = []

    def open(self, *cells: str) -> Notebook:
        """A new notebook of these code cells, open and with its kernel started."""
        path = self.server.notebooks / f"{self.name}-{len(self.notebooks)}.ipynb"
        write_notebook(path, list(cells))
        return self.open_file(path)

    def open_file(self, path: Path) -> Notebook:
        """Open a notebook that lies in the server's folder already."""
        notebook = Notebook(self.server, self.context.new_page(), path)
        self.notebooks.append(notebook)
        return notebook.open()

    def close(self) -> None:
        for notebook in self.notebooks:
            notebook.close()
        self.server.end_sessions([notebook.path.name for notebook in self.notebooks])

    def check(self) -> None:
        errors = [error for notebook in self.notebooks for error in notebook.errors]
        assert not errors, "the browser's console has errors:\n" + "\n".join(errors)
        asked = [url for notebook in self.notebooks for url in notebook.foreign_requests]
        assert not asked, "the page asked other hosts:\n" + "\n".join(asked)


@contextmanager
def watched(lab: Lab, request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep pictures of the notebooks when the test fails."""
    failures = request.session.testsfailed
    yield
    if request.session.testsfailed > failures:
        for number, notebook in enumerate(lab.notebooks):
            notebook.screenshot(f"failed-{named(request)}-{number}")


def named(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W+", "-", request.node.name)


@pytest.fixture
def lab(server: JupyterLab, context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Lab]:
    lab = Lab(server, context, named(request))
    try:
        with watched(lab, request):
            yield lab
    finally:
        lab.close()
    lab.check()


@pytest.fixture(scope="module")
def lab_of_the_module(server: JupyterLab, context: BrowserContext) -> Iterator[Lab]:
    lab = Lab(server, context, "shared")
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture
def shared_lab(lab_of_the_module: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One for all tests of a module: notebooks stay open with their kernels, whose start is half of a test's time.

    A test makes a widget of its own, and counts on nothing that another may have left: window, theme, variables.
    """
    with watched(lab_of_the_module, request):
        yield lab_of_the_module
    try:
        lab_of_the_module.check()
    finally:
        for notebook in lab_of_the_module.notebooks:  # the next test is not to blame
            notebook.errors.clear()
            notebook.foreign_requests.clear()
