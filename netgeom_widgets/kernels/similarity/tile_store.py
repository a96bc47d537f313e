"""A matrix of similarities on disk: one file a tile, tiles in a fixed order, a counter of complete ones written last.

zarr makes the arrays, so anything that reads zarr 3 reads them; afterwards only chunk files are written, each at once.
A tile's file is complete before `committed` counts it. The summaries of many tiles are written together under the
number of tiles that they cover and renamed into place whole; later tiles are read again when the work goes on.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from netgeom_widgets._files import FolderLock, Json, chunk_name, create_array, read_json, write_file, write_json
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity.tile_grid import TileGrid
from netgeom_widgets.kernels.similarity.tile_summaries import Summaries

FORMAT, VERSION = "netgeom-similarity-tiles", 1
_SUMMARY = "summary-"
_HIDDEN = ".new-"
_FEW = 16  # lines of a tile
_PER_SAMPLE = {"zero_gradient": "|b1", "rank": "<i4", "outputs": "<f4", "zero_gradient_others": "|b1"}


class TileStore:
    """One store, open for reading or, through `create` and `resume`, for its one writer.

    Attributes
    ----------
    path : Path
    settings : dict
        What the similarities are of, and how they are kept.
    grid : TileGrid
    """

    def __init__(self, path: Path, lock: FolderLock | None = None) -> None:
        self.path, self._lock = path, lock
        self.settings = _attributes(path)
        self.grid = TileGrid(**self.settings["grid"])

    @classmethod
    def create(
        cls, path: Path, grid: TileGrid, settings: Json, arrays: Mapping[str, ndarray], n_outputs: int
    ) -> TileStore:
        """A new store without tiles; it appears whole.

        Parameters
        ----------
        path : Path
            Free, or an empty folder.
        grid : TileGrid
        settings : dict
            Goes into the attributes.
        arrays : mapping of str to array
            What is written once.
        n_outputs : int
            Of the network.
        """
        import zarr

        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f"{_HIDDEN}{uuid.uuid4().hex}")
        lock = None
        try:
            group = zarr.create_group(hidden, attributes={}, zarr_format=3)
            side = grid.side
            create_array(group, "values", (grid.n, grid.m), (side, side), np.dtype("<f4"), np.nan)
            for name, dtype in _PER_SAMPLE.items():
                if grid.half and name.endswith("others"):
                    continue
                length = grid.m if name.endswith("others") else grid.n
                width = (n_outputs,) if name == "outputs" else ()
                create_array(group, name, (length, *width), (side, *width), np.dtype(dtype), 0)
            create_array(group, "committed", (1,), (1,), np.dtype("<i8"), 0)
            for name, values in arrays.items():
                create_array(group, name, values.shape, values.shape, values.dtype, 0)[...] = values
            about = {"format": FORMAT, "version": VERSION, "grid": _grid_settings(grid), **settings}
            write_json(hidden / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": about})
            write_file(hidden / "committed" / "c.0", np.zeros(1, "<i8").data)
            lock = _writer_lock(hidden)
            if path.exists():
                path.rmdir()  # an empty folder; anything else has been refused, and fails here
            hidden.rename(path)
        except BaseException:
            if lock is not None:
                lock.release()
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        return cls(path, lock)

    @classmethod
    def resume(cls, path: Path) -> TileStore:
        """Go on with a store; refused while another writer has it open."""
        store = cls(path)
        store._lock = _writer_lock(path)
        for unfinished in path.glob(f"{_HIDDEN}*"):  # of a killed process
            shutil.rmtree(unfinished, ignore_errors=True)
        return store

    def close(self) -> None:
        """Let others write; idempotent."""
        if self._lock is not None:
            self._lock.release()

    @property
    def n_committed(self) -> int:
        """Complete tiles now: the first so many of the grid's order."""
        return int(np.frombuffer((self.path / "committed" / "c.0").read_bytes(), "<i8")[0])

    def commit(self, index: int, values: Float32[ndarray, "a b"]) -> None:
        """Add the next tile: when this returns, it survives the end of the process."""
        self._write_chunk("values", self.grid.place(index), values, (self.grid.side, self.grid.side), "<f4", np.nan)
        write_file(self.path / "committed" / "c.0", np.array([index + 1], "<i8").data)

    def write_samples(self, name: str, part: int, values: ndarray) -> None:
        """Flags, ranks or outputs of the samples in one row or column of tiles."""
        place = (part, *[0] * (values.ndim - 1))
        self._write_chunk(name, place, values, (self.grid.side, *values.shape[1:]), _PER_SAMPLE[name], 0)

    def _write_chunk(
        self, name: str, place: tuple[int, ...], values: ndarray, shape: tuple[int, ...], dtype: str, fill: float
    ) -> None:
        whole = values
        if values.shape != shape:  # at the border: a chunk is stored whole
            whole = np.full(shape, fill, dtype)
            whole[tuple(map(slice, values.shape))] = values
        content = np.ascontiguousarray(whole, dtype).reshape(-1).view(np.uint8).data
        write_file(self.path / name / chunk_name(*place), content)

    def read_tile(self, row: int, column: int) -> Float32[ndarray, "a b"]:
        """A committed tile, mapped: only what is looked at is read."""
        rows, columns, side = self.grid.rows(row), self.grid.columns(column), self.grid.side
        tile = np.memmap(self._tile_file(row, column), "<f4", "r", shape=(side, side)).view(ndarray)
        return tile[: rows.stop - rows.start, : columns.stop - columns.start]

    def read_part(
        self, row: int, column: int, lines: Int64[ndarray, " r"], places: Int64[ndarray, " c"]
    ) -> Float32[ndarray, "r c"]:
        """Some lines of a committed tile at some places; a few lines are read faster than the tile is mapped."""
        if len(lines) > _FEW:
            part: ndarray = self.read_tile(row, column)[np.ix_(lines, places)]
            return part
        found = np.empty((len(lines), self.grid.side), "<f4")
        with open(self._tile_file(row, column), "rb", buffering=0) as file:
            for number, line in enumerate(lines):
                file.seek(found[0].nbytes * int(line))
                file.readinto(found[number].data)
        return found[:, places]

    def _tile_file(self, row: int, column: int) -> Path:
        return self.path / "values" / chunk_name(row, column)

    def read(self, name: str) -> Any:
        """An array of the store that is no tile; None where it was not written."""
        import zarr

        return zarr.open_array(self.path / name, mode="r")[...] if (self.path / name).exists() else None

    def write_summaries(self, n_tiles: int, summaries: Summaries) -> None:
        """Keep the summaries of the first so many tiles in place of those before."""
        import zarr

        hidden = self.path / f"{_HIDDEN}{uuid.uuid4().hex}"
        try:
            group = zarr.create_group(hidden, attributes={"tiles": n_tiles}, zarr_format=3)
            for name, values in summaries.arrays().items():
                rows = max(1, min(len(values), (1 << 24) // max(1, values[:1].nbytes)))
                create_array(group, name, values.shape, (rows, *values.shape[1:]), values.dtype, 0)[...] = values
            new = self.path / f"{_SUMMARY}{n_tiles}"
            shutil.rmtree(new, ignore_errors=True)
            hidden.rename(new)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
        for old in self._summary_folders():
            if old != n_tiles:
                shutil.rmtree(self.path / f"{_SUMMARY}{old}", ignore_errors=True)

    def n_covered(self) -> int:
        """How many tiles the summaries cover."""
        committed = self.n_committed
        return max((n for n in self._summary_folders() if n <= committed), default=0)

    def read_summaries(self) -> tuple[int, Summaries | None]:
        """The summaries that cover most tiles, and how many; (0, None) before there are any."""
        import zarr

        covered = self.n_covered()
        if not covered:
            return 0, None
        group = zarr.open_group(self.path / f"{_SUMMARY}{covered}", mode="r")
        return covered, Summaries.from_arrays({name: array[...] for name, array in group.arrays()})

    def _summary_folders(self) -> list[int]:
        endings = (entry.name.removeprefix(_SUMMARY) for entry in self.path.glob(f"{_SUMMARY}*"))
        return [int(ending) for ending in endings if ending.isdecimal()]


def _grid_settings(grid: TileGrid) -> Json:
    return {"n": grid.n, "m": grid.m, "side": grid.side, "half": grid.half, "panel": grid.panel}


def _writer_lock(path: Path) -> FolderLock:
    lock = FolderLock(path)
    if not lock.acquire():
        lock.release()
        raise NetgeomError(
            f"{path} is being written",
            expected="one writer at a time",
            got="another computation, in this or another process, that has it open",
            try_this="wait for it, cancel it, or take another path",
        )
    return lock


def is_free(path: Path) -> bool:
    """Whether a store can be made there: nothing is, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def _attributes(path: Path) -> Json:
    """Attributes of a store.

    Raises
    ------
    NetgeomError
        There is none at the path, or a newer one.
    """
    try:
        found: Json = read_json(path / "zarr.json")["attributes"]
        written, version = found["format"], int(found["version"])
    except (OSError, ValueError, KeyError, TypeError):
        written, version = None, 0
    if written != FORMAT:
        raise NetgeomError(
            f"{path} holds no similarity tiles",
            expected="what similarity_tiles wrote",
            got="nothing" if not path.exists() else "something else",
            try_this="check the path",
        )
    if version > VERSION:
        raise NetgeomError(
            f"{path} was written by a newer version of this package",
            expected=f"format version {VERSION}",
            got=f"{version}",
            try_this="pip install -U netgeom_widgets",
        )
    return found
