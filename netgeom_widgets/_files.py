"""Files that are there whole or not at all, arrays of zarr made of them, and the lock that keeps them to one writer."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

Json = dict[str, Any]
_PATIENCE = 0.2  # seconds; who only asks whether a folder is locked has it for some microseconds


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Replace a file at once: whoever reads it, or is left with it after a kill, has the old or the new content.

    A run has one writer, so the name of the unfinished file is fixed: what a killed writer left is overwritten by the
    next one. Nothing is flushed to the disk: a killed process loses nothing that way, a power cut may.
    """
    unfinished = path.with_name(path.name + ".partial")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def write_into(path: Path, offset: int, content: bytes) -> None:
    """Overwrite some bytes of a file in place, which costs no renaming: only for bytes that nobody reads yet."""
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        file.write(content)


def read_json(path: Path) -> Json:
    """One JSON object."""
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def write_json(path: Path, value: Json) -> None:
    """One JSON object, at once."""
    write_file(path, json.dumps(value, indent=2).encode())


def create_array(
    group: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any, fill: float
) -> Any:
    """An empty zarr array whose chunks are plain files of its numbers, row by row, named as `chunk_name` says."""
    chunks = tuple(max(1, side) for side in chunks)  # a chunk has positive sides even where an array has none
    # Without "/" in the chunks' names a chunk is one file and no folder. Compression buys 7 % of random floats.
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        fill_value=fill,
        compressors=None,
        chunk_key_encoding={"name": "default", "separator": "."},
    )


def chunk_name(*place: int) -> str:
    """The file of the chunk at a place of the grid of chunks (key encoding "default", separator ".")."""
    return ".".join(["c", *map(str, place)])


class FolderLock:
    """An exclusive lock on a folder, which ends with the process that holds it, however that ends.

    It belongs to the folder and not to its name, so it stays when the folder is renamed. Where the system has no such
    lock (Windows, some network drives) it is granted without being `held`.
    """

    def __init__(self, folder: Path) -> None:
        self.held = False
        self._descriptor: int | None = None
        if sys.platform != "win32":
            self._descriptor = os.open(folder, os.O_RDONLY)

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock; False when somebody else holds it, not only for a moment."""
        deadline = time.monotonic() + _PATIENCE
        while not self._try(wait=wait):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PATIENCE / 20)
        return True

    def _try(self, *, wait: bool) -> bool:
        if sys.platform == "win32" or self._descriptor is None:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        self.held = True
        return True

    @classmethod
    def is_taken(cls, folder: Path) -> bool | None:
        """Whether somebody on this machine holds the lock of a folder now; None where that cannot be told."""
        try:
            lock = cls(folder)
        except OSError:
            return None
        try:
            if not lock._try(wait=False):
                return True
            return False if lock.held else None
        finally:
            lock.release()

    def release(self) -> None:
        """Let go of it; idempotent."""
        if sys.platform != "win32" and self._descriptor is not None:
            if self.held:  # closing is not enough: worker processes forked meanwhile have the descriptor too
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor, self.held = None, False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for a folder's lock and hold it inside the block."""
    lock = FolderLock(folder)
    try:
        lock.acquire(wait=True)
        yield
    finally:
        lock.release()
