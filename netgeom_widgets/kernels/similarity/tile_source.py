"""Where tiles come from: blocks of gradients in factors, kept while needed, and the similarities of two blocks."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import nn

from netgeom_widgets.execution import Cancel
from netgeom_widgets.kernels.similarity.gradients import Block
from netgeom_widgets.kernels.similarity.matrix import check_kernel
from netgeom_widgets.kernels.similarity.normalisation import ADDITIVE, SCALING, of_blocks
from netgeom_widgets.kernels.similarity.pairs import Pairs, finished


class TileSource:
    """Gradients of the inputs, and of the others if there are any, a tile's worth of samples at a time.

    Parameters
    ----------
    model, inputs, others, kernel, output, parameters, dtype, seed
        As in `similarity_matrix`.
    cancel : Cancel

    Attributes
    ----------
    n, m : int
        Inputs, and others (or the inputs again).
    is_square : bool
        The inputs are compared with themselves.
    d : int
        Outputs that count.
    method, notes
        As in `Similarity`.
    about : dict
        What decides the similarities, in words and digests: a store goes on only with the same.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        others: Any,
        *,
        kernel: str,
        output: Any,
        parameters: Sequence[str] | None,
        dtype: torch.dtype | None,
        seed: int | np.random.Generator,
        cancel: Cancel,
    ) -> None:
        pairs = Pairs(model, inputs, others, output, parameters, False, dtype, SCALING[kernel], seed, cancel)
        self._pairs, self.kernel, self.is_square, self.d = pairs, kernel, pairs.symmetric, pairs.gradients.n_outputs
        check_kernel(kernel, self.d)
        self.n, self.m = pairs.shape
        self.method, self.notes = dict(pairs.gradients.method), list(pairs.gradients.notes)
        self.about = {
            "kernel": kernel,
            "output": pairs.output.name,
            "model": pairs.network.digest,
            "parameters": list(pairs.network.parameters),
            "dtype": str(pairs.dtype).removeprefix("torch."),
            "inputs": [digest_of(x.numpy()) for x in pairs.sets],
            "targets": [None if x is None else digest_of(x.numpy()) for x in pairs.targets],
        }
        self._side, self._capacity = 1, 2
        self._blocks: OrderedDict[tuple[int, int], Block] = OrderedDict()

    @property
    def block_bytes_per_sample(self) -> int:
        """Memory of the factors."""
        itemsize = torch.finfo(self._pairs.dtype).bits // 8
        return self._pairs.gradients.numbers_per_sample * itemsize + 8 * self.d**2

    @property
    def kept_bytes(self) -> int:
        """Memory of all blocks that are kept."""
        return self._capacity * self._side * self.block_bytes_per_sample

    @property
    def tile_bytes_per_pair(self) -> int:
        """Memory that a pair of inputs takes while its tile is made."""
        return 64 if self.kernel in ADDITIVE else 64 + 24 * self.d**2

    def keep(self, side: int, n_blocks: int) -> None:
        """Settle how many samples a block has, and how many of the latest blocks are kept."""
        self._side, self._capacity = side, n_blocks

    def block(self, which: int, part: int) -> Block:
        """Scaled gradients of the samples in one row (which = 0) or column (1) of tiles."""
        key = (which and len(self._pairs.sets) - 1, part)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        found = self._pairs.block(key[0], slice(part * self._side, (part + 1) * self._side))
        while len(self._blocks) >= self._capacity:
            self._blocks.popitem(last=False)
        self._blocks[key] = found
        return found


def tile_values(kernel: str, d: int, left: Block, right: Block | None) -> Float32[ndarray, "a b"]:
    """Similarities of all pairs of two blocks, in [-1, 1]; of a block with itself (None) exactly symmetric."""
    other = left if right is None else right
    table = left.traces(other) if kernel in ADDITIVE else of_blocks(left.blocks(other), kernel)
    values: ndarray = finished(table, kernel, left, d).clamp(-1, 1).float().numpy()  # beyond by rounding only
    if right is None:
        upper = np.triu(values)
        values = upper + np.triu(upper, 1).T
    return values


def digest_of(values: ndarray) -> str:
    """Of shape, dtype and all numbers."""
    array = np.ascontiguousarray(values)
    found = hashlib.blake2b(f"{array.dtype} {array.shape}".encode(), digest_size=16)
    found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()
