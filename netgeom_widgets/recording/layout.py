"""What a recording looks like on disk: one zarr 3 group per run, and what its attributes say.

    path/zarr.json       group; attributes: format, version
    path/<number>/       one run, numbered in order of creation
      zarr.json          group; attributes: format, version, the run's id, its `Layout`, the names of its metrics
      committed          (2,) int64: how many snapshots are complete, and 1 once the writer has closed
      steps              (T,) int64
      metric-<i>         (T,) float64, NaN where a metric was not given
      sample_ids         (N,) int64;  labels, inputs: if there are any
      outputs, layer-<i> (T, N, C), (T, N, D), fill value NaN, one chunk per snapshot, not compressed
      parameters         (T, P), the same;  buffers: (T, bytes) uint8

Names of runs, layers and metrics are attributes and never file names. While a run is being written its arrays are
longer than T; closing cuts them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from netgeom_widgets._files import Json, read_json
from netgeom_widgets.errors import NetgeomError

FORMAT = "netgeom_widgets recording"
VERSION = 1

COMMITTED, STEPS = "committed", "steps"
SAMPLE_IDS, LABELS, INPUTS = "sample_ids", "labels", "inputs"
OUTPUTS, PARAMETERS, BUFFERS = "outputs", "parameters", "buffers"


def layer_key(index: int) -> str:
    """The array of one recorded layer."""
    return f"layer-{index}"


def metric_key(index: int) -> str:
    """The array of one metric."""
    return f"metric-{index}"


def called(key: str, layers: tuple[str, ...]) -> str:
    """What a user calls the array of this key."""
    names = {layer_key(index): f"layer {name!r}" for index, name in enumerate(layers)}
    return names.get(key, key)


@dataclass(frozen=True)
class Entry:
    """One parameter or buffer of the model: where it lies in the flat row of a snapshot, and what it was."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Row:
    """What one snapshot adds to one array."""

    shape: tuple[int, ...]
    dtype: str


def described(arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Row]:
    """Shapes and dtypes as they are stored: little-endian, in the order of the names."""
    return {key: Row(array.shape, array.dtype.newbyteorder("<").str) for key, array in sorted(arrays.items())}


@dataclass(frozen=True)
class Layout:
    """Everything that has to agree for two snapshots to stand in one run.

    `rows` says what a snapshot adds to which arrays, `arrays` what is stored once; `parameters` lists the recorded
    parameters in the order of the flat vector, and is empty for a projected or a nameless one.
    """

    mode: str
    rows: dict[str, Row]
    layers: tuple[str, ...] = ()
    reducers: tuple[str, ...] = ()
    parameters: tuple[Entry, ...] = ()
    buffers: tuple[Entry, ...] = ()
    whole_model: bool = False
    projection: str = ""
    arrays: dict[str, Row] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Plain lists and dictionaries."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Json) -> Layout:
        """The reverse of `to_json` after a trip through a JSON file."""

        def rows(name: str) -> dict[str, Row]:
            return {key: Row(tuple(row["shape"]), row["dtype"]) for key, row in value[name].items()}

        def entries(name: str) -> tuple[Entry, ...]:
            return tuple(Entry(entry["name"], tuple(entry["shape"]), entry["dtype"]) for entry in value[name])

        return cls(
            mode=value["mode"],
            rows=rows("rows"),
            layers=tuple(value["layers"]),
            reducers=tuple(value["reducers"]),
            parameters=entries("parameters"),
            buffers=entries("buffers"),
            whole_model=value["whole_model"],
            projection=value["projection"],
            arrays=rows("arrays"),
        )

    def difference(self, other: Layout) -> tuple[str, str, str] | None:
        """The first thing in which two layouts differ: what, here, there; None when they agree."""
        for what in ("mode", "layers", "reducers", "parameters", "projection", "buffers", "rows", "arrays"):
            here, there = getattr(self, what), getattr(other, what)
            if here != there:
                return what, _brief(here, there), _brief(there, here)
        return None


def _brief(value: Any, other: Any) -> str:
    """Of two long collections, only what the first has and the second has not."""
    if isinstance(value, dict):
        own = {key: item for key, item in value.items() if other.get(key) != item}
        return ", ".join(f"{key} {item.shape} {item.dtype}" for key, item in own.items()) or "none of these"
    if isinstance(value, tuple):
        own_items = [item for item in value if item not in other] or list(value)
        return ", ".join(
            f"{item.name} {item.shape}" if isinstance(item, Entry) else str(item) for item in own_items[:5]
        )
    return repr(value)


def attributes(group: Path) -> Json:
    """The attributes of a recording or of a run, refused when this version does not know the format."""
    try:
        found: Json = read_json(group / "zarr.json").get("attributes", {})
    except json.JSONDecodeError as error:
        raise NetgeomError(f"{group / 'zarr.json'} is damaged", expected="a JSON object", got=str(error)) from None
    if found.get("format") != FORMAT:
        raise NetgeomError(
            f"{group} is not a recording", expected=f"a folder written by {FORMAT}", got="another zarr group"
        )
    if found["version"] > VERSION:
        raise NetgeomError(
            f"{group} was written in a newer format",
            expected=f"format version {VERSION} or older",
            got=f"version {found['version']}, written by netgeom_widgets {found.get('written_by', '(not said)')}",
            try_this="a newer netgeom_widgets",
        )
    return found


def run_folders(path: Path) -> dict[str, Path]:
    """Run id -> folder, in order of creation."""
    if not (path / "zarr.json").is_file():
        raise NetgeomError(
            f"There is no recording at {path}",
            expected="the folder that a Recorder or record_arrays wrote",
            got="a folder without zarr.json" if path.is_dir() else "nothing there" if not path.exists() else "a file",
        )
    if "run_id" in (found := attributes(path)):
        raise NetgeomError(
            f"{path} is one run of a recording",
            expected="the folder around it",
            got=f"run {found['run_id']!r}",
            try_this=f"{path.parent}, with run_id={found['run_id']!r}",
        )
    folders = [entry for entry in path.iterdir() if entry.name.isdecimal() and (entry / "zarr.json").is_file()]
    return {attributes(folder)["run_id"]: folder for folder in sorted(folders, key=lambda folder: int(folder.name))}
