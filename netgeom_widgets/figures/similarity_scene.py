"""The picture of the similarity widget: the matrix, and beside it a pair, the neighbours of a row, a histogram."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import Column

from netgeom_widgets.figures.plots import wrapping_row
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.similarity_counts import CountsHistogram
from netgeom_widgets.figures.similarity_histogram import SimilarityHistogram
from netgeom_widgets.figures.similarity_levels import Levels, Reduction
from netgeom_widgets.figures.similarity_matrix import MatrixPart
from netgeom_widgets.figures.similarity_neighbours import NeighbourStrips
from netgeom_widgets.figures.similarity_pair import PairPart
from netgeom_widgets.figures.similarity_ranking import Facts, Strip
from netgeom_widgets.figures.sprite_marks import SpriteMarks
from netgeom_widgets.figures.sprites import SpriteSheet

#: Pixels of the left column at most, where the matrix is square, and of either column at least.
_LEFT_WIDTH, _LEAST_WIDTH = 620, 340
#: Neighbours in the strip: in a narrow cell more would be too small to see.
_STRIP = 10
# Beside each other where both columns have room, else one under the other.
_NO_PAIR = "Point at a cell to see its two inputs; tap it, and they stay."
_NO_ROW = "Tap a cell, or choose a row, to see its neighbours."


class SimilarityScene:
    """All parts in one Bokeh root.

    Parameters
    ----------
    n : int
        How many inputs.
    labels : SampleLabels
        Of these.
    sprites : SpriteSheet, optional
        Thumbnails; the browser gets them once.
    texts : sequence of n str, optional
        Words for each input.
    height : int
        Pixels of the matrix.

    Attributes
    ----------
    root : bokeh.models.Row
    matrix, pair, neighbours, histogram
        The parts.
    """

    def __init__(
        self,
        n: int,
        labels: SampleLabels,
        *,
        sprites: SpriteSheet | None = None,
        texts: Sequence[str] | None = None,
        height: int = 560,
    ) -> None:
        self._n, self._labels, self._texts = n, labels, texts
        marks = SpriteMarks(sprites) if sprites is not None else None
        self.matrix = MatrixPart(height)
        self.pair = PairPart(marks)
        self.neighbours = NeighbourStrips(marks)
        self.histogram = SimilarityHistogram(200)
        self._levels: tuple[Any, np.ndarray, Levels] | None = None
        self._kernel = "trace"
        self._has_histogram = False
        sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": _LEAST_WIDTH}
        left = Column(self.matrix.root, max_width=_LEFT_WIDTH, **sizes)
        right = Column(self.pair.root, self.neighbours.root, self.histogram.root, spacing=6, **sizes)
        self.root = wrapping_row(left, right, spacing=8)
        self.neighbours.draw([], title="Nearest inputs", note=_NO_ROW)
        self.pair.clear(_NO_PAIR)

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw_matrix(
        self,
        values: Any,
        *,
        kernel: str,
        order: np.ndarray,
        ordering: str,
        reduce: Reduction = "mean",
        note: str = "",
        final: bool = True,
    ) -> None:
        """Show a square matrix; see `MatrixPart.draw`. ``final`` says that its numbers stay as they are."""
        held = self._levels
        if not final or held is None or held[0] is not values or held[1] is not order:
            held = (values, order, Levels(values, order, order))
        self._levels = held if final else None
        self._kernel = kernel
        self.matrix.draw(
            held[2], kernel=kernel, ordering=ordering, labels=self._labels.labels, reduce=reduce, note=note
        )

    def draw_row(
        self,
        row: int | None,
        values: np.ndarray | None,
        ids: np.ndarray,
        near: np.ndarray,
        *,
        predictions: np.ndarray | None = None,
        threshold: float | None = None,
    ) -> None:
        """Show the neighbours of a row and how its similarities are distributed; None: what to do to see these.

        Parameters
        ----------
        row : int or None
        values : (n,) float or None
            Its similarities.
        ids, near : (k,)
            The most similar others and their similarities, the most similar first.
        predictions : (n,) array, optional
            Predicted classes.
        threshold : float, optional
        """
        if row is None or values is None:
            self.neighbours.draw([], title="Nearest inputs", note=_NO_ROW)
            return
        pairs = list(zip(ids.tolist(), np.asarray(near, dtype=float).tolist(), strict=True))[:_STRIP]
        self._has_histogram = True
        facts = self._facts([row, *(one for one, _ in pairs)], predictions)
        self.neighbours.draw([Strip(row, pairs)], facts, title=f"Inputs most like input {row}")
        self.histogram.draw(
            values,
            title=f"Similarity of input {row} to all inputs",
            kernel=self._kernel,
            threshold=threshold,
            after="itself included",
        )

    def draw_all_pairs(self, counts: np.ndarray, edges: np.ndarray, *, threshold: float | None = None) -> None:
        """Show how all similarities are distributed, for when no row is picked."""
        self._has_histogram = True
        self.histogram.draw_counts(
            edges,
            counts,
            title="Similarity of all inputs to all",
            noun="entries of the matrix",
            threshold=threshold,
            after="each pair twice, and each input with itself",
        )

    def draw_pair(
        self,
        pair: tuple[int, int] | None,
        k: float | None,
        *,
        shares: Mapping[str, float] | str | None = None,
        predictions: np.ndarray | None = None,
        most_alike: bool = False,
    ) -> None:
        """Show two inputs with their similarity, and its shares by parameter where known, or why there are none.

        ``most_alike`` says that the second is the input most like the first.
        """
        if pair is None or k is None:
            self.pair.clear(_NO_PAIR)
            return
        note = shares if isinstance(shares, str) else ""
        if most_alike:
            note = f"Of all inputs, input {pair[1]} is most like input {pair[0]}. {note}"
        parts = None if isinstance(shares, str) else shares
        self.pair.draw(pair, k, self._facts(pair, predictions), shares=parts, note=note)

    def mark(self, row: int | None, pair: tuple[int, int] | None, selection: Iterable[int]) -> None:
        """Mark what is picked in the matrix."""
        self.matrix.mark_row(row)
        self.matrix.mark_pair(pair)
        picked = list(selection)
        self.matrix.mark_selection(picked, picked)

    def move_threshold(self, threshold: float) -> None:
        """Move the line in the histogram, where one is drawn."""
        if self._has_histogram:
            self.histogram.set_threshold(threshold)

    # -- what the user does ---------------------------------------------------------------------------------------

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of an input that the user taps in the strip."""
        self.neighbours.on_sample(act)

    def on_threshold(self, act: Callable[[float], None]) -> None:
        """Call with the threshold when the user moves its line."""
        self.histogram.on_threshold(act)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _facts(self, ids: Iterable[int], predictions: np.ndarray | None) -> Facts:
        return Facts.of(ids, self._labels.labels, predictions, self._texts)


class CountsScene:
    """Histograms of the hard, soft and less-soft neighbour counts beside each other; ``root`` is a Bokeh row.

    Parameters
    ----------
    sprites : SpriteSheet, optional
        Thumbnails, of the inputs nearest to the ends of the bins.
    """

    def __init__(self, sprites: SpriteSheet | None = None) -> None:
        marks = SpriteMarks(sprites) if sprites is not None else None
        self._parts = [CountsHistogram(marks) for _ in range(3)]
        self._counts: list[np.ndarray] = []
        sizes: dict[str, Any] = {"sizing_mode": "stretch_width", "min_width": 280}
        columns = [Column(part.root, **sizes) for part in self._parts]
        self.root = wrapping_row(*columns)

    def draw(self, counts: Mapping[str, np.ndarray], note: str) -> None:
        """Show three counts by name, (n,) each, self included."""
        self._counts = list(counts.values())
        for part, (name, values) in zip(self._parts, counts.items(), strict=True):
            part.draw(values, name=name, note=note)

    def mark(self, row: int | None) -> None:
        """Mark the counts of one input."""
        for part, values in zip(self._parts, self._counts, strict=False):
            part.mark(None if row is None else float(values[row]))

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of an input whose thumbnail the user taps."""
        for part in self._parts:
            part.on_sample(act)

    def on_inputs(self, act: Callable[[list[int]], None]) -> None:
        """Call with the ids of the inputs whose counts lie in a box that the user draws."""
        for at, part in enumerate(self._parts):
            part.on_interval(lambda low, high, at=at: act(self._within(at, low, high)))

    def _within(self, at: int, low: float, high: float) -> list[int]:
        values = self._counts[at]
        return np.flatnonzero((values >= low) & (values <= high)).tolist()
