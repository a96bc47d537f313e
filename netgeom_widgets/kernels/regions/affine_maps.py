"""Affine maps of regions: fitted to the corners where that is accurate, else taken from the known branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.regions.measures import segment_argmax

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.partition import Partition
    from netgeom_widgets.kernels.regions.tracing import Activation

# A fitted slope whose error bound exceeds this share of the largest slope is differentiated instead. The bound adds up
# all roundings at their worst: what is kept is off by a hundredth of it.
_FIT_TOLERANCE = 1e-9
_SMALL_AREA = 1e-12  # of the domain
_WIDE = 1024.0  # widths of the domain: the difference then dominates the constant terms it is taken from
_ROWS_AT_ONCE = 1 << 22  # numbers in the inputs of one batch of differentiated regions


def fit(partition: Partition) -> tuple[Float[ndarray, "R C 2"], Float[ndarray, "R C"]]:
    """Slopes and offsets of every region."""
    outputs, points = partition.outputs, partition.vertices
    n, c = partition.n_regions, outputs.shape[1]
    require_memory(n * c * 24 * 3, "The affine maps", "a smaller domain")
    base, far, wide = _triangles(partition)
    d1, d2 = points[far] - points[base], points[wide] - points[base]
    cross = d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        f1, f2 = (outputs[far] - outputs[base]) / cross[:, None], (outputs[wide] - outputs[base]) / cross[:, None]
        slopes = np.stack([f1 * d2[:, 1:] - f2 * d1[:, 1:], f2 * d1[:, :1] - f1 * d2[:, :1]], -1)
        height = np.abs(cross) / np.linalg.norm(d1, axis=1)
        error = partition.output_rounding.max() / height
    error[~np.isfinite(error)] = np.inf
    good = error <= np.quantile(error, 0.5)
    largest = np.abs(slopes[good]).max(initial=0.0)
    spoiled = np.logical_or.reduceat(partition.snapped[partition.ring_vertices], partition.ring_offsets[:-1])
    redo = (error > _FIT_TOLERANCE * largest) | (partition.areas < _SMALL_AREA * partition.domain.area) | spoiled
    offsets = outputs[base] - np.einsum("rcd,rd->rc", slopes, points[base])
    chosen = np.flatnonzero(redo)
    if len(chosen):
        slopes[chosen], offsets[chosen] = differentiate(partition, chosen)
    return slopes, offsets


def _triangles(partition: Partition) -> tuple[ndarray, ndarray, ndarray]:
    """Three corners that span a region well: the first, the farthest from it, the farthest from their line."""
    offsets, ring, points = partition.ring_offsets, partition.ring_vertices, partition.vertices
    starts, sides = offsets[:-1], np.diff(offsets)
    base = ring[starts]
    offset = points[ring] - np.repeat(points[base], sides, 0)
    far = ring[segment_argmax(np.einsum("hd,hd->h", offset, offset), starts, sides)]
    along = np.repeat(points[far] - points[base], sides, 0)
    wide = ring[segment_argmax(np.abs(along[:, 0] * offset[:, 1] - along[:, 1] * offset[:, 0]), starts, sides)]
    return base, far, wide


def differentiate(
    partition: Partition, regions: Int[ndarray, " M"]
) -> tuple[Float[ndarray, "M C 2"], Float[ndarray, "M C"]]:
    """Slopes and offsets of the branches themselves: every activation keeps the branch known for the region.

    A branch is affine on the whole plane, so a difference over a step far wider than the domain gives its slope to
    rounding; the region's own width does not matter.
    """
    domain, centroids = partition.domain, partition.centroids[regions]
    step = _WIDE * float(np.ptp(domain.polygon, axis=0).max())
    slopes, offsets = [], []
    rows = max(1, _ROWS_AT_ONCE // max(domain.origin.size, sum(layer.n_units for layer in partition.layers)))
    for at in range(0, len(regions), rows):
        part = slice(at, at + rows)
        x = torch.from_numpy(domain.to_input(centroids[part]))
        u, v = (torch.from_numpy(direction) for direction in (domain.u, domain.v))
        with torch.no_grad():
            branch = _on_branches(partition, np.tile(regions[part], 3))
            value, along_u, along_v = branch(torch.cat([x, x + step * u, x + step * v])).chunk(3)
        found = (torch.stack([along_u - value, along_v - value], -1) / step).numpy()
        slopes.append(found)
        offsets.append(value.numpy() - np.einsum("rcd,rd->rc", found, centroids[part]))
    return np.concatenate(slopes), np.concatenate(offsets)


def input_jacobian(partition: Partition, region: int) -> ndarray:
    """(C, *input shape) by reverse differentiation of the region's branch, one row of a batch for every output."""
    n_outputs = partition.outputs.shape[1]
    x = torch.from_numpy(partition.domain.to_input(partition.centroids[np.full(n_outputs, region)])).requires_grad_()
    branch = _on_branches(partition, np.full(n_outputs, region))
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(branch(x).diagonal().sum(), x)
    return gradient.numpy()


def _on_branches(partition: Partition, regions: ndarray) -> Callable[[Tensor], Tensor]:
    known = [torch.from_numpy(b) for b in partition.branches(regions)]

    def follow(activation: Activation, z: Tensor, _: Tensor | None) -> tuple[Tensor, None]:
        shape = partition.layers[activation.index].shape
        return activation.function.on_branch(z, known[activation.index].reshape(len(z), *shape)), None

    return lambda x: partition.program.run(x, follow)[0]
