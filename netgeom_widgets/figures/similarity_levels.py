"""The part of a large matrix that a picture shows, in no more numbers than it has pixels: a pyramid of means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from netgeom_widgets.errors import NetgeomError

Reduction = Literal["mean", "max"]
REDUCTIONS: tuple[Reduction, ...] = ("mean", "max")
PIXELS = 640
"""Numbers along a side of a view at most, by default."""

#: Cells along a side of a pixel of the lowest level that is kept; what is below is cheap to reduce on demand.
_BASE = 4
#: Rows that are put in order at a time.
_STRIP = 512


@dataclass(frozen=True, eq=False)
class View:
    """Part of a matrix in its order.

    Attributes
    ----------
    image : (h, w) float32
        One number a pixel; NaN where no entry has a value.
    row, column : int
        Place of the first cell.
    factor : int
        Cells along a side of a pixel; 1: each pixel is an entry.
    how : str
        What a pixel of several entries shows: "mean", "max", or "one" of them.
    """

    image: Float[np.ndarray, "h w"]
    row: int
    column: int
    factor: int
    how: str

    @property
    def words(self) -> str:
        """What a pixel is, for a caption; empty where it is an entry."""
        if self.factor == 1:
            return ""
        block = f"{self.factor} × {self.factor} pairs"
        return {
            "mean": f"Each pixel: mean of {block}; zoom in for single pairs.",
            "max": f"Each pixel: largest of {block}; zoom in for single pairs.",
            "one": f"Each pixel: one pair of {block}; zoom in for all pairs.",
        }[self.how]


class Levels:
    """Views of one matrix in one order of its rows and columns.

    Parameters
    ----------
    values : (n, m) array or tile store
        An array is not copied. A store, such as `SimilarityTiles`, has ``shape``, ``block(rows, columns)`` and, in the
        order of its samples, ``overview(level, "mean" | "max")`` with ``cell(level)`` rows and columns in a number.
    order_rows, order_columns : (h,) and (w,) int, optional
        Rows and columns from top and left; all, as they are, by default. They may leave some out.

    Attributes
    ----------
    rows, columns : (h,) and (w,) int
        The order.
    sizes : (int, int)
        Rows and columns of the matrix as given.

    Raises
    ------
    NetgeomError
        For what is no matrix, and for an order with an index that it lacks.

    Notes
    -----
    An array's first view wider than `pixels` costs a pass over it (0.5 s for 5,000 x 5,000), each further one under
    0.1 s. Kept: a twelfth of the matrix for each reduction. A store that is not shown in its own order has no means at
    hand: there a wide view shows one entry for each pixel, and says so.
    """

    def __init__(
        self,
        values: Any,
        order_rows: Int[np.ndarray, " h"] | None = None,
        order_columns: Int[np.ndarray, " w"] | None = None,
    ) -> None:
        self._store = values if hasattr(values, "block") else None
        self._values = np.empty((0, 0)) if self._store is not None else np.asarray(values)
        if self._values.ndim != 2 or self._values.dtype.kind not in "buif":
            raise NetgeomError(
                "This is no matrix.", expected="(n, m) numbers or a tile store",
                got=f"{self._values.dtype}, shape {self._values.shape}",
            )  # fmt: skip
        self.sizes: tuple[int, int] = tuple(self._store.shape) if self._store is not None else self._values.shape
        self.rows, self.columns = (
            _checked(order, size) for order, size in zip((order_rows, order_columns), self.sizes, strict=True)
        )
        self._natural = all(
            np.array_equal(order, np.arange(size))
            for order, size in zip((self.rows, self.columns), self.sizes, strict=True)
        )
        self._kept: dict[str, list[tuple[np.ndarray, np.ndarray | None]]] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that are shown."""
        return len(self.rows), len(self.columns)

    def value(self, row: int, column: int) -> float:
        """One entry, by its places in the order."""
        return float(self._entries(slice(row, row + 1), slice(column, column + 1))[0, 0])

    def sample(self, side: int) -> Float[np.ndarray, "h w"]:
        """Entries of about `side` rows and columns at equal distances; all of a matrix that is no larger."""
        rows, columns = (slice(None, None, max(1, math.ceil(size / side))) for size in self.shape)
        return self._entries(rows, columns)

    @cached_property
    def least(self) -> float | None:
        """The least finite number of an array, NaN without any; None for a store, which is not read as a whole."""
        if self._store is not None:
            return None
        least = float(np.fmin.reduce(self._values, axis=None, initial=np.inf))
        if not math.isinf(least):
            return least
        finite = self._values[np.isfinite(self._values)]
        return float(finite.min()) if finite.size else math.nan

    def view(
        self,
        x_range: tuple[float, float] | None = None,
        y_range: tuple[float, float] | None = None,
        *,
        pixels: int = PIXELS,
        reduce: Reduction = "mean",
    ) -> View:
        """The cells within two intervals.

        Parameters
        ----------
        x_range, y_range : (float, float), optional
            Ends in cells, in either order: column c fills c..c + 1. By default everything.
        pixels : int
            Numbers along a side of the image at most.
        reduce : {"mean", "max"}
            What a pixel of several entries shows. NaN counts as no entry.

        Returns
        -------
        View
            All cells that are at least partly within; empty where there are none.
        """
        if reduce not in REDUCTIONS:
            raise NetgeomError("There is no such reduction.", expected=" or ".join(REDUCTIONS), got=repr(reduce))
        if pixels < 1:
            raise NetgeomError("A view needs pixels.", expected="pixels: at least 1", got=repr(pixels))
        (top, bottom), (left, right) = (
            _cells(ends, size) for ends, size in zip((y_range, x_range), self.shape, strict=True)
        )
        factor = 1
        while max(_span(top, bottom, factor), _span(left, right, factor)) > pixels:
            factor *= 2
        if factor > 1 and self._store is not None:
            return self._of_store(slice(top, bottom), slice(left, right), factor, reduce)
        rows, columns = _aligned(top, bottom, factor), _aligned(left, right, factor)
        image = self._reduced(rows, columns, factor, reduce)
        return View(image.astype(np.float32), rows.start, columns.start, factor, reduce)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _entries(self, rows: slice, columns: slice) -> np.ndarray:
        at, along = self.rows[rows], self.columns[columns]
        if self._store is not None:
            return np.asarray(self._store.block(at, along))
        return self._values[at][:, along] if len(along) * 4 > self._values.shape[1] else self._values[np.ix_(at, along)]

    def _reduced(self, rows: slice, columns: slice, factor: int, how: str) -> np.ndarray:
        if factor < _BASE:
            image, weight = self._entries(rows, columns).astype(np.float32), None
            for _ in range(factor.bit_length() - 1):
                image, weight = _halved(image, weight, how)
            return image
        level = self._level(how, (factor // _BASE).bit_length() - 1)
        return level[
            slice(rows.start // factor, -(-rows.stop // factor)),
            slice(columns.start // factor, -(-columns.stop // factor)),
        ]

    def _level(self, how: str, number: int) -> np.ndarray:
        """The matrix with 4, 8, 16, ... cells along a side of a pixel."""
        if how not in self._kept:
            strips = []
            for at in range(0, self.shape[0], _STRIP):
                image: np.ndarray = self._entries(slice(at, at + _STRIP), slice(None)).astype(np.float32)
                strips.append(_halved(*_halved(image, None, how), how))
            weights = [np.ones_like(image) if weight is None else weight for image, weight in strips]
            whole = all(weight is None for _, weight in strips)
            self._kept[how] = [
                (np.concatenate([image for image, _ in strips]), None if whole else np.concatenate(weights))
            ]
        levels = self._kept[how]
        while len(levels) <= number:
            levels.append(_halved(*levels[-1], how))
        return levels[number][0]

    def _of_store(self, rows: slice, columns: slice, factor: int, how: str) -> View:
        if not self._natural:
            at, along = _aligned(rows.start, rows.stop, factor), _aligned(columns.start, columns.stop, factor)
            image = self._store.block(self.rows[at][::factor], self.columns[along][::factor])
            return View(np.asarray(image, dtype=np.float32), at.start, along.start, factor, "one")
        level = 0
        while (step := int(self._store.cell(level))) < factor:
            level += 1
        image = np.asarray(self._store.overview(level, how))
        at, along = _aligned(rows.start, rows.stop, step), _aligned(columns.start, columns.stop, step)
        part = image[at.start // step : -(-at.stop // step), along.start // step : -(-along.stop // step)]
        return View(part.astype(np.float32), at.start, along.start, step, how)


def _checked(order: Any, size: int) -> np.ndarray:
    if order is None:
        return np.arange(size)
    found = np.asarray(order)
    if found.ndim != 1 or found.dtype.kind not in "iu" or (found.size and not 0 <= found.min() <= found.max() < size):
        raise NetgeomError(
            "The order does not belong to this matrix.", expected=f"indices from 0 to {size - 1}",
            got=f"{found.dtype}, shape {found.shape}",
        )  # fmt: skip
    return found.astype(np.int64)


def _cells(ends: tuple[float, float] | None, size: int) -> tuple[int, int]:
    """First and last cell of an interval, the latter left out."""
    if ends is None:
        return 0, size
    low, high = sorted(ends)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NetgeomError("The interval has no ends.", expected="two finite numbers", got=f"{ends}")
    first, last = max(0, math.floor(low)), min(size, math.ceil(high))
    return (first, last) if first < last else (0, 0)


def _span(first: int, last: int, factor: int) -> int:
    return math.ceil(last / factor) - first // factor


def _aligned(first: int, last: int, factor: int) -> slice:
    """The cells of all pixels that an interval touches; the last pixel may hang over the matrix."""
    return slice(first // factor * factor, math.ceil(last / factor) * factor)


def _halved(image: np.ndarray, weight: np.ndarray | None, how: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Two by two entries to one: their largest, or their mean by the numbers of entries that they stand for."""
    odd = [(0, size % 2) for size in image.shape]
    if any(pad for _, pad in odd):
        image = np.pad(image, odd, constant_values=np.nan)
        weight = None if weight is None else np.pad(weight, odd)
    if how == "max":
        image = np.fmax(image[::2], image[1::2])
        return np.fmax(image[:, ::2], image[:, 1::2]), None
    if weight is None:
        total = _sums(image)
        if np.isfinite(total).all():
            return total / 4, None
        weight = np.ones_like(image)
    weight = np.where(np.isnan(image), 0, weight).astype(np.float32)
    counts = _sums(weight)
    with np.errstate(invalid="ignore"):
        return _sums(np.where(weight > 0, image * weight, 0)) / counts, counts


def _sums(image: np.ndarray) -> np.ndarray:
    image = image[::2] + image[1::2]
    return image[:, ::2] + image[:, 1::2]
