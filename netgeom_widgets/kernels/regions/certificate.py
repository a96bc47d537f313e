"""Proof by checking: the partition against the model it came from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.kernels.regions.compute import ROUNDING_UNITS

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions.partition import Partition
    from netgeom_widgets.kernels.regions.tracing import Activation

_SHRINK = 0.98
_ALLOWED = 1e-9  # relative error of areas, values and slopes
_NUMBERS_AT_ONCE = 1 << 23


@dataclass(frozen=True, eq=False)
class Certificate:
    """What was checked, and by how much it is off.

    Attributes
    ----------
    area_error : float
        |sum of areas / area of the domain - 1|, at most 1e-9.
    euler : int
        V - E + F, which is 1.
    patterns_distinct : bool
        No two regions share an activation pattern.
    shrunk_checked, shrunk_wrong : int
        Corners of every region, moved 2 % towards its centroid: the model's own signs there must be the region's
        pattern.
    grid_checked, grid_wrong : int
        Points of a grid: the model's signs there must be the pattern of the region that holds the point, so none is
        missing.
    undecided : int
        Signs among these too near zero for float64 arithmetic to tell (within the unit's forward rounding error).
    value_error : float
        Largest |map - model| at random points relative to the largest output, at most 1e-9.
    slope_error : float
        Largest |slope - autograd| at sampled centroids of regions above 1e-12 of the area, relative to the largest
        slope in the partition, at most 1e-9.
    settings : dict
        ``grid``, ``samples`` and ``seed`` it was made with.

    Notes
    -----
    An output or slope that is zero but for the rounding of the sums it comes from has no size to be relative to: what
    float64 arithmetic cannot tell from zero counts at most 1e-9 in both errors.
    """

    area_error: float
    euler: int
    patterns_distinct: bool
    shrunk_checked: int
    shrunk_wrong: int
    grid_checked: int
    grid_wrong: int
    undecided: int
    value_error: float
    slope_error: float
    settings: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether every check passed."""
        return (
            self.area_error <= _ALLOWED
            and self.euler == 1
            and self.patterns_distinct
            and self.shrunk_wrong == 0
            and self.grid_wrong == 0
            and self.value_error <= _ALLOWED
            and self.slope_error <= _ALLOWED
        )

    def __str__(self) -> str:
        """One line a check."""
        lines = [f"{f.name:18} {getattr(self, f.name)}" for f in fields(self)]
        return "\n".join([f"{'holds':18} {self.holds}", *lines])


def certify(
    partition: Partition,
    *,
    grid: int,
    samples: int,
    seed: int | np.random.Generator,
    progress: Progress | bool | None,
    cancel: Cancel | None,
) -> Certificate:
    """All checks, O(R N) for N units."""
    for name, number in (("grid", grid), ("samples", samples)):
        if not (isinstance(number, int | np.integer) and number >= 0):
            raise NetgeomError(f"{name} must be a whole number of points", expected="0 or more", got=f"{number!r}")
    progress, cancel = as_progress(progress), as_cancel(cancel)
    rng = np.random.default_rng(seed)
    corners, owners = _shrunk_corners(partition)
    progress.update(0, len(corners), "signs at the regions' corners")
    shrunk = _compare_signs(partition, corners, owners, progress, cancel)
    inside, regions = _grid_points(partition, grid)
    progress.update(0, len(inside), "signs on the grid")
    on_grid = _compare_signs(partition, inside, regions, progress, cancel)
    progress.update(0, 2 * samples, "values and slopes")
    value_error = _value_error(partition, samples, rng, progress, cancel)
    slope_error = _slope_error(partition, samples, rng, progress, cancel)
    return Certificate(
        area_error=abs(float(partition.areas.sum()) / partition.domain.area - 1),
        euler=len(partition.vertices) - len(partition.edges) + partition.n_regions,
        patterns_distinct=_distinct(partition),
        shrunk_checked=len(corners),
        shrunk_wrong=shrunk[0],
        grid_checked=len(inside),
        grid_wrong=on_grid[0],
        undecided=shrunk[1] + on_grid[1],
        value_error=value_error,
        slope_error=slope_error,
        settings={"grid": grid, "samples": samples, "seed": seed},
    )


def _shrunk_corners(partition: Partition) -> tuple[Float[ndarray, "H 2"], Int[ndarray, " H"]]:
    owners = np.repeat(np.arange(partition.n_regions), np.diff(partition.ring_offsets))
    centre = partition.centroids[owners]
    return centre + _SHRINK * (partition.vertices[partition.ring_vertices] - centre), owners


def _grid_points(partition: Partition, n: int) -> tuple[ndarray, ndarray]:
    (x0, y0), (x1, y1) = partition.domain.polygon.min(0), partition.domain.polygon.max(0)
    xs, ys = (low + (np.arange(n) + 0.5) * (high - low) / n for low, high in ((x0, x1), (y0, y1)))
    points = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    regions = partition.locate(points)
    return points[regions >= 0], regions[regions >= 0]


def _compare_signs(
    partition: Partition, points: ndarray, regions: ndarray, progress: Progress, cancel: Cancel
) -> tuple[int, int]:
    """(points with a wrong sign, signs too near zero to tell)."""
    rows = _rows_at_once(partition)
    wrong = undecided = 0
    for at in range(0, len(points), rows):
        part = slice(at, at + rows)
        bad, unclear = _contradictions(partition, points[part], partition.branches(regions[part]))
        wrong += int(bad.sum())
        undecided += unclear
        progress.update(min(at + rows, len(points)))
        cancel.checkpoint()
    return wrong, undecided


def _contradictions(partition: Partition, points: ndarray, branches: list[ndarray]) -> tuple[Tensor, int]:
    """Points at which the model's own pre-activations contradict the branches, and how many are too near to tell."""
    wrong, unclear = torch.zeros(len(points), dtype=torch.bool), 0

    def look(activation: Activation, z: Tensor, magnitude: Tensor | None) -> tuple[Tensor, None]:
        nonlocal unclear
        assert magnitude is not None  # noqa: S101 - asked for below
        floor, function = ROUNDING_UNITS * magnitude, activation.function
        bad, near = function.contradicted(z, floor, torch.from_numpy(branches[activation.index]))
        wrong.logical_or_(bad.any(1))
        unclear += int(near.sum())
        # Rounding noise around a breakpoint goes no further, where it would look like a sign again.
        return activation.apply(function.settle_(z.clone(), floor)), None

    x = torch.from_numpy(partition.domain.to_input(points))
    with torch.no_grad():
        partition.program.run(x, look, x.abs().amax(0, keepdim=True))
    return wrong, unclear


def _distinct(partition: Partition) -> bool:
    """Every region's pattern as bytes, compared by sorting; units that cut nothing are the same everywhere."""
    columns = [layer.bits[partition.ancestors(i)] for i, layer in enumerate(partition.layers) if layer.bits.shape[1]]
    if not columns:
        return partition.n_regions == 1
    packed = np.ascontiguousarray(np.concatenate(columns, 1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    return len(np.unique(keys)) == partition.n_regions


def _rows_at_once(partition: Partition) -> int:
    """Points that the model is run on together, so that its widest values stay within a few hundred MB."""
    widest = max([partition.domain.origin.size, sum(layer.n_units for layer in partition.layers)])
    return max(1, _NUMBERS_AT_ONCE // widest)


def _value_error(partition: Partition, n: int, rng: np.random.Generator, progress: Progress, cancel: Cancel) -> float:
    """Maps against the untraced model at random points."""
    low, high = partition.domain.polygon.min(0), partition.domain.polygon.max(0)
    points = low + rng.random((n, 2)) * (high - low)
    regions = partition.locate(points)
    points, regions = points[regions >= 0], regions[regions >= 0]
    error, rows = 0.0, _rows_at_once(partition)
    for at in range(0, len(points), rows):
        cancel.checkpoint()
        here, owner = points[at : at + rows], regions[at : at + rows]
        with torch.no_grad():
            expected = partition.program.model(torch.from_numpy(partition.domain.to_input(here)))
        found = np.einsum("rcd,rd->rc", partition.slopes[owner], here) + partition.offsets[owner]
        error = max(error, float(np.abs(found - expected.reshape(len(here), -1).numpy()).max()))
        progress.update(min(n, at + rows))
    return error / max(float(np.abs(partition.outputs).max()), _indistinct(partition))


def _slope_error(partition: Partition, n: int, rng: np.random.Generator, progress: Progress, cancel: Cancel) -> float:
    """Maps against reverse differentiation of the untraced model at centroids."""
    large = np.flatnonzero(partition.areas > 1e-12 * partition.domain.area)
    chosen = large if len(large) <= n else rng.choice(large, n, replace=False)
    error, rows = 0.0, _rows_at_once(partition)
    for at in range(0, len(chosen), rows):
        cancel.checkpoint()
        regions = chosen[at : at + rows]
        error = max(error, float(np.abs(_autograd(partition, regions) - partition.slopes[regions]).max()))
        progress.update(n + min(n, at + rows))
    largest = float(np.abs(partition.slopes[large]).max(initial=0.0))
    return error / max(largest, _indistinct(partition) / float(np.ptp(partition.domain.polygon, axis=0).max()))


def _autograd(partition: Partition, regions: Int[ndarray, " M"]) -> Float[ndarray, "M C 2"]:
    """Slopes of the untraced model at the regions' centroids."""
    domain = partition.domain
    x = torch.from_numpy(domain.to_input(partition.centroids[regions])).requires_grad_(True)
    with torch.enable_grad(), _ExactDerivatives():
        outputs = partition.program.model(x).reshape(len(x), -1)
    found = np.empty((len(regions), outputs.shape[1], 2))
    for c in range(outputs.shape[1]):
        (gradient,) = torch.autograd.grad(outputs[:, c].sum(), x, retain_graph=True)
        found[:, c] = gradient.reshape(len(x), -1).numpy() @ domain.basis
    return found


class _ExactDerivatives(TorchFunctionMode):
    """torch differentiates hardsigmoid with 1/6 in single precision, also in float64: it is written out instead."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.hardsigmoid:
            return torch.nn.functional.relu6(args[0] + 3) / 6
        return func(*args, **(kwargs or {}))


def _indistinct(partition: Partition) -> float:
    """The size of output of which the rounding that it may carry is the allowed share."""
    return max(float(partition.output_rounding.max()) / _ALLOWED, float(np.finfo(float).tiny))
