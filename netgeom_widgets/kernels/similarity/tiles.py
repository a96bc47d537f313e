"""similarity_tiles: the similarities of more inputs than memory holds pairs of, to disk, a tile at a time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch import nn

from netgeom_widgets._files import Json
from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._memory import available_bytes, require_memory
from netgeom_widgets.kernels.similarity.normalisation import KERNELS, SCALING
from netgeom_widgets.kernels.similarity.result import versions
from netgeom_widgets.kernels.similarity.tile_filling import IN_FLIGHT, TileFilling
from netgeom_widgets.kernels.similarity.tile_grid import TileGrid
from netgeom_widgets.kernels.similarity.tile_reader import SimilarityTiles
from netgeom_widgets.kernels.similarity.tile_source import TileSource, digest_of
from netgeom_widgets.kernels.similarity.tile_store import TileStore, is_free
from netgeom_widgets.kernels.similarity.tile_summaries import Classes, Summaries

NORMALISED = tuple(kernel for kernel in KERNELS if SCALING[kernel] != "none")
_BLOCK_SHARE, _BLOCK_BYTES = 0.25, 1 << 31  # of the free memory, and at most, for blocks that are kept


def similarity_tiles(
    model: nn.Module,
    inputs: Any,
    path: str | Path,
    others: Any = None,
    *,
    labels: Any = None,
    other_labels: Any = None,
    kernel: str = "trace",
    output: Any = None,
    parameters: Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
    tile: int = 512,
    top: int = 50,
    bins: int = 200,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> SimilarityTiles:
    """Similarities of inputs from the network's perspective, for more inputs than memory holds pairs of.

    The matrix of `similarity_matrix` goes to a zarr 3 store at a path, in tiles; of a matrix of inputs against
    themselves only the tiles on and above the diagonal. While they go by, what a view of the matrix needs is kept: of
    each row a histogram, power sums and the nearest, means over pairs of classes, an overview of means and maxima.

    A tile is counted when it is complete. Called again with the same arguments after an end of whatever kind
    (`Cancel`, an error, a killed process) it goes on after the last of them, and ends with the same bits; on a finished
    store it only opens it.

    Parameters
    ----------
    model, inputs, others, output, parameters, dtype
        As in `similarity_matrix`.
    path : str or Path
        A path that is free, an empty folder, or what was begun there with the same arguments.
    labels, other_labels : (n,) and (m,) int, optional
        Classes of the inputs, and of the others, for the means over pairs of classes.
    kernel : {"trace", "frobenius", "nuclear", "rotation", "flat", "cosine"}
        As in `similarity_matrix`; those with values from -1 to 1.
    tile : int
        Rows and columns of a tile, a power of two from 16 to 4096.
    top : int
        Nearest kept of each row; at most as many as there are others.
    bins : int
        Of the histograms over [-1, 1]; 2 to 10,000.
    progress, cancel
        See `netgeom_widgets.execution`. The unit is a tile.
    executor : None, concurrent.futures.Executor or dask.distributed.Client
        Takes the products of pairs of blocks; gradients are taken by the calling thread.
    seed : int or numpy Generator
        Of the four samples and cotangents that the computation is checked with.

    Returns
    -------
    SimilarityTiles
        The store, open. Its float32 values are within 1e-6 of those of `similarity_matrix`.

    Raises
    ------
    NetgeomError
        What `similarity_matrix` refuses; a kernel without bounds; a path with anything else in it, also tiles of
        another model, other inputs or other settings: they are never mixed; a store that somebody else is writing.
    TooLargeError
        The tiles do not fit on the disk, or the summaries and blocks not in memory; before anything is written.

    Notes
    -----
    Size on disk about 2 n^2 bytes (4 n m for a rectangle) plus 1.3 kB for each row. Memory: the summaries, twice while
    they are written, and blocks of gradients in factors, at most 2 GiB and at most a quarter of the free memory; where
    that does not hold all of them, the tile columns are taken in panels and the rows' gradients are computed again for
    each panel. The last bits of float32 products depend on torch's number of threads, on no other choice.
    """
    path = Path(path)
    _check_options(kernel, tile, top, bins)
    cancel, progress = as_cancel(cancel), as_progress(progress)
    source = TileSource(
        model,
        inputs,
        others,
        kernel=kernel,
        output=output,
        parameters=parameters,
        dtype=dtype,
        seed=seed,
        cancel=cancel,
    )
    top = min(top, source.m - source.is_square)
    classes, arrays = _classes(labels, other_labels, source)
    about = {**source.about, "labels": {name: digest_of(values) for name, values in arrays.items()}}
    settings = {"of": about, "kept": {"tile": tile, "top": top, "bins": bins}}
    n_blocks = _n_blocks(source, -(-source.m // tile), tile)
    source.keep(tile, n_blocks)
    grid = TileGrid(source.n, source.m, tile, source.is_square, max(1, n_blocks - 1))
    summaries = 2 * Summaries.n_bytes(grid, bins=bins, top=top)  # twice while they are written
    memory = summaries + IN_FLIGHT * tile**2 * source.tile_bytes_per_pair + source.kept_bytes
    require_memory(memory, "The summaries and the blocks of gradients", "a smaller tile or fewer bins")
    if is_free(path):
        _require_disk(grid.n_bytes + summaries, path)
        store = _new_store(path, grid, settings, source, arrays)
    else:
        store = TileStore.resume(path)
    sizes = f"{grid.n_bytes / 1e6:,.1f} MB on disk, about {memory / 1e6:,.0f} MB of memory"
    try:
        _require_same(store, settings)
        filling = TileFilling(store, source, classes, cancel=cancel, executor=executor)
        filling.run(progress, f"similarity tiles, {sizes}")
    finally:
        store.close()
    return SimilarityTiles(store)


def _new_store(path: Path, grid: TileGrid, settings: Json, source: TileSource, arrays: dict[str, ndarray]) -> TileStore:
    about = {"method": source.method, "notes": source.notes, "versions": versions()}
    return TileStore.create(path, grid, {**settings, **about}, arrays, source.block(0, 0).outputs.shape[1])


def _n_blocks(source: TileSource, columns: int, tile: int) -> int:
    """How many blocks of gradients to keep: a panel of columns and a row."""
    budget = min(_BLOCK_BYTES, int(_BLOCK_SHARE * available_bytes()))
    return max(2, min(columns + 1, budget // (tile * source.block_bytes_per_sample)))


def _require_disk(n_bytes: int, path: Path) -> None:
    folder = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise TooLargeError(
            f"The tiles would take {n_bytes / 2**30:.1f} GiB on disk",
            expected=f"at most {free / 2**30:.1f} GiB, what is free at {folder}",
            got=f"{n_bytes / 2**30:.1f} GiB",
            try_this="another disk, or fewer inputs",
        )


def _require_same(store: TileStore, settings: Json) -> None:
    """Refuse to go on with a store of anything else."""
    names = {"kept": "what is kept of the rows", "of": "the similarities"}
    for part, called in names.items():
        here, there = settings[part], store.settings[part]
        different = [key for key in here if here[key] != there.get(key)]
        if different:
            raise NetgeomError(
                f"{store.path} holds tiles of something else: {called} differ in {', '.join(different)}",
                expected=", ".join(f"{key}={there.get(key)!r}" for key in different),
                got=", ".join(f"{key}={here[key]!r}" for key in different),
                try_this="the arguments of the first time, or another path",
            )


def _check_options(kernel: Any, tile: Any, top: Any, bins: Any) -> None:
    if kernel not in NORMALISED:
        raise NetgeomError(
            "Tiles are kept of kernels with values from -1 to 1",
            expected=", ".join(NORMALISED),
            got=f"{kernel!r}",
            try_this="similarity_matrix on parts of the inputs",
        )
    for name, value, low, high in (("tile", tile, 16, 4096), ("top", top, 1, 10_000), ("bins", bins, 2, 10_000)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not low <= value <= high or (name == "tile" and value & (value - 1)):
            raise NetgeomError(
                f"{name} is out of range",
                expected=f"a {'power of two' if name == 'tile' else 'whole number'} from {low} to {high:,}",
                got=f"{value!r}",
            )


def _classes(labels: Any, others: Any, source: TileSource) -> tuple[Classes | None, dict[str, ndarray]]:
    """Classes by number, and the labels as they are stored."""
    if labels is None and others is None:
        return None, {}
    if others is not None and source.is_square:
        raise NetgeomError("There are no other inputs that the other labels could belong to", got="other_labels")
    if (labels is None) != (others is None) and not source.is_square:
        raise NetgeomError("One side has no labels", expected="labels and other_labels, or neither")
    arrays = {"labels": _labels(labels, source.n, "labels")}
    if not source.is_square:
        arrays["other_labels"] = _labels(others, source.m, "other_labels")
    codes = [np.unique(values, return_inverse=True) for values in arrays.values()]
    (row_names, rows), (column_names, columns) = codes[0], codes[-1]
    return Classes(rows, columns, (len(row_names), len(column_names))), arrays


def _labels(labels: Any, length: int, name: str) -> Int64[ndarray, " n"]:
    array = np.asarray(labels.detach().cpu() if isinstance(labels, torch.Tensor) else labels)
    if array.shape != (length,) or array.dtype.kind not in "iu":
        raise NetgeomError(
            f"{name} do not fit", expected=f"{length} whole numbers", got=f"shape {array.shape}, dtype {array.dtype}"
        )
    return array.astype(np.int64)
