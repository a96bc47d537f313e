"""What is said of a slice of the loss: its axes, what epsilon accepts, what a constant function reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import literal, number


def axis_names(k: int, names: Sequence[str] | None) -> list[str]:
    """What to call k coordinates: by the names of the basis rows where these have any."""
    given = [""] * k if names is None else list(names)
    if len(given) != k:
        raise NetgeomError("Each row of the basis has a name.", expected=f"{k} names", got=f"{len(given)}")
    return [
        literal(f"c{at}: {name} (basis units)") if name else f"c{at} (units of basis row {at})"
        for at, name in enumerate(given, start=1)
    ]


def kind_of(loss_slice: Any) -> str:
    """Slice, or profile: the least loss over what is not in the plane."""
    return "Profile" if hasattr(loss_slice, "plain_loss") else "Slice"


def profile_words(loss_slice: Any) -> str:
    """What a profile slice shows, and how much of it is only a bound; empty for a plain slice."""
    if not hasattr(loss_slice, "plain_loss"):
        return ""
    open_ = int((~np.asarray(loss_slice.converged, dtype=bool)).sum())
    bound = f"; not settled at {open_:,} points" if open_ else ""
    return f"Least loss found over all parameters beside the plane, an upper bound{bound}."


def epsilon_words(values: Float[np.ndarray, "*shape"], epsilon: float, letter: str, zero: float | None) -> str:
    """How many points of a grid epsilon accepts, and whether it accepts the zero function; a NaN is not accepted."""
    bound = f"{letter} \N{LESS-THAN OR EQUAL TO} {number(epsilon)}"
    known = values[np.isfinite(values)]
    inside = int((known <= epsilon).sum())
    if not inside:
        least = f": the least {letter} is {number(float(known.min()))}" if known.size else ""
        said = f"No grid point has {bound}{least}."
    else:
        said = f"{inside:,} of {values.size:,} points have {bound}."
    return said if zero is None or epsilon < zero else f"{said} This also accepts the function that is zero everywhere!"


def zero_value(loss_slice: Any, letter: str) -> float | None:
    """R, or J, of the function that is zero everywhere, where it is known."""
    zero, variance = getattr(loss_slice, "zero_loss", None), getattr(loss_slice, "variance", None)
    if zero is None or (letter == "R" and variance is None):
        return None
    return float(zero) / float(variance) if letter == "R" and variance is not None else float(zero)


def reference_words(loss_slice: Any, letter: str) -> list[str]:
    """What functions that know nothing of the inputs reach: the yardstick of every epsilon."""
    zero, variance = zero_value(loss_slice, letter), getattr(loss_slice, "variance", None)
    if zero is None or variance is None:
        return []
    constant = "1" if letter == "R" else number(float(variance))
    return [f"Zero function: {letter} = {number(zero)}; best constant: {letter} = {constant}."]
