"""Arrays in files: npy, and results as one npz each, written whole or not at all and read only where all fits."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from netgeom_widgets.errors import NetgeomError

T = TypeVar("T")


def save_npz(
    path: str | os.PathLike[str], form: str, arrays: Mapping[str, Any], about: Mapping[str, Any], *, compress: bool
) -> None:
    """Arrays and what JSON can hold to one file; an older file of that name is replaced in one step.

    Parameters
    ----------
    path : path
    form : str
        Names program, content and version of the format; only files with it are read back.
    arrays, about : mapping
    compress : bool
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    save: Callable[..., None] = np.savez_compressed if compress else np.savez
    with partial.open("wb") as file:
        save(file, about=json.dumps({**about, "format": form}), **arrays)
    partial.replace(path)


def load_npz(
    path: str | os.PathLike[str],
    form: str,
    build: Callable[[dict[str, Any], dict[str, Any]], T],
    *,
    what: str,
    writer: str,
) -> T:
    """``build(arrays, about)`` of what `save_npz` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : path
    form : str
        As it was given to `save_npz`.
    build : callable
        Raises whatever exception where the content contradicts itself.
    what, writer : str
        Of the error: what the file should hold, and the method that writes it.

    Raises
    ------
    NetgeomError
        The file holds something else, or `build` refused what it holds.
    FileNotFoundError
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(str(arrays.pop("about")))
        if (found := about.pop("format")) != form:
            raise ValueError(f"format {found!r}")
        return build(arrays, about)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged zip, a missing array, another program's file: one answer to all
        raise NetgeomError(
            f"{path} holds no {what}", expected=f"a file of {writer}", got=f"{type(error).__name__}: {error}"
        ) from error


def load_npy(path: str | os.PathLike[str], expected: str) -> np.ndarray:
    """The array of an npy file; nothing in it is unpickled.

    Parameters
    ----------
    path : path
    expected : str
        Of the error.

    Raises
    ------
    NetgeomError
        No such file, or it holds something else.
    """
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("several arrays")
    except (OSError, ValueError, EOFError) as error:
        got = f"{type(error).__name__}: {error}"
        raise NetgeomError(f"{path} cannot be read", expected=expected, got=got) from error
    return found
