"""How the similarities of one input to all, or of all pairs, are distributed, and how many lie beyond a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LayoutDOM, Span
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import literal, number
from netgeom_widgets.figures.similarity_words import words_of
from netgeom_widgets.figures.stairs import StairsPlot
from netgeom_widgets.figures.theme import PICKED

BINS = 100
"""Bins of a histogram of similarities, by default."""

#: A normalised similarity may pass 1 by so much of rounding; it counts in the last bin.
_ROUNDING = 1e-4
_BEYOND = "#E69F00"


class SimilarityHistogram:
    """A histogram of similarities with a threshold that can be moved; ``root`` is its plot.

    Parameters
    ----------
    height : int
        In pixels.

    Attributes
    ----------
    threshold : float or None
    """

    def __init__(self, height: int = 220) -> None:
        self.threshold: float | None = None
        self._edges, self._counts = np.empty(0), np.empty(0)
        self._values: np.ndarray | None = None
        self._noun, self._after = "inputs", ""
        self._notes: list[str] = []
        self._callbacks: list[Callable[[float], None]] = []
        self._plot = StairsPlot(height, what="k", letters=64)
        self.root = self._plot.root
        self.root.update(max_width=620)
        self._beyond = ColumnDataSource({"left": [], "right": [], "top": []})
        self.root.quad("left", "right", "top", 0, source=self._beyond, fill_color=_BEYOND, line_color=_BEYOND)
        self._line = Span(
            location=0, dimension="height", line_color=PICKED, line_width=3, line_dash=[6, 3], visible=False,
            editable=True,
        )  # fmt: skip
        self.root.add_layout(self._line)
        self._line.on_change("location", self._moved)

    def draw(
        self,
        values: Float[np.ndarray, " n"],
        *,
        title: str,
        kernel: str = "trace",
        noun: str = "inputs",
        bins: int = BINS,
        threshold: float | None = None,
        after: str = "",
        note: str = "",
    ) -> None:
        """Show how values are distributed.

        Parameters
        ----------
        values : (n,) float
            NaN is left out, and counted in words.
        title : str
        kernel : str
            As `similarity_matrix` names it: normalised similarities get bins over 0..1, or -1..1 if any is negative.
        noun : str
            What has a value: "inputs", "pairs".
        bins : int
        threshold : float, optional
            Drawn as a line; bins beyond are orange, and those with a larger value counted.
        after : str
            Said after the count, such as "itself included".
        note : str
            Said below.
        """
        column = np.asarray(values, dtype=float).ravel()
        finite = column[np.isfinite(column)]
        edges = similarity_edges(finite, kernel, bins)
        counts = np.histogram(np.clip(finite, edges[0], edges[-1]), edges)[0]
        missing = f"{len(column) - len(finite):,} without a value." if len(finite) < len(column) else ""
        self._values = finite
        self._show(edges, counts, title, noun, threshold, after, [missing, note])

    def draw_counts(
        self,
        edges: Float[np.ndarray, " B+1"],
        counts: Int[np.ndarray, " B"],
        *,
        title: str,
        noun: str = "inputs",
        threshold: float | None = None,
        after: str = "",
        note: str = "",
    ) -> None:
        """Show counts of bins, where the values are too many to be at hand; see `draw`.

        The threshold then means the edge nearest to it, as in `SimilarityTiles.hard_counts`, and the caption says so.
        """
        self._values = None
        self._show(np.asarray(edges, dtype=float), np.asarray(counts), title, noun, threshold, after, [note])

    def set_threshold(self, threshold: float | None) -> None:
        """Move the line; None takes it away."""
        if threshold is not None and not math.isfinite(threshold):
            raise NetgeomError("A threshold must be finite.", got=f"{threshold}")
        self.threshold = threshold
        self._line.visible = threshold is not None and bool(len(self._edges))
        if threshold is not None and self._line.location != threshold:
            self._line.location = threshold
        first = len(self._edges) if threshold is None else self._first_beyond(threshold)
        left, right = self._edges[first:-1], self._edges[first + 1 :]
        self._beyond.data = {"left": left, "right": right, "top": self._counts[first:].astype(float)}
        self._plot.write([self._count_words(), *self._notes])

    def on_threshold(self, act: Callable[[float], None]) -> None:
        """Call with the threshold when the user moves the line."""
        self._callbacks.append(act)

    def _show(
        self, edges: np.ndarray, counts: np.ndarray, title: str, noun: str, threshold: float | None, after: str,
        notes: list[str],
    ) -> None:  # fmt: skip
        self._edges, self._counts, self._noun, self._after = edges, counts, noun, after
        self._notes = [line for line in notes if line]
        heights = {"k": counts.astype(float)}
        self._plot.draw(edges, heights, title=title, labels=("similarity k", noun), noun=noun, caption=[])
        self.set_threshold(threshold)

    def _count_words(self) -> str:
        total = f"{int(self._counts.sum()):,} {self._noun}"
        if self.threshold is None:
            return f"{total}."
        if self._values is not None:
            beyond, at = int((self._values > self.threshold).sum()), self.threshold
            exact = ""
        else:
            first = self._first_beyond(self.threshold)
            beyond, at = int(self._counts[first:].sum()), float(self._edges[first])
            exact = ", by whole bins"
        after = f" ({literal(self._after)})" if self._after else ""
        return f"k > {number(at)}: {beyond:,} of {total}{exact}{after}."

    def _first_beyond(self, threshold: float) -> int:
        """The first bin that is beyond as a whole; of counts alone, that which begins at the nearest edge."""
        if self._values is None:
            return int(np.abs(self._edges - threshold).argmin())
        rounding = 1e-9 * (self._edges[-1] - self._edges[0])
        return int(np.searchsorted(self._edges, threshold - rounding))

    def _moved(self, attr: str, old: Any, new: Any) -> None:
        if new is None or new == self.threshold:
            return
        self.set_threshold(float(new))
        for act in self._callbacks:
            act(float(new))


def similarity_edges(values: Float[np.ndarray, " n"], kernel: str = "trace", bins: int = BINS) -> np.ndarray:
    """Ends of bins for similarities of a kernel: over 0..1, or -1..1, or over the values of one without such ends."""
    if not len(values):
        return np.linspace(0, 1, bins + 1)
    low, high = float(values.min()), float(values.max())
    if words_of(kernel).bounded and low >= -1 - _ROUNDING and high <= 1 + _ROUNDING:
        return np.linspace(-1 if low < -_ROUNDING else 0, 1, bins + 1)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def row_histogram(
    values: Float[np.ndarray, "n m"],
    sample: int,
    *,
    kernel: str = "trace",
    threshold: float | None = None,
    bins: int = BINS,
    height: int = 220,
) -> LayoutDOM:
    """Similarities of one input to all, for scripts and notebooks.

    Parameters
    ----------
    values : (n, m) float
        ``similarity_matrix(model, inputs).values``.
    sample : int
        Row of the input.
    kernel, threshold, bins
        As for `SimilarityHistogram.draw`.
    height : int
        In pixels.

    Returns
    -------
    bokeh.models.Plot

    Examples
    --------
    >>> row_histogram(similarity.values, 12, threshold=0.9)  # doctest: +SKIP
    """
    values = np.asarray(values)
    if values.ndim != 2 or not 0 <= sample < len(values):
        raise NetgeomError(
            "There is no such row.", expected=f"0 to {len(values) - 1} of a matrix",
            got=f"{sample} of shape {values.shape}",
        )  # fmt: skip
    square = values.shape[0] == values.shape[1]
    part = SimilarityHistogram(height)
    part.draw(
        values[sample], title=f"Similarity of input {sample} to all inputs", kernel=kernel, threshold=threshold,
        bins=bins, after="itself included" if square else "",
    )  # fmt: skip
    return part.root


def pair_values(values: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " pairs"]:
    """The entries above the diagonal: each pair of two inputs once."""
    values = np.asarray(values)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise NetgeomError("Pairs need a square matrix.", expected="(n, n) values", got=f"shape {values.shape}")
    return np.concatenate([values[row, row + 1 :] for row in range(len(values))] or [np.empty(0)])


def pair_histogram(
    values: Float[np.ndarray, "n n"],
    *,
    kernel: str = "trace",
    threshold: float | None = None,
    bins: int = BINS,
    height: int = 220,
) -> LayoutDOM:
    """Similarities of all pairs of two inputs, each once; see `row_histogram`.

    Examples
    --------
    >>> pair_histogram(similarity.values)  # doctest: +SKIP
    """
    part = SimilarityHistogram(height)
    part.draw(
        pair_values(values), title="Similarity of all pairs of two inputs", kernel=kernel, threshold=threshold,
        bins=bins, noun="pairs",
    )  # fmt: skip
    return part.root
