"""Colab: the first cell of every notebook, and what a kernel with its old traitlets and ipywidgets would trip over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests import store_notebooks

NOTEBOOKS = sorted(store_notebooks.FOLDER.glob("*.ipynb"))

# A kernel as Colab's before anything is installed: its own module is loaded, netgeom_widgets cannot be found, and
# `%pip install` brings it.
KERNEL = """
import json, sys
from types import ModuleType
from IPython.core.interactiveshell import InteractiveShell

told = []
for name in ("google", "google.colab", "google.colab.output"):
    sys.modules[name] = ModuleType(name)
sys.modules["google.colab.output"].enable_custom_widget_manager = lambda: told.append("custom widgets enabled")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "netgeom_widgets":
            raise ModuleNotFoundError(name)

def pip(line):
    told.append(f"pip {line}")
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Missing)]

sys.meta_path.insert(0, Missing())
shell = InteractiveShell.instance()
shell.register_magic_function(pip, "line", "pip")
for cell in json.loads(sys.argv[1]):
    shell.run_cell(cell).raise_error()
print("told", json.dumps(told))
"""
WIDGET = """
import torch
net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
explorer = ng.RegionExplorer(net, ng.Slice.box(-1, 1, -1, 1))
explorer.wait()
assert explorer.result.n_regions > 1 and ng.doctor().front_end == "Colab"
explorer
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_begins_with_the_same_lines(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    begin = store_notebooks.first_cell()
    assert code[0].startswith(f"{begin}\n\n")
    assert not [
        source for source in code[1:] if re.search(r"^import netgeom_widgets as|^[%!]pip", source, re.MULTILINE)
    ]


def test_it_installs_from_the_repository_once_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "./netgeom_widgets-*.whl" in store_notebooks.first_cell()
    (tmp_path / "pyproject.toml").write_text('[project]\nurls = {Repository = "https://example.org/netgeom"}')
    monkeypatch.setattr(store_notebooks, "ROOT", tmp_path)
    assert '%pip install --quiet "netgeom_widgets @ git+https://example.org/netgeom"' in store_notebooks.first_cell()


def test_without_a_public_address_the_readme_has_no_badge() -> None:
    readme = (store_notebooks.ROOT / "README.md").read_text()
    public = "[project.urls]" in (store_notebooks.ROOT / "pyproject.toml").read_text()
    assert public or not re.search(r"badge|mybinder\.org/v2|colab\.research", readme)


def test_in_colab_it_installs_once_and_the_first_widget_enables_custom_widgets() -> None:
    cells = json.dumps([store_notebooks.first_cell()] * 2 + [WIDGET])
    done = subprocess.run([sys.executable, "-c", KERNEL, cells], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == (
        'told ["pip install --quiet ./netgeom_widgets-*.whl", "custom widgets enabled"]'
    )


def test_no_class_needs_a_newer_traitlets_than_colab_has_loaded() -> None:
    """traitlets 5.7, which a Colab kernel has in memory before it can install a newer one, has no generic TraitType."""
    package = Path(__file__).parents[1] / "netgeom_widgets"
    bases = re.compile(r"^class \w+\(.*traitlets\.\w+\[", re.MULTILINE)
    assert not [path.name for path in package.rglob("*.py") if bases.search(path.read_text())]
