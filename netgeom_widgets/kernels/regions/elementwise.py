"""Elementwise activations: continuous piecewise-linear functions of one number, by breakpoints and slopes."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netgeom_widgets.kernels.regions.calls import argument, number

Slope = float | Tensor


class PiecewiseLinear:
    """A continuous function, linear between its breakpoints.

    Branch k is the piece above k breakpoints: a number that equals a breakpoint belongs to the piece on its left, as a
    unit is on where its pre-activation is above zero.

    Parameters
    ----------
    breakpoints : sequence of B floats
        Ascending; infinite ones and pieces without length are dropped.
    slopes : sequence of B + 1 floats
        Of the pieces from left to right; a tensor holds one slope per channel.
    values : sequence of B floats
        The function at its breakpoints.
    """

    def __init__(self, breakpoints: Sequence[float], slopes: Sequence[Slope], values: Sequence[float]) -> None:
        finite = [k for k, b in enumerate(breakpoints) if math.isfinite(b)]
        kept, first = [k for k in finite if breakpoints[k] not in breakpoints[k + 1 :]], finite[0]
        self.breakpoints = tuple(float(breakpoints[k]) for k in kept)
        self.slopes: tuple[Slope, ...] = (slopes[first], *(slopes[k + 1] for k in kept))
        at = [float(values[k]) for k in kept]
        shifts: list[Slope] = [v - s * b for b, s, v in zip(self.breakpoints, self.slopes[1:], at, strict=True)]
        self.shifts: tuple[Slope, ...] = (at[0] - self.slopes[0] * self.breakpoints[0], *shifts)

    @property
    def n_breakpoints(self) -> int:
        """Number of breakpoints."""
        return len(self.breakpoints)

    @property
    def at_zero(self) -> bool:
        """Whether its one breakpoint is zero, so that only signs matter."""
        return self.breakpoints == (0.0,)

    def __call__(self, z: Tensor, *, in_place: bool = False) -> Tensor:
        """The function itself; z (rows, *unit shape)."""
        if self.at_zero and all(isinstance(s, float) for s in self.slopes) and self.slopes == (0.0, 1.0):
            return z.clamp_(min=0) if in_place else z.clamp(min=0)
        return self.on_branch(z, self.branch(z))

    def branch(self, z: Tensor) -> Tensor:
        """The piece each number lies in: bool for one breakpoint, else int64."""
        if self.n_breakpoints == 1:
            return z > self.breakpoints[0]
        return torch.bucketize(z, z.new_tensor(self.breakpoints))

    def on_branch(self, z: Tensor, branch: Tensor) -> Tensor:
        """The linear function of the named branch, whatever the value of z."""
        if self.n_breakpoints == 1:
            low, high = (z * _shaped(slope, z) for slope in self.slopes)
            if not self.at_zero:
                low, high = (part + _shaped(shift, z) for part, shift in zip((low, high), self.shifts, strict=True))
            return torch.where(branch > 0, high, low)
        branch = branch.long()
        return z * z.new_tensor(self.slopes)[branch] + z.new_tensor(self.shifts)[branch]

    def magnitude(self, low: Tensor, high: Tensor) -> Tensor:
        """Bound of the result and of what its rounding is relative to, for units between ``low`` and ``high``.

        Steep or shifted pieces pass on the rounding of z, which may exceed that of the result.
        """
        inside = [torch.clamp(torch.full_like(low, b), low, high) for b in self.breakpoints if b]
        bound = self(torch.stack([low, high, *inside])).abs().amax(0, keepdim=True)
        if self.at_zero:
            return bound
        return torch.maximum(bound, self.steepest * torch.maximum(low.abs(), high.abs()))

    def jump(self, shape: tuple[int, ...]) -> Tensor:
        """(N,) by how much the slope changes at the only breakpoint, for units of this shape."""
        negative, positive = self.slopes
        row = torch.ones((1, *shape), dtype=torch.float64)
        return (row * _shaped(positive, row) - row * _shaped(negative, row)).view(-1)

    @property
    def steepest(self) -> float:
        """The largest slope, as a size."""
        return max(float(torch.as_tensor(s).abs().max()) for s in self.slopes)

    def contradicted(self, z: Tensor, floor: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Where z lies outside the named branch, and where it is too near a breakpoint to tell; (rows, N).

        z (rows, *unit shape), floor (1, *unit shape), branch (rows, N).
        """
        ends = z.new_tensor([-math.inf, *self.breakpoints, math.inf])
        z, floor, branch = z.flatten(1), floor.flatten(1), branch.long()
        below, above = z - ends[branch], z - ends[branch + 1]
        unclear = (below.abs() <= floor) | (above.abs() <= floor)
        return ((below <= 0) | (above > 0)) & ~unclear, unclear

    def settle_(self, z: Tensor, floor: Tensor) -> Tensor:
        """In place: values within their rounding of a breakpoint become that breakpoint."""
        for b in self.breakpoints:
            z.masked_fill_((z if b == 0 else z - b).abs() <= floor, b)
        return z


def _shaped(number: Slope, z: Tensor) -> Slope:
    """A number per channel, in the shape that multiplies (rows, channels, ...)."""
    if not isinstance(number, Tensor):
        return number
    return number.reshape(-1, *[1] * (z.ndim - 2)) if number.numel() > 1 else number.reshape(())


def hinge(negative: Slope, positive: Slope = 1.0) -> PiecewiseLinear:
    """One breakpoint at zero, where the function is zero."""
    return PiecewiseLinear((0.0,), (negative, positive), (0.0,))


def clamp(low: float, high: float) -> PiecewiseLinear | str:
    """Identity between two bounds, which may be infinite, constant outside."""
    if not low < high:
        return f"clamps every number to one value (from {low} to {high})"
    if math.isinf(low) and math.isinf(high):
        return "clamps between infinite bounds, which changes nothing"
    return PiecewiseLinear((low, high), (0.0, 1.0, 0.0), (low, high))


def threshold(at: float, value: float) -> PiecewiseLinear | str:
    """The input above ``at``, ``value`` below: continuous only where they agree."""
    if at != value:
        return f"is discontinuous at {at}, where it jumps from {value}"
    return PiecewiseLinear((at,), (0.0, 1.0), (value,))


_HARD_SIGMOID = PiecewiseLinear((-3.0, 3.0), (0.0, 1 / 6, 0.0), (0.0, 1.0))
_HARD_SHRINK = "is discontinuous: it jumps from 0 to lambd"


def _soft_shrink(lambd: float) -> PiecewiseLinear:
    return PiecewiseLinear((-lambd, lambd), (1.0, 0.0, 1.0), (0.0, 0.0))


MODULES = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.ReLU6, nn.Hardsigmoid, nn.Softshrink, nn.Threshold,
)  # fmt: skip


def of_module(module: nn.Module) -> PiecewiseLinear | str | None:
    """The function of an elementwise module, why it is refused, or None for another module."""
    match module:
        case nn.ReLU():
            return hinge(0.0)
        case nn.LeakyReLU():
            return hinge(float(module.negative_slope))
        case nn.PReLU():
            return hinge(module.weight.detach())
        case nn.RReLU():
            return hinge((float(module.lower) + float(module.upper)) / 2)
        case nn.Hardtanh():  # and ReLU6, which is one
            return clamp(float(module.min_val), float(module.max_val))
        case nn.Hardsigmoid():
            return _HARD_SIGMOID
        case nn.Softshrink():
            return _soft_shrink(float(module.lambd))
        case nn.Threshold():
            return threshold(float(module.threshold), float(module.value))
        case nn.Hardshrink():
            return _HARD_SHRINK
    return None


_NAMES = {
    "relu": (F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"),
    "abs": (torch.abs, torch.absolute, operator.abs, builtins.abs, "abs", "abs_", "absolute"),
    "leaky_relu": (F.leaky_relu, F.leaky_relu_),
    "prelu": (F.prelu, torch.prelu, "prelu"),
    "rrelu": (F.rrelu, torch.rrelu, F.rrelu_),
    "relu6": (F.relu6,),
    "hardtanh": (F.hardtanh, F.hardtanh_),
    "hardsigmoid": (F.hardsigmoid,),
    "softshrink": (F.softshrink,),
    "threshold": (F.threshold, torch.threshold),
    "hardshrink": (F.hardshrink, torch.hardshrink, "hardshrink"),
    "clamp": (torch.clamp, torch.clip, torch.clamp_, torch.clip_, "clamp", "clip", "clamp_", "clip_"),
    "clamp_min": (torch.clamp_min, torch.clamp_min_, "clamp_min", "clamp_min_"),
    "clamp_max": (torch.clamp_max, torch.clamp_max_, "clamp_max", "clamp_max_"),
}
_NAME = {target: name for name, targets in _NAMES.items() for target in targets}


def of_call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PiecewiseLinear | str | None:
    """As `of_module`, for a functional or method form; ``args`` without the input, weights as tensors."""

    def given(index: int, name: str, default: float) -> float:
        return number(argument(args, kwargs, index, name, default), default)

    match _NAME.get(target):
        case "relu":
            return hinge(0.0)
        case "abs":
            return hinge(-1.0)
        case "leaky_relu":
            return hinge(given(0, "negative_slope", 0.01))
        case "prelu":
            weight = argument(args, kwargs, 0, "weight", None)
            return hinge(weight.detach()) if isinstance(weight, Tensor) else None
        case "rrelu":
            training = argument(args, kwargs, 2, "training", False)
            return None if training else hinge((given(0, "lower", 1 / 8) + given(1, "upper", 1 / 3)) / 2)
        case "relu6":
            return clamp(0.0, 6.0)
        case "hardtanh":
            return clamp(given(0, "min_val", -1.0), given(1, "max_val", 1.0))
        case "hardsigmoid":
            return _HARD_SIGMOID
        case "softshrink":
            return _soft_shrink(given(0, "lambd", 0.5))
        case "threshold":
            return threshold(given(0, "threshold", 0.0), given(1, "value", 0.0))
        case "hardshrink":
            return _HARD_SHRINK
        case "clamp":
            return clamp(given(0, "min", -math.inf), given(1, "max", math.inf))
        case "clamp_min":
            return clamp(given(0, "min", -math.inf), math.inf)
        case "clamp_max":
            return clamp(-math.inf, given(0, "max", math.inf))
    return None


def is_clamp(target: Any) -> bool:
    """Whether a call clamps, possibly between tensors."""
    return _NAME.get(target, "").startswith("clamp")
