"""Two slices beside each other in one colour scale: members against non-members, plain against profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netgeom_widgets.figures.equivalence_scale import log_loss, scale_limits, slice_values
from netgeom_widgets.figures.equivalence_slice import LossSlicePicture
from netgeom_widgets.figures.plots import wrapping_row

#: Pixels that a picture needs across; where two have no room they stand one under the other.
_LEAST = 300


class ComparisonPicture:
    """Two slices of two axes each, whose colours mean the same; ``root`` is the Bokeh model.

    Parameters
    ----------
    height : int
        Of each, in pixels.

    Attributes
    ----------
    pictures : (LossSlicePicture, LossSlicePicture)
    """

    def __init__(self, height: int = 300) -> None:
        self.pictures = tuple(LossSlicePicture(height, min_width=_LEAST) for _ in range(2))
        self.root = wrapping_row(*(picture.root for picture in self.pictures))

    def show(
        self,
        this: Any,
        other: Any,
        *,
        titles: Sequence[str] = ("this slice", "the other one"),
        names: Sequence[Sequence[str] | None] = (None, None),
        epsilon: float | None = None,
    ) -> None:
        """Show two slices, both LossSlice.

        Parameters
        ----------
        titles : (str, str)
        names : two sequences of str, optional
            What each row of either basis is.
        epsilon : float, optional
            Its contour is drawn strong in both; by default the one set before.
        """
        slices = (this, other)
        limits = scale_limits(np.concatenate([log_loss(slice_values(one)[0]).ravel() for one in slices]))
        for picture, one, title, rows in zip(self.pictures, slices, titles, names, strict=True):
            picture.show(one, names=rows, epsilon=epsilon, limits=limits, title=title)

    def set_epsilon(self, epsilon: float | None) -> None:
        """Move both strong contours; nothing is evaluated."""
        for picture in self.pictures:
            picture.set_epsilon(epsilon)


def equivalence_comparison(this: Any, other: Any, *, height: int = 300, **options: Any) -> Any:
    """Two slices beside each other as a picture by itself; see `ComparisonPicture.show`.

    Examples
    --------
    >>> equivalence_comparison(through_members, through_others, titles=("members", "non-members"))  # doctest: +SKIP
    """
    part = ComparisonPicture(height)
    part.show(this, other, **options)
    return part.root
