"""Maximum and minimum over windows of a tensor: pooling, a maximum over an axis, the larger of two tensors.

All have one form: every unit of the result has a window, a list of entries of the input, and its branch is the position
in that list of the first entry that attains the maximum. Windows are products of windows along the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netgeom_widgets.errors import UnsupportedModuleError
from netgeom_widgets.kernels.regions.calls import argument

# Windows along the axes after the batch: for each axis a table (windows, positions), -1 where a window hangs over the
# border. Called with the sizes of these axes.
_Axes = Callable[[tuple[int, ...]], list[Tensor]]
_NUMBERS_AT_ONCE = 1 << 20
_LARGEST = 2**15 - 1  # winners are 16-bit numbers


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one input shape.

    Attributes
    ----------
    entries : (W, m) int64
        Flat indices into one row of the input, ascending; -1 behind them where a window has fewer than others.
    shape : tuple
        Shape of one row of the result.
    """

    entries: Tensor
    shape: tuple[int, ...]
    absent: Tensor = field(init=False)
    safe: Tensor = field(init=False)  # entries that may be gathered: 0 where absent

    def __post_init__(self) -> None:
        object.__setattr__(self, "absent", self.entries < 0)
        object.__setattr__(self, "safe", self.entries.clamp(min=0))

    def used_by(self, chosen: Tensor) -> Tensor:
        """Entries of the chosen windows, ascending."""
        entries = self.entries[chosen]
        return entries[entries >= 0].unique()

    def gather(self, rows: Tensor, chosen: Tensor | None = None, place: Tensor | None = None) -> Tensor:
        """(rows, W, m) values of the (chosen) windows' entries, -inf where absent; entry e is column ``place[e]``."""
        entries, absent = (self.safe, self.absent) if chosen is None else (self.safe[chosen], self.absent[chosen])
        entries = entries if place is None else place[entries]
        found = rows.index_select(1, entries.view(-1)).view(len(rows), *entries.shape)
        return found.masked_fill_(absent, -math.inf) if bool(absent.any()) else found


class Maximum:
    """A maximum (``sign`` 1) or minimum (-1) over windows.

    Parameters
    ----------
    call : callable
        The operation itself, on a tensor (rows, *shape).
    axes : callable
        Its windows along the axes after the batch.
    dropped : callable
        The axes, counted after the batch, that the result does not have, for a number of such axes.
    """

    def __init__(
        self,
        call: Callable[[Tensor], Tensor],
        axes: _Axes,
        sign: int = 1,
        dropped: Callable[[int], tuple[int, ...]] = lambda _: (),
    ) -> None:
        self.call, self.axes, self.sign, self.dropped = call, axes, sign, dropped
        self._known: dict[tuple[int, ...], Windows] = {}

    def __call__(self, z: Tensor, *, in_place: bool = False) -> Tensor:
        """The operation itself."""
        return self.call(z)

    def windows(self, shape: tuple[int, ...]) -> Windows:
        """The windows on rows of this shape."""
        if shape not in self._known:
            tables = self.axes(shape)
            entries, n = torch.zeros((1, 1), dtype=torch.int64), 1
            for size, table in zip(shape, tables, strict=True):
                outer, inner = entries[:, None, :, None], table[None, :, None, :]
                product = torch.where((outer < 0) | (inner < 0), -1, outer * size + inner)
                entries = product.reshape(len(entries) * len(table), -1)
                n *= size
            # Positions outside the input go to the end: a branch counts the entries that there are.
            order = torch.argsort((entries < 0).byte(), dim=1, stable=True)
            entries = entries.gather(1, order)[:, : int((entries >= 0).sum(1).max())]
            if entries.shape[1] > _LARGEST:
                raise UnsupportedModuleError(
                    "A maximum over more entries than branches can be numbered",
                    expected=f"windows of at most {_LARGEST:,} entries",
                    got=f"{entries.shape[1]:,}",
                )
            dropped = self.dropped(len(shape))
            kept = tuple(len(table) for axis, table in enumerate(tables) if axis not in dropped)
            found = Windows(entries, kept)
            self._compare(found, shape, n)
            self._known[shape] = found
        return self._known[shape]

    def _compare(self, found: Windows, shape: tuple[int, ...], n: int) -> None:
        """The windows must give what the operation gives."""
        rows = torch.sin(torch.arange(2.0 * n, dtype=torch.float64) ** 2).view(2, n)
        expected = self.call(rows.view(2, *shape))
        mine = self.sign * found.gather(self.sign * rows).amax(2)
        if tuple(expected.shape) != (2, *found.shape) or not torch.equal(mine, expected.reshape(2, -1)):
            raise UnsupportedModuleError(
                "A maximum does not act on every sample by itself",
                expected=f"windows of one sample of shape {shape}",
                got=f"a result of shape {tuple(expected.shape)} for two samples",
            )

    def branch(self, z: Tensor) -> Tensor:
        """(rows, *result shape) int64 the position of the first entry that attains each maximum."""
        found, flat = self.windows(tuple(z.shape[1:])), z.flatten(1)
        winner = torch.empty((len(z), len(found.entries)), dtype=torch.int64)
        for rows in self._blocks(len(z), found):
            winner[rows] = found.gather(self.sign * flat[rows]).argmax(2)
        return winner.view(len(z), *found.shape)

    @staticmethod
    def _blocks(n: int, windows: Windows) -> list[slice]:
        rows = max(1, _NUMBERS_AT_ONCE // max(1, windows.entries.numel()))
        return [slice(at, min(at + rows, n)) for at in range(0, n, rows)]

    def on_branch(self, z: Tensor, branch: Tensor) -> Tensor:
        """The entry that the branch names, whatever its value."""
        found = self.windows(tuple(z.shape[1:]))
        entry = found.safe.expand(len(z), -1, -1).gather(2, branch.reshape(len(z), -1, 1).long())[:, :, 0]
        return z.reshape(len(z), -1).gather(1, entry).view(len(z), *found.shape)

    def magnitude(self, low: Tensor, high: Tensor) -> Tensor:
        """Bound of the result for inputs (*shape) between ``low`` and ``high``."""
        found = self.windows(tuple(low.shape))
        sizes = torch.maximum(low.abs(), high.abs()).reshape(1, -1)
        return found.gather(sizes).amax(2).view(1, *found.shape)

    def contradicted(self, z: Tensor, floor: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Where another entry exceeds the named one, and where too little to tell; (rows, W).

        z (rows, *shape), floor (1, *shape), branch (rows, W).
        """
        found = self.windows(tuple(z.shape[1:]))
        noise = 2 * found.gather(floor.reshape(1, -1)).amax(2)
        wrong, unclear = [], []
        for rows in self._blocks(len(z), found):
            values = found.gather(self.sign * z[rows].flatten(1))
            named = values.gather(2, branch[rows, :, None].long())[:, :, 0]
            behind = values.amax(2) - named
            wrong.append(behind > noise)
            unclear.append((behind > 0) & (behind <= noise))
        return torch.cat(wrong), torch.cat(unclear)

    def settle_(self, z: Tensor, floor: Tensor) -> Tensor:
        """The values as they are: between tied entries no sign is decided."""
        return z


def larger(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """Values of a maximum over axes: what a traced maximum becomes."""
    return x.amax(dim, keepdim)


def smaller(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """Values of a minimum over axes: what a traced minimum becomes."""
    return x.amin(dim, keepdim)


def pair(a: Any, b: Any) -> Tensor:
    """Two tensors side by side on a new last axis, over which their maximum is taken."""
    like = a if isinstance(a, Tensor) else b
    a, b = (torch.as_tensor(t, dtype=like.dtype) for t in (a, b))
    return torch.stack(torch.broadcast_tensors(a, b), -1)


def _over(target: Any, dim: int | tuple[int, ...], keepdim: bool) -> Maximum:
    dims = (dim,) if isinstance(dim, int) else tuple(dim)

    def reduced(n: int) -> tuple[int, ...]:  # axes after the batch
        found = tuple(sorted((d + n + 1 if d < 0 else d) - 1 for d in dims))
        if not found or found[0] < 0 or found[-1] >= n:
            raise UnsupportedModuleError(
                "A maximum over the batch: a sample's output depends on the others",
                expected=f"axes 1 to {n}",
                got=f"dim={dim}",
            )
        return found

    def axes(shape: tuple[int, ...]) -> list[Tensor]:
        over = reduced(len(shape))
        return [torch.arange(n)[None] if i in over else torch.arange(n)[:, None] for i, n in enumerate(shape)]

    return Maximum(
        lambda z: target(z, dim, keepdim), axes, 1 if target is larger else -1, lambda n: () if keepdim else reduced(n)
    )


def _pool(
    call: Callable[[Tensor], Tensor], n_axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Maximum:
    kernel = _each(kernel, n_axes)
    settings = list(
        zip(kernel, kernel if stride in (None, ()) else _each(stride, n_axes), _each(padding, n_axes),
            _each(dilation, n_axes), strict=True)
    )  # fmt: skip

    def axes(shape: tuple[int, ...]) -> list[Tensor]:
        free = [torch.arange(n)[:, None] for n in shape[: len(shape) - n_axes]]
        pooled = zip(shape[len(shape) - n_axes :], settings, strict=True)
        return free + [_sliding(n, *of_axis, ceil) for n, of_axis in pooled]

    return Maximum(call, axes)


def _sliding(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> Tensor:
    """(windows, kernel) positions along an axis of length n, -1 in the padding."""
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (count - 1) * stride >= n + padding:
        count -= 1  # a window must start inside the input or the padding before it
    at = torch.arange(count)[:, None] * stride - padding + dilation * torch.arange(kernel)
    return torch.where((at >= 0) & (at < n), at, -1)


def _adaptive(call: Callable[[Tensor], Tensor], n_axes: int, size: Any) -> Maximum:
    sizes = _each(size, n_axes)

    def axes(shape: tuple[int, ...]) -> list[Tensor]:
        free = [torch.arange(n)[:, None] for n in shape[: len(shape) - n_axes]]
        pooled = zip(shape[len(shape) - n_axes :], sizes, strict=True)
        return free + [_even(n, n if count is None else count) for n, count in pooled]

    return Maximum(call, axes)


def _even(n: int, count: int) -> Tensor:
    """(count, longest) positions of windows that cover an axis evenly."""
    start, stop = torch.arange(count) * n // count, -(-(torch.arange(count) + 1) * n // count)
    at = start[:, None] + torch.arange(int((stop - start).max()))
    return torch.where(at < stop[:, None], at, -1)


def _each(value: Any, n_axes: int) -> tuple[Any, ...]:
    return tuple(value) * (n_axes if len(value) == 1 else 1) if isinstance(value, tuple | list) else (value,) * n_axes


_POOL_MODULES = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3}
_ADAPTIVE_MODULES = {nn.AdaptiveMaxPool1d: 1, nn.AdaptiveMaxPool2d: 2, nn.AdaptiveMaxPool3d: 3}
MODULES = (*_POOL_MODULES, *_ADAPTIVE_MODULES)
_POOL_CALLS = {
    F.max_pool1d: 1, F.max_pool2d: 2, F.max_pool3d: 3, torch.max_pool1d: 1, torch.max_pool2d: 2, torch.max_pool3d: 3,
}  # fmt: skip
_ADAPTIVE_CALLS = {F.adaptive_max_pool1d: 1, F.adaptive_max_pool2d: 2, F.adaptive_max_pool3d: 3}
_WITH_INDICES = {
    F.max_pool1d_with_indices, F.max_pool2d_with_indices, F.max_pool3d_with_indices, F.adaptive_max_pool1d_with_indices,
    F.adaptive_max_pool2d_with_indices, F.adaptive_max_pool3d_with_indices,
}  # fmt: skip
_INDICES = "returns the indices of the maxima, which are not continuous"


def of_module(module: nn.Module) -> Maximum | str | None:
    """The maximum that a module takes, why it is refused, or None for another module."""
    for kinds in (_POOL_MODULES, _ADAPTIVE_MODULES):
        n_axes = next((n for kind, n in kinds.items() if isinstance(module, kind)), None)
        if n_axes is None:
            continue
        if module.return_indices:
            return _INDICES
        if kinds is _ADAPTIVE_MODULES:
            return _adaptive(module, n_axes, module.output_size)
        return _pool(
            module, n_axes, module.kernel_size, module.stride, module.padding, module.dilation, bool(module.ceil_mode)
        )
    return None


def of_call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Maximum | str | None:
    """As `of_module`, for a call; ``args`` without the input."""
    if target in (larger, smaller):
        return _over(target, *args)
    if target in _WITH_INDICES or kwargs.get("return_indices"):
        return _INDICES
    if target in _POOL_CALLS:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        given = [argument(args, kwargs, i, name, d) for i, (name, d) in enumerate(zip(names, _DEFAULTS, strict=True))]
        return _pool(lambda z: target(z, *given), _POOL_CALLS[target], *given)
    if target in _ADAPTIVE_CALLS:
        size = argument(args, kwargs, 0, "output_size", None)
        return _adaptive(lambda z: target(z, size), _ADAPTIVE_CALLS[target], size)
    return None


_DEFAULTS = (None, None, 0, 1, False)
