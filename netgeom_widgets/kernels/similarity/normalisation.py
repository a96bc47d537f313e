"""From inner products of gradients to similarities: roots of K(x, x), ranks, zero gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RANK_CUT = 1e-10  # eigenvalues of K(x, x) below this share of the largest count as zero

KERNELS = ("trace", "frobenius", "nuclear", "rotation", "flat", "inner", "relative", "cosine")

# How the gradients of a sample are scaled before the products of pairs are taken.
SCALING = {
    "trace": "root",
    "frobenius": "root",
    "nuclear": "root",
    "rotation": "root",
    "cosine": "root",
    "flat": "norm",
    "inner": "none",
    "relative": "none",
}
ADDITIVE = ("trace", "flat", "inner", "relative", "cosine")  # sums over parameters, taken from traces of the products


@dataclass(frozen=True, eq=False)
class Scales:
    """What a sample's gradients are multiplied by, from its own d x d block K(x, x).

    Attributes
    ----------
    factors : (n, d, d) float64 or None
        Symmetric; None leaves the gradients as they are.
    zero : (n,) bool
        Samples whose gradient vanishes.
    rank : (n,) int64
        Of K(x, x), relative cut 1e-10.
    norms : (n,) float64
        Trace of K(x, x): the squared norm of all d gradients together.
    """

    factors: Tensor | None
    zero: Tensor
    rank: Tensor
    norms: Tensor

    @classmethod
    def joined(cls, parts: list[Scales]) -> Scales:
        """Of several groups of samples as one."""
        factors = None if parts[0].factors is None else torch.cat([p.factors for p in parts if p.factors is not None])
        zero, rank, norms = (torch.cat([getattr(part, name) for part in parts]) for name in ("zero", "rank", "norms"))
        return cls(factors, zero, rank, norms)


def scales(blocks: Tensor, scaling: str) -> Scales:
    """Scale factors from the blocks K(x, x) of shape (n, d, d), float64.

    "root" takes the pseudo-inverse square root, so that products of scaled gradients are K_C, "norm" divides by the
    root of the trace, "none" leaves the gradients alone. Zero gradients get factor 0: no NaN comes of them.
    """
    blocks = (blocks + blocks.transpose(1, 2)) / 2
    norms = blocks.diagonal(dim1=1, dim2=2).sum(1)
    d = blocks.shape[1]
    if d == 1:
        eigenvalues, vectors = blocks[:, :, 0], torch.ones_like(blocks)
    else:
        size = norms.clamp_min(torch.finfo(blocks.dtype).tiny)[:, None, None]  # units: tiny gradients do not underflow
        eigenvalues, vectors = torch.linalg.eigh(blocks / size)
        eigenvalues = eigenvalues * size[:, :, 0]
    largest = eigenvalues[:, -1:]
    kept = (eigenvalues > RANK_CUT * largest) & (largest > 0)
    zero = largest[:, 0] <= 0
    factors = None
    if scaling == "root":
        inverse = torch.where(kept, eigenvalues.clamp_min(torch.finfo(blocks.dtype).tiny).rsqrt(), 0.0)
        factors = (vectors * inverse[:, None, :]) @ vectors.transpose(1, 2)
    elif scaling == "norm":
        inverse = torch.where(zero, 0.0, norms.clamp_min(torch.finfo(blocks.dtype).tiny).rsqrt())
        factors = inverse[:, None, None] * torch.eye(d, dtype=blocks.dtype)
    return Scales(factors, zero, kept.sum(1), norms)


def of_blocks(blocks: Tensor, kernel: str) -> Tensor:
    """Scalars of normalised blocks K_C (..., d, d), for the kernels that are no traces."""
    d = blocks.shape[-1]
    if kernel == "frobenius":
        return blocks.square().sum((-2, -1)).sqrt() / d**0.5
    if kernel == "nuclear":
        return torch.linalg.svdvals(blocks).sum(-1) / d
    # The maximum over rotations R of tr(R K_C)/2, in closed form for d = 2: (s_1 + s_2)/2, one singular value signed by
    # determinant, here without the cancellation of |K_C|_F^2 + 2 det K_C.
    (a, b), (c, e) = blocks[..., 0, :].unbind(-1), blocks[..., 1, :].unbind(-1)
    return torch.hypot(a + e, b - c) / 2
