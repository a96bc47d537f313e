"""Gradients of many samples with respect to one parameter, kept in factors, and their inner products.

Every factor stands for the gradients w (n, d, ...) of d outputs at n samples. The n x p matrix of gradients itself is
made only where it is the smaller form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Factor(Protocol):
    """Gradients of n samples and d outputs in some form; `other` has the same form."""

    def __len__(self) -> int: ...

    @property
    def numel(self) -> int:
        """Numbers kept."""

    def scaled(self, scales: Tensor) -> Any:
        """Gradients of other outputs, sum_c scales[i, e, c] w[i, c], for scales (n, e, d)."""

    def own_blocks(self) -> Tensor:
        """Products of each sample's own gradients, (n, d, d) float64."""

    def traces(self, other: Any) -> Tensor:
        """sum_c w[i, c] . w'[j, c], (n, m)."""

    def blocks(self, other: Any) -> Tensor:
        """w[i, c] . w'[j, e], (n, m, d, d)."""

    @classmethod
    def joined(cls, parts: list[Any]) -> Any:
        """The factors of several groups of samples as one."""


def products(left: Tensor, right: Tensor) -> Tensor:
    """Left @ right.T; of the product of a matrix with itself only the blocks on and above the diagonal are computed."""
    if left is not right or len(left) < 128:
        return left @ right.T
    middle = len(left) // 2
    upper, lower = left[:middle], left[middle:]
    found = left.new_empty((len(left), len(left)))
    found[:middle, :middle] = products(upper, upper)
    found[middle:, middle:] = products(lower, lower)
    found[:middle, middle:] = upper @ lower.T
    found[middle:, :middle] = found[:middle, middle:].T
    return found


def scaled_cotangents(cotangents: Tensor, scales: Tensor) -> Tensor:
    """Scales (n, e, d) times cotangents (n, d, ...)."""
    scales = scales.to(cotangents.dtype)
    return torch.bmm(scales, cotangents.flatten(2)).reshape(len(scales), scales.shape[1], *cotangents.shape[2:])


def as_blocks(table: Tensor, d: int) -> Tensor:
    """(n d, m d) as (n, m, d, d)."""
    return table.reshape(len(table) // d, d, -1, d).permute(0, 2, 1, 3)


@dataclass(frozen=True, eq=False)
class Vectors:
    """The gradients themselves, (n, d, q): biases, norm layers, small weights, and whatever is differentiated whole."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @property
    def numel(self) -> int:
        """Numbers kept."""
        return self.values.numel()

    def scaled(self, scales: Tensor) -> Vectors:
        """See `Factor`."""
        return Vectors(scaled_cotangents(self.values, scales))

    def own_blocks(self) -> Tensor:
        """See `Factor`; cost O(n d^2 q)."""
        if self.values.shape[1] == 1:
            return torch.linalg.vector_norm(self.values, dim=2, dtype=torch.float64).square_()[:, :, None]
        values = self.values.double()
        return torch.bmm(values, values.transpose(1, 2))

    def traces(self, other: Vectors) -> Tensor:
        """See `Factor`; cost O(n m d q)."""
        left = self.values.flatten(1)
        return products(left, left if other is self else other.values.flatten(1))

    def blocks(self, other: Vectors) -> Tensor:
        """See `Factor`; cost O(n m d^2 q)."""
        left = self.values.flatten(0, 1)
        return as_blocks(products(left, left if other is self else other.values.flatten(0, 1)), self.values.shape[1])

    @classmethod
    def joined(cls, parts: list[Vectors]) -> Vectors:
        """See `Factor`."""
        return cls(torch.cat([part.values for part in parts])) if len(parts) > 1 else parts[0]


@dataclass(frozen=True, eq=False)
class Outers:
    """Outer products of one input and d cotangents a sample: the weight of a linear layer met once.

    Attributes
    ----------
    inputs : (n, a)
    cotangents : (n, d, b)
    bias : bool
        The layer's bias is counted too: its gradient is the cotangent, as of one more input that is always 1.
    """

    inputs: Tensor
    cotangents: Tensor
    bias: bool = False

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def numel(self) -> int:
        """Numbers kept."""
        return self.inputs.numel() + self.cotangents.numel()

    def scaled(self, scales: Tensor) -> Outers:
        """See `Factor`."""
        return Outers(self.inputs, scaled_cotangents(self.cotangents, scales), self.bias)

    def own_blocks(self) -> Tensor:
        """See `Factor`; cost O(n (a + d^2 b))."""
        sizes = self.inputs.double().square().sum(1) + self.bias
        cotangents = self.cotangents.double()
        return sizes[:, None, None] * torch.bmm(cotangents, cotangents.transpose(1, 2))

    def traces(self, other: Outers) -> Tensor:
        """See `Factor`; (A A'^T + 1) o (D D'^T), cost O(n m (a + d b))."""
        same = other is self
        left = self.cotangents.flatten(1)
        found = products(left, left if same else other.cotangents.flatten(1))
        return found.mul_(self._input_products(other))

    def blocks(self, other: Outers) -> Tensor:
        """See `Factor`; cost O(n m (a + d^2 b))."""
        left = self.cotangents.flatten(0, 1)
        found = products(left, left if other is self else other.cotangents.flatten(0, 1))
        return as_blocks(found, self.cotangents.shape[1]) * self._input_products(other)[:, :, None, None]

    def _input_products(self, other: Outers) -> Tensor:
        found = products(self.inputs, other.inputs)
        return found.add_(1) if self.bias else found

    @classmethod
    def joined(cls, parts: list[Outers]) -> Outers:
        """See `Factor`."""
        if len(parts) == 1:
            return parts[0]
        inputs, cotangents = (torch.cat([getattr(p, name) for p in parts]) for name in ("inputs", "cotangents"))
        return cls(inputs, cotangents, parts[0].bias)
