"""Tests of netgeom_widgets/diagnosis.py."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import bokeh
import pytest

import netgeom_widgets as ng
from netgeom_widgets import diagnosis


def test_it_prints_what_it_returns(capsys):
    report = ng.doctor()
    assert capsys.readouterr().out == f"{report}\n"
    assert report.versions["bokeh"] == bokeh.__version__
    assert report.versions["python"] == sys.version.split()[0]
    assert {"torch", "ipywidgets", "anywidget", "jupyterlab", "ipykernel"} <= set(report.versions)
    assert repr(report).startswith("<Diagnosis: ")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(diagnosis, "PACKAGES", ("no-such-package",))
    assert "no-such-package  not installed here" in str(ng.doctor())


@pytest.fixture
def shell(monkeypatch):
    """IPython as if it ran; the test fills in the shell."""
    shell = SimpleNamespace(kernel=object(), user_ns={})
    module = ModuleType("IPython")
    module.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", module)
    for name in ("VSCODE_PID", "VSCODE_CWD"):
        monkeypatch.delenv(name, raising=False)
    for name in ("google.colab", "marimo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return shell


def test_jupyter(shell):
    report = ng.doctor()
    assert report.front_end == "JupyterLab or Notebook"
    assert "different environments" in str(report)


def test_a_terminal(shell):
    shell.kernel = None
    assert ng.doctor().front_end == "IPython in a terminal"


@pytest.mark.parametrize("where", ["variable", "namespace"])
def test_vs_code(shell, monkeypatch, where):
    if where == "variable":
        monkeypatch.setenv("VSCODE_PID", "1")
    else:
        shell.user_ns["__vsc_ipynb_file__"] = "a.ipynb"
    report = ng.doctor()
    assert report.front_end == "VS Code"
    assert '"jupyter.widgetScriptSources": ["jsdelivr.com", "unpkg.com"]' in str(report)


def test_colab(shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    assert "Restart session" in str(ng.doctor())


def test_marimo(shell, monkeypatch):
    marimo = ModuleType("marimo")
    marimo.running_in_notebook = lambda: True
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    assert "mo.ui.anywidget(widget.pane)" in str(ng.doctor())


def test_a_script_sees_it_without_loading_anything_heavy():
    code = (
        "import sys, netgeom_widgets as ng; report = ng.doctor(); "
        "assert report.front_end == 'a script', report.front_end; "
        "assert not {'torch', 'bokeh', 'ipywidgets', 'IPython'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Running in a script." in done.stdout
