"""Imports go one way: widgets -> figures -> kernels, with execution/, recording/ and training/ beside the kernels."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "netgeom_widgets"
NOTEBOOK = {"ipywidgets", "anywidget", "IPython", "ipykernel", "traitlets", "comm"}
VIEW = NOTEBOOK | {"bokeh", "matplotlib"}

BY_NAME = {"importlib.import_module", "import_module", "__import__"}

# What a layer must not import: at module level, inside a function, or for the type checker alone.
FORBIDDEN = {
    "kernels": VIEW
    | {
        "netgeom_widgets.figures",
        "netgeom_widgets.widgets",
        "netgeom_widgets.recording",
        "netgeom_widgets.training",
    },
    "recording": VIEW | {"netgeom_widgets.figures", "netgeom_widgets.training", "netgeom_widgets.widgets"},
    "training": VIEW | {"netgeom_widgets.figures", "netgeom_widgets.widgets"},
    "execution": VIEW
    | {
        "torch",
        "netgeom_widgets.figures",
        "netgeom_widgets.widgets",
        "netgeom_widgets.kernels",
        "netgeom_widgets.recording",
    },
    "figures": NOTEBOOK | {"torch", "netgeom_widgets.widgets", "netgeom_widgets.recording", "netgeom_widgets.training"},
    "datasets": VIEW
    | {
        "torch",
        "netgeom_widgets.execution",
        "netgeom_widgets.figures",
        "netgeom_widgets.kernels",
        "netgeom_widgets.recording",
        "netgeom_widgets.widgets",
    },
    "errors": VIEW | {"torch", "netgeom_widgets"},
}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module imported in a file, as (line, dotted name), under TYPE_CHECKING and in functions too."""
    package = ("netgeom_widgets", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            # `from netgeom_widgets import figures` imports netgeom_widgets.figures
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def violations(path: Path, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE.parent)}:{line} imports {name}"
        for line, name in imported(path)
        if any(name == module or name.startswith(module + ".") for module in forbidden)
    ]


def files_of(layer: str) -> list[Path]:
    return sorted([*(PACKAGE / layer).rglob("*.py"), *PACKAGE.glob(f"{layer}.py")])


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_no_import_goes_up(layer: str) -> None:
    found = [line for path in files_of(layer) for line in violations(path, FORBIDDEN[layer])]
    assert not found, "\n".join(found)


def test_layers_are_there() -> None:
    assert all(
        files_of(layer)
        for layer in ("kernels", "figures", "widgets", "execution", "recording", "training", "datasets", "errors")
    )


def test_widgets_do_no_mathematics() -> None:
    """Widgets hold controls, threads and the comm: numbers come from kernels, glyphs from figures."""
    numeric = {"scipy", "sklearn", "igraph", "matplotlib", "torch.fx", "torch.func"}
    found = [line for path in files_of("widgets") for line in violations(path, numeric)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import bokeh.plotting", "bokeh.plotting"),
        ("from netgeom_widgets import widgets", "netgeom_widgets.widgets"),
        ("from ..widgets import base", "netgeom_widgets.widgets.base"),
        ("def f():\n    import ipywidgets as w", "ipywidgets"),
        ("import importlib\nimportlib.import_module('IPython')", "IPython"),
    ],
)
def test_the_reader_sees_every_form_of_import(source: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = PACKAGE / "kernels" / "imaginary.py"
    monkeypatch.setattr(Path, "read_text", lambda self: source)
    assert expected in {name for _, name in imported(path)}
    assert violations(path, FORBIDDEN["kernels"])
