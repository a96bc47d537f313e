"""doctor(): which versions are installed, which front end is in use, and what to do when nothing appears."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "netgeom_widgets",
    "torch",
    "numpy",
    "bokeh",
    "ipywidgets",
    "anywidget",
    "jupyterlab",
    "notebook",
    "ipykernel",
)

ADVICE = {
    "JupyterLab or Notebook": (
        "Restart the kernel and reload the page after installing or upgrading; a running JupyterLab does not see new "
        "widget packages.",
        "The server and the kernel may live in different environments: anywidget and ipywidgets have to be in both. "
        "Compare `jupyter lab --version` in a terminal with the versions above.",
    ),
    "VS Code": (
        'Allow VS Code to load widget code: in its settings.json put "jupyter.widgetScriptSources": '
        '["jsdelivr.com", "unpkg.com"], then restart the kernel.',
        "The kernel chosen at the upper right has to be the environment above.",
    ),
    "Colab": ("After `%pip install` choose Runtime > Restart session, then run the cells again.",),
    "marimo": ("Show the bare figure: `mo.ui.anywidget(widget.pane)`; marimo takes anywidgets only.",),
    "IPython in a terminal": (
        "A terminal shows no widgets. Use wait(), result and the export methods, or JupyterLab.",
    ),
    "a script": (
        "A script shows no widgets. Use wait(), result and export_html, export_png, export_svg, export_data.",
    ),
}
ALWAYS = (
    '"Error displaying widget: model not found": the kernel was restarted since; run the cell again.',
    "The stored picture under a widget, and export_html, work without a kernel.",
)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What :func:`doctor` found; its text is the report."""

    versions: dict[str, str]
    front_end: str
    advice: tuple[str, ...]

    def __str__(self) -> str:
        width = max(map(len, self.versions))
        lines = [f"{name:{width}}  {found}" for name, found in self.versions.items()]
        lines += ["", f"Running in {self.front_end}.", "", "If nothing appears:"]
        return "\n".join([*lines, *(f"- {line}" for line in self.advice)])

    def __repr__(self) -> str:
        return f"<Diagnosis: {self.front_end}, {len(self.versions)} packages>"


def doctor() -> Diagnosis:
    """Print versions, the front end in use, and what to do when a widget does not appear.

    Returns
    -------
    Diagnosis
        The same as an object: ``versions``, ``front_end``, ``advice``; ``str`` of it is the report.
    """
    front_end = _front_end()
    diagnosis = Diagnosis(
        versions={"python": sys.version.split()[0], **{name: _version(name) for name in PACKAGES}},
        front_end=front_end,
        advice=(*ADVICE[front_end], *ALWAYS),
    )
    print(diagnosis)  # noqa: T201  # printing is what it is called for
    return diagnosis


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed here"


def _front_end() -> str:
    """Where the code runs, told from what is loaded already; nothing is imported to find out."""
    if "google.colab" in sys.modules:
        return "Colab"
    marimo = sys.modules.get("marimo")
    if marimo is not None and getattr(marimo, "running_in_notebook", lambda: False)():
        return "marimo"
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return "a script"
    if getattr(shell, "kernel", None) is None:
        return "IPython in a terminal"
    # VS Code's kernels inherit its variables, and it names the notebook's file in the namespace
    if "VSCODE_PID" in os.environ or "VSCODE_CWD" in os.environ or "__vsc_ipynb_file__" in shell.user_ns:
        return "VS Code"
    return "JupyterLab or Notebook"
