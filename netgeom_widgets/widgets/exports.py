"""Export of a widget to files: a standalone page, pictures, the numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError


def free_path(stem: str, suffix: str) -> Path:
    """A file name in the working directory that is not taken yet."""
    path, number = Path.cwd() / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = Path.cwd() / f"{stem}-{number}{suffix}"
    return path


def save_html(root: Any, path: str | Path, title: str) -> None:
    """Write a page that shows the figure by itself: no kernel, no network. It contains the data of the figure."""
    from netgeom_widgets.figures.html import to_html

    Path(path).write_text(to_html(root, title), encoding="utf-8")


def save_picture(root: Any, path: str | Path, *, suffixes: tuple[str, ...]) -> None:
    """Write a picture; the suffix of the path chooses the format.

    Raises
    ------
    NetgeomError
        When the suffix is another one.
    """
    from netgeom_widgets.figures import static

    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise NetgeomError("The file name does not fit.", expected=" or ".join(suffixes), got=suffix or "no suffix")
    static.save(root, path)


def save_data(arrays: dict[str, Any], path: str | Path, about: dict[str, Any]) -> None:
    """Write arrays as npz (with what produced them, as JSON, under the name ``about``) or as one csv table.

    Raises
    ------
    NetgeomError
        When the suffix is another one, an array holds Python objects, or the arrays do not fit one table.
    """
    suffix, named = Path(path).suffix.lower(), _checked(arrays)
    if suffix == ".npz":
        np.savez_compressed(path, about=np.array(json.dumps(about)), **named)
    elif suffix == ".csv":
        _save_table(named, path)
    else:
        raise NetgeomError("The file name does not fit.", expected=".npz or .csv", got=suffix or "no suffix")


def save_zarr(arrays: dict[str, Any], path: str | Path, about: dict[str, Any]) -> None:
    """Write arrays into a new zarr 3 group, an array per name, with what produced them as its attribute ``about``.

    Raises
    ------
    NetgeomError
        When there is something at the path already, or an array holds Python objects.
    """
    import zarr

    named = _checked(arrays)
    if Path(path).exists():
        raise NetgeomError("There is something at this path already.", expected="a new path", got=str(path))
    group = zarr.create_group(path, attributes={"about": about}, zarr_format=3)
    for name, array in named.items():
        group.create_array(name, data=array)


def _checked(arrays: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    named = {name: np.asarray(array) for name, array in arrays.items()}
    bad = [name for name, array in named.items() if array.dtype.hasobject]
    if bad:
        raise NetgeomError(
            "Arrays of Python objects cannot be written.", expected="numbers or text", got=", ".join(bad)
        )
    return named


def _save_table(arrays: dict[str, np.ndarray[Any, Any]], path: str | Path) -> None:
    rows = {array.shape[0] if array.ndim in (1, 2) else -1 for array in arrays.values()}
    if len(rows) != 1 or -1 in rows:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise NetgeomError("These arrays do not fit one table.", got=shapes, try_this="a path that ends in .npz")
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        wide = array.ndim == 2
        columns |= {f"{name}_{j}": array[:, j] for j in range(array.shape[1])} if wide else {name: array}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
