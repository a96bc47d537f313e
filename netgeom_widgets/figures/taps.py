"""What lies under a tap on a plot, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from bokeh.core.property.descriptors import UnsetValueError
from bokeh.events import DoubleTap, Tap
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

_Found = TypeVar("_Found")

#: A tap within this many pixels of a mark means it.
_REACH = 14.0
#: Pixels of a frame that no browser has drawn yet.
_NARROW = (400.0, 190.0)


def on_tap(
    plot: figure, find: Callable[[Tap], _Found | None], act: Callable[[_Found], None], *, double: bool = False
) -> None:
    """Call ``act`` with what ``find`` says lies under a tap of the user, or a double one, where there is something."""

    def tapped(event: Any) -> None:
        found = find(event)
        if found is not None:
            act(found)

    plot.on_event(DoubleTap if double else Tap, tapped)


def nearest_id(plot: figure, source: ColumnDataSource, event: Tap) -> int | None:
    """The ``id`` of the mark (``x``, ``y``) in a source that is nearest to a tap, or None if all are too far."""
    x, y = (np.asarray(source.data[name], dtype=float) for name in ("x", "y"))
    if event.x is None or event.y is None or not len(x):
        return None
    across, down = pixels_per_unit(plot)
    far = np.hypot((x - event.x) * across, (y - event.y) * down)
    far = np.where(np.isfinite(far), far, np.inf)
    row = len(far) - 1 - int(np.argmin(far[::-1]))  # of equally near ones the last, which is drawn on top
    return int(source.data["id"][row]) if far[row] <= _REACH else None


def pixels_per_unit(plot: figure) -> tuple[float, float]:
    """Pixels of a unit across and up, as the browser said last how large the frame is."""
    try:
        drawn = (plot.inner_width, plot.inner_height)
    except UnsetValueError:
        drawn = (0, 0)
    sizes = drawn if min(drawn) > 1 else _NARROW
    across, up = (size / abs(r.end - r.start) for size, r in zip(sizes, (plot.x_range, plot.y_range), strict=True))
    return (min(across, up),) * 2 if plot.match_aspect else (across, up)
