"""Run the notebooks and store them with what readers should see: numbers and pictures, and no widget state.

`python -m tests.store_notebooks [NAME ...]` after a change of a notebook or of what it shows.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
LIVE = "application/vnd.jupyter.widget-view+json"  # means nothing without the kernel that made it


def first_cell() -> str:
    """The first lines of code of every notebook: they install the package where it is missing, as on Colab.

    From the repository that pyproject.toml names; while that names none, from a wheel that lies beside the notebook.
    """
    url = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {}).get("Repository")
    source, hint = (
        (f'"netgeom_widgets @ git+{url}"', "as on Colab")
        if url
        else ("./netgeom_widgets-*.whl", "as on Colab: put the wheel there first, see the README")
    )
    return (
        "try:\n    import netgeom_widgets as ng\n"
        f"except ModuleNotFoundError:  # {hint}\n    %pip install --quiet {source}\n    import netgeom_widgets as ng"
    )


def put_first_cell(notebook: nbformat.NotebookNode) -> None:
    """Let the first code of a notebook begin with :func:`first_cell`."""
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    begun = re.match(
        r"try:\n    import netgeom_widgets as ng\nexcept .*\n    %pip .*\n    import netgeom_widgets as ng\n*",
        cell.source,
    )
    cell.source = f"{first_cell()}\n\n{cell.source[begun.end() if begun else 0 :]}"


def store(path: Path) -> None:
    """Execute one notebook in place and strip what only its kernel understands, or what changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
    put_first_cell(notebook)
    client = NotebookClient(
        notebook, timeout=120, store_widget_state=False, resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
        if cell.cell_type == "code":  # the picture under a widget stays in its place
            cell.outputs = [output for output in cell.outputs if LIVE not in output.get("data", {})]
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        store(path)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
