"""What the widget asks of a matrix of similarities, whether it is in memory or in a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: Pairs this near to the threshold may fall on either side: float32 similarities are right to about this.
MARGIN = 1e-6


class Entries:
    """The similarities of n inputs among each other; made by :meth:`held` or :meth:`stored`.

    Attributes
    ----------
    n : int
        How many inputs.
    values : (n, n) array, or the store
        What the figures read.
    rows : array-like
        What kernels read in blocks of rows.
    exact_counts : bool
        Whether hard counts are exact, else to the next edge of a histogram.
    """

    n: int
    values: Any
    rows: Any
    exact_counts = True

    @staticmethod
    def held(values: np.ndarray) -> Entries:
        """A matrix (n, n) in memory; counts are kept, so that a slider costs only the hard ones."""
        return _Held(values)

    @staticmethod
    def stored(tiles: Any) -> Entries:
        """A SimilarityTiles: what it holds of each row answers at once, rows are read when asked."""
        return _Stored(tiles)

    def row(self, sample: int) -> np.ndarray:
        """Similarities (n,) of one input to all."""
        raise NotImplementedError

    def entry(self, row: int, column: int) -> float:
        """One similarity."""
        raise NotImplementedError

    def nearest(self, sample: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids and similarities of the k most similar others, the most similar first, ties to the smaller id."""
        values = self.row(sample)
        order = np.lexsort((np.arange(self.n), -values))
        order = order[order != sample][:k]
        return order, values[order]

    def all_nearest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for every input, (n, k) each; a store holds no more than it was made with."""
        raise NotImplementedError

    def hard(self, threshold: float) -> np.ndarray:
        """How many inputs, itself included, are more similar than the threshold."""
        raise NotImplementedError

    def soft(self) -> np.ndarray:
        """Sum of similarities, itself included."""
        raise NotImplementedError

    def less_soft(self, power: int) -> np.ndarray:
        """Sum of max(k, 0) to a power, itself included."""
        raise NotImplementedError

    def near(self, threshold: float) -> int | None:
        """How many pairs are so near to the threshold that rounding decides; None where that is not known."""
        raise NotImplementedError

    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        """Counts of all entries and the edges of their bins."""
        raise NotImplementedError


class _Held(Entries):
    def __init__(self, values: np.ndarray) -> None:
        self.values = self.rows = values
        self.n = len(values)
        self._kept: dict[Any, Any] = {}

    def row(self, sample: int) -> np.ndarray:
        return np.asarray(self.values[sample])

    def entry(self, row: int, column: int) -> float:
        return float(self.values[row, column])

    def all_nearest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        from netgeom_widgets.kernels.similarity import nearest

        if k < 1:
            return np.empty((self.n, 0), dtype=np.int32), np.empty((self.n, 0))
        ids, values = nearest(self.values, k)
        return ids, values

    def hard(self, threshold: float) -> np.ndarray:
        return self._counts("hard", threshold=threshold)

    def soft(self) -> np.ndarray:
        return self._once("soft", lambda: self._counts("soft"))

    def less_soft(self, power: int) -> np.ndarray:
        return self._once(("less_soft", power), lambda: self._counts("less_soft", power=power))

    def near(self, threshold: float) -> int | None:
        from netgeom_widgets.kernels.similarity import near_threshold

        return int(near_threshold(self.values, threshold, margin=MARGIN).sum())

    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        def count() -> tuple[np.ndarray, np.ndarray]:
            low, high = float(self.values.min()), float(self.values.max())
            low, high = (min(low, 0.0), max(high, 1.0)) if low >= -1 and high <= 1 else (low, high)
            edges = np.linspace(low, high if high > low else low + 1, 101)
            return sum(np.histogram(row, edges)[0] for row in self.values), edges

        return self._once("histogram", count)

    def _counts(self, kind: str, **options: Any) -> np.ndarray:
        from netgeom_widgets.kernels.similarity import neighbour_counts

        return neighbour_counts(self.values, kind=kind, **options)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


class _Stored(Entries):
    exact_counts = False

    def __init__(self, tiles: Any) -> None:
        self.values, self.rows, self.n = tiles, _WholeRows(tiles), int(tiles.n)

    def row(self, sample: int) -> np.ndarray:
        return np.asarray(self.values.rows([sample])[0])

    def entry(self, row: int, column: int) -> float:
        return float(np.asarray(self.values.block([row], [column]))[0, 0])

    def nearest(self, sample: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, values = self.values.top
        if k <= ids.shape[1]:
            return np.asarray(ids[sample][:k]), np.asarray(values[sample][:k])
        return super().nearest(sample, k)

    def all_nearest(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, values = self.values.top
        return ids[:, :k], values[:, :k]

    def hard(self, threshold: float) -> np.ndarray:
        return np.asarray(self.values.hard_counts(threshold))

    def soft(self) -> np.ndarray:
        return np.asarray(self.values.soft)

    def less_soft(self, power: int) -> np.ndarray:
        return np.asarray(self.values.less_soft(power))

    def near(self, threshold: float) -> int | None:
        return None

    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.values.histogram).sum(axis=0), np.asarray(self.values.edges)


class _WholeRows:
    """A store read like an array, whole rows at a time."""

    def __init__(self, tiles: Any) -> None:
        self._tiles, self.shape = tiles, (int(tiles.n), int(tiles.m))

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self._tiles.rows(np.arange(self.shape[0])[rows]))
