"""Writing one run: rows first, the counter last, every file at once.

zarr makes the arrays; afterwards only chunk files are written, which for an uncompressed array hold its bytes. That
takes a tenth of the time, and it leaves the order and the atomicity of the writes to this module: a snapshot's rows are
complete files before `committed` counts them, whenever the process is killed. A run is made under a hidden name and
renamed with its first snapshot in it, so nobody ever finds half a run.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netgeom_widgets._files import (
    FolderLock,
    chunk_name,
    create_array,
    locked,
    read_json,
    write_file,
    write_into,
    write_json,
)
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording.layout import (
    COMMITTED,
    FORMAT,
    STEPS,
    VERSION,
    Layout,
    attributes,
    called,
    metric_key,
    run_folders,
)

_FIRST_CAPACITY = 16  # snapshots; doubled when full
_SCALARS_PER_CHUNK = 1024  # steps, metrics: 8 KiB a file
_BYTES_PER_CHUNK = 1 << 24  # of inputs
_HIDDEN = ".new-"


class RunWriter:
    """The one writer of one run.

    Made by `create` or `resume`. `append` commits one snapshot, `close` cuts the arrays to what was committed.
    """

    def __init__(self, path: Path, folder: Path, lock: FolderLock, run_id: str | None, layout: Layout) -> None:
        self.path, self.run_id, self.layout = path, run_id, layout
        self.n_committed = 0
        self.last_step = -1
        self._folder, self._lock = folder, lock
        self._metrics: list[str] = []
        self._capacity: dict[str, int] = {}
        self._closed = False

    @classmethod
    def create(
        cls, path: Path, layout: Layout, arrays: Mapping[str, np.ndarray[Any, Any]], run_id: str | None
    ) -> RunWriter:
        """Prepare a new run; it appears under `path` with its first snapshot.

        Parameters
        ----------
        path : Path
            The recording; made when there is none.
        layout : Layout
        arrays : mapping of str to ndarray
            What is written once: sample ids, labels, inputs.
        run_id : str or None
            None: ``run-<number>``.
        """
        make_root(path)
        with locked(path):  # or a process that tidies up could take the folder for an abandoned one
            _remove_abandoned(path)
            folder = path / f"{_HIDDEN}{uuid.uuid4().hex}"
            folder.mkdir()
            lock = FolderLock(folder)
            lock.acquire()
        writer = cls(path, folder, lock, run_id, layout)
        try:
            writer._make_arrays(arrays)
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def resume(cls, path: Path, run_id: str) -> RunWriter:
        """Go on after the last committed snapshot of a run."""
        folder = run_folders(path)[run_id]
        lock = FolderLock(folder)
        if not lock.acquire():
            lock.release()
            raise NetgeomError(
                f"Run {run_id!r} is being written",
                expected="one writer per run",
                got="another recorder, in this or another process, that has it open",
                try_this="leave its with block first, or take another run_id",
            )
        found = attributes(folder)
        writer = cls(path, folder, lock, run_id, Layout.from_json(found["layout"]))
        writer.n_committed, writer._metrics = read_committed(folder)[0], list(found["metrics"])
        chunk, place = divmod(writer.n_committed - 1, _SCALARS_PER_CHUNK)  # a run appears with its first snapshot
        writer.last_step = int(np.frombuffer((folder / STEPS / f"c.{chunk}").read_bytes(), "<i8")[place])
        return writer

    def require_same(self, layout: Layout, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Go on with the run, unless the snapshots are to be of another kind or of other samples."""
        import zarr

        difference = layout.difference(self.layout)
        for name in arrays if difference is None else ():
            stored = zarr.open_array(self._folder / name, mode="r")[...]
            if not np.array_equal(stored, arrays[name], equal_nan=arrays[name].dtype.kind == "f"):
                difference = (name, "other values", "the recorded ones")
        if difference is not None:
            what, here, there = difference
            raise NetgeomError(
                f"Run {self.run_id!r} cannot go on: not the same {what}",
                expected=there,
                got=here,
                try_this="the recorder's arguments of the first time, or another run_id",
            )
        self._write_committed(finished=False)

    def append(self, step: int, rows: Mapping[str, np.ndarray[Any, Any]], metrics: Mapping[str, float]) -> None:
        """Commit one snapshot: when this returns, it survives the end of the process."""
        t = self.n_committed
        for key, row in self.layout.rows.items():
            if rows[key].shape != row.shape:
                raise NetgeomError(
                    f"A snapshot of {called(key, self.layout.layers)} has another shape than those before",
                    expected=f"{row.shape}",
                    got=f"{rows[key].shape}",
                    try_this="another run for a model that has changed",
                )
        for key, row in self.layout.rows.items():
            value = np.ascontiguousarray(rows[key], row.dtype)
            self._grow(key, t)
            write_file(self._folder / key / chunk_name(t, *[0] * len(row.shape)), value.reshape(-1).view(np.uint8).data)
        self._append_scalar(STEPS, t, step)
        for name in metrics:
            if name not in self._metrics:
                self._add_metric(name)
        for index, name in enumerate(self._metrics):
            self._append_scalar(metric_key(index), t, metrics.get(name, np.nan))
        self.n_committed, self.last_step = t + 1, step
        self._write_committed(finished=False)
        if self._folder.name.startswith(_HIDDEN):
            self._publish()

    def close(self, *, finished: bool = True) -> None:
        """Cut the arrays to the committed snapshots, say that the run is finished, let go of it; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._folder.name.startswith(_HIDDEN):
                shutil.rmtree(self._folder, ignore_errors=True)  # nothing was committed
            elif finished:
                for key in (*self.layout.rows, STEPS, *map(metric_key, range(len(self._metrics)))):
                    self._resize(key, self.n_committed)
                self._write_committed(finished=True)
        finally:  # the disk may be full: the run can go on when it is not any more
            self._lock.release()

    def discard(self) -> None:
        """Remove the run again."""
        self._closed = True
        try:
            shutil.rmtree(self._folder)
        finally:
            self._lock.release()

    def _make_arrays(self, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
        import zarr

        group = zarr.create_group(self._folder, attributes={}, zarr_format=3)
        for name, values in arrays.items():
            rows = max(1, min(len(values), _BYTES_PER_CHUNK // max(1, values[:1].nbytes)))
            create_array(group, name, values.shape, (rows, *values.shape[1:]), values.dtype, 0)[...] = values
        for key, row in self.layout.rows.items():
            fill = np.nan if np.dtype(row.dtype).kind == "f" else 0
            create_array(group, key, (_FIRST_CAPACITY, *row.shape), (1, *row.shape), np.dtype(row.dtype), fill)
        create_array(group, STEPS, (_FIRST_CAPACITY,), (_SCALARS_PER_CHUNK,), np.dtype("int64"), -1)
        create_array(group, COMMITTED, (2,), (2,), np.dtype("int64"), 0)
        self._write_attributes(self._metrics)

    def _add_metric(self, name: str) -> None:
        import zarr

        # The array is complete before the attributes name it; one left by a killed writer has no name and is replaced.
        key, group = metric_key(len(self._metrics)), zarr.open_group(self._folder, mode="r+")
        shutil.rmtree(self._folder / key, ignore_errors=True)
        create_array(group, key, (self._length(STEPS),), (_SCALARS_PER_CHUNK,), np.dtype("float64"), np.nan)
        self._write_attributes([*self._metrics, name])
        self._metrics.append(name)

    def _write_attributes(self, metrics: list[str]) -> None:
        from netgeom_widgets import __version__

        found = {
            "format": FORMAT,
            "version": VERSION,
            "written_by": __version__,
            "run_id": self.run_id,
            "layout": self.layout.to_json(),
            "metrics": metrics,
        }
        write_json(self._folder / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": found})

    def _append_scalar(self, key: str, t: int, value: float) -> None:
        chunk, place = divmod(t, _SCALARS_PER_CHUNK)
        number = np.array(value, "<i8" if key == STEPS else "<f8")
        self._grow(key, t)
        file = self._folder / key / f"c.{chunk}"
        if not file.exists():
            write_file(file, np.full(_SCALARS_PER_CHUNK, -1 if key == STEPS else np.nan, number.dtype).data)
        write_into(file, place * number.itemsize, number.tobytes())  # not committed yet, so nobody reads it

    def _write_committed(self, *, finished: bool) -> None:
        write_file(self._folder / COMMITTED / "c.0", np.array([self.n_committed, finished], "<i8").data)

    def _length(self, key: str) -> int:
        if key not in self._capacity:
            self._capacity[key] = read_json(self._folder / key / "zarr.json")["shape"][0]
        return self._capacity[key]

    def _grow(self, key: str, t: int) -> None:
        if t >= (length := self._length(key)):
            self._resize(key, max(_FIRST_CAPACITY, 2 * length, t + 1))

    def _resize(self, key: str, length: int) -> None:
        metadata = read_json(self._folder / key / "zarr.json")
        if metadata["shape"][0] != length:
            metadata["shape"][0] = length
            write_json(self._folder / key / "zarr.json", metadata)
        self._capacity[key] = length

    def _publish(self) -> None:
        """Give the run its number, and its id if the user gave none."""
        given = self.run_id
        with locked(self.path):
            while self._folder.name.startswith(_HIDDEN):
                taken = run_folders(self.path)
                if given in taken:
                    raise NetgeomError(
                        f"Run {given!r} has been made by somebody else meanwhile", try_this="another run_id"
                    )
                numbers = [int(entry.name) for entry in self.path.iterdir() if entry.name.isdecimal()]
                number = max(numbers, default=-1) + 1
                free = (name for k in range(number, 2 * number + 2) if (name := f"run-{k}") not in taken)
                self.run_id = next(free) if given is None else given
                self._write_attributes(self._metrics)
                target = self.path / str(number)
                try:
                    self._folder.rename(target)
                except OSError:  # without locks somebody else may have taken the number
                    if not target.exists():
                        raise
                else:
                    self._folder = target


def read_committed(folder: Path) -> tuple[int, bool]:
    """How many snapshots of a run are complete, and whether its writer has closed: one file of 16 bytes."""
    committed, finished = np.frombuffer((folder / COMMITTED / "c.0").read_bytes(), "<i8")
    return int(committed), bool(finished)


def make_root(path: Path) -> None:
    """The group of all runs, where there is none yet; a folder with anything else in it is refused."""
    if path.exists() and not path.is_dir():
        raise _no_place(path, "a file")
    path.mkdir(parents=True, exist_ok=True)
    # Listed before the question whether it is a recording: the jobs of an array may all make it at once.
    foreign = [entry.name for entry in path.iterdir() if not entry.name.startswith(".") or entry.name.startswith(".z")]
    if (path / "zarr.json").exists():
        attributes(path)
        return
    if foreign:
        raise _no_place(path, f"a folder with {foreign[0]!r} in it")
    unfinished = path / f".{uuid.uuid4().hex}"
    write_json(
        unfinished, {"zarr_format": 3, "node_type": "group", "attributes": {"format": FORMAT, "version": VERSION}}
    )
    unfinished.replace(path / "zarr.json")


def _no_place(path: Path, got: str) -> NetgeomError:
    return NetgeomError(
        f"{path} is no place for a recording",
        expected="a path that is free, an empty folder or a recording",
        got=got,
        try_this=f"{path.name}.zarr beside it",
    )


def _remove_abandoned(path: Path) -> None:
    """Runs that a killed process had not got as far as their first snapshot; only where a lock can tell."""
    for folder in path.glob(f"{_HIDDEN}*"):
        lock = FolderLock(folder)
        if lock.acquire() and lock.held:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
