"""Which steps are recorded."""

from __future__ import annotations

import operator
from collections.abc import Callable

from netgeom_widgets.errors import NetgeomError

Schedule = Callable[[int], bool]


def _is_power_of_two(step: int) -> bool:
    return step > 0 and step & (step - 1) == 0


def num_snapshots(num_epochs: int, num_snapshots: int) -> Schedule:
    """The schedule of ReprDynamics, for ``Recorder(..., every=num_snapshots(100, 30))``.

    A snapshot each ``num_epochs // num_snapshots`` epochs, counted from epoch 0. Because of the rounding that makes
    ceil(num_epochs / step size) of them, which may be more than asked for: 34 for (100, 30), 4 for (10, 3).

    Parameters
    ----------
    num_epochs : int
        How long training takes.
    num_snapshots : int
        How many snapshots to make about; at most `num_epochs`.

    Returns
    -------
    callable
        step -> bool.

    Raises
    ------
    NetgeomError
        More snapshots than epochs, or fewer than one.
    """
    num_epochs, num_snapshots = operator.index(num_epochs), operator.index(num_snapshots)
    if not 1 <= num_snapshots <= num_epochs:
        raise NetgeomError(
            "num_snapshots does not fit num_epochs",
            expected="1 <= num_snapshots <= num_epochs",
            got=f"num_epochs={num_epochs}, num_snapshots={num_snapshots}",
        )
    step_size = num_epochs // num_snapshots
    return lambda step: step % step_size == 0


def as_schedule(every: int | str | Schedule) -> Schedule:
    """Turn the keyword ``every`` of a Recorder into step -> bool."""
    if every == "logarithmic":
        return _is_power_of_two
    if callable(every):
        return every
    try:
        n = 0 if isinstance(every, bool | str) else operator.index(every)
    except TypeError:
        n = 0
    if n < 1:
        raise NetgeomError(
            "every is not understood",
            expected='a whole number of steps, "logarithmic", recording.num_snapshots(...) or a function of the step',
            got=repr(every),
        )
    return lambda step: step % n == 0


def as_step(step: object) -> int:
    """A step number: a whole number from 0 on."""
    try:
        number = -1 if isinstance(step, bool) else operator.index(step)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if not 0 <= number < 1 << 63:
        raise NetgeomError(
            "A step is counted in whole numbers from 0 on",
            expected="the number of the epoch or of the optimiser step",
            got=repr(step),
        )
    return number
