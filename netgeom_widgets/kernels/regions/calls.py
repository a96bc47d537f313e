"""Arguments of traced calls."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from netgeom_widgets.errors import UnsupportedModuleError


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str, default: Any) -> Any:
    """The argument at a position or by its name."""
    return kwargs.get(name, args[index] if len(args) > index else default)


def number(value: Any, default: float) -> float:
    """A number or a tensor of one entry as a float, None as the default."""
    if value is None:
        return default
    if isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1):
        return float(value)
    raise UnsupportedModuleError(
        "An argument of an activation is not a fixed number", expected="a number", got=type(value).__name__
    )
