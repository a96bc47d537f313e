"""The frame of one plot: its matplotlib axes, coordinate systems and drawing order."""

from __future__ import annotations

from itertools import count
from typing import Any

from matplotlib.axes import Axes
from matplotlib.transforms import Transform

from netgeom_widgets.figures.static.coordinates import Scale


class Coordinates:
    """One pair of scales on a frame, and where artists of it go.

    Parameters
    ----------
    axes : matplotlib Axes, or None while only bounds are asked for
    x, y : Scale
    transform : data to display of this pair
    size : width and height of the frame in pixels
    order : counter of the frame's drawing order
    """

    def __init__(
        self,
        axes: Axes | None,
        x: Scale,
        y: Scale,
        transform: Transform | None = None,
        size: tuple[float, float] = (1.0, 1.0),
        order: count[int] | None = None,
    ) -> None:
        self.axes: Any = axes
        self.x, self.y, self.transform, self.size = x, y, transform, size
        self._order = order or count()

    def next_order(self) -> int:
        """A z-order above everything drawn so far."""
        return next(self._order)

    def pixels_per_unit(self) -> tuple[float, float]:
        """Pixels of a data unit in x and y (of a decade's natural logarithm on a log scale, where none is constant)."""
        return (
            abs(self.size[0] / (self.x.end - self.x.start)),
            abs(self.size[1] / (self.y.end - self.y.start)),
        )

    def add(self, artist: Any, transform: Transform | None = None) -> None:
        """Put a collection on the frame, clipped to it; its paths are in data unless a transform is given."""
        artist.set_transform(self.transform if transform is None else transform)
        artist.set_zorder(self.next_order())
        self.axes.add_collection(artist, autolim=False)


def apply_scale(axes: Axes, x: Scale, y: Scale) -> None:
    """Give matplotlib axes the limits and kinds of two scales."""
    for scale, which in ((x, "x"), (y, "y")):
        if scale.log:
            getattr(axes, f"set_{which}scale")("log", nonpositive="mask")
        getattr(axes, f"set_{which}lim")(scale.start, scale.end)
