"""Similarities from gradients that were taken elsewhere: another framework, or a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels._inputs import as_array, as_choice
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.similarity.factors import Vectors
from netgeom_widgets.kernels.similarity.gradients import Block
from netgeom_widgets.kernels.similarity.matrix import check_kernel
from netgeom_widgets.kernels.similarity.normalisation import ADDITIVE, KERNELS, RANK_CUT, SCALING, of_blocks, scales
from netgeom_widgets.kernels.similarity.pairs import finished, numpy_dtype
from netgeom_widgets.kernels.similarity.result import Similarity, versions

_NUMBERS_AT_ONCE = 1 << 24  # of gradients held at once: 128 MiB in float64


def similarity_from_gradients(
    gradients: Any,
    others: Any = None,
    *,
    kernel: str = "trace",
    dtype: torch.dtype | None = None,
    progress: Progress | bool | None = None,
    cancel: Cancel | None = None,
    executor: Any = None,
    seed: int | np.random.Generator = 0,
) -> Similarity:
    """The kernels of `similarity_matrix` from per-sample gradients that are at hand, in memory or on disk.

    Parameters
    ----------
    gradients : (n, d, p) or (n, p) array, memory map, zarr array or tensor
        Gradients of d outputs (or of one) in p parameters; read twice, in slices of p of 128 MiB.
    others : (m, d, p) or (m, p), optional
        Of other samples, by the same network.
    kernel : str
        As in `similarity_matrix`.
    dtype : torch.float32 or torch.float64, optional
        Of the products; None: float32 for gradients in float32 or half precision, else float64.
    progress, cancel
        See `netgeom_widgets.execution`.
    executor, seed
        Accepted as by every long function and not used.

    Returns
    -------
    Similarity
        ``method`` is empty and there are no outputs: (n, 0). Accuracy as `similarity_matrix`.

    Raises
    ------
    NetgeomError
        Shapes that do not fit, an unknown kernel, one that does not fit d, gradients that are not finite.
    TooLargeError
        The matrix does not fit in memory.

    Notes
    -----
    Cost O(n m d p), and O(n m d^2 p) and n m d^2 numbers for the kernels "frobenius", "nuclear" and "rotation".
    """
    as_choice(kernel, KERNELS, "kernel")
    cancel, reports = as_cancel(cancel), as_progress(progress)
    left = _Table(gradients, "gradients")
    right = left if others is None else _Table(others, "others")
    if (left.d, left.p) != (right.d, right.p):
        raise NetgeomError(
            "The others do not fit", expected=f"(m, {left.d}, {left.p})", got=f"(m, {right.d}, {right.p})"
        )
    check_kernel(kernel, left.d)
    dtype = dtype or (torch.float64 if {left.dtype, right.dtype} - {torch.float32} else torch.float32)
    n, m, d = left.n, right.n, left.d
    across = 1 if kernel in ADDITIVE else d * d
    require_memory(2 * n * m * across * torch.finfo(dtype).bits // 8, "The similarity matrix", "fewer samples")

    tables = list(dict.fromkeys((left, right)))  # one of them where there are no others
    step = max(1, _NUMBERS_AT_ONCE // (d * sum(table.n for table in tables)))
    slices = [slice(at, min(at + step, left.p)) for at in range(0, left.p, step)]
    reports.update(0, 2 * len(slices), "norms of gradients")
    own = [torch.zeros((table.n, d, d), dtype=torch.float64) for table in tables]
    for part in slices:
        cancel.checkpoint()
        for blocks, table in zip(own, tables, strict=True):
            blocks += Vectors(table.read(part, dtype)).own_blocks()
        reports.update(reports.done + 1)

    empty = [Block({}, scales(b, SCALING[kernel]), torch.empty((len(b), 0), dtype=dtype)) for b in own]
    total = torch.zeros((n, m) if kernel in ADDITIVE else (n, m, d, d), dtype=dtype)
    for part in slices:
        cancel.checkpoint()
        scaled = [_scaled(table.read(part, dtype), block) for table, block in zip(tables, empty, strict=True)]
        total += scaled[0].traces(scaled[-1]) if kernel in ADDITIVE else scaled[0].blocks(scaled[-1])
        reports.update(reports.done + 1, text="similarities")
    total = total if kernel in ADDITIVE else of_blocks(total, kernel)
    return _result(finished(total, kernel, empty[0], d).numpy(), empty, kernel, dtype)


class _Table:
    """Gradients (n, d, p) somewhere, read in slices of p."""

    def __init__(self, source: Any, what: str) -> None:
        self._source = source if hasattr(source, "shape") and hasattr(source, "__getitem__") else as_array(source, what)
        self._what = what
        shape = tuple(int(size) for size in self._source.shape)
        if len(shape) not in (2, 3) or 0 in shape:
            raise NetgeomError(
                f"The {what} have the wrong shape",
                expected="(n, d, p) or (n, p): samples, outputs, parameters",
                got=f"{shape}",
            )
        self.n, self.d, self.p = (shape[0], 1, shape[1]) if len(shape) == 2 else shape
        name = str(self._source.dtype).removeprefix("torch.")
        self.dtype = torch.float32 if name in ("float32", "float16", "bfloat16") else torch.float64

    def read(self, part: slice, dtype: torch.dtype) -> Tensor:
        """(n, d, size of the slice), finite."""
        values = as_array(self._source[..., part], self._what)
        found = torch.from_numpy(np.ascontiguousarray(values, dtype=numpy_dtype(dtype))).reshape(self.n, self.d, -1)
        bad = (~torch.isfinite(found)).flatten(1).any(1).nonzero()
        if len(bad):
            raise NetgeomError(
                f"The {self._what} have values that are not finite",
                expected="finite gradients",
                got=f"NaN or infinity for sample {int(bad[0])} (counted from 0)",
            )
        return found


def _scaled(values: Tensor, block: Block) -> Vectors:
    factors = block.scales.factors
    return Vectors(values) if factors is None else Vectors(values).scaled(factors)


def _result(values: ndarray, empty: list[Block], kernel: str, dtype: torch.dtype) -> Similarity:
    return Similarity(
        values,
        empty[0].scales.zero.numpy(),
        empty[-1].scales.zero.numpy(),
        empty[0].scales.rank.numpy(),
        empty[0].outputs.numpy(),
        empty[-1].outputs.numpy(),
        settings={"kernel": kernel, "dtype": str(dtype).removeprefix("torch."), "rank_cut": RANK_CUT},
        versions=versions(),
    )
