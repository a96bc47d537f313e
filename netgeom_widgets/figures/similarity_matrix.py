"""The picture of a similarity matrix: any size, in any order, with class bands, marks and what the colours mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from bokeh.events import SelectionGeometry
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    HoverTool,
    LinearColorMapper,
    Range1d,
)
from jaxtyping import Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import add_caption, add_colour_bar, fit_range, literal, make_plot, say
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.similarity_axes import MatrixAxes
from netgeom_widgets.figures.similarity_bands import Bands, margin
from netgeom_widgets.figures.similarity_levels import Levels, Reduction, View
from netgeom_widgets.figures.similarity_marks import MatrixMarks
from netgeom_widgets.figures.similarity_words import colours_for, words_of
from netgeom_widgets.figures.taps import on_tap

_WIDTH = 560  # pixels at most: a square matrix stays about square
#: More classes than this do not get a border each.
_BORDERS = 40
_ENDS = ("x", "y", "dw", "dh")


class MatrixPart:
    """A similarity matrix; ``root`` is its plot.

    Row r of the picture fills the vertical interval r..r + 1 from the top, column c the horizontal one c..c + 1. Only
    what is in view is in the document, in no more numbers than there are pixels: call `zoom` when the ranges change.

    Parameters
    ----------
    height : int
        Pixels.

    Attributes
    ----------
    levels : Levels or None
        What is shown, in its order.
    view : View or None
        The part that the image holds.
    """

    def __init__(self, height: int = 560, **options: Any) -> None:
        self.levels: Levels | None = None
        self.view: View | None = None
        self._x, self._y = (Range1d(*ends, reset_start=ends[0], reset_end=ends[1]) for ends in ((0, 1), (1, 0)))
        options = {"max_width": _WIDTH, "tools": ("pan", "wheel_zoom", "box_zoom", "reset")} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.grid.visible = False
        self._reduce: Reduction = "mean"
        self._notes: tuple[str, ...] = ()
        self._axes = MatrixAxes(self.root)
        self._add_image()
        self._marks, self._bands = MatrixMarks(self.root), Bands(self.root)
        self._caption = add_caption(self.root)
        self._on_box: list[Callable[[list[int], list[int]], None]] = []
        self.root.on_event(SelectionGeometry, self._boxed)

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(
        self,
        values: Any,
        *,
        kernel: str = "trace",
        order: Int[np.ndarray, " h"] | None = None,
        order_others: Int[np.ndarray, " w"] | None = None,
        ordering: str = "as given",
        labels: Any = None,
        labels_others: Any = None,
        ids: Any = None,
        ids_others: Any = None,
        others: bool = False,
        title: str = "Similarity of inputs for the network",
        limits: tuple[float, float] | None = None,
        reduce: Reduction = "mean",
        note: str = "",
    ) -> None:
        """Show a matrix; the part in view stays where the size is the same.

        Parameters
        ----------
        values : (n, m) array, `Levels` or tile store
            NaN, as of rows not computed yet, is drawn grey. `Levels` bring their own order.
        kernel : str
            As `similarity_matrix` names it, or "difference" (of two matrices).
        order, order_others : int arrays, optional
            Rows from the top, columns from the left.
        ordering : str
            How the order came about, for the axes: "seriated", "by class", "as given".
        labels, ids : array_like, optional
            Labels and sample ids of the rows: bands in the colours of the classes, names where the order keeps classes
            together. Ids are 0, 1, ... by default.
        labels_others, ids_others : array_like, optional
            The same of the columns.
        others : bool
            Whether the columns are other inputs than the rows. If not, order, labels and ids of the rows hold for both.
        title : str
        limits : (float, float), optional
            Values at the ends of the colours; see `colours_for`.
        reduce : {"mean", "max"}
            What a pixel of several pairs shows.
        note : str
            Said below.

        Raises
        ------
        NetgeomError
            For an unknown kernel, and where order, labels or ids do not belong to the matrix.
        """
        if not others:
            order_others, labels_others, ids_others = order, labels, ids
        levels = values if isinstance(values, Levels) else Levels(values, order, order_others)
        if not others and levels.sizes[0] != levels.sizes[1]:
            raise NetgeomError(
                "The matrix is not square.", expected="(n, n) values, or others=True", got=f"shape {levels.sizes}"
            )
        self.levels, self._reduce = levels, reduce
        known = [_labelled(labels, levels.sizes[0]), _labelled(labels_others, levels.sizes[1])]
        runs = self._axes.set(levels, known, [ids, ids_others], ordering, others=others)
        self._bands.set(known)
        self._fit()
        scale_note = self._colour(kernel, limits)
        self.root.title.text = literal(title)
        self._marks.pair(None)
        self._marks.row(None, 0)
        down, right = ([run.last for run in one[:-1]] if len(one) <= _BORDERS else [] for one in runs)
        self._marks.borders(down, right, levels.shape)
        self._notes = (scale_note, words_of(kernel).definition, self._axes.show_classes(known), note)
        self.zoom()

    def zoom(self, x_range: tuple[float, float] | None = None, y_range: tuple[float, float] | None = None) -> None:
        """Send the numbers for a part: two intervals in cells, by default what the axes show.

        About 0.02 s for 5,000 x 5,000, once its first wide view is made; see `Levels`.
        """
        if self.levels is None:
            return
        x_range = x_range or (self._x.start, self._x.end)
        y_range = y_range or (self._y.start, self._y.end)
        self.view = view = self.levels.view(x_range, y_range, reduce=self._reduce)
        height, width = (float(size * view.factor) for size in view.image.shape)
        ends = zip(_ENDS, (float(view.column), float(view.row), width, height), strict=True)
        there = bool(view.image.size)
        self._image.data = {"image": [view.image][:there], **{name: [at][:there] for name, at in ends}}
        self._bands.draw(self.levels, view)
        block = f" of {view.factor}" if view.factor > 1 else ""
        kind = f"{view.how} of {view.factor} × {view.factor} k" if block and view.how != "one" else "k"
        tips = [(f"row: input{block}", "$y{row}"), (f"column: input{block}", "$x{column}"), (kind, "@image{%.4g}")]
        if self._hover.tooltips != tips:
            self._hover.tooltips = tips
        missing = "Grey: no value." if np.isnan(view.image).any() else ""
        say(self._caption, view.words, missing, *self._notes)

    def clear(self, why: str) -> None:
        """Show no matrix, but why there is none."""
        self.levels = self.view = None
        self._image.data = {name: [] for name in self._image.data}
        self._bands.clear()
        self._marks.borders([], [], (0, 0))
        self._marks.pair(None)
        self._marks.row(None, 0)
        self._axes.show_classes([SampleLabels(None, 0)] * 2)
        self._bar.visible = False
        say(self._caption, why)

    # -- marks ----------------------------------------------------------------------------------------------------

    def mark_row(self, sample: int | None) -> None:
        """Outline the row of a sample, by its number in the matrix as given; None outlines none."""
        place = None if sample is None else self._place(0, sample)
        self._marks.row(place, self.levels.shape[1] if self.levels is not None else 0)

    def mark_pair(self, pair: tuple[int, int] | None) -> None:
        """Mark a pair of samples (row, column), by their numbers in the matrix as given; None marks none."""
        row, column = (None, None) if pair is None else (self._place(0, pair[0]), self._place(1, pair[1]))
        self._marks.pair(None if row is None or column is None else (row, column))

    def mark_selection(self, rows: Iterable[int], columns: Iterable[int] = ()) -> None:
        """Mark samples in the bands, by their numbers in the matrix as given: beside rows, above columns."""
        if self.levels is None:
            return
        self._bands.pick(rows, columns)
        if self.view is not None:
            self._bands.draw(self.levels, self.view)

    def on_cell(self, act: Callable[[int, int], None]) -> None:
        """Call with the numbers of row and column, in the matrix as given, of a cell that the user taps."""
        on_tap(self.root, lambda event: self.at(event.x, event.y), lambda cell: act(*cell))

    def on_box(self, act: Callable[[list[int], list[int]], None]) -> None:
        """Call with the numbers of the rows and of the columns that the user draws a box around."""
        self._on_box.append(act)

    def at(self, x: float | None, y: float | None) -> tuple[int, int] | None:
        """Numbers of row and column, in the matrix as given, at a point of the plot; None outside of it."""
        if x is None or y is None or self.levels is None:
            return None
        row, column = math.floor(y), math.floor(x)
        if not (0 <= row < self.levels.shape[0] and 0 <= column < self.levels.shape[1]):
            return None
        return int(self.levels.rows[row]), int(self.levels.columns[column])

    # -- parts ----------------------------------------------------------------------------------------------------

    def _add_image(self) -> None:
        self._mapper = LinearColorMapper(palette=list(palettes.VIRIDIS), low=0, high=1, nan_color=palettes.MISSING)
        self._image = ColumnDataSource({name: [] for name in ("image", *_ENDS)})
        image = self.root.image("image", *_ENDS, source=self._image, color_mapper=self._mapper)
        formatters: dict[str, Any] = {**self._axes.formatters(), "@image": "printf"}
        self._hover = HoverTool(renderers=[image], tooltips=None, formatters=formatters)
        self.root.add_tools(self._hover, BoxSelectTool(renderers=[], persistent=False, continuous=False))
        self._bar = add_colour_bar(self.root, self._mapper)

    def _fit(self) -> None:
        """Home: the matrix, with room for the bands above and on the left."""
        rows, columns = self.levels.shape if self.levels is not None else (0, 0)
        fit_range(self._x, -margin(columns), float(columns or 1))
        fit_range(self._y, -margin(rows), float(rows or 1), flipped=True)

    def _colour(self, kernel: str, limits: tuple[float, float] | None) -> str:
        scale = colours_for(kernel, self.levels, limits)
        self._mapper.update(palette=list(scale.palette), low=scale.low, high=scale.high)
        self._bar.update(title=words_of(kernel).short, visible=True)
        return scale.note

    def _place(self, axis: int, sample: int) -> int | None:
        if self.levels is None:
            return None
        found = np.flatnonzero((self.levels.rows, self.levels.columns)[axis] == sample)
        return int(found[0]) if len(found) else None

    def _boxed(self, event: SelectionGeometry) -> None:
        box = event.geometry
        if self.levels is None or not event.final or box.get("type") != "rect":
            return
        found = []
        for order, ends in zip((self.levels.rows, self.levels.columns), (("y0", "y1"), ("x0", "x1")), strict=True):
            low, high = sorted(float(box[end]) for end in ends)
            found.append(order[max(0, math.floor(low)) : max(0, math.ceil(high))].tolist())
        if all(found):
            for act in self._on_box:
                act(*found)


def _labelled(labels: Any, n: int) -> SampleLabels:
    if labels is not None and len(labels) != n:
        raise NetgeomError("The labels do not belong to the matrix.", expected=f"{n} labels", got=f"{len(labels)}")
    return SampleLabels(labels, n)
