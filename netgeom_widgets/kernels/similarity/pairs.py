"""All pairs of inputs as tiles of blocks of gradients, and the result they fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels._model import as_inputs
from netgeom_widgets.kernels.similarity.gradients import Block, Gradients
from netgeom_widgets.kernels.similarity.inputs import Network, as_network
from netgeom_widgets.kernels.similarity.normalisation import RANK_CUT
from netgeom_widgets.kernels.similarity.outputs import Output, as_output, rows_of
from netgeom_widgets.kernels.similarity.result import Similarity, versions

TILE = 512
_KEPT_BYTES = 1 << 31  # of all blocks together; beyond, blocks are computed again for every row of tiles
_FEWER = "fewer inputs, or similarity_tiles, which writes to disk"

OnRows = Callable[[int, int, ndarray], Any]


class Pairs:
    """All pairs of two sets of inputs (or of one with itself), as tiles of blocks of gradients."""

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        others: Any,
        output: Any,
        parameters: Sequence[str] | None,
        by_parameter: bool,
        dtype: torch.dtype | None,
        scaling: str,
        seed: int | np.random.Generator,
        cancel: Cancel | None,
    ) -> None:
        self.output: Output = as_output(output)
        self.cancel, self.scaling, self.seed = as_cancel(cancel), scaling, seed
        self.network: Network = as_network(model, parameters, dtype)
        self.dtype = self.network.dtype
        self.symmetric = others is None
        self.sets = [as_inputs(inputs, self.dtype)]
        if others is not None:
            self.sets.append(as_inputs(others, self.dtype, "other inputs"))
            _check_same_shape(*self.sets)
        self.targets = [rows_of(self.output, len(x), others=bool(i)) for i, x in enumerate(self.sets)]
        self.shape = (len(self.sets[0]), len(self.sets[-1]))
        self.gradients = Gradients(
            self.network,
            self.sets[0],
            self.output,
            self.targets[0],
            by_parameter=by_parameter,
            n_samples=sum(map(len, self.sets)),
            rng=np.random.default_rng(seed),
        )
        itemsize = torch.finfo(self.dtype).bits // 8
        bytes_each = self.gradients.numbers_per_sample * itemsize
        self._keeps = bytes_each * sum(map(len, self.sets)) <= _KEPT_BYTES
        self._rows = TILE if self._keeps else max(1, min(TILE, _KEPT_BYTES // (2 * bytes_each)))
        self._blocks: dict[tuple[int, int], Block] = {}
        self._seen: dict[tuple[int, int], Block] = {}
        self._report = _Report(Progress(), 1, 1)
        biggest = bytes_each * (sum(map(len, self.sets)) if self._keeps else 2 * self._rows)
        require_memory(biggest, "The gradients' factors", "a smaller model, or parameters=[...] for some layers only")

    def require(self, numbers: int, what: str) -> None:
        """Refuse results that do not fit."""
        size = numbers * self.shape[0] * self.shape[1] * torch.finfo(self.dtype).bits // 8
        require_memory(size, what, _FEWER)

    def tiles(
        self, progress: Progress, on_rows: OnRows | None, values: ndarray
    ) -> Iterator[tuple[slice, slice, Block, Block]]:
        """Row and column slices with their blocks; of a symmetric matrix those on and above the diagonal."""
        starts, ends = (range(0, n, self._rows) for n in self.shape)
        n_tiles = sum(not self.symmetric or c >= r for r in starts for c in ends)
        self._report = _Report(progress, self._samples_in_all(len(starts), len(ends)), n_tiles)
        for r in starts:
            rows = slice(r, min(r + self._rows, self.shape[0]))
            left = self._block(0, rows)
            for c in ends:
                if self.symmetric and c < r:
                    continue
                self.cancel.checkpoint()
                columns = slice(c, min(c + self._rows, self.shape[1]))
                right = left if self.symmetric and c == r else self._block(len(self.sets) - 1, columns)
                yield rows, columns, left, right
                self._report.tile()
            if on_rows is not None:
                on_rows(rows.start, rows.stop, values[rows])

    def before_each(self, share: float) -> None:
        """To be called within a tile, of whose work a share is done."""
        self.cancel.checkpoint()
        self._report.within_tile(share)

    def _samples_in_all(self, n_rows: int, n_columns: int) -> int:
        """Samples whose gradients will be taken, those of blocks that cannot be kept as often as they are needed."""
        if self._keeps:
            return sum(map(len, self.sets))
        n, m = self.shape
        again = sum(n - (r + 1) * self._rows for r in range(n_rows - 1)) if self.symmetric else n_rows * m
        return n + again

    def _block(self, which: int, rows: slice) -> Block:
        key = (which, rows.start)
        if (found := self._blocks.get(key)) is not None:
            return found
        block = self.block(which, rows)
        if self._keeps:
            self._blocks[key] = block
        self._seen[key] = Block({}, block.scales, block.outputs)
        return block

    def block(self, which: int, rows: slice) -> Block:
        """Scaled gradients of some of the inputs (0) or the last of the two sets (1, or 0 when there is one)."""
        targets = self.targets[which]
        return self.gradients.block(
            self.sets[which][rows],
            None if targets is None else targets[rows],
            self.scaling,
            cancel=self.cancel,
            first=rows.start,
            after_each=self._report.samples,
        )

    def put(
        self, values: ndarray, rows: slice, columns: slice, tile: Tensor, kernel: str, left: Block, right: Block
    ) -> None:
        """Write a tile, and its mirror image below the diagonal."""
        if self.symmetric and rows == columns:  # equal to the last bit, whatever order the products were summed in
            tile = tile.triu() + tile.triu(1).T
        values[rows, columns] = finished(tile, kernel, left, self.gradients.n_outputs).numpy()
        if self.symmetric and rows != columns:
            values[columns, rows] = finished(tile.T, kernel, right, self.gradients.n_outputs).numpy()

    def result(self, values: ndarray, parts: dict[str, ndarray], kernel: str) -> Similarity:
        """The result with its provenance."""
        own, other = self._of(0), self._of(len(self.sets) - 1)
        return Similarity(
            values,
            own("zero"),
            other("zero"),
            own("rank"),
            own("outputs"),
            other("outputs"),
            parts,
            dict(self.gradients.method),
            tuple(self.gradients.notes),
            {
                "kernel": kernel,
                "output": self.output.name,
                "parameters": list(self.network.parameters),
                "dtype": str(self.dtype).removeprefix("torch."),
                "seed": self.seed if isinstance(self.seed, int) else "generator",
                "rank_cut": RANK_CUT,
            },
            self.network.digest,
            versions(),
        )

    def chosen(self) -> ndarray:
        """The chosen function of the network's outputs at the inputs, (n, d); once all tiles have been taken."""
        outputs = torch.from_numpy(self._of(0)("outputs"))
        return self.output(outputs, self.targets[0]).numpy()

    def _of(self, which: int) -> Callable[[str], ndarray]:
        blocks = [self._seen[key] for key in sorted(self._seen) if key[0] == which]

        def joined(name: str) -> ndarray:
            return torch.cat([getattr(b if name == "outputs" else b.scales, name) for b in blocks]).numpy()

        return joined


class _Report:
    """Progress of two kinds of work, gradients of samples and tiles of products, each one half of the bar."""

    def __init__(self, progress: Progress, n_samples: int, n_tiles: int) -> None:
        self._progress, self._n_samples, self._n_tiles = progress, n_samples, n_tiles
        self._samples, self._tiles = 0, 0
        progress.update(0, 2, "gradients")

    def samples(self, n: int) -> None:
        self._samples += n
        self._say("gradients", 0.0)

    def tile(self) -> None:
        self._tiles += 1
        self._say("similarities", 0.0)

    def within_tile(self, share: float) -> None:
        self._say("similarities", share)

    def _say(self, text: str, share: float) -> None:
        self._progress.update(self._samples / self._n_samples + (self._tiles + share) / self._n_tiles, text=text)


def finished(tile: Tensor, kernel: str, left: Block, d: int) -> Tensor:
    """Similarities from the sums of products of scaled gradients."""
    if kernel == "inner":
        return tile
    if kernel == "relative":
        norms = left.scales.norms
        return tile * torch.where(norms > 0, 1 / norms, 0.0)[:, None].to(tile.dtype)
    return (tile / d if kernel in ("trace", "cosine") else tile).clamp(-1, 1)  # rounding alone goes beyond


def _check_same_shape(inputs: Tensor, others: Tensor) -> None:
    if inputs.shape[1:] != others.shape[1:]:
        raise NetgeomError(
            "The other inputs have another shape",
            expected=f"(m, {', '.join(map(str, inputs.shape[1:]))})",
            got=f"{(*others.shape,)}",
        )


def numpy_dtype(dtype: torch.dtype) -> type[np.floating[Any]]:
    """Name in numpy of a torch dtype."""
    return np.float64 if dtype == torch.float64 else np.float32
