"""Run the notebooks and store them with what readers should see: numbers and pictures, and no widget state.

`python -m tests.store_notebooks [NAME ...]` after a change of a notebook or of what it shows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
LIVE = "application/vnd.jupyter.widget-view+json"  # means nothing without the kernel that made it


def store(path: Path) -> None:
    """Execute one notebook in place and strip what only its kernel understands, or what changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
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
