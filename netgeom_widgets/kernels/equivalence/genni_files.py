"""GENNI's stored files as plain data: settings in YAML, losses in pickles. Nothing in them is executed."""

from __future__ import annotations

import pickle  # only its reader, and that without the names that it would import
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError

_KEY = re.compile(r"([A-Za-z_]\w*):(?:\s+(.*))?$")
_NUMBER_TYPES = {"f4": np.float32, "f8": np.float64}

Lines = list[tuple[int, str]]  # indentation, text


def read_settings(path: Path) -> dict[str, Any]:
    """Top-level entries of a ``config.yml`` or ``meta.yml``: numbers, words, lists and mappings of them.

    Entries that hold Python objects (tags such as ``!!python/object``, in which GENNI wrote its basis vectors) are left
    out: they would have to be executed.

    Raises
    ------
    NetgeomError
        The file is not there, or is not YAML of this plain kind.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NetgeomError(f"{path} cannot be read", got=f"{type(error).__name__}: {error}") from error
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if _KEY.match(line):
            blocks.append([line])
        elif line.strip() and not line.startswith("#"):
            if not blocks:
                raise _not_plain(path, line)
            blocks[-1].append(line)
    plain = [block for block in blocks if not any("!!" in line for line in block)]
    lines: Lines = []
    for line in (line for block in plain for line in block):
        if lines and _is_open(lines[-1][1]):  # a list in brackets that goes on
            lines[-1] = lines[-1][0], f"{lines[-1][1]} {line.strip()}"
        else:
            lines.append((len(line) - len(line.lstrip()), line.strip()))
    try:
        return dict(_value(lines)) if lines else {}
    except (ValueError, IndexError, TypeError) as error:
        raise _not_plain(path, str(error)) from error


def _not_plain(path: Path, got: str) -> NetgeomError:
    return NetgeomError(f"{path} is not plain YAML", expected="keys with numbers, words, lists, mappings", got=got[:80])


def _value(lines: Lines) -> Any:
    """A mapping, a list or a scalar, from the lines of its block."""
    indent, first = lines[0]
    if first.startswith("- ") or first == "-":
        return [_value(item) for item in _split(lines, indent, "-")]
    if _KEY.match(first):
        found = {}
        for (_, head), *rest in _split(lines, indent, ""):
            key, inline = _KEY.fullmatch(head).groups()  # type: ignore[union-attr]  # _split looked
            if inline and rest:
                raise ValueError(rest[0][1])
            found[key] = _scalar(inline) if inline else _value(rest) if rest else None
        return found
    if len(lines) > 1:
        raise ValueError(lines[1][1])
    return _scalar(first)


def _split(lines: Lines, indent: int, mark: str) -> list[Lines]:
    """Entries of a list (`mark` taken off) or of a mapping, each with the lines below it."""
    entries: list[Lines] = []
    for depth, text in lines:
        # YAML lets the list of a key start at the key's own column
        starts = depth == indent and (text.startswith("-") if mark else not text.startswith("- "))
        if starts and mark:
            rest = text[1:].lstrip()
            entries.append([(depth + len(text) - len(rest), rest)])
        elif starts:
            if not _KEY.match(text):
                raise ValueError(text)
            entries.append([(depth, text)])
        elif depth < indent:
            raise ValueError(text)
        else:
            entries[-1].append((depth, text))
    return entries


def _is_open(text: str) -> bool:
    return sum(text.count(mark) for mark in "[{") > sum(text.count(mark) for mark in "]}")


def _scalar(text: str) -> Any:
    inside = [part.strip() for part in text[1:-1].split(",") if part.strip()]
    if text[:1] in ("[", "{") and (_is_open(text) or any(mark in text[1:] for mark in "[{")):
        raise ValueError(text)  # brackets in brackets, or without an end
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part) for part in inside]
    if text.startswith("{") and text.endswith("}"):
        return {key: _scalar(value.strip()) for key, _, value in (part.partition(":") for part in inside)}
    if text in ("null", "~", ""):
        return None
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text.strip("'\"")


class _Parts:
    """Stands in for a numpy object: keeps what it would be made of."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Parts,
    ("numpy._core.multiarray", "_reconstruct"): _Parts,
    ("numpy", "ndarray"): _Parts,
    ("numpy", "dtype"): _Parts,
}


class _NumbersOnly(pickle.Unpickler):
    """Reads the parts of one numpy array; no name in the file reaches anything but a stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _STAND_INS[module, name]


def read_losses(path: Path) -> Float64[ndarray, ...]:
    """The one array of floats in a ``data.pkl``.

    Raises
    ------
    NetgeomError
        The file is not there, or holds anything else; nothing in it has been called then.
    """
    try:
        with path.open("rb") as file:
            found = _NumbersOnly(file).load()
        _, shape, kind, by_columns, data = found.state
        (name, *_), (_, order, *_) = kind.arguments, kind.state
        dtype = np.dtype(_NUMBER_TYPES[name]).newbyteorder(order)
        return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C").astype(np.float64)
    except Exception as error:  # a pickle may fail in any way, and what it holds may be anything
        raise NetgeomError(
            f"{path} cannot be read as a grid of losses",
            expected="a pickle of one numpy array of floats, which is all that is read from a pickle",
            got=f"{type(error).__name__}: {error}",
        ) from error
