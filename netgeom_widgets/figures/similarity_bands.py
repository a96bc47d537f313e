"""Bands along the edges of a matrix: the class of each row and column in its colour, and which are selected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS, Range1d
from bokeh.plotting import figure
from jaxtyping import Bool, Int

from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.sample_labels import SampleLabels, class_colour
from netgeom_widgets.figures.similarity_levels import Levels, View
from netgeom_widgets.figures.theme import PICKED

SHARE = 0.035
"""Part of the frame that a band takes; the home view leaves so much free."""

# The bands stay at the edge of the frame when the user moves the matrix below them.
_PLACE = """
const across = y.start - y.end, along = x.end - x.start
const fill = (column, value) => Array.from(column, () => value)
const top = {y: fill(above.data.y, y.end), dh: fill(above.data.y, share * across)}
const left = {x: fill(beside.data.x, x.start), dw: fill(beside.data.x, share * along)}
above.setv({data: {...above.data, ...top}}, {sync: false})
beside.setv({data: {...beside.data, ...left}}, {sync: false})
"""
_NAMES = ("image", "x", "y", "dw", "dh")


def margin(cells: int) -> float:
    """Cells left free at an edge of the home view of a matrix with so many."""
    return cells * SHARE / (1 - SHARE)


class Bands:
    """Both bands of one plot whose vertical axis points down.

    Parameters
    ----------
    plot : bokeh.plotting.figure
        With `Range1d` ranges.
    """

    def __init__(self, plot: figure) -> None:
        self._x: Range1d = plot.x_range
        self._y: Range1d = plot.y_range
        self._above, self._beside = (ColumnDataSource({name: [] for name in _NAMES}) for _ in range(2))
        self._labels: list[SampleLabels] = []
        self._picked: list[np.ndarray] = [np.zeros(0, dtype=bool)] * 2
        for source in (self._above, self._beside):
            plot.image_rgba("image", "x", "y", "dw", "dh", source=source)
        place = CustomJS(
            args={"x": self._x, "y": self._y, "above": self._above, "beside": self._beside, "share": SHARE}, code=_PLACE
        )
        for ends in (self._x, self._y):
            ends.js_on_change("start", place)
            ends.js_on_change("end", place)

    def set(self, labels: Sequence[SampleLabels]) -> None:
        """Labels of rows and of columns, in the matrix as given; what is picked stays if there are as many."""
        self._labels = list(labels)
        sizes = [one.n for one in labels]
        if [len(one) for one in self._picked] != sizes:
            self._picked = [np.zeros(size, dtype=bool) for size in sizes]

    def pick(self, rows: Iterable[int], columns: Iterable[int]) -> None:
        """Which rows and columns are selected, by their numbers in the matrix as given."""
        self._picked = [_mask(one, labels.n) for one, labels in zip((rows, columns), self._labels, strict=True)]

    def draw(self, levels: Levels, view: View) -> None:
        """Show the bands of a view."""
        rows, columns = (
            band_pixels(labels, order, view.factor, picked)
            for labels, order, picked in zip(self._labels, (levels.rows, levels.columns), self._picked, strict=True)
        )
        height, width = (size * view.factor for size in view.image.shape)
        self._above.data = self._placed(columns, view.column, width, view.factor, upright=False)
        self._beside.data = self._placed(rows, view.row, height, view.factor, upright=True)

    def clear(self) -> None:
        """Show no band."""
        for source in (self._above, self._beside):
            source.data = {name: [] for name in _NAMES}

    def _placed(
        self, pixels: np.ndarray | None, first: int, size: int, factor: int, *, upright: bool
    ) -> dict[str, Any]:
        if pixels is None or not size:
            return {name: [] for name in _NAMES}
        strip = pixels[:, first // factor : (first + size) // factor]
        x, y = self._x, self._y
        if upright:
            image, at = np.ascontiguousarray(strip.T), (x.start, first, SHARE * (x.end - x.start), size)
        else:
            image, at = np.ascontiguousarray(strip), (first, y.end, size, SHARE * (y.start - y.end))
        return {"image": [image]} | {name: [float(one)] for name, one in zip(_NAMES[1:], at, strict=True)}


def band_pixels(
    labels: SampleLabels, order: Int[np.ndarray, " n"], factor: int, picked: Bool[np.ndarray, " n"] | None
) -> np.ndarray | None:
    """A band's pixels: two thirds the colour of the (most frequent) label, one third whether anything is selected.

    Returns
    -------
    (3, k) uint32 or None
        RGBA, for runs of `factor` places in the order; None without labels and selection.
    """
    selected = None if picked is None or not picked.any() else np.asarray(picked, dtype=bool)[order]
    if (labels.labels is None and selected is None) or not len(order):
        return None
    k = -(-len(order) // factor)
    pixels = np.zeros((3, k, 4), dtype=np.uint8)
    if labels.scale is not None:
        pixels[:2] = palettes.to_rgba(labels.colours)[order[::factor]]
    elif labels.labels is not None:
        kinds = reduced_kinds(labels.kinds[order], factor)
        known, codes = np.unique(kinds, return_inverse=True)
        pixels[:2] = palettes.to_rgba([class_colour(kind) for kind in known.tolist()])[codes]
    if selected is not None:
        any_in = np.logical_or.reduceat(selected, np.arange(0, len(order), factor))
        pixels[2, any_in] = palettes.to_rgba([PICKED])[0]
    return pixels.view(np.uint32)[..., 0]


def reduced_kinds(kinds: Int[np.ndarray, " n"], factor: int) -> Int[np.ndarray, " k"]:
    """The most frequent number in each run of `factor` places; of equally frequent ones the least."""
    if factor == 1 or not len(kinds):
        return kinds
    known, codes = np.unique(kinds, return_inverse=True)
    blocks = np.arange(len(kinds)) // factor
    counts = np.zeros((blocks[-1] + 1, len(known)), dtype=np.int32)
    np.add.at(counts, (blocks, codes), 1)
    return known[counts.argmax(axis=1)]


def _mask(numbers: Iterable[int], n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    known = np.fromiter(numbers, dtype=np.int64)
    mask[known[(known >= 0) & (known < n)]] = True
    return mask
