"""The work on a store: tiles in order, made on an executor, committed and summed up by the calling thread."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_executor
from netgeom_widgets.kernels.similarity.gradients import Block
from netgeom_widgets.kernels.similarity.tile_source import TileSource, tile_values
from netgeom_widgets.kernels.similarity.tile_store import TileStore
from netgeom_widgets.kernels.similarity.tile_summaries import Classes, Summaries, TileSummary, summarise

IN_FLIGHT = 2 + (os.cpu_count() or 1)  # tiles handed out and not yet written
_KEEP_EVERY = 60.0  # seconds between two writings of the summaries
_SAME = 1e-3  # a tile made again: far above the rounding of another machine, far below another model

Tile = tuple[Float32[ndarray, "a b"], TileSummary]


class TileFilling:
    """Makes the tiles of a store that are missing.

    Parameters
    ----------
    store : TileStore
        Open for writing.
    source : TileSource
    classes : Classes or None
    cancel : Cancel
    executor
    """

    def __init__(
        self, store: TileStore, source: TileSource, classes: Classes | None, *, cancel: Cancel, executor: Any
    ) -> None:
        self._store, self._source, self._classes, self._cancel = store, source, classes, cancel
        self._grid, self._kept = store.grid, store.settings["kept"]
        self._pool = as_executor(executor)
        self._covered, found = store.read_summaries()
        shape = (0, 0) if classes is None else classes.shape
        self._summaries = found or Summaries.empty(
            self._grid, bins=self._kept["bins"], top=self._kept["top"], class_shape=shape
        )
        self._written = self._covered

    def run(self, progress: Progress, text: str) -> None:
        """Until all tiles are there, or Cancel; whatever ends it, the summaries so far are kept."""
        total, done = self._grid.n_tiles, self._store.n_committed
        progress.update(done, total, text)
        if done == total == self._written:
            return
        try:
            if done:
                self._check_first_tile()
            self._catch_up(done)
            last = time.monotonic()
            for index, (values, summary) in enumerate(self._new_tiles(done), done):
                self._store.commit(index, values)
                self._take_in(index, values, summary)
                if time.monotonic() - last > _KEEP_EVERY:
                    self._keep()
                    last = time.monotonic()
                progress.update(index + 1)
        except BaseException:
            with contextlib.suppress(OSError):  # a full disk is what ended it, perhaps
                self._keep()
            raise
        self._keep()

    def _check_first_tile(self) -> None:
        """Weights, inputs and settings have been compared; an output function's code has not."""
        values, _ = _make(*self._job(0))
        stored = self._store.read_tile(*self._grid.place(0))
        difference = float(np.abs(values - stored).max())
        if not difference <= _SAME:
            raise NetgeomError(
                f"{self._store.path} holds tiles of something else: the first one comes out differently",
                expected=f"the stored similarities within {_SAME}",
                got=f"a difference of {difference:.2g}",
                try_this="the same output function as the first time, or another path",
            )

    def _catch_up(self, done: int) -> None:
        """Sum up the tiles that were committed after the summaries were last written."""
        for index in range(self._covered, done):
            self._cancel.checkpoint()
            values = self._store.read_tile(*self._grid.place(index))
            self._take_in(index, values, summarise(values, **self._options(index)))

    def _new_tiles(self, done: int) -> Iterator[Tile]:
        waiting: deque[Future[Tile]] = deque()
        try:
            for index in range(done, self._grid.n_tiles):
                self._cancel.checkpoint()
                waiting.append(self._pool.submit(_make, *self._job(index)))
                if len(waiting) >= IN_FLIGHT:
                    yield waiting.popleft().result()
            while waiting:
                self._cancel.checkpoint()
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _job(self, index: int) -> tuple[str, int, Block, Block | None, dict[str, Any]]:
        """What a tile is made of. What belongs to its samples is written first, so that a committed tile has it."""
        row, column = self._grid.place(index)
        left = self._source.block(0, row)
        right = left if self._grid.half and row == column else self._source.block(1, column)
        if column == (row if self._grid.half else 0):
            for name, values in (("zero_gradient", left.scales.zero), ("rank", left.scales.rank)):
                self._store.write_samples(name, row, values.numpy())
            self._store.write_samples("outputs", row, left.outputs.numpy())
        if not self._grid.half and row == 0:
            self._store.write_samples("zero_gradient_others", column, right.scales.zero.numpy())
        return self._source.kernel, self._source.d, left, None if right is left else right, self._options(index)

    def _options(self, index: int) -> dict[str, Any]:
        row, column = self._grid.place(index)
        classes = self._classes
        return {
            "bins": self._kept["bins"],
            "cell": self._grid.cell,
            "mirrored": self._grid.half and row != column,
            "classes": None if classes is None else classes.part(self._grid.rows(row), self._grid.columns(column)),
        }

    def _take_in(self, index: int, values: Float32[ndarray, "a b"], summary: TileSummary) -> None:
        row, column = self._grid.place(index)
        self._covered = -1  # an interruption inside leaves summaries that must not be kept
        self._summaries.add(self._grid, row, column, values, summary)
        self._covered = index + 1

    def _keep(self) -> None:
        if self._covered > self._written:
            self._store.write_summaries(self._covered, self._summaries)
            self._written = self._covered


def _make(kernel: str, d: int, left: Block, right: Block | None, options: dict[str, Any]) -> Tile:
    """One tile on an executor, perhaps in another process."""
    values = tile_values(kernel, d, left, right)
    if not np.isfinite(values).all():
        raise NetgeomError(
            "Some similarities are not finite", expected="finite numbers", try_this="dtype=torch.float64"
        )
    return values, summarise(values, **options)
