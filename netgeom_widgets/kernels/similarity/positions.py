"""Factors of weights that a sample meets at several positions: convolutions, sequences, shared modules.

The gradient of such a weight is sum_t a_t d_t^T over the positions t of a sample, of all calls of the module together:
the cross terms of shared modules come out right because the sum is taken before the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netgeom_widgets.kernels.similarity.factors import Vectors, as_blocks, products, scaled_cotangents

NUMBERS_AT_ONCE = 1 << 24  # in the largest temporary of a product: 64 MiB in float32


@dataclass(frozen=True, eq=False)
class Window:
    """Geometry of a convolution: how its input is cut into patches."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # before and after, of each spatial dimension
    dilation: tuple[int, ...]
    groups: int

    def patches(self, x: Tensor) -> Tensor:
        """(N, C, ...) to (N, groups, C / groups * kernel size, positions), a strided view copied once."""
        pad = [amount for pair in reversed(self.padding) for amount in pair]
        x = F.pad(x, pad) if any(pad) else x
        n, channels, *sizes = x.shape
        spans = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        counts = [(size - span) // s + 1 for size, span, s in zip(sizes, spans, self.stride, strict=True)]
        steps = x.stride()[2:]
        view = x.as_strided(
            (n, channels, *self.kernel, *counts),
            (
                *x.stride()[:2],
                *(step * d for step, d in zip(steps, self.dilation, strict=True)),
                *(step * s for step, s in zip(steps, self.stride, strict=True)),
            ),
            x.storage_offset(),
        )
        positions = 1
        for count in counts:
            positions *= count
        return view.reshape(n, self.groups, -1, positions)


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a weight: inputs as they came and the cotangents (n, d, groups, b, T) of its result.

    `inputs` is (n * r, C, ...) where a window cuts it, with r images a sample, else (n, groups, a, T).
    """

    inputs: Tensor
    cotangents: Tensor
    window: Window | None = None

    def patches(self, rows: slice) -> Tensor:
        """(n, groups, a, T)."""
        if self.window is None:
            return self.inputs[rows]
        repeats = len(self.inputs) // len(self.cotangents)
        start, stop, _ = rows.indices(len(self.cotangents))
        found = self.window.patches(self.inputs[start * repeats : stop * repeats])
        if repeats == 1:
            return found
        n, groups, a, positions = found.shape
        found = found.reshape(n // repeats, repeats, groups, a, positions).permute(0, 2, 3, 1, 4)
        return found.reshape(n // repeats, groups, a, repeats * positions)


@dataclass(frozen=True, eq=False)
class Positions:
    """Gradients sum_t a_t d_t^T of a weight in `groups` blocks of a x b entries, as the calls that made them."""

    calls: tuple[Call, ...]
    entries: tuple[int, int, int]  # groups, a, b

    def __len__(self) -> int:
        return len(self.calls[0].cotangents)

    @property
    def numel(self) -> int:
        """Numbers kept."""
        return sum(call.inputs.numel() + call.cotangents.numel() for call in self.calls)

    @property
    def n_outputs(self) -> int:
        """D."""
        return self.calls[0].cotangents.shape[1]

    @property
    def n_positions(self) -> int:
        """T, of all calls together."""
        return sum(call.cotangents.shape[-1] for call in self.calls)

    @property
    def numel_of_vectors(self) -> int:
        """Numbers that `as_vectors` would keep."""
        groups, a, b = self.entries
        return len(self) * self.n_outputs * groups * a * b

    @property
    def prefers_vectors(self) -> bool:
        """Whether products of the gradients themselves need fewer operations than those of their factors."""
        return _by_vectors_is_cheaper(self, self.n_outputs)

    def scaled(self, scales: Tensor) -> Positions:
        """See `Factor`."""
        calls = (Call(c.inputs, scaled_cotangents(c.cotangents, scales), c.window) for c in self.calls)
        return Positions(tuple(calls), self.entries)

    def as_vectors(self) -> Vectors:
        """The gradients themselves."""
        return Vectors(torch.cat([self.gradients(rows) for rows in self._chunks()]))

    def gradients(self, rows: slice, channels: slice = slice(None), *, double: bool = False) -> Tensor:
        """(rows, d, groups * a * channels) of some samples and some of the b channels."""
        found: Any = 0
        for call in self.calls:
            patches, cotangents = call.patches(rows), call.cotangents[rows][:, :, :, channels]
            if double:
                patches, cotangents = patches.double(), cotangents.double()
            n, d, groups, b, positions = cotangents.shape
            flat = cotangents.permute(0, 2, 4, 1, 3).reshape(n * groups, positions, d * b)
            product = torch.bmm(patches.reshape(n * groups, -1, positions), flat)  # (n groups, a, d b)
            found = found + product.reshape(n, groups, -1, d, b).permute(0, 3, 1, 2, 4)
        return found.flatten(2)

    def own_blocks(self) -> Tensor:
        """See `Factor`; the cheaper of O(n d T a b) and O(n T^2 (a + d b)) by group.

        In float64 where the rank of d > 1 outputs depends on it.
        """
        return torch.cat([self._own_blocks(rows, double=self.n_outputs > 1) for rows in self._chunks()])

    def _own_blocks(self, rows: slice, *, double: bool) -> Tensor:
        groups, a, b = self.entries
        d, positions = self.n_outputs, self.n_positions
        if positions * (a + d * b) >= d * a * b:
            values = self.gradients(rows, double=double)
            return torch.bmm(values, values.transpose(1, 2)).double()
        found: Any = 0
        for g in range(groups):
            inputs, cotangents = self._positions_of(rows, g)  # (n, a, T), (n, d b, T)
            inputs, cotangents = (x.double() if double else x for x in (inputs, cotangents))
            products_of_inputs = torch.bmm(inputs.transpose(1, 2), inputs)
            gathered = torch.bmm(cotangents, products_of_inputs)
            left, right = (x.reshape(len(x), d, b * positions) for x in (cotangents, gathered))
            found = found + torch.bmm(left, right.transpose(1, 2))
        return found.double()

    def traces(self, other: Positions) -> Tensor:
        """See `Factor`; the cheaper of O(n m d a b) and O(n m T^2 (a + d b)) by group."""
        if _by_vectors_is_cheaper(self, self.n_outputs):
            return self._by_channels(other, lambda w: w.flatten(1))
        return self._by_pairs(other)

    def blocks(self, other: Positions) -> Tensor:
        """See `Factor`; cost O(n m d^2 a b)."""
        return as_blocks(self._by_channels(other, lambda w: w.flatten(0, 1)), self.n_outputs)

    def _by_channels(self, other: Positions, flat: Callable[[Tensor], Tensor]) -> Tensor:
        """Products of the gradients themselves, a few channels b at a time."""
        groups, a, b = self.entries
        size = max(len(self), len(other)) * self.n_outputs * groups * a
        step = max(1, 4 * NUMBERS_AT_ONCE // max(1, size))  # patches are cut anew for each step
        everything, found = slice(None), None
        for start in range(0, b, step):
            channels = slice(start, start + step)
            left = flat(self.gradients(everything, channels))
            right = left if other is self else flat(other.gradients(everything, channels))
            product = products(left, right)
            found = product if found is None else found.add_(product)
        assert found is not None  # b >= 1  # noqa: S101
        return found

    def _by_pairs(self, other: Positions) -> Tensor:
        """Products of all pairs of positions: (a_t . a'_s)(d_t . d'_s), summed over t and s."""
        groups = self.entries[0]
        right = [other._group(slice(None), g) for g in range(groups)]
        rows_at_once = max(1, NUMBERS_AT_ONCE // max(1, self.n_positions * len(other) * other.n_positions))
        found = right[0][0].new_zeros((len(self), len(other)))
        for start in range(0, len(self), rows_at_once):
            rows = slice(start, start + rows_at_once)
            # of a block with itself only the pairs on and above the diagonal are needed
            first = start if other is self else 0
            for g in range(groups):
                inputs, cotangents = self._group(rows, g)
                columns = slice(first * other.n_positions, None)
                pairs = (inputs @ right[g][0][columns].T).mul_(cotangents @ right[g][1][columns].T)
                found[rows, first:] += sum_of_pairs(pairs, self.n_positions, other.n_positions)
        return found.triu().add_(found.triu(1).T) if other is self else found

    def _group(self, rows: slice, g: int) -> tuple[Tensor, Tensor]:
        """Inputs (n T, a) and cotangents (n T, d b) of one group."""
        inputs, cotangents = self._positions_of(rows, g)
        return inputs.transpose(1, 2).flatten(0, 1), cotangents.transpose(1, 2).flatten(0, 1)

    def _positions_of(self, rows: slice, g: int) -> tuple[Tensor, Tensor]:
        """Inputs (n, a, T) and cotangents (n, d b, T) of one group, of all calls."""
        inputs = [call.patches(rows)[:, g] for call in self.calls]
        cotangents = [call.cotangents[rows][:, :, g] for call in self.calls]
        return _joined(inputs), _joined(cotangents).flatten(1, 2)

    def _chunks(self) -> Iterator[slice]:
        groups, a, b = self.entries
        positions = self.n_positions
        size = groups * (self.n_outputs * a * b + positions * (a + self.n_outputs * b))
        step = max(1, NUMBERS_AT_ONCE // size)
        return (slice(start, start + step) for start in range(0, len(self), step))

    @classmethod
    def joined(cls, parts: list[Positions]) -> Positions:
        """See `Factor`."""
        if len(parts) == 1:
            return parts[0]
        calls = []
        for same in zip(*(part.calls for part in parts), strict=True):
            inputs, cotangents = (torch.cat([getattr(c, name) for c in same]) for name in ("inputs", "cotangents"))
            calls.append(Call(inputs, cotangents, same[0].window))
        return cls(tuple(calls), parts[0].entries)


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, -1) if len(parts) > 1 else parts[0]


def _by_vectors_is_cheaper(factor: Positions, d: int) -> bool:
    _, a, b = factor.entries
    # Forming the gradients is shared by a whole tile of pairs; a product of pairs makes temporaries on top.
    return d * a * b <= 1.5 * factor.n_positions**2 * (a + d * b)


def sum_of_pairs(pairs: Tensor, positions: int, others: int) -> Tensor:
    """(n T, m T') summed over T and T'."""
    return pairs.reshape(len(pairs) // positions, positions, -1, others).sum((1, 3))
