"""Elementwise activations that users declare piecewise linear; the declaration is checked against the module."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions import elementwise, operations, windows
from netgeom_widgets.kernels.regions.elementwise import PiecewiseLinear

Numbers = Sequence[float]
Declared = Numbers | Callable[[nn.Module], Numbers]

_REGISTERED: dict[type[nn.Module], tuple[Declared, Declared]] = {}
_ALLOWED = 1e-9  # relative difference between a module and its declaration
_INSIDE = (1e-6, 0.1, 1 / 3, 0.5, 0.75, 1 - 1e-6)  # where a piece is sampled, as shares of its width
_BEYOND = (1e-6, 0.5, 1.0, 10.0, 1000.0)  # and how far beyond the outer breakpoints, in units of their distance


def register_activation(cls: type[nn.Module], breakpoints: Declared, slopes: Declared) -> None:
    """Declare that a module class is an elementwise, continuous, piecewise-linear function.

    From then on `partition` cuts at its breakpoints, exactly. Its values are read off the module itself; the slopes and
    breakpoints are compared with the module at points inside every piece and beyond the outer ones, whenever a model
    with such a module is partitioned. Declaring a class again replaces the former declaration.

    Parameters
    ----------
    cls : type
        A subclass of torch.nn.Module that takes one tensor and acts on each number by itself; subclasses of it count.
    breakpoints : sequence of B floats, or callable of the module
        Ascending and finite, at least one.
    slopes : sequence of B + 1 floats, or callable of the module
        Slopes of the pieces from left to right.

    Raises
    ------
    NetgeomError
        ``cls`` is no module class or is supported anyway, or numbers that do not fit together. When a model is
        partitioned: the module is not what was declared.

    Examples
    --------
    >>> class Sawtooth(torch.nn.Module):
    ...     def forward(self, x):
    ...         return torch.where(x.abs() < 3, (x - 2 * torch.round(x / 2)).abs(), x.abs() - 2)
    >>> register_activation(Sawtooth, breakpoints=range(-2, 3), slopes=[-1, 1, -1, 1, -1, 1])
    """
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise NetgeomError("Only module classes can be registered", expected="a subclass of nn.Module", got=f"{cls!r}")
    if cls in (*operations.AFFINE_MODULES, *elementwise.MODULES, *windows.MODULES):
        raise NetgeomError(f"{cls.__name__} is supported as it is", try_this="it needs no registration")
    if not callable(breakpoints) and not callable(slopes):
        _checked(cls, breakpoints, slopes)
    _REGISTERED[cls] = (breakpoints, slopes)


def is_registered(module: nn.Module) -> bool:
    """Whether the module's class or a base of it was declared."""
    return any(cls in _REGISTERED for cls in type(module).__mro__)


def of_module(module: nn.Module) -> PiecewiseLinear | None:
    """The declared function of a module, checked, or None where nothing was declared."""
    declared = next((_REGISTERED[cls] for cls in type(module).__mro__ if cls in _REGISTERED), None)
    if declared is None:
        return None
    cls = type(module)
    breakpoints, slopes = _checked(cls, *(d(module) if callable(d) else d for d in declared))
    values = _evaluate(module, torch.tensor(breakpoints, dtype=torch.float64))
    function = PiecewiseLinear(breakpoints, slopes, values.tolist())
    _compare(cls, module, function)
    return function


def _checked(cls: type[nn.Module], breakpoints: Numbers, slopes: Numbers) -> tuple[list[float], list[float]]:
    try:
        b, s = [float(x) for x in breakpoints], [float(x) for x in slopes]
    except (TypeError, ValueError) as error:
        raise NetgeomError(
            f"The declaration of {cls.__name__} is not understood ({error})",
            expected="sequences of numbers for breakpoints and slopes, or callables of the module that give them",
        ) from None
    if not b or not all(map(math.isfinite, [*b, *s])) or any(x >= y for x, y in itertools.pairwise(b)):
        raise NetgeomError(
            f"The breakpoints and slopes of {cls.__name__} do not describe a function",
            expected="finite numbers, at least one breakpoint, in ascending order",
            got=f"breakpoints {b}, slopes {s}",
        )
    if len(s) != len(b) + 1:
        raise NetgeomError(
            f"{cls.__name__} needs one slope more than breakpoints",
            expected=f"{len(b) + 1} slopes for {len(b)} breakpoints",
            got=f"{len(s)}",
        )
    return b, s


def _evaluate(module: nn.Module, points: Tensor) -> Tensor:
    """The module at numbers, as one column and as one row: each must be treated by itself."""
    try:
        with torch.no_grad():
            column, row = module(points[:, None].clone()), module(points[None].clone())
        if column.shape == (len(points), 1) and torch.equal(column[:, 0], row[0]):
            return column[:, 0]
    except Exception as error:  # the user's code: whatever it raises, the answer is the same
        raise NetgeomError(
            f"{type(module).__name__} does not accept a column of numbers ({type(error).__name__}: {error})",
            expected="an elementwise module, as registered",
        ) from error
    raise NetgeomError(
        f"{type(module).__name__} does not treat every number by itself",
        expected="an elementwise module, as registered",
        got=f"a result of shape {tuple(column.shape)} for {len(points)} numbers, or results that depend on each other",
    )


def _compare(cls: type[nn.Module], module: nn.Module, function: PiecewiseLinear) -> None:
    points = _sample(function.breakpoints)
    expected, found = _evaluate(module, points), function(points)
    steepest = max(abs(float(s)) for s in function.slopes)
    allowed = _ALLOWED * (expected.abs() + steepest * points.abs() + float(expected.abs().median()) + steepest)
    wrong = torch.nonzero(~((expected - found).abs() <= allowed)).view(-1)
    if len(wrong):
        at, is_, declared = (float(t[wrong[0]]) for t in (points, expected, found))
        raise NetgeomError(
            f"{cls.__name__} is not the function it was registered as",
            expected=f"{declared:.6g} at {at:.6g}, by breakpoints {function.breakpoints} and slopes {function.slopes}",
            got=f"{is_:.6g}",
            try_this="register_activation with the breakpoints and slopes of the module, all of them; it must be "
            "continuous",
        )


def _sample(breakpoints: tuple[float, ...]) -> Tensor:
    span = max(breakpoints[-1] - breakpoints[0], 1.0)
    inside = [a + share * (b - a) for a, b in itertools.pairwise(breakpoints) for share in _INSIDE]
    left = [breakpoints[0] - far * span for far in _BEYOND]
    return torch.tensor([*left, *inside, *(breakpoints[-1] + far * span for far in _BEYOND)], dtype=torch.float64)
