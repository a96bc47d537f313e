"""Who is most like an input, and what is known of each: label, prediction, words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from netgeom_widgets.figures.plots import literal, number

WRONG = "#D55E00"
"""Frame and words of an input whose prediction is not its label."""

INK = "#777777"
"""Words in a picture, readable on light and dark ground."""


def k_text(value: float, digits: int = 3) -> str:
    """A similarity with so many decimals; a large one with so many significant digits."""
    text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.{digits}g}"
    return text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, eq=False)
class Strip:
    """One input and those ranked beside it.

    Attributes
    ----------
    sample : int
        Id of the input.
    nearest : sequence of (id, k)
        Most alike first.
    farthest : sequence of (id, k)
        Least alike last.
    """

    sample: int
    nearest: Sequence[tuple[int, float]]
    farthest: Sequence[tuple[int, float]] = ()

    @property
    def ids(self) -> list[int]:
        """Of all that are shown."""
        return [self.sample, *(one for one, _ in (*self.nearest, *self.farthest))]


def ranked(row: Float[np.ndarray, " n"], sample: int | None, k: int, farthest: int = 0, ids: Any = None) -> Strip:
    """The strip of one row of a matrix.

    Parameters
    ----------
    row : (n,) float
        Similarities of one input to all; NaN is left out.
    sample : int or None
        Its own place in the row, which is left out.
    k, farthest : int
        How many of the most alike, and of the least alike of the others. Ties go to the smaller place.
    ids : (n,) int, optional
        Sample ids; the places by default.
    """
    row = np.asarray(row, dtype=float)
    order = np.argsort(-row, kind="stable")
    order = order[np.isfinite(row[order]) & (order != (-1 if sample is None else sample))]
    known = np.arange(len(row)) if ids is None else np.asarray(ids)
    first, last = order[:k], order[k:][-farthest:] if farthest else order[:0]
    pairs = [[(int(known[at]), float(row[at])) for at in some.tolist()] for some in (first, last)]
    return Strip(-1 if sample is None else int(known[sample]), *pairs)


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of samples, by their ids: label, prediction, words. Each may lack any of them."""

    labels: Mapping[int, Any] | None = None
    predictions: Mapping[int, Any] | None = None
    texts: Mapping[int, str] | None = None

    @classmethod
    def of(cls, ids: Iterable[int], labels: Any = None, predictions: Any = None, texts: Any = None) -> Facts:
        """Of some samples, from sequences with an entry for every sample; None is not known."""
        some = list(ids)
        return cls(
            *(None if given is None else {one: given[one] for one in some} for given in (labels, predictions, texts))
        )

    def label(self, sample: int) -> str:
        """Label as text."""
        return _text(self.labels, sample)

    def prediction(self, sample: int) -> str:
        """Prediction as text."""
        return _text(self.predictions, sample)

    def words(self, sample: int) -> str:
        """The user's words."""
        return _text(self.texts, sample)

    def is_wrong(self, sample: int) -> bool:
        """Whether label and prediction are known and differ."""
        pair = self.label(sample), self.prediction(sample)
        return all(pair) and pair[0] != pair[1]

    def short(self, sample: int) -> str:
        """The label, with the prediction if that differs."""
        label = literal(self.label(sample)) or literal(self.prediction(sample))
        return f"{label} \N{RIGHTWARDS ARROW} {literal(self.prediction(sample))}" if self.is_wrong(sample) else label


def _text(known: Mapping[int, Any] | None, sample: int) -> str:
    value = None if known is None else known.get(sample)
    if value is None:
        return ""
    return number(float(value)) if isinstance(value, float | np.floating) else str(value)
