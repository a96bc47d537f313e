"""From the output of a layer to one row of numbers per sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from netgeom_widgets.errors import NetgeomError

Reducer = str | Callable[[Any], torch.Tensor]

_ROWS_PER_BLOCK = 4096  # of the projection matrix: part of its definition, since each block has its own random stream
_KEPT_BYTES = 1 << 28  # a larger matrix is drawn anew, block by block, for each snapshot


def _flatten(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.flatten(1)


def _average(tensor: torch.Tensor) -> torch.Tensor:
    return _mean(tensor, tuple(range(2, tensor.ndim))) if tensor.ndim > 2 else tensor


def _tokens(tensor: torch.Tensor) -> torch.Tensor:
    return _mean(tensor, (1,)) if tensor.ndim == 3 else tensor


def _cls(tensor: torch.Tensor) -> torch.Tensor:
    return tensor[:, 0] if tensor.ndim == 3 else tensor


def _mean(tensor: torch.Tensor, dimensions: tuple[int, ...]) -> torch.Tensor:
    wide = torch.float32 if tensor.dtype.itemsize < 4 else tensor.dtype  # half precision overflows when it sums
    return tensor.mean(dimensions, dtype=wide)


def _by_shape(tensor: torch.Tensor) -> torch.Tensor:
    """What happens without a reducer: only where one reading of the axes is common."""
    if tensor.ndim == 3:
        raise NetgeomError(
            f"A layer's output {tuple(tensor.shape)} can be read in two ways",
            expected="(N, D), (N, channels, height, width), or a reducer",
            got="three axes and no reducer",
            try_this='layers={name: "tokens"} or "cls" for (N, tokens, D), "average" for (N, channels, positions)',
        )
    return _average(tensor)


_NAMED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "flatten": _flatten,
    "average": _average,
    "tokens": _tokens,
    "cls": _cls,
}


class GaussianProjection:
    """A fixed random linear map to fewer dimensions that keeps distances about as they are (Johnson-Lindenstrauss).

    The entries are independent normal numbers with variance 1 / dimensions, drawn from (seed, number of the block) for
    each 4096 rows, so the map depends on nothing but the seed and the two dimensions. Inputs that are no wider than
    `dimensions` pass unchanged.
    """

    def __init__(self, dimensions: int, seed: int) -> None:
        self.dimensions, self.seed = dimensions, seed
        self._kept: dict[tuple[int, torch.device], list[torch.Tensor]] = {}

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Project (n, D) to (n, dimensions); O(n D dimensions)."""
        width = rows.shape[1]
        if width <= self.dimensions:
            return rows
        rows = rows if rows.dtype == torch.float64 else rows.float()
        projected = rows.new_zeros(len(rows), self.dimensions)
        for block, start in enumerate(range(0, width, _ROWS_PER_BLOCK)):
            piece = rows[:, start : start + _ROWS_PER_BLOCK]
            projected += piece @ self._block(block, width, rows.device)[: piece.shape[1]].to(rows.dtype)
        return projected

    def _block(self, block: int, width: int, device: torch.device) -> torch.Tensor:
        kept = self._kept.setdefault((width, device), [])
        if block < len(kept):
            return kept[block]
        drawn = np.random.default_rng([self.seed, block]).standard_normal(
            (_ROWS_PER_BLOCK, self.dimensions), np.float32
        )
        entries = torch.from_numpy(drawn / np.float32(np.sqrt(self.dimensions))).to(device)
        if 4 * width * self.dimensions <= _KEPT_BYTES:
            kept.append(entries)
        return entries


@dataclass(frozen=True)
class Projected:
    """What `projected` gives: a reducer, then a random projection."""

    reducer: Reducer | None
    dimensions: int
    seed: int

    def __str__(self) -> str:
        return f"projected({describe(self.reducer)}, dimensions={self.dimensions}, seed={self.seed})"


def projected(reducer: Reducer | None = "flatten", *, dimensions: int = 256, seed: int = 0) -> Projected:
    """Reduce a layer, or the parameters, to few dimensions by a fixed random projection.

    ``layers={"conv*": projected()}`` flattens a layer's output and multiplies it by a Gaussian matrix with entries of
    variance 1 / dimensions, which keeps all pairwise distances of N samples within a factor of about
    1 ± sqrt(8 log(N) / dimensions) (Johnson and Lindenstrauss 1984). ``parameters=projected(dimensions=32)`` does the
    same with the parameter vector. The matrix depends on the seed only, which is stored; it is the same at every
    snapshot and in every run. What is no wider than `dimensions` stays as it is.

    Parameters
    ----------
    reducer : str or callable, optional
        What is done before; not used for parameters.
    dimensions : int
        Width of the result.
    seed : int
        Of the matrix, from 0 on.

    Returns
    -------
    Projected
        For the keywords `layers` and `parameters` of `Recorder`, and for `trajectories`. Costs O(N D dimensions) a
        snapshot, and 4 D dimensions bytes up to 256 MiB; beyond that the matrix is drawn anew for each snapshot.
    """
    if reducer is not None:
        check(reducer)
    whole = isinstance(dimensions, int | np.integer) and isinstance(seed, int | np.integer)
    if not whole or dimensions < 1 or seed < 0:
        raise NetgeomError(
            "A projection needs a positive number of dimensions and a seed from 0 on",
            expected="whole numbers, dimensions >= 1, seed >= 0",
            got=f"dimensions={dimensions}, seed={seed}",
        )
    return Projected(reducer, int(dimensions), int(seed))


def check(reducer: Reducer | Projected) -> None:
    """Refuse what is no reducer."""
    if isinstance(reducer, Projected) or callable(reducer) or (isinstance(reducer, str) and reducer in _NAMED):
        return
    raise NetgeomError(
        "A layer's reducer is not understood",
        expected=f"one of {', '.join(map(repr, _NAMED))}, recording.projected(...) or a function of the layer's output",
        got=repr(reducer),
    )


def describe(reducer: Reducer | Projected | None) -> str:
    """How a reducer is written into the recording, where it has to agree when a run goes on."""
    if reducer is None:
        return "by shape"
    if callable(reducer):
        return f"{getattr(reducer, '__module__', '')}.{getattr(reducer, '__qualname__', type(reducer).__name__)}"
    return str(reducer)


class Reduction:
    """One layer's reducer at work."""

    def __init__(self, name: str, reducer: Reducer | Projected | None, try_this: str = "") -> None:
        self.name, self.description, self._try_this = name, describe(reducer), try_this
        first = reducer.reducer if isinstance(reducer, Projected) else reducer
        self._reduce: Callable[[Any], Any] = (
            _by_shape if first is None else _NAMED[first] if isinstance(first, str) else first
        )
        self._takes_anything = callable(first)
        self._project = GaussianProjection(reducer.dimensions, reducer.seed) if isinstance(reducer, Projected) else None

    def __call__(self, output: Any) -> torch.Tensor:
        """One row per sample, (n, D), without history; refused when it does not come out so."""
        if isinstance(output, torch.Tensor):
            output = output.detach()
        elif not self._takes_anything:
            raise NetgeomError(
                f"{self.name} does not give one tensor",
                expected="a tensor, batch first",
                got=type(output).__name__,
                try_this=self._try_this or "a function as its reducer, say lambda output: output[0]",
            )
        rows = self._reduce(output)
        if isinstance(rows, torch.Tensor) and rows.ndim == 1:
            rows = rows[:, None]
        if not isinstance(rows, torch.Tensor) or rows.ndim != 2 or not rows.is_floating_point():
            got = f"{tuple(rows.shape)} {rows.dtype}" if isinstance(rows, torch.Tensor) else type(rows).__name__
            raise NetgeomError(
                f"{self.name} does not come out as one row of numbers per sample",
                expected="(N, D), floating point, after its reducer",
                got=got,
                try_this=self._try_this or 'another reducer: "flatten" takes every shape',
            )
        return self._project(rows) if self._project else rows.detach()

    def attempt(self, output: Any) -> torch.Tensor | NetgeomError:
        """The same in memory of its own, or why there is none."""
        try:
            with torch.no_grad():
                return self(output).clone()
        except NetgeomError as error:
            return error
