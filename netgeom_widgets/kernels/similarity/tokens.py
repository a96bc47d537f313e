"""Factors of embeddings: which rows a sample meets, and the cotangents there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from netgeom_widgets.kernels.similarity import positions
from netgeom_widgets.kernels.similarity.factors import scaled_cotangents


@dataclass(frozen=True, eq=False)
class Tokens:
    """Rows of an embedding: the gradient of row v is the sum of the cotangents at the places that hold v.

    Attributes
    ----------
    ids : (n, T) int64
        -1 where there is no gradient (padding).
    cotangents : (n, d, b, T)
    """

    ids: Tensor
    cotangents: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def numel(self) -> int:
        """Numbers kept."""
        return self.ids.numel() + self.cotangents.numel()

    def scaled(self, scales: Tensor) -> Tokens:
        """See `Factor`."""
        return Tokens(self.ids, scaled_cotangents(self.cotangents, scales))

    def own_blocks(self) -> Tensor:
        """See `Factor`; cost O(n T^2 d b)."""
        same = _same_token(self.ids[:, :, None], self.ids[:, None, :]).double()
        cotangents = self.cotangents.double()
        gathered = torch.einsum("nts,ndbs->ndbt", same, cotangents)
        return torch.einsum("ndbt,nebt->nde", cotangents, gathered)

    def traces(self, other: Tokens) -> Tensor:
        """See `Factor`; cost O(n m T^2 d b)."""
        return self._by_pairs(self.cotangents, other, other.cotangents)

    def blocks(self, other: Tokens) -> Tensor:
        """See `Factor`; cost O(n m T^2 d^2 b)."""
        d = self.cotangents.shape[1]
        rows = [
            torch.stack(
                [self._by_pairs(self.cotangents[:, [c]], other, other.cotangents[:, [e]]) for e in range(d)], -1
            )
            for c in range(d)
        ]
        return torch.stack(rows, 2)

    def _by_pairs(self, cotangents: Tensor, other: Tokens, others: Tensor) -> Tensor:
        right = others.flatten(1, 2).transpose(1, 2).flatten(0, 1)
        n_positions, n_others = self.ids.shape[1], other.ids.shape[1]
        rows_at_once = max(1, positions.NUMBERS_AT_ONCE // max(1, n_positions * other.ids.numel()))
        found = []
        for start in range(0, len(self), rows_at_once):
            rows = slice(start, start + rows_at_once)
            left = cotangents[rows].flatten(1, 2).transpose(1, 2).flatten(0, 1)
            same = _same_token(self.ids[rows].reshape(-1, 1), other.ids.reshape(1, -1))
            found.append(positions.sum_of_pairs((left @ right.T).mul_(same), n_positions, n_others))
        return torch.cat(found)

    @classmethod
    def joined(cls, parts: list[Tokens]) -> Tokens:
        """See `Factor`."""
        return cls(torch.cat([p.ids for p in parts]), torch.cat([p.cotangents for p in parts]))


def _same_token(left: Tensor, right: Tensor) -> Tensor:
    return (left == right) & (left >= 0)
